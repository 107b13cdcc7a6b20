//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trendbuy/riskscorer/e2e/verify"
	"github.com/trendbuy/riskscorer/e2e/workload"
)

// outcomes are what was sent and what became of it, by order.
type outcomes struct {
	missing    map[string]string // order to the topic that waits for it
	values     map[string][]byte // of results
	differing  []string
	duplicates int
	misplaced  []string
}

// send produces n orders, of which every fifth breaks the contract.
func (s *secured) send(ctx context.Context, t *testing.T, n int) {
	t.Helper()
	if err := s.produce(ctx, s.compose(n, topics.Results, topics.DeadLetters)); err != nil {
		t.Fatal(err)
	}
}

// compose makes n orders, and notes where each must lead.
func (s *secured) compose(n int, results, letters string) []workload.Record {
	records := make([]workload.Record, n)
	for i := range records {
		o := s.orders.Next()
		s.outcomes.missing[o.ID] = results
		if i%5 == 4 {
			o.Features.DiscountPct = 35 // for 0.35
			s.outcomes.missing[o.ID] = letters
		}
		records[i].Input = verify.Input{Key: []byte(o.ID), Value: o.AppendJSON(nil)}
	}
	return records
}

// settle waits until each order that was sent has led to where it must, and the group has committed all.
func (s *secured) settle(ctx context.Context, t *testing.T, p *service) {
	t.Helper()
	limited, cancel := context.WithTimeout(ctx, idleLimit)
	defer cancel()
	for len(s.outcomes.missing) > 0 {
		for _, r := range s.reader.PollFetches(limited).Records() {
			s.outcomes.observe(r)
		}
		p.mustRun(t)
		if limited.Err() != nil {
			t.Fatalf("process %s: %d orders led to nothing within %s", p.name, len(s.outcomes.missing), idleLimit)
		}
	}
	for s.look(limited, t).Lag() > 0 {
		pause(limited, t, 50*time.Millisecond)
	}
	if len(s.outcomes.misplaced)+len(s.outcomes.differing) > 0 {
		t.Errorf("in another topic than they must: %q; results that differ from the first: %q", s.outcomes.misplaced, s.outcomes.differing)
	}
}

func (o *outcomes) observe(r *kgo.Record) {
	id := string(r.Key)
	if want, ok := o.missing[id]; ok && want != r.Topic {
		o.misplaced = append(o.misplaced, id)
	}
	first, again := o.values[id]
	switch {
	case !again:
		o.values[id] = r.Value
	case bytes.Equal(first, r.Value):
		o.duplicates++
	default:
		o.differing = append(o.differing, id)
	}
	delete(o.missing, id)
}

func (s *secured) look(ctx context.Context, t *testing.T) verify.Commit {
	t.Helper()
	c, err := verify.Look(ctx, s.admin, group, topics)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// awaitReason waits until the stream is not ready for a reason with all the words, and returns it.
func (s *service) awaitReason(ctx context.Context, t *testing.T, words ...string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	var body string
	for deadline := time.Now().Add(readyLimit); time.Now().Before(deadline); pause(ctx, t, 50*time.Millisecond) {
		var status int
		if status, body = get(ctx, client, "http://"+s.address+"/health/ready/stream"); status == http.StatusServiceUnavailable && holds(body, words) {
			return body
		}
		s.mustRun(t)
	}
	t.Fatalf("process %s: no reason with %q within %s, but %s", s.name, words, readyLimit, body)
	return ""
}

// awaitText waits until what read returns has the words.
func awaitText(ctx context.Context, t *testing.T, what string, read func() string, words ...string) {
	t.Helper()
	for deadline := time.Now().Add(readyLimit); ; pause(ctx, t, 50*time.Millisecond) {
		text := read()
		if holds(text, words) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: no %q in:\n%s", what, words, text)
		}
	}
}

func holds(text string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}
