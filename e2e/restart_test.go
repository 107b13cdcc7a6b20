//go:build e2e

package e2e_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"
)

const (
	restarts      = 20
	restartOrders = 30_000
	restartRate   = 500
	// gapLimit is the longest that the results of one partition may pause while processes are replaced one by one.
	gapLimit = 5 * time.Second
)

// TestOrderlyRestarts replaces three processes one after another, again and again, while orders flow: with SIGTERM and a
// healthy broker nothing is decided twice, and no partition's results pause for long.
func TestOrderlyRestarts(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), runLimit)
	defer cancel()
	s := startSystem(ctx, t)
	r := newRun(ctx, t, s, workloadSeed, restartOrders)
	o := new(oracle)
	defer o.ended.Wait()
	o.begin(ctx, s, r.records)
	c := startFleet(ctx, t, r, nil)
	random := rand.New(rand.NewPCG(workloadSeed, 0x5e57a57))

	feeding, stop := context.WithCancel(ctx)
	defer stop()
	c.feeding.Go(func() error { c.feeder.send(feeding, c.records, restartRate); return nil })
	pause(ctx, t, 2*time.Second)
	for i := range restarts {
		slot := i % len(c.fleet)
		c.fleet[slot].stop(t)
		c.replace(ctx, t, slot)
		c.fleet[slot].awaitStream(ctx, t)
		pause(ctx, t, time.Duration(random.IntN(500))*time.Millisecond)
	}
	if sent := c.feeder.acknowledged.Load(); sent == int64(len(c.records)) {
		t.Errorf("all %d orders were sent before the last restart", sent)
	}
	_ = c.feeding.Wait()
	if err := c.feeder.close(ctx); err != nil {
		t.Fatal(err)
	}
	report := c.judge(ctx, t, o.decisions(t))
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	if report.Duplicates > 0 {
		t.Errorf("%d orders were decided twice", report.Duplicates)
	}
	gap := c.ledger.LongestGap()
	if gap > gapLimit {
		t.Errorf("a partition's results paused for %s", gap)
	}
	t.Logf("%s; %d restarts, longest gap %s", report, restarts, gap)
}
