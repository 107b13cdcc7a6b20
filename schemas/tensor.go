package schemas

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// valueKind is what a datatype's values are.
type valueKind byte

const (
	unreadable valueKind = iota
	text
	floating
	signed
	unsigned
)

const anyDatatype = "must be FP32, FP64, INT8 to INT64, UINT8 to UINT64, or BYTES"

// datatype says what a datatype of the protocol holds, in how many bytes a value; a text has its length before it. BOOL
// holds no feature, and nobody's model was trained on 16 bits.
func datatype(name string) (k valueKind, size int) {
	switch name {
	case "BYTES":
		return text, 4
	case "FP32":
		return floating, 4
	case "FP64":
		return floating, 8
	case "INT8":
		return signed, 1
	case "INT16":
		return signed, 2
	case "INT32":
		return signed, 4
	case "INT64":
		return signed, 8
	case "UINT8":
		return unsigned, 1
	case "UINT16":
		return unsigned, 2
	case "UINT32":
		return unsigned, 4
	case "UINT64":
		return unsigned, 8
	default:
		return unreadable, 0
	}
}

// column is a tensor's values, a row each.
type column struct {
	null     []bool
	numbers  []float64
	texts    []string // nil unless the datatype is BYTES
	integers []int64  // nil unless the tensor is event_version
}

// read reads a tensor whose name, datatype and shape are right.
func (r *inferenceReader) read(t *tensor, c *column, rows int) error {
	kind, size := datatype(t.datatype)
	c.null = make([]bool, rows)
	switch {
	case kind == text:
		c.texts = make([]string, rows)
	case t.name == versionTensor:
		c.integers = make([]int64, rows)
		fallthrough
	default:
		c.numbers = make([]float64, rows)
	}
	if t.data != nil {
		return r.readJSON(t, c, kind, size*8)
	}
	// check has seen to it that the sizes add to what is there.
	data := r.binary[:t.size]
	r.binary = r.binary[t.size:]
	if kind == text {
		r.readTexts(t, c, data)
		return nil
	}
	if len(data) != rows*size {
		r.problem(RejectDecode, t.at("/parameters/binary_data_size"), fmt.Sprintf("must be %d: %d values of %s", rows*size, rows, t.datatype))
		return nil
	}
	for row := range rows {
		r.readNumber(t, c, row, kind, data[row*size:(row+1)*size])
	}
	return nil
}

// readNumber reads a number in little-endian bytes, as many as its datatype has.
func (r *inferenceReader) readNumber(t *tensor, c *column, row int, kind valueKind, b []byte) {
	var padded [8]byte
	copy(padded[:], b)
	bits := binary.LittleEndian.Uint64(padded[:])
	switch kind {
	case floating:
		x := math.Float64frombits(bits)
		if len(b) == 4 {
			x = float64(math.Float32frombits(uint32(bits))) // #nosec G115 -- four bytes
		}
		if math.IsNaN(x) || math.IsInf(x, 0) {
			r.problem(RejectFeatureRange, t.cell(row), "is not a finite number; a missing value is null, which takes JSON data, or no tensor")
		}
		c.numbers[row] = x
	case signed:
		unused := 64 - 8*len(b)
		c.integer(row, int64(bits<<unused)>>unused) // #nosec G115 -- the bits are two's complement
	default:
		r.natural(t, c, row, bits)
	}
}

func (c *column) integer(row int, x int64) {
	c.numbers[row] = float64(x)
	if c.integers != nil {
		c.integers[row] = x
	}
}

func (r *inferenceReader) natural(t *tensor, c *column, row int, x uint64) {
	c.numbers[row] = float64(x)
	if c.integers == nil {
		return
	}
	if x > math.MaxInt64 {
		r.problem(RejectDecode, t.cell(row), "must be an integer of 64 bits with a sign")
		return
	}
	c.integers[row] = int64(x)
}

// readTexts reads texts, each with its length before it in four bytes.
func (r *inferenceReader) readTexts(t *tensor, c *column, data []byte) {
	for row := range c.texts {
		if len(data) < 4 || uint64(binary.LittleEndian.Uint32(data)) > uint64(len(data)-4) {
			r.problem(RejectDecode, t.cell(row), "ends early: a text is its length in 4 bytes and its bytes")
			return
		}
		n := 4 + int(binary.LittleEndian.Uint32(data))
		c.texts[row] = string(data[4:n])
		if !utf8.ValidString(c.texts[row]) {
			r.problem(RejectDecode, t.cell(row), "must be UTF-8")
		}
		data = data[n:]
	}
	if len(data) > 0 {
		r.problem(RejectDecode, t.at("/parameters/binary_data_size"), fmt.Sprintf("is %d too large for %d texts", len(data), len(c.texts)))
	}
}

// readJSON reads data that has been seen to be JSON: an array of values, or of arrays with one value each.
func (r *inferenceReader) readJSON(t *tensor, c *column, kind valueKind, bits int) error {
	if t.data[0] != '[' {
		r.problem(RejectDecode, t.at("/data"), "must be an array of values")
		return nil
	}
	p, rows, nested := parser{dec: jsontext.NewDecoder(bytes.NewBuffer(t.data))}, 0, t.nested()
	err := p.elements(func(row int) error {
		rows++
		switch {
		case row >= len(c.null):
			return p.skip()
		case !nested:
			return r.cell(p, t, c, row, kind, bits)
		case p.dec.PeekKind() != '[':
			r.problem(RejectDecode, t.at("/data/"+strconv.Itoa(row)), "must be an array of one value, as the first is")
			return p.skip()
		}
		inner := 0
		err := p.elements(func(i int) error {
			if inner++; i > 0 {
				return p.skip()
			}
			return r.cell(p, t, c, row, kind, bits)
		})
		if inner != 1 {
			r.problem(RejectDecode, t.at("/data/"+strconv.Itoa(row)), "must be an array of one value")
		}
		return err
	})
	if err == nil && rows != len(c.null) {
		r.problem(RejectDecode, t.at("/data"), fmt.Sprintf("has %d values, its shape says %d", rows, len(c.null)))
	}
	return err
}

// nested says whether the data's first value is an array, as in [[1],[2]].
func (t *tensor) nested() bool {
	return len(t.shape) == 2 && len(t.data) > 0 && bytes.HasPrefix(bytes.TrimLeft(t.data[1:], " \t\r\n"), []byte{'['})
}

// cell reads the value that comes next.
func (r *inferenceReader) cell(p parser, t *tensor, c *column, row int, kind valueKind, bits int) error {
	k := p.dec.PeekKind()
	switch {
	case k == 'n':
		c.null[row] = true
		return p.skip()
	case k == '"' && kind == text:
		v, err := p.token()
		if err == nil {
			c.texts[row] = v.String()
		}
		return err
	case k == '0' && kind != text:
		v, err := p.token()
		if err == nil {
			r.jsonNumber(t, c, row, v.String(), kind, bits)
		}
		return err
	default:
		detail := "must be a number"
		if kind == text {
			detail = "must be a string"
		}
		r.problem(t.class(), t.cell(row), detail+", as "+t.datatype+" says")
		return p.skip()
	}
}

// class is the reject class of a value that is none of its tensor's.
func (t *tensor) class() RejectClass {
	switch t.name {
	case orderIDTensor:
		return RejectOrderID
	case versionTensor:
		return RejectDecode
	default:
		return RejectFeatureType
	}
}

// jsonNumber reads a number as its datatype has it: integers without fraction or exponent, FP32 rounded to 32 bits, so that
// it is what the same tensor is in bytes.
func (r *inferenceReader) jsonNumber(t *tensor, c *column, row int, s string, kind valueKind, bits int) {
	var err error
	switch kind {
	case floating:
		c.numbers[row], err = strconv.ParseFloat(s, bits)
	case signed:
		var x int64
		x, err = strconv.ParseInt(s, 10, bits)
		c.integer(row, x)
	default:
		var x uint64
		x, err = strconv.ParseUint(s, 10, bits)
		r.natural(t, c, row, x)
	}
	if err == nil {
		return
	}
	class, detail := t.class(), "must be an integer without fraction or exponent, as "+t.datatype+" holds it"
	if kind == floating {
		class, detail = RejectFeatureRange, "is too large for "+t.datatype
	}
	r.problem(class, t.cell(row), detail)
}
