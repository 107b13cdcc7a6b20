package broker_test

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/trendbuy/riskscorer/broker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const topic = "orders"

// startCluster starts an in-memory broker with one topic of four partitions.
func startCluster(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	cluster, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.SeedTopics(4, topic)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

// connect returns the client under test.
func connect(t *testing.T, cfg broker.Config, topics ...string) *broker.Client {
	t.Helper()
	c, err := broker.NewClient(cfg, topics...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// witness returns an independent client.
func witness(t *testing.T, cluster *kfake.Cluster, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner())}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// readAll returns the records of a partition from its start, n of them, as the witness sees them.
func readAll(t *testing.T, cluster *kfake.Cluster, partition int32, n int) []*kgo.Record {
	t.Helper()
	c := witness(t, cluster, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: kgo.NewOffset().AtStart()}}))
	var out []*kgo.Record
	for len(out) < n {
		fetches := c.PollFetches(deadline(t))
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		out = append(out, fetches.Records()...)
	}
	return out
}

func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// drain fetches until offset end is reached and returns the records and the sum of those passed over.
func drain(t *testing.T, c *broker.Client, partition int, end int64) (records []broker.Record, skipped, fetches int) {
	t.Helper()
	for next := int64(0); next < end; fetches++ {
		f, err := c.Fetch(deadline(t), broker.FetchRequest{Topic: topic, Partition: partition, Offset: next, MaxBytes: 1 << 20, MaxWait: 100 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		if f.Next < next || fetches > 1000 {
			t.Fatalf("fetch at %d went on at %d, after %d fetches", next, f.Next, fetches)
		}
		records, skipped, next = append(records, f.Records...), skipped+f.Skipped, f.Next
	}
	return records, skipped, fetches
}
