package simulation_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/trendbuy/riskscorer/consumer"
	"github.com/trendbuy/riskscorer/e2e/verify"
	"github.com/trendbuy/riskscorer/producer"
	"github.com/trendbuy/riskscorer/scoring/bundle"
)

const (
	group      = "riskscorer"
	brokers    = 3
	partitions = 3 // of orders, at first
	// recovery bounds the time from the end of a fault to a lag of zero: one dead connection to be noticed (10 s and the
	// longest fetch), one session to run out (10 s), one rebalance (20 s), and the longest waits between attempts (10 s).
	recovery = 90 * time.Second
	// exit bounds the time from SIGTERM to the end: the drain, and what cuts off a coordinator that does not answer.
	exit = 30 * time.Second
)

var topics = verify.Topics{Orders: "order-features", Results: "risk-results", DeadLetters: "order-features-dead-letters"}

// world is one run: brokers, processes, upstream and judge, all inside one bubble. Its methods are called by one goroutine.
type world struct {
	t        *testing.T
	random   *rand.Rand // of the faults
	bundle   *bundle.Bundle
	network  *network
	cluster  *kfake.Cluster
	settings settings
	traffic  *traffic
	ledger   *verify.Ledger
	log      *tail

	processes []*process // that should be alive
	gone      sync.WaitGroup
	started   int
	tally     tally
}

func newWorld(t *testing.T, seed uint64, b *bundle.Bundle) *world {
	t.Helper()
	w := &world{
		t: t, bundle: b, network: newNetwork(seed), ledger: verify.NewLedger(topics), log: newTail(),
		random: rand.New(rand.NewPCG(seed, 0xfa17)), //nolint:gosec // the same seed must give the same faults
		tally:  newTally(),
	}
	w.network.observe = w.observe
	var err error
	w.cluster, err = kfake.NewCluster(kfake.NumBrokers(brokers), kfake.ListenFn(w.network.listen),
		kfake.SeedTopics(partitions, topics.Orders), kfake.SeedTopics(4, topics.Results), kfake.SeedTopics(2, topics.DeadLetters))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.cluster.Close)
	w.settings = w.chooseSettings()
	w.traffic = newTraffic(t, seed, w.network, w.cluster.ListenAddrs())
	t.Cleanup(func() {
		for _, p := range w.processes {
			p.signal()
			<-p.exited
		}
		w.gone.Wait()
		time.Sleep(time.Minute) // the client library's connections end by their deadlines
		if t.Failed() {
			t.Logf("the last lines of the log:\n%s", w.log)
		}
	})
	return w
}

// chooseSettings varies what decides where batches and requests begin and end.
func (w *world) chooseSettings() settings {
	return settings{
		consumer: consumer.Config{
			Group: group, Topic: topics.Orders, OffsetReset: consumer.ResetEarliest,
			SessionTimeout: 10 * time.Second, DrainTimeout: 8 * time.Second,
			FetchMaxBytes: pick(w.random, 4096, 65536, 1<<20), FetchMaxWait: pick(w.random, 2*time.Second, 5*time.Second, 10*time.Second),
			BatchRecords: pick(w.random, 1, 7, 50, 500),
		},
		producer: producer.Config{
			MaxBatchBytes: pick(w.random, 2048, 16384, 921600), MaxInFlight: pick(w.random, 2, 64), StallAfter: 5 * time.Second,
		},
	}
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// between returns a time of at least from and less than to.
func (w *world) between(from, to time.Duration) time.Duration {
	return from + time.Duration(w.random.Int64N(int64(to-from)))
}

// start adds a process.
func (w *world) start() {
	w.t.Helper()
	w.started++
	p := startProcess(w.t, w.bundle, w.network, fmt.Sprintf("p%d", w.started), w.cluster.ListenAddrs(), w.settings, w.log.logger())
	w.processes = append(w.processes, p)
}

// stop ends a process as SIGTERM does.
func (w *world) stop(p *process) {
	w.t.Helper()
	w.remove(p)
	p.stopWithin(w.t, exit)
}

// kill ends a process as kill -9 does: from this instant on nothing of it reaches the network. What is left of it runs out
// unseen.
func (w *world) kill(p *process) {
	w.remove(p)
	w.network.kill(p.name, w.random.IntN(2) == 0)
	p.signal()
	w.gone.Go(func() { <-p.exited })
}

func (w *world) remove(p *process) {
	w.processes = slices.DeleteFunc(w.processes, func(other *process) bool { return other == p })
}

// observe judges a commit at the instant of its sending: the outputs of all that it covers must be in the log by now.
func (w *world) observe(_ string, request kmsg.Request) {
	commit, ok := request.(*kmsg.OffsetCommitRequest)
	if !ok {
		return
	}
	look := verify.Commit{
		Committed: make(map[int32]int64), InputEnds: w.ends(topics.Orders),
		OutputEnds: map[string]map[int32]int64{
			topics.Results: w.ends(topics.Results), topics.DeadLetters: w.ends(topics.DeadLetters),
		},
	}
	for _, t := range commit.Topics {
		for _, p := range t.Partitions {
			look.Committed[p.Partition] = p.Offset
		}
	}
	w.ledger.Commit(look)
}

// ends returns the ends of a topic's partitions, as the cluster itself has them.
func (w *world) ends(topic string) map[int32]int64 {
	ends := make(map[int32]int64)
	for _, p := range w.cluster.PartitionInfos(topic) {
		ends[p.Partition] = p.HighWatermark
	}
	return ends
}

// lag returns how many records of orders are not committed, and what the group looks like.
func (w *world) lag() (lag int64, state string) {
	info := w.cluster.GroupInfo(group)
	if info == nil {
		return -1, "no group"
	}
	for p, end := range w.ends(topics.Orders) {
		lag += end - info.Commits[topics.Orders][p].Offset
	}
	return lag, fmt.Sprintf("%s, generation %d, %d members", info.State, info.Epoch, len(info.Members))
}

// settled says whether there is no lag and the group is made of the processes alone.
func (w *world) settled() bool {
	if lag, _ := w.lag(); lag != 0 {
		return false
	}
	info := w.cluster.GroupInfo(group)
	return info.State == "Stable" && len(info.Members) == len(w.processes)
}

// settle waits for it, within the bound, and keeps how long it took.
func (w *world) settle(after string) {
	w.t.Helper()
	begin := time.Now()
	for !w.settled() {
		if time.Since(begin) > recovery {
			lag, state := w.lag()
			status := ""
			for _, p := range w.processes {
				status += fmt.Sprintf("\n%s: %+v", p.name, p.consumer.Status())
			}
			w.t.Fatalf("%v: %v after %s the lag is %d; group: %s%s", w.clock(), recovery, after, lag, state, status)
		}
		time.Sleep(100 * time.Millisecond)
	}
	w.tally.recovered(after, time.Since(begin))
}

// clock is the logical time since the run began: the bubble's clock starts at the millennium.
func (w *world) clock() time.Duration {
	return time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).Round(time.Millisecond)
}

// duplicates waits for a moment without lag and returns how many outputs stand there beyond the first of their inputs.
func (w *world) duplicates(after string) int {
	w.t.Helper()
	w.traffic.turn <- struct{}{}
	defer func() { <-w.traffic.turn }()
	w.settle(after)
	var have int64
	for _, topic := range []string{topics.Results, topics.DeadLetters} {
		for _, end := range w.ends(topic) {
			have += end
		}
	}
	return int(have) - w.traffic.outputs
}

// tail keeps the last of what is logged.
type tail struct {
	mu    sync.Mutex
	lines [][]byte
}

const tailLines = 80

func newTail() *tail { return &tail{} }

func (l *tail) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelInfo}))
}

// Write keeps a line.
func (l *tail) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, bytes.Clone(line))
	if len(l.lines) > tailLines {
		l.lines = l.lines[1:]
	}
	return len(line), nil
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(bytes.Join(l.lines, nil))
}
