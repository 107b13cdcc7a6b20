//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/trendbuy/riskscorer/ordergen"
)

// inferred is what inference/clients.py prints of a client: columns by the output's name.
type inferred struct {
	Scores  []float64  `json:"risk_score"`
	IDs     []string   `json:"prediction_id"`
	Bands   []string   `json:"risk_band"`
	Reasons [][]string `json:"top_contributors"`
}

// TestInferenceClients has the Open Inference Protocol's Python clients score orders with the real binary, as JSON and
// as bytes: the answers are those of /score/batch.
func TestInferenceClients(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	python := locked(ctx, t, "inference/inference-clients.txt")
	s := startServing(ctx, t, "inference")
	const count = 200
	body := inferenceOrders(count)
	client := &http.Client{Timeout: time.Minute}
	defer client.CloseIdleConnections()
	var want []answer
	if err := post(ctx, client, "http://"+s.address+"/score/batch", body, &want); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, python, "inference/clients.py", s.address)
	cmd.Stdin = bytes.NewReader(body)
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]inferred
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, name := range []string{"tritonclient json", "tritonclient bytes", "kserve json", "kserve bytes"} {
		if err := got[name].compare(want); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	t.Logf("%d orders by %d ways", count, len(got))
}

// inferenceOrders are JSON orders in an array. Some lack features, as orders do.
func inferenceOrders(count int) []byte {
	orders := ordergen.New(ordergen.Config{Seed: 5})
	body := []byte{'['}
	for i := range count {
		if i > 0 {
			body = append(body, ',')
		}
		o := orders.Next()
		o.EventVersion = int64(i)
		body = o.AppendJSON(body)
	}
	return append(body, ']')
}

func (got inferred) compare(want []answer) error {
	if len(got.Scores) != len(want) || len(got.IDs) != len(want) || len(got.Bands) != len(want) || len(got.Reasons) != len(want) {
		return fmt.Errorf("%d answers to %d orders", len(got.Scores), len(want))
	}
	for i, w := range want {
		reasons := slices.DeleteFunc(got.Reasons[i], func(s string) bool { return s == "" })
		if got.Scores[i] != w.RiskScore || got.IDs[i] != w.PredictionID || got.Bands[i] != w.RiskBand || !slices.Equal(reasons, w.TopContributors) {
			return fmt.Errorf("order %d: %v %s %s %q, /score says %+v", i, got.Scores[i], got.IDs[i], got.Bands[i], reasons, w)
		}
	}
	return nil
}
