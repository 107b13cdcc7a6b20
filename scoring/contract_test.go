package scoring_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/trendbuy/riskscorer/scoring"
	"github.com/trendbuy/riskscorer/scoring/bundle"
)

func testContract() *scoring.Contract {
	return scoring.NewContract(&bundle.Manifest{Features: []bundle.Feature{
		{Name: "discount", Type: bundle.Number, Policy: bundle.Required, Allowed: bundle.Range{Min: new(float64(0)), Max: new(float64(1))}},
		{Name: "velocity", Type: bundle.Number, Policy: bundle.Required, Allowed: bundle.Range{Min: new(float64(0))}},
		{Name: "reliability", Type: bundle.Number, Policy: bundle.Optional},
		{Name: "device", Type: bundle.Category, Policy: bundle.Required, Categories: []string{"app", "mobile"}},
		{Name: "channel", Type: bundle.Category, Policy: bundle.Optional, Categories: []string{"ad", "other"}, UnknownCategory: "other"},
	}})
}

func TestFillingARow(t *testing.T) {
	good := func(r *scoring.Filling) {
		r.Number("discount", 0.5)
		r.Number("velocity", 10)
		r.Text("device", "mobile")
	}
	tests := []struct {
		name string
		fill func(r *scoring.Filling)
		want []float64 // nil if refused
		says []string  // the faults, in order
	}{
		{"complete, in any order", func(r *scoring.Filling) {
			r.Text("channel", "ad")
			r.Number("reliability", -3)
			good(r)
		}, []float64{0.5, 10, -3, 1, 0}, nil},
		{"optional ones missing", good, []float64{0.5, 10, math.NaN(), 1, math.NaN()}, nil},
		{"null is missing", func(r *scoring.Filling) { good(r); r.Null("reliability") }, []float64{0.5, 10, math.NaN(), 1, math.NaN()}, nil},
		{"an unknown category that the bundle maps", func(r *scoring.Filling) { good(r); r.Text("channel", "radio") }, []float64{0.5, 10, math.NaN(), 1, 1}, nil},
		{"bounds are inclusive", func(r *scoring.Filling) {
			r.Number("discount", 1)
			r.Number("velocity", 0)
			r.Text("device", "app")
		}, []float64{1, 0, math.NaN(), 0, math.NaN()}, nil},
		{"nothing", func(*scoring.Filling) {}, nil, []string{
			"discount: is required and missing", "velocity: is required and missing", "device: is required and missing",
		}},
		{"null for a required one", func(r *scoring.Filling) {
			r.Number("discount", 0)
			r.Number("velocity", 1)
			r.Null("device")
		}, nil, []string{"device: is required and missing"}},
		{"faults in training order", func(r *scoring.Filling) {
			r.Text("device", "tv")
			r.Wrong("reliability", "a boolean")
			r.Text("velocity", "10")
			r.Number("discount", 35)
		}, nil, []string{
			"discount: is outside its allowed range [0, 1]", "velocity: must be a number",
			"reliability: is a boolean, must be a number", `device: is not one of its categories ["app" "mobile"]`,
		}},
		{"a number for a category", func(r *scoring.Filling) { good(r); r.Number("channel", 1) }, nil, []string{"channel: must be text: one of its categories"}},
		{"NaN", func(r *scoring.Filling) { good(r); r.Number("reliability", math.NaN()) }, nil, []string{"reliability: is not a finite number; a missing value is null or absent"}},
		{"infinity", func(r *scoring.Filling) { good(r); r.Number("reliability", math.Inf(-1)) }, nil, []string{"reliability: is not a finite number; a missing value is null or absent"}},
		{"too large for float32", func(r *scoring.Filling) { good(r); r.Number("reliability", 1e39) }, nil, []string{"reliability: is too large for the model's 32-bit floating point"}},
		{"half-open range", func(r *scoring.Filling) {
			good(r)
			r.Number("velocity", -1)
		}, nil, []string{"velocity: is outside its allowed range (from 0)"}},
		{"category with other case", func(r *scoring.Filling) { good(r); r.Text("device", "Mobile") }, nil, []string{`device: is not one of its categories ["app" "mobile"]`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := testContract()
			r := c.Fill(make([]float64, c.NumFeature()))
			tt.fill(&r)
			var says []string
			for _, f := range r.Faults() {
				says = append(says, f.Error())
			}
			if !slices.Equal(says, tt.says) {
				t.Fatalf("faults are %q, want %q", says, tt.says)
			}
			if tt.want != nil && fmt.Sprint(r.Row()) != fmt.Sprint(tt.want) {
				t.Errorf("row is %v, want %v", r.Row(), tt.want)
			}
		})
	}
}

func TestUnknownFeaturesNameTheNearest(t *testing.T) {
	c := testContract()
	r := c.Fill(make([]float64, c.NumFeature()))
	r.Number("discuont", 1)
	r.Null("zzzzzzzzzzzzzzzz")
	if got := r.Unknown(); !slices.Equal(got, []string{"discuont", "zzzzzzzzzzzzzzzz"}) {
		t.Errorf("unknown are %q", got)
	}
	if got := c.UnknownFault("discuont").Detail; !strings.Contains(got, `did you mean "discount"?`) {
		t.Errorf("says %q", got)
	}
	if got := c.UnknownFault("zzzzzzzzzzzzzzzz").Detail; strings.Contains(got, "did you mean") {
		t.Errorf("says %q", got)
	}
}
