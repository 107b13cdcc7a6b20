package schemas

import (
	"fmt"
	"math"
	"time"

	"github.com/linkedin/goavro/v2"
)

// OrderEvent is an order event as a producer has it, before any check: see Orders.
type OrderEvent struct {
	OrderID    string
	Version    int64
	OccurredAt time.Time // kept to the millisecond
	Features   []FeatureValue
}

// FeatureValue is a feature by name: Text where it is not empty, else Number, where NaN is missing.
type FeatureValue struct {
	Name   string
	Number float64
	Text   string
}

// Orders encodes order events as Avro under OrderFeaturesSchema, in Confluent framing, for those who publish them. It
// is safe for concurrent use.
type Orders struct {
	codec    *goavro.Codec
	schemaID uint32
	known    map[string]bool
}

// NewAvroOrders returns an encoder that frames with the schema's id.
func NewAvroOrders(schemaID int) (*Orders, error) {
	codec, id, err := framedCodec(OrderFeaturesSchema, schemaID)
	if err != nil {
		return nil, fmt.Errorf("order schema: %w", err)
	}
	s, err := parseShape(OrderFeaturesSchema)
	if err != nil {
		return nil, fmt.Errorf("order schema: %w", err)
	}
	known := make(map[string]bool)
	for _, field := range s.fields {
		if field.name == "features" {
			for _, feature := range field.fields {
				known[feature.name] = true
			}
		}
	}
	return &Orders{codec: codec, schemaID: id, known: known}, nil
}

// AppendTo appends the Kafka value of the event. Features that are absent are written as null. A feature that the
// schema does not have, or with text for a number, is an error; whether the values make sense is not looked at.
func (s *Orders) AppendTo(dst []byte, e *OrderEvent) ([]byte, error) {
	features := make(map[string]any, len(s.known))
	for i := range e.Features {
		f := &e.Features[i]
		switch {
		case !s.known[f.Name]:
			return dst, fmt.Errorf("encode order event: the schema has no feature %q", f.Name)
		case f.Text != "":
			features[f.Name] = goavro.Union("string", f.Text)
		case !math.IsNaN(f.Number):
			features[f.Name] = goavro.Union("double", f.Number)
		}
	}
	out, err := s.codec.BinaryFromNative(appendFrame(dst, s.schemaID), map[string]any{
		"order_id":      e.OrderID,
		"event_version": e.Version,
		"occurred_at":   e.OccurredAt.UnixMilli(),
		"features":      features,
	})
	if err != nil {
		return dst, fmt.Errorf("encode order event: %w", err)
	}
	return out, nil
}
