package consumer_test

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/consumer"
)

func TestMemoryFormula(t *testing.T) {
	cfg := config()
	cfg.BatchRecords, cfg.MemoryLimit = 500, 256<<20
	for _, partitions := range []int{0, 1, 8, 64, 500} {
		m := cfg.Memory(partitions)
		if m.Bound > int64(cfg.MemoryLimit) || m.FetchBytes > cfg.FetchMaxBytes || m.BatchRecords > cfg.BatchRecords || m.BatchRecords < 1 {
			t.Errorf("%d partitions: %+v", partitions, m)
		}
	}
	if m := cfg.Memory(8); m.FetchBytes != cfg.FetchMaxBytes || m.BatchRecords != 500 {
		t.Errorf("8 partitions do not get whole fetches: %+v", m)
	}
	if m := cfg.Memory(64); m.FetchBytes < 128<<10 || m.BatchRecords != 500 {
		t.Errorf("64 partitions get little: %+v", m)
	}
	if m := cfg.Memory(100_000); m.Bound <= int64(cfg.MemoryLimit) {
		t.Errorf("100,000 partitions are said to fit: %+v", m)
	}
	cfg.MemoryLimit = 0
	if m := cfg.Memory(64); m.FetchBytes != cfg.FetchMaxBytes {
		t.Errorf("without a limit: %+v", m)
	}
	cfg.MemoryLimit = 1 << 20
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "STREAM_MEMORY_LIMIT") {
		t.Errorf("1 MiB: %v", err)
	}
}

// waiting is a handler that lets some batches pass and holds the next until it is let go.
type waiting struct {
	entered *atomic.Int32
	pass    int
	release chan struct{}
}

func (w *waiting) Handle(context.Context, []broker.Record) error {
	if w.pass--; w.pass < 0 {
		w.entered.Add(1)
		<-w.release
	}
	return nil
}

func (*waiting) Close() {}

// Sixty-four partitions with a backlog, each with a batch in its handler and a fetch ahead, hold no more than the formula
// says: with copies of compressed records, and with memory that served fetches before.
func TestSixtyFourPartitionsStayWithinTheLimit(t *testing.T) {
	t.Run("compressed", func(t *testing.T) { sixtyFour(t, kgo.ZstdCompression(), 0) })
	t.Run("plain, after some batches", func(t *testing.T) { sixtyFour(t, kgo.NoCompression(), 3) })
}

const many = 64 // partitions

// sixtyFour lets so many batches of each partition pass before its handler holds one.
func sixtyFour(t *testing.T, codec kgo.CompressionCodec, pass int) {
	t.Helper()
	// kfake's timers keep the log of a closed cluster for a moment: freed while we measure, it would hide what we hold.
	eventually(t, "the memory of earlier tests given back", func() bool { return liveHeap() < 16<<20 })
	cluster := startCluster(t, kfake.SeedTopics(many, "wide"))
	backlog(t, cluster, many, codec)
	client, err := broker.NewClient(broker.Config{Brokers: cluster.ListenAddrs()}, "wide")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	cfg := config()
	cfg.Topic, cfg.MemoryLimit, cfg.BatchRecords = "wide", 64<<20, 500
	want := cfg.Memory(many)
	before := liveHeap()
	entered, release := new(atomic.Int32), make(chan struct{})
	registry := prometheus.NewRegistry()
	c, err := consumer.New(client, cfg, func(int) consumer.Handler {
		return &waiting{entered: entered, pass: pass, release: release}
	}, slog.New(slog.DiscardHandler), registry)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	defer func() {
		cancel()
		close(release)
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	eventually(t, "a batch in every handler", func() bool { return entered.Load() == many })
	most := uint64(0)
	for range 10 { // the fetches ahead are still coming
		time.Sleep(50 * time.Millisecond)
		if now := liveHeap(); now > before {
			most = max(most, now-before)
		}
	}
	t.Logf("%d bytes are live, the formula says %d", most, want.Bound)
	if most > uint64(want.Bound) || want.Bound > int64(cfg.MemoryLimit) {
		t.Errorf("%d bytes are live, the formula says %d, the limit %d", most, want.Bound, cfg.MemoryLimit)
	}
	if most < uint64(want.Bound)/16 {
		t.Errorf("only %d bytes are live: this shows nothing", most)
	}
	if got := value(t, &member{registry: registry}, "riskscorer_consumer_memory_bound_bytes"); got != float64(want.Bound) {
		t.Errorf("the metric says %v, the formula %d", got, want.Bound)
	}
}

// liveHeap returns the bytes of what is still referred to.
func liveHeap() uint64 {
	runtime.GC()
	runtime.GC() // the first empties the pools into their second life
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// backlog fills the partitions with a megabyte each, which zstd makes a quarter or so.
func backlog(t *testing.T, cluster *kfake.Cluster, partitions int, codec kgo.CompressionCodec) {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(codec), kgo.ProducerBatchMaxBytes(32<<10), kgo.ProducerLinger(50*time.Millisecond),
		kgo.MaxBufferedRecords(100_000))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		value := make([]byte, 500)
		for i := range value[:100] {
			value[i] = byte(random.Uint32())
		}
		for p := range partitions {
			c.Produce(t.Context(), &kgo.Record{Topic: "wide", Partition: int32(p), Value: value}, nil)
		}
	}
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}
