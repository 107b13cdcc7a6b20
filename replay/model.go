package replay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/scoring"
)

// Model decides events again with one bundle and engine. It is safe for concurrent use.
type Model struct {
	scorer  *scoring.Scorer
	decoder *schemas.Decoder
	name    schemas.Model
}

// NewModel returns the scorer's model. source is nil where there is neither a schema registry nor pins; extra says what
// becomes of features in JSON that the model does not know.
func NewModel(s *scoring.Scorer, source schemas.SchemaSource, extra schemas.Extra) *Model {
	return &Model{
		scorer:  s,
		decoder: schemas.NewDecoder(s.Contract(), source, extra, slog.New(slog.DiscardHandler)),
		name:    schemas.Model{Version: s.Manifest().Version, Digest: s.Digest().String(), Engine: s.EngineID()},
	}
}

// Version is that of the bundle's manifest.
func (m *Model) Version() string { return m.name.Version }

// decided is what a model makes of an event: a decision, a reject, or neither for a tombstone.
type decided struct {
	order    scoring.Order
	decision scoring.Decision
	reject   *schemas.Reject
}

func (m *Model) decide(ctx context.Context, events []*broker.Record) ([]decided, error) {
	out := make([]decided, len(events))
	var orders []scoring.Order
	var at []int
	for i, e := range events {
		if e.Value == nil {
			continue
		}
		order, err := m.decoder.Decode(ctx, e.Key, e.Value)
		var reject *schemas.Reject
		switch {
		case errors.As(err, &reject):
			out[i].reject = reject
		case err != nil:
			return nil, fmt.Errorf("decode %s/%d offset %d: %w", e.Topic, e.Partition, e.Offset, err)
		default:
			orders, at = append(orders, order), append(at, i)
		}
	}
	for n, d := range m.scorer.Decide(nil, orders) {
		out[at[n]].order, out[at[n]].decision = orders[n], d
	}
	return out, nil
}

// maxModels bounds the models that are held open: a topic holds results of a few.
const maxModels = 4

// OpenFunc opens the model with a digest for an engine id.
type OpenFunc func(digest, engine string) (*Model, error)

// Models opens the models that results name, and holds some of them. Use it from one goroutine.
type Models struct {
	open OpenFunc
	held map[[2]string]*Model
}

// NewModels returns models that open opens.
func NewModels(open OpenFunc) *Models {
	return &Models{open: open, held: make(map[[2]string]*Model)}
}

func (m *Models) get(r *Recorded) (*Model, error) {
	key := [2]string{r.ModelDigest, r.Engine}
	if model := m.held[key]; model != nil {
		return model, nil
	}
	model, err := m.open(r.ModelDigest, r.Engine)
	if err != nil {
		return nil, fmt.Errorf("result %s/%d offset %d: %w", r.Topic, r.Partition, r.Offset, err)
	}
	if len(m.held) >= maxModels {
		for other := range m.held { // any: results of so many models do not stand side by side for long
			delete(m.held, other)
			break
		}
	}
	m.held[key] = model
	return model, nil
}
