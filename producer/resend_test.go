package producer_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Whatever hides or refuses an acknowledgement, the same bytes go again and the log holds them once.
func TestResendsAreIdentical(t *testing.T) {
	hangUp := errors.New("hang up")
	for name, inject := range map[string]func(*kfake.Cluster){
		"not leader": func(c *kfake.Cluster) {
			c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotLeaderForPartition, Count: 3})
		},
		"timed out after the append": func(c *kfake.Cluster) {
			c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.RequestTimedOut, Count: 3})
		},
		"not enough replicas after the append": func(c *kfake.Cluster) {
			c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicasAfterAppend, Count: 3})
		},
		"connection lost": func(c *kfake.Cluster) {
			var lost atomic.Int32
			c.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
				if lost.Add(1) > 3 {
					return nil, nil, false
				}
				c.KeepControl()
				return nil, hangUp, true
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := startCluster(t)
			p, _ := start(t, cluster, config())
			wire := tap(t, cluster)
			inject(cluster)
			worker := p.Worker()
			all := orders(results, 100)
			for i := 0; i < len(all); i += 50 {
				if err := worker.Publish(deadline(t), all[i:i+50]); err != nil {
					t.Fatal(err)
				}
			}
			exactlyOnce(t, cluster, results, all)
			resent, seen := 0, make(map[sent]bool)
			for _, s := range wire.all() {
				if seen[s] {
					resent++
				}
				seen[s] = true
			}
			if resent != 3 || len(seen) != 8 { // two publications to four partitions
				t.Errorf("%d batches sent, %d of them again", len(seen), resent)
			}
		})
	}
}

func TestNoBatchGoesOutWithoutProducerID(t *testing.T) {
	cluster := startCluster(t)
	p, _ := start(t, cluster, config())
	wire := tap(t, cluster)
	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, TopLevel: true, Err: kerr.CoordinatorLoadInProgress, Count: 3})
	all := orders(results, 20)
	if err := p.Worker().Publish(deadline(t), all); err != nil {
		t.Fatal(err)
	}
	exactlyOnce(t, cluster, results, all)
	for _, s := range wire.all() {
		if s.producer < 0 {
			t.Fatalf("a batch went out with producer id %d", s.producer)
		}
	}
}

func TestSequenceErrorsTakeANewID(t *testing.T) {
	for _, answer := range []*kerr.Error{kerr.OutOfOrderSequenceNumber, kerr.UnknownProducerID, kerr.InvalidProducerEpoch, kerr.InvalidProducerIDMapping} {
		t.Run(answer.Message, func(t *testing.T) {
			cluster := startCluster(t)
			p, _ := start(t, cluster, config())
			wire := tap(t, cluster)
			worker := p.Worker()
			all := orders(results, 60)
			if err := worker.Publish(deadline(t), all[:20]); err != nil {
				t.Fatal(err)
			}
			cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Partitions: []int32{0, 1}, Err: answer, Count: 2})
			for i := 20; i < 60; i += 20 {
				if err := worker.Publish(deadline(t), all[i:i+20]); err != nil {
					t.Fatal(err)
				}
			}
			exactlyOnce(t, cluster, results, all)
			ids := make(map[int64]bool)
			next := make(map[[2]int64]int32)
			for _, s := range wire.all() {
				ids[s.producer] = true
				lane := [2]int64{s.producer, int64(s.partition)}
				if s.sequence != 0 && s.sequence != next[lane] {
					t.Errorf("producer %d begins at sequence %d in partition %d, not at %d", s.producer, s.sequence, s.partition, next[lane])
				}
				next[lane] = s.sequence + s.count
			}
			if len(ids) != 2 {
				t.Errorf("%d producer ids, want the first and one new", len(ids))
			}
		})
	}
}

// The sequence number of a batch that may be in the log must not go to other records: the broker would take them for a
// repetition, acknowledge them, and append nothing.
func TestGivingUpAnUncertainBatchLosesNothing(t *testing.T) {
	cluster := startCluster(t, kfake.SeedTopics(1, letters))
	cfg := config()
	cfg.StallAfter = 200 * time.Millisecond
	p, _ := start(t, cluster, cfg)
	worker := p.Worker()
	fault := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.RequestTimedOut, Count: -1}) // appended, not acknowledged
	all := orders(letters, 40)
	if err := worker.Publish(deadline(t), all[:20]); err == nil {
		t.Fatal("no error")
	}
	fault.Remove()
	if err := worker.Publish(deadline(t), all[20:]); err != nil { // as many records, to the same partition
		t.Fatal(err)
	}
	exactlyOnce(t, cluster, letters, all)
}

func TestPublishEndsWithItsContext(t *testing.T) {
	cluster := startCluster(t)
	p, _ := start(t, cluster, config())
	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotLeaderForPartition, Count: -1})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	begin := time.Now()
	err := p.Worker().Publish(ctx, orders(results, 10))
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) > 3*time.Second {
		t.Fatalf("after %v: %v", time.Since(begin), err)
	}
}

func TestLeaderMovesWhilePublishing(t *testing.T) {
	cluster := startCluster(t, kfake.NumBrokers(3))
	p, _ := start(t, cluster, config())
	worker := p.Worker()
	all := orders(results, 600)
	for i := 0; i < len(all); i += 20 {
		if i%100 == 0 {
			cluster.ShufflePartitionLeaders()
		}
		if err := worker.Publish(deadline(t), all[i:i+20]); err != nil {
			t.Fatal(err)
		}
	}
	exactlyOnce(t, cluster, results, all)
}
