//go:build e2e

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
	"golang.org/x/sync/errgroup"

	"github.com/trendbuy/riskscorer/e2e/kafka"
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
	broker   *kafka.Node
	registry *registry.Server
	schemas  *sr.Client
}

// startSystem makes everything around the processes, at the same time, and creates topics and schemas with riskctl.
func startSystem(ctx context.Context, t *testing.T) *system {
	t.Helper()
	s := &system{binaries: t.TempDir()}
	data := t.TempDir()
	var parts errgroup.Group
	parts.Go(func() error { return build(ctx, s.binaries) })
	parts.Go(func() (err error) {
		s.python, err = installLibrary(ctx)
		return err
	})
	parts.Go(func() (err error) {
		s.broker, err = kafka.Start(ctx, data, filepath.Join(t.ArtifactDir(), "kafka.log"))
		return err
	})
	parts.Go(func() (err error) {
		s.registry, err = registry.Start(ctx, filepath.Join(t.ArtifactDir(), "registry.log"))
		return err
	})
	err := parts.Wait()
	if s.broker != nil {
		t.Cleanup(s.broker.Kill)
	}
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
	s.riskctl(ctx, t, "topics", "create", "--register", "--partitions", strconv.Itoa(partitions), "--replication", "1")
	s.riskctl(ctx, t, "topics", "check", "--partitions", strconv.Itoa(partitions), "--replication", "1")
	return s
}

func build(ctx context.Context, dir string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", dir, "./cmd/riskscorer", "./cmd/riskctl")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w: %s", err, out)
	}
	return nil
}

// environment is that of the product's programs: the caller's, with the addresses of this system.
func (s *system) environment(more ...string) []string {
	own := append(os.Environ(), "KAFKA_BROKERS="+s.broker.Address())
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
	client, err := kgo.NewClient(append(options, kgo.SeedBrokers(s.broker.Address()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
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
	client, err := kgo.NewClient(kgo.SeedBrokers(s.broker.Address()), kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerLinger(5*time.Millisecond), kgo.MaxBufferedRecords(10_000), kgo.RecordDeliveryTimeout(time.Minute))
	if err != nil {
		return err
	}
	defer client.Close()
	var mu sync.Mutex
	var failed error
	for i := range records {
		in := &records[i].Input
		record := &kgo.Record{Topic: topics.Orders, Key: in.Key, Value: in.Value, Headers: in.Headers}
		client.Produce(ctx, record, func(r *kgo.Record, err error) {
			in.Source = verify.Source{Partition: r.Partition, Offset: r.Offset}
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = errors.Join(failed, fmt.Errorf("produce: %w", err))
			}
		})
	}
	return errors.Join(client.Flush(ctx), failed)
}
