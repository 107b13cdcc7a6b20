// Package results reads risk results, in Avro with Confluent framing or in JSON.
package results

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/sr"
)

// readerSchema is what is needed of a result. Avro takes it by name, so fields that are new or moved do no harm.
const readerSchema = `{"type": "record", "name": "trendbuy.risk.RiskResult", "fields": [
	{"name": "order_id", "type": "string"}, {"name": "event_version", "type": "long"}, {"name": "prediction_id", "type": "string"},
	{"name": "model_version", "type": "string"}, {"name": "risk_score", "type": "double"},
	{"name": "risk_band", "type": {"type": "enum", "name": "RiskBand", "symbols": ["LOW", "MEDIUM", "HIGH"]}}]}`

// Result is a record of the reader schema.
type Result struct {
	OrderID      string  `avro:"order_id" json:"order_id"`
	EventVersion int64   `avro:"event_version" json:"event_version"`
	PredictionID string  `avro:"prediction_id" json:"prediction_id"`
	ModelVersion string  `avro:"model_version" json:"model_version"`
	RiskBand     string  `avro:"risk_band" json:"risk_band"`
	RiskScore    float64 `avro:"risk_score" json:"risk_score"`
}

// Decoder decodes the values of results. It is for one goroutine.
type Decoder struct {
	registry *sr.Client
	reader   *avro.Schema
	schemas  map[int]*avro.Schema // by id, resolved to reader
}

// NewDecoder returns a decoder that asks the schema registry for each schema once.
func NewDecoder(registryURL string) (*Decoder, error) {
	registry, err := sr.NewClient(sr.URLs(registryURL))
	if err != nil {
		return nil, err
	}
	reader, err := avro.Parse(readerSchema)
	if err != nil {
		return nil, err
	}
	return &Decoder{registry: registry, reader: reader, schemas: map[int]*avro.Schema{}}, nil
}

// Decode returns the result of a record's value.
func (d *Decoder) Decode(ctx context.Context, value []byte) (r Result, err error) {
	if len(value) > 0 && value[0] == '{' {
		return r, json.Unmarshal(value, &r)
	}
	id, body, err := new(sr.ConfluentHeader).DecodeID(value)
	if err != nil {
		return r, err
	}
	if d.schemas[id] == nil {
		text, err := d.registry.SchemaByID(ctx, id)
		if err != nil {
			return r, fmt.Errorf("schema %d: %w", id, err)
		}
		writer, err := avro.Parse(text.Schema)
		if err != nil {
			return r, fmt.Errorf("schema %d: %w", id, err)
		}
		if d.schemas[id], err = avro.Resolve(writer, d.reader); err != nil {
			return r, fmt.Errorf("schema %d: %w", id, err)
		}
	}
	_, err = d.schemas[id].Decode(body, &r)
	return r, err
}
