package broker_test

import (
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trendbuy/riskscorer/broker"
)

func TestCreateTopicsIsIdempotent(t *testing.T) {
	cluster := startCluster(t)
	c := connect(t, broker.Config{Brokers: cluster.ListenAddrs()})
	specs := []broker.TopicSpec{
		{Name: topic, Partitions: 4, Replication: -1},
		{Name: "results", Partitions: 6, Replication: 1, Configs: map[string]string{"min.insync.replicas": "1", "retention.ms": "86400000", "cleanup.policy": "delete"}},
	}
	for _, created := range []bool{true, false} {
		reports, err := c.CreateTopics(deadline(t), specs)
		if err != nil {
			t.Fatal(err)
		}
		if r := reports[0]; !r.Exists || r.Created || r.Partitions != 4 || len(r.Differences) != 0 {
			t.Errorf("existing topic: %+v", r)
		}
		if r := reports[1]; !r.Exists || r.Created != created || r.Partitions != 6 || len(r.Differences) != 0 {
			t.Errorf("new topic: %+v", r)
		}
	}
	if n, err := c.PartitionCount(deadline(t), "results"); err != nil || n != 6 {
		t.Fatalf("%d partitions, %v", n, err)
	}
	if info := cluster.TopicInfo("results"); *info.Configs["retention.ms"] != "86400000" {
		t.Fatalf("the broker has %v", info.Configs)
	}
}

func TestCheckTopicsNamesEachDifference(t *testing.T) {
	cluster := startCluster(t)
	retention := "1000"
	if err := cluster.CreateTopic("results", 3, map[string]string{"retention.ms": retention}); err != nil {
		t.Fatal(err)
	}
	c := connect(t, broker.Config{Brokers: cluster.ListenAddrs()})
	reports, err := c.CheckTopics(deadline(t), []broker.TopicSpec{
		{Name: "results", Partitions: 6, Replication: 5, Configs: map[string]string{"retention.ms": "2000", "cleanup.policy": "delete"}},
		{Name: "absent", Partitions: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	have := reports[0].Replication
	want := []broker.Difference{{"partitions", "6", "3"}, {"replication", "5", string(rune('0' + have))}, {"retention.ms", "2000", "1000"}}
	if !reflect.DeepEqual(reports[0].Differences, want) {
		t.Errorf("got %v, want %v", reports[0].Differences, want)
	}
	if r := reports[1]; r.Exists || r.Name != "absent" {
		t.Errorf("absent topic: %+v", r)
	}
	if cluster.TopicInfo("absent") != nil {
		t.Error("checking a topic created it")
	}
}

func TestCreateTopicsRefusesTopicsOutsideTheClient(t *testing.T) {
	cluster := startCluster(t)
	c := connect(t, broker.Config{Brokers: cluster.ListenAddrs()}, topic)
	if _, err := c.CreateTopics(deadline(t), []broker.TopicSpec{{Name: "results", Partitions: 1, Replication: 1}}); err == nil {
		t.Fatal("no error")
	}
}

func TestOffsetsAndLag(t *testing.T) {
	cluster := startCluster(t)
	writer := witness(t, cluster)
	for range 10 {
		if err := writer.ProduceSync(deadline(t), &kgo.Record{Topic: topic, Partition: 1, Value: []byte("v")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if err := cluster.DeleteRecords(topic, 1, 2); err != nil {
		t.Fatal(err)
	}
	c := connect(t, broker.Config{Brokers: cluster.ListenAddrs()})
	bounds, err := c.Offsets(deadline(t), topic, []int{0, 1})
	if want := map[int]broker.OffsetRange{0: {}, 1: {Earliest: 2, Latest: 10}}; err != nil || !reflect.DeepEqual(bounds, want) {
		t.Fatalf("got %v, %v", bounds, err)
	}
	lag, err := c.Lag(deadline(t), "group", topic)
	if err != nil || lag[1].Lag != 8 || lag[1].Committed != -1 || lag[0].Lag != 0 {
		t.Fatalf("without a commit: %+v, %v", lag, err)
	}
	offsets := kadm.Offsets{}
	offsets.AddOffset(topic, 1, 7, -1)
	if err := kadm.NewClient(writer).CommitAllOffsets(deadline(t), "group", offsets); err != nil {
		t.Fatal(err)
	}
	lag, err = c.Lag(deadline(t), "group", topic)
	if err != nil || lag[1].Lag != 3 || lag[1].Committed != 7 {
		t.Fatalf("committed at 7 of 10: %+v, %v", lag, err)
	}
}
