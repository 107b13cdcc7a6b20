//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trendbuy/riskscorer/e2e/verify"
	"github.com/trendbuy/riskscorer/sabotage"
)

const (
	plantedOrders = 20_000
	plantedRate   = 1000
	// plantedRecovery is enough for a group that works and does not keep the others waiting for one that never will.
	plantedRecovery = 25 * time.Second
)

// catches says which rule must find each planted bug broken; others may too.
func catches() map[sabotage.Bug]verify.Rule {
	return map[sabotage.Bug]verify.Rule{
		sabotage.CommitBeforeAck:   verify.RuleCommit,
		sabotage.SkippedDeadLetter: verify.RuleLost,
		sabotage.StaleCommit:       verify.RuleForward,
		sabotage.NoAcks:            verify.RuleLost,
		sabotage.ReusedSequence:    verify.RuleLost,
		sabotage.DroppedTail:       verify.RuleLost,
		sabotage.DifferingBytes:    verify.RuleIdentical,
		sabotage.OffsetJump:        verify.RuleLost,
		sabotage.NeighboursScore:   verify.RuleDecision,
		sabotage.GivenUp:           verify.RuleRecovery,
	}
}

// TestPlantedBugsAreCaught proves the verifier: in one and the same short run, a sound service breaks no rule, and each
// planted bug the one that is there to catch it.
func TestPlantedBugsAreCaught(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), campaignLimit)
	defer cancel()
	s := startCluster(ctx, t, "sabotage")
	o := new(oracle)
	defer o.ended.Wait()
	want := catches()
	used := false
	rows := []string{"| planted bug | caught by |", "|---|---|"}
	for _, bug := range append([]sabotage.Bug{""}, sabotage.Bugs()...) {
		t.Run("bug="+string(bug), func(t *testing.T) {
			if used {
				s.empty(ctx, t)
			}
			used = true
			report := exercise(ctx, t, s, o, bug)
			broken := slices.Sorted(maps.Keys(report.Faults))
			t.Logf("%s; broken rules: %q", report, broken)
			if bug == "" {
				if err := report.Err(); err != nil {
					t.Error(err)
				}
				return
			}
			if !slices.Contains(broken, want[bug]) {
				t.Errorf("not caught by %q but by %q", want[bug], broken)
			}
			rows = append(rows, fmt.Sprintf("| %s | **%s**%s |", bug, want[bug], others(broken, want[bug])))
		})
	}
	if file := os.Getenv("PLANTED_REPORT"); file != "" && !t.Failed() {
		if err := writeBetween(file, "planted", strings.Join(rows, "\n")+"\n"); err != nil {
			t.Fatal(err)
		}
	}
}

func others(broken []verify.Rule, first verify.Rule) string {
	text := ""
	for _, rule := range broken {
		if rule != first {
			text += "; " + string(rule)
		}
	}
	return text
}

// empty makes the topics anew and forgets the group.
func (s *system) empty(ctx context.Context, t *testing.T) {
	t.Helper()
	admin := s.admin(t)
	deleted, err := admin.DeleteTopics(ctx, topics.Orders, topics.Results, topics.DeadLetters)
	if err == nil {
		err = deleted.Error()
	}
	if err != nil {
		t.Fatalf("delete the topics: %v", err)
	}
	for deadline := time.Now().Add(idleLimit); ; pause(ctx, t, 200*time.Millisecond) {
		deleted, err := admin.DeleteGroups(ctx, group)
		if err == nil && deleted.Error() == nil {
			break
		}
		if time.Now().After(deadline) { // its members were killed: until their session ends, it has them
			t.Fatalf("delete the group: %v, %v", err, deleted.Error())
		}
	}
	s.createTopics(ctx, t)
}

// exercise runs the service, with the bug, through what brings every bug to light: a slow network under which a process
// crashes and another one leaves in order, connections that break, and at last, so that no rebalance mends what it left
// behind, a connection that stays silent.
func exercise(ctx context.Context, t *testing.T, s *system, o *oracle, bug sabotage.Bug) *verify.Report {
	t.Helper()
	r := newRun(ctx, t, s, workloadSeed, plantedOrders)
	o.begin(ctx, s, r.records)
	c := startFleet(ctx, t, r, nil, sabotage.BugVariable+"="+string(bug),
		"PRODUCE_STALL_AFTER=500ms", "BATCH_MAX_RECORDS=20", "FETCH_MAX_BYTES=16384") // several batches a fetch, several fetches a backlog
	c.limit = plantedRecovery
	last := len(c.records) * 4 / 5
	c.feeding.Go(func() error { c.feeder.send(ctx, c.records[:last], plantedRate); return nil })

	for _, link := range s.links {
		link.Slow(100 * time.Millisecond)
	}
	pause(ctx, t, 2*time.Second)
	c.fleet[0].killAt(ctx, t, sabotage.Acknowledged)
	c.replace(ctx, t, 0)
	pause(ctx, t, 2*time.Second)
	c.fleet[1].stop(t)
	c.replace(ctx, t, 1)
	for _, link := range s.links {
		link.Slow(0)
	}
	pause(ctx, t, 2*time.Second)
	for _, link := range s.links {
		link.Cut(true)
	}
	pause(ctx, t, 1500*time.Millisecond)
	for _, link := range s.links {
		link.Cut(false)
	}
	pause(ctx, t, 4*time.Second)
	silent := s.links[int(c.coordinator(ctx, t).ID())%len(s.links)] // not the coordinator's: ids count from 1
	_ = c.feeding.Wait()
	silent.Swallow(true)
	c.feeder.send(ctx, c.records[last:], plantedRate)
	silent.Swallow(false)
	c.healed = "all that went before"
	c.recover(ctx, t)
	pause(ctx, t, 6*time.Second) // for what comes late
	if err := c.feeder.close(ctx); err != nil {
		t.Fatal(err)
	}
	for _, p := range c.fleet {
		p.kill(t)
	}
	c.finish(t)
	if err := assign(c.records, o.decisions(t)); err != nil {
		t.Fatal(err)
	}
	return c.ledger.Check(ctx, c.inputs(), c.decoder)
}

// TestNoTraceOfSabotage looks for the sabotage's variables in the service as it is built for use.
func TestNoTraceOfSabotage(t *testing.T) {
	for tag, want := range map[string]bool{"": false, "sabotage": true} {
		dir := t.TempDir()
		if err := build(t.Context(), dir, tag); err != nil {
			t.Fatal(err)
		}
		binary, err := os.ReadFile(filepath.Join(dir, "riskscorer"))
		if err != nil {
			t.Fatal(err)
		}
		for _, trace := range []string{sabotage.BugVariable, sabotage.FileVariable, string(sabotage.StaleCommit)} {
			if got := bytes.Contains(binary, []byte(trace)); got != want {
				t.Errorf("tags %q: %q is in the binary: %v", tag, trace, got)
			}
		}
	}
}
