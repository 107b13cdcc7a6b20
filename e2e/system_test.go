//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
	"golang.org/x/sync/errgroup"

	"github.com/trendbuy/riskscorer/e2e/kafka"
	"github.com/trendbuy/riskscorer/e2e/network"
	"github.com/trendbuy/riskscorer/e2e/registry"
	"github.com/trendbuy/riskscorer/e2e/verify"
	"github.com/trendbuy/riskscorer/e2e/workload"
)

const (
	root       = ".." // of the repository
	bundle     = "models/trendbuy_xgb_v1.0.0"
	group      = "riskscorer"
	partitions = 6
)

// topics are the defaults of the service.
var topics = verify.Topics{Orders: "order-features", Results: "risk-results", DeadLetters: "order-features-dead-letters"}

// system is what the service processes need around them.
type system struct {
	binaries string
	python   string // has the training library
	registry *registry.Server
	schemas  *sr.Client
	replicas int
	seeds    []string       // addresses of the brokers, for whoever judges
	product  []string       // the same for the product
	cluster  *kafka.Cluster // nil where one broker is enough
	links    []*network.Link
}

// startSystem makes everything around the processes, at the same time, with one broker.
func startSystem(ctx context.Context, t *testing.T) *system {
	t.Helper()
	s := new(system)
	data := t.TempDir()
	s.start(ctx, t, nil, 1, func() error { return s.startBroker(ctx, t, data) })
	return s
}

// startBroker starts the only broker of a system.
func (s *system) startBroker(ctx context.Context, t *testing.T, data string) error {
	t.Helper()
	node, err := kafka.Start(ctx, data, filepath.Join(t.ArtifactDir(), "kafka.log"))
	if err != nil {
		return err
	}
	t.Cleanup(node.Kill)
	s.seeds = []string{node.Address()}
	s.product = s.seeds
	return nil
}

// startCluster is startSystem with three brokers, each behind a link that the product knows it by.
func startCluster(ctx context.Context, t *testing.T, tags ...string) *system {
	t.Helper()
	s := new(system)
	data := t.TempDir()
	s.start(ctx, t, tags, kafka.Nodes, func() (err error) {
		s.cluster, err = kafka.StartCluster(ctx, data, t.ArtifactDir(), func(_ int, listens string) (string, error) {
			link, err := network.Listen(ctx, listens)
			if err != nil {
				return "", err
			}
			t.Cleanup(link.Close)
			s.links = append(s.links, link)
			s.product = append(s.product, link.Address())
			return link.Address(), nil
		})
		if err != nil {
			return err
		}
		t.Cleanup(s.cluster.Kill)
		s.seeds = s.cluster.Addresses()
		return nil
	})
	return s
}

// start starts all parts, and creates topics and schemas with riskctl.
func (s *system) start(ctx context.Context, t *testing.T, tags []string, replicas int, kafka func() error) {
	t.Helper()
	s.startParts(ctx, t, tags, kafka, func() (err error) {
		s.python, err = installLibrary(ctx)
		return err
	})
	s.replicas = replicas
	s.createTopics(ctx, t)
}

// startParts builds the product's programs and starts the schema registry and the other parts, all at the same time.
func (s *system) startParts(ctx context.Context, t *testing.T, tags []string, others ...func() error) {
	t.Helper()
	s.binaries = t.TempDir()
	var parts errgroup.Group
	parts.Go(func() error { return build(ctx, s.binaries, tags...) })
	for _, other := range others {
		parts.Go(other)
	}
	parts.Go(func() (err error) {
		s.registry, err = registry.Start(ctx, filepath.Join(t.ArtifactDir(), "registry.log"))
		return err
	})
	err := parts.Wait()
	if s.registry != nil {
		t.Cleanup(s.registry.Kill)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.schemas, err = sr.NewClient(sr.URLs(s.registry.URL()), sr.HTTPClient(&http.Client{
		Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second,
	}))
	if err != nil {
		t.Fatal(err)
	}
}

func (s *system) createTopics(ctx context.Context, t *testing.T) {
	t.Helper()
	sizes := []string{"--partitions", strconv.Itoa(partitions), "--replication", strconv.Itoa(s.replicas)}
	s.riskctl(ctx, t, append([]string{"topics", "create", "--register"}, sizes...)...)
	s.riskctl(ctx, t, append([]string{"topics", "check"}, sizes...)...)
}

func build(ctx context.Context, dir string, tags ...string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-tags", strings.Join(tags, ","), "-o", dir, "./cmd/riskscorer", "./cmd/riskctl")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w: %s", err, out)
	}
	return nil
}

// environment is that of the product's programs: the caller's, with the addresses of this system.
func (s *system) environment(more ...string) []string {
	own := append(os.Environ(), "KAFKA_BROKERS="+strings.Join(s.product, ","))
	if s.registry != nil {
		own = append(own, "SCHEMA_REGISTRY_URL="+s.registry.URL())
	}
	return append(own, more...)
}

func (s *system) riskctl(ctx context.Context, t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(ctx, filepath.Join(s.binaries, "riskctl"), args...)
	cmd.Env = s.environment()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("riskctl %v: %v: %s", args, err, out)
	}
}

// generate makes the records, in the schema that riskctl has registered.
func (s *system) generate(ctx context.Context, t *testing.T, seed uint64, count int) []workload.Record {
	t.Helper()
	registered, err := s.schemas.SchemaByVersion(ctx, topics.Orders+"-value", -1)
	if err != nil {
		t.Fatalf("find the schema of orders: %v", err)
	}
	schema, err := avro.Parse(registered.Schema.Schema)
	if err != nil {
		t.Fatalf("parse the schema of orders: %v", err)
	}
	generator := workload.New(seed, registered.ID, schema)
	records := make([]workload.Record, count)
	for i := range records {
		if records[i], err = generator.Next(); err != nil {
			t.Fatal(err)
		}
	}
	return records
}

// client returns a client without topics, closed by the test's end.
func (s *system) client(t *testing.T, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append(options, kgo.SeedBrokers(s.seeds...),
		kgo.MetadataMinAge(200*time.Millisecond), kgo.MetadataMaxAge(5*time.Second))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func (s *system) admin(t *testing.T) *kadm.Client {
	t.Helper()
	return kadm.NewClient(s.client(t))
}

// reader returns a client that reads the results and dead letters from their beginning.
func (s *system) reader(t *testing.T) *kgo.Client {
	t.Helper()
	return s.client(t,
		kgo.ConsumeTopics(topics.Results, topics.DeadLetters),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxWait(200*time.Millisecond),
	)
}

// produce sends the records in order and writes into each one where the broker has put it. All must be acknowledged.
func (s *system) produce(ctx context.Context, records []workload.Record) error {
	f, err := s.newFeeder()
	if err != nil {
		return err
	}
	f.send(ctx, records, 0)
	return f.close(ctx)
}
