package deadletter_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/deadletter"
	"github.com/trendbuy/riskscorer/producer"
	"github.com/trendbuy/riskscorer/schemas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	orders  = "order-features"
	letters = "order-features-dead-letters"
	count   = 3 // partitions of each
)

// texts is a schema source.
type texts map[int]string

func (s texts) Schema(_ context.Context, id int) (string, error) {
	if text, ok := s[id]; ok {
		return text, nil
	}
	return "", fmt.Errorf("%w: no such id", schemas.ErrSchemaUnknown)
}

// place is a broker with the two topics, a client to judge by and the reader under test.
type place struct {
	cluster *kfake.Cluster
	witness *kgo.Client
	client  *broker.Client
	reader  *deadletter.Reader
}

func start(t *testing.T) *place {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(count, orders, letters))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	p := &place{cluster: cluster}
	if p.witness, err = kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.witness.Close)
	if p.client, err = broker.NewClient(broker.Config{Brokers: cluster.ListenAddrs()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.client.Close)
	p.reader = deadletter.NewReader(p.client, letters, schemas.NewViewer(texts{7: schemas.OrderFeaturesSchema}))
	return p
}

func (p *place) publisher() *producer.Worker {
	config := producer.Config{MaxBatchBytes: 900 << 10, MaxInFlight: 4, StallAfter: 2 * time.Second}
	return producer.New(p.client, config, slog.New(slog.DiscardHandler), prometheus.NewRegistry()).Worker()
}

func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// letter is a record as the stream writes dead letters.
func letter(key, value string, class schemas.RejectClass, attempt int) *kgo.Record {
	return &kgo.Record{
		Topic: letters, Key: []byte(key), Value: []byte(value),
		Headers: []kgo.RecordHeader{
			{Key: "upstream", Value: []byte{0xff, 0}},
			{Key: "upstream", Value: []byte("twice")},
			{Key: "nothing"},
			{Key: "riskscorer.reject.class", Value: []byte(class)},
			{Key: "riskscorer.attempt", Value: fmt.Append(nil, attempt)},
			{Key: "__connect.errors.topic", Value: []byte(orders)},
			{Key: "__connect.errors.partition", Value: []byte("2")},
			{Key: "__connect.errors.offset", Value: []byte("41")},
			{Key: "__connect.errors.stage", Value: []byte("TRANSFORMATION")},
			{Key: "__connect.errors.exception.class.name", Value: []byte(class)},
			{Key: "__connect.errors.exception.message", Value: []byte("/features/x is out of range")},
		},
	}
}

func (p *place) write(t *testing.T, records ...*kgo.Record) {
	t.Helper()
	if err := p.witness.ProduceSync(deadline(t), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// redriven returns the first n records of the topic of orders, by partition.
func (p *place) redriven(t *testing.T, n int) []*kgo.Record {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(p.cluster.ListenAddrs()...), kgo.ConsumeTopics(orders), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var out []*kgo.Record
	for len(out) < n {
		fetches := client.PollFetches(deadline(t))
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		out = append(out, fetches.Records()...)
	}
	return out
}

// ends is how many records the topic of orders holds.
func (p *place) ends() (n int64) {
	for i := range int32(count) {
		n += p.cluster.PartitionInfo(orders, i).HighWatermark
	}
	return n
}

// list returns "key class attempt" of the letters that a filter chooses, sorted by the walk.
func (p *place) list(t *testing.T, f deadletter.Filter) string {
	t.Helper()
	spans, err := p.reader.Spans(deadline(t), f)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for l, err := range p.reader.Letters(deadline(t), spans, f) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s %s %d", l.Key, l.Class, l.Attempt))
	}
	return strings.Join(out, ", ")
}
