package broker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/fetch"
)

const (
	fetchCorrelation = 1 // a connection has one request under way
	// Versions of Kafka's fetch API: 4 brought record batches, 12 another encoding.
	minFetchVersion, maxFetchVersion = 4, 11
	// wholeBatchBytes is by how much an answer may be larger than what was asked for, since a broker sends a batch whole.
	wholeBatchBytes = 16 << 20
)

var errAnswerTooLarge = errors.New("the answer is too large to take into memory")

// rawFetch is a fetch that leaves the record set as it is. It travels on the library's connections (routing, TLS, SASL),
// whose own decoder would decompress a batch whole, whatever its size, and hide where it ends.
type rawFetch struct {
	fetch.Request
	memories *memories
	version  int16
}

// rawAnswer is the body of the answer, after the correlation id.
type rawAnswer struct {
	version int16
	*memory
}

var (
	_ protocol.RawExchanger  = (*rawFetch)(nil)
	_ protocol.BrokerMessage = (*rawFetch)(nil)
)

// ApiKey implements protocol.Message.
func (a *rawAnswer) ApiKey() protocol.ApiKey { return protocol.Fetch } //nolint:revive // the spelling is the library's

// Required implements protocol.RawExchanger. It is called with the connection's versions just before RawExchange.
func (f *rawFetch) Required(versions map[protocol.ApiKey]int16) bool {
	f.version = min(versions[protocol.Fetch], maxFetchVersion)
	return true
}

// RawExchange implements protocol.RawExchanger. It takes the answer's memory and gives it to nobody but its caller: one that
// has gone away leaves the connection to write into it.
func (f *rawFetch) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	if f.version < minFetchVersion {
		return nil, fmt.Errorf("the broker knows version %d of fetch, at least %d is needed (Kafka 0.11)", f.version, minFetchVersion)
	}
	if _, err := rw.Write(f.encode()); err != nil {
		return nil, fmt.Errorf("send: %w", err)
	}
	var head [8]byte // size, correlation id
	if _, err := io.ReadFull(rw, head[:]); err != nil {
		return nil, fmt.Errorf("receive: %w", err)
	}
	size := int64(binary.BigEndian.Uint32(head[:])) - 4
	switch {
	case binary.BigEndian.Uint32(head[4:]) != fetchCorrelation || size < 0:
		return nil, errors.New("the answer is not that of the request")
	case size > int64(f.MaxBytes)+wholeBatchBytes:
		return nil, fmt.Errorf("%w: %d bytes, asked for %d", errAnswerTooLarge, size, f.MaxBytes)
	}
	m := f.memories.take(int(size), int(f.MaxBytes))
	if _, err := io.ReadFull(rw, m.body); err != nil {
		return nil, fmt.Errorf("receive: %w", err)
	}
	return &rawAnswer{version: f.version, memory: m}, nil
}

// encode writes the request for its one partition, with its size before it.
func (f *rawFetch) encode() []byte {
	topic := &f.Topics[0]
	p := &topic.Partitions[0]
	v := f.version
	big := binary.BigEndian
	text := func(b []byte, s string) []byte { return append(big.AppendUint16(b, uint16(len(s))), s...) }

	b := make([]byte, 4, 128+len(topic.Topic))
	b = big.AppendUint16(b, uint16(protocol.Fetch))
	b = big.AppendUint16(b, uint16(v))
	b = big.AppendUint32(b, fetchCorrelation)
	b = text(b, clientID)
	b = big.AppendUint32(b, uint32(f.ReplicaID))
	b = big.AppendUint32(b, uint32(f.MaxWaitTime))
	b = big.AppendUint32(b, uint32(f.MinBytes))
	b = big.AppendUint32(b, uint32(f.MaxBytes))
	b = append(b, byte(f.IsolationLevel))
	if v >= 7 {
		b = big.AppendUint32(b, uint32(f.SessionID))
		b = big.AppendUint32(b, uint32(f.SessionEpoch))
	}
	b = big.AppendUint32(b, 1)
	b = text(b, topic.Topic)
	b = big.AppendUint32(b, 1)
	b = big.AppendUint32(b, uint32(p.Partition))
	if v >= 9 {
		b = big.AppendUint32(b, uint32(p.CurrentLeaderEpoch))
	}
	b = big.AppendUint64(b, uint64(p.FetchOffset))
	if v >= 5 {
		b = big.AppendUint64(b, uint64(p.LogStartOffset))
	}
	b = big.AppendUint32(b, uint32(p.PartitionMaxBytes))
	if v >= 7 {
		b = big.AppendUint32(b, 0) // forgotten topics
	}
	if v >= 11 {
		b = text(b, f.RackID)
	}
	big.PutUint32(b, uint32(len(b)-4))
	return b
}

// partitionAnswer is what a broker says of one partition.
type partitionAnswer struct {
	code          int16
	highWatermark int64
	logStart      int64
	aborted       []fetch.ResponseTransaction
	set           []byte // record batches, the last one possibly cut off
}

var errAnswer = errors.New("the answer does not decode")

// decode reads the answer for the request's one partition. It returns the code of the whole request, if it failed.
func (a *rawAnswer) decode() (partitionAnswer, int16, error) {
	c := cursor{b: a.body}
	var p partitionAnswer
	c.skip(4) // throttle time
	if a.version >= 7 {
		if code := c.int16(); code != 0 {
			return p, code, nil
		}
		c.skip(4) // session
	}
	if n := c.int32(); n != 1 {
		return p, 0, fmt.Errorf("%w: it holds %d topics, not one", errAnswer, n)
	}
	c.skip(int(c.int16())) // name
	if n := c.int32(); n != 1 {
		return p, 0, fmt.Errorf("%w: it holds %d partitions, not one", errAnswer, n)
	}
	c.skip(4) // partition
	p.code = c.int16()
	p.highWatermark = c.int64()
	c.skip(8) // last stable offset
	if p.logStart = -1; a.version >= 5 {
		p.logStart = c.int64()
	}
	for n := c.int32(); n > 0 && !c.bad; n-- {
		p.aborted = append(p.aborted, fetch.ResponseTransaction{ProducerID: c.int64(), FirstOffset: c.int64()})
	}
	if a.version >= 11 {
		c.skip(4) // preferred replica
	}
	if n := c.int32(); n > 0 {
		p.set = c.take(int(n))
	}
	if c.bad {
		return p, 0, fmt.Errorf("%w: it is cut off", errAnswer)
	}
	return p, 0, nil
}
