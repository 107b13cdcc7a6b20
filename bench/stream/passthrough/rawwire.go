package passthrough

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/fetch"

	"github.com/trendbuy/riskscorer/broker"
)

const (
	fetchVersion = 11
	fetchWait    = 500 // ms
	batchHeader  = 61  // bytes, magic 2
	sizePrefix   = 4
)

var errCut = errors.New("the answer is cut off")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// rawFetch asks for one partition and reads the answer into a buffer that is used again.
type rawFetch struct {
	fetch.Request
	buffer []byte
}

type rawAnswer struct{ body []byte }

var _ protocol.RawExchanger = (*rawFetch)(nil)

func newRawFetch(topic string, partition int, offset int64, buffer []byte) *rawFetch {
	return &rawFetch{buffer: buffer, Request: fetch.Request{Topics: []fetch.RequestTopic{{
		Topic: topic, Partitions: []fetch.RequestPartition{{Partition: int32(partition), FetchOffset: offset}},
	}}}}
}

// ApiKey implements protocol.Message.
func (*rawAnswer) ApiKey() protocol.ApiKey { return protocol.Fetch } //nolint:revive // the spelling is the library's

// Required implements protocol.RawExchanger.
func (*rawFetch) Required(map[protocol.ApiKey]int16) bool { return true }

// RawExchange implements protocol.RawExchanger.
func (f *rawFetch) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	if _, err := rw.Write(f.encode()); err != nil {
		return nil, err
	}
	var size [sizePrefix]byte
	if _, err := io.ReadFull(rw, size[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint32(size[:]))
	if n > 64<<20 {
		return nil, fmt.Errorf("an answer of %d bytes", n)
	}
	if cap(f.buffer) < n {
		f.buffer = make([]byte, max(n, fetchBytes+fetchBytes/8))
	}
	body := f.buffer[:n]
	_, err := io.ReadFull(rw, body)
	return &rawAnswer{body}, err
}

func (f *rawFetch) encode() []byte {
	big, topic := binary.BigEndian, &f.Topics[0]
	p := &topic.Partitions[0]
	b := make([]byte, sizePrefix, 128)
	b = append(big.AppendUint16(b, uint16(protocol.Fetch)), 0, fetchVersion)
	b = append(big.AppendUint32(b, 0), 0, 3, 'r', 'a', 'w')
	b = big.AppendUint32(b, math.MaxUint32) // no replica
	b = big.AppendUint32(b, fetchWait)
	b = big.AppendUint32(b, 1) // byte at least
	b = big.AppendUint32(b, fetchBytes)
	b = append(b, 0)                                                       // read uncommitted
	b = big.AppendUint32(big.AppendUint32(b, 0), math.MaxUint32)           // no session
	b = big.AppendUint16(big.AppendUint32(b, 1), uint16(len(topic.Topic))) // one topic
	b = append(b, topic.Topic...)
	b = big.AppendUint32(big.AppendUint32(b, 1), uint32(p.Partition)) // one partition
	b = big.AppendUint32(b, math.MaxUint32)                           // no leader epoch
	b = big.AppendUint64(b, uint64(p.FetchOffset))
	b = big.AppendUint64(b, math.MaxUint64) // no log start
	b = big.AppendUint32(b, fetchBytes)
	b = append(big.AppendUint32(b, 0), 0, 0) // nothing forgotten, no rack
	big.PutUint32(b, uint32(len(b)-sizePrefix))
	return b
}

// records returns the record set of the answer's one partition.
func (a *rawAnswer) records() ([]byte, error) {
	big := binary.BigEndian
	const head = 4 + 4 + 2 + 4 + 4 // correlation, throttle, error, session, topics
	if len(a.body) < head+2 {
		return nil, errCut
	}
	at := head + 2 + int(big.Uint16(a.body[head:])) + 4 + 4 // name, partitions, partition
	if len(a.body) < at+2+3*8+4 {
		return nil, errCut
	}
	if code := kafka.Error(big.Uint16(a.body[at:])); code != 0 {
		return nil, code
	}
	at += 2 + 3*8 // error, high watermark, stable offset, log start
	at += 4 + 16*max(0, int(int32(big.Uint32(a.body[at:]))))
	if at += 4; len(a.body) < at+4 { // preferred replica
		return nil, errCut
	}
	return a.body[at+4:], nil
}

// nextOffset returns the offset after the last whole batch of a record set, and where in the set that batch ends.
func nextOffset(set []byte, offset int64) (next int64, whole int) {
	for next = offset; len(set)-whole >= batchHeader; {
		batch := set[whole:]
		size := 12 + int(binary.BigEndian.Uint32(batch[8:]))
		if size > len(batch) {
			break
		}
		next = int64(binary.BigEndian.Uint64(batch)) + int64(binary.BigEndian.Uint32(batch[23:])) + 1
		whole += size
	}
	return next, whole
}

// spread appends every record of whole batches to the batch of its key's partition.
func spread(set []byte, outs []*outBatch) error {
	for len(set) > 0 {
		size := 12 + int(binary.BigEndian.Uint32(set[8:]))
		if set[22]&7 != 0 {
			return errors.New("the batch is compressed")
		}
		records := set[batchHeader:size]
		for range binary.BigEndian.Uint32(set[57:]) {
			length, n := binary.Varint(records)
			body := records[n : n+int(length)]
			records = records[n+int(length):]
			at := 1 // attributes
			for range 2 {
				_, n = binary.Varint(body[at:]) // time, offset
				at += n
			}
			keySize, n := binary.Varint(body[at:])
			key := body[at+n : at+n+int(keySize)]
			outs[broker.PartitionOf(key, len(outs))].add(body[at:])
		}
		set = set[size:]
	}
	return nil
}

// outBatch is the next batch of one output partition.
type outBatch struct {
	producer int64
	epoch    int16
	sequence int32
	count    int
	raw      []byte // size of the record set, header, records
}

func (o *outBatch) begin() {
	o.sequence = int32((int64(o.sequence) + int64(o.count)) & math.MaxInt32)
	o.raw, o.count = o.raw[:sizePrefix+batchHeader], 0
}

// add appends a record, given from its key's length on.
func (o *outBatch) add(tail []byte) {
	if o.raw == nil {
		o.raw = make([]byte, sizePrefix+batchHeader, fetchBytes/4)
	}
	var head [binary.MaxVarintLen64 + 2]byte // attributes and time are zero
	n := 2 + binary.PutVarint(head[2:], int64(o.count))
	o.raw = binary.AppendVarint(o.raw, int64(n+len(tail)))
	o.raw = append(append(o.raw, head[:n]...), tail...)
	o.count++
}

// seal fills in the header and returns the record set.
func (o *outBatch) seal(now time.Time) []byte {
	big, b := binary.BigEndian, o.raw[sizePrefix:]
	big.PutUint32(o.raw, uint32(len(b)))
	clear(b[:batchHeader])
	big.PutUint32(b[8:], uint32(len(b)-12))
	big.PutUint32(b[12:], math.MaxUint32)
	b[16] = 2
	big.PutUint32(b[23:], uint32(o.count-1))
	big.PutUint64(b[27:], uint64(now.UnixMilli()))
	big.PutUint64(b[35:], uint64(now.UnixMilli()))
	big.PutUint64(b[43:], uint64(o.producer))
	big.PutUint16(b[51:], uint16(o.epoch))
	big.PutUint32(b[53:], uint32(o.sequence))
	big.PutUint32(b[57:], uint32(o.count))
	big.PutUint32(b[17:], crc32.Checksum(b[21:], castagnoli))
	return o.raw
}
