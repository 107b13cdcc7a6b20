package stream

import (
	"context"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/scoring"
)

// ResultsFunc returns the encoder of results, which may have to ask the schema registry for its id first.
type ResultsFunc func(context.Context) (*schemas.Results, error)

// Model is what decides the orders of a batch, with the wire formats that belong to it. It is safe for concurrent use
// and does not change.
type Model struct {
	Scorer  *scoring.Scorer
	Decoder *schemas.Decoder // for the scorer's contract
	Results ResultsFunc      // writes the scorer's model into every result
}

// Models is where the model that serves is found. Its method is safe for concurrent use.
type Models interface {
	// StreamModel returns the current model, never nil. It is called once a batch: all of it is decided by one model.
	StreamModel() *Model
}

// StreamModel makes a model that is never replaced a Models.
func (m *Model) StreamModel() *Model { return m }

// sent is a batch whose publication was begun and is not known to be acknowledged: a part of it may be in the log.
type sent struct {
	model       *Model // nil for no batch
	partition   int
	first, last int64 // offsets
}

func (s *sent) is(records []broker.Record) bool {
	return s.model != nil && s.partition == records[0].Partition &&
		s.first == records[0].Offset && s.last == records[len(records)-1].Offset
}

// choose returns the model for a batch: the current one, but for a batch that comes again after its publication was
// begun the one before. The publisher then goes on with the same bytes where it stopped, instead of adding another
// model's results to those that are in the log already.
func (w *Worker) choose(records []broker.Record) *Model {
	if w.sent.is(records) {
		return w.sent.model
	}
	w.sent = sent{}
	return w.pipeline.models.StreamModel()
}
