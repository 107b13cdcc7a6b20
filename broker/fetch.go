package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/fetch"
)

const readCommitted = 1

// FetchRequest asks for records of one partition.
type FetchRequest struct {
	Topic     string
	Partition int
	Offset    int64
	MaxBytes  int           // of the answer as it travels; one larger batch still comes whole
	MaxWait   time.Duration // how long the broker may wait for a first record
}

// Fetched is what one fetch returned. It owns its memory.
type Fetched struct {
	Records []Record // in order of offset, those of committed transactions only
	Next    int64    // the offset to fetch next: past control and aborted records too
	Skipped int      // control records and records of aborted transactions passed over
	// HighWatermark is the offset after the last record that every replica in sync has.
	HighWatermark int64
	LogStart      int64
}

// Fetch long-polls one partition. The checksum of every batch is checked. What is copied out is bounded by a multiple of
// MaxBytes. An offset outside the log is an *OffsetOutOfRangeError, bytes that do not decode are of KindCorrupt.
// If Next equals the offset asked for, there was nothing.
func (c *Client) Fetch(ctx context.Context, req FetchRequest) (Fetched, error) {
	op := fmt.Sprintf("fetch %s/%d at %d", req.Topic, req.Partition, req.Offset)
	res, err := c.roundTrip(ctx, requestTimeout+req.MaxWait, op, &fetch.Request{
		ReplicaID: -1, MaxWaitTime: int32(req.MaxWait / time.Millisecond), MinBytes: 1, MaxBytes: int32(req.MaxBytes),
		IsolationLevel: readCommitted, SessionID: 0, SessionEpoch: -1,
		Topics: []fetch.RequestTopic{{Topic: req.Topic, Partitions: []fetch.RequestPartition{{
			Partition: int32(req.Partition), CurrentLeaderEpoch: -1, FetchOffset: req.Offset, LogStartOffset: -1,
			PartitionMaxBytes: int32(req.MaxBytes),
		}}}},
	})
	if err != nil {
		return Fetched{}, corrupt(err)
	}
	answer := res.(*fetch.Response)
	if answer.ErrorCode != 0 {
		return Fetched{}, c.fail(ctx, op, kafka.Error(answer.ErrorCode))
	}
	if len(answer.Topics) != 1 || len(answer.Topics[0].Partitions) != 1 {
		return Fetched{}, c.fail(ctx, op, fmt.Errorf("the answer holds %d topics, not one", len(answer.Topics)))
	}
	p := &answer.Topics[0].Partitions[0]
	switch code := kafka.Error(p.ErrorCode); code {
	case 0:
	case kafka.OffsetOutOfRange:
		return Fetched{}, c.fail(ctx, op, c.outOfRange(ctx, req))
	default:
		return Fetched{}, c.fail(ctx, op, code)
	}
	out := Fetched{Next: req.Offset, HighWatermark: p.HighWatermark, LogStart: p.LogStartOffset}
	if err := out.read(req, p); err != nil {
		return Fetched{}, corrupt(c.fail(ctx, op, err))
	}
	return out, nil
}

// outOfRange fills in the log's bounds: brokers leave them out of this answer.
func (c *Client) outOfRange(ctx context.Context, req FetchRequest) error {
	out := &OffsetOutOfRangeError{Offset: req.Offset, Earliest: -1, Latest: -1}
	if bounds, err := c.Offsets(ctx, req.Topic, []int{req.Partition}); err == nil {
		out.Earliest, out.Latest = bounds[req.Partition].Earliest, bounds[req.Partition].Latest
	}
	return &Error{Kind: KindOutOfRange, Op: fmt.Sprintf("fetch %s/%d", req.Topic, req.Partition), Brokers: c.cfg.addresses(), Err: out}
}

// corrupt marks an error that is neither the network's nor the broker's: what remains is an answer that did not decode.
func corrupt(err error) error {
	var e *Error
	if errors.As(err, &e) && e.Kind == KindOther {
		if _, said := errors.AsType[kafka.Error](err); !said {
			e.Kind = KindCorrupt
		}
	}
	return err
}

// read copies the records out of the answer and moves Next.
func (f *Fetched) read(req FetchRequest, p *fetch.ResponsePartition) error {
	stream, _ := p.RecordSet.Records.(*protocol.RecordStream)
	if stream == nil {
		return nil
	}
	r := reader{
		from: req.Offset, out: f, aborted: newAborted(p.AbortedTransactions),
		// A compressed batch may hold far more than it weighed: the rest is fetched again, from where this stops.
		budget: 16 * req.MaxBytes,
	}
	batches := 0
	for _, batch := range stream.Records {
		if r.budget <= 0 {
			break
		}
		if err := r.readBatch(batch); err != nil {
			return err
		}
		batches++
	}
	// The library hides a batch's last offset. If nothing of what came lies at or after the offset asked for, then that
	// offset was compacted away, and the one after it is the next to try.
	if batches > 0 && f.Next == req.Offset && f.Next < p.HighWatermark {
		f.Next++
	}
	return nil
}

type reader struct {
	from    int64
	out     *Fetched
	aborted aborted
	budget  int
	arena   []byte
}

func (r *reader) readBatch(batch protocol.RecordReader) error {
	var skip, control bool
	switch b := batch.(type) {
	case *protocol.ControlBatch:
		control = true
	case *protocol.RecordBatch:
		skip = r.aborted.covers(b)
	}
	for r.budget > 0 {
		rec, err := batch.ReadRecord()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read record: %w", err)
		}
		if err := r.take(batch, rec, control, skip); err != nil {
			return fmt.Errorf("record at %d: %w", rec.Offset, err)
		}
	}
	return nil
}

func (r *reader) take(batch protocol.RecordReader, rec *protocol.Record, control, skip bool) error {
	defer closeBytes(rec.Key)
	defer closeBytes(rec.Value)
	if control {
		if err := r.aborted.end(batch.(*protocol.ControlBatch).ProducerID, rec); err != nil {
			return err
		}
	}
	if rec.Offset < r.from {
		return nil
	}
	r.out.Next = rec.Offset + 1
	if control || skip {
		r.out.Skipped++
		return nil
	}
	key, err := r.copy(rec.Key)
	if err != nil {
		return fmt.Errorf("key: %w", err)
	}
	value, err := r.copy(rec.Value)
	if err != nil {
		return fmt.Errorf("value: %w", err)
	}
	r.budget -= len(key) + len(value)
	out := Record{Offset: rec.Offset, Time: rec.Time, Key: key, Value: value}
	if len(rec.Headers) > 0 {
		out.Headers = make([]Header, len(rec.Headers))
		for i, h := range rec.Headers {
			out.Headers[i] = Header(h)
			r.budget -= len(h.Key) + len(h.Value)
		}
	}
	r.out.Records = append(r.out.Records, out)
	return nil
}

// copy reads b into the arena: one allocation serves many small records.
func (r *reader) copy(b protocol.Bytes) ([]byte, error) {
	if b == nil {
		return nil, nil
	}
	const chunk = 64 << 10
	n := b.Len()
	if n > chunk/4 {
		own := make([]byte, n)
		_, err := io.ReadFull(b, own)
		return own, err
	}
	if n > len(r.arena) || r.arena == nil { // nothing of a nil arena would be nil, and so null
		r.arena = make([]byte, chunk)
	}
	out := r.arena[:n:n]
	r.arena = r.arena[n:]
	_, err := io.ReadFull(b, out)
	return out, err
}

func closeBytes(b protocol.Bytes) {
	if b != nil {
		_ = b.Close() // returns pages to a pool: nothing to report
	}
}
