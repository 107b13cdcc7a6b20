package schemas

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/linkedin/goavro/v2"

	"github.com/trendbuy/riskscorer/scoring"
)

// Model names the model that decided, as results and answers do.
type Model struct {
	Version string // of the bundle's manifest
	Digest  string // bare lower-case hex
	Engine  string // engine id
}

// Results encodes decisions as Kafka values. One event under one model gives the same bytes, always: nothing of
// clock, host or offset is in them. It is safe for concurrent use.
type Results struct {
	model    Model
	codec    *goavro.Codec // nil for JSON
	schemaID uint32
}

// NewAvroResults encodes under RiskResultSchema in Confluent framing, with the schema's id.
func NewAvroResults(schemaID int, m Model) (*Results, error) {
	codec, id, err := framedCodec(RiskResultSchema, schemaID)
	if err != nil {
		return nil, fmt.Errorf("result schema: %w", err)
	}
	return &Results{model: m, codec: codec, schemaID: id}, nil
}

// NewJSONResults encodes as JSON objects with the fields of RiskResultSchema in their order.
func NewJSONResults(m Model) *Results { return &Results{model: m} }

// AppendTo appends the value of the result: d is the decision about o. A margin, score or contribution that is not
// finite is an error: no model that passed its golden rows makes one.
func (r *Results) AppendTo(dst []byte, o *scoring.Order, d *scoring.Decision) ([]byte, error) {
	if err := finite(d); err != nil {
		return dst, fmt.Errorf("encode result: %w", err)
	}
	if r.codec == nil {
		return appendResult(dst, r.model, o, d), nil
	}
	out, err := r.codec.BinaryFromNative(appendFrame(dst, r.schemaID), r.native(o, d))
	if err != nil {
		return dst, fmt.Errorf("encode result: %w", err)
	}
	return out, nil
}

func (r *Results) native(o *scoring.Order, d *scoring.Decision) map[string]any {
	texts, reasons := make([]any, len(d.Reasons)), make([]any, len(d.Reasons))
	for i := range d.Reasons {
		reason := &d.Reasons[i]
		texts[i] = reason.Text
		reasons[i] = map[string]any{
			"code": reason.Code, "text": reason.Text, "feature": reason.Feature, "contribution": reason.Contribution,
		}
	}
	return map[string]any{
		"order_id":         o.ID,
		"event_version":    o.Version,
		"occurred_at":      nullableMillis(o.OccurredAt),
		"prediction_id":    d.PredictionID,
		"risk_score":       d.RiskScore,
		"margin":           d.Margin,
		"risk_band":        string(d.Band),
		"model_version":    r.model.Version,
		"model_digest":     r.model.Digest,
		"engine":           r.model.Engine,
		"top_contributors": texts,
		"reasons":          reasons,
		"explanation":      string(d.Explanation),
	}
}

// nullableMillis is goavro's native form of a nullable timestamp-millis.
func nullableMillis(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return goavro.Union("long.timestamp-millis", t.UnixMilli())
}

func finite(d *scoring.Decision) error {
	bad := func(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) }
	if bad(d.RiskScore) || bad(d.Margin) {
		return errors.New("margin or score is not finite")
	}
	for i := range d.Reasons {
		if bad(d.Reasons[i].Contribution) {
			return errors.New("a contribution is not finite")
		}
	}
	return nil
}

// framedCodec compiles one of our own schemas and checks that its id fits the frame.
func framedCodec(schema string, id int) (*goavro.Codec, uint32, error) {
	if id < 0 || id > math.MaxInt32 {
		return nil, 0, fmt.Errorf("schema id %d is not in 0..%d", id, math.MaxInt32)
	}
	codec, err := goavro.NewCodec(schema)
	if err != nil {
		return nil, 0, fmt.Errorf("compile schema: %w", err)
	}
	return codec, uint32(id), nil
}

func appendFrame(dst []byte, id uint32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, magic), id)
}
