package consumer_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trendbuy/riskscorer/broker"
)

// hang returns a ledger whose handlers hang at the first record of partition 2 that is handled, whatever their context
// says, until it is let go.
func hang(t *testing.T) (l *ledger, hung <-chan struct{}, letGo func()) {
	t.Helper()
	l = newLedger(t)
	entered, release := make(chan struct{}), make(chan struct{})
	var once atomic.Bool
	l.before = func(_ context.Context, p int, _ []broker.Record) error {
		if p == 2 && once.CompareAndSwap(false, true) {
			close(entered)
			<-release
			return errors.New("came back too late")
		}
		return nil
	}
	return l, entered, sync.OnceFunc(func() { close(release) })
}

func TestHungHandlerGivesItsPartitionsToAnotherMember(t *testing.T) {
	cluster := startCluster(t)
	w := write(t, cluster)
	w.all(t, 100)
	l, hung, letGo := hang(t)
	cfg := config()
	cfg.DrainTimeout, cfg.HandleTimeout = 300*time.Millisecond, 600*time.Millisecond
	first := join(t, cluster.ListenAddrs(), cfg, l)
	t.Cleanup(letGo) // before the member is stopped
	<-hung
	eventually(t, "the hung handler is named", func() bool {
		s := first.Status()
		return !s.Joined && strings.Contains(s.Reason, "the handler of partition 2 has not returned")
	})
	if n := value(t, first, "riskscorer_consumer_wedged_batches_total"); n != 1 {
		t.Errorf("%v wedged batches counted", n)
	}
	if c := committed(cluster, 2); c > 0 {
		t.Errorf("committed %d under a handler that never acknowledged", c)
	}
	second := join(t, cluster.ListenAddrs(), cfg, l)
	l.await(t, 400)
	if n := len(second.Status().Partitions); n != partitions {
		t.Errorf("the other member has %d partitions", n)
	}
	letGo()
	eventually(t, "both are members", func() bool { return first.Status().Joined && second.Status().Joined })
	w.all(t, 10)
	l.await(t, 440)
}

// A hung handler that heeds its context is back within the drain: its member leaves, and joins again by itself.
func TestLoneMemberJoinsAgainAfterItsHandlerWasStopped(t *testing.T) {
	cluster := startCluster(t)
	write(t, cluster).all(t, 10)
	l := newLedger(t)
	var once atomic.Bool
	l.before = func(ctx context.Context, p int, _ []broker.Record) error {
		if p == 2 && once.CompareAndSwap(false, true) {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}
	cfg := config()
	cfg.DrainTimeout, cfg.HandleTimeout = 300*time.Millisecond, 600*time.Millisecond
	m := join(t, cluster.ListenAddrs(), cfg, l)
	l.await(t, 40)
	eventually(t, "committed", func() bool { return committed(cluster, 2) == 10 })
	if n := value(t, m, "riskscorer_consumer_wedged_batches_total"); n != 1 {
		t.Errorf("%v wedged batches counted", n)
	}
}

// A rebalance does not wait for ever for a handler either, whether or not its time is over.
func TestRebalanceLeavesAHungHandlerBehind(t *testing.T) {
	cluster := startCluster(t)
	write(t, cluster).all(t, 10)
	l, hung, letGo := hang(t)
	cfg := config()
	cfg.DrainTimeout = 300 * time.Millisecond
	first := join(t, cluster.ListenAddrs(), cfg, l)
	t.Cleanup(letGo)
	<-hung
	second := join(t, cluster.ListenAddrs(), cfg, l)
	eventually(t, "the other has everything, the first is outside", func() bool {
		return len(second.Status().Partitions) == partitions && strings.Contains(first.Status().Reason, "partition 2 has not returned")
	})
	l.await(t, 40)
	letGo()
	eventually(t, "both are members", func() bool { return first.Status().Joined && second.Status().Joined })
}

func TestStopDoesNotWaitForAHungHandler(t *testing.T) {
	cluster := startCluster(t)
	write(t, cluster).all(t, 10)
	l, hung, letGo := hang(t)
	cfg := config()
	cfg.DrainTimeout = 300 * time.Millisecond
	m := join(t, cluster.ListenAddrs(), cfg, l)
	<-hung
	begin := time.Now()
	m.stop(t)
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("the stop took %v", took)
	}
	if info := cluster.GroupInfo(group); len(info.Members) != 0 {
		t.Errorf("%d members did not leave", len(info.Members))
	}
	letGo()
	eventually(t, "the handler is closed", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.open == 0
	})
}

// What waits for a broken service tries again and again: it is paused, not hung.
func TestPausedPartitionIsNotHung(t *testing.T) {
	cluster := startCluster(t)
	write(t, cluster).all(t, 10)
	l := newLedger(t)
	var broken atomic.Bool
	broken.Store(true)
	l.before = func(context.Context, int, []broker.Record) error {
		if broken.Load() {
			return errors.New("the schema registry is away")
		}
		return nil
	}
	cfg := config()
	cfg.DrainTimeout, cfg.HandleTimeout = 100*time.Millisecond, 200*time.Millisecond
	m := join(t, cluster.ListenAddrs(), cfg, l)
	eventually(t, "paused", func() bool { return status(m, 2).Paused != "" })
	generation := m.Status().Generation
	time.Sleep(time.Second)
	broken.Store(false)
	l.await(t, 40)
	if s := m.Status(); s.Generation != generation || value(t, m, "riskscorer_consumer_wedged_batches_total") != 0 {
		t.Errorf("generation %d became %d", generation, s.Generation)
	}
}
