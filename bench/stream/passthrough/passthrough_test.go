package passthrough_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/trendbuy/riskscorer/bench/stream/passthrough"
)

const (
	partitions = 8
	records    = 5000
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Each copier moves every record once, in order, to the partition of its key, and commits all of them: otherwise their
// speeds would not compare.
func TestCopiersDoTheSameWork(t *testing.T) {
	for name, copier := range passthrough.Copiers() {
		t.Run(name, func(t *testing.T) {
			cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, "from", "to"))
			if err != nil {
				t.Fatal(err)
			}
			defer cluster.Close()
			client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumeTopics("to"),
				kgo.DefaultProduceTopic("from"), kgo.ProducerBatchCompression(kgo.NoCompression()))
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			seed(t, client)

			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() {
				ended <- copier(ctx, passthrough.Job{
					Broker: cluster.ListenAddrs()[0], From: "from", To: "to", Partitions: partitions, Group: "copy", Batch: 500,
				})
			}()
			checkCopies(t, client)
			awaitCommit(t, kadm.NewClient(client))
			stop()
			if err := <-ended; err != nil {
				t.Errorf("%s ended: %v", name, err)
			}
		})
	}
}

// keyOf gives every key two records, so that order can be seen.
func keyOf(i int) string { return fmt.Sprintf("key-%d", i%(records/2)) }

func seed(t *testing.T, client *kgo.Client) {
	t.Helper()
	all := make([]*kgo.Record, records)
	for i := range all {
		all[i] = kgo.KeyStringRecord(keyOf(i), fmt.Sprintf("value-%d", i))
	}
	if err := client.ProduceSync(t.Context(), all...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func checkCopies(t *testing.T, client *kgo.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	hash := kgo.StickyKeyPartitioner(nil).ForTopic("to")
	seen := make(map[string][]string)
	for n := 0; n < records; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %d records: %v", n, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			n++
			seen[string(r.Key)] = append(seen[string(r.Key)], string(r.Value))
			if want := hash.Partition(r, partitions); int(r.Partition) != want {
				t.Errorf("%s is in partition %d, belongs to %d", r.Key, r.Partition, want)
			}
		})
	}
	for i := range records / 2 {
		want := fmt.Sprint([]string{fmt.Sprintf("value-%d", i), fmt.Sprintf("value-%d", i+records/2)})
		if got := fmt.Sprint(seen[keyOf(i)]); got != want {
			t.Errorf("%s has %s, want %s", keyOf(i), got, want)
		}
	}
}

func awaitCommit(t *testing.T, admin *kadm.Client) {
	t.Helper()
	var committed int64
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		offsets, err := admin.FetchOffsets(t.Context(), "copy")
		if err != nil {
			continue // a group is there once it has committed
		}
		committed = 0
		offsets.Each(func(o kadm.OffsetResponse) { committed += max(0, o.At) })
		if committed == records {
			return
		}
	}
	t.Errorf("committed %d of %d records", committed, records)
}
