//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/trendbuy/riskscorer/e2e/chaos"
	"github.com/trendbuy/riskscorer/e2e/verify"
)

const (
	fleetSize = 3 // processes that work when nothing is wrong
	// session is the shortest that a broker allows by default: what a killed member costs.
	session = 6 * time.Second
	// feedRate is how fast orders come while a fault acts, a second.
	feedRate = 2000
	// recoveryLimit bounds the time from a fault's end until all that had piled up is committed: the drain, a session, a
	// rebalance, and the back-offs of a loaded machine.
	recoveryLimit = 90 * time.Second
)

// campaign is one seed's run of a plan.
type campaign struct {
	*run
	plan    []chaos.Fault
	more    []string // of the processes' environment
	feeder  *feeder
	feeding errgroup.Group // the feeder's sends
	fleet   [fleetSize]*service
	started int // processes so far, for their names
	peak    int64
	limit   time.Duration // of a recovery
	healed  string        // faults that the group has not been seen to recover from
}

// outcome is what a seed's run comes to.
type outcome struct {
	seed   uint64
	plan   []chaos.Fault
	report *verify.Report
	peak   int64
}

// startFleet begins a campaign on a cluster.
func startFleet(ctx context.Context, t *testing.T, r *run, plan []chaos.Fault, more ...string) *campaign {
	t.Helper()
	c := &campaign{run: r, plan: plan, limit: recoveryLimit, more: more}
	var err error
	if c.feeder, err = r.system.newFeeder(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.feeder.client.Close)
	for i := range c.fleet {
		c.replace(ctx, t, i)
	}
	for _, p := range c.fleet {
		p.awaitStream(ctx, t)
	}
	return c
}

// replace starts a process in the place of one that ended.
func (c *campaign) replace(ctx context.Context, t *testing.T, slot int) {
	t.Helper()
	c.fleet[slot] = c.startProcess(ctx, t)
}

func (c *campaign) startProcess(ctx context.Context, t *testing.T) *service {
	t.Helper()
	c.started++
	return c.system.startService(ctx, t, fmt.Sprintf("%02d", c.started), append(c.more,
		"KAFKA_SESSION_TIMEOUT="+session.String(), "DRAIN_TIMEOUT=4s")...)
}

// execute lets every fault of the plan strike while its share of the orders flows.
func (c *campaign) execute(ctx context.Context, t *testing.T) {
	t.Helper()
	for i, f := range c.plan {
		begin := time.Now()
		share := c.records[len(c.records)*i/len(c.plan) : len(c.records)*(i+1)/len(c.plan)]
		c.feeding.Go(func() error { c.feeder.send(ctx, share, feedRate); return nil })
		pause(ctx, t, f.After)
		c.strike(ctx, t, f)
		c.healed += f.String() + "; "
		_ = c.feeding.Wait() // send keeps its errors for close
		took := "at once the next"
		if !f.Together {
			took = "recovered in " + c.recover(ctx, t).Round(100*time.Millisecond).String()
			for c.feeder.open.Load() > 0 {
				pause(ctx, t, 100*time.Millisecond) // upstream has an outage to get over too: the next fault is to hit a flow
			}
		}
		for _, p := range c.fleet {
			p.mustRun(t)
			c.peak = max(c.peak, p.peak(t))
		}
		t.Logf("fault %d of %d: %s, %s; %d of %d orders acknowledged, %d with an output; %s", i+1, len(c.plan), f, took,
			c.feeder.acknowledged.Load(), len(c.records), c.ledger.Seen(), time.Since(begin).Round(100*time.Millisecond))
	}
	c.recover(ctx, t)
	if err := c.feeder.close(ctx); err != nil {
		t.Fatal(err)
	}
}

// recover waits until the group has committed all that stands in the orders topic now, and keeps how long that took.
func (c *campaign) recover(ctx context.Context, t *testing.T) time.Duration {
	t.Helper()
	if c.healed == "" {
		return 0
	}
	begin := time.Now()
	var first *verify.Commit
	for time.Since(begin) <= c.limit {
		limited, cancel := context.WithTimeout(ctx, 5*time.Second)
		look, err := verify.Look(limited, c.admin, group, topics)
		cancel()
		switch {
		case err != nil:
		case first == nil:
			first = &look
			c.ledger.Commit(look)
		default:
			c.ledger.Commit(look)
		}
		if first != nil && look.Reached(*first) {
			break
		}
		pause(ctx, t, 100*time.Millisecond)
	}
	r := verify.Recovery{Fault: c.healed, Took: time.Since(begin), Limit: c.limit}
	c.ledger.Recover(r)
	c.healed = ""
	return r.Took
}

// judge waits for the last output, ends the observation and checks everything.
func (c *campaign) judge(ctx context.Context, t *testing.T, decisions []*verify.Decision) *verify.Report {
	t.Helper()
	if err := c.awaitOutputs(ctx, t, c.fleet[:], c.expected()); err != nil {
		t.Error(err)
	}
	if err := c.awaitCommits(ctx, t); err != nil {
		t.Error(err)
	}
	c.finish(t)
	for _, p := range c.fleet {
		p.stop(t)
	}
	if err := assign(c.records, decisions); err != nil {
		t.Fatal(err)
	}
	return c.ledger.Check(ctx, c.inputs(), c.decoder)
}

// table is the campaign as the text of docs/reliability.md.
func table(outcomes []outcome) string {
	kinds := make(map[chaos.Kind]int)
	text := "| seed | events | faults | duplicates | longest recovery | most memory of a process | invariants broken |\n|---|---|---|---|---|---|---|\n"
	events, faults, duplicates, broken := 0, 0, 0, 0
	var longest time.Duration
	var peak int64
	for _, o := range outcomes {
		for _, f := range o.plan {
			kinds[f.Kind]++
		}
		text += row(fmt.Sprint(o.seed), o.report.Orders, len(o.plan), o.report.Duplicates, o.report.Longest, o.peak, len(o.report.Faults))
		events, faults, duplicates = events+o.report.Orders, faults+len(o.plan), duplicates+o.report.Duplicates
		longest, peak, broken = max(longest, o.report.Longest), max(peak, o.peak), broken+len(o.report.Faults)
	}
	text += row("all", events, faults, duplicates, longest, peak, broken) + "\n| fault | times |\n|---|---|\n"
	for _, kind := range chaos.Kinds() {
		if slices.Contains(slices.Collect(maps.Keys(kinds)), kind) {
			text += fmt.Sprintf("| %s | %d |\n", kind, kinds[kind])
		}
	}
	return text
}

func row(name string, events, faults, duplicates int, longest time.Duration, peak int64, broken int) string {
	return fmt.Sprintf("| %s | %d | %d | %d | %.1f s | %d MB | %d |\n", name, events, faults, duplicates, longest.Seconds(), peak>>20, broken)
}
