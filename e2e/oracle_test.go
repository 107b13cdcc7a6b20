//go:build e2e

package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trendbuy/riskscorer/e2e/verify"
)

// installLibrary returns a Python that has the training library, installed first if it is not there yet.
func installLibrary(ctx context.Context) (python string, err error) {
	cmd := exec.CommandContext(ctx, filepath.Join(root, "training/venv.sh"))
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("install the training library: %w: %s", err, log.Bytes())
	}
	return strings.TrimSpace(string(out)), nil
}

// decide has the training library recompute every good order and puts the decisions into the records.
func (r *run) decide(ctx context.Context, t *testing.T) {
	t.Helper()
	begin := time.Now()
	dir := t.TempDir()
	orders, decisions := filepath.Join(dir, "orders.jsonl"), filepath.Join(dir, "decisions.jsonl")
	if err := r.writeOrders(orders); err != nil {
		t.Fatalf("write orders: %v", err)
	}
	model, err := filepath.Abs(filepath.Join(root, bundle))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, r.system.python, "-m", "trendbuy_training", "oracle", "--bundle", model, "--input", orders, "--output", decisions)
	cmd.Dir = filepath.Join(root, "training")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("oracle: %v: %s", err, out)
	}
	r.assign(t, decisions)
	t.Logf("the training library took %s", time.Since(begin).Round(time.Millisecond))
}

func (r *run) writeOrders(name string) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewWriter(file)
	for i := range r.records {
		if text := r.records[i].JSON; text != nil {
			if _, err := fmt.Fprintf(lines, "%s\n", text); err != nil {
				return err
			}
		}
	}
	return lines.Flush()
}

// assign gives the n-th decision to the n-th good order.
func (r *run) assign(t *testing.T, name string) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	decisions, err := verify.ReadDecisions(bytes.NewReader(text), features(t))
	if err != nil {
		t.Fatal(err)
	}
	next := 0
	for i := range r.records {
		record := &r.records[i]
		if record.Want != verify.Result {
			continue
		}
		if next == len(decisions) {
			t.Fatalf("the oracle made %d decisions, too few", len(decisions))
		}
		record.Decision = decisions[next]
		next++
	}
	if next != len(decisions) {
		t.Fatalf("the oracle made %d decisions for %d orders", len(decisions), next)
	}
}

// features are the model's, in training order.
func features(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, bundle, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		Features []struct {
			Name string `json:"name"`
		} `json:"features"`
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		t.Fatalf("manifest: %v", err)
	}
	names := make([]string, len(manifest.Features))
	for i, f := range manifest.Features {
		names[i] = f.Name
	}
	return names
}
