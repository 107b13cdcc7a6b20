package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"aead.dev/minisign"

	"github.com/trendbuy/riskscorer/ordergen"
	"github.com/trendbuy/riskscorer/scoring/bundle"
	"github.com/trendbuy/riskscorer/scoring/forest"
)

const demo = "../../models/trendbuy_xgb_v1.0.0"

func TestBundleVerify(t *testing.T) {
	code, stdout, _ := riskctl(t, "bundle", "verify", demo)
	if code != 0 || strings.Count(stdout, " ok ") != 8 || !strings.Contains(stdout, "512 of 512 rows judged") {
		t.Errorf("exit code %d:\n%s", code, stdout)
	}
	dir := filepath.Join(t.TempDir(), "bundle")
	if err := os.CopyFS(dir, os.DirFS(demo)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "golden.jsonl"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := riskctl(t, "bundle", "verify", "--json", dir)
	var verdict struct {
		Holds  bool
		Checks []checkResult
	}
	if err := json.Unmarshal([]byte(stdout), &verdict); err != nil {
		t.Fatal(err)
	}
	if code != 1 || verdict.Holds || verdict.Checks[2].Result != "failed" || verdict.Checks[3].Result != "not reached" || !strings.Contains(stderr, "golden.jsonl changed") {
		t.Errorf("exit code %d: %s\n%s", code, stdout, stderr)
	}
	if code, _, _ := riskctl(t, "bundle", "verify", filepath.Join(dir, "none")); code != 3 {
		t.Errorf("a bundle that is not there: exit code %d", code)
	}
}

// TestJudge: other numbers of the second engine fail the bundle, a model that it cannot express does not.
func TestJudge(t *testing.T) {
	if r, err := judge(nil); r.Result != "not reached" || err != nil {
		t.Errorf("of no bundle: %+v, %v", r, err)
	}
	b, err := bundle.Open(demo, bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	demoForest := *b.Forest
	b.Forest = &demoForest
	demoForest.Trees = demoForest.Trees[:299]
	if r, err := judge(b); r.Result != "failed" || err == nil || !strings.Contains(r.Detail, "row 1: margin") {
		t.Errorf("of a tree too few: %+v, %v", r, err)
	}
	demoForest.Trees = append(slices.Clone(demoForest.Trees), forest.Tree{
		Nodes: []forest.Node{{Feature: 0, Set: 0, Left: 1, Right: 2}, {Set: -1}, {Set: -1}},
		Sets:  [][]uint32{{1}},
	})
	if r, err := judge(b); r.Result != "not judged" || err != nil || !strings.Contains(r.Detail, "0 of 512 rows: leaves: tree 299") {
		t.Errorf("of a tree that cannot be expressed: %+v, %v", r, err)
	}
}

func TestBundleInspect(t *testing.T) {
	code, stdout, _ := riskctl(t, "bundle", "inspect", demo)
	if code != 0 || !strings.Contains(stdout, "feature_device_type") || !strings.Contains(stdout, "300 trees") {
		t.Errorf("exit code %d:\n%s", code, stdout)
	}
}

func TestBundlePackSignAndVerify(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "bundle")
	if err := os.CopyFS(dir, os.DirFS(demo)); err != nil {
		t.Fatal(err)
	}
	public, private, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := private.MarshalText() // not encrypted: the key derivation alone takes seconds
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(t.TempDir(), "release.key")
	if err := os.WriteFile(key, secret, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := riskctl(t, "bundle", "sign", dir, "--key", key); code != 0 {
		t.Fatalf("sign: exit code %d, %s", code, stderr)
	}
	packed := filepath.Join(t.TempDir(), "bundle.tar")
	if code, _, stderr := riskctl(t, "bundle", "pack", dir, "--output", packed); code != 0 {
		t.Fatalf("pack: exit code %d, %s", code, stderr)
	}
	if code, stdout, stderr := riskctl(t, "bundle", "verify", packed, "--public-key", public.String()); code != 0 {
		t.Errorf("verify: exit code %d, %s%s", code, stdout, stderr)
	}
	if code, _, _ := riskctl(t, "bundle", "verify", demo, "--public-key", public.String()); code != 1 {
		t.Errorf("verify of an unsigned bundle: exit code %d", code)
	}
}

func TestScoreAnswersEachLine(t *testing.T) {
	orders := ordergen.New(ordergen.Config{Seed: 2})
	var lines [][]byte
	for range 20 {
		lines = append(lines, orders.Next().AppendJSON(nil))
	}
	lines[7] = []byte(`{"order_id":"X","features":{"feature_discount_pct":35}}`)
	lines[8] = []byte(`{"order_id":`)
	input, output := filepath.Join(t.TempDir(), "orders.jsonl"), filepath.Join(t.TempDir(), "results.jsonl")
	if err := os.WriteFile(input, bytes.Join(lines, []byte("\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := riskctl(t, "score", "--bundle", demo, "--input", input, "--output", output)
	if code != 0 || !strings.Contains(stderr, "18 orders scored, 2 refused") {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	got := strings.Split(strings.TrimSpace(readFile(t, output)), "\n")
	if len(got) != len(lines) {
		t.Fatalf("%d lines of output for %d orders", len(got), len(lines))
	}
	for i, line := range got {
		var answer struct {
			OrderID   string  `json:"order_id"`
			RiskScore float64 `json:"risk_score"`
			Reasons   []any   `json:"reasons"`
			Line      int     `json:"line"`
			Errors    []any   `json:"errors"`
		}
		if err := json.Unmarshal([]byte(line), &answer); err != nil {
			t.Fatal(err)
		}
		refused := i == 7 || i == 8
		if refused != (len(answer.Errors) > 0) || refused == (answer.OrderID != "") || refused && answer.Line != i+1 || !refused && len(answer.Reasons) == 0 {
			t.Errorf("line %d: %s", i+1, line)
		}
	}
}
