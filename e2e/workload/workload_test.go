package workload_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/twmb/avro"

	"github.com/trendbuy/riskscorer/e2e/verify"
	"github.com/trendbuy/riskscorer/e2e/workload"
)

// orderSchema has the fields that the contract of order events lists.
const orderSchema = `{"type": "record", "name": "OrderFeatures", "namespace": "trendbuy.risk", "fields": [
	{"name": "order_id", "type": "string"},
	{"name": "event_version", "type": "long", "default": 0},
	{"name": "occurred_at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
	{"name": "features", "type": {"type": "record", "name": "Features", "fields": [
		{"name": "feature_discount_pct", "type": ["null", "double"], "default": null},
		{"name": "feature_velocity_24h", "type": ["null", "double"], "default": null},
		{"name": "feature_hours_since_trend_peak", "type": ["null", "double"], "default": null},
		{"name": "feature_creator_reliability", "type": ["null", "double"], "default": null},
		{"name": "feature_cust_prior_return_rate_90d", "type": ["null", "double"], "default": null},
		{"name": "feature_cust_avg_order_value_90d", "type": ["null", "double"], "default": null},
		{"name": "feature_prod_size_fit_rate", "type": ["null", "double"], "default": null},
		{"name": "feature_device_type", "type": ["null", "string"], "default": null}]}}]}`

func generate(t *testing.T, seed uint64, n int) []workload.Record {
	t.Helper()
	g := workload.New(seed, 7, avro.MustParse(orderSchema))
	records := make([]workload.Record, n)
	for i := range records {
		var err error
		if records[i], err = g.Next(); err != nil {
			t.Fatal(err)
		}
	}
	return records
}

func TestSameSeedSameRecords(t *testing.T) {
	first := generate(t, 3, 5000)
	if !reflect.DeepEqual(first, generate(t, 3, 5000)) {
		t.Error("two runs of one seed differ")
	}
	if reflect.DeepEqual(first, generate(t, 4, 5000)) {
		t.Error("two seeds give the same records")
	}
}

// TestMix checks that a run of the usual size holds every reject class that a record can cause, and the shares promised.
func TestMix(t *testing.T) {
	const n = 100_000
	outcomes := make(map[verify.Outcome]int)
	kinds := make(map[string]int)
	for _, r := range generate(t, 1, n) {
		outcomes[r.Want]++
		kinds[r.Kind]++
		if (r.Value == nil) != (r.Want == verify.Skipped) {
			t.Fatalf("%s: value %v", r.Kind, r.Value)
		}
	}
	for _, class := range []verify.Outcome{
		"frame", "schema_unknown", "decode", "order_id", "key_mismatch", "too_large",
		"feature_missing", "feature_unknown", "feature_type", "feature_category", "feature_range",
	} {
		if outcomes[class] == 0 {
			t.Errorf("no record for class %s", class)
		}
	}
	if broken := n - outcomes[verify.Result] - outcomes[verify.Skipped]; broken < n*4/1000 || broken > n*6/1000 {
		t.Errorf("%d of %d are broken, want about 0.5%%", broken, n)
	}
	if json := kinds["JSON order"]; json < n*20/100 || json > n*30/100 {
		t.Errorf("%d of %d are JSON", json, n)
	}
	if outcomes[verify.Skipped] == 0 {
		t.Error("no tombstone")
	}
}

// TestBothFormsTellTheSame decodes the Avro of good orders and compares it with their JSON.
func TestBothFormsTellTheSame(t *testing.T) {
	schema := avro.MustParse(orderSchema)
	compared := 0
	for _, r := range generate(t, 2, 2000) {
		if r.Kind != "Avro order" {
			continue
		}
		var fromAvro map[string]any
		rest, err := schema.Decode(r.Value[5:], &fromAvro)
		if err != nil || len(rest) > 0 {
			t.Fatalf("error %v, %d bytes left", err, len(rest))
		}
		var fromJSON map[string]any
		if err := json.Unmarshal(r.JSON, &fromJSON); err != nil {
			t.Fatal(err)
		}
		features := fromAvro["features"].(map[string]any)
		for name, value := range fromJSON["features"].(map[string]any) {
			if features[name] != value {
				t.Errorf("%s: %v in Avro, %v in JSON", name, features[name], value)
			}
		}
		if fromAvro["order_id"] != fromJSON["order_id"] {
			t.Errorf("order_id %v in Avro, %v in JSON", fromAvro["order_id"], fromJSON["order_id"])
		}
		if r.Key != nil && !bytes.Equal(r.Key, []byte(fromJSON["order_id"].(string))) {
			t.Errorf("key %s of order %v", r.Key, fromJSON["order_id"])
		}
		compared++
	}
	if compared == 0 {
		t.Error("nothing compared")
	}
}
