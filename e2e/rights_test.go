//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// right is one ACL that the service needs.
type right struct {
	operation kadm.ACLOperation
	topic     string
	group     string
}

// String is how the messages name it.
func (r right) String() string {
	if r.group != "" {
		return fmt.Sprintf("%s on group %s", r.operation, r.group)
	}
	return fmt.Sprintf("%s on topic %s", r.operation, r.topic)
}

// rights are all that the service needs.
func rights() []right {
	return []right{
		{operation: kadm.OpRead, topic: topics.Orders},
		{operation: kadm.OpRead, group: group},
		{operation: kadm.OpWrite, topic: topics.Results},
		{operation: kadm.OpWrite, topic: topics.DeadLetters},
	}
}

func (r right) builder(principal string) *kadm.ACLBuilder {
	b := kadm.NewACLs().Allow(principal).AllowHosts("*").Operations(r.operation).ResourcePatternType(kadm.ACLPatternLiteral)
	if r.group != "" {
		return b.Groups(r.group)
	}
	return b.Topics(r.topic)
}

func (s *secured) grant(ctx context.Context, t *testing.T, principal string, rights ...right) {
	t.Helper()
	for _, r := range rights {
		answers, err := s.admin.CreateACLs(ctx, r.builder(principal))
		if err != nil || len(answers) != 1 || answers[0].Err != nil {
			t.Fatalf("grant %s to %s: %v %+v", r, principal, err, answers)
		}
	}
}

func (s *secured) revoke(ctx context.Context, t *testing.T, principal string, r right) {
	t.Helper()
	answers, err := s.admin.DeleteACLs(ctx, r.builder(principal))
	if err != nil || len(answers) != 1 || answers[0].Err != nil || len(answers[0].Deleted) != 1 {
		t.Fatalf("revoke %s from %s: %v %+v", r, principal, err, answers)
	}
}

// growAndShrink starts a process without any right, grants one after another as it asks for them, and then takes each
// away for a while.
func (s *secured) growAndShrink(ctx context.Context, t *testing.T) {
	const principal = "User:newcomer"
	before := s.look(ctx, t).Committed
	s.send(ctx, t, 60)
	p := s.startService(ctx, t, "newcomer", s.throughSASL("PLAIN", "newcomer", password)...)
	for _, r := range rights() {
		s.awaitMissing(ctx, t, p, r)
		if now := s.look(ctx, t).Committed; r.topic != topics.DeadLetters && !maps.Equal(now, before) {
			t.Errorf("committed without the right %s: %v, before %v", r, now, before)
		}
		s.grant(ctx, t, principal, r)
	}
	p.awaitStream(ctx, t)
	s.settle(ctx, t, p)

	for _, r := range rights() {
		before := s.look(ctx, t).Committed
		s.revoke(ctx, t, principal, r)
		s.send(ctx, t, 60)
		s.awaitMissing(ctx, t, p, r)
		if now := s.look(ctx, t).Committed; !maps.Equal(now, before) {
			t.Errorf("committed without the right %s: %v, before %v", r, now, before)
		}
		s.grant(ctx, t, principal, r)
		begin := time.Now()
		p.awaitStream(ctx, t)
		s.settle(ctx, t, p)
		t.Logf("%s: all done within %s of the grant", r, time.Since(begin).Round(time.Millisecond))
	}
	p.stop(t)
	t.Logf("%d results or dead letters came twice, with the same bytes", s.outcomes.duplicates)
}

// awaitMissing waits until readiness, metrics and log say which right is missing.
func (s *secured) awaitMissing(ctx context.Context, t *testing.T, p *service, r right) {
	t.Helper()
	begin := time.Now()
	p.awaitReason(ctx, t, "not authorised by Kafka", r.String())
	t.Logf("%s: said within %s", r, time.Since(begin).Round(time.Millisecond))
	awaitText(ctx, t, "metrics", func() string { return p.standing(ctx) }, "stands")
	awaitText(ctx, t, "log", func() string {
		text, err := os.ReadFile(p.log)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}, r.String())
}

// standing says by the metrics alone whether the stream stands for want of a right.
func (s *service) standing(ctx context.Context) string {
	text := s.scrape(ctx)
	if strings.Contains(text, `riskscorer_consumer_paused_partitions{reason="not_authorized"}`) || strings.Contains(text, "\nriskscorer_consumer_joined 0\n") {
		return "stands"
	}
	return text
}

// scrape returns the metrics, or why there are none.
func (s *service) scrape(ctx context.Context) string {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.metrics+"/metrics", nil)
	if err != nil {
		return err.Error()
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	response, err := client.Do(request)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// missingTopic starts a process before its topic of dead letters exists.
func (s *secured) missingTopic(ctx context.Context, t *testing.T) {
	const late = "dead-letters-made-late"
	s.grant(ctx, t, "User:plain", append(rights(), right{operation: kadm.OpWrite, topic: late})...)
	p := s.startService(ctx, t, "no-topic", append(s.throughSASL("PLAIN", "plain", password), "DEAD_LETTERS_TOPIC="+late)...)
	p.awaitStream(ctx, t)
	before := s.look(ctx, t).Committed
	const sent = 50
	if err := s.produce(ctx, s.compose(sent, topics.Results, late)); err != nil {
		t.Fatal(err)
	}
	t.Log(p.awaitReason(ctx, t, late, "does not exist"))
	if now := s.look(ctx, t).Committed; !maps.Equal(now, before) {
		t.Errorf("committed without the topic: %v, before %v", now, before)
	}
	s.createTopic(ctx, t, late)
	s.reader.AddConsumeTopics(late)
	p.awaitStream(ctx, t)
	s.settle(ctx, t, p)
	p.stop(t)
}
