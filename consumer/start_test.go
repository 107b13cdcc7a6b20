package consumer_test

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/trendbuy/riskscorer/consumer"
)

func TestOutOfRangeHaltsThePartition(t *testing.T) {
	cluster := startCluster(t)
	w := write(t, cluster)
	w.all(t, 20)
	commit(t, w, map[int]int64{0: 3, 1: 3, 2: 3, 3: 99})
	if err := cluster.DeleteRecords(topic, 1, 10); err != nil {
		t.Fatal(err)
	}
	l := newLedger(t)
	m := join(t, cluster.ListenAddrs(), config(), l)
	l.await(t, 34)
	eventually(t, "both halted", func() bool { return status(m, 1).Kind == "out_of_range" && status(m, 3).Kind == "out_of_range" })
	for _, want := range []string{"offset 3 is outside the log, which holds [10, 20)", "riskctl offsets set --partition 1 --to earliest"} {
		if p := status(m, 1); !strings.Contains(p.Paused, want) || p.Committed != 3 {
			t.Errorf("status %+v, want %q", p, want)
		}
	}
	// What is gone from the log is no lag: there is nothing to catch up on.
	eventually(t, "the halted partitions' lag", func() bool {
		return status(m, 1).Lag == 10 && status(m, 3).HighWatermark == 20 && status(m, 3).Lag == 0
	})
	w.to(t, 100, 3) // now the log reaches beyond the offset: still nothing may be skipped
	time.Sleep(time.Second)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.acked[1]) != 0 || len(l.acked[3]) != 0 {
		t.Errorf("read %d and %d records of halted partitions", len(l.acked[1]), len(l.acked[3]))
	}
}

func TestWithoutCommittedOffset(t *testing.T) {
	for reset, want := range map[string]int{consumer.ResetEarliest: 40, consumer.ResetLatest: 0, consumer.ResetNone: 0} {
		t.Run(reset, func(t *testing.T) {
			cluster := startCluster(t)
			w := write(t, cluster)
			w.all(t, 10)
			cfg := config()
			cfg.OffsetReset = reset
			l := newLedger(t)
			m := join(t, cluster.ListenAddrs(), cfg, l)
			if reset == consumer.ResetNone {
				eventually(t, "halted", func() bool { return strings.Contains(status(m, 0).Paused, "OFFSET_RESET") })
				return
			}
			eventually(t, "the start is committed", func() bool { return committed(cluster, 3) == 10 })
			m.stop(t)
			w.all(t, 5) // written while nobody reads: no reset may pass over them
			join(t, cluster.ListenAddrs(), cfg, l)
			l.await(t, want+20)
			if total, twice := l.count(); total != want+20 || twice != 0 {
				t.Errorf("%d records, %d twice, want %d", total, twice, want+20)
			}
		})
	}
}

func TestBrokerAbsentAtTheStart(t *testing.T) {
	addr, port := freeAddress(t)
	l := newLedger(t)
	m := join(t, []string{addr}, config(), l)
	eventually(t, "says what it waits for", func() bool { return strings.HasPrefix(m.Status().Reason, "waiting for Kafka at "+addr) })
	cluster := startCluster(t, kfake.Ports(port))
	write(t, cluster).all(t, 10)
	l.await(t, 40)
	m.stop(t)
}

func TestStopWithoutBroker(t *testing.T) {
	addr, _ := freeAddress(t)
	m := join(t, []string{addr}, config(), newLedger(t))
	eventually(t, "waiting", func() bool { return m.Status().Reason != "starting" })
	begin := time.Now()
	m.stop(t)
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestTopicMissingAtTheStart(t *testing.T) {
	cluster := startCluster(t)
	if err := cluster.DeleteTopic(topic); err != nil {
		t.Fatal(err)
	}
	l := newLedger(t)
	m := join(t, cluster.ListenAddrs(), config(), l)
	eventually(t, "says so", func() bool { return strings.HasPrefix(m.Status().Reason, "topic does not exist") })
	if err := cluster.CreateTopic(topic, partitions, nil); err != nil {
		t.Fatal(err)
	}
	write(t, cluster).all(t, 10)
	l.await(t, 40)
}
