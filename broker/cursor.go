package broker

import "encoding/binary"

// cursor reads from the front of b. A read past the end returns zeros and sets bad, which is asked for once at the end.
type cursor struct {
	b   []byte
	bad bool
}

// take returns the next n bytes as a view.
func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.b) {
		c.bad, c.b = true, nil
		return nil
	}
	out := c.b[:n:n]
	c.b = c.b[n:]
	return out
}

func (c *cursor) skip(n int) { c.take(n) }

func (c *cursor) int16() int16 {
	if b := c.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (c *cursor) int32() int32 {
	if b := c.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (c *cursor) int64() int64 {
	if b := c.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

// varint reads a zigzag varint.
func (c *cursor) varint() int64 {
	if b := c.b; len(b) > 1 { // nearly all take a byte or two
		if b[0] < 0x80 {
			c.b = b[1:]
			return int64(b[0]>>1) ^ -int64(b[0]&1)
		}
		if b[1] < 0x80 {
			c.b = b[2:]
			u := uint64(b[0]&0x7f) | uint64(b[1])<<7
			return int64(u>>1) ^ -int64(u&1)
		}
	}
	v, n := binary.Varint(c.b)
	if n <= 0 {
		c.bad, c.b = true, nil
		return 0
	}
	c.b = c.b[n:]
	return v
}

// bytes reads a length and so many bytes; nil is Kafka's null.
func (c *cursor) bytes() []byte {
	n := c.varint()
	if n < 0 {
		return nil
	}
	if n > int64(len(c.b)) {
		c.bad, c.b = true, nil
		return nil
	}
	if n == 0 {
		return []byte{}
	}
	return c.take(int(n))
}
