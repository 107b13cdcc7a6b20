package verify

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/sr"
)

// RiskResult is a result on the wire: Avro trendbuy.risk.RiskResult.
type RiskResult struct {
	OrderID         string     `avro:"order_id"`
	EventVersion    int64      `avro:"event_version"`
	OccurredAt      *time.Time `avro:"occurred_at"`
	PredictionID    string     `avro:"prediction_id"`
	RiskScore       float64    `avro:"risk_score"`
	Margin          float64    `avro:"margin"`
	RiskBand        string     `avro:"risk_band"`
	ModelVersion    string     `avro:"model_version"`
	ModelDigest     string     `avro:"model_digest"`
	Engine          string     `avro:"engine"`
	TopContributors []string   `avro:"top_contributors"`
	Reasons         []Reason   `avro:"reasons"`
	Explanation     string     `avro:"explanation"`
}

// Reason is one of a result's top contributors. Contribution is in margin units, unrounded.
type Reason struct {
	Code         string  `avro:"code" json:"code"`
	Text         string  `avro:"text" json:"text"`
	Feature      string  `avro:"feature" json:"feature"`
	Contribution float64 `avro:"contribution" json:"contribution"`
}

// SchemaSource returns the schema with an id.
type SchemaSource func(ctx context.Context, id int) (string, error)

// RegistrySchemas reads schemas from a schema registry.
func RegistrySchemas(client *sr.Client) SchemaSource {
	return func(ctx context.Context, id int) (string, error) {
		schema, err := client.SchemaByID(ctx, id)
		return schema.Schema, err
	}
}

// Decoder reads results with the schema that each one names. It is not safe for concurrent use.
type Decoder struct {
	source  SchemaSource
	schemas map[int]*avro.Schema
}

// NewDecoder returns a Decoder that asks source once for each schema.
func NewDecoder(source SchemaSource) *Decoder {
	return &Decoder{source: source, schemas: make(map[int]*avro.Schema)}
}

// Decode reads one value: Confluent framing and nothing after the body. A field that RiskResult does not know is an error.
func (d *Decoder) Decode(ctx context.Context, value []byte) (RiskResult, error) {
	var result RiskResult
	id, body, err := new(sr.ConfluentHeader).DecodeID(value)
	if err != nil {
		return result, fmt.Errorf("framing: %w", err)
	}
	schema := d.schemas[id]
	if schema == nil {
		text, err := d.source(ctx, id)
		if err != nil {
			return result, fmt.Errorf("schema %d: %w", id, err)
		}
		if schema, err = avro.Parse(text); err != nil {
			return result, fmt.Errorf("schema %d: %w", id, err)
		}
		d.schemas[id] = schema
	}
	rest, err := schema.Decode(body, &result)
	if err != nil {
		return result, fmt.Errorf("body: %w", err)
	}
	if len(rest) > 0 {
		return result, fmt.Errorf("%d bytes after the body", len(rest))
	}
	return result, nil
}
