package service_test

import (
	"encoding/binary"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/linkedin/goavro/v2"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/trendbuy/riskscorer/ordergen"
	"github.com/trendbuy/riskscorer/schemas"
)

// The orders' schema as an older and a newer upstream have it.
const (
	olderOrders = `{"type":"record","name":"Order","fields":[{"name":"order_id","type":"string"},
		{"name":"features","type":{"type":"map","values":["null","double","string"]}}]}`
	newerOrders = `{"type":"record","name":"OrderFeatures","namespace":"com.elsewhere","fields":[
		{"name":"channel","type":"string"},
		{"name":"features","type":{"type":"record","name":"F","fields":[
			{"name":"feature_device_type","type":{"type":"enum","name":"D","symbols":["tablet","mobile"]}},
			{"name":"feature_brand_new","type":["null","double"]},
			{"name":"feature_hours_since_trend_peak","type":"double"},
			{"name":"feature_discount_pct","type":"double"},
			{"name":"feature_velocity_24h","type":"long"}]}},
		{"name":"event_version","type":"int"},
		{"name":"order_id","type":"string"}]}`
)

// framed encodes a value by its writer's schema.
func framed(t *testing.T, id uint32, schema string, value map[string]any) []byte {
	t.Helper()
	codec, err := goavro.NewCodec(schema)
	if err != nil {
		t.Fatal(err)
	}
	b, err := codec.BinaryFromNative(binary.BigEndian.AppendUint32([]byte{0}, id), value)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// cluster returns one with the three topics, of one partition each, and a client that reads what comes out.
func cluster(t *testing.T, results map[string]string) (*kfake.Cluster, *kgo.Client) {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "order-features", "order-features-dead-letters"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.CreateTopic("risk-results", 1, results); err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.DefaultProduceTopic("order-features"),
		kgo.ConsumeTopics("risk-results", "order-features-dead-letters"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return c, client
}

// await polls n records.
func await(t *testing.T, client *kgo.Client, n int) []*kgo.Record {
	t.Helper()
	var out []*kgo.Record
	for len(out) < n {
		fetches := client.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		out = append(out, fetches.Records()...)
	}
	return out
}

// TestSchemaVersionsAreReadByNameWithoutASchemaRegistry: pins are enough for a start and for what they name; another id
// waits for the schema registry, and becomes a dead letter only by its word.
func TestSchemaVersionsAreReadByNameWithoutASchemaRegistry(t *testing.T) {
	kafka, client := cluster(t, nil)
	pins, err := json.Marshal(map[string]string{"1": olderOrders, "3": newerOrders, "9": schemas.RiskResultSchema})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "pins.json")
	if err := os.WriteFile(path, pins, 0o600); err != nil {
		t.Fatal(err)
	}
	registry := srfake.New()
	t.Cleanup(registry.Close)
	var back atomic.Bool
	registry.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		if back.Load() {
			return false
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	older := framed(t, 1, olderOrders, map[string]any{"order_id": "ORD_1", "features": map[string]any{
		"feature_discount_pct": goavro.Union("double", 0.5), "feature_velocity_24h": goavro.Union("double", 8420.0),
		"feature_hours_since_trend_peak": goavro.Union("double", 6.5), "feature_device_type": goavro.Union("string", "mobile"),
	}})
	newer := framed(t, 3, newerOrders, map[string]any{"order_id": "ORD_1", "event_version": 0, "channel": "app", "features": map[string]any{
		"feature_discount_pct": 0.5, "feature_velocity_24h": 8420, "feature_hours_since_trend_peak": 6.5,
		"feature_device_type": "mobile", "feature_brand_new": goavro.Union("double", 1.0),
	}})
	unknown := append([]byte{0, 0, 0, 0, 77}, newer[5:]...)
	for _, value := range [][]byte{older, newer, unknown} {
		if err := client.ProduceSync(t.Context(), &kgo.Record{Value: value}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	s := start(t, map[string]string{
		"KAFKA_BROKERS": kafka.ListenAddrs()[0], "BATCH_MAX_RECORDS": "1", "SCHEMA_PINS": path, "SCHEMA_REGISTRY_URL": registry.URL(),
	})
	results := await(t, client, 2)
	if a, b := results[0], results[1]; string(a.Value) != string(b.Value) || a.Topic != "risk-results" {
		t.Errorf("the same order by two schemas: %q and %q of %s", a.Value, b.Value, a.Topic)
	}
	eventually(t, "a pause that names the schema", func() bool {
		_, reasons := s.StreamReady()
		return strings.Contains(strings.Join(reasons, " "), "schema 77")
	})
	if p := s.StreamStatus().Partitions[0]; p.Next != 2 || p.Kind != "schema_registry" {
		t.Errorf("next is %d, the kind of pause %q", p.Next, p.Kind)
	}
	back.Store(true) // and says 404
	letter := await(t, client, 1)[0]
	if class := headerOf(letter, "riskscorer.reject.class"); letter.Topic != "order-features-dead-letters" || class != "schema_unknown" {
		t.Errorf("%s got a record of class %q", letter.Topic, class)
	}
}

func headerOf(r *kgo.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// TestResultsTooLargeForTheirTopicAreSplitFromGoodOnes: they become dead letters of class too_large, the others results.
func TestResultsTooLargeForTheirTopicAreSplitFromGoodOnes(t *testing.T) {
	kafka, client := cluster(t, map[string]string{"max.message.bytes": "1300"})
	orders := ordergen.New(ordergen.Config{Seed: 90})
	want := map[string]bool{} // by key: too large
	var records []*kgo.Record
	for i := range 40 {
		o := orders.Next()
		if i%13 == 5 {
			o.ID = strings.Repeat("é", 128)[:254] + string(rune('a'+i/13)) // as key and in the value
		}
		want[o.ID] = i%13 == 5
		records = append(records, &kgo.Record{Key: []byte(o.ID), Value: o.AppendJSON(nil)})
	}
	if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	s := start(t, map[string]string{"KAFKA_BROKERS": kafka.ListenAddrs()[0]})
	got := map[string]string{}
	for _, r := range await(t, client, len(records)) {
		if before, twice := got[string(r.Key)]; twice {
			t.Errorf("%q is in %s and in %s", r.Key, before, r.Topic)
		}
		got[string(r.Key)] = r.Topic
		large := want[string(r.Key)]
		if large != (r.Topic == "order-features-dead-letters") || large && headerOf(r, "riskscorer.reject.class") != "too_large" {
			t.Errorf("%q is in %s as %q, %d bytes", r.Key, r.Topic, headerOf(r, "riskscorer.reject.class"), len(r.Value))
		}
	}
	eventually(t, "all is committed", func() bool {
		p := s.StreamStatus().Partitions
		return len(p) == 1 && p[0].Committed == int64(len(records))
	})
}
