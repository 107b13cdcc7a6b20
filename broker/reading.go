package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	// readingBytes bounds one fetch of a Reading as it travels, and with it what a Reading holds.
	readingBytes = 256 << 10
	readingWait  = 500 * time.Millisecond
	// readingPatience is how long a Reading waits for a record that the log's end says is there.
	readingPatience = 30 * time.Second
	readingPause    = 200 * time.Millisecond
)

// Span is a stretch of one partition's log: the offsets [From, To).
type Span struct {
	Topic     string
	Partition int
	From, To  int64
}

// ErrNoRecord says that the log holds no record at an offset, or none that a reader of committed records gets.
var ErrNoRecord = errors.New("no record stands there")

// Spans returns what partitions hold now, from the first record at or after since on; the zero time is the log's
// beginning. No partitions are all of the topic's.
func (c *Client) Spans(ctx context.Context, topic string, partitions []int, since time.Time) ([]Span, error) {
	if len(partitions) == 0 {
		n, err := c.PartitionCount(ctx, topic)
		if err != nil {
			return nil, err
		}
		for p := range n {
			partitions = append(partitions, p)
		}
	}
	bounds, err := c.Offsets(ctx, topic, partitions)
	if err != nil {
		return nil, err
	}
	var from map[int]int64
	if !since.IsZero() {
		if from, err = c.OffsetsAt(ctx, topic, partitions, since); err != nil {
			return nil, err
		}
	}
	spans := make([]Span, len(partitions))
	for i, p := range partitions {
		b := bounds[p]
		spans[i] = Span{Topic: topic, Partition: p, From: min(b.Latest, max(b.Earliest, from[p])), To: b.Latest}
	}
	return spans, nil
}

// RecordAt returns the record at an offset; an error that wraps ErrNoRecord says that there is none.
func (c *Client) RecordAt(ctx context.Context, topic string, partition int, offset int64) (Record, error) {
	bounds, err := c.Offsets(ctx, topic, []int{partition})
	if err != nil {
		return Record{}, err
	}
	if b := bounds[partition]; offset < b.Earliest || offset >= b.Latest {
		return Record{}, fmt.Errorf("%s/%d offset %d: %w: the log holds [%d, %d)", topic, partition, offset, ErrNoRecord, b.Earliest, b.Latest)
	}
	records, err := c.Read(Span{Topic: topic, Partition: partition, From: offset, To: offset + 1}).Next(ctx)
	if errors.Is(err, io.EOF) {
		return Record{}, fmt.Errorf("%s/%d offset %d: %w", topic, partition, offset, ErrNoRecord)
	}
	if err != nil {
		return Record{}, err
	}
	return records[0], nil
}

// Reading walks through a span, for tools that read a part of a log once, outside any group. It holds one fetch at a
// time. Use it from one goroutine; there is nothing to close.
type Reading struct {
	client *Client
	span   Span
	next   int64
}

// Read returns a walk through the span.
func (c *Client) Read(span Span) *Reading { return &Reading{client: c, span: span, next: span.From} }

// Offset is where Next reads next: every record of the span below it has been returned.
func (r *Reading) Offset() int64 { return r.next }

// Next returns the next committed records of the span, at least one, in order and with their topic and partition; their
// memory is the caller's. At the end of the span it returns io.EOF. What fails in passing is tried again for half a
// minute, and so is a record that does not come although the span has it, for example behind an open transaction.
func (r *Reading) Next(ctx context.Context) ([]Record, error) {
	begin := time.Now()
	for r.next < r.span.To {
		from := r.next
		f, err := r.client.Fetch(ctx, FetchRequest{
			Topic: r.span.Topic, Partition: r.span.Partition, Offset: from, MaxBytes: readingBytes, MaxWait: readingWait,
		})
		if err == nil {
			r.next = f.Next
			if records := r.within(f.Records); len(records) > 0 {
				return records, nil
			}
			if f.Next > from {
				begin = time.Now()
				continue
			}
			err = fmt.Errorf("read %s/%d at %d: no record came for %v: is a transaction open?",
				r.span.Topic, r.span.Partition, from, readingPatience)
		} else if !KindOf(err).Passing() {
			return nil, err
		}
		if time.Since(begin) > readingPatience {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("read %s/%d at %d: %w", r.span.Topic, r.span.Partition, from, ctx.Err())
		case <-time.After(readingPause):
		}
	}
	return nil, io.EOF
}

// within cuts off what lies behind the span and names the records' partition.
func (r *Reading) within(records []Record) []Record {
	for i := range records {
		if records[i].Offset >= r.span.To {
			r.next = r.span.To
			return records[:i]
		}
		records[i].Topic, records[i].Partition = r.span.Topic, r.span.Partition
	}
	return records
}
