package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trendbuy/riskscorer/bench/report"
	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/scoring"
	"github.com/trendbuy/riskscorer/scoring/bundle"
)

const stageBatch = 500 // the default of BATCH_MAX_RECORDS

// stage is one step of an event's way, without Kafka.
type stage struct {
	Name   string
	Micros float64 // of processor time an event: the process's, so that collecting garbage counts
}

// pinned is one schema, by any id.
type pinned string

func (p pinned) Schema(context.Context, int) (string, error) { return string(p), nil }

// stages runs printStages in a process of its own, in the child's default environment.
func (k *kit) stages(ctx context.Context) ([]stage, error) {
	cmd := exec.CommandContext(ctx, k.self, "stages", k.model)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("measure by stage: %w", err)
	}
	var all []stage
	return all, json.Unmarshal(out, &all)
}

// printStages measures decoding, scoring and encoding in batches, and prints them as JSON.
func printStages(ctx context.Context, args []string) error {
	b, err := bundle.Open(args[0], bundle.Options{})
	if err != nil {
		return err
	}
	schema, err := orderSchema()
	if err != nil {
		return err
	}
	scorer := scoring.New(b, b.Forest, scoring.NewMetrics(prometheus.NewRegistry()))
	decoder := schemas.NewDecoder(scorer.Contract(), pinned(schema), schemas.RefuseExtra, slog.New(slog.DiscardHandler))
	results, err := schemas.NewAvroResults(resultSchemaID, schemas.Model{Version: b.Manifest.Version, Digest: b.Digest.String(), Engine: scorer.EngineID()})
	if err != nil {
		return err
	}
	var events [stageBatch][]byte
	orders, decisions := make([]scoring.Order, stageBatch), make([]scoring.Decision, stageBatch)
	for i, s := 0, newSource(); i < stageBatch; i++ {
		events[i] = s.next().Value
	}
	var failed error
	steps := []struct {
		name string
		run  func()
	}{
		{"decode", func() {
			for i := range events {
				if orders[i], err = decoder.Decode(ctx, nil, events[i]); err != nil {
					failed = err
				}
			}
		}},
		{"score, with SHAP and reasons", func() { scorer.Decide(decisions[:0], orders) }},
		{"encode", func() {
			for i := range orders {
				if _, err := results.AppendTo(nil, &orders[i], &decisions[i]); err != nil {
					failed = err
				}
			}
		}},
	}
	all := make([]stage, len(steps))
	for i, s := range steps {
		all[i] = stage{s.name, report.Timed(stageBatch, s.run)}
	}
	if failed != nil {
		return failed
	}
	text, err := json.Marshal(all)
	if err != nil {
		return err
	}
	_, err = bytes.NewReader(text).WriteTo(os.Stdout)
	return err
}
