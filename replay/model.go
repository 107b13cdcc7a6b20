package replay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/scoring"
)

// Model decides events again with one bundle and engine. Use it from one goroutine.
type Model struct {
	scorer  *scoring.Scorer
	decoder *schemas.Decoder
	name    schemas.Model
	// encoders are by the frame of recorded results, whose making costs more than a decision; at most maxEncoders.
	encoders map[string]*schemas.Results
}

// NewModel returns the scorer's model. source is nil where there is neither a schema registry nor pins; extra says what
// becomes of features in JSON that the model does not know.
func NewModel(s *scoring.Scorer, source schemas.SchemaSource, extra schemas.Extra) *Model {
	return &Model{
		scorer:  s,
		decoder: schemas.NewDecoder(s.Contract(), source, extra, slog.New(slog.DiscardHandler)),
		name:    schemas.Model{Version: s.Manifest().Version, Digest: s.Digest().String(), Engine: s.EngineID()},

		encoders: make(map[string]*schemas.Results),
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

const (
	// maxEncoders bounds the forms of results, of which a topic holds one or two.
	maxEncoders = 16
	// frameBytes is the length of Confluent's frame, in which a form is told; JSON is told by its brace.
	frameBytes = 5
)

// encoder returns the encoder of results in the form of a recorded one.
func (m *Model) encoder(recorded []byte) (*schemas.Results, error) {
	frame := string(recorded[:min(frameBytes, len(recorded))])
	if strings.HasPrefix(frame, "{") {
		frame = "{"
	}
	if e := m.encoders[frame]; e != nil {
		return e, nil
	}
	e, err := schemas.SameFrame(recorded, m.name)
	if err != nil {
		return nil, err
	}
	if len(m.encoders) >= maxEncoders {
		clear(m.encoders)
	}
	m.encoders[frame] = e
	return e, nil
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
