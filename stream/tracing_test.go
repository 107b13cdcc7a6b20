package stream_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/ordergen"
	"github.com/trendbuy/riskscorer/stream"
)

// However many events an upstream samples, few of a batch have spans of their own; the others' traces are carried on as
// they came, and the values of results are the same with tracing and without.
func TestTheSpansOfABatchAreBounded(t *testing.T) {
	s, models := newSetup(t), new(replaceable)
	models.replace(s, "one")
	ended := tracetest.NewSpanRecorder()
	provider := trace.NewTracerProvider(trace.WithSpanProcessor(ended))
	published := &topics{}
	pipeline := stream.New(config, models, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	worker := pipeline.Worker(published)
	batch := (&events{orders: ordergen.New(ordergen.Config{Seed: 120})}).batch(100, none)
	for i := range batch {
		batch[i].Headers = []broker.Header{{Key: broker.HeaderTraceparent, Value: fmt.Appendf(nil, "00-%032x-%016x-01", i+1, i+1)}}
	}
	if err := worker.Handle(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	plain := published.records
	published.records = nil
	pipeline.Trace(provider.Tracer("test"))
	if err := worker.Handle(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if n := len(ended.Ended()); n != 17 {
		t.Errorf("%d spans of a batch", n)
	}
	own := 0
	for i, r := range published.records {
		if string(r.Value) != string(plain[i].Value) {
			t.Fatalf("tracing changes %s to %s", plain[i].Value, r.Value)
		}
		before, after := headers(plain[i])[broker.HeaderTraceparent], headers(r)[broker.HeaderTraceparent]
		if before != string(batch[i].Headers[0].Value) || before[:36] != after[:36] || !strings.HasSuffix(after, "-01") {
			t.Errorf("%s became %s", before, after)
		}
		if before != after {
			own++
		}
	}
	if own != 16 {
		t.Errorf("%d results have a span of their own as parent", own)
	}
}

// BenchmarkHandleTraced is BenchmarkHandle with a tracer and no event that is sampled, for comparison.
func BenchmarkHandleTraced(b *testing.B) {
	s := newSetup(b)
	s.pipeline.Trace(trace.NewTracerProvider().Tracer("test"))
	batch := (&events{orders: ordergen.New(ordergen.Config{Seed: 12})}).batch(256, none)
	b.ReportAllocs()
	for b.Loop() {
		s.published.records = s.published.records[:0]
		if err := s.worker.Handle(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
}
