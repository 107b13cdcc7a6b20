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

	"github.com/trendbuy/riskscorer/e2e/verify"
	"github.com/trendbuy/riskscorer/e2e/workload"
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

// decide has the training library compute every good order, and returns the decisions in the order of those.
func (s *system) decide(ctx context.Context, records []workload.Record) ([]*verify.Decision, error) {
	dir, err := os.MkdirTemp("", "oracle")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	orders, decisions := filepath.Join(dir, "orders.jsonl"), filepath.Join(dir, "decisions.jsonl")
	if err := writeOrders(orders, records); err != nil {
		return nil, fmt.Errorf("write orders: %w", err)
	}
	model, err := filepath.Abs(filepath.Join(root, bundle))
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, s.python, "-m", "trendbuy_training", "oracle", "--bundle", model, "--input", orders, "--output", decisions)
	cmd.Dir = filepath.Join(root, "training")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("oracle: %w: %s", err, out)
	}
	names, err := features()
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(decisions)
	if err != nil {
		return nil, err
	}
	return verify.ReadDecisions(bytes.NewReader(text), names)
}

func writeOrders(name string, records []workload.Record) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewWriter(file)
	for i := range records {
		if text := records[i].JSON; text != nil {
			if _, err := fmt.Fprintf(lines, "%s\n", text); err != nil {
				return err
			}
		}
	}
	return lines.Flush()
}

// assign gives the n-th decision to the n-th good order.
func assign(records []workload.Record, decisions []*verify.Decision) error {
	next := 0
	for i := range records {
		record := &records[i]
		if record.Want != verify.Result {
			continue
		}
		if next == len(decisions) {
			return fmt.Errorf("the oracle made %d decisions, too few", len(decisions))
		}
		record.Decision = decisions[next]
		next++
	}
	if next != len(decisions) {
		return fmt.Errorf("the oracle made %d decisions for %d orders", len(decisions), next)
	}
	return nil
}

// features are the model's, in training order.
func features() ([]string, error) {
	text, err := os.ReadFile(filepath.Join(root, bundle, "manifest.json"))
	if err != nil {
		return nil, err
	}
	var manifest struct {
		Features []struct {
			Name string `json:"name"`
		} `json:"features"`
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	names := make([]string, len(manifest.Features))
	for i, f := range manifest.Features {
		names[i] = f.Name
	}
	return names, nil
}
