package schemas_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/avro"

	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/schemas/registry"
	"github.com/trendbuy/riskscorer/scoring"
	"github.com/trendbuy/riskscorer/scoring/bundle"
)

// exampleOrder is the order of POST /score's documentation with the optional fields of an event.
const exampleOrder = `{"order_id":"ORD_12345","event_version":3,"occurred_at":"2026-11-21T08:15:30.123Z","features":{` +
	`"feature_discount_pct":0.35,"feature_velocity_24h":8420,"feature_hours_since_trend_peak":6.5,` +
	`"feature_creator_reliability":0.22,"feature_cust_prior_return_rate_90d":0.31,"feature_cust_avg_order_value_90d":127.5,` +
	`"feature_prod_size_fit_rate":0.18,"feature_device_type":"mobile"}}`

var (
	exampleRow  = []float64{0.35, 8420, 6.5, 0.22, 0.31, 127.5, 0.18, 0}
	exampleTime = time.Date(2026, 11, 21, 8, 15, 30, 123e6, time.UTC)
)

// demoContract is the contract of the demo bundle.
func demoContract() *scoring.Contract {
	at := func(x float64) *float64 { return &x }
	number := func(name, policy string, allowed bundle.Range) bundle.Feature {
		return bundle.Feature{Name: name, Type: bundle.Number, Policy: policy, Allowed: allowed}
	}
	fraction, positive := bundle.Range{Min: at(0), Max: at(1)}, bundle.Range{Min: at(0)}
	return scoring.NewContract(&bundle.Manifest{Features: []bundle.Feature{
		number("feature_discount_pct", bundle.Required, fraction),
		number("feature_velocity_24h", bundle.Required, positive),
		number("feature_hours_since_trend_peak", bundle.Required, bundle.Range{}),
		number("feature_creator_reliability", bundle.Optional, fraction),
		number("feature_cust_prior_return_rate_90d", bundle.Optional, fraction),
		number("feature_cust_avg_order_value_90d", bundle.Optional, positive),
		number("feature_prod_size_fit_rate", bundle.Optional, fraction),
		{
			Name: "feature_device_type", Type: bundle.Category, Policy: bundle.Required,
			Categories: []string{"mobile", "desktop", "tablet", "app"},
		},
	}})
}

// exampleRecord is the example as an Avro record of OrderFeaturesSchema.
func exampleRecord() map[string]any {
	return map[string]any{
		"order_id": "ORD_12345", "event_version": int64(3), "occurred_at": exampleTime,
		"features": map[string]any{
			"feature_discount_pct": 0.35, "feature_velocity_24h": 8420.0, "feature_hours_since_trend_peak": 6.5,
			"feature_creator_reliability": 0.22, "feature_cust_prior_return_rate_90d": 0.31,
			"feature_cust_avg_order_value_90d": 127.5, "feature_prod_size_fit_rate": 0.18, "feature_device_type": "mobile",
		},
	}
}

// pin returns a source of the schemas by id, from a file of pins.
func pin(t testing.TB, byID map[int]string) *registry.Source {
	t.Helper()
	pins := map[string]string{}
	for id, text := range byID {
		pins[strconv.Itoa(id)] = text
	}
	data, err := json.Marshal(pins)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "pins.json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	source, err := registry.New(registry.Config{Pins: path})
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func newDecoder(source schemas.SchemaSource, extra schemas.Extra) *schemas.Decoder {
	return schemas.NewDecoder(demoContract(), source, extra, slog.New(slog.DiscardHandler))
}

// frame puts Confluent's header before an Avro value.
func frame(id uint32, value []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, id), value...)
}

// encode writes an Avro value with a library that the product does not use.
func encode(t testing.TB, schema string, native any) []byte {
	t.Helper()
	s, err := avro.Parse(schema)
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Encode(native)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sameRow compares bit for bit, with one NaN.
func sameRow(a, b []float64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if math.Float64bits(a[i]) != math.Float64bits(b[i]) && !(math.IsNaN(a[i]) && math.IsNaN(b[i])) {
			return false
		}
	}
	return true
}

func checkExample(t *testing.T, o *scoring.Order) {
	t.Helper()
	if o.ID != "ORD_12345" || o.Version != 3 || !o.OccurredAt.Equal(exampleTime) || !sameRow(o.Row, exampleRow) {
		t.Errorf("got %+v, want the example order", *o)
	}
}

// rejectOf returns the class of a bad record, and fails for anything else.
func rejectOf(t *testing.T, d *schemas.Decoder, key, value []byte) *schemas.Reject {
	t.Helper()
	_, err := d.Decode(context.Background(), key, value)
	var r *schemas.Reject
	if !errors.As(err, &r) {
		t.Fatalf("got %v, want a bad record", err)
	}
	return r
}
