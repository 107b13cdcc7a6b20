package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trendbuy/riskscorer/bench/http/load"
	"github.com/trendbuy/riskscorer/bench/report"
	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/scoring"
	"github.com/trendbuy/riskscorer/scoring/bundle"
)

// batchTurn is a turn of batches of schemas.MaxBatch orders.
type batchTurn struct{ Rate, CPU float64 } // batches a second; microseconds an order

// stage is one step of a batch's way, without HTTP.
type stage struct {
	Name   string
	Micros float64 // of processor time an order: the process's, so that collecting garbage counts
}

// batchBody is an array of n orders, from the i-th on.
func (b *bench) batchBody(i, n int) []byte {
	body := []byte{'['}
	for k := range n {
		if k > 0 {
			body = append(body, ',')
		}
		body = b.orders[(i+k)%len(b.orders)].AppendJSON(body)
	}
	return append(body, ']')
}

// batches are requests of n orders each.
func (b *bench) batches(s *server, n int) ([][]byte, error) {
	var all [][]byte
	for i := range 20 {
		request, err := load.Post(s.address, "/score/batch", b.batchBody(i*n, n))
		if err != nil {
			return nil, err
		}
		all = append(all, request)
	}
	return all, nil
}

// batch measures batches as large as they may be, by stage and whole in turn.
func (b *bench) batch(ctx context.Context, r *results, _ []*contender) error {
	s, err := b.get(ctx, r, b.ours("", "riskscorer", ""))
	if err != nil {
		return err
	}
	requests, err := b.batches(s, schemas.MaxBatch)
	if err != nil {
		return err
	}
	var rounds [][]stage
	for range b.rounds {
		stages, err := b.stages(ctx)
		if err != nil {
			return err
		}
		rounds = append(rounds, stages)
		t, err := s.closed(ctx, requests, runtime.NumCPU(), b.length())
		if err != nil {
			return err
		}
		if t.Shed > 0 {
			return fmt.Errorf("%.0f%% of the batches went without their reasons", 100*t.Shed)
		}
		r.Batch = append(r.Batch, batchTurn{Rate: t.Rate, CPU: t.CPU / schemas.MaxBatch})
	}
	r.Stages = rounds[0]
	for i := range r.Stages {
		r.Stages[i].Micros = median(rounds, func(all *[]stage) float64 { return (*all)[i].Micros })
	}
	say("batches of %d: %.1f us CPU an order, %.1f by stage", schemas.MaxBatch, r.batchCPU(), r.stages())
	return nil
}

// stages has a child measure the stages of a batch.
func (b *bench) stages(ctx context.Context) (all []stage, err error) {
	cmd := exec.CommandContext(ctx, b.self, "stages", b.model)
	cmd.Stderr = os.Stderr
	cmd.Stdin = bytes.NewReader(b.batchBody(0, schemas.MaxBatch))
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("measure by stage: %w", err)
	}
	return all, json.Unmarshal(out, &all)
}

// printStages is a child's work: it measures reading, scoring and writing the batch on standard input, and prints the
// stages as JSON.
func printStages(_ context.Context, args []string) error {
	b, err := bundle.Open(args[0], bundle.Options{})
	if err != nil {
		return err
	}
	var body bytes.Buffer
	if _, err := body.ReadFrom(os.Stdin); err != nil {
		return err
	}
	scorer := scoring.New(b, b.Forest, scoring.NewMetrics(prometheus.NewRegistry()))
	model := schemas.Model{Version: b.Manifest.Version, Digest: b.Digest.String(), Engine: scorer.EngineID()}
	items, err := schemas.ParseBatch(body.Bytes(), scorer.Contract(), schemas.RefuseExtra)
	if err != nil {
		return err
	}
	orders := make([]scoring.Order, len(items))
	for i := range items {
		orders[i] = items[i].Order
	}
	decisions := scorer.Decide(nil, orders)
	var all []stage
	for _, s := range []struct {
		name string
		run  func()
	}{
		{"read JSON", func() { _, err = schemas.ParseBatch(body.Bytes(), scorer.Contract(), schemas.RefuseExtra) }},
		{"score, with SHAP and reasons", func() { scorer.Decide(make([]scoring.Decision, 0, len(orders)), orders) }},
		{"write JSON", func() {
			var dst []byte
			for i := range orders {
				dst = schemas.AppendAnswer(dst, model, &orders[i], &decisions[i], nil)
			}
		}},
	} {
		all = append(all, stage{s.name, report.Timed(len(orders), s.run)})
	}
	return json.NewEncoder(os.Stdout).Encode(all)
}
