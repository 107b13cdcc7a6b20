package consumer_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/consumer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	topic      = "order-features"
	group      = "riskscorer"
	partitions = 4
)

func startCluster(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	cluster, err := kfake.NewCluster(append([]kfake.Opt{
		kfake.NumBrokers(1), kfake.SeedTopics(partitions, topic), kfake.GroupMinSessionTimeout(time.Second),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

func config() consumer.Config {
	return consumer.Config{
		Group: group, Topic: topic, OffsetReset: consumer.ResetEarliest, SessionTimeout: 5 * time.Second, DrainTimeout: 3 * time.Second,
		FetchMaxBytes: 1 << 20, FetchMaxWait: 200 * time.Millisecond, BatchRecords: 50,
	}
}

// ledger is the handlers' side of the tests: it keeps what was acknowledged.
type ledger struct {
	// before is called with each batch, without a lock; an error of it is the handler's.
	before func(ctx context.Context, partition int, records []broker.Record) error
	value  func(partition int, offset int64) []byte // what was written there

	mu    sync.Mutex
	acked map[int][]int64 // offsets by partition, in the order of their acknowledgement
	open  int             // handlers not closed yet
	most  int             // records of the largest batch
}

// newLedger is made before its members, so that it is checked after they have stopped.
func newLedger(t *testing.T) *ledger {
	t.Helper()
	l := &ledger{acked: make(map[int][]int64), value: place}
	t.Cleanup(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.open != 0 {
			t.Errorf("%d handlers were not closed", l.open)
		}
	})
	return l
}

type handler struct {
	*ledger
	partition int
}

func (l *ledger) handler(partition int) consumer.Handler {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open++
	return &handler{l, partition}
}

func (h *handler) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open--
}

func (h *handler) Handle(ctx context.Context, records []broker.Record) error {
	if h.before != nil {
		if err := h.before(ctx, h.partition, records); err != nil {
			return err
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.most = max(h.most, len(records))
	for _, r := range records {
		if r.Topic != topic || r.Partition != h.partition || string(r.Value) != string(h.value(r.Partition, r.Offset)) {
			return fmt.Errorf("record %s/%d/%d holds %q", r.Topic, r.Partition, r.Offset, r.Value)
		}
		h.acked[h.partition] = append(h.acked[h.partition], r.Offset)
	}
	return nil
}

// count returns how many records were acknowledged, and how many of them more than once.
func (l *ledger) count() (total, twice int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, offsets := range l.acked {
		seen := make(map[int64]bool)
		for _, o := range offsets {
			if seen[o] {
				twice++
			}
			seen[o] = true
		}
		total += len(seen)
	}
	return total, twice
}

// through returns the offset after the last one that was acknowledged with all before it.
func (l *ledger) through(partition int) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := make(map[int64]bool)
	for _, o := range l.acked[partition] {
		seen[o] = true
	}
	next := int64(0)
	for seen[next] {
		next++
	}
	return next
}

// member is one consumer that runs.
type member struct {
	*consumer.Consumer
	registry *prometheus.Registry
	cancel   context.CancelFunc
	done     chan error
}

// stop ends the member as SIGTERM does and waits for it.
func (m *member) stop(t *testing.T) {
	t.Helper()
	m.cancel()
	select {
	case err := <-m.done:
		if err != nil {
			t.Errorf("Run: %v", err)
		}
		m.done <- nil
	case <-time.After(20 * time.Second):
		t.Fatal("Run does not return")
	}
}

func join(t *testing.T, brokers []string, cfg consumer.Config, l *ledger) *member {
	t.Helper()
	return joinLogging(t, brokers, cfg, l, slog.DiscardHandler)
}

func joinLogging(t *testing.T, brokers []string, cfg consumer.Config, l *ledger, log slog.Handler) *member {
	t.Helper()
	client, err := broker.NewClient(broker.Config{Brokers: brokers}, topic)
	if err != nil {
		t.Fatal(err)
	}
	m := &member{registry: prometheus.NewRegistry(), done: make(chan error, 1)}
	if m.Consumer, err = consumer.New(client, cfg, l.handler, slog.New(log), m.registry); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	go func() { m.done <- m.Run(ctx) }()
	t.Cleanup(func() {
		m.stop(t)
		client.Close()
	})
	return m
}

// place is what a writer writes.
func place(partition int, offset int64) []byte { return fmt.Appendf(nil, "%d/%d", partition, offset) }

// writer writes records whose values are their partition and offset.
type writer struct {
	client *kgo.Client
	next   [partitions * 2]int64
}

func write(t *testing.T, cluster *kfake.Cluster) *writer {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MetadataMinAge(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &writer{client: c}
}

// to appends n records to each of the partitions and waits for them.
func (w *writer) to(t *testing.T, n int, to ...int) {
	t.Helper()
	var records []*kgo.Record
	for range n {
		for _, p := range to {
			records = append(records, &kgo.Record{Topic: topic, Partition: int32(p), Value: place(p, w.next[p])})
			w.next[p]++
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := w.client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// all appends n records to each partition.
func (w *writer) all(t *testing.T, n int) {
	t.Helper()
	w.to(t, n, 0, 1, 2, 3)
}

// eventually fails the test if what does not come true.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(25 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func (l *ledger) await(t *testing.T, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d records acknowledged", n), func() bool { total, _ := l.count(); return total >= n })
}

// committed returns the group's committed offset, -1 if there is none.
func committed(cluster *kfake.Cluster, partition int) int64 {
	info := cluster.GroupInfo(group)
	if info == nil {
		return -1
	}
	c, ok := info.Commits[topic][int32(partition)]
	if !ok {
		return -1
	}
	return c.Offset
}

func status(m *member, partition int) consumer.PartitionStatus {
	for _, p := range m.Status().Partitions {
		if p.Partition == partition {
			return p
		}
	}
	return consumer.PartitionStatus{Partition: -1}
}

// freeAddress returns a loopback address that nothing listens on.
func freeAddress(t *testing.T) (string, int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String(), l.Addr().(*net.TCPAddr).Port
}

// commit commits offsets for the group, as an operator would.
func commit(t *testing.T, w *writer, at map[int]int64) {
	t.Helper()
	offsets := kadm.Offsets{}
	for p, o := range at {
		offsets.AddOffset(topic, int32(p), o, -1)
	}
	if err := kadm.NewClient(w.client).CommitAllOffsets(t.Context(), group, offsets); err != nil {
		t.Fatal(err)
	}
}

// value sums the series of a gauge or counter.
func value(t *testing.T, m *member, name string) (sum float64) {
	t.Helper()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, s := range f.GetMetric() {
				sum += s.GetGauge().GetValue() + s.GetCounter().GetValue()
			}
		}
	}
	return sum
}
