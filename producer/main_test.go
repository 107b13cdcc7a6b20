package producer_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/producer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	results = "risk-results"
	letters = "dead-letters"
)

func startCluster(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	cluster, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.SeedTopics(4, results)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

func config() producer.Config {
	return producer.Config{MaxBatchBytes: 921600, MaxInFlight: 64, StallAfter: 5 * time.Second}
}

// start returns a producer and the registry of its metrics.
func start(t *testing.T, cluster *kfake.Cluster, cfg producer.Config) (*producer.Producer, *prometheus.Registry) {
	t.Helper()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	client, err := broker.NewClient(broker.Config{Brokers: cluster.ListenAddrs()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	registry := prometheus.NewRegistry()
	return producer.New(client, cfg, slog.New(slog.DiscardHandler), registry), registry
}

func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// orders returns n keyed records of one topic.
func orders(topic string, n int) []broker.Record {
	out := make([]broker.Record, n)
	for i := range out {
		out[i] = broker.Record{
			Topic: topic, Key: fmt.Appendf(nil, "ORD_%d", i), Value: fmt.Appendf(nil, "value-%d", i),
			Headers: []broker.Header{{Key: broker.HeaderSourceOffset, Value: fmt.Append(nil, i)}},
		}
	}
	return out
}

// size returns the number of records in a topic.
func size(cluster *kfake.Cluster, topic string) (n int64) {
	for _, p := range cluster.PartitionInfos(topic) {
		n += p.HighWatermark
	}
	return n
}

// read returns all records of a topic, as another client sees them.
func read(t *testing.T, cluster *kfake.Cluster, topic string) []*kgo.Record {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var out []*kgo.Record
	for int64(len(out)) < size(cluster, topic) {
		fetches := c.PollFetches(deadline(t))
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		out = append(out, fetches.Records()...)
	}
	return out
}

// exactlyOnce fails unless the topic holds each record once and in the partition of its key.
func exactlyOnce(t *testing.T, cluster *kfake.Cluster, topic string, want []broker.Record) {
	t.Helper()
	seen := make(map[string]int)
	last := make(map[int32]int)
	place := make(map[string]int)
	for i, r := range want {
		place[string(r.Key)] = i
	}
	for _, r := range read(t, cluster, topic) {
		key := string(r.Key)
		seen[key]++
		i, ok := place[key]
		if !ok || string(r.Value) != string(want[i].Value) {
			t.Errorf("unexpected %s in %s", key, topic)
			continue
		}
		if want := broker.PartitionOf(r.Key, len(cluster.PartitionInfos(topic))); r.Partition != int32(want) {
			t.Errorf("%s is in partition %d, not %d", key, r.Partition, want)
		}
		if previous, ok := last[r.Partition]; ok && previous > i {
			t.Errorf("%s is behind a later record of partition %d", key, r.Partition)
		}
		last[r.Partition] = i
	}
	for key := range place {
		if seen[key] != 1 {
			t.Errorf("%s is there %d times", key, seen[key])
		}
	}
}

// sent is one produce request to one partition.
type sent struct {
	topic     string
	partition int32
	producer  int64
	sequence  int32
	count     int32
	bytes     string
}

// wiretap records all that producers send, whatever becomes of it.
type wiretap struct {
	mu   sync.Mutex
	sent []sent
}

func tap(t *testing.T, cluster *kfake.Cluster) *wiretap {
	t.Helper()
	w := &wiretap{}
	cluster.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, topic := range r.(*kmsg.ProduceRequest).Topics {
			for _, p := range topic.Partitions {
				var batch kmsg.RecordBatch
				if err := batch.ReadFrom(p.Records); err != nil {
					t.Error(err)
				}
				w.sent = append(w.sent, sent{topic.Topic, p.Partition, batch.ProducerID, batch.FirstSequence, batch.NumRecords, string(p.Records)})
			}
		}
		return nil, nil, false
	})
	return w
}

func (w *wiretap) all() []sent {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]sent(nil), w.sent...)
}
