package main

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trendbuy/riskscorer/bench/http/load"
	"github.com/trendbuy/riskscorer/e2e/process"
	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/scoring"
	"github.com/trendbuy/riskscorer/scoring/bundle"
)

// What the peers get is the row that riskscorer makes of the same order, and batches are what it takes.
func TestRequestsAreOneOrder(t *testing.T) {
	model, err := bundle.Open("../../models/trendbuy_xgb_v1.0.0", bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	scorer := scoring.New(model, model.Forest, scoring.NewMetrics(prometheus.NewRegistry()))
	b := &bench{orders: completeOrders(50)}
	items, err := schemas.ParseBatch(b.batchBody(0, 50), scorer.Contract(), schemas.RefuseExtra)
	if err != nil {
		t.Fatal(err)
	}
	for i, item := range items {
		if item.Invalid != nil {
			t.Fatalf("order %d: %v", i, item.Invalid)
		}
		for k, x := range row(&b.orders[i]) {
			if item.Order.Row[k] != x {
				t.Fatalf("order %d, feature %d: peers get %v, riskscorer %v", i, k, x, item.Order.Row[k])
			}
		}
	}
}

// The floor answers what it should, under the generator that measures it, and ends by its context.
func TestFloorAnswers(t *testing.T) {
	ports, err := process.FreePorts(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	at := "127.0.0.1:" + strconv.Itoa(ports[0])
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serveFloor(ctx, []string{at}) }()
	order := completeOrders(1)[0]
	request, err := load.Post(at, "/score", orderJSON(&order))
	if err != nil {
		t.Fatal(err)
	}
	var r *load.Result
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if r, err = load.Run(t.Context(), load.Target{Address: at, Requests: [][]byte{request}}, load.Plan{Rate: 200, Connections: 2, For: 100 * time.Millisecond}); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	if r.Answers[http.StatusOK] != 20 || r.Sent() != 20 {
		t.Errorf("statuses %v of 20 requests", r.Answers)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
}

func TestPageTellsWhatWasNotMeasured(t *testing.T) {
	r := newResults("")
	l := r.line(&contender{name: "kserve-v1", label: "KServe"})
	l.Error = "not installed: exit | 1"
	page := r.page()
	for _, want := range []string{"| p99 at half of the capacity | ≤ 3 ms |  | not measured |", "- KServe: not installed: exit / 1"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(page, "NaN") {
		t.Error("the page shows NaN")
	}
}

// The share is of the time that the server had left after refusing: 1 core less 10,000 refusals of 20 us is 0.8 s,
// which serves 8,000 of 100 us.
func TestSingleShare(t *testing.T) {
	r := &results{
		Refusal: []float64{20},
		Singles: []offered{{Times: 10, Good: 6000, Refused: 10_000, CPU: 1, Peak: turn{CPU: 100}}},
	}
	if got := r.singleShare(); math.Abs(got-0.75) > 1e-9 {
		t.Errorf("share %v, want 0.75", got)
	}
}

func TestSoakIsFlatWithinATenth(t *testing.T) {
	ramp := func(step float64) (all []float64) {
		for i := range 40 {
			all = append(all, 100+step*float64(i))
		}
		return all
	}
	for step, flat := range map[float64]bool{0: true, 0.2: true, 1: false, -1: false} {
		f := soakFigures{RSS: ramp(step), Threads: ramp(0)}
		if f.flat() != flat {
			t.Errorf("a step of %v is flat: %v", step, !flat)
		}
	}
	if f := (soakFigures{RSS: ramp(0), Threads: ramp(0), Failed: 1}); f.flat() {
		t.Error("a failed request is flat")
	}
	if f := (soakFigures{RSS: []float64{1}, Threads: []float64{1}}); f.flat() {
		t.Error("one sample is flat")
	}
}
