package broker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"math/bits"
	"time"
)

// The layout of a record batch, magic 2: offsets of the fields that are filled in last or read back.
const (
	batchLengthAt  = 8
	magicAt        = 16
	crcAt          = 17
	attributesAt   = 21
	lastDeltaAt    = 23
	firstTimeAt    = 27
	maxTimeAt      = 35
	producerIDAt   = 43
	producerEpoch  = 51
	baseSequenceAt = 53
	countAt        = 57
	batchHeader    = 61
	sizePrefix     = 4
)

// ErrNoProducerID is returned for a batch without a producer id: a broker would take it, but not recognise it when it
// is sent again.
var ErrNoProducerID = errors.New("producer id is negative")

// ProducerID identifies an idempotent producer to the brokers.
type ProducerID struct {
	ID    int64
	Epoch int16
}

// Batch is an encoded, uncompressed record batch. It never changes, so sending it again sends the same bytes.
type Batch struct {
	raw   []byte // the size of the record set, then the batch
	count int
}

// Count returns the number of records.
func (b Batch) Count() int { return b.count }

// Size returns the size that the topic's max.message.bytes limits.
func (b Batch) Size() int { return len(b.raw) - sizePrefix }

// Bytes returns the batch as it stands in the log. The caller must not change it.
func (b Batch) Bytes() []byte { return b.raw[sizePrefix:] }

// RecordSize returns an upper bound of r's share of a batch, in bytes.
func RecordSize(r *Record) int {
	const fixed = 5 + 1 + 10 + 5 + 5 + 5 + 5 // length, attributes, time, offset, key, value, headers
	size := fixed + len(r.Key) + len(r.Value)
	for i := range r.Headers {
		size += 10 + len(r.Headers[i].Key) + len(r.Headers[i].Value)
	}
	return size
}

// EncodeBatch encodes records, one or more, for a producer whose next sequence number is sequence. A record without a
// time gets now. Nothing of the records is kept. The batch's memory is that of a released one, where there is one.
func (p *Buffers) EncodeBatch(id ProducerID, sequence int32, now time.Time, records []*Record) (Batch, error) {
	if id.ID < 0 || id.Epoch < 0 {
		return Batch{}, fmt.Errorf("encode batch: %w", ErrNoProducerID)
	}
	size := sizePrefix + batchHeader
	for _, r := range records {
		size += RecordSize(r)
	}
	if len(records) == 0 || size > math.MaxInt32 {
		return Batch{}, fmt.Errorf("encode batch: %d records of %d bytes do not make a batch", len(records), size)
	}
	raw := p.take(size)[:sizePrefix+batchHeader]
	clear(raw)
	last := int64(math.MinInt64)
	base := timestamp(records[0], now)
	for i, r := range records {
		t := timestamp(r, now)
		last = max(last, t)
		raw = appendRecord(raw, r, t-base, i)
	}
	b := raw[sizePrefix:]
	binary.BigEndian.PutUint32(raw, uint32(len(b)))
	binary.BigEndian.PutUint32(b[batchLengthAt:], uint32(len(b)-magicAt+4))
	binary.BigEndian.PutUint32(b[magicAt-4:], math.MaxUint32) // partition leader epoch: unknown, the broker sets it
	b[magicAt] = 2
	binary.BigEndian.PutUint32(b[lastDeltaAt:], uint32(len(records)-1))
	binary.BigEndian.PutUint64(b[firstTimeAt:], uint64(base))
	binary.BigEndian.PutUint64(b[maxTimeAt:], uint64(last))
	binary.BigEndian.PutUint64(b[producerIDAt:], uint64(id.ID))
	binary.BigEndian.PutUint16(b[producerEpoch:], uint16(id.Epoch))
	binary.BigEndian.PutUint32(b[baseSequenceAt:], uint32(sequence))
	binary.BigEndian.PutUint32(b[countAt:], uint32(len(records)))
	binary.BigEndian.PutUint32(b[crcAt:], crc32.Checksum(b[attributesAt:], crc32.MakeTable(crc32.Castagnoli)))
	return Batch{raw: raw, count: len(records)}, nil
}

// NextSequence returns the sequence number that follows count records from sequence on: it wraps to zero.
func NextSequence(sequence int32, count int) int32 {
	return int32((int64(sequence) + int64(count)) & math.MaxInt32)
}

func timestamp(r *Record, now time.Time) int64 {
	if r.Time.IsZero() {
		return now.UnixMilli()
	}
	return r.Time.UnixMilli()
}

func appendRecord(b []byte, r *Record, timeDelta int64, offsetDelta int) []byte {
	size := 1 + varintSize(timeDelta) + varintSize(int64(offsetDelta)) + bytesSize(r.Key) + bytesSize(r.Value) + varintSize(int64(len(r.Headers)))
	for i := range r.Headers {
		size += varintSize(int64(len(r.Headers[i].Key))) + len(r.Headers[i].Key) + bytesSize(r.Headers[i].Value)
	}
	b = binary.AppendVarint(b, int64(size))
	b = append(b, 0)
	b = binary.AppendVarint(b, timeDelta)
	b = binary.AppendVarint(b, int64(offsetDelta))
	b = appendBytes(b, r.Key)
	b = appendBytes(b, r.Value)
	b = binary.AppendVarint(b, int64(len(r.Headers)))
	for i := range r.Headers {
		b = binary.AppendVarint(b, int64(len(r.Headers[i].Key)))
		b = append(b, r.Headers[i].Key...)
		b = appendBytes(b, r.Headers[i].Value)
	}
	return b
}

func appendBytes(b, v []byte) []byte {
	if v == nil {
		return binary.AppendVarint(b, -1)
	}
	return append(binary.AppendVarint(b, int64(len(v))), v...)
}

func bytesSize(v []byte) int {
	if v == nil {
		return 1
	}
	return varintSize(int64(len(v))) + len(v)
}

// varintSize returns the length of v's zigzag varint.
func varintSize(v int64) int { return (bits.Len64(uint64(v<<1)^uint64(v>>63)|1) + 6) / 7 }
