//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/trendbuy/riskscorer/e2e/kafka"
)

const (
	rotations = 24
	// authorityEvery is how often the authority changes too. A broker takes seconds for that.
	authorityEvery = 8
)

// rotate replaces the client's certificate and token, and with some also the authority of clients and broker, while
// orders flow. All connections are cut each time: the next ones show that the process has what is new.
func (s *secured) rotate(ctx context.Context, t *testing.T) {
	s.grant(ctx, t, "User:rotated", rights()...)
	certificate, key := s.putPair(t, s.authority, "rotated")
	settings := append(s.throughToken(s.putToken(t, "rotated", time.Hour)), "KAFKA_TLS_CERT_FILE="+certificate, "KAFKA_TLS_KEY_FILE="+key)
	p := s.startService(ctx, t, "rotated", settings...)
	p.awaitStream(ctx, t)
	duplicates, cut := s.outcomes.duplicates, 0
	for i := range rotations {
		if i%authorityEvery == authorityEvery-1 {
			s.changeAuthority(ctx, t)
		}
		s.putPair(t, s.authority, "rotated")
		s.putToken(t, "rotated", 5*time.Second) // one of long before is refused
		cut += s.sasl.Cut()
		s.send(ctx, t, 100)
		pause(ctx, t, 300*time.Millisecond)
		p.mustRun(t)
	}
	s.putToken(t, "rotated", time.Hour)
	s.settle(ctx, t, p)
	p.awaitStream(ctx, t)
	p.stop(t)
	t.Logf("%d rotations cut %d connections; %d results or dead letters came twice, with the same bytes",
		rotations, cut, s.outcomes.duplicates-duplicates)
}

// changeAuthority goes over to a new authority as an operator does: first both are trusted, then everybody gets a
// certificate of the new one, then only that one is trusted.
func (s *secured) changeAuthority(ctx context.Context, t *testing.T) {
	t.Helper()
	begin := time.Now()
	next := newAuthority(t, fmt.Sprintf("since-%d", begin.UnixNano()))
	both := append(append([]byte(nil), s.authority.PEM()...), next.PEM()...)
	s.put(t, "ca.pem", both)
	s.identify(ctx, t, s.identity(t, next, both))
	s.putPair(t, next, "rotated")
	s.sasl.Cut()
	s.put(t, "ca.pem", next.PEM())
	s.identify(ctx, t, s.identity(t, next, next.PEM()))
	s.authority = next
	t.Logf("changed the authority within %s", time.Since(begin).Round(time.Millisecond))
}

func (s *secured) identify(ctx context.Context, t *testing.T, i kafka.Identity) {
	t.Helper()
	if err := s.broker.Identify(ctx, i); err != nil {
		t.Fatal(err)
	}
}
