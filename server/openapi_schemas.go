package server

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/scoring"
)

const componentPrefix = "#/components/schemas/"

func reference(name string) *huma.Schema { return &huma.Schema{Ref: componentPrefix + name} }

// componentSchemas are the document's schemas by name. What a schema cannot say, its description does.
func componentSchemas(c *scoring.Contract, extra schemas.Extra) map[string]*huma.Schema {
	return map[string]*huma.Schema{
		"Order":       orderSchema(),
		"Features":    featuresSchema(c, extra),
		"Batch":       {Type: huma.TypeArray, Items: reference("Order"), MinItems: new(1), MaxItems: new(schemas.MaxBatch)},
		"Decision":    decisionSchema(),
		"Reason":      reasonSchema(),
		"BatchAnswer": {Type: huma.TypeArray, Items: &huma.Schema{OneOf: []*huma.Schema{reference("Decision"), reference("Problem")}}},
		"Problem":     problemSchema(),
		"Health": closed(map[string]*huma.Schema{
			"status":  {Type: huma.TypeString, Enum: []any{"ok", "unavailable"}},
			"reasons": {Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeString}, Description: "Why not; empty where it is ok."},
		}, "status", "reasons"),
	}
}

// closed is an object that has no other properties.
func closed(properties map[string]*huma.Schema, required ...string) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, Properties: properties, Required: required, AdditionalProperties: false}
}

func orderIDSchema() *huma.Schema {
	return &huma.Schema{
		Type: huma.TypeString, MinLength: new(1), MaxLength: new(scoring.MaxOrderIDBytes), Pattern: `^[^\x00-\x1f\x7f-\x9f]+$`,
		Description: fmt.Sprintf("Opaque. 1 to %d bytes of UTF-8 without control characters.", scoring.MaxOrderIDBytes),
	}
}

func orderSchema() *huma.Schema {
	return closed(map[string]*huma.Schema{
		"order_id": orderIDSchema(),
		"features": reference("Features"),
		"event_version": {
			Type: huma.TypeInteger, Nullable: true, Format: "int64", Default: 0,
			Minimum: new(float64(math.MinInt64)), ExclusiveMaximum: new(float64(1 << 63)),
			Description: "Version of the order's features; part of what prediction_id identifies. Written without fraction or exponent.",
		},
		"occurred_at": {
			Type: huma.TypeString, Nullable: true, Format: "date-time",
			Description: "The event's own time. It does not influence the decision.",
		},
	}, "order_id", "features")
}

func featuresSchema(c *scoring.Contract, extra schemas.Extra) *huma.Schema {
	features := c.Features()
	out := closed(make(map[string]*huma.Schema, len(features)))
	out.AdditionalProperties = extra == schemas.IgnoreExtra
	out.Description = "The model's features by name, in any order. An optional one that is null or absent is missing."
	for i := range features {
		out.Properties[features[i].Name] = featureSchema(c, i)
	}
	// Required is what an order without features misses.
	empty := c.Fill(make([]float64, len(features)))
	for _, f := range empty.Faults() {
		out.Required = append(out.Required, f.Feature)
		out.Properties[f.Feature].Nullable = false
	}
	for _, s := range out.Properties {
		if s.Nullable && s.Enum != nil {
			s.Enum = append(s.Enum, nil)
		}
	}
	return out
}

// featureSchema describes the contract's feature i as an optional one.
func featureSchema(c *scoring.Contract, i int) *huma.Schema {
	f := &c.Features()[i]
	s := &huma.Schema{Description: f.Description + ".", Nullable: true}
	if f.Unit != "" {
		s.Description += " Unit: " + f.Unit + "."
	}
	if len(f.Categories) > 0 {
		s.Type = huma.TypeString
		for _, name := range f.Categories {
			s.Enum = append(s.Enum, name)
		}
		if f.UnknownCategory != "" {
			s.Examples, s.Enum = s.Enum, nil
			s.Description += fmt.Sprintf(" An unknown category counts as %q.", f.UnknownCategory)
		}
		return s
	}
	s.Type, s.Minimum, s.Maximum = huma.TypeNumber, f.Allowed.Min, f.Allowed.Max
	// From here on a number overflows the model's 32-bit floating point: half a step above its largest.
	const overflow = 0x1.ffffffp127
	if s.Minimum == nil {
		s.ExclusiveMinimum = new(-overflow)
	}
	if s.Maximum == nil {
		s.ExclusiveMaximum = new(overflow)
	}
	return s
}

func decisionSchema() *huma.Schema {
	required := []string{
		"order_id", "risk_score", "risk_band", "model_version", "top_contributors", "prediction_id", "explanation",
	}
	return closed(map[string]*huma.Schema{
		"order_id": orderIDSchema(),
		"risk_score": {
			Type: huma.TypeNumber, Minimum: new(0.0), Maximum: new(1.0),
			Description: "Probability of regret, rounded to 4 decimals.",
		},
		"risk_band": {
			Type: huma.TypeString, Enum: []any{string(scoring.Low), string(scoring.Medium), string(scoring.High)},
			Description: "By the model's thresholds, from the score before rounding.",
		},
		"model_version": {Type: huma.TypeString},
		"top_contributors": {
			Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeString}, MaxItems: new(scoring.TopReasons),
			Description: "The features that moved this order's score the most, in words, the strongest first.",
		},
		"prediction_id": {
			Type: huma.TypeString, Pattern: "^[0-9a-f]{32}$",
			Description: "Identifies engine, model, order and features: the same content has the same id at every door.",
		},
		"explanation": {
			Type: huma.TypeString, Enum: []any{string(scoring.Exact), string(scoring.Global), string(scoring.None)},
			Description: "EXACT: this order's SHAP values. GLOBAL: the model's importances. NONE: not explained.",
		},
		"reasons":      {Type: huma.TypeArray, Items: reference("Reason"), Description: "With explain=full: every feature that moved the score, the strongest first."},
		"margin":       {Type: huma.TypeNumber, Description: "With explain=full: the raw sum of leaves."},
		"base_value":   {Type: huma.TypeNumber, Description: "With explain=full: what the contributions add to."},
		"engine":       {Type: huma.TypeString, Description: "With explain=full: the arithmetic that decided."},
		"model_digest": {Type: huma.TypeString, Pattern: "^[0-9a-f]{64}$", Description: "With explain=full: identifies the model's bundle."},
	}, required...)
}

func reasonSchema() *huma.Schema {
	return closed(map[string]*huma.Schema{
		"code":         {Type: huma.TypeString, Description: "Stable name of the reason."},
		"text":         {Type: huma.TypeString},
		"feature":      {Type: huma.TypeString},
		"contribution": {Type: huma.TypeNumber, Description: "SHAP value, in margin units: above 0 raises the risk."},
	}, "code", "text", "feature", "contribution")
}

func problemSchema() *huma.Schema {
	text := func(description string) *huma.Schema {
		return &huma.Schema{Type: huma.TypeString, Description: description}
	}
	s := closed(map[string]*huma.Schema{
		"type":     {Type: huma.TypeString, Format: "uri", Description: "The kind of problem."},
		"title":    text("The kind in words."),
		"status":   {Type: huma.TypeInteger, Minimum: new(400.0), Maximum: new(599.0)},
		"detail":   text("What happened this time."),
		"instance": {Type: huma.TypeString, Format: "uri-reference", Description: "The path, with the item's pointer as fragment for an item of a batch."},
		"order_id": text("Of an item of a batch, where it could be read."),
		"errors": {
			Type: huma.TypeArray,
			Items: closed(map[string]*huma.Schema{
				"pointer": {Type: huma.TypeString, Format: "json-pointer"},
				"detail":  {Type: huma.TypeString},
			}, "pointer", "detail"),
			MaxItems:    new(schemas.MaxProblems),
			Description: "What is wrong with the body, and where.",
		},
		"error": text("The detail again, below /v2, where clients of the Open Inference Protocol look for it."),
	})
	s.Required = slices.DeleteFunc(slices.Sorted(maps.Keys(s.Properties)), func(name string) bool { return name == "order_id" || name == "error" })
	return s
}
