package server_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/trendbuy/riskscorer/scoring/bundle"
	"github.com/trendbuy/riskscorer/server"
)

// decision is the answer to one order; batch items may be problems instead.
type decision struct {
	OrderID         string   `json:"order_id"`
	RiskScore       float64  `json:"risk_score"`
	RiskBand        string   `json:"risk_band"`
	ModelVersion    string   `json:"model_version"`
	TopContributors []string `json:"top_contributors"`
	PredictionID    string   `json:"prediction_id"`
	Explanation     string   `json:"explanation"`

	Margin  float64 `json:"margin"`
	Base    float64 `json:"base_value"`
	Reasons []struct {
		Code, Text, Feature string
		Contribution        float64
	} `json:"reasons"`

	Type     string `json:"type"`
	Status   int    `json:"status"`
	Instance string `json:"instance"`
	Errors   []struct{ Pointer, Detail string }
}

func decode[T any](tb testing.TB, a answer) T {
	tb.Helper()
	var v T
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		tb.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	return v
}

func (r *running) decide(tb testing.TB, body string) decision {
	tb.Helper()
	a := r.post(tb, "/score", body)
	if a.status != http.StatusOK {
		tb.Fatalf("%d %s, want 200", a.status, a.body)
	}
	return decode[decision](tb, a)
}

func TestScoreAnswersTheExample(t *testing.T) {
	r := start(t)
	a := r.post(t, "/score", example)
	d := decode[decision](t, a)
	if d.RiskBand != "HIGH" || d.RiskScore < 0.75 || d.RiskScore > 0.87 || d.Explanation != "EXACT" {
		t.Errorf("decision %+v, want HIGH between 0.75 and 0.87, EXACT", d)
	}
	if want := []string{"High trend velocity", "Deep discount", "Prior customer return behavior"}; !slices.Equal(d.TopContributors, want) {
		t.Errorf("top contributors %q, want %q", d.TopContributors, want)
	}
	// Names, types and order are the replaced server's, then ours.
	want := fmt.Sprintf(`{"order_id":"ORD_12345","risk_score":%v,"risk_band":"HIGH","model_version":"trendbuy_xgb_v1.0.0",`+
		`"top_contributors":["High trend velocity","Deep discount","Prior customer return behavior"],"prediction_id":%q,"explanation":"EXACT"}`,
		d.RiskScore, d.PredictionID)
	if a.body != want {
		t.Errorf("answer\n%s\nwant\n%s", a.body, want)
	}
	if got := a.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type %q", got)
	}
}

func TestExplainFullAddsUp(t *testing.T) {
	r := start(t)
	a := r.post(t, "/score?explain=full&utm=x", example)
	d := decode[decision](t, a)
	sum := d.Base
	for i, reason := range d.Reasons {
		sum += reason.Contribution
		if i > 0 && math.Abs(reason.Contribution) > math.Abs(d.Reasons[i-1].Contribution) {
			t.Errorf("reason %d is stronger than the one before it", i)
		}
	}
	if len(d.Reasons) != 8 || math.Abs(sum-d.Margin) > 1e-5 {
		t.Errorf("%d reasons that add to %v, want 8 that add to the margin %v", len(d.Reasons), sum, d.Margin)
	}
	short := decode[decision](t, r.post(t, "/score?explain=some&explain=full", example))
	if short.Reasons != nil || short.PredictionID != d.PredictionID {
		t.Errorf("another explain value gives %+v, want the short answer with the same id", short)
	}
}

// TestSameContentSameDecision writes one order in many ways; each is the same prediction.
func TestSameContentSameDecision(t *testing.T) {
	r := start(t)
	want := r.decide(t, example)
	var order struct {
		Features map[string]json.RawMessage `json:"features"`
	}
	if err := json.Unmarshal([]byte(example), &order); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	names := make([]string, 0, len(order.Features))
	for name := range order.Features {
		names = append(names, name)
	}
	slices.Sort(names)
	bodies := []string{
		strings.Replace(example, "0.35", "35e-2", 1),
		strings.Replace(example, "8420", "8420.0", 1),
		strings.Replace(example, `"ORD_12345"`, `"\u004fRD_12345"`, 1),
		strings.Replace(example, `"feature_device_type"`, `"feature\u005fdevice_type"`, 1),
		strings.Replace(example, `"order_id"`, `"event_version": 0, "occurred_at": "2026-11-22T10:00:00Z", "order_id"`, 1),
		strings.Replace(example, `"order_id"`, `"event_version": null, "occurred_at": null, "order_id"`, 1),
		strings.ReplaceAll(example, "\n", " \r\n\t"),
	}
	for range 20 {
		random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		var b strings.Builder
		for i, name := range names {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, "%q:%s", name, order.Features[name])
		}
		bodies = append(bodies, `{"features":{`+b.String()+`},"order_id":"ORD_12345"}`)
	}
	for _, body := range bodies {
		if got := r.decide(t, body); got.PredictionID != want.PredictionID || got.RiskScore != want.RiskScore ||
			!slices.Equal(got.TopContributors, want.TopContributors) {
			t.Errorf("%s\ngives %+v, want %+v", body, got, want)
		}
	}
	for _, other := range []string{
		strings.Replace(example, "ORD_12345", "ORD_12346", 1),
		strings.Replace(example, `"order_id"`, `"event_version": 1, "order_id"`, 1),
		strings.Replace(example, "0.35", "0.36", 1),
	} {
		if got := r.decide(t, other); got.PredictionID == want.PredictionID {
			t.Errorf("%s has the prediction id of another order", other)
		}
	}
}

// TestMissingFeatures leaves optional features out, as null and by absence: it is the same.
func TestMissingFeatures(t *testing.T) {
	r := start(t)
	null := r.decide(t, strings.Replace(example, "0.31", "null", 1))
	absent := r.decide(t, strings.Replace(example, `"feature_cust_prior_return_rate_90d": 0.31,`, "", 1))
	if null.PredictionID != absent.PredictionID || null.PredictionID == r.decide(t, example).PredictionID {
		t.Errorf("null gives %+v, absence %+v", null, absent)
	}
	if slices.Contains(null.TopContributors, "Prior customer return behavior") {
		t.Errorf("a customer without purchases has %q", null.TopContributors)
	}
}

// golden reads the training library's own numbers for the demo model.
func golden(tb testing.TB) []bundle.GoldenRow {
	tb.Helper()
	data, err := os.ReadFile(demoPath + "/golden.jsonl")
	if err != nil {
		tb.Fatal(err)
	}
	var rows []bundle.GoldenRow
	for line := range strings.Lines(string(data)) {
		var g bundle.GoldenRow
		if err := json.Unmarshal([]byte(line), &g); err != nil {
			tb.Fatal(err)
		}
		rows = append(rows, g)
	}
	return rows
}

// orderOf writes a row as a client would: features by name, categories by name, missing ones left out.
func orderOf(tb testing.TB, id int, row []*float64) string {
	tb.Helper()
	model, err := demo()
	if err != nil {
		tb.Fatal(err)
	}
	features := map[string]any{}
	for i, f := range model.scorer.Contract().Features() {
		switch {
		case row[i] == nil:
		case f.Type == bundle.Category:
			features[f.Name] = f.Categories[int(*row[i])]
		default:
			features[f.Name] = *row[i]
		}
	}
	body, err := json.Marshal(map[string]any{"order_id": "ORD_" + strconv.Itoa(id), "features": features})
	if err != nil {
		tb.Fatal(err)
	}
	return string(body)
}

// scoreAll scores rows in one batch.
func (r *running) scoreAll(tb testing.TB, rows []bundle.GoldenRow) []decision {
	tb.Helper()
	orders := make([]string, len(rows))
	for i := range rows {
		orders[i] = orderOf(tb, i, rows[i].Row)
	}
	a := r.post(tb, "/score/batch", "["+strings.Join(orders, ",")+"]")
	if a.status != http.StatusOK {
		tb.Fatalf("%d %s", a.status, a.body)
	}
	decisions := decode[[]decision](tb, a)
	if len(decisions) != len(rows) {
		tb.Fatalf("%d answers to %d orders", len(decisions), len(rows))
	}
	return decisions
}

// strongest are the features of the k largest |contributions|, as the training library has them.
func strongest(g *bundle.GoldenRow, k int) []int {
	phi := g.Contributions[:len(g.Contributions)-1]
	order := make([]int, len(phi))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch x, y := math.Abs(phi[a]), math.Abs(phi[b]); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	return order[:k]
}

// TestReplacedServerMistakes shows that the three mistakes of the replaced server are not made here.
func TestReplacedServerMistakes(t *testing.T) {
	r := start(t)
	rows := golden(t)
	decisions := r.scoreAll(t, rows)
	model, err := demo()
	if err != nil {
		t.Fatal(err)
	}
	features := model.scorer.Contract().Features()
	device := slices.IndexFunc(features, func(f bundle.Feature) bool { return f.Name == "feature_device_type" })

	t.Run("its own example is scored, not status 500", func(t *testing.T) {
		if a := r.post(t, "/score", example); a.status != http.StatusOK {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
	t.Run("each device type is its own category", func(t *testing.T) {
		devices, moved, others := map[float64]bool{}, 0, 0
		for i, g := range rows {
			devices[*g.Row[device]] = true
			if got, want := decisions[i].RiskScore, math.RoundToEven(g.Score*1e4)/1e4; math.Abs(got-want) > 1e-9 {
				t.Errorf("golden row %d: risk score %v, the training library says %v", i+1, got, want)
			}
			if *g.Row[device] == 0 {
				continue
			}
			others++
			row := slices.Clone(g.Row)
			row[device] = new(0.0)
			if r.decide(t, orderOf(t, i, row)).RiskScore != decisions[i].RiskScore {
				moved++
			}
		}
		if len(devices) != len(features[device].Categories) {
			t.Errorf("the golden rows hold %d of %d device types", len(devices), len(features[device].Categories))
		}
		// Were every device category 0, none would move.
		if moved < others/2 {
			t.Errorf("only %d of %d orders score differently as category 0", moved, others)
		}
		scores := map[float64]string{}
		for _, name := range features[device].Categories {
			scores[r.decide(t, strings.Replace(example, "mobile", name, 1)).RiskScore] = name
		}
		if len(scores) < 3 {
			t.Errorf("the example on %d devices has the scores %v", len(features[device].Categories), scores)
		}
	})
	t.Run("reasons are the order's own, not global", func(t *testing.T) {
		sets := map[string]bool{}
		for i := range rows {
			texts := decisions[i].TopContributors
			sets[strings.Join(texts, "|")] = true
			for rank, f := range strongest(&rows[i], len(texts)) {
				reason := features[f].Reason
				want := reason.Raises
				if rows[i].Row[f] == nil {
					want = reason.Missing
				} else if rows[i].Contributions[f] < 0 {
					want = reason.Lowers
				}
				if texts[rank] != want {
					t.Errorf("golden row %d: reason %d is %q, the training library's contributions say %q", i+1, rank+1, texts[rank], want)
				}
			}
		}
		if len(sets) < 20 {
			t.Errorf("%d orders have %d different lists of reasons", len(rows), len(sets))
		}
	})
}

func TestDecisionsAreTheSameOneByOneAndInABatch(t *testing.T) {
	r := start(t)
	rows := golden(t)[:50]
	for i, want := range r.scoreAll(t, rows) {
		got := r.decide(t, orderOf(t, i, rows[i].Row))
		if got.PredictionID != want.PredictionID || got.RiskScore != want.RiskScore || !slices.Equal(got.TopContributors, want.TopContributors) {
			t.Errorf("order %d: alone %+v, in a batch %+v", i, got, want)
		}
	}
}

func TestBatchAnswersItemByItem(t *testing.T) {
	r := start(t)
	bad := strings.Replace(strings.Replace(example, "0.35", "35", 1), "ORD_12345", "ORD_BAD", 1)
	a := r.post(t, "/score/batch", "["+example+","+bad+",7,"+strings.Replace(example, "ORD_12345", "", 1)+","+example+"]")
	items := decode[[]decision](t, a)
	if a.status != http.StatusOK || len(items) != 5 {
		t.Fatalf("%d %s, want 5 items", a.status, a.body)
	}
	alone := r.decide(t, example)
	for _, i := range []int{0, 4} {
		if items[i].PredictionID != alone.PredictionID {
			t.Errorf("item %d: %+v, want %+v", i, items[i], alone)
		}
	}
	for i, want := range map[int]struct{ id, pointer string }{
		1: {"ORD_BAD", "/features/feature_discount_pct"}, 2: {"", ""}, 3: {"", "/order_id"},
	} {
		item := items[i]
		if item.Status != http.StatusUnprocessableEntity || item.OrderID != want.id || len(item.Errors) != 1 ||
			item.Errors[0].Pointer != want.pointer || item.Instance != fmt.Sprintf("/score/batch#/%d", i) {
			t.Errorf("item %d: %+v, want a problem of %q at %q", i, item, want.id, want.pointer)
		}
	}
}

func TestBatchOfOnlyBadItems(t *testing.T) {
	r := start(t)
	if a := r.post(t, "/score/batch", "[1,{}]"); a.status != http.StatusOK || len(decode[[]decision](t, a)) != 2 {
		t.Errorf("%d %s, want two problems", a.status, a.body)
	}
}

func TestBatchSizes(t *testing.T) {
	r := start(t)
	small := strings.Join(strings.Fields(example), "")
	for n, want := range map[int]int{0: 422, 1: 200, 1000: 200, 1001: 422} {
		body := "[" + strings.TrimSuffix(strings.Repeat(small+",", n), ",") + "]"
		a := r.post(t, "/score/batch", body)
		if a.status != want {
			t.Errorf("%d orders: %d, want %d", n, a.status, want)
		}
		if want == http.StatusOK && len(decode[[]decision](t, a)) != n {
			t.Errorf("%d orders: another number of answers", n)
		}
	}
}

func TestNoModelYet(t *testing.T) {
	r := start(t, func(_ *server.Config, p *server.Parts) { p.Models = serving{} })
	for _, path := range []string{"/score", "/score/batch"} {
		a := r.post(t, path, example)
		if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
			t.Errorf("%s: %d, Retry-After %q, want 503 with it", path, a.status, a.header.Get("Retry-After"))
		}
	}
	if a := r.get(t, r.Scoring, "/openapi.json"); a.status != http.StatusServiceUnavailable {
		t.Errorf("/openapi.json: %d, want 503", a.status)
	}
	if a := r.get(t, r.Scoring, "/health/ready"); a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "no model") {
		t.Errorf("/health/ready: %d %s, want 503 with the reason", a.status, a.body)
	}
	if a := r.get(t, r.Scoring, "/health/live"); a.status != http.StatusOK {
		t.Errorf("/health/live: %d, want 200", a.status)
	}
}
