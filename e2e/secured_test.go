//go:build e2e

package e2e_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/trendbuy/riskscorer/e2e/kafka"
	"github.com/trendbuy/riskscorer/ordergen"
)

const (
	password          = "right-Password_1"
	securedPartitions = 3
)

// secured is a system with ACLs, where the tests come by the plain listener and the service by TLS.
type secured struct {
	*system
	broker    *kafka.Node
	authority *kafka.Authority
	tls, sasl *kafka.Relay
	admin     *kadm.Client
	reader    *kgo.Client
	orders    *ordergen.Generator
	files     string // directory
	ca        string // file
	outcomes  outcomes
}

func startSecured(ctx context.Context, t *testing.T) *secured {
	t.Helper()
	s := &secured{
		system: &system{binaries: t.TempDir()}, orders: ordergen.New(ordergen.Config{Seed: 8}), files: t.TempDir(),
		outcomes: outcomes{missing: make(map[string]string), values: make(map[string][]byte)},
	}
	s.authority, s.tls, s.sasl = newAuthority(t, "first"), newRelay(ctx, t), newRelay(ctx, t)
	security := kafka.Security{
		Identity: s.identity(t, s.authority, s.authority.PEM()), TLS: s.tls, SASL: s.sasl,
		PlainUsers: map[string]string{"plain": password, "newcomer": password, "operator": password},
	}
	data := t.TempDir()
	var parts errgroup.Group
	parts.Go(func() error { return build(ctx, s.binaries) })
	parts.Go(func() (err error) {
		s.broker, err = kafka.StartSecure(ctx, data, filepath.Join(t.ArtifactDir(), "kafka.log"), security)
		return err
	})
	err := parts.Wait()
	if s.broker != nil {
		t.Cleanup(s.broker.Kill)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.seeds = []string{s.broker.Address()}
	s.product = s.seeds
	s.admin = kadm.NewClient(s.client(t))
	s.createTopic(ctx, t, topics.Orders)
	s.createTopic(ctx, t, topics.Results)
	s.createTopic(ctx, t, topics.DeadLetters)
	s.createScramUsers(ctx, t)
	s.reader = s.system.reader(t)
	s.ca = s.put(t, "ca.pem", s.authority.PEM())
	return s
}

func newAuthority(t *testing.T, name string) *kafka.Authority {
	t.Helper()
	a, err := kafka.NewAuthority(name)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func newRelay(ctx context.Context, t *testing.T) *kafka.Relay {
	t.Helper()
	r, err := kafka.NewRelay(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// identity is a broker's, by the authority.
func (s *secured) identity(t *testing.T, by *kafka.Authority, trusted []byte) kafka.Identity {
	t.Helper()
	pair, err := by.Issue("broker")
	if err != nil {
		t.Fatal(err)
	}
	return kafka.Identity{Pair: pair, Trusted: trusted}
}

func (s *secured) createTopic(ctx context.Context, t *testing.T, name string) {
	t.Helper()
	if _, err := s.admin.CreateTopic(ctx, securedPartitions, 1, nil, name); err != nil {
		t.Fatalf("create topic %s: %v", name, err)
	}
}

func (s *secured) createScramUsers(ctx context.Context, t *testing.T) {
	t.Helper()
	answers, err := s.admin.AlterUserSCRAMs(ctx, nil, []kadm.UpsertSCRAM{
		{User: "scram-256", Mechanism: kadm.ScramSha256, Iterations: 4096, Password: password},
		{User: "scram-512", Mechanism: kadm.ScramSha512, Iterations: 4096, Password: password},
	})
	if err == nil {
		err = answers.Error()
	}
	if err != nil {
		t.Fatalf("create SCRAM users: %v", err)
	}
}

// put replaces a file of the clients at once, as those who rotate one do, and returns its path.
func (s *secured) put(t *testing.T, name string, text []byte) string {
	t.Helper()
	path := filepath.Join(s.files, name)
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return path
}

// putPair issues a client's pair, and replaces its two files.
func (s *secured) putPair(t *testing.T, by *kafka.Authority, name string) (certificate, key string) {
	t.Helper()
	pair, err := by.Issue(name)
	if err != nil {
		t.Fatal(err)
	}
	return s.put(t, name+".crt", pair.Certificate), s.put(t, name+".key", pair.Key)
}

// putToken writes an unsigned token (RFC 7519, section 6) that holds for a while.
func (s *secured) putToken(t *testing.T, subject string, holds time.Duration) string {
	t.Helper()
	coded := base64.RawURLEncoding.EncodeToString
	expiry := float64(time.Now().Add(holds).UnixMilli()) / 1000
	claims := fmt.Sprintf(`{"sub":%q,"iat":%d,"exp":%.3f}`, subject, time.Now().Add(-time.Hour).Unix(), expiry)
	return s.put(t, subject+".token", []byte(coded([]byte(`{"alg":"none"}`))+"."+coded([]byte(claims))+"."))
}
