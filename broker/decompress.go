package broker

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

const (
	// zstdWindow is the largest window that a zstd frame may ask for, in bytes: RFC 8878 has every decoder support this
	// much. Kafka's producers reach it at level 19.
	zstdWindow = 8 << 20
	// snappyRatio is above what a snappy block can expand: 64 bytes for 3.
	snappyRatio = 22
)

// codecs decompresses what a record batch holds, piece by piece: a stream never takes more than the codec's window, so
// that the reader decides how much it will have. Its decoders are used again. It is safe for concurrent use.
type codecs struct{ gzip, lz4, zstd sync.Pool }

// open returns a stream over src and what gives its decoder back.
func (c *codecs) open(codec int, src []byte) (io.Reader, func(), error) {
	from := bytes.NewReader(src)
	switch codec {
	case 1:
		r, _ := c.gzip.Get().(*gzip.Reader)
		if r == nil {
			r = new(gzip.Reader)
		}
		if err := r.Reset(from); err != nil {
			return nil, nil, fmt.Errorf("gzip: %w", err)
		}
		return r, func() { c.gzip.Put(r) }, nil
	case 2:
		return newSnappyStream(src), func() {}, nil
	case 3:
		r, _ := c.lz4.Get().(*lz4.Reader)
		if r == nil {
			r = lz4.NewReader(from)
		}
		r.Reset(from)
		return r, func() { c.lz4.Put(r) }, nil
	case 4:
		r, _ := c.zstd.Get().(*zstd.Decoder)
		if r == nil {
			var err error
			if r, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(zstdWindow)); err != nil {
				return nil, nil, fmt.Errorf("zstd: %w", err)
			}
		}
		if err := r.Reset(from); err != nil {
			return nil, nil, fmt.Errorf("zstd: %w", err)
		}
		return r, func() { _ = r.Reset(nil); c.zstd.Put(r) }, nil
	default:
		return nil, nil, fmt.Errorf("compression codec %d is unknown", codec)
	}
}

// snappyStream reads a snappy block, or the blocks of Java's framing.
type snappyStream struct {
	rest   []byte // undecoded
	framed bool
	block  []byte // decoded
	at     int
}

// xerialHeader begins Java's framing; two version numbers of four bytes follow.
var xerialHeader = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}

func newSnappyStream(src []byte) *snappyStream {
	const versions = 8
	if bytes.HasPrefix(src, xerialHeader) && len(src) >= len(xerialHeader)+versions {
		return &snappyStream{rest: src[len(xerialHeader)+versions:], framed: true}
	}
	return &snappyStream{rest: src}
}

// Read implements io.Reader.
func (s *snappyStream) Read(p []byte) (int, error) {
	for s.at == len(s.block) {
		if len(s.rest) == 0 {
			return 0, io.EOF
		}
		if err := s.next(); err != nil {
			return 0, fmt.Errorf("snappy: %w", err)
		}
	}
	n := copy(p, s.block[s.at:])
	s.at += n
	return n, nil
}

// next decodes a block, unless it claims a size that it cannot have: memory for it would be taken at its word.
func (s *snappyStream) next() error {
	src := s.rest
	if s.framed {
		if len(src) < 4 {
			return io.ErrUnexpectedEOF
		}
		n := int64(binary.BigEndian.Uint32(src))
		if n > int64(len(src)-4) {
			return io.ErrUnexpectedEOF
		}
		src = src[4 : 4+n]
		s.rest = s.rest[4+n:]
	} else {
		s.rest = nil
	}
	n, err := snappy.DecodedLen(src)
	if err != nil {
		return err
	}
	if n > snappyRatio*len(src) {
		return errors.New("a block claims more than it can hold")
	}
	s.block, err = snappy.Decode(s.block[:cap(s.block)], src)
	s.at = 0
	return err
}
