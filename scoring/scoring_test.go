package scoring_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/trendbuy/riskscorer/scoring"
	"github.com/trendbuy/riskscorer/scoring/bundle"
)

const demo = "../models/trendbuy_xgb_v1.0.0"

// opened is the demo bundle, opened once: its golden rows take a while under the race detector.
var opened = sync.OnceValues(func() (*bundle.Bundle, error) { return bundle.Open(demo, bundle.Options{}) })

func openDemo(t testing.TB) *bundle.Bundle {
	t.Helper()
	b, err := opened()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func newScorer(t testing.TB, b *bundle.Bundle, engine scoring.Engine) (*scoring.Scorer, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewRegistry()
	return scoring.New(b, engine, scoring.NewMetrics(reg)), reg
}

// example is the order that the documents show.
func example(t testing.TB, c *scoring.Contract) scoring.Order {
	t.Helper()
	r := c.Fill(make([]float64, c.NumFeature()))
	r.Number("feature_discount_pct", 0.35)
	r.Number("feature_velocity_24h", 8420)
	r.Number("feature_hours_since_trend_peak", 6.5)
	r.Number("feature_creator_reliability", 0.22)
	r.Number("feature_cust_prior_return_rate_90d", 0.31)
	r.Number("feature_cust_avg_order_value_90d", 127.5)
	r.Number("feature_prod_size_fit_rate", 0.18)
	r.Text("feature_device_type", "mobile")
	if faults := r.Faults(); len(faults) > 0 {
		t.Fatal(faults)
	}
	return scoring.Order{ID: "ORD_12345", Row: r.Row()}
}

func texts(reasons []scoring.Reason) []string {
	var out []string
	for _, r := range reasons {
		out = append(out, r.Text)
	}
	return out
}

// TestWideModelsKeepTheirRows: LightGBM splits on float64, so that no row may be rounded to float32.
func TestWideModelsKeepTheirRows(t *testing.T) {
	b := *openDemo(t)
	b.Manifest.Model.Library = bundle.LightGBM
	s, _ := newScorer(t, &b, b.Forest)
	order := example(t, s.Contract())
	got := s.Decide(nil, []scoring.Order{order})[0].PredictionID
	if want := scoring.PredictionID(s.EngineID(), b.Digest, &order, false); got != want {
		t.Errorf("prediction id %s, want %s of the unrounded row", got, want)
	}
	if got == scoring.PredictionID(s.EngineID(), b.Digest, &order, true) {
		t.Error("the row is the same after rounding, so that nothing was tested")
	}
	r := s.Contract().Fill(make([]float64, s.Contract().NumFeature()))
	r.Number("feature_velocity_24h", 1e300)
	for _, fault := range r.Faults() {
		if fault.Feature == "feature_velocity_24h" {
			t.Errorf("a number beyond float32: %v", fault)
		}
	}
}

func TestTheExampleOrderIsHighForItsThreeReasons(t *testing.T) {
	b := openDemo(t)
	s, _ := newScorer(t, b, b.Forest)
	d := s.Decide(nil, []scoring.Order{example(t, s.Contract())})[0]
	if d.Score < 0.75 || d.Score > 0.87 || d.Band != scoring.High || d.Explanation != scoring.Exact {
		t.Errorf("score %v, band %s, explanation %s", d.Score, d.Band, d.Explanation)
	}
	want := []string{"High trend velocity", "Deep discount", "Prior customer return behavior"}
	if got := texts(d.Reasons); !slices.Equal(got, want) {
		t.Errorf("reasons are %q, want %q", got, want)
	}
	sum := d.Base
	for _, phi := range d.Contributions {
		sum += phi
	}
	if math.Abs(sum-d.Margin) > 1e-4 {
		t.Errorf("base and contributions add to %v, the margin is %v", sum, d.Margin)
	}
}

// goldenOrders are the bundle's golden rows as orders.
func goldenOrders(t testing.TB) ([]scoring.Order, []bundle.GoldenRow) {
	t.Helper()
	data, err := os.ReadFile(demo + "/golden.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var orders []scoring.Order
	var rows []bundle.GoldenRow
	for line := range strings.Lines(string(data)) {
		var g bundle.GoldenRow
		if err := json.Unmarshal([]byte(line), &g); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, g)
		orders = append(orders, scoring.Order{ID: "golden-" + strconv.Itoa(len(orders)), Row: g.Features()})
	}
	return orders, rows
}

// TestGoldenDecisions holds bands and reasons against the training library's own scores and contributions.
func TestGoldenDecisions(t *testing.T) {
	b := openDemo(t)
	s, reg := newScorer(t, b, b.Forest)
	orders, golden := goldenOrders(t)
	decisions := s.Decide(nil, orders)
	bands := map[scoring.Band]int{}
	for i := range decisions {
		d, g := &decisions[i], &golden[i]
		bands[d.Band]++
		want := scoring.High
		if g.Score < 0.4 {
			want = scoring.Low
		} else if g.Score < 0.65 {
			want = scoring.Medium
		}
		if d.Band != want || d.Margin != g.Margin {
			t.Errorf("row %d: margin %v, band %s; the library's margin is %v, so %s", i, d.Margin, d.Band, g.Margin, want)
		}
		phi := g.Contributions[:len(g.Contributions)-1]
		for j, r := range d.Reasons {
			f := slices.IndexFunc(b.Manifest.Features, func(f bundle.Feature) bool { return f.Name == r.Feature })
			rank := 0
			for _, x := range phi {
				if math.Abs(x) > math.Abs(phi[f])+1e-5 {
					rank++
				}
			}
			if rank > j {
				t.Errorf("row %d: reason %d is %s, which the library ranks %d", i, j, r.Feature, rank)
			}
			reason := b.Manifest.Features[f].Reason
			text := reason.Raises
			if g.Row[f] == nil {
				text = reason.Missing
			} else if r.Contribution < 0 {
				text = reason.Lowers
			}
			if r.Text != text || r.Code != reason.Code {
				t.Errorf("row %d: reason %+v, want code %s, text %q", i, r, reason.Code, text)
			}
		}
	}
	if len(bands) != 3 {
		t.Errorf("golden rows fall into bands %v, want all three", bands)
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("metrics lint: %v %v", problems, err)
	}
}

// TestBatchesAndSinglesAgree: neither an order's neighbours nor what the scorer did before show in its decision.
func TestBatchesAndSinglesAgree(t *testing.T) {
	b := openDemo(t)
	s, _ := newScorer(t, b, b.Forest)
	orders, _ := goldenOrders(t)
	batch := s.Decide(nil, orders)
	for _, i := range []int{0, 1, 17, len(orders) - 1} {
		single := s.Decide(nil, orders[i:i+1])[0]
		got, want := fmt.Sprintf("%+v", single), fmt.Sprintf("%+v", batch[i])
		if got != want {
			t.Errorf("row %d alone is %s, in a batch %s", i, got, want)
		}
	}
}

// mute is the forest without its explanations, as an engine is that cannot explain.
type mute struct{ scoring.Engine }

func (mute) ID() string     { return "mute/1" }
func (mute) Explains() bool { return false }

func TestAnEngineThatCannotExplainGivesGlobalReasonsWithoutDirection(t *testing.T) {
	b := openDemo(t)
	exact, _ := newScorer(t, b, b.Forest)
	s, _ := newScorer(t, b, mute{b.Forest})
	order := example(t, s.Contract())
	d := s.Decide(nil, []scoring.Order{order})[0]
	if d.Explanation != scoring.Global || len(d.Reasons) != scoring.TopReasons || d.Contributions != nil {
		t.Errorf("explanation %s, %d reasons, contributions %v", d.Explanation, len(d.Reasons), d.Contributions)
	}
	for _, r := range d.Reasons {
		for _, f := range b.Manifest.Features {
			if r.Text == f.Reason.Raises || r.Text == f.Reason.Lowers {
				t.Errorf("%s: text %q claims a direction", r.Feature, r.Text)
			}
		}
	}
	e := exact.Decide(nil, []scoring.Order{order})[0]
	if d.Score != e.Score || d.PredictionID == e.PredictionID {
		t.Errorf("score %v and %v must be equal, prediction ids %s and %s must differ", d.Score, e.Score, d.PredictionID, e.PredictionID)
	}
}

func TestRoundingAndBands(t *testing.T) {
	tests := []struct {
		score, rounded float64
		band           scoring.Band
	}{
		{0.39996, 0.4, scoring.Low}, // the band is the unrounded score's
		{0.4, 0.4, scoring.Medium},
		{0.64999, 0.65, scoring.Medium},
		{0.65, 0.65, scoring.High},
		{0.00005, 0.0001, scoring.Low},    // the double lies above the half
		{0.00015, 0.0001, scoring.Low},    // and here below it, as Python's round(0.00015, 4) says
		{0.12345, 0.1235, scoring.Low},    // above
		{0.00390625, 0.0039, scoring.Low}, // exact in binary
		{1, 1, scoring.High},
		{0, 0, scoring.Low},
	}
	b := openDemo(t)
	for _, tt := range tests {
		s, _ := newScorer(t, b, fixed{tt.score})
		d := s.Decide(nil, []scoring.Order{example(t, s.Contract())})[0]
		if d.RiskScore != tt.rounded || d.Band != tt.band {
			t.Errorf("score %v gives %v %s, want %v %s", tt.score, d.RiskScore, d.Band, tt.rounded, tt.band)
		}
	}
}

// fixed is an engine of one score, to place scores exactly.
type fixed struct{ score float64 }

func (fixed) ID() string                     { return "fixed/1" }
func (fixed) MarginsTo(dst, _ []float64)     { clear(dst) }
func (fixed) Explains() bool                 { return false }
func (fixed) ContributionsTo(_, _ []float64) {}
func (f fixed) PredictionsTo(d, _ []float64) {
	for i := range d {
		d[i] = f.score
	}
}

// TestPredictionIDVectors: the vectors are computed by Python (training/, command vectors).
func TestPredictionIDVectors(t *testing.T) {
	data, err := os.ReadFile("testdata/prediction_ids.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Engine       string     `json:"engine"`
		OrderID      string     `json:"order_id"`
		EventVersion int64      `json:"event_version"`
		ModelDigest  string     `json:"model_digest"`
		Row          []*float64 `json:"row"`
		Float32      bool       `json:"float32"`
		PredictionID string     `json:"prediction_id"`
		InputDigest  string     `json:"input_digest"`
	}
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) < 10 {
		t.Fatalf("%d vectors", len(vectors))
	}
	for i, v := range vectors {
		var digest bundle.Digest
		if n, err := hex.Decode(digest[:], []byte(v.ModelDigest)); err != nil || n != len(digest) {
			t.Fatal(err)
		}
		row := (&bundle.GoldenRow{Row: v.Row}).Features()
		got := scoring.PredictionID(v.Engine, digest, &scoring.Order{ID: v.OrderID, Version: v.EventVersion, Row: row}, v.Float32)
		if got != v.PredictionID {
			t.Errorf("vector %d (%s): %s, want %s", i, v.OrderID, got, v.PredictionID)
		}
		if got := scoring.InputDigest(row, v.Float32); got != v.InputDigest {
			t.Errorf("vector %d: input digest %s, want %s", i, got, v.InputDigest)
		}
	}
}

func TestValuesOutsideTheSeenRangeAreScoredAndCounted(t *testing.T) {
	b := openDemo(t)
	s, reg := newScorer(t, b, b.Forest)
	inside, outside := example(t, s.Contract()), example(t, s.Contract())
	outside.Row[1] = 2 * *b.Manifest.Features[1].Seen.Max
	outside.Row[3] = math.NaN() // missing is not outside
	if n := len(s.Decide(nil, []scoring.Order{inside, outside})); n != 2 {
		t.Fatalf("%d decisions", n)
	}
	want := `# HELP riskscorer_feature_outside_seen_total Scored values outside the range that the model saw in training, by feature.
# TYPE riskscorer_feature_outside_seen_total counter
riskscorer_feature_outside_seen_total{feature="feature_velocity_24h"} 1
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}
