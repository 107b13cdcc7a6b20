//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trendbuy/riskscorer/e2e/chaos"
	"github.com/trendbuy/riskscorer/e2e/verify"
	"github.com/trendbuy/riskscorer/e2e/workload"
)

// The size of a campaign where the environment names none: what CI runs.
const (
	ciOrders = 200_000
	ciFaults = 30
	ciOutage = 20 * time.Second

	// campaignLimit bounds one seed's run.
	campaignLimit = 40 * time.Minute
	// workloadSeed makes the orders of every seed the same: the training library, which takes longer than the stream,
	// computes them once. What differs is what happens to them.
	workloadSeed = 1
)

// TestChaos runs the plan of each seed on a cluster of its own: three brokers, three processes, and a network that fails.
// Whatever strikes, every promise holds, and the stream recovers by itself.
func TestChaos(t *testing.T) {
	size := chaosSettings(t)
	o := new(oracle)
	defer o.ended.Wait()
	var outcomes []outcome
	for _, seed := range size.seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("repeat with: make chaos SEEDS=%d ORDERS=%d FAULTS=%d OUTAGE=%s", seed, size.orders, size.faults, size.outage)
				}
			})
			outcomes = append(outcomes, runSeed(t, seed, size, o))
		})
		if t.Failed() {
			continue // a report tells of runs in which every promise held
		}
		text := table(outcomes)
		t.Log("\n" + text)
		if size.report == "" {
			continue
		}
		if err := writeBetween(size.report, "chaos", text); err != nil {
			t.Fatal(err)
		}
	}
}

// runSeed runs one seed's plan to its end.
func runSeed(t *testing.T, seed uint64, size chaosSize, o *oracle) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), campaignLimit)
	defer cancel()
	s := startCluster(ctx, t, "sabotage")
	r := newRun(ctx, t, s, workloadSeed, size.orders)
	o.begin(ctx, s, r.records)
	begin := time.Now()
	c := startFleet(ctx, t, r, chaos.Plan(seed, size.faults, size.outage))
	c.execute(ctx, t)
	took := time.Since(begin)
	report := c.judge(ctx, t, o.decisions(t))
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s; %d faults in %s, longest recovery %s", report, len(c.plan), took.Round(time.Second), report.Longest.Round(100*time.Millisecond))
	return outcome{seed: seed, plan: c.plan, report: report, peak: c.peak}
}

// chaosSize is what the environment asks for.
type chaosSize struct {
	seeds          []uint64
	orders, faults int
	outage         time.Duration // the first total outage of a seed's run
	report         string        // the file that gets the tables, if any
}

// chaosSettings reads CHAOS_SEEDS (comma-separated), CHAOS_ORDERS, CHAOS_FAULTS, CHAOS_OUTAGE and CHAOS_REPORT.
func chaosSettings(t *testing.T) chaosSize {
	t.Helper()
	size := chaosSize{orders: ciOrders, faults: ciFaults, outage: ciOutage, report: os.Getenv("CHAOS_REPORT")}
	for text := range strings.SplitSeq(os.Getenv("CHAOS_SEEDS"), ",") {
		if text == "" {
			continue
		}
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("CHAOS_SEEDS: %v", err)
		}
		size.seeds = append(size.seeds, seed)
	}
	if len(size.seeds) == 0 {
		size.seeds = []uint64{rand.Uint64N(1e6)}
	}
	for name, to := range map[string]*int{"CHAOS_ORDERS": &size.orders, "CHAOS_FAULTS": &size.faults} {
		if text := os.Getenv(name); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 {
				t.Fatalf("%s is %q, want a number above 0", name, text)
			}
			*to = n
		}
	}
	if text := os.Getenv("CHAOS_OUTAGE"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatalf("CHAOS_OUTAGE: %v", err)
		}
		size.outage = d
	}
	return size
}

// oracle has the training library compute the decisions of all seeds' orders once, while the first seed runs.
type oracle struct {
	started bool
	ended   sync.WaitGroup
	made    []*verify.Decision
	err     error
}

// begin starts the computation, unless it was begun before. It outlives ctx.
func (o *oracle) begin(ctx context.Context, s *system, records []workload.Record) {
	if o.started {
		return
	}
	o.started = true
	o.ended.Go(func() { o.made, o.err = s.decide(context.WithoutCancel(ctx), records) })
}

func (o *oracle) decisions(t *testing.T) []*verify.Decision {
	t.Helper()
	o.ended.Wait()
	if o.err != nil {
		t.Fatal(o.err)
	}
	return o.made
}

// writeBetween replaces what stands between the markers <!-- name:begin --> and <!-- name:end --> of a file.
func writeBetween(file, name, text string) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(old), "<!-- "+name+":begin -->")
	_, after, ended := strings.Cut(rest, "<!-- "+name+":end -->")
	if !found || !ended {
		return fmt.Errorf("%s: no markers of %s", file, name)
	}
	return os.WriteFile(file, []byte(before+"<!-- "+name+":begin -->\n"+text+"<!-- "+name+":end -->"+after), 0o600)
}
