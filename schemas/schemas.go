// Package schemas provides the wire: orders in, as Avro or JSON, checked against a model's contract; results and
// answers out; and the reject classes that say why a record is bad.
package schemas

import (
	"context"
	_ "embed"
	"errors"
)

// OrderFeaturesSchema is the Avro schema of order events, trendbuy.risk.OrderFeatures.
//
//go:embed order_features.avsc
var OrderFeaturesSchema string

// RiskResultSchema is the Avro schema of results, trendbuy.risk.RiskResult.
//
//go:embed risk_result.avsc
var RiskResultSchema string

// SchemaSource knows writers' schemas by their id.
type SchemaSource interface {
	// Schema returns the schema's text. An error that wraps ErrSchemaUnknown says that there is no such schema, or
	// none that an Avro reader can use: the record is bad. Any other error is a broken service.
	Schema(ctx context.Context, id int) (string, error)
}

// ErrSchemaUnknown is wrapped by a SchemaSource's error for an id that has no usable schema.
var ErrSchemaUnknown = errors.New("schema unknown")
