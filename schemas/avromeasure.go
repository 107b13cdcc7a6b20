package schemas

import (
	"encoding/binary"
	"errors"
	"math"
)

// Bounds of one Avro value. maxValues is twice what a value of MaxEventBytes can hold where every item takes a byte
// and a union's index: only items without bytes, like nulls, come to more.
const (
	maxDepth  = 64
	maxValues = 4 * MaxEventBytes
)

var (
	errShort    = errors.New("the value ends too early")
	errDepth    = errors.New("the value nests too deeply")
	errValues   = errors.New("the value claims too many items")
	errTrailing = errors.New("the value has bytes left over")
	errInteger  = errors.New("the value has an integer that does not fit its type")
	errBoolean  = errors.New("the value has a boolean that is neither 0 nor 1")
	errLength   = errors.New("the value has a negative length")
	errIndex    = errors.New("the value has an enum's or a union's index that its schema does not")
)

// measure walks one whole value by its shape and allocates nothing. goavro allocates by the count that an array's or
// a map's block claims (up to 2^31 items), follows a recursive type until the stack ends the process, cuts integers
// silently to 32 bits, and ignores block sizes: a value that measure takes does none of this to it.
func measure(s *shape, value []byte) error {
	m := measurer{rest: value}
	if err := m.walk(s, 0); err != nil {
		return err
	}
	if len(m.rest) > 0 {
		return errTrailing
	}
	return nil
}

type measurer struct {
	rest   []byte
	values int
}

func (m *measurer) walk(s *shape, depth int) error {
	if depth > maxDepth {
		return errDepth
	}
	if m.values++; m.values > maxValues {
		return errValues
	}
	switch s.kind {
	case "null":
		return nil
	case "boolean":
		return m.boolean()
	case "int":
		x, err := m.long()
		if err == nil && (x < math.MinInt32 || x > math.MaxInt32) {
			err = errInteger
		}
		return err
	case "long":
		_, err := m.long()
		return err
	case "float":
		return m.skip(4)
	case "double":
		return m.skip(8)
	case "bytes", "string":
		return m.text()
	case "fixed":
		return m.skip(int64(s.size))
	case "enum":
		_, err := m.index(len(s.symbols))
		return err
	default:
		return m.walkParts(s, depth)
	}
}

func (m *measurer) walkParts(s *shape, depth int) error {
	switch s.kind {
	case "union":
		i, err := m.index(len(s.union))
		if err != nil {
			return err
		}
		return m.walk(s.union[i], depth+1)
	case "record":
		for i := range s.fields {
			if err := m.walk(s.fields[i].shape, depth+1); err != nil {
				return err
			}
		}
		return nil
	default:
		return m.blocks(s, depth)
	}
}

// blocks walks an array or a map: blocks of a count and items, the last of count 0. A negative count is followed by
// the block's length in bytes.
func (m *measurer) blocks(s *shape, depth int) error {
	for {
		count, err := m.long()
		if err != nil || count == 0 {
			return err
		}
		end := -1
		if count < 0 {
			size, err := m.long()
			if err != nil {
				return err
			}
			if size < 0 || size > int64(len(m.rest)) {
				return errShort
			}
			end = len(m.rest) - int(size)
		}
		// -count overflows for the least integer only: it stays negative, and its magnitude is beyond any bound.
		if count < 0 {
			count = -count
		}
		if count < 0 || count > maxValues {
			return errValues
		}
		if err := m.items(s, int(count), depth); err != nil {
			return err
		}
		if end >= 0 && len(m.rest) != end {
			return errLength
		}
	}
}

func (m *measurer) items(s *shape, count, depth int) error {
	for range count {
		if s.kind == "map" {
			if err := m.text(); err != nil {
				return err
			}
		}
		if err := m.walk(s.of, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (m *measurer) skip(n int64) error {
	if n > int64(len(m.rest)) {
		return errShort
	}
	m.rest = m.rest[n:]
	return nil
}

func (m *measurer) text() error {
	n, err := m.long()
	if err != nil {
		return err
	}
	if n < 0 {
		return errLength
	}
	return m.skip(n)
}

func (m *measurer) boolean() error {
	if len(m.rest) == 0 {
		return errShort
	}
	if m.rest[0] > 1 {
		return errBoolean
	}
	m.rest = m.rest[1:]
	return nil
}

func (m *measurer) index(n int) (int, error) {
	i, err := m.long()
	if err != nil {
		return 0, err
	}
	if i < 0 || i >= int64(n) {
		return 0, errIndex
	}
	return int(i), nil
}

// long reads a zigzag integer, for which Go's varint and Avro's encoding are the same.
func (m *measurer) long() (int64, error) {
	x, n := binary.Varint(m.rest)
	switch {
	case n == 0:
		return 0, errShort
	case n < 0:
		return 0, errInteger
	}
	m.rest = m.rest[n:]
	return x, nil
}
