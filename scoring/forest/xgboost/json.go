package xgboost

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// decodeJSON decodes a file in strict JSON: no duplicate names, no invalid UTF-8, nothing after the
// value. Only the literals for numbers that are not finite, which JSON has not, are taken as XGBoost writes them.
func decodeJSON(data []byte) (any, error) {
	data = standardize(data)
	d := jsonDecoder{jsontext.NewDecoder(bytes.NewBuffer(data)), data, maxValues}
	v, err := d.value(0)
	if err == nil {
		if _, err = d.ReadToken(); err == nil {
			err = errors.New("there is more after the model")
		} else if errors.Is(err, io.EOF) {
			return v, nil
		}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errTruncated
	}
	return nil, &FileError{Problem: fmt.Sprintf("as JSON, at byte %d: %v", d.InputOffset(), err)}
}

// standardize replaces the literals NaN by null, and Infinity by a number that is too large for a float.
// XGBoost writes an infinite threshold where a split only parts the missing values from the others, and
// before version 3 a NaN in categorical splits, which have no threshold.
func standardize(data []byte) []byte {
	if !bytes.Contains(data, []byte("NaN")) && !bytes.Contains(data, []byte("Infinity")) {
		return data
	}
	standard := make([]byte, 0, len(data)+len(data)/64)
	for len(data) > 0 {
		i := 0
		for i < len(data) && data[i] != '"' && data[i] != 'N' && data[i] != 'I' {
			i++
		}
		standard, data = append(standard, data[:i]...), data[i:]
		switch {
		case len(data) == 0:
		case data[0] == '"':
			n := stringLength(data)
			standard, data = append(standard, data[:n]...), data[n:]
		case bytes.HasPrefix(data, []byte("NaN")):
			standard, data = append(standard, "null"...), data[len("NaN"):]
		case bytes.HasPrefix(data, []byte("Infinity")):
			standard, data = append(standard, "1e999999"...), data[len("Infinity"):]
		default:
			standard, data = append(standard, data[0]), data[1:]
		}
	}
	return standard
}

// stringLength returns how many bytes the string at the beginning of data has, its quotes included.
func stringLength(data []byte) int {
	for i := 1; i < len(data); i++ {
		switch data[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return len(data)
}

type jsonDecoder struct {
	*jsontext.Decoder
	data   []byte
	values int // that may still come
}

func (d *jsonDecoder) value(depth int) (any, error) {
	if !spend(&d.values, 1) {
		return nil, errTooMany
	}
	switch d.PeekKind() {
	case '{':
		return d.object(depth + 1)
	case '[':
		return d.array(depth + 1)
	case '0':
		return d.number()
	default:
		return d.scalar()
	}
}

// scalar reads a text, a truth value or null.
func (d *jsonDecoder) scalar() (any, error) {
	token, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	switch token.Kind() {
	case '"':
		return token.String(), nil
	case 't', 'f':
		return token.Bool(), nil
	default:
		return nil, nil
	}
}

func (d *jsonDecoder) object(depth int) (any, error) {
	if depth > maxNesting {
		return nil, errTooDeep
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	object := make(map[string]any)
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		key := name.String()
		if object[key], err = d.value(depth); err != nil {
			return nil, err
		}
	}
	_, err := d.ReadToken()
	return object, err
}

func (d *jsonDecoder) array(depth int) (any, error) {
	if depth > maxNesting {
		return nil, errTooDeep
	}
	if d.beginsNumbers() {
		return d.numbers()
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	elements := []any{}
	for d.PeekKind() != ']' {
		e, err := d.value(depth)
		if err != nil {
			return nil, err
		}
		switch e.(type) {
		case nil, float64:
			return nil, errMixed
		}
		elements = append(elements, e)
	}
	_, err := d.ReadToken()
	return elements, err
}

// beginsNumbers reports whether the array that comes next is empty or begins with a number or null.
func (d *jsonDecoder) beginsNumbers() bool {
	rest := d.data[d.InputOffset():]
	if at := bytes.IndexByte(rest, '['); at >= 0 {
		rest = bytes.TrimLeft(rest[at+1:], " \t\r\n")
	}
	return len(rest) > 0 && bytes.IndexByte([]byte("-0123456789n]"), rest[0]) >= 0
}

// numbers passes an array of numbers; null stands for NaN. It makes sure of the syntax, so that nothing else is left
// to find when they are asked for.
func (d *jsonDecoder) numbers() (any, error) {
	raw, err := d.ReadValue()
	if err != nil {
		return nil, err
	}
	raw = raw[1 : len(raw)-1]
	if bytes.ContainsAny(raw, `"{[tf`) {
		return nil, errMixed
	}
	end := int(d.InputOffset()) - 1
	list := numbers{data: d.data[end-len(raw) : end]} // ReadValue's slice is the decoder's own, this one is not
	if len(bytes.TrimLeft(raw, " \t\r\n")) > 0 {
		list.count = 1 + bytes.Count(raw, []byte(","))
	}
	return list, nil
}

// number reads a number that stands alone.
func (d *jsonDecoder) number() (float64, error) {
	raw, err := d.ReadValue()
	if err != nil {
		return 0, err
	}
	return textNumber(raw), nil
}
