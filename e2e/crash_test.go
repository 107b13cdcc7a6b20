//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"github.com/trendbuy/riskscorer/e2e/verify"
	"github.com/trendbuy/riskscorer/e2e/workload"
)

const (
	runLimit = 20 * time.Minute
	// idleLimit bounds the wait for the next output. The longest pause of a healthy run is a killed member's session.
	idleLimit = 60 * time.Second
	// stopLimit is what a process has to drain, commit, leave and exit 0 after SIGTERM.
	stopLimit = 10 * time.Second
	// watchEvery is how often the group's offsets are held against the outputs.
	watchEvery = 100 * time.Millisecond
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestOrdersSurviveCrashes sends orders, a few of them broken, through two processes, of which one is killed and one is
// stopped midway. Afterwards every acknowledged order has its result or its dead letter, as the training library and the
// contract have it, and /score gives the same decisions.
func TestOrdersSurviveCrashes(t *testing.T) {
	seed, orders := settings(t)
	ctx, cancel := context.WithTimeout(t.Context(), runLimit)
	defer cancel()
	s := startSystem(ctx, t)
	r := newRun(ctx, t, s, seed, orders)

	begin := time.Now()
	processes := r.crashMidway(ctx, t)
	// What is missing is named by Check, so the run goes on without it.
	if err := r.awaitOutputs(ctx, t, processes, r.expected()); err != nil {
		t.Error(err)
	}
	took := time.Since(begin)
	if err := r.awaitCommits(ctx, t); err != nil {
		t.Error(err)
	}
	r.finish(t)

	decisions, err := s.decide(ctx, r.records)
	if err != nil {
		t.Fatal(err)
	}
	if err := assign(r.records, decisions); err != nil {
		t.Fatal(err)
	}
	report := r.ledger.Check(ctx, r.inputs(), r.decoder)
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	r.compareScores(ctx, t, processes)
	for _, p := range processes {
		p.stop(t)
	}
	t.Logf("%s; %.1f s, %.0f events/s", report, took.Seconds(), float64(len(r.records))/took.Seconds())
}

// settings reads E2E_SEED and E2E_ORDERS, and has a failed run print how to repeat it.
func settings(t *testing.T) (seed uint64, orders int) {
	t.Helper()
	seed, orders = rand.Uint64(), 50_000
	var err error
	if text := os.Getenv("E2E_SEED"); text != "" {
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("E2E_SEED: %v", err)
		}
	}
	if text := os.Getenv("E2E_ORDERS"); text != "" {
		if orders, err = strconv.Atoi(text); err != nil || orders < 1 {
			t.Fatalf("E2E_ORDERS is %q, want a number above 0", text)
		}
	}
	t.Logf("seed %d, %d orders", seed, orders)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("repeat with: E2E_SEED=%d E2E_ORDERS=%d go test -tags e2e -count=1 -timeout 30m -run '^%s$' ./e2e", seed, orders, t.Name())
		}
	})
	return seed, orders
}

// run is the state of one run.
type run struct {
	system  *system
	random  *rand.Rand // when the faults strike, and whom
	records []workload.Record
	ledger  *verify.Ledger
	decoder *verify.Decoder
	admin   *kadm.Client

	observers *errgroup.Group // Follow and Watch
	stop      context.CancelFunc
}

// newRun makes the records and begins to observe the output topics and the group.
func newRun(ctx context.Context, t *testing.T, s *system, seed uint64, orders int) *run {
	t.Helper()
	r := &run{
		system: s, random: rand.New(rand.NewPCG(seed, 0xfa17)),
		records: s.generate(ctx, t, seed, orders),
		ledger:  verify.NewLedger(topics),
		decoder: verify.NewDecoder(verify.RegistrySchemas(s.schemas)),
		admin:   s.admin(t),
	}
	reader := s.reader(t)
	ctx, r.stop = context.WithCancel(ctx)
	r.observers, ctx = errgroup.WithContext(ctx)
	r.observers.Go(func() error { return r.ledger.Follow(ctx, reader) })
	r.observers.Go(func() error { r.ledger.Watch(ctx, r.admin, group, watchEvery); return nil })
	t.Cleanup(func() {
		r.stop()
		_ = r.observers.Wait() // finish has judged it, unless the test ended before
	})
	return r
}

// crashMidway produces the records while two processes work, kills one of them after about 30% of the outputs, stops
// the other after about 60%, and replaces both at once. It returns the two that work then.
func (r *run) crashMidway(ctx context.Context, t *testing.T) []*service {
	t.Helper()
	victim, other := r.system.startService(ctx, t, "a"), r.system.startService(ctx, t, "b")
	if r.random.IntN(2) == 1 {
		victim, other = other, victim
	}
	victim.awaitStream(ctx, t)
	other.awaitStream(ctx, t)

	var producing errgroup.Group
	producing.Go(func() error { return r.system.produce(ctx, r.records) })
	// expected counts what was not yet acknowledged too: the ledger reaches it when all is done.
	expected := float64(r.expected())
	if err := r.awaitOutputs(ctx, t, []*service{victim, other}, int(expected*(0.25+0.1*r.random.Float64()))); err != nil {
		t.Fatal(err)
	}
	victim.kill(t)
	third := r.system.startService(ctx, t, "c")
	if err := r.awaitOutputs(ctx, t, []*service{third, other}, int(expected*(0.55+0.1*r.random.Float64()))); err != nil {
		t.Fatal(err)
	}
	other.stop(t)
	fourth := r.system.startService(ctx, t, "d")
	if err := producing.Wait(); err != nil {
		t.Fatal(err)
	}
	return []*service{third, fourth}
}

// expected is how many records must have an output.
func (r *run) expected() int {
	n := 0
	for i := range r.records {
		if r.records[i].Want != verify.Skipped {
			n++
		}
	}
	return n
}

// awaitOutputs waits until so many records have an output. The error says that nothing came for idleLimit. The test fails
// when a process ends by itself.
func (r *run) awaitOutputs(ctx context.Context, t *testing.T, processes []*service, count int) error {
	t.Helper()
	last, moved := -1, time.Now()
	for {
		seen := r.ledger.Seen()
		if seen >= count {
			t.Logf("%d of %d records have an output", seen, r.expected())
			return nil
		}
		if seen > last {
			last, moved = seen, time.Now()
		}
		for _, p := range processes {
			p.mustRun(t)
		}
		if idle := time.Since(moved); idle > idleLimit {
			return fmt.Errorf("no output for %s: %d of %d records have one", idle.Round(time.Second), seen, r.expected())
		}
		pause(ctx, t, 50*time.Millisecond)
	}
}

// awaitCommits waits until the group has committed every record, and every output that the broker holds is observed.
func (r *run) awaitCommits(ctx context.Context, t *testing.T) error {
	t.Helper()
	deadline := time.Now().Add(idleLimit)
	for {
		look, err := verify.Look(ctx, r.admin, group, topics)
		if err != nil {
			return err
		}
		r.ledger.Commit(look)
		if look.Lag() == 0 && r.ledger.Observed() == look.Outputs() {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("after %s: lag %d, %d of %d outputs observed", idleLimit, look.Lag(), r.ledger.Observed(), look.Outputs())
		}
		pause(ctx, t, 200*time.Millisecond)
	}
}

// finish ends the observation.
func (r *run) finish(t *testing.T) {
	t.Helper()
	r.stop()
	if err := r.observers.Wait(); err != nil {
		t.Fatalf("observe the outputs: %v", err)
	}
}

// inputs are the records as the broker acknowledged them.
func (r *run) inputs() []verify.Input {
	inputs := make([]verify.Input, len(r.records))
	for i := range r.records {
		inputs[i] = r.records[i].Input
	}
	return inputs
}

func pause(ctx context.Context, t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-ctx.Done():
		t.Fatal(fmt.Errorf("the run took longer than %s: %w", runLimit, ctx.Err()))
	case <-time.After(d):
	}
}
