package stream

import (
	"context"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/trendbuy/riskscorer/broker"
)

// maxEventSpans bounds the spans of a batch's events: an upstream that samples every order must not make each cost
// a span. The batch's own span counts them all.
const maxEventSpans = 16

// Trace makes the pipeline trace its batches. Call it before Handle; without it, or with nil, tracing costs nothing.
func (p *Pipeline) Trace(t trace.Tracer) { p.tracer = t }

// traced is handle with a span for the batch, and one for each event whose own trace is sampled: a child of the
// event's traceparent, linked from the batch, whose id goes on in the result's traceparent.
func (w *Worker) traced(ctx context.Context, records []broker.Record) error {
	first := &records[0]
	attributes := trace.WithAttributes(
		attribute.String("messaging.system", "kafka"),
		attribute.String("messaging.operation.type", "process"),
		attribute.String("messaging.destination.name", first.Topic),
		attribute.Int("messaging.destination.partition.id", first.Partition),
	)
	var links []trace.Link
	w.spans = make(map[*broker.Record]trace.Span)
	defer func() { w.spans = nil }()
	for i := range records {
		if len(w.spans) == maxEventSpans {
			break
		}
		parent := propagation.TraceContext{}.Extract(ctx, carrier{&records[i]})
		if c := trace.SpanContextFromContext(parent); !c.IsValid() || !c.IsSampled() {
			continue
		}
		_, span := w.pipeline.tracer.Start(parent, "score "+first.Topic, trace.WithSpanKind(trace.SpanKindConsumer), attributes,
			trace.WithAttributes(attribute.Int64("messaging.kafka.offset", records[i].Offset)))
		w.spans[&records[i]] = span
		links = append(links, trace.Link{SpanContext: span.SpanContext()})
	}
	ctx, batch := w.pipeline.tracer.Start(ctx, "process "+first.Topic, trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindConsumer), attributes,
		trace.WithLinks(links...), trace.WithAttributes(attribute.Int("messaging.batch.message_count", len(records)),
			attribute.Int64("messaging.kafka.offset", first.Offset)))
	err := w.handle(ctx, records)
	w.endSpans(err)
	failed(batch, err)
	batch.End()
	return err
}

// endSpans ends the events' spans with what became of each.
func (w *Worker) endSpans(err error) {
	if err == nil {
		for i := range w.outputs {
			o := &w.outputs[i]
			span, ok := w.spans[o.source]
			switch {
			case !ok:
			case o.reject != nil:
				span.SetAttributes(attribute.String("riskscorer.reject.class", string(o.reject.Class)))
			default:
				d := &w.decisions[o.order]
				span.SetAttributes(attribute.String("order_id", cutID(d.OrderID)), attribute.String("riskscorer.prediction_id", d.PredictionID),
					attribute.String("riskscorer.risk_band", string(d.Band)))
			}
		}
	}
	for _, span := range w.spans {
		failed(span, err)
		span.End()
	}
}

// failed marks a span whose batch is to be tried again. No error's text holds a feature's value.
func failed(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
}

// traceparent is what a result's header of that name says: the event's own span, or what came with the event.
func (w *Worker) traceparent(source *broker.Record) ([]byte, bool) {
	if span, ok := w.spans[source]; ok && span.SpanContext().IsSampled() {
		c := span.SpanContext()
		return []byte("00-" + c.TraceID().String() + "-" + c.SpanID().String() + "-" + c.TraceFlags().String()), true
	}
	return header(source.Headers, broker.HeaderTraceparent)
}

// observe adds the trace's id to a measurement, where there is one.
func (w *Worker) observe(o prometheus.Observer, value float64, source *broker.Record) {
	if span, ok := w.spans[source]; ok && span.SpanContext().IsSampled() {
		if e, ok := o.(prometheus.ExemplarObserver); ok {
			e.ObserveWithExemplar(value, prometheus.Labels{"trace_id": span.SpanContext().TraceID().String()})
			return
		}
	}
	o.Observe(value)
}

// cutID bounds an order id, which its producer chose.
func cutID(id string) string {
	const most = 128
	if len(id) > most {
		return strings.ToValidUTF8(id[:most], "") + "..."
	}
	return id
}

// carrier reads a record's headers as package propagation wants them.
type carrier struct{ record *broker.Record }

// Get implements propagation.TextMapCarrier.
func (c carrier) Get(key string) string {
	value, _ := header(c.record.Headers, key)
	return string(value)
}

// Set does nothing: the record is the source's.
func (c carrier) Set(string, string) {}

// Keys implements propagation.TextMapCarrier.
func (c carrier) Keys() []string { return nil }
