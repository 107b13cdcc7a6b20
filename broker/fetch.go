package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/fetch"
)

const readCommitted = 1

// FetchRequest asks for records of one partition.
type FetchRequest struct {
	Topic     string
	Partition int
	Offset    int64
	MaxBytes  int           // of the answer as it travels; one larger batch, up to 16 MiB, still comes whole
	MaxWait   time.Duration // how long the broker may wait for a first record
}

// Fetched is what one fetch returned. Its records' memory is the caller's, until Release if ever.
type Fetched struct {
	Records []Record // in order of offset, those of committed transactions only
	Next    int64    // the offset to fetch next: past control and aborted records too
	Skipped int      // control records and records of aborted transactions passed over
	// HighWatermark is the offset after the last record that every replica in sync has.
	HighWatermark int64
	LogStart      int64

	memory   *memory
	memories *memories
}

// FetchExpansion is how many times MaxBytes the records of a fetch may take beside the answer that holds them: copies of
// compressed ones, and what describes each. What does not fit is fetched again.
const FetchExpansion = 4

// Fetch long-polls one partition. The checksum of every batch is checked, and a compressed one is decompressed no further
// than FetchExpansion allows; a record of more than 8 MiB in one is of KindTooLarge. An offset outside the log is an
// *OffsetOutOfRangeError, bytes that do not decode are of KindCorrupt. If Next equals the offset asked for, there was
// nothing.
func (c *Client) Fetch(ctx context.Context, req FetchRequest) (Fetched, error) {
	f, err := c.fetch(ctx, req)
	return f, MissingRight("READ on topic "+req.Topic, err)
}

func (c *Client) fetch(ctx context.Context, req FetchRequest) (Fetched, error) {
	op := fmt.Sprintf("fetch %s/%d at %d", req.Topic, req.Partition, req.Offset)
	res, err := c.roundTrip(ctx, requestTimeout+req.MaxWait, op, &rawFetch{memories: &c.memories, Request: fetch.Request{
		ReplicaID: -1, MaxWaitTime: int32(req.MaxWait / time.Millisecond), MinBytes: 1, MaxBytes: int32(req.MaxBytes),
		IsolationLevel: readCommitted, SessionID: 0, SessionEpoch: -1,
		Topics: []fetch.RequestTopic{{Topic: req.Topic, Partitions: []fetch.RequestPartition{{
			Partition: int32(req.Partition), CurrentLeaderEpoch: -1, FetchOffset: req.Offset, LogStartOffset: -1,
			PartitionMaxBytes: int32(req.MaxBytes),
		}}}},
	}})
	if err != nil {
		return Fetched{}, corrupt(err)
	}
	answer := res.(*rawAnswer)
	p, code, err := answer.decode()
	if err != nil {
		return Fetched{}, c.undecodable(op, err)
	}
	if code == 0 {
		code = p.code
	}
	switch code := kafka.Error(code); code {
	case 0:
	case kafka.OffsetOutOfRange:
		return Fetched{}, c.fail(ctx, op, c.outOfRange(ctx, req))
	default:
		return Fetched{}, c.fail(ctx, op, code)
	}
	out := Fetched{
		Records: answer.records[:0], Next: req.Offset, HighWatermark: p.highWatermark, LogStart: p.logStart,
		memory: answer.memory, memories: &c.memories,
	}
	if err := out.read(req, &p, &c.codecs); err != nil {
		return Fetched{}, c.undecodable(op, err)
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

// undecodable wraps an error of what the broker sent. An end of data within it is not the end of a connection.
func (c *Client) undecodable(op string, err error) error {
	kind := KindCorrupt
	if errors.Is(err, errRecordTooLong) {
		kind = KindTooLarge
	}
	return &Error{Kind: kind, Op: op, Brokers: c.cfg.addresses(), Err: err}
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

// read takes the records out of the answer and moves Next.
func (f *Fetched) read(req FetchRequest, p *partitionAnswer, codecs *codecs) error {
	r := reader{codecs: codecs, from: req.Offset, out: f, aborted: newAborted(p.aborted), budget: FetchExpansion * req.MaxBytes}
	return r.readSet(p.set)
}
