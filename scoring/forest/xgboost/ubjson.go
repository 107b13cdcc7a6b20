package xgboost

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// What both decoders refuse.
var (
	errTooDeep = fmt.Errorf("objects and arrays are nested more than %d deep", maxNesting)
	errTooMany = errors.New("there are too many values; train fewer or smaller trees")
	errMixed   = errors.New("an array mixes numbers with other values")
	errTooLong = fmt.Errorf("a text has more than %d bytes", maxText)
)

var errTruncated = errors.New("it ends too early")

// decodeUBJSON decodes a file in the part of Universal Binary JSON that XGBoost writes: big-endian
// numbers, arrays with or without a count and a type, objects without either.
func decodeUBJSON(data []byte) (any, error) {
	d := ubjDecoder{rest: data, values: maxValues}
	v, err := d.value(0)
	if err == nil && len(d.rest) > 0 {
		err = errors.New("there is more after the model")
	}
	if err != nil {
		return nil, &FileError{Problem: fmt.Sprintf("as UBJSON, at byte %d: %v", len(data)-len(d.rest), err)}
	}
	return v, nil
}

type ubjDecoder struct {
	rest   []byte
	values int // that may still come
}

func (d *ubjDecoder) value(depth int) (any, error) {
	marker, err := d.marker()
	if err != nil {
		return nil, err
	}
	return d.valueOf(marker, depth)
}

// marker returns the next type marker, past any no-op.
func (d *ubjDecoder) marker() (byte, error) {
	for {
		b, err := d.take(1)
		if err != nil {
			return 0, err
		}
		if b[0] != 'N' {
			return b[0], nil
		}
	}
}

func (d *ubjDecoder) valueOf(marker byte, depth int) (any, error) {
	if !spend(&d.values, 1) {
		return nil, errTooMany
	}
	switch marker {
	case 'Z':
		return nil, nil
	case 'T':
		return true, nil
	case 'F':
		return false, nil
	case 'S':
		return d.text()
	case '{':
		return d.object(depth + 1)
	case '[':
		return d.array(depth + 1)
	}
	width := numberWidth(marker)
	if width == 0 {
		return nil, fmt.Errorf("unknown type marker %q", marker)
	}
	b, err := d.take(width)
	if err != nil {
		return nil, err
	}
	return number(marker, b), nil
}

func (d *ubjDecoder) object(depth int) (any, error) {
	if depth > maxNesting {
		return nil, errTooDeep
	}
	object := make(map[string]any)
	for !d.skip('}') {
		key, err := d.text()
		if err != nil {
			return nil, err
		}
		if _, ok := object[key]; ok {
			return nil, errors.New("an object has a name twice")
		}
		if object[key], err = d.value(depth); err != nil {
			return nil, err
		}
	}
	return object, nil
}

// array reads [values] or [#count values or [$type#count numbers.
func (d *ubjDecoder) array(depth int) (any, error) {
	if depth > maxNesting {
		return nil, errTooDeep
	}
	if d.skip('$') {
		marker, err := d.marker()
		if err != nil {
			return nil, err
		}
		if !d.skip('#') {
			return nil, errors.New("a typed array has no count")
		}
		return d.typedNumbers(marker)
	}
	count, counted := 0, d.skip('#')
	if counted {
		var err error
		if count, err = d.count(1); err != nil {
			return nil, err
		}
	}
	elements, list := []any{}, numbers{marker: 'D'}
	for i := 0; counted && i < count || !counted && !d.skip(']'); i++ {
		e, err := d.value(depth)
		if err != nil {
			return nil, err
		}
		if x, ok := e.(float64); ok {
			list.data = binary.BigEndian.AppendUint64(list.data, math.Float64bits(x))
			list.count++
		} else {
			elements = append(elements, e)
		}
	}
	switch {
	case len(elements) == 0:
		return list, nil
	case list.count == 0:
		return elements, nil
	}
	return nil, errMixed
}

// typedNumbers reads an array whose numbers are all of one type, without markers of their own.
func (d *ubjDecoder) typedNumbers(marker byte) (any, error) {
	width := numberWidth(marker)
	if width == 0 {
		return nil, fmt.Errorf("an array of type %q is not one of numbers", marker)
	}
	count, err := d.count(width)
	if err != nil {
		return nil, err
	}
	raw, err := d.take(count * width)
	if err != nil {
		return nil, err
	}
	return numbers{marker, raw, count}, nil
}

// text reads a length and that many bytes of UTF-8.
func (d *ubjDecoder) text() (string, error) {
	n, err := d.count(1)
	if err != nil {
		return "", err
	}
	if n > maxText {
		return "", errTooLong
	}
	b, err := d.take(n)
	if err != nil {
		return "", err
	}
	if !utf8.Valid(b) {
		return "", errors.New("a string is not valid UTF-8")
	}
	return string(b), nil
}

// count reads a length or count, and refuses one whose items, of at least width bytes each, exceed the file.
func (d *ubjDecoder) count(width int) (int, error) {
	marker, err := d.marker()
	if err != nil {
		return 0, err
	}
	if marker == 'd' || marker == 'D' || numberWidth(marker) == 0 {
		return 0, fmt.Errorf("a count has the type %q, which is not an integer's", marker)
	}
	b, err := d.take(numberWidth(marker))
	if err != nil {
		return 0, err
	}
	n := number(marker, b)
	if n < 0 || n > float64(len(d.rest)/width) {
		return 0, errors.New("a count is negative or larger than the rest of the file")
	}
	return int(n), nil
}

// skip consumes the next byte if it is b, past any no-op. At the end of the file it reports false, and
// the read that follows fails.
func (d *ubjDecoder) skip(b byte) bool {
	for len(d.rest) > 0 && d.rest[0] == 'N' {
		d.rest = d.rest[1:]
	}
	if len(d.rest) == 0 || d.rest[0] != b {
		return false
	}
	d.rest = d.rest[1:]
	return true
}

// take consumes n bytes.
func (d *ubjDecoder) take(n int) ([]byte, error) {
	if n > len(d.rest) {
		return nil, errTruncated
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b, nil
}

// numberWidth returns how many bytes a number of a type has; 0 if the marker is not that of a number.
func numberWidth(marker byte) int {
	switch marker {
	case 'i', 'U':
		return 1
	case 'I':
		return 2
	case 'l', 'd':
		return 4
	case 'L', 'D':
		return 8
	}
	return 0
}

// number decodes a number of the marker's type and width. Numbers that are no float32 are used as
// integers or as category values only, far below 2^53.
func number(marker byte, b []byte) float64 {
	switch marker {
	case 'i':
		return float64(int8(b[0]))
	case 'U':
		return float64(b[0])
	case 'I':
		return float64(int16(binary.BigEndian.Uint16(b)))
	case 'l':
		return float64(int32(binary.BigEndian.Uint32(b)))
	case 'L':
		return float64(int64(binary.BigEndian.Uint64(b)))
	case 'd':
		return float64(math.Float32frombits(binary.BigEndian.Uint32(b)))
	}
	return math.Float64frombits(binary.BigEndian.Uint64(b))
}
