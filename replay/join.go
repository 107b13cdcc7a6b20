package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/trendbuy/riskscorer/broker"
)

// join walks along the topic of results while the events of one partition are read, so that each is read once.
//
// It rests on the order in which results are written: whoever publishes the results of a partition's events does so in
// the order of their offsets, and begins at or before the first that is missing. So in each partition of results the
// first results of these events stand in the order of the events, whatever repetitions stand between them, and once one
// of a later event has come, none is left of the earlier ones. Only an operator breaks that order, who moves the group on
// and back again.
type join struct {
	reader    *Reader
	topic     string // of orders
	partition int
	spans     []broker.Span // of the topic of results
	cursors   map[int]*cursor
}

// cursor is how far one partition of results is read.
type cursor struct {
	reading *broker.Reading
	records []broker.Record // fetched and not passed yet
}

// newJoin begins where the results of an event and those after it may stand.
func (r *Reader) newJoin(ctx context.Context, first *broker.Record) (*join, error) {
	since := first.Time.Add(-clockSlack)
	if since.UnixMilli() < 0 {
		since = time.Time{}
	}
	spans, err := r.client.Spans(ctx, r.topics.Results, nil, since)
	if err != nil {
		return nil, err
	}
	return &join{reader: r, topic: first.Topic, partition: first.Partition, spans: spans, cursors: make(map[int]*cursor)}, nil
}

// pair finds the results of events, which come in the order of their offsets.
func (j *join) pair(ctx context.Context, events []broker.Record) ([]Pair, error) {
	pairs := make([]Pair, len(events))
	wanted := make(map[int]map[int64]*Pair) // by partition of results and offset of the event
	for i := range events {
		pairs[i].Event = events[i]
		id, err := j.orderOf(ctx, &events[i])
		if err != nil {
			return nil, err
		}
		if id == nil {
			continue
		}
		p := broker.PartitionOf(id, len(j.spans))
		if wanted[p] == nil {
			wanted[p] = make(map[int64]*Pair)
		}
		wanted[p][events[i].Offset] = &pairs[i]
	}
	for p, pending := range wanted {
		if err := j.advance(ctx, p, pending, events[len(events)-1].Offset); err != nil {
			return nil, err
		}
	}
	return pairs, nil
}

// orderOf returns the key of an event's result; nil says that there is no result.
func (j *join) orderOf(ctx context.Context, event *broker.Record) ([]byte, error) {
	if event.Key != nil || event.Value == nil {
		return event.Key, nil
	}
	id, err := j.reader.viewer.OrderID(ctx, event.Value)
	if err != nil {
		return nil, fmt.Errorf("whose order is %s/%d offset %d: %w", event.Topic, event.Partition, event.Offset, err)
	}
	if id == "" {
		return nil, nil
	}
	return []byte(id), nil
}

// advance reads a partition of results until nothing is pending, or the result of an event behind last has come.
func (j *join) advance(ctx context.Context, partition int, pending map[int64]*Pair, last int64) error {
	c := j.cursors[partition]
	if c == nil {
		c = &cursor{reading: j.reader.client.Read(j.spans[partition])}
		j.cursors[partition] = c
	}
	for len(pending) > 0 {
		if len(c.records) == 0 {
			var err error
			if c.records, err = c.reading.Next(ctx); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
		}
		result := &c.records[0]
		source, ok := sourceOf(result)
		if ok && source.topic == j.topic && source.partition == j.partition {
			if source.offset > last {
				return nil
			}
			if pair := pending[source.offset]; pair != nil {
				var err error
				if pair.Result, err = j.reader.recorded(ctx, result); err != nil {
					return err
				}
				delete(pending, source.offset)
			}
		}
		c.records = c.records[1:]
	}
	return nil
}
