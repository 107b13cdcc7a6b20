package service_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trendbuy/riskscorer/ordergen"
)

// TestABadDeploymentUpstreamPausesThePartitionUntilAnOperatorDecides: readiness, metric and offsets say so, and
// REJECT_SHARE=1 lets it through.
func TestABadDeploymentUpstreamPausesThePartitionUntilAnOperatorDecides(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "order-features", "risk-results", "order-features-dead-letters"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	const sound, bad = 300, 700
	orders := ordergen.New(ordergen.Config{Seed: 31})
	var records []*kgo.Record
	for i := range sound + bad {
		o := orders.Next()
		r := &kgo.Record{Topic: "order-features", Key: []byte(o.ID), Value: o.AppendJSON(nil)}
		if i >= sound {
			r.Value = o.Broken(ordergen.PercentDiscount).Value
		}
		records = append(records, r)
	}
	if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	end := func(topic string) int64 {
		offsets, err := kadm.NewClient(client).ListEndOffsets(t.Context(), topic)
		if err != nil {
			t.Fatal(err)
		}
		o, _ := offsets.Lookup(topic, 0)
		return o.Offset
	}

	t.Run("paused", func(t *testing.T) {
		s := start(t, map[string]string{"KAFKA_BROKERS": cluster.ListenAddrs()[0], "BATCH_MAX_RECORDS": "100"})
		eventually(t, "a pause that says what to do", func() bool {
			status, body := call(t, http.MethodGet, "http://"+s.Addrs().Metrics+"/health/ready/stream", "")
			return status == http.StatusServiceUnavailable && strings.Contains(body, "REJECT_SHARE=1") && strings.Contains(body, "feature_range")
		})
		if _, metrics := call(t, http.MethodGet, "http://"+s.Addrs().Metrics+"/metrics", ""); !strings.Contains(metrics, `riskscorer_consumer_paused_partitions{reason="reject_share"} 1`) {
			t.Error("no metric says why")
		}
		if p := s.StreamStatus().Partitions[0]; p.Next != sound+500 || p.Committed > p.Next {
			t.Errorf("next %d, committed %d", p.Next, p.Committed)
		}
		if n := end("order-features-dead-letters"); n != 500 {
			t.Errorf("%d dead letters", n)
		}
	})
	if c := committed(t, client); c != sound+500 {
		t.Errorf("committed %d", c)
	}
	start(t, map[string]string{"KAFKA_BROKERS": cluster.ListenAddrs()[0], "REJECT_SHARE": "1"})
	eventually(t, "all is through", func() bool { return end("order-features-dead-letters") == bad && end("risk-results") == sound })
}

// committed returns what the group has committed of the orders' partition 0.
func committed(t *testing.T, client *kgo.Client) int64 {
	t.Helper()
	offsets, err := kadm.NewClient(client).FetchOffsets(context.WithoutCancel(t.Context()), "riskscorer")
	if err != nil {
		t.Fatal(err)
	}
	o, _ := offsets.Lookup("order-features", 0)
	return o.At
}
