//go:build e2e

package e2e_test

import (
	"context"
	"testing"
	"time"
)

// connection is one way for the service to say who it is.
type connection struct {
	name      string
	principal string
	settings  []string
}

// TestSecuredKafka runs the service against a broker with TLS, each mechanism of authentication, and ACLs that allow it
// no more than it needs.
func TestSecuredKafka(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	s := startSecured(ctx, t)
	for _, c := range s.connections(t) {
		t.Run(c.name, func(t *testing.T) { s.work(ctx, t, c) })
	}
	for _, step := range []struct {
		name string
		run  func(context.Context, *testing.T)
	}{{"refused", s.refused}, {"rights", s.growAndShrink}, {"topic", s.missingTopic}, {"operator", s.operate}, {"rotation", s.rotate}} {
		// They share the topics: what one has left undone, the next would do.
		if !t.Failed() {
			t.Run(step.name, func(t *testing.T) { step.run(ctx, t) })
		}
	}
}

func (s *secured) connections(t *testing.T) []connection {
	t.Helper()
	certificate, key := s.putPair(t, s.authority, "certified")
	return []connection{
		{"certificate", "User:CN=certified", s.throughTLS("KAFKA_TLS_CERT_FILE="+certificate, "KAFKA_TLS_KEY_FILE="+key)},
		{"PLAIN", "User:plain", s.throughSASL("PLAIN", "plain", password)},
		{"SCRAM-SHA-256", "User:scram-256", s.throughSASL("SCRAM-SHA-256", "scram-256", password)},
		{"SCRAM-SHA-512", "User:scram-512", s.throughSASL("SCRAM-SHA-512", "scram-512", password)},
		{"OAUTHBEARER", "User:bearer", s.throughToken(s.putToken(t, "bearer", time.Hour))},
	}
}

func (s *secured) throughTLS(more ...string) []string {
	return append(s.usual(s.tls.Address()), more...)
}

func (s *secured) throughSASL(mechanism, user, password string) []string {
	return append(s.usual(s.sasl.Address()), "KAFKA_SASL_MECHANISM="+mechanism, "KAFKA_SASL_USERNAME="+user, "KAFKA_SASL_PASSWORD="+password)
}

func (s *secured) throughToken(file string) []string {
	return append(s.usual(s.sasl.Address()), "KAFKA_SASL_MECHANISM=OAUTHBEARER", "KAFKA_SASL_TOKEN_FILE="+file)
}

// usual are the settings of every process of these tests: it says early why it is paused, and is soon forgotten by its group
// where it may not leave it.
func (s *secured) usual(address string) []string {
	return []string{
		"KAFKA_BROKERS=" + address, "KAFKA_TLS_ENABLED=true", "KAFKA_TLS_CA_FILE=" + s.ca,
		"RESULTS_FORMAT=json", "PRODUCE_STALL_AFTER=300ms", "KAFKA_SESSION_TIMEOUT=3s", "DRAIN_TIMEOUT=1s",
	}
}

// work has a process score a few orders by a connection whose principal has its rights and no more.
func (s *secured) work(ctx context.Context, t *testing.T, c connection) {
	s.grant(ctx, t, c.principal, rights()...)
	p := s.startService(ctx, t, "with-"+c.name, c.settings...)
	p.awaitStream(ctx, t)
	s.send(ctx, t, 200)
	s.settle(ctx, t, p)
	p.stop(t)
	for _, r := range rights() {
		s.revoke(ctx, t, c.principal, r)
	}
}

// refused has processes say what is wrong with who they say they are; with a token renewed, that process goes on.
func (s *secured) refused(ctx context.Context, t *testing.T) {
	s.grant(ctx, t, "User:bearer", rights()...)
	for _, c := range []struct {
		connection
		words []string
	}{
		{connection{name: "no-certificate", settings: s.throughTLS()}, []string{"TLS with Kafka at", "certificate"}},
		{connection{name: "PLAIN", settings: s.throughSASL("PLAIN", "plain", "wrong")}, []string{"KAFKA_SASL_PASSWORD"}},
		{connection{name: "SCRAM-SHA-512", settings: s.throughSASL("SCRAM-SHA-512", "scram-512", "wrong")}, []string{"KAFKA_SASL_PASSWORD"}},
		{connection{name: "OAUTHBEARER", settings: s.throughToken(s.putToken(t, "bearer", -time.Minute))}, []string{"KAFKA_SASL_TOKEN_FILE"}},
	} {
		p := s.startService(ctx, t, "refused-"+c.name, c.settings...)
		t.Log(p.awaitReason(ctx, t, c.words...))
		if c.name == "OAUTHBEARER" {
			s.putToken(t, "bearer", time.Hour)
			s.send(ctx, t, 20)
			p.awaitStream(ctx, t)
			s.settle(ctx, t, p)
		}
		p.process.Kill()
	}
}
