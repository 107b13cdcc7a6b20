package stream_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/ordergen"
	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/scoring"
	"github.com/trendbuy/riskscorer/scoring/bundle"
	"github.com/trendbuy/riskscorer/stream"
)

const (
	demo     = "../models/trendbuy_xgb_v1.0.0"
	ordersID = 1
)

// source has the schema of orders, unless it is down.
type source struct{ down error }

func (s *source) Schema(_ context.Context, id int) (string, error) {
	switch {
	case s.down != nil:
		return "", s.down
	case id == ordersID:
		return schemas.OrderFeaturesSchema, nil
	default:
		return "", fmt.Errorf("id %d: %w", id, schemas.ErrSchemaUnknown)
	}
}

// topics is a publisher that keeps what it is given, and fails as it is told.
type topics struct {
	records []broker.Record
	fail    func([]broker.Record) error
}

func (p *topics) Publish(_ context.Context, records []broker.Record) error {
	if p.fail != nil {
		if err := p.fail(records); err != nil {
			return err
		}
	}
	for _, r := range records {
		r.Value = bytes.Clone(r.Value)
		p.records = append(p.records, r)
	}
	return nil
}

func (p *topics) of(topic string) []broker.Record {
	return slices.DeleteFunc(slices.Clone(p.records), func(r broker.Record) bool { return r.Topic != topic })
}

type setup struct {
	pipeline  *stream.Pipeline
	worker    *stream.Worker
	published *topics
	source    *source
	registry  *prometheus.Registry
	scorer    *scoring.Scorer
}

var config = stream.Config{ResultsTopic: "results", DeadLettersTopic: "dead"}

// openDemo opens the demo bundle once: its golden rows take a while under the race detector.
var openDemo = sync.OnceValues(func() (*bundle.Bundle, error) { return bundle.Open(demo, bundle.Options{}) })

func newSetup(t testing.TB) *setup {
	t.Helper()
	return newSetupOf(t, config)
}

func newSetupOf(t testing.TB, config stream.Config) *setup {
	t.Helper()
	b, err := openDemo()
	if err != nil {
		t.Fatal(err)
	}
	s := &setup{published: &topics{}, source: &source{}, registry: prometheus.NewRegistry()}
	s.scorer = scoring.New(b, b.Forest, scoring.NewMetrics(s.registry))
	log := slog.New(slog.DiscardHandler)
	results := schemas.NewJSONResults(schemas.Model{
		Version: b.Manifest.Version, Digest: b.Digest.String(), Engine: s.scorer.EngineID(),
	})
	s.pipeline = stream.New(config, &stream.Model{
		Scorer: s.scorer, Decoder: schemas.NewDecoder(s.scorer.Contract(), s.source, schemas.RefuseExtra, log),
		Results: func(context.Context) (*schemas.Results, error) { return results, nil },
	}, log, s.registry)
	s.worker = s.pipeline.Worker(s.published)
	return s
}

// record is an order event of the topic of orders.
func record(offset int64, key, value []byte, headers ...broker.Header) broker.Record {
	return broker.Record{
		Topic: "orders", Partition: 3, Offset: offset, Time: time.Now(), Key: key, Value: value, Headers: headers,
	}
}

func avroOrder(t testing.TB, o *ordergen.Order) []byte {
	t.Helper()
	encoder, err := schemas.NewAvroOrders(ordersID)
	if err != nil {
		t.Fatal(err)
	}
	e := &schemas.OrderEvent{OrderID: o.ID, Version: o.EventVersion, OccurredAt: o.OccurredAt}
	for _, n := range o.Features.Numbers() {
		e.Features = append(e.Features, schemas.FeatureValue{Name: n.Name, Number: n.Value})
	}
	e.Features = append(e.Features, schemas.FeatureValue{Name: ordergen.DeviceTypeName, Text: o.Features.DeviceType})
	value, err := encoder.AppendTo(nil, e)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func headers(r broker.Record) map[string]string {
	out := map[string]string{}
	for _, h := range r.Headers {
		out[h.Key] = string(h.Value)
	}
	return out
}

// TestBadRecordsBecomeDeadLettersAndLeaveTheirNeighboursAlone puts a record of every reject class between good ones.
func TestBadRecordsBecomeDeadLettersAndLeaveTheirNeighboursAlone(t *testing.T) {
	s := newSetup(t)
	orders := ordergen.New(ordergen.Config{Seed: 5})
	var batch []broker.Record
	want := map[int64]string{} // offset -> class, "" for a result
	add := func(class string, key, value []byte) {
		offset := int64(len(batch))
		want[offset] = class
		batch = append(batch, record(offset, key, value, broker.Header{Key: "origin", Value: []byte("checkout")}))
	}
	good := func() {
		o := orders.Next()
		add("", []byte(o.ID), avroOrder(t, &o))
	}
	sound := orders.Next()
	framed := avroOrder(t, &sound)
	id := []byte(sound.ID)
	unknown := bytes.Clone(framed)
	binary.BigEndian.PutUint32(unknown[1:], 999)
	for _, bad := range []struct {
		class      string
		key, value []byte
	}{
		{"frame", id, append([]byte{7}, framed[1:]...)},
		{"frame", id, []byte{}},
		{"schema_unknown", id, unknown},
		{"decode", id, framed[:len(framed)-1]},
		{"decode", id, append(bytes.Clone(framed), 0)},
		{"key_mismatch", []byte("another"), framed},
		{"order_id", nil, []byte(`{"order_id":"","features":{}}`)},
		{"too_large", id, []byte(`{"order_id":"x","features":{` + strings.Repeat(" ", schemas.MaxEventBytes) + `}}`)},
	} {
		good()
		add(bad.class, bad.key, bad.value)
	}
	for _, b := range ordergen.Breaks() {
		good()
		broken := orders.Next().Broken(b)
		add(broken.Break.RejectClass(), broken.Key, broken.Value)
	}
	good()
	if err := s.worker.Handle(t.Context(), batch); err != nil {
		t.Fatal(err)
	}

	for _, r := range s.published.of("results") {
		h := headers(r)
		var offset int64
		if _, err := fmt.Sscan(h[broker.HeaderSourceOffset], &offset); err != nil {
			t.Fatal(err)
		}
		class, there := want[offset]
		if !there || class != "" {
			t.Errorf("offset %d has a result, want %q", offset, class)
		}
		delete(want, offset)
		if h[broker.HeaderSourceTopic] != "orders" || h[broker.HeaderSourcePartition] != "3" || !bytes.Equal(r.Key, batch[offset].Key) {
			t.Errorf("offset %d: key %q, headers %v", offset, r.Key, h)
		}
	}
	for _, r := range s.published.of("dead") {
		h := headers(r)
		var offset int64
		if _, err := fmt.Sscan(h[broker.HeaderErrorOffset], &offset); err != nil {
			t.Fatal(err)
		}
		if class := want[offset]; h[broker.HeaderRejectClass] != class || class == "" {
			t.Errorf("offset %d: dead letter of class %q (%s), want %q", offset, h[broker.HeaderRejectClass], h[broker.HeaderErrorExceptionMessage], class)
		}
		delete(want, offset)
		if !bytes.Equal(r.Key, batch[offset].Key) || !bytes.Equal(r.Value, batch[offset].Value) || (r.Key == nil) != (batch[offset].Key == nil) {
			t.Errorf("offset %d: key or value are not the record's", offset)
		}
		if h["origin"] != "checkout" || h[broker.HeaderAttempt] != "1" || h[broker.HeaderErrorTopic] != "orders" ||
			h[broker.HeaderErrorPartition] != "3" || h[broker.HeaderErrorStage] == "" || h[broker.HeaderErrorExceptionMessage] == "" {
			t.Errorf("offset %d: headers %v", offset, h)
		}
	}
	if len(want) > 0 {
		t.Errorf("nothing came of %v", want)
	}
	if problems, err := testutil.GatherAndLint(s.registry); err != nil || len(problems) > 0 {
		t.Errorf("metrics lint: %v %v", problems, err)
	}
}

func TestTombstonesAreCountedAndSkipped(t *testing.T) {
	s := newSetup(t)
	o := ordergen.New(ordergen.Config{Seed: 6}).Next()
	if err := s.worker.Handle(t.Context(), []broker.Record{record(0, []byte(o.ID), nil), record(1, []byte(o.ID), o.AppendJSON(nil))}); err != nil {
		t.Fatal(err)
	}
	if n := len(s.published.records); n != 1 {
		t.Errorf("%d records published", n)
	}
	expected := "# HELP riskscorer_stream_tombstones_total Records without a value, skipped.\n# TYPE riskscorer_stream_tombstones_total counter\nriskscorer_stream_tombstones_total 1\n"
	if err := testutil.GatherAndCompare(s.registry, strings.NewReader(expected), "riskscorer_stream_tombstones_total"); err != nil {
		t.Error(err)
	}
}

// TestReprocessingGivesTheSameBytes is promise 2: another worker, another batch, the same value.
func TestReprocessingGivesTheSameBytes(t *testing.T) {
	s := newSetup(t)
	orders := ordergen.New(ordergen.Config{Seed: 7})
	var batch []broker.Record
	for i := range int64(64) {
		o := orders.Next()
		batch = append(batch, record(i, []byte(o.ID), avroOrder(t, &o)))
	}
	if err := s.worker.Handle(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	again := newSetup(t)
	for i := range batch {
		if err := again.worker.Handle(t.Context(), batch[i:i+1]); err != nil {
			t.Fatal(err)
		}
	}
	for i := range s.published.records {
		if a, b := s.published.records[i], again.published.records[i]; !bytes.Equal(a.Value, b.Value) || !bytes.Equal(a.Key, b.Key) {
			t.Errorf("record %d: %s and %s", i, a.Value, b.Value)
		}
	}
}

// TestAvroAndJSONGiveTheSameDecision is promise 1 between the forms of an event.
func TestAvroAndJSONGiveTheSameDecision(t *testing.T) {
	s := newSetup(t)
	orders := ordergen.New(ordergen.Config{Seed: 8})
	for i := range int64(200) {
		o := orders.Next()
		if err := s.worker.Handle(t.Context(), []broker.Record{
			record(2*i, []byte(o.ID), avroOrder(t, &o)), record(2*i+1, nil, o.AppendJSON(nil)),
		}); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i < len(s.published.records); i += 2 {
		if a, b := s.published.records[i].Value, s.published.records[i+1].Value; !bytes.Equal(a, b) {
			t.Errorf("Avro gives %s, JSON %s", a, b)
		}
	}
}

func TestABrokenServicePublishesNothing(t *testing.T) {
	s := newSetup(t)
	s.source.down = errors.New("schema registry answers 503")
	orders := ordergen.New(ordergen.Config{Seed: 9})
	o := orders.Next()
	batch := []broker.Record{record(0, []byte("x"), []byte("not an order")), record(1, []byte(o.ID), avroOrder(t, &o))}
	err := s.worker.Handle(t.Context(), batch)
	if err == nil || !errors.Is(err, s.source.down) {
		t.Fatalf("error is %v", err)
	}
	if len(s.published.records) > 0 {
		t.Errorf("%d records published", len(s.published.records))
	}
	s.source.down = nil
	if err := s.worker.Handle(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if r, d := len(s.published.of("results")), len(s.published.of("dead")); r != 1 || d != 1 {
		t.Errorf("%d results and %d dead letters once it is back", r, d)
	}
}

// tooLarge is the error of a publisher whose topic takes no record of that size.
type tooLarge struct{ index int }

func (e *tooLarge) Error() string       { return "message too large" }
func (e *tooLarge) RecordTooLarge() int { return e.index }

func TestAResultThatIsTooLargeBecomesADeadLetter(t *testing.T) {
	s := newSetup(t)
	orders := ordergen.New(ordergen.Config{Seed: 10})
	var batch []broker.Record
	for i := range int64(3) {
		o := orders.Next()
		batch = append(batch, record(i, []byte(o.ID), o.AppendJSON(nil)))
	}
	s.published.fail = func(records []broker.Record) error {
		for i, r := range records {
			if r.Topic == "results" && bytes.Equal(r.Key, batch[1].Key) {
				return fmt.Errorf("publish: %w", &tooLarge{i})
			}
		}
		return nil
	}
	if err := s.worker.Handle(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	dead := s.published.of("dead")
	if len(dead) != 1 || len(s.published.of("results")) != 2 || headers(dead[0])[broker.HeaderRejectClass] != "too_large" ||
		!bytes.Equal(dead[0].Value, batch[1].Value) {
		t.Errorf("published %v", s.published.records)
	}
	s.published.fail = func(records []broker.Record) error { return &tooLarge{0} }
	if err := s.worker.Handle(t.Context(), []broker.Record{record(9, nil, []byte("junk"))}); err == nil ||
		!strings.Contains(err.Error(), "max.message.bytes of topic dead") {
		t.Errorf("a dead letter that is too large: %v", err)
	}
}

func TestARedrivenRecordKeepsItsFirstErrorAndCountsAttempts(t *testing.T) {
	s := newSetup(t)
	first := record(0, nil, []byte("junk"))
	for range 3 {
		if err := s.worker.Handle(t.Context(), []broker.Record{first}); err != nil {
			t.Fatal(err)
		}
		dead := s.published.records[len(s.published.records)-1]
		first = record(first.Offset+100, dead.Key, dead.Value, dead.Headers...) // as a redrive publishes it
	}
	h := headers(s.published.records[2])
	if h[broker.HeaderAttempt] != "3" || h[broker.HeaderErrorOffset] != "0" {
		t.Errorf("headers are %v", h)
	}
	if n := len(s.published.records[2].Headers); n != len(s.published.records[0].Headers) {
		t.Errorf("%d headers after three attempts, %d after one", n, len(s.published.records[0].Headers))
	}
}

func TestTheTraceIsCarriedOn(t *testing.T) {
	s := newSetup(t)
	o := ordergen.New(ordergen.Config{Seed: 11}).Next()
	trace := "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	if err := s.worker.Handle(t.Context(), []broker.Record{
		record(0, nil, o.AppendJSON(nil), broker.Header{Key: "traceparent", Value: []byte(trace)}),
	}); err != nil {
		t.Fatal(err)
	}
	if got := headers(s.published.records[0])["traceparent"]; got != trace {
		t.Errorf("traceparent is %q", got)
	}
}

// BenchmarkHandle is a batch's whole way but for Kafka.
func BenchmarkHandle(b *testing.B) {
	s := newSetup(b)
	orders := ordergen.New(ordergen.Config{Seed: 12})
	var batch []broker.Record
	for i := range int64(256) {
		o := orders.Next()
		batch = append(batch, record(i, []byte(o.ID), avroOrder(b, &o)))
	}
	b.ReportAllocs()
	for b.Loop() {
		s.published.records = s.published.records[:0]
		if err := s.worker.Handle(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(batch)), "us/event")
}
