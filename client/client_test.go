package client_test

import (
	"errors"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trendbuy/riskscorer/client"
)

func TestScore(t *testing.T) {
	c := connect(t, start(t).address, client.Config{})
	got, err := c.Score(t.Context(), example())
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{"High trend velocity", "Deep discount", "Prior customer return behavior"}
	if !slices.Equal(got.TopContributors, texts) {
		t.Errorf("contributors %q, want %q", got.TopContributors, texts)
	}
	got.TopContributors = nil
	want := client.Decision{
		OrderID: "ORD_12345", RiskScore: 0.797, RiskBand: client.High, ModelVersion: "trendbuy_xgb_v1.0.0",
		PredictionID: "18db5306398d31f42bb87f712e9ca8d0", Explanation: client.Exact,
	}
	if got.RiskScore != want.RiskScore || got.PredictionID != want.PredictionID || got.OrderID != want.OrderID ||
		got.RiskBand != want.RiskBand || got.ModelVersion != want.ModelVersion || got.Explanation != want.Explanation {
		t.Errorf("got %+v, want %+v", got, want)
	}
	later := example()
	later.OrderID, later.EventVersion, later.OccurredAt = "ORD_2", 2, time.Date(2026, 11, 23, 5, 0, 0, 0, time.UTC)
	second, err := c.Score(t.Context(), later)
	if err != nil || second.PredictionID == want.PredictionID || second.RiskScore != want.RiskScore || second.OrderID != "ORD_2" {
		t.Errorf("another order of the same features: %+v, %v; want the same score and another prediction id", second, err)
	}
}

func TestExplain(t *testing.T) {
	c := connect(t, start(t).address, client.Config{})
	got, err := c.Explain(t.Context(), example())
	if err != nil {
		t.Fatal(err)
	}
	sum := got.BaseValue
	for _, r := range got.Reasons {
		sum += r.Contribution
	}
	if len(got.Reasons) != 8 || math.Abs(sum-got.Margin) > 1e-5 || math.Abs(got.Margin-1.3674147) > 1e-6 {
		t.Errorf("base value and %d contributions make %v, the margin is %v, want 8 and 1.3674147", len(got.Reasons), sum, got.Margin)
	}
	if got.Engine == "" || len(got.ModelDigest) != 64 || got.Reasons[0].Feature == "" || got.Reasons[0].Code == "" || got.Reasons[0].Text == "" {
		t.Errorf("engine %q, digest %q, first reason %+v", got.Engine, got.ModelDigest, got.Reasons[0])
	}
}

func TestProblemNamesTheFaults(t *testing.T) {
	f := misbehave(t, pass(start(t)))
	c := connect(t, f.address, client.Config{})
	order := example()
	order.Features["feature_discount_pct"] = 35
	order.Features["feature_device_type"] = "fridge"
	_, err := c.Score(t.Context(), order)
	var p *client.Problem
	if !errors.As(err, &p) {
		t.Fatalf("error %v, want a problem", err)
	}
	pointers := make([]string, len(p.Errors))
	for i, fault := range p.Errors {
		pointers[i] = fault.Pointer
		if fault.Detail == "" {
			t.Errorf("%s has no detail", fault.Pointer)
		}
	}
	slices.Sort(pointers)
	want := []string{"/features/feature_device_type", "/features/feature_discount_pct"}
	if p.Status != http.StatusUnprocessableEntity || !strings.HasSuffix(p.Type, "#invalid-order") || !slices.Equal(pointers, want) {
		t.Errorf("problem %+v, want 422 with the pointers %q", p, want)
	}
	if text := err.Error(); strings.Contains(text, "fridge") || !strings.Contains(text, "422") {
		t.Errorf("the error's text is %q, want the status, and no feature's value", text)
	}
	if _, requests := f.seen(); requests != 1 {
		t.Errorf("%d requests for an order that stays wrong, want 1", requests)
	}
}

func TestScoreBatchAnswersItemByItem(t *testing.T) {
	c := connect(t, start(t).address, client.Config{})
	bad, other := example(), example()
	bad.OrderID, bad.Features = "ORD_BAD", map[string]any{"feature_discount_pct": nil}
	other.OrderID = "ORD_OTHER"
	items, err := c.ScoreBatch(t.Context(), []client.Order{example(), bad, other})
	if err != nil {
		t.Fatal(err)
	}
	if items[0].Problem != nil || items[0].Decision.PredictionID != "18db5306398d31f42bb87f712e9ca8d0" {
		t.Errorf("first item %+v, want the decision that /score makes", items[0])
	}
	if p := items[1].Problem; p == nil || p.Status != 422 || p.OrderID != "ORD_BAD" || len(p.Errors) == 0 || items[1].Decision.RiskBand != "" {
		t.Errorf("second item %+v, want a problem of 422", items[1])
	}
	if items[2].Problem != nil || items[2].Decision.OrderID != "ORD_OTHER" {
		t.Errorf("third item %+v, want a decision", items[2])
	}
	orders := make([]client.Order, client.MaxBatch)
	for i := range orders {
		orders[i] = example()
	}
	if items, err = c.ScoreBatch(t.Context(), orders); err != nil || len(items) != client.MaxBatch {
		t.Errorf("the largest batch: %d items, %v", len(items), err)
	}
}

// What cannot be an order is refused before anything is sent.
func TestOrdersThatAreNoJSONAreNotSent(t *testing.T) {
	f := misbehave(t, hangUp)
	c := connect(t, f.address, client.Config{})
	nan, text := example(), example()
	nan.Features["feature_velocity_24h"] = math.NaN()
	text.Features["feature_device_type"] = "fridge\xff"
	for name, order := range map[string]client.Order{"NaN": nan, "no UTF-8": text} {
		if _, err := c.Score(t.Context(), order); err == nil || strings.Contains(err.Error(), "fridge") {
			t.Errorf("%s: %v, want an error without the value", name, err)
		}
	}
	for _, n := range []int{0, client.MaxBatch + 1} {
		if _, err := c.ScoreBatch(t.Context(), make([]client.Order, n)); err == nil {
			t.Errorf("a batch of %d: no error", n)
		}
	}
	if connections, _ := f.seen(); connections != 0 {
		t.Errorf("%d connections, want none", connections)
	}
}

func TestConnectionsAreReused(t *testing.T) {
	f := misbehave(t, pass(start(t)))
	c := connect(t, f.address, client.Config{})
	for range 50 {
		if _, err := c.Score(t.Context(), example()); err != nil {
			t.Fatal(err)
		}
	}
	if connections, requests := f.seen(); connections != 1 || requests != 50 {
		t.Errorf("%d connections for %d requests, want 1 for 50", connections, requests)
	}
}

func TestNewRefuses(t *testing.T) {
	missing := t.TempDir() + "/missing"
	for name, config := range map[string]client.Config{
		"no URL":             {},
		"no scheme":          {URL: "riskscorer:8000"},
		"no host":            {URL: "http://"},
		"a query":            {URL: "http://127.0.0.1:1?explain=full"},
		"a password":         {URL: "http://user:secret@127.0.0.1:1"},
		"negative time-out":  {URL: "http://127.0.0.1:1", Timeout: -1},
		"negative attempts":  {URL: "http://127.0.0.1:1", Attempts: -1},
		"a share of 2":       {URL: "http://127.0.0.1:1", Breaker: client.Breaker{FailureShare: 2}},
		"a share of NaN":     {URL: "http://127.0.0.1:1", Breaker: client.Breaker{FailureShare: math.NaN()}},
		"TLS over http":      {URL: "http://127.0.0.1:1", TLS: &client.TLS{}},
		"no such authority":  {URL: "https://127.0.0.1:1", TLS: &client.TLS{CAFile: missing}},
		"a key without cert": {URL: "https://127.0.0.1:1", TLS: &client.TLS{KeyFile: missing}},
		"no such token":      {URL: "http://127.0.0.1:1", TokenFile: missing},
		"a token in clear":   {URL: "http://riskscorer:8000", TokenFile: missing},
	} {
		c, err := client.New(config)
		if err == nil {
			t.Errorf("%s: accepted", name)
			c.Close()
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error repeats the password: %v", name, err)
		}
	}
}
