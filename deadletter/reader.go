package deadletter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/schemas"
)

// Filter chooses dead letters. Its zero value chooses all.
type Filter struct {
	Classes    []schemas.RejectClass `json:"classes,omitempty"` // any of them; none is every class
	OrderID    string                `json:"order_id,omitempty"`
	Since      time.Time             `json:"since,omitzero"` // of the letter's own timestamp: [Since, Until)
	Until      time.Time             `json:"until,omitzero"`
	Partitions []int                 `json:"partitions,omitempty"` // none is every partition
}

// Equal says whether two filters choose the same letters.
func (f Filter) Equal(other Filter) bool {
	return f.OrderID == other.OrderID && f.Since.Equal(other.Since) && f.Until.Equal(other.Until) &&
		slices.Equal(f.Classes, other.Classes) && slices.Equal(f.Partitions, other.Partitions)
}

// Reader reads the topic of dead letters. Use it from one goroutine.
type Reader struct {
	client *broker.Client
	topic  string
	viewer *schemas.Viewer

	// Progress, if not nil, is called after every fetch with the offsets passed and those to pass in all.
	Progress func(passed, of int64)
}

// NewReader returns a reader of the topic on client, which stays the caller's. viewer finds the order of a letter whose
// key does not tell it.
func NewReader(client *broker.Client, topic string, viewer *schemas.Viewer) *Reader {
	return &Reader{client: client, topic: topic, viewer: viewer}
}

// Spans returns what is to be read for the filter, by partition: up to the end that each log has now. What arrives later,
// like letters that a redrive makes anew, is not in it.
func (r *Reader) Spans(ctx context.Context, f Filter) ([]broker.Span, error) {
	return r.client.Spans(ctx, r.topic, f.Partitions, f.Since)
}

// Get returns the letter at an offset; an error that wraps broker.ErrNoRecord says that there is none.
func (r *Reader) Get(ctx context.Context, partition int, offset int64) (Letter, error) {
	record, err := r.client.RecordAt(ctx, r.topic, partition, offset)
	if err != nil {
		return Letter{}, err
	}
	return Read(record), nil
}

// Letters returns the letters of the spans that the filter chooses, span after span and in order. An error ends it.
func (r *Reader) Letters(ctx context.Context, spans []broker.Span, f Filter) iter.Seq2[Letter, error] {
	return func(yield func(Letter, error) bool) {
		var passed, total int64
		for _, s := range spans {
			total += max(0, s.To-s.From)
		}
		for _, s := range spans {
			reading := r.client.Read(s)
			for {
				at := reading.Offset()
				records, err := reading.Next(ctx)
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					yield(Letter{}, err)
					return
				}
				if !r.yieldMatches(ctx, records, f, yield) {
					return
				}
				if passed += reading.Offset() - at; r.Progress != nil {
					r.Progress(passed, total)
				}
			}
		}
	}
}

func (r *Reader) yieldMatches(ctx context.Context, records []broker.Record, f Filter, yield func(Letter, error) bool) bool {
	for i := range records {
		l := Read(records[i])
		chosen, err := r.chosen(ctx, &l, f)
		if err != nil {
			yield(Letter{}, err)
			return false
		}
		if chosen && !yield(l, nil) {
			return false
		}
	}
	return true
}

func (r *Reader) chosen(ctx context.Context, l *Letter, f Filter) (bool, error) {
	switch {
	case len(f.Classes) > 0 && !slices.Contains(f.Classes, l.Class),
		l.Time.Before(f.Since),
		!f.Until.IsZero() && !l.Time.Before(f.Until):
		return false, nil
	case f.OrderID == "":
		return true, nil
	}
	return r.isOf(ctx, l, f.OrderID)
}

// isOf says whether a letter is about an order. The key tells, unless it is null or somebody else's.
func (r *Reader) isOf(ctx context.Context, l *Letter, orderID string) (bool, error) {
	if string(l.Key) == orderID {
		return true, nil
	}
	if l.Key != nil && l.Class != schemas.RejectKeyMismatch {
		return false, nil
	}
	is, err := r.viewer.Names(ctx, l.Value, orderID)
	if err != nil {
		return false, fmt.Errorf("whose order is %s/%d offset %d: %w", l.Topic, l.Partition, l.Offset, err)
	}
	return is, nil
}
