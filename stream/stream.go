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
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/trendbuy/riskscorer/broker"
	"github.com/trendbuy/riskscorer/sabotage"
	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/scoring"
)

// Publisher publishes records and returns when every one is acknowledged. Publishing the same records again
// after an error is harmless.
type Publisher interface {
	Publish(ctx context.Context, records []broker.Record) error
}

// Pipeline holds what all partitions share: the model that serves and the metrics. It is safe for concurrent use.
type Pipeline struct {
	config  Config
	models  Models
	log     *slog.Logger
	metrics *metrics
	shares  shares
	cores   cores
	tracer  trace.Tracer // nil for none
}

// New returns a pipeline. A *Model that never changes is a Models by itself.
func New(c Config, models Models, log *slog.Logger, reg prometheus.Registerer) *Pipeline {
	if c.RejectShare == 0 {
		c.RejectShare = 1
	}
	return &Pipeline{
		config: c, models: models, log: log, metrics: newMetrics(reg),
		shares: shares{limit: c.RejectShare, partitions: make(map[int]*recent)},
		cores:  cores{total: int64(runtime.GOMAXPROCS(0))},
	}
}

// GiveWay makes the pipeline work only when it is its turn, on the cores that the turns are of. Call it before the first batch.
func (p *Pipeline) GiveWay(t *Turns) { p.cores.turns, p.cores.total = t, int64(t.cores) }

// Worker handles the batches of one partition, one after another. Use it from one goroutine.
type Worker struct {
	pipeline  *Pipeline
	publisher Publisher
	model     *Model // of the batch that is worked on; nil between batches, so that a replaced one is let go
	sent      sent
	spans     map[*broker.Record]trace.Span // of the batch's events whose traces are sampled; nil without a tracer

	// Working memory of one batch, kept for the next.
	decoded   []decoded
	orders    []scoring.Order
	decisions []scoring.Decision
	outputs   []output
	records   []broker.Record
}

// decoded is what a source record holds, if it is no tombstone.
type decoded struct {
	order  scoring.Order
	reject *schemas.Reject
}

// output is what a source record becomes: a result of orders[order], or a dead letter.
type output struct {
	source *broker.Record
	order  int
	stale  bool            // older than MAX_EVENT_AGE when the batch was encoded
	reject *schemas.Reject // nil for a result
}

// Worker returns a worker that publishes through p.
func (p *Pipeline) Worker(publisher Publisher) *Worker {
	return &Worker{pipeline: p, publisher: publisher}
}

// schemaError is an error of the source of schemas.
type schemaError struct{ error }

// PauseKind names the reason in metrics.
func (*schemaError) PauseKind() string { return "schema_registry" }

// Unwrap returns the error itself.
func (e *schemaError) Unwrap() error { return e.error }

// Handle turns every record into a result or a dead letter and returns when all of them are acknowledged.
// Tombstones are counted and skipped. An error means a broken service: nothing may be committed, and the same
// records are to be handled again. One of them is *ShareError.
func (w *Worker) Handle(ctx context.Context, records []broker.Record) error {
	switch {
	case len(records) == 0:
		return nil
	case w.pipeline.tracer != nil:
		return w.traced(ctx, records)
	default:
		return w.handle(ctx, records)
	}
}

func (w *Worker) handle(ctx context.Context, records []broker.Record) error {
	w.model = w.choose(records)
	defer func() { w.model = nil }()
	results, err := w.model.Results(ctx)
	if err != nil {
		return fmt.Errorf("find the results' schema: %w", &schemaError{err})
	}
	m := w.pipeline.metrics
	if err := m.time(stageDecode, func() error { return w.decode(ctx, records) }); err != nil {
		return err
	}
	sabotage.At(sabotage.Decoded)
	seen, err := w.pipeline.shares.admit(records, w.outputs)
	if err != nil {
		return err
	}
	_ = m.time(stageScore, func() error {
		w.score()
		return nil
	})
	sabotage.At(sabotage.Scored)
	if sabotage.On(sabotage.NeighboursScore) || sabotage.On(sabotage.DifferingBytes) {
		w.spoil()
	}
	if err := m.time(stageEncode, func() error { return w.encode(results) }); err != nil {
		return err
	}
	if sabotage.On(sabotage.SkippedDeadLetter) {
		w.records = slices.DeleteFunc(w.records, func(r broker.Record) bool { return r.Topic == w.pipeline.config.DeadLettersTopic })
	}
	w.sent = sent{w.model, records[0].Partition, records[0].Offset, records[len(records)-1].Offset}
	if err := m.time(stagePublish, func() error { return w.publish(ctx) }); err != nil {
		return err
	}
	w.sent = sent{}
	w.pipeline.shares.keep(records[0].Partition, seen)
	w.count(records)
	return nil
}

// decode fills orders and outputs from the records, in their order.
func (w *Worker) decode(ctx context.Context, records []broker.Record) error {
	w.decoded = slices.Grow(w.decoded[:0], len(records))[:len(records)]
	if err := w.each(len(records), func(i int) error {
		r := &records[i]
		w.decoded[i] = decoded{}
		if r.Value == nil {
			return nil
		}
		order, err := w.model.Decoder.Decode(ctx, r.Key, r.Value)
		if reject, bad := errors.AsType[*schemas.Reject](err); bad {
			w.decoded[i].reject = reject
			return nil
		}
		if err != nil {
			return fmt.Errorf("decode offset %d: %w", r.Offset, &schemaError{err})
		}
		w.decoded[i].order = order
		return nil
	}); err != nil {
		return err
	}
	w.orders, w.outputs = w.orders[:0], w.outputs[:0]
	for i := range records {
		r, d := &records[i], &w.decoded[i]
		switch {
		case r.Value == nil:
		case d.reject != nil:
			w.outputs = append(w.outputs, output{source: r, reject: d.reject})
		default:
			w.outputs = append(w.outputs, output{source: r, order: len(w.orders)})
			w.orders = append(w.orders, d.order)
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

// score decides every order.
func (w *Worker) score() {
	n := len(w.orders)
	w.decisions = slices.Grow(w.decisions[:0], n)[:n]
	w.pipeline.cores.spread(n, func(from, to int) {
		w.model.Scorer.Decide(w.decisions[from:from:to], w.orders[from:to])
	})
}

// encode makes one record to publish of each output.
func (w *Worker) encode(results *schemas.Results) error {
	w.records = slices.Grow(w.records[:0], len(w.outputs))[:len(w.outputs)]
	now := time.Now()
	return w.each(len(w.outputs), func(i int) (err error) {
		if o := &w.outputs[i]; o.reject != nil {
			w.records[i] = deadLetter(w.pipeline.config.DeadLettersTopic, o.source, o.reject)
		} else {
			w.records[i], err = w.result(results, o, now)
		}
		return err
	})
}

// result makes the record to publish of an order's decision.
func (w *Worker) result(results *schemas.Results, o *output, now time.Time) (broker.Record, error) {
	value, err := results.AppendTo(nil, &w.orders[o.order], &w.decisions[o.order])
	if err != nil {
		return broker.Record{}, fmt.Errorf("encode the result of offset %d: %w", o.source.Offset, err)
	}
	o.stale = w.stale(o, now)
	return broker.Record{
		Topic:   w.pipeline.config.ResultsTopic,
		Key:     []byte(w.orders[o.order].ID),
		Value:   value,
		Headers: w.resultHeaders(o.source, o.stale),
	}, nil
}

// each calls do for 0 to n-1, on the idle cores too. After an error it calls no more, and returns the error.
func (w *Worker) each(n int, do func(i int) error) error {
	var failed atomic.Pointer[error]
	w.pipeline.cores.spread(n, func(from, to int) {
		for i := from; i < to && failed.Load() == nil; i++ {
			if err := do(i); err != nil {
				failed.CompareAndSwap(nil, &err)
			}
		}
	})
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// stale reports whether an event is too old to act on without a second thought. Its age is by its own time, or by
// Kafka's where it has none.
func (w *Worker) stale(o *output, now time.Time) bool {
	occurred := w.orders[o.order].OccurredAt
	if occurred.IsZero() {
		occurred = o.source.Time
	}
	limit := w.pipeline.config.MaxEventAge
	return limit > 0 && now.Sub(occurred) > limit
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
			if o.stale {
				m.stale.Inc()
			}
			w.observe(m.latency, now.Sub(o.source.Time).Seconds(), o.source)
			continue
		}
		m.deadLetters.WithLabelValues(string(o.reject.Class)).Inc()
		w.pipeline.log.Debug("dead letter", "class", o.reject.Class, "detail", o.reject.Detail,
			"topic", o.source.Topic, "partition", o.source.Partition, "offset", o.source.Offset)
	}
}

// Close ends the worker. Its publisher is the caller's.
func (w *Worker) Close() {}
