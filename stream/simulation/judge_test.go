package simulation_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/e2e/verify"
	"github.com/trendbuy/riskscorer/scoring/bundle"
	"github.com/trendbuy/riskscorer/stream"
)

// judge reads what the brokers hold and checks every rule of the verifier, and that each result is to the byte what the
// handler makes of its record alone, without a network.
func (w *world) judge() {
	w.t.Helper()
	w.read()
	oracle := newOracle(w.bundle)
	decoder := verify.NewDecoder(pins{}.Schema)
	inputs := w.traffic.inputs
	for i := range inputs {
		in := &inputs[i]
		if in.Want != verify.Result {
			continue
		}
		value, err := oracle.handle(in)
		if err != nil {
			w.t.Fatalf("oracle: %s: %v", in, err)
		}
		if got := w.ledger.Value(in.Source); got != nil && !bytes.Equal(got, value) {
			w.t.Errorf("%s: the result is not the bytes that the record alone leads to", in)
		}
		if in.Decision, err = decide(decoder, value); err != nil {
			w.t.Fatalf("oracle: %s: %v", in, err)
		}
	}
	report := w.ledger.Check(context.WithoutCancel(w.t.Context()), inputs, decoder)
	if err := report.Err(); err != nil {
		w.t.Error(err)
	}
	w.tally.events += report.Orders
	w.tally.duplicates += report.Duplicates
}

// read gives the ledger all results and dead letters.
func (w *world) read() {
	w.t.Helper()
	var want int64
	for _, topic := range []string{topics.Results, topics.DeadLetters} {
		for _, end := range w.ends(topic) {
			want += end
		}
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(w.cluster.ListenAddrs()...), kgo.Dialer(w.network.dial(faultless)),
		kgo.ConsumeTopics(topics.Results, topics.DeadLetters), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		w.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.t.Context()), 10*time.Minute)
	defer cancel()
	for w.ledger.Observed() < want {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			w.t.Fatalf("read the outputs: %v", err)
		}
		fetches.EachRecord(w.ledger.Observe)
	}
}

// oracle is the handler without a network: what it publishes is at hand.
type oracle struct {
	worker    *stream.Worker
	published []broker.Record
}

func newOracle(b *bundle.Bundle) *oracle {
	o := &oracle{}
	o.worker = newPipeline(b, slog.New(slog.DiscardHandler), prometheus.NewRegistry()).Worker(o)
	return o
}

// Publish keeps the records.
func (o *oracle) Publish(_ context.Context, records []broker.Record) error {
	o.published = append(o.published, records...)
	return nil
}

// handle returns the value of the result that an input leads to.
func (o *oracle) handle(in *verify.Input) ([]byte, error) {
	o.published = nil
	record := broker.Record{Topic: topics.Orders, Partition: int(in.Partition), Offset: in.Offset, Time: time.Now(), Key: in.Key, Value: in.Value}
	if err := o.worker.Handle(context.Background(), []broker.Record{record}); err != nil {
		return nil, err
	}
	if len(o.published) != 1 || o.published[0].Topic != topics.Results {
		return nil, fmt.Errorf("%d records published, want a result", len(o.published))
	}
	return o.published[0].Value, nil
}

// decide reads a result as what the verifier expects: its reasons stand for all contributions.
func decide(decoder *verify.Decoder, value []byte) (*verify.Decision, error) {
	r, err := decoder.Decode(context.Background(), value)
	if err != nil {
		return nil, err
	}
	d := &verify.Decision{
		OrderID: r.OrderID, EventVersion: r.EventVersion, PredictionID: r.PredictionID, RiskScore: r.RiskScore, Margin: r.Margin,
		RiskBand: r.RiskBand, ModelVersion: r.ModelVersion, ModelDigest: r.ModelDigest, Engine: r.Engine, Reasons: r.Reasons,
	}
	for _, reason := range r.Reasons {
		d.Features = append(d.Features, reason.Feature)
		d.Contributions = append(d.Contributions, reason.Contribution)
	}
	return d, nil
}
