package main

import (
	"log/slog"
	"math"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/scoring"
	"github.com/trendbuy/riskscorer/scoring/bundle"
)

// The events are what the service takes under the pinned schema, and as large as the page says.
func TestEventsDecode(t *testing.T) {
	b, err := bundle.Open("../../models/trendbuy_xgb_v1.0.0", bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	schema, err := orderSchema()
	if err != nil {
		t.Fatal(err)
	}
	scorer := scoring.New(b, b.Forest, scoring.NewMetrics(prometheus.NewRegistry()))
	decoder := schemas.NewDecoder(scorer.Contract(), pinned(schema), schemas.RefuseExtra, slog.New(slog.DiscardHandler))
	events, bytes := newSource(), 0
	const n = 1000
	for i := range n {
		r := events.next()
		order, err := decoder.Decode(t.Context(), r.Key, r.Value)
		if err != nil {
			t.Fatalf("event %d: %v", i, err)
		}
		if order.ID != string(r.Key) || order.OccurredAt.IsZero() {
			t.Errorf("event %d is of order %q at %v, want %q", i, order.ID, order.OccurredAt, r.Key)
		}
		bytes += len(r.Key) + len(r.Value)
	}
	if mean := bytes / n; mean < 270 || mean > 330 {
		t.Errorf("%d bytes an event, the page says about 300", mean)
	}
}

func TestCompareFindsTheLargestDifference(t *testing.T) {
	ours := map[string]float64{"a": 0.5, "b": 0.25, "c": 1}
	if got := compare(ours, map[string]float64{"a": 0.5, "b": 0.5, "d": 9}); got != 0.25 {
		t.Errorf("difference %v, want 0.25", got)
	}
	if got := compare(ours, map[string]float64{"d": 1}); !math.IsNaN(got) {
		t.Errorf("difference %v of nothing in common, want NaN", got)
	}
}
