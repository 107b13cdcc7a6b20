package consumer_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/consumer"
)

func TestReadsAllInOrderAndCommitsAll(t *testing.T) {
	cluster := startCluster(t)
	w := write(t, cluster)
	w.all(t, 300)
	l := newLedger(t)
	m := join(t, cluster.ListenAddrs(), config(), l)
	l.await(t, 1200)
	w.all(t, 10)
	l.await(t, 1240)
	eventually(t, "no lag", func() bool {
		s := m.Status()
		lag := int64(0)
		for _, p := range s.Partitions {
			lag += p.Lag + p.HighWatermark - 310
		}
		return s.Joined && len(s.Partitions) == partitions && lag == 0
	})
	if problems, err := testutil.GatherAndLint(m.registry); err != nil || len(problems) > 0 {
		t.Errorf("metrics: %v, %v", problems, err)
	}
	m.stop(t)
	if s := m.Status(); s.Joined || s.Reason != "stopped" {
		t.Errorf("after the stop: %+v", s)
	}
	if _, twice := l.count(); twice != 0 || l.most > 50 {
		t.Errorf("%d records twice, batches up to %d", twice, l.most)
	}
	for p := range partitions {
		for i, o := range l.acked[p] {
			if int64(i) != o {
				t.Fatalf("partition %d: offset %d came as number %d", p, o, i)
			}
		}
		if c := committed(cluster, p); c != 310 {
			t.Errorf("partition %d is committed at %d", p, c)
		}
	}
	if info := cluster.GroupInfo(group); len(info.Members) != 0 {
		t.Errorf("%d members did not leave", len(info.Members))
	}
}

func TestMembersShareAndHandOver(t *testing.T) {
	cluster := startCluster(t)
	w := write(t, cluster)
	l := newLedger(t)
	l.before = func(context.Context, int, []broker.Record) error { time.Sleep(2 * time.Millisecond); return nil }
	first := join(t, cluster.ListenAddrs(), config(), l)
	w.all(t, 100)
	l.await(t, 400)
	second := join(t, cluster.ListenAddrs(), config(), l)
	for range 20 {
		w.all(t, 20)
		time.Sleep(20 * time.Millisecond)
	}
	eventually(t, "both have partitions", func() bool {
		return len(first.Status().Partitions) == 2 && len(second.Status().Partitions) == 2
	})
	w.all(t, 200)
	begin := time.Now()
	first.stop(t)
	w.all(t, 50)
	l.await(t, partitions*(100+400+200+50))
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("the hand-over took %v: the member did not leave", took)
	}
	second.stop(t)
	if _, twice := l.count(); twice != 0 {
		t.Errorf("%d records came twice on a healthy cluster", twice)
	}
	for p := range partitions {
		if c := committed(cluster, p); c != 750 {
			t.Errorf("partition %d is committed at %d", p, c)
		}
	}
}

func TestStopDrainsTheBatchUnderWay(t *testing.T) {
	cluster := startCluster(t)
	w := write(t, cluster)
	w.all(t, 500)
	l := newLedger(t)
	entered := make(chan struct{}, 1000)
	l.before = func(ctx context.Context, _ int, _ []broker.Record) error {
		entered <- struct{}{}
		time.Sleep(300 * time.Millisecond)
		return ctx.Err()
	}
	m := join(t, cluster.ListenAddrs(), config(), l)
	<-entered
	m.stop(t)
	total, _ := l.count()
	if total == 0 || total > 4*2*50 {
		t.Fatalf("%d records handled: the batches under way, and no more, were to finish", total)
	}
	for p := range partitions {
		if c := max(0, committed(cluster, p)); c != l.through(p) {
			t.Errorf("partition %d: committed %d, handled up to %d", p, c, l.through(p))
		}
	}
	l.before = nil
	join(t, cluster.ListenAddrs(), config(), l)
	l.await(t, 2000)
	if _, twice := l.count(); twice != 0 {
		t.Errorf("%d records came twice", twice)
	}
}

func TestDrainIsBounded(t *testing.T) {
	cluster := startCluster(t)
	write(t, cluster).all(t, 10)
	cfg := config()
	cfg.DrainTimeout = 300 * time.Millisecond
	l := newLedger(t)
	entered := make(chan struct{}, partitions)
	l.before = func(ctx context.Context, _ int, _ []broker.Record) error {
		entered <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}
	m := join(t, cluster.ListenAddrs(), cfg, l)
	<-entered
	begin := time.Now()
	m.stop(t)
	if took := time.Since(begin); took < 250*time.Millisecond || took > 3*time.Second {
		t.Errorf("the drain took %v", took)
	}
	for p := range partitions {
		if c := committed(cluster, p); c > 0 {
			t.Errorf("partition %d is committed at %d, nothing was acknowledged", p, c)
		}
	}
}

func TestHandlerErrorPausesOnePartition(t *testing.T) {
	cluster := startCluster(t)
	w := write(t, cluster)
	w.all(t, 100)
	l := newLedger(t)
	var broken atomic.Bool
	broken.Store(true)
	var firsts sync.Map
	l.before = func(_ context.Context, p int, records []broker.Record) error {
		if p == 2 && records[0].Offset >= 50 && broken.Load() {
			firsts.Store(records[0].Offset, len(records))
			return errors.New("the schema registry is away")
		}
		return nil
	}
	m := join(t, cluster.ListenAddrs(), config(), l)
	l.await(t, 350)
	eventually(t, "paused", func() bool { return status(m, 2).Paused != "" })
	p := status(m, 2)
	if p.Paused != "the schema registry is away" || p.Kind != "handler" || time.Since(p.Since) > 20*time.Second || p.Next != 50 {
		t.Errorf("status %+v", p)
	}
	w.all(t, 10) // the others go on
	l.await(t, 380)
	eventually(t, "three attempts", func() bool { return time.Since(p.Since) > 700*time.Millisecond })
	if c := committed(cluster, 2); c != 50 {
		t.Errorf("committed %d while paused at 50", c)
	}
	if got := value(t, m, "riskscorer_consumer_paused_partitions"); got != 1 {
		t.Errorf("%v partitions paused in the metrics", got)
	}
	broken.Store(false)
	l.await(t, 440)
	eventually(t, "running", func() bool { return status(m, 2).Paused == "" && committed(cluster, 2) == 110 })
	if _, twice := l.count(); twice != 0 {
		t.Errorf("%d records twice", twice)
	}
	firsts.Range(func(offset, n any) bool {
		if offset != int64(50) || n != 50 {
			t.Errorf("a retry began at %v with %v records", offset, n)
		}
		return true
	})
}

// At every instant the committed offset is at most what was acknowledged with all before it.
func TestCommitNeverPassesTheUnacknowledged(t *testing.T) {
	cluster := startCluster(t)
	w := write(t, cluster)
	w.all(t, 400)
	l := newLedger(t)
	l.before = func(ctx context.Context, _ int, _ []broker.Record) error {
		time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
		if rand.IntN(10) == 0 {
			return errors.New("not now")
		}
		return nil
	}
	cfg := config()
	cfg.BatchRecords = 20
	watched := make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() {
		for {
			select {
			case <-watched:
				return
			case <-time.After(2 * time.Millisecond):
			}
			for p := range partitions {
				if c := committed(cluster, p); c > l.through(p) { // read in this order: acknowledged only grows
					t.Errorf("partition %d: committed %d, acknowledged %d", p, c, l.through(p))
				}
			}
		}
	})
	a := join(t, cluster.ListenAddrs(), cfg, l)
	time.Sleep(500 * time.Millisecond)
	join(t, cluster.ListenAddrs(), cfg, l)
	time.Sleep(500 * time.Millisecond)
	a.stop(t)
	l.await(t, 1600)
	close(watched)
	watcher.Wait()
}

func TestConfigNamesTheVariable(t *testing.T) {
	for want, change := range map[string]func(*consumer.Config){
		"KAFKA_GROUP":           func(c *consumer.Config) { c.Group = "" },
		"ORDERS_TOPIC":          func(c *consumer.Config) { c.Topic = "" },
		"OFFSET_RESET":          func(c *consumer.Config) { c.OffsetReset = "newest" },
		"KAFKA_SESSION_TIMEOUT": func(c *consumer.Config) { c.SessionTimeout = 0 },
		"DRAIN_TIMEOUT":         func(c *consumer.Config) { c.DrainTimeout = c.SessionTimeout },
		"FETCH_MAX_BYTES":       func(c *consumer.Config) { c.FetchMaxBytes = 0 },
		"FETCH_MAX_WAIT":        func(c *consumer.Config) { c.FetchMaxWait = 0 },
		"BATCH_MAX_RECORDS":     func(c *consumer.Config) { c.BatchRecords = 0 },
	} {
		cfg := config()
		change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %s, got %v", want, err)
		}
	}
}
