package schemas_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/avro"

	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/scoring"
)

// FuzzJSONOrder: what is taken is JSON to encoding/json as well, with the same values; what is not JSON to it is a
// SyntaxError; a batch and the stream's decoder see the same order; and an order written again reads the same.
func FuzzJSONOrder(f *testing.F) {
	for _, text := range []string{
		exampleOrder, "[" + exampleOrder + "," + exampleOrder + "]", `{"order_id":"\ud83d\ude00","features":{"feature_device_type":"app",` +
			`"feature_velocity_24h":1E2,"feature_discount_pct":1e-9,"feature_hours_since_trend_peak":-0}}`,
		`{"order_id":"a","order_id":"b"}`, `{"x":1e999}`, `{"features":{"a":[{}],"\u0061":null}}`, `null`, `[[`, "\ufeff{}", `{"order_id":"\ud800"}`,
		strings.Replace(exampleOrder, "8420", "1e39", 1), strings.Replace(exampleOrder, "8420", "null", 1), strings.Replace(exampleOrder, "0.35", "true", 1),
	} {
		f.Add([]byte(text))
	}
	c := demoContract()
	d := newDecoder(nil, schemas.RefuseExtra)
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := schemas.ParseBatch(data, c, schemas.IgnoreExtra); err != nil {
			checkParseError(t, err)
		}
		o, err := schemas.ParseOrder(data, c, schemas.RefuseExtra)
		if err != nil {
			if syntax := checkParseError(t, err); !syntax && !json.Valid(data) {
				t.Fatalf("%q is not JSON, but got %v", data, err)
			}
		} else {
			checkAgainstEncodingJSON(t, data, &o)
			checkRewritten(t, c, &o)
		}
		checkBatchOfOne(t, data, c, &o, err)
		if len(data) == 0 || data[0] != '{' || len(data) > schemas.MaxEventBytes {
			return
		}
		streamed, streamErr := d.Decode(t.Context(), nil, data)
		var r *schemas.Reject
		if (err == nil) != (streamErr == nil) || err == nil && !sameOrder(&o, &streamed) || err != nil && !errors.As(streamErr, &r) {
			t.Fatalf("%q: the parser says %+v, %v; the stream's decoder %+v, %v", data, o, err, streamed, streamErr)
		}
	})
}

// checkParseError says whether the error is about syntax.
func checkParseError(t *testing.T, err error) bool {
	t.Helper()
	var syntax *schemas.SyntaxError
	var invalid *schemas.Invalid
	switch {
	case errors.As(err, &syntax):
		return true
	case !errors.As(err, &invalid):
		t.Fatalf("got %T", err)
	case len(invalid.Problems) < 1 || len(invalid.Problems) > schemas.MaxProblems:
		t.Fatalf("%d problems", len(invalid.Problems))
	}
	return false
}

func checkAgainstEncodingJSON(t *testing.T, data []byte, o *scoring.Order) {
	t.Helper()
	var event struct {
		OrderID    string                     `json:"order_id"`
		Version    *int64                     `json:"event_version"`
		OccurredAt *time.Time                 `json:"occurred_at"`
		Features   map[string]json.RawMessage `json:"features"`
	}
	if err := json.Unmarshal(data, &event); err != nil {
		t.Fatalf("%q was taken, but encoding/json says %v", data, err)
	}
	if event.OrderID != o.ID || event.Version != nil && *event.Version != o.Version || (event.OccurredAt == nil) != o.OccurredAt.IsZero() {
		t.Fatalf("%q: got %+v", data, o)
	}
	if event.OccurredAt != nil && !event.OccurredAt.Truncate(time.Millisecond).Equal(o.OccurredAt) {
		t.Fatalf("%q: got the time %v", data, o.OccurredAt)
	}
	for i, feature := range demoContract().Features() {
		raw, want := event.Features[feature.Name], math.NaN()
		switch {
		case raw == nil || string(raw) == "null":
		case feature.Categories != nil:
			var name string
			if err := json.Unmarshal(raw, &name); err != nil {
				t.Fatal(err)
			}
			for code, category := range feature.Categories {
				if category == name {
					want = float64(code)
				}
			}
		default:
			if err := json.Unmarshal(raw, &want); err != nil {
				t.Fatal(err)
			}
		}
		if !sameRow([]float64{o.Row[i]}, []float64{want}) {
			t.Fatalf("%q: %s is %v, want %v", data, feature.Name, o.Row[i], want)
		}
	}
}

// checkRewritten writes the order as JSON and as Avro and reads both.
func checkRewritten(t *testing.T, c *scoring.Contract, o *scoring.Order) {
	t.Helper()
	event := schemas.OrderEvent{OrderID: o.ID, Version: o.Version, OccurredAt: o.OccurredAt}
	features := map[string]any{}
	for i, f := range c.Features() {
		switch {
		case math.IsNaN(o.Row[i]):
		case f.Categories != nil:
			name := f.Categories[int(o.Row[i])]
			event.Features, features[f.Name] = append(event.Features, schemas.FeatureValue{Name: f.Name, Text: name}), name
		default:
			event.Features = append(event.Features, schemas.FeatureValue{Name: f.Name, Number: o.Row[i]})
			features[f.Name] = json.Number(strconv.FormatFloat(o.Row[i], 'g', -1, 64)) // encoding/json drops the sign of -0
		}
	}
	members := map[string]any{"order_id": o.ID, "event_version": o.Version, "features": features}
	if !o.OccurredAt.IsZero() {
		members["occurred_at"] = o.OccurredAt
	}
	text, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	again, err := schemas.ParseOrder(text, c, schemas.RefuseExtra)
	if err != nil || !sameOrder(&again, o) {
		t.Fatalf("%s: got %+v, %v, want %+v", text, again, err, o)
	}
	if o.OccurredAt.IsZero() {
		return // our Avro schema has no null there
	}
	orders, err := schemas.NewAvroOrders(orderID)
	if err != nil {
		t.Fatal(err)
	}
	value, err := orders.AppendTo(nil, &event)
	if err != nil {
		t.Fatal(err)
	}
	d := newDecoder(texts{orderID: schemas.OrderFeaturesSchema}, schemas.RefuseExtra)
	if again, err = d.Decode(t.Context(), []byte(o.ID), value); err != nil || !sameOrder(&again, o) {
		t.Fatalf("%x: got %+v, %v, want %+v", value, again, err, o)
	}
}

// checkBatchOfOne puts a value that is JSON by itself into a batch.
func checkBatchOfOne(t *testing.T, data []byte, c *scoring.Contract, o *scoring.Order, err error) {
	t.Helper()
	if _, ok := errors.AsType[*schemas.SyntaxError](err); ok {
		return
	}
	items, batchErr := schemas.ParseBatch(append(append([]byte("["), data...), ']'), c, schemas.RefuseExtra)
	if batchErr != nil || len(items) != 1 {
		t.Fatalf("%q in a batch: %d items, %v", data, len(items), batchErr)
	}
	if err == nil {
		if items[0].Invalid != nil || !sameOrder(&items[0].Order, o) {
			t.Fatalf("%q in a batch: %+v", data, items[0])
		}
		return
	}
	if items[0].Invalid == nil || items[0].Invalid.Error() != err.Error() {
		t.Fatalf("%q in a batch: %v, alone: %v", data, items[0].Invalid, err)
	}
}

func sameOrder(a, b *scoring.Order) bool {
	return a.ID == b.ID && a.Version == b.Version && a.OccurredAt.Equal(b.OccurredAt) && sameRow(a.Row, b.Row)
}

// FuzzAvroOrder: no value under any of several writers' schemas is more than a bad record; what is taken is, to
// another library, a whole value of the schema with the same id; and an order written again reads the same.
func FuzzAvroOrder(f *testing.F) {
	source := texts{
		0: schemas.OrderFeaturesSchema, 1: textFeatures, 2: oneFeature(`{"type":"array","items":["null","double"]}`),
		3: oneFeature(`{"type":"map","values":{"type":"array","items":"null"}}`),
		4: `{"type":"record","name":"R","fields":[{"name":"order_id","type":["string","null"]},{"name":"next","type":["null","R"]},
			{"name":"event_version","type":"int"},{"name":"features","type":["null",{"type":"map","values":"float"},{"type":"record",
			"name":"F","fields":[{"name":"feature_device_type","type":{"type":"enum","name":"D","symbols":["app","car"]}},
			{"name":"feature_velocity_24h","type":"long"},{"name":"feature_discount_pct","type":"int"},
			{"name":"feature_hours_since_trend_peak","type":["float","double","boolean","bytes"]}]}]}]}`,
		5: `{"type":"map","values":"bytes"}`,
	}
	oracles := make([]*avro.Schema, len(source))
	for id := range oracles {
		oracles[id] = avro.MustParse(source[id])
	}
	f.Add(byte(0), encode(f, source[0], exampleRecord()))
	f.Add(byte(1), encode(f, source[1], map[string]any{
		"order_id": "a", "warehouse": "b", "features": map[string]any{
			"feature_device_type": "app", "feature_discount_pct": 0.5, "feature_velocity_24h": 3.0, "feature_hours_since_trend_peak": int32(2),
		},
	}))
	f.Add(byte(2), []byte{2, 'x', 4, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add(byte(3), []byte{2, 'x', 1, 8, 2, 'k', 2, 0, 0})
	f.Add(byte(4), []byte{0, 2, 'x', 0, 6, 4, 0, 2, 0, 0, 0, 0, 0, 0})
	f.Add(byte(5), []byte{1, 4, 2, 'a', 0, 0})
	c := demoContract()
	d := newDecoder(source, schemas.RefuseExtra)
	f.Fuzz(func(t *testing.T, id byte, value []byte) {
		id %= byte(len(oracles))
		o, err := d.Decode(t.Context(), nil, frame(uint32(id), value))
		var r *schemas.Reject
		if err != nil {
			if !errors.As(err, &r) || r.Class == schemas.RejectSchemaUnknown || r.Class == schemas.RejectFrame {
				t.Fatalf("got %v", err)
			}
			return
		}
		var record map[string]any
		rest, err := oracles[id].Decode(value, &record)
		if err != nil && strings.Contains(err.Error(), "overflows 32 bits") {
			// A zigzag integer may be padded to ten bytes; the other library takes five in lengths and union indexes.
			return
		}
		if err != nil || len(rest) > 0 || record["order_id"] != o.ID {
			t.Fatalf("%x: got %+v; another library says %v, %v, %d bytes left over", value, o, record, err, len(rest))
		}
		checkRewritten(t, c, &o)
		again, err := d.Decode(t.Context(), []byte(o.ID), bytes.Clone(frame(uint32(id), value)))
		if err != nil || !sameOrder(&again, &o) {
			t.Fatalf("%x: got %+v, then %+v, %v", value, o, again, err)
		}
	})
}
