package oip_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/scoring"
	"github.com/trendbuy/riskscorer/scoring/bundle"
	"github.com/trendbuy/riskscorer/scoring/leaves"
	"github.com/trendbuy/riskscorer/server/oip"
)

// unexplained serves the demo model with the engine that does not explain.
func unexplained(t *testing.T) *scoring.Scorer {
	t.Helper()
	b, err := bundle.Open("../../models/trendbuy_xgb_v1.0.0", bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	engine, err := leaves.New(b.Forest)
	if err != nil {
		t.Fatal(err)
	}
	return scoring.New(b, engine, scoring.NewMetrics(prometheus.NewRegistry()))
}

// TestAnswerWithoutExplanation: contributions are zeros of the right shape, and the answer says why.
func TestAnswerWithoutExplanation(t *testing.T) {
	s := unexplained(t)
	const request = `{"inputs": [{"name": "feature_discount_pct", "shape": [2], "datatype": "FP32", "data": [0.1, 0.2]},
		{"name": "feature_velocity_24h", "shape": [2, 1], "datatype": "INT64", "data": [[10], [8420]]},
		{"name": "feature_hours_since_trend_peak", "shape": [2], "datatype": "INT8", "data": [-3, 100]},
		{"name": "feature_device_type", "shape": [2], "datatype": "BYTES", "data": ["app", "mobile"]}]}`
	r, err := schemas.ParseInference([]byte(request), nil, s.Contract(), schemas.RefuseExtra)
	if err != nil {
		t.Fatal(err)
	}
	if err := oip.Check(s, r); err != nil {
		t.Fatal(err)
	}
	text, tail, err := oip.Answer(s, r, s.Decide(nil, r.Orders))
	if err != nil || tail != nil {
		t.Fatal(err, tail)
	}
	var a struct {
		Outputs []struct {
			Name  string
			Shape []int
			Data  []any
		}
	}
	if err := json.Unmarshal(text, &a); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, o := range a.Outputs {
		got[o.Name] = fmt.Sprint(o.Shape, o.Data)
	}
	if want := "[2 8] [" + strings.Repeat("0 ", 15) + "0]"; got["contributions"] != want {
		t.Errorf("contributions %s, want %s", got["contributions"], want)
	}
	if want := "[2] [GLOBAL GLOBAL]"; got["explanation"] != want {
		t.Errorf("explanation %s, want %s", got["explanation"], want)
	}
}

// TestContributionsAreBounded asks for them of as many orders as a wide model makes too much.
func TestContributionsAreBounded(t *testing.T) {
	const features, fits = 300, 1 << 18 / 300
	m := bundle.Manifest{Name: "wide", Version: "1"}
	for i := range features {
		m.Features = append(m.Features, bundle.Feature{Name: fmt.Sprint("f", i), Type: bundle.Number, Policy: bundle.Optional})
	}
	s := scoring.New(&bundle.Bundle{Manifest: m}, nil, scoring.NewMetrics(prometheus.NewRegistry()))
	for _, c := range []struct {
		orders  int
		outputs []string
		ok      bool
	}{
		{fits, nil, true},
		{fits + 1, nil, false},
		{fits + 1, []string{"margin", "contributions"}, false},
		{1000, []string{"margin", "top_contributors"}, true},
	} {
		r := &schemas.Inference{Orders: slices.Repeat([]scoring.Order{{}}, c.orders)}
		for _, name := range c.outputs {
			r.Outputs = append(r.Outputs, schemas.InferenceOutput{Name: name})
		}
		err := oip.Check(s, r)
		if invalid, refused := errors.AsType[*schemas.Invalid](err); refused == c.ok || refused && !strings.Contains(invalid.Error(), "contributions") {
			t.Errorf("%d orders, %v: %v", c.orders, c.outputs, err)
		}
	}
}
