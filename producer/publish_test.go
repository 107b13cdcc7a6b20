package producer_test

import (
	"bytes"
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/producer"
)

func TestPublishReachesEveryPartitionOnce(t *testing.T) {
	cluster := startCluster(t, kfake.SeedTopics(1, letters))
	p, registry := start(t, cluster, config())
	var wg sync.WaitGroup
	const workers, rounds, n = 4, 5, 40
	all := orders(results, workers*rounds*n)
	for w := range workers {
		wg.Go(func() {
			worker := p.Worker()
			for round := range rounds {
				if err := worker.Publish(deadline(t), all[(w*rounds+round)*n:][:n]); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := size(cluster, results); got != int64(len(all)) {
		t.Fatalf("%d records, want %d", got, len(all))
	}
	got, err := registry.Gather()
	if err != nil || len(got) == 0 {
		t.Fatal(err)
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("metrics: %v, %v", problems, err)
	}
}

func TestPublishTwoTopicsInOneCall(t *testing.T) {
	cluster := startCluster(t, kfake.SeedTopics(1, letters))
	p, _ := start(t, cluster, config())
	good, bad := orders(results, 30), orders(letters, 3)
	if err := p.Worker().Publish(deadline(t), append(append([]broker.Record{}, good...), bad...)); err != nil {
		t.Fatal(err)
	}
	exactlyOnce(t, cluster, results, good)
	exactlyOnce(t, cluster, letters, bad)
}

func TestNullKeysTakePartitionsInTurn(t *testing.T) {
	cluster := startCluster(t)
	p, _ := start(t, cluster, config())
	worker := p.Worker()
	for range 8 {
		if err := worker.Publish(deadline(t), []broker.Record{{Topic: results, Value: []byte("a")}, {Topic: results, Value: []byte("b")}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, info := range cluster.PartitionInfos(results) {
		if info.HighWatermark != 4 {
			t.Errorf("partition %d holds %d records, want 4", info.Partition, info.HighWatermark)
		}
	}
}

func TestLongPublicationsAreSplit(t *testing.T) {
	cluster := startCluster(t)
	cfg := config()
	cfg.MaxBatchBytes = 4096
	p, _ := start(t, cluster, cfg)
	wire := tap(t, cluster)
	all := orders(results, 300)
	for i := range all {
		all[i].Value = bytes.Repeat([]byte{byte(i)}, 200)
	}
	if err := p.Worker().Publish(deadline(t), all); err != nil {
		t.Fatal(err)
	}
	exactlyOnce(t, cluster, results, all)
	for _, s := range wire.all() {
		if len(s.bytes) > 4096+61 {
			t.Errorf("a batch of %d bytes", len(s.bytes))
		}
	}
}

func TestTooLargeRecordIsNamedAndNothingElseWaits(t *testing.T) {
	cluster := startCluster(t, kfake.SeedTopics(1, letters))
	if err := cluster.CreateTopic("small", 1, map[string]string{"max.message.bytes": "2000"}); err != nil {
		t.Fatal(err)
	}
	p, _ := start(t, cluster, config())
	worker := p.Worker()
	all := orders("small", 50)
	all[17].Value = make([]byte, 5000)
	all[31].Value = make([]byte, 3000)
	for _, want := range [][]int{{17, 31}, {31}} {
		err := worker.Publish(deadline(t), all)
		var large *producer.TooLargeError
		if !errors.As(err, &large) || large.Index != want[0] || large.RecordTooLarge() != want[0] || !reflect.DeepEqual(large.Indexes, want) || broker.KindOf(err) != broker.KindTooLarge {
			t.Fatalf("got %v, want the indexes %v", err, want)
		}
		if n := size(cluster, "small"); n != 48 {
			t.Fatalf("%d records, want the other 48, once", n)
		}
		all[want[0]] = broker.Record{Topic: letters, Key: all[want[0]].Key, Value: []byte("too large")}
	}
	if err := worker.Publish(deadline(t), all); err != nil {
		t.Fatal(err)
	}
	if n, m := size(cluster, "small"), size(cluster, letters); n != 48 || m != 2 {
		t.Fatalf("%d results and %d dead letters, want 48 and 2", n, m)
	}
	if err := worker.Publish(deadline(t), orders(results, 10)); err != nil || size(cluster, results) != 10 {
		t.Fatalf("the next publication: %v", err)
	}
}

// A topic that is missing holds up the publication, says so, and what went through does not go again.
func TestStallSaysWhyAndGoesOn(t *testing.T) {
	cluster := startCluster(t)
	cfg := config()
	cfg.StallAfter = 300 * time.Millisecond
	p, _ := start(t, cluster, cfg)
	worker := p.Worker()
	if err := worker.Publish(deadline(t), orders(results, 10)); err != nil {
		t.Fatal(err)
	}
	fault := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Partitions: []int32{2}, Err: kerr.TopicAuthorizationFailed, Count: -1})
	all := orders(results, 50)[10:]
	trace := byte(0)
	encode := func() []broker.Record { // each attempt makes its records anew, under a trace of its own, and they grow old
		trace++
		out := make([]broker.Record, len(all))
		for i, r := range all {
			r.Headers = append(append([]broker.Header(nil), r.Headers...), broker.Header{Key: broker.HeaderTraceparent, Value: []byte{trace}})
			if trace > 2 {
				r.Headers = append(r.Headers, broker.Header{Key: broker.HeaderStale, Value: []byte("true")})
			}
			r.Key, r.Value = bytes.Clone(r.Key), bytes.Clone(r.Value)
			out[i] = r
		}
		return out
	}
	for range 3 {
		err := worker.Publish(deadline(t), encode())
		if broker.KindOf(err) != broker.KindNotAuthorized {
			t.Fatalf("got %v", err)
		}
	}
	fault.Remove()
	if err := worker.Publish(deadline(t), encode()); err != nil {
		t.Fatal(err)
	}
	exactlyOnce(t, cluster, results, orders(results, 50))
}

func TestMissingTopicIsWaitedFor(t *testing.T) {
	cluster := startCluster(t)
	cfg := config()
	cfg.StallAfter = 200 * time.Millisecond
	p, _ := start(t, cluster, cfg)
	worker := p.Worker()
	all := append(orders(results, 10), orders(letters, 2)...)
	if err := worker.Publish(deadline(t), all); broker.KindOf(err) != broker.KindTopicMissing {
		t.Fatalf("got %v", err)
	}
	if err := cluster.CreateTopic(letters, 1, nil); err != nil {
		t.Fatal(err)
	}
	for {
		err := worker.Publish(deadline(t), all)
		if err == nil {
			break
		}
		if broker.KindOf(err) != broker.KindTopicMissing {
			t.Fatal(err)
		}
	}
	exactlyOnce(t, cluster, results, all[:10])
	exactlyOnce(t, cluster, letters, all[10:])
}

func TestConfigNamesTheVariable(t *testing.T) {
	for i, want := range []string{"PRODUCE_MAX_BATCH_BYTES", "PRODUCE_MAX_IN_FLIGHT", "PRODUCE_STALL_AFTER"} {
		cfg := config()
		switch i {
		case 0:
			cfg.MaxBatchBytes = 10
		case 1:
			cfg.MaxInFlight = 0
		default:
			cfg.StallAfter = 0
		}
		if err := cfg.Validate(); err == nil || !bytes.Contains([]byte(err.Error()), []byte(want)) {
			t.Errorf("want %s, got %v", want, err)
		}
	}
}
