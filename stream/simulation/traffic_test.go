package simulation_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trendbuy/riskscorer/e2e/verify"
	"github.com/trendbuy/riskscorer/e2e/workload"
	"github.com/trendbuy/riskscorer/schemas"
)

// traffic is the upstream: it writes a seed's events at their times, and keeps what the broker acknowledged.
type traffic struct {
	t      *testing.T
	client *kgo.Client
	random *rand.Rand // of the flow's pauses and sizes

	turn       chan struct{} // holds the turn to write, and to what follows: a mutex would stop the bubble's clock
	records    *workload.Generator
	places     *rand.Rand // of events
	partitions int
	inputs     []verify.Input
	outputs    int // that the inputs lead to
}

func newTraffic(t *testing.T, seed uint64, n *network, brokers []string) *traffic {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.Dialer(n.dial(faultless)),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MetadataMinAge(50*time.Millisecond), kgo.ProducerLinger(0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &traffic{
		t: t, client: client, partitions: partitions, turn: make(chan struct{}, 1),
		random:  rand.New(rand.NewPCG(seed, 0x7af)), //nolint:gosec // the same seed must give the same events
		places:  rand.New(rand.NewPCG(seed, 0x91a)), //nolint:gosec // as above
		records: workload.New(seed, ordersID, avro.MustParse(schemas.OrderFeaturesSchema)),
	}
}

// flow writes events now and then until ctx ends: some 3,000 an hour.
func (f *traffic) flow(ctx context.Context) {
	for {
		pause := time.Duration(f.random.ExpFloat64() * float64(3*time.Second))
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		f.write(1 + f.random.IntN(4)) //nolint:contextcheck // what was begun is written to its end
	}
}

// write writes n events to random partitions and waits for the acknowledgements.
func (f *traffic) write(n int) { f.writeSome(n, func(*workload.Record) bool { return true }) }

// poison writes n events that must become dead letters.
func (f *traffic) poison(n int) {
	f.writeSome(n, func(r *workload.Record) bool { return r.Want != verify.Result && r.Want != verify.Skipped })
}

func (f *traffic) writeSome(n int, take func(*workload.Record) bool) {
	f.turn <- struct{}{}
	defer func() { <-f.turn }()
	f.publish(f.client, f.take(n, take))
}

// take makes n events.
func (f *traffic) take(n int, take func(*workload.Record) bool) []workload.Record {
	var taken []workload.Record
	for len(taken) < n {
		r, err := f.records.Next()
		if err != nil {
			f.t.Error(err)
			return nil
		}
		if take(&r) {
			taken = append(taken, r)
		}
	}
	return taken
}

// publish writes events and keeps them as inputs.
func (f *traffic) publish(client *kgo.Client, taken []workload.Record) {
	for i, r := range f.send(client, taken) {
		in := taken[i].Input
		in.Source = verify.Source{Partition: r.Partition, Offset: r.Offset}
		f.inputs = append(f.inputs, in)
		if in.Want != verify.Skipped {
			f.outputs++
		}
	}
}

func (f *traffic) send(client *kgo.Client, taken []workload.Record) []*kgo.Record {
	records := make([]*kgo.Record, len(taken))
	for i := range taken {
		in := &taken[i].Input
		records[i] = &kgo.Record{
			Topic: topics.Orders, Partition: int32(f.places.IntN(f.partitions)), //nolint:gosec // a few
			Key: in.Key, Value: in.Value, Headers: in.Headers,
		}
	}
	if err := client.ProduceSync(context.WithoutCancel(f.t.Context()), records...).FirstErr(); err != nil {
		f.t.Errorf("upstream cannot write: %v", err)
		return nil
	}
	return records
}

// transaction writes n events in a transaction that stays open for a while and is then committed, or aborted: what it held
// is no input.
func (f *traffic) transaction(n int, open time.Duration, commit bool) error {
	f.turn <- struct{}{}
	defer func() { <-f.turn }()
	ctx := context.WithoutCancel(f.t.Context())
	client, err := kgo.NewClient(append(f.client.Opts(), kgo.TransactionalID("upstream"))...)
	if err != nil {
		return fmt.Errorf("transactional client: %w", err)
	}
	defer client.Close()
	if err := client.BeginTransaction(); err != nil {
		return fmt.Errorf("begin a transaction: %w", err)
	}
	taken := f.take(n, func(*workload.Record) bool { return true })
	if commit {
		f.publish(client, taken)
	} else {
		f.send(client, taken)
	}
	time.Sleep(open)
	if err := client.EndTransaction(ctx, kgo.TransactionEndTry(commit)); err != nil {
		return fmt.Errorf("end the transaction: %w", err)
	}
	return nil
}
