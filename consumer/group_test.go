package consumer_test

import (
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestNewPartitionsAreRead(t *testing.T) {
	cluster := startCluster(t)
	w := write(t, cluster)
	l := newLedger(t)
	a, b := join(t, cluster.ListenAddrs(), config(), l), join(t, cluster.ListenAddrs(), config(), l)
	eventually(t, "both have partitions", func() bool { return len(a.Status().Partitions) == 2 && len(b.Status().Partitions) == 2 })
	w.all(t, 10)
	l.await(t, 40)
	if _, err := kadm.NewClient(w.client).UpdatePartitions(t.Context(), 6, topic); err != nil {
		t.Fatal(err)
	}
	w.client.ForceMetadataRefresh()
	time.Sleep(200 * time.Millisecond)
	w.to(t, 10, 4, 5)
	l.await(t, 60)
}

func TestFaultsOfTheGroupAreSurvived(t *testing.T) {
	for name, fault := range map[string]kfake.Fault{
		"fenced commit":       {Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.IllegalGeneration},
		"refused commit":      {Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.CoordinatorLoadInProgress, Count: 3},
		"unknown member":      {Keys: []kmsg.Key{kmsg.Heartbeat}, TopLevel: true, Err: kerr.UnknownMemberID},
		"coordinator moved":   {Keys: []kmsg.Key{kmsg.Heartbeat}, TopLevel: true, Err: kerr.NotCoordinator},
		"coordinator loading": {Keys: []kmsg.Key{kmsg.JoinGroup}, TopLevel: true, Err: kerr.CoordinatorLoadInProgress, Count: 2},
		"fetch refused":       {Keys: []kmsg.Key{kmsg.Fetch}, Topic: topic, Err: kerr.NotLeaderForPartition, Count: 4},
		"offsets refused":     {Keys: []kmsg.Key{kmsg.ListOffsets}, Topic: topic, Err: kerr.LeaderNotAvailable, Count: 4},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := startCluster(t)
			w := write(t, cluster)
			w.all(t, 100)
			handle := cluster.Fault(fault)
			l := newLedger(t)
			cfg := config()
			cfg.SessionTimeout, cfg.DrainTimeout = 2*time.Second, time.Second
			m := join(t, cluster.ListenAddrs(), cfg, l)
			eventually(t, "the fault hits", func() bool { return handle.Hits() > 0 })
			w.all(t, 100)
			l.await(t, 800)
			m.stop(t)
			for p := range partitions {
				if c := committed(cluster, p); c != 200 {
					t.Errorf("partition %d is committed at %d", p, c)
				}
			}
		})
	}
}

// A member that is fenced off stops at once: another one reads the same records already.
func TestFencedCommitEndsTheGeneration(t *testing.T) {
	for _, answer := range []*kerr.Error{kerr.IllegalGeneration, kerr.UnknownMemberID} {
		cluster := startCluster(t)
		write(t, cluster).all(t, 10)
		cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: answer})
		l := newLedger(t)
		m := join(t, cluster.ListenAddrs(), config(), l)
		eventually(t, "a new generation", func() bool { return value(t, m, "riskscorer_consumer_rebalances_total") >= 2 })
		l.await(t, 40)
		eventually(t, "committed", func() bool { return committed(cluster, 0) == 10 && committed(cluster, 3) == 10 })
		if n := value(t, m, "riskscorer_consumer_commit_errors_total"); n != 1 {
			t.Errorf("%v failed commits", n)
		}
	}
}

// A join that the coordinator does not answer must not hold up the stop for the whole rebalance time-out.
func TestStopWhileTheCoordinatorIsSilent(t *testing.T) {
	cluster := startCluster(t)
	cluster.ControlKey(int16(kmsg.JoinGroup), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		return nil, nil, true // swallowed
	})
	cfg := config()
	cfg.SessionTimeout, cfg.DrainTimeout = 20*time.Second, 200*time.Millisecond
	fault := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.FindCoordinator}, Observe: true, Count: -1})
	m := join(t, cluster.ListenAddrs(), cfg, newLedger(t))
	eventually(t, "joining", func() bool { return fault.Hits() > 0 })
	time.Sleep(300 * time.Millisecond)
	begin := time.Now()
	m.stop(t)
	if took := time.Since(begin); took > 6*time.Second {
		t.Errorf("took %v", took)
	}
}

// A generation has one connection to its coordinator. When that is gone, or the coordinator has moved, it can commit nothing
// any more, and what it goes on doing is done twice: the group must be joined anew at once, without the wait of a drain.
func TestLostCoordinatorIsReplacedAtOnce(t *testing.T) {
	for name, lose := range map[string]func(cluster *kfake.Cluster){
		"connection cut": func(cluster *kfake.Cluster) {
			cluster.ControlKey(int16(kmsg.OffsetCommit), func(kmsg.Request) (kmsg.Response, error, bool) {
				return nil, errors.New("the connection is cut"), true
			})
		},
		"coordinator moved": func(cluster *kfake.Cluster) {
			for from := cluster.CoordinatorFor(group); cluster.CoordinatorFor(group) == from; {
				cluster.RehashCoordinators()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := startCluster(t, kfake.NumBrokers(3))
			w := write(t, cluster)
			l := newLedger(t)
			cfg := config()
			cfg.SessionTimeout, cfg.DrainTimeout = 20*time.Second, 15*time.Second // and a heartbeat every two seconds
			join(t, cluster.ListenAddrs(), cfg, l)
			w.all(t, 10)
			l.await(t, 40)
			eventually(t, "the first commit", func() bool { return committed(cluster, 0) == 10 })
			lose(cluster)
			begin := time.Now()
			w.all(t, 10)
			eventually(t, "a commit by another connection", func() bool { return committed(cluster, 0) == 20 })
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}
