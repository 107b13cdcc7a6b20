//go:build e2e

package e2e_test

import (
	"context"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/trendbuy/riskscorer/e2e/verify"
)

// TestResultsTopicDeletedAndMadeAgain takes the results topic away under load. What stood in it is gone by the operator's
// own act; nothing that comes later may be: the stream stops and says why, commits nothing, and goes on by itself when the
// topic is back.
func TestResultsTopicDeletedAndMadeAgain(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), runLimit)
	defer cancel()
	s := startSystem(ctx, t)
	r := &run{
		system: s, records: s.generate(ctx, t, workloadSeed, 6000), ledger: verify.NewLedger(topics),
		decoder: verify.NewDecoder(verify.RegistrySchemas(s.schemas)), admin: s.admin(t),
	}
	o := new(oracle)
	defer o.ended.Wait()
	o.begin(ctx, s, r.records)
	c := startFleet(ctx, t, r, nil)
	half := len(r.records) / 2
	c.feeder.send(ctx, r.records[:half], feedRate)
	c.healed = "nothing"
	c.recover(ctx, t)

	if deleted, err := r.admin.DeleteTopics(ctx, topics.Results); err != nil || deleted.Error() != nil {
		t.Fatalf("delete the results topic: %v, %v", err, deleted.Error())
	}
	c.feeder.send(ctx, r.records[half:], feedRate)
	for _, p := range c.fleet {
		p.awaitPause(ctx, t, "topic does not exist")
	}
	before := c.look(ctx, t)
	for begin := time.Now(); time.Since(begin) < 5*time.Second; pause(ctx, t, 500*time.Millisecond) {
		if after := c.look(ctx, t); !maps.Equal(before.Committed, after.Committed) {
			t.Fatalf("committed %v without a results topic, %v before", after.Committed, before.Committed)
		}
	}
	s.createTopics(ctx, t)
	c.healed = "results topic made again"
	t.Logf("recovered in %s", c.recover(ctx, t).Round(100*time.Millisecond))
	if err := c.feeder.close(ctx); err != nil {
		t.Fatal(err)
	}

	decisions := o.decisions(t)
	if err := assign(r.records, decisions); err != nil {
		t.Fatal(err)
	}
	report := r.readAll(ctx, t).Check(ctx, r.inputs()[half:], r.decoder)
	delete(report.Faults, verify.RuleFromInput) // dead letters of the first half still stand in their own topic
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	t.Log(report)
}

// look reads the group's progress, which must be there to read.
func (r *run) look(ctx context.Context, t *testing.T) verify.Commit {
	t.Helper()
	offsets, err := r.admin.FetchOffsets(ctx, group)
	if err != nil {
		t.Fatal(err)
	}
	c := verify.Commit{Committed: make(map[int32]int64)}
	for _, o := range offsets.Sorted() {
		c.Committed[o.Partition] = o.At
	}
	return c
}

// readAll observes what the output topics hold by now.
func (r *run) readAll(ctx context.Context, t *testing.T) *verify.Ledger {
	t.Helper()
	ends, err := r.admin.ListEndOffsets(ctx, topics.Results, topics.DeadLetters)
	if err != nil {
		t.Fatal(err)
	}
	left := int64(0)
	for _, e := range ends.Offsets().Sorted() {
		left += e.At
	}
	ledger := verify.NewLedger(topics)
	for client := r.system.reader(t); ledger.Observed() < left; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(ledger.Observe)
	}
	return ledger
}

// awaitPause waits until the process says that its stream is not ready, and why.
func (s *service) awaitPause(ctx context.Context, t *testing.T, why string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	for deadline := time.Now().Add(readyLimit); ; pause(ctx, t, 100*time.Millisecond) {
		status, body := get(ctx, client, "http://"+s.address+"/health/ready/stream")
		if status == http.StatusServiceUnavailable && strings.Contains(body, why) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %s does not say %q: %d %s", s.name, why, status, body)
		}
	}
}
