package broker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/trendbuy/riskscorer/broker"
)

// fill writes n records, a second apart from begin on, to partition 1.
func fill(t *testing.T, cluster *kfake.Cluster, begin time.Time, n int) {
	t.Helper()
	writer := witness(t, cluster)
	for i := range n {
		record := &kgo.Record{Topic: topic, Partition: 1, Value: fmt.Append(nil, i), Timestamp: begin.Add(time.Duration(i) * time.Second)}
		if err := writer.ProduceSync(deadline(t), record).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReadingReturnsASpanAndNothingElse(t *testing.T) {
	cluster := startCluster(t)
	fill(t, cluster, time.Now(), 10)
	c := connect(t, broker.Config{Brokers: cluster.ListenAddrs()})
	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Err: kerr.NotLeaderForPartition, Count: 1})
	reading := c.Read(broker.Span{Topic: topic, Partition: 1, From: 3, To: 7})
	var got []int64
	for {
		records, err := reading.Next(deadline(t))
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			if r.Topic != topic || r.Partition != 1 || string(r.Value) != fmt.Sprint(r.Offset) {
				t.Errorf("record %+v", r)
			}
			got = append(got, r.Offset)
		}
	}
	if fmt.Sprint(got) != "[3 4 5 6]" || reading.Offset() != 7 {
		t.Errorf("offsets %v, then at %d", got, reading.Offset())
	}
}

func TestReadingEnds(t *testing.T) {
	cluster := startCluster(t)
	fill(t, cluster, time.Now(), 1)
	c := connect(t, broker.Config{Brokers: cluster.ListenAddrs()})
	if _, err := c.Read(broker.Span{Topic: topic, Partition: 1}).Next(deadline(t)); !errors.Is(err, io.EOF) {
		t.Errorf("empty span: %v", err)
	}
	var outside *broker.OffsetOutOfRangeError
	if _, err := c.Read(broker.Span{Topic: topic, Partition: 1, From: 5, To: 9}).Next(deadline(t)); !errors.As(err, &outside) {
		t.Errorf("behind the log's end: %v", err)
	}
	// The log's end is below the span's: the reader waits for what does not come, until its context ends.
	ctx, cancel := context.WithTimeout(deadline(t), time.Second)
	defer cancel()
	if _, err := c.Read(broker.Span{Topic: topic, Partition: 1, From: 1, To: 2}).Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting: %v", err)
	}
}

func TestOffsetsAtATime(t *testing.T) {
	cluster := startCluster(t)
	begin := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	fill(t, cluster, begin, 10)
	c := connect(t, broker.Config{Brokers: cluster.ListenAddrs()})
	for _, test := range []struct {
		at   time.Time
		want int64
	}{
		{time.Time{}, 0},
		{begin.Add(-time.Hour), 0},
		{begin.Add(4 * time.Second), 4},
		{begin.Add(4*time.Second + time.Millisecond), 5},
		{begin.Add(time.Hour), 10},
	} {
		got, err := c.OffsetsAt(deadline(t), topic, []int{0, 1}, test.at)
		if err != nil || got[1] != test.want || got[0] != 0 {
			t.Errorf("%v: %v, %v; want %d", test.at, got, err, test.want)
		}
	}
}

func TestOffsetsAreCommittedOnlyForAGroupWithoutMembers(t *testing.T) {
	cluster := startCluster(t)
	fill(t, cluster, time.Now(), 3)
	c := connect(t, broker.Config{Brokers: cluster.ListenAddrs()})
	if n, err := c.GroupMembers(deadline(t), "group"); err != nil || n != 0 {
		t.Fatalf("a group that never was: %d members, %v", n, err)
	}
	if err := c.CommitOffsets(deadline(t), "group", topic, map[int]int64{0: 0, 1: 2}); err != nil {
		t.Fatal(err)
	}
	if lag, err := c.Lag(deadline(t), "group", topic); err != nil || lag[1].Committed != 2 || lag[0].Committed != 0 || lag[2].Committed != -1 {
		t.Fatalf("%+v, %v", lag, err)
	}
	member := witness(t, cluster, kgo.ConsumerGroup("group"), kgo.ConsumeTopics(topic))
	member.PollFetches(deadline(t))
	if n, err := c.GroupMembers(deadline(t), "group"); err != nil || n != 1 {
		t.Fatalf("%d members, %v", n, err)
	}
	if err := c.CommitOffsets(deadline(t), "group", topic, map[int]int64{1: 0}); !errors.Is(err, broker.ErrGroupActive) {
		t.Fatalf("commit against a member: %v", err)
	}
}
