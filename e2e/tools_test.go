//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/trendbuy/riskscorer/e2e/verify"
	"github.com/trendbuy/riskscorer/e2e/workload"
	"github.com/trendbuy/riskscorer/ordergen"
)

const (
	toolOrders = 2000
	// mispriced are orders with a discount of 35 for 0.35, which the demo model's contract refuses.
	mispriced = 20
	backfill  = "risk-results-backfill"
)

// tools is a system without the training library, and what riskctl is asked about.
type tools struct {
	*system
	store   string // of bundles by digest: the demo model and the mended one
	mended  string // the demo bundle that takes discounts of 35, with a lower threshold of MEDIUM
	records []workload.Record
}

// TestOperatorsTools has riskctl list, show and redrive the dead letters of a real stream, move its group, recompute its
// decisions and compare them with another model's.
func TestOperatorsTools(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	s := startTools(ctx, t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	s.write(ctx, t, seed)
	s.riskctl(ctx, t, "topics", "check", "--partitions", strconv.Itoa(partitions), "--replication", "1")

	first := s.startService(ctx, t, "first")
	first.awaitStream(ctx, t)
	s.awaitLag(ctx, t)
	s.exits(ctx, t, 1, "offsets", "set", "--partition", "0", "--to", "earliest") // it has a member
	s.listLetters(ctx, t)
	s.showLetter(ctx, t)
	begun := s.redriveInVain(ctx, t)

	first.stop(t)
	s.moveGroup(ctx, t)
	second := s.startService(ctx, t, "second", "MODEL_PATH="+s.mended)
	second.awaitStream(ctx, t)
	s.redriveMended(ctx, t, begun)
	s.replayOrders(ctx, t, seed)
	s.compareModels(ctx, t)
	s.backfillPartition(ctx, t)
	second.stop(t)
	s.checkSchemas(ctx, t)
}

func startTools(ctx context.Context, t *testing.T) *tools {
	t.Helper()
	s := new(system)
	data := t.TempDir()
	s.startParts(ctx, t, nil, func() error { return s.startBroker(ctx, t, data) })
	out := &tools{system: s, store: t.TempDir()}
	s.riskctl(ctx, t, "topics", "create", "--partitions", strconv.Itoa(partitions), "--replication", "1")
	out.exits(ctx, t, 1, "topics", "check", "--partitions", strconv.Itoa(partitions), "--replication", "1") // no schemas yet
	s.riskctl(ctx, t, "topics", "create", "--register", "--partitions", strconv.Itoa(partitions), "--replication", "1")
	storeBundle(t, out.store, filepath.Join(root, bundle))
	out.mended = mend(t)
	storeBundle(t, out.store, out.mended)
	return out
}

// storeBundle copies a bundle into a store, under its model digest.
func storeBundle(t *testing.T, store, dir string) {
	t.Helper()
	sums, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(store, fmt.Sprintf("%x", sha256.Sum256(sums))), os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
}

// mend makes a bundle of the demo's that takes any discount, is bolder, and has its digests in order.
func mend(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "mended")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(root, bundle))); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "manifest.json")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{{`"medium": 0.4`, `"medium": 0.3`}, {`"max": 1` + "\n", `"max": 100` + "\n"}} {
		if !bytes.Contains(text, []byte(change[0])) {
			t.Fatalf("the manifest does not say %s", change[0])
		}
		text = bytes.Replace(text, []byte(change[0]), []byte(change[1]), 1) // the discount is the first feature
	}
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var sums strings.Builder
	for _, e := range entries {
		if e.Name() == "SHA256SUMS" {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(data), e.Name())
	}
	if err := os.WriteFile(filepath.Join(dir, "SHA256SUMS"), []byte(sums.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// write produces orders, good and broken, and the mispriced ones among them.
func (s *tools) write(ctx context.Context, t *testing.T, seed uint64) {
	t.Helper()
	s.records = s.generate(ctx, t, seed, toolOrders)
	orders := ordergen.New(ordergen.Config{Seed: seed})
	for i := range mispriced {
		o := orders.Next()
		o.ID, o.Features.DiscountPct = fmt.Sprintf("ORD_MISPRICED_%d", i), 35
		s.records = append(s.records, workload.Record{Input: verify.Input{
			Kind: "mispriced", Key: []byte(o.ID), Value: o.AppendJSON(nil), Want: "feature_range",
		}})
	}
	if err := s.produce(ctx, s.records); err != nil {
		t.Fatal(err)
	}
}

// exits runs riskctl, wants the exit code, and returns standard output.
func (s *tools) exits(ctx context.Context, t *testing.T, want int, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(ctx, filepath.Join(s.binaries, "riskctl"), args...)
	cmd.Env = s.environment("BUNDLE_STORE="+s.store, "RESULTS_FORMAT=avro")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || cmd.ProcessState.ExitCode() != want {
		t.Fatalf("riskctl %.300v: %v, want exit code %d: %s%s", args, err, want, out, stderr.Bytes())
	}
	return out
}

// lines runs riskctl and reads its lines of JSON.
func lines[T any](ctx context.Context, t *testing.T, s *tools, args ...string) []T {
	t.Helper()
	var out []T
	dec := json.NewDecoder(bytes.NewReader(s.exits(ctx, t, 0, args...)))
	for dec.More() {
		var line T
		if err := dec.Decode(&line); err != nil {
			t.Fatalf("riskctl %.300v: %v", args, err)
		}
		out = append(out, line)
	}
	return out
}
