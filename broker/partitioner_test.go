package broker_test

import (
	"testing"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"github.com/trendbuy/riskscorer/broker"
)

// The hashes are those of the Java client's own tests.
func TestPartitionOfMatchesJava(t *testing.T) {
	for key, hash := range map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536, "a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971, "abc": 479470107,
	} {
		for _, n := range []int{1, 7, 12, 1 << 30} {
			if got, want := broker.PartitionOf([]byte(key), n), int(hash&0x7fffffff)%n; got != want {
				t.Errorf("%q of %d: got partition %d, want %d", key, n, got, want)
			}
		}
	}
}

func TestPartitionOfMatchesOtherClients(t *testing.T) {
	franz := kgo.StickyKeyPartitioner(nil).ForTopic(topic)
	segmentio := kafka.Murmur2Balancer{Consistent: true}
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOfN(rapid.Byte(), 1, 64).Draw(t, "key")
		n := rapid.IntRange(1, 40).Draw(t, "partitions")
		all := make([]int, n)
		for i := range all {
			all[i] = i
		}
		got := broker.PartitionOf(key, n)
		if want := franz.Partition(&kgo.Record{Key: key}, n); got != want {
			t.Fatalf("got %d, franz-go %d", got, want)
		}
		if want := segmentio.Balance(kafka.Message{Key: key}, all...); got != want {
			t.Fatalf("got %d, kafka-go %d", got, want)
		}
	})
}
