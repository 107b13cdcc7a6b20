package xgboost

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// decodeJSON decodes a file in strict JSON: no duplicate names, no invalid UTF-8, nothing after the
// value. Only the literals for numbers that are not finite, which JSON has not, are taken as XGBoost writes them.
func decodeJSON(data []byte) (any, error) {
	d := jsonDecoder{Decoder: jsontext.NewDecoder(bytes.NewBuffer(standardize(data))), budget: newBudget()}
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
	standard := make([]byte, 0, len(data))
	inString := false
	for i := 0; i < len(data); i++ {
		switch rest := data[i:]; {
		case data[i] == '"':
			inString = !inString
		case inString && data[i] == '\\' && len(rest) > 1:
			standard = append(standard, data[i])
			i++
		case !inString && bytes.HasPrefix(rest, []byte("NaN")):
			standard = append(standard, "null"...)
			i += len("NaN") - 1
			continue
		case !inString && bytes.HasPrefix(rest, []byte("Infinity")):
			standard = append(standard, "1e999999"...)
			i += len("Infinity") - 1
			continue
		}
		standard = append(standard, data[i])
	}
	return standard
}

type jsonDecoder struct {
	*jsontext.Decoder
	budget budget
}

func (d *jsonDecoder) value(depth int) (any, error) {
	if !spend(&d.budget.values, 1) {
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
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	if kind := d.PeekKind(); kind == '0' || kind == 'n' || kind == ']' {
		return d.numbers()
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

// numbers reads the rest of an array of numbers; null stands for NaN.
func (d *jsonDecoder) numbers() (any, error) {
	numbers := []float64{}
	for {
		x := math.NaN()
		var err error
		switch d.PeekKind() {
		case '0':
			x, err = d.number()
		case 'n', ']':
			var token jsontext.Token
			if token, err = d.ReadToken(); err == nil && token.Kind() == ']' {
				return numbers, nil
			}
		case '"', '{', '[', 't', 'f':
			err = errMixed
		default:
			_, err = d.ReadToken()
		}
		if err == nil && !spend(&d.budget.numbers, 1) {
			err = errTooMany
		}
		if err != nil {
			return nil, err
		}
		numbers = append(numbers, x)
	}
}

// number reads an integer exactly, and any other number as the float32 nearest to its digits; one too
// large for that is infinite.
func (d *jsonDecoder) number() (float64, error) {
	raw, err := d.ReadValue()
	if err != nil {
		return 0, err
	}
	text := string(raw)
	bits := 32
	if !strings.ContainsAny(text, ".eE") {
		bits = 64
	}
	x, err := strconv.ParseFloat(text, bits)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, err
	}
	return x, nil
}
