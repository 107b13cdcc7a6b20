// Package replay provides past decisions recomputed: it finds events and the results that name them, decides the events
// again with the model and engine that the results name, and says whether the bytes are the same; or with another model,
// and says what that would have decided. It reads topics in order and a fetch at a time: nothing of them is collected.
package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"time"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/schemas"
)

const (
	// chunkEvents is how many events are decided together; with a fetch for each partition of results it is what a replay
	// holds.
	chunkEvents = 500
	// maxEvents bounds the events of one order.
	maxEvents = 100
	// clockSlack is how much earlier than its event a result may say that it was written: two machines' clocks.
	clockSlack = 10 * time.Minute
)

// ErrSearchLimit says that a search has read as many records as it may.
var ErrSearchLimit = errors.New("the search has read as many records as it may")

// Topics are those of orders and of results.
type Topics struct{ Orders, Results string }

// Reader finds events and their results. Use it from one goroutine.
type Reader struct {
	client *broker.Client
	topics Topics
	viewer *schemas.Viewer
	limit  int64

	// Progress, if not nil, is called after every fetch with the offsets passed and those to pass in all.
	Progress func(passed, of int64)
}

// NewReader returns a reader on client, which stays the caller's. viewer reads results and finds the order of an event
// whose key does not tell it. One search reads at most limit records.
func NewReader(client *broker.Client, topics Topics, viewer *schemas.Viewer, limit int64) *Reader {
	return &Reader{client: client, topics: topics, viewer: viewer, limit: limit}
}

// Pair is an event and the first result that names it: the one that was acted on.
type Pair struct {
	Event  broker.Record
	Result *Recorded // nil if there is none
}

// Recorded is a result as it stands in the topic of results.
type Recorded struct {
	broker.Record
	schemas.Result
	View []byte // the value as JSON
}

// Event returns the event at an offset with its result, wherever that stands. An error that wraps broker.ErrNoRecord says
// that there is no event.
func (r *Reader) Event(ctx context.Context, partition int, offset int64) (Pair, error) {
	event, err := r.client.RecordAt(ctx, r.topics.Orders, partition, offset)
	if err != nil {
		return Pair{}, err
	}
	return r.withResult(ctx, event)
}

// Order returns the events of an order, of all its versions, with their results. The partition of its key is searched
// from since on, or from the beginning; if it holds none, so are all the others. More than a hundred are an error.
func (r *Reader) Order(ctx context.Context, orderID string, since time.Time) ([]Pair, error) {
	spans, err := r.client.Spans(ctx, r.topics.Orders, nil, since)
	if err != nil {
		return nil, err
	}
	likely := broker.PartitionOf([]byte(orderID), len(spans))
	events, err := r.search(ctx, spans[likely:likely+1], func(e *broker.Record) (bool, error) { return r.isOf(ctx, e, orderID) })
	if err == nil && len(events) == 0 {
		events, err = r.search(ctx, slices.Delete(spans, likely, likely+1), func(e *broker.Record) (bool, error) { return r.isOf(ctx, e, orderID) })
	}
	if err != nil {
		return nil, fmt.Errorf("search for order %q: %w", orderID, err)
	}
	pairs := make([]Pair, len(events))
	for i := range events {
		if pairs[i], err = r.withResult(ctx, events[i]); err != nil {
			return nil, err
		}
	}
	return pairs, nil
}

// isOf says whether an event is of an order; one whose key is another's is refused by every model.
func (r *Reader) isOf(ctx context.Context, e *broker.Record, orderID string) (bool, error) {
	if e.Key != nil || e.Value == nil {
		return string(e.Key) == orderID, nil
	}
	return r.viewer.Names(ctx, e.Value, orderID)
}

// search returns the records of the spans that match.
func (r *Reader) search(ctx context.Context, spans []broker.Span, match func(*broker.Record) (bool, error)) ([]broker.Record, error) {
	var found []broker.Record
	read := int64(0)
	for records, err := range r.read(ctx, spans) {
		if err != nil {
			return nil, err
		}
		for i := range records {
			ok, err := match(&records[i])
			if err != nil {
				return nil, err
			}
			if !ok {
				continue
			}
			if found = append(found, records[i]); len(found) > maxEvents {
				return nil, fmt.Errorf("more than %d records match", maxEvents)
			}
		}
		if read += int64(len(records)); read >= r.limit {
			return nil, fmt.Errorf("%w: %d", ErrSearchLimit, read)
		}
	}
	return found, nil
}

// read returns the records of spans, a fetch at a time.
func (r *Reader) read(ctx context.Context, spans []broker.Span) iter.Seq2[[]broker.Record, error] {
	return func(yield func([]broker.Record, error) bool) {
		var passed, total int64
		for _, s := range spans {
			total += s.To - s.From
		}
		for _, s := range spans {
			reading := r.client.Read(s)
			for {
				at := reading.Offset()
				records, err := reading.Next(ctx)
				if errors.Is(err, io.EOF) {
					break
				}
				if !yield(records, err) || err != nil {
					return
				}
				if passed += reading.Offset() - at; r.Progress != nil {
					r.Progress(passed, total)
				}
			}
		}
	}
}

// Batches returns the events of spans of the topic of orders, as a publisher of their results takes them.
func (r *Reader) Batches(ctx context.Context, spans []broker.Span) iter.Seq2[[]broker.Record, error] {
	return func(yield func([]broker.Record, error) bool) {
		for records, err := range r.read(ctx, spans) {
			if err != nil {
				yield(nil, err)
				return
			}
			for chunk := range slices.Chunk(records, chunkEvents) {
				if !yield(chunk, nil) {
					return
				}
			}
		}
	}
}

// Pairs returns the events of spans of the topic of orders with their results, some at a time. Only the partition of
// results that an order's key leads to is looked at: what was written before that topic got more partitions has none.
func (r *Reader) Pairs(ctx context.Context, spans []broker.Span) iter.Seq2[[]Pair, error] {
	return func(yield func([]Pair, error) bool) {
		var j *join
		for events, err := range r.Batches(ctx, spans) {
			if err != nil {
				yield(nil, err)
				return
			}
			if j == nil || j.partition != events[0].Partition {
				if j, err = r.newJoin(ctx, &events[0]); err != nil {
					yield(nil, err)
					return
				}
			}
			pairs, err := j.pair(ctx, events)
			if !yield(pairs, err) || err != nil {
				return
			}
		}
	}
}

// withResult finds the result of one event: where its key leads to, else anywhere.
func (r *Reader) withResult(ctx context.Context, event broker.Record) (Pair, error) {
	j, err := r.newJoin(ctx, &event)
	if err != nil {
		return Pair{}, err
	}
	pairs, err := j.pair(ctx, []broker.Record{event})
	if err != nil {
		return Pair{}, err
	}
	if pairs[0].Result != nil || event.Value == nil {
		return pairs[0], nil
	}
	spans, err := r.client.Spans(ctx, r.topics.Results, nil, time.Time{})
	if err != nil {
		return Pair{}, err
	}
	found, err := r.search(ctx, spans, func(result *broker.Record) (bool, error) {
		source, ok := sourceOf(result)
		return ok && source == (place{event.Topic, event.Partition, event.Offset}), nil
	})
	if err != nil {
		return Pair{}, fmt.Errorf("search for the result of %s/%d offset %d: %w", event.Topic, event.Partition, event.Offset, err)
	}
	if len(found) > 0 {
		slices.SortStableFunc(found, func(a, b broker.Record) int { return a.Time.Compare(b.Time) })
		pairs[0].Result, err = r.recorded(ctx, &found[0])
	}
	return pairs[0], err
}

// recorded reads a result. One that cannot be read is an error: only the service writes to this topic.
func (r *Reader) recorded(ctx context.Context, record *broker.Record) (*Recorded, error) {
	view, err := r.viewer.View(ctx, record.Value)
	var result schemas.Result
	if err == nil {
		result, err = schemas.ParseResult(view)
	}
	if err != nil {
		return nil, fmt.Errorf("result %s/%d offset %d: %w", record.Topic, record.Partition, record.Offset, err)
	}
	return &Recorded{Record: *record, Result: result, View: view}, nil
}

// place is where a record stands.
type place struct {
	topic     string
	partition int
	offset    int64
}

// sourceOf reads which event a result names. Of several headers of one name the last holds.
func sourceOf(result *broker.Record) (place, bool) {
	var p place
	var topic, partition, offset bool
	for _, h := range slices.Backward(result.Headers) {
		var err error
		switch {
		case h.Key == broker.HeaderSourceTopic && !topic:
			p.topic, topic = string(h.Value), true
		case h.Key == broker.HeaderSourcePartition && !partition:
			p.partition, err = strconv.Atoi(string(h.Value))
			partition = true
		case h.Key == broker.HeaderSourceOffset && !offset:
			p.offset, err = strconv.ParseInt(string(h.Value), 10, 64)
			offset = true
		}
		if err != nil {
			return place{}, false
		}
	}
	return p, topic && partition && offset
}
