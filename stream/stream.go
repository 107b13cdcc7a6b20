// Package stream provides the way of an order event: a batch of one partition is decoded, scored, encoded and
// published. It is the handler that the consumer calls, and it publishes through the interface that it declares.
//
// An error of a record makes a dead letter and leaves its neighbours alone; an error of anything else is returned,
// so that the consumer stops the partition and tries the same records again. Nothing else happens to a record.
package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/sabotage"
	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/scoring"
)

// Config names the topics that results and dead letters go to.
type Config struct {
	ResultsTopic     string `env:"RESULTS_TOPIC, default=risk-results" help:"topic of results"`
	DeadLettersTopic string `env:"DEAD_LETTERS_TOPIC, default=order-features-dead-letters" help:"topic of dead letters"`
}

// Publisher publishes records and returns when every one is acknowledged. Publishing the same records again
// after an error is harmless.
type Publisher interface {
	Publish(ctx context.Context, records []broker.Record) error
}

// ResultsFunc returns the encoder of results, which may have to ask the schema registry for its id first.
type ResultsFunc func(context.Context) (*schemas.Results, error)

// Pipeline holds what all partitions share: the model, the wire formats and the metrics. It is safe for concurrent use.
type Pipeline struct {
	config  Config
	scorer  *scoring.Scorer
	decoder *schemas.Decoder
	results ResultsFunc
	log     *slog.Logger
	metrics *metrics
}

// New returns a pipeline.
func New(c Config, s *scoring.Scorer, d *schemas.Decoder, r ResultsFunc, log *slog.Logger, reg prometheus.Registerer) *Pipeline {
	return &Pipeline{config: c, scorer: s, decoder: d, results: r, log: log, metrics: newMetrics(reg)}
}

// Worker handles the batches of one partition, one after another. Use it from one goroutine.
type Worker struct {
	pipeline  *Pipeline
	publisher Publisher

	// Working memory of one batch, kept for the next.
	orders    []scoring.Order
	decisions []scoring.Decision
	outputs   []output
	records   []broker.Record
}

// output is what a source record becomes: a result of orders[order], or a dead letter.
type output struct {
	source *broker.Record
	order  int
	reject *schemas.Reject // nil for a result
}

// Worker returns a worker that publishes through p.
func (p *Pipeline) Worker(publisher Publisher) *Worker {
	return &Worker{pipeline: p, publisher: publisher}
}

// Handle turns every record into a result or a dead letter and returns when all of them are acknowledged.
// Tombstones are counted and skipped. An error means a broken service: nothing may be committed, and the same
// records are to be handled again.
func (w *Worker) Handle(ctx context.Context, records []broker.Record) error {
	results, err := w.pipeline.results(ctx)
	if err != nil {
		return fmt.Errorf("find the results' schema: %w", err)
	}
	m := w.pipeline.metrics
	if err := m.time(stageDecode, func() error { return w.decode(ctx, records) }); err != nil {
		return err
	}
	sabotage.At(sabotage.Decoded)
	_ = m.time(stageScore, func() error {
		w.decisions = w.pipeline.scorer.Decide(w.decisions[:0], w.orders)
		return nil
	})
	sabotage.At(sabotage.Scored)
	if sabotage.On(sabotage.NeighboursScore) || sabotage.On(sabotage.DifferingBytes) {
		w.spoil()
	}
	if err := m.time(stageEncode, func() error { return w.encode(results) }); err != nil {
		return err
	}
	if err := m.time(stagePublish, func() error { return w.publish(ctx) }); err != nil {
		return err
	}
	w.count(records)
	return nil
}

// decode fills orders and outputs from the records, in their order.
func (w *Worker) decode(ctx context.Context, records []broker.Record) error {
	w.orders, w.outputs = w.orders[:0], w.outputs[:0]
	for i := range records {
		r := &records[i]
		if r.Value == nil {
			continue
		}
		order, err := w.pipeline.decoder.Decode(ctx, r.Key, r.Value)
		var reject *schemas.Reject
		switch {
		case err == nil:
			w.outputs = append(w.outputs, output{source: r, order: len(w.orders)})
			w.orders = append(w.orders, order)
		case errors.As(err, &reject):
			w.outputs = append(w.outputs, output{source: r, reject: reject})
		default:
			return fmt.Errorf("decode offset %d: %w", r.Offset, err)
		}
	}
	return nil
}

// spoil is sabotage: it plants the bugs that change decisions.
func (w *Worker) spoil() {
	if sabotage.On(sabotage.NeighboursScore) && len(w.decisions) > 1 {
		w.decisions[0], w.decisions[1] = w.decisions[1], w.decisions[0]
	}
	if sabotage.On(sabotage.DifferingBytes) {
		for i := range w.decisions {
			w.decisions[i].Reasons[0].Contribution *= 1 + 1e-12*float64(os.Getpid()) // too little for a comparison of numbers
		}
	}
}

// encode makes one record to publish of each output.
func (w *Worker) encode(results *schemas.Results) error {
	w.records = w.records[:0]
	for i := range w.outputs {
		o := &w.outputs[i]
		if o.reject != nil && sabotage.On(sabotage.SkippedDeadLetter) {
			continue
		}
		if o.reject != nil {
			w.records = append(w.records, deadLetter(w.pipeline.config.DeadLettersTopic, o.source, o.reject))
			continue
		}
		value, err := results.AppendTo(nil, &w.orders[o.order], &w.decisions[o.order])
		if err != nil {
			return fmt.Errorf("encode the result of offset %d: %w", o.source.Offset, err)
		}
		w.records = append(w.records, broker.Record{
			Topic:   w.pipeline.config.ResultsTopic,
			Key:     []byte(w.orders[o.order].ID),
			Value:   value,
			Headers: resultHeaders(o.source),
		})
	}
	return nil
}

// tooLarge is an error of a publisher that names the one record that no broker takes because of its size.
type tooLarge interface {
	error
	RecordTooLarge() int
}

// publish publishes the records. A result that is too large becomes a dead letter, so that it holds nobody up.
func (w *Worker) publish(ctx context.Context) error {
	for len(w.records) > 0 {
		err := w.publisher.Publish(ctx, w.records)
		var large tooLarge
		if !errors.As(err, &large) {
			return err
		}
		o := &w.outputs[large.RecordTooLarge()]
		if o.reject != nil {
			return fmt.Errorf("dead letter of %s/%d offset %d: raise max.message.bytes of topic %s: %w",
				o.source.Topic, o.source.Partition, o.source.Offset, w.pipeline.config.DeadLettersTopic, err)
		}
		o.reject = &schemas.Reject{Class: schemas.RejectTooLarge, Stage: stagePublish, Detail: "the result is larger than its topic takes"}
		w.records[large.RecordTooLarge()] = deadLetter(w.pipeline.config.DeadLettersTopic, o.source, o.reject)
	}
	return nil
}

// count records what became of the batch, once it is acknowledged, and logs its dead letters.
func (w *Worker) count(records []broker.Record) {
	m := w.pipeline.metrics
	now := time.Now()
	m.batch.Observe(float64(len(records)))
	m.tombstones.Add(float64(len(records) - len(w.outputs)))
	for i := range w.outputs {
		o := &w.outputs[i]
		if o.reject == nil {
			m.results.WithLabelValues(string(w.decisions[o.order].Band)).Inc()
			m.latency.Observe(now.Sub(o.source.Time).Seconds())
			continue
		}
		m.deadLetters.WithLabelValues(string(o.reject.Class)).Inc()
		w.pipeline.log.Debug("dead letter", "class", o.reject.Class, "detail", o.reject.Detail,
			"topic", o.source.Topic, "partition", o.source.Partition, "offset", o.source.Offset)
	}
}

// Close ends the worker. Its publisher is the caller's.
func (w *Worker) Close() {}
