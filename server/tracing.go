package server

import (
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/trendbuy/riskscorer/schemas"
)

// noted is what is known of a request for its log line, its span and its exemplar. Nothing in it holds a feature's value.
type noted struct {
	span    trace.Span // nil where nothing is traced
	orderID string     // of a single order; whatever its client chose, unescaped
	orders  int
	class   schemas.RejectClass // of the refused order
	problem kind                // "" for an answer
	caller  string              // as the door knows it; "" where it asks nobody
}

// notes returns where to note what a handler learns of its request. It never returns nil: outside observe, in the page
// of the documentation say, nobody reads it.
func notes(w http.ResponseWriter) *noted {
	for {
		switch v := w.(type) {
		case *recorder:
			return &v.noted
		case interface{ Unwrap() http.ResponseWriter }:
			w = v.Unwrap()
		default:
			return new(noted)
		}
	}
}

// quiet says which paths are asked all the time by machines and are neither traced nor logged where all is well.
func quiet(path string) bool {
	return strings.HasPrefix(path, "/health/") || path == "/metrics" || strings.HasPrefix(path, "/debug/")
}

// trace starts the request's span, a child of its caller's, and returns the request with it.
func (s *Server) trace(rec *recorder, r *http.Request) *http.Request {
	if s.parts.Tracer == nil || quiet(r.URL.Path) {
		return r
	}
	ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, rec.span = s.parts.Tracer.Start(ctx, "HTTP", trace.WithSpanKind(trace.SpanKindServer))
	return r.WithContext(ctx)
}

// end ends the request's span with its route and outcome.
func (rec *recorder) end(r *http.Request) {
	if rec.span == nil {
		return
	}
	route := routeOf(r)
	rec.span.SetName(cut(r.Method) + " " + route)
	rec.span.SetAttributes(attribute.String("http.request.method", cut(r.Method)), attribute.String("http.route", route),
		attribute.Int("http.response.status_code", rec.code))
	if rec.orderID != "" {
		rec.span.SetAttributes(attribute.String("order_id", cut(rec.orderID)))
	}
	if rec.orders > 0 {
		rec.span.SetAttributes(attribute.Int("riskscorer.orders", rec.orders))
	}
	if rec.problem != "" {
		rec.span.SetAttributes(attribute.String("riskscorer.problem", string(rec.problem)), attribute.String("riskscorer.reject.class", string(rec.class)))
	}
	if rec.code >= http.StatusInternalServerError {
		rec.span.SetStatus(codes.Error, string(rec.problem))
	}
	rec.span.End()
}

// traceID is that of a sampled span, "" for none.
func (n *noted) traceID() string {
	if n.span == nil || !n.span.SpanContext().IsSampled() {
		return ""
	}
	return n.span.SpanContext().TraceID().String()
}

// traceDecision starts a span around a decision call, and returns what ends it.
func (s *Server) traceDecision(r *http.Request, m *model, orders int) func() {
	if s.parts.Tracer == nil {
		return func() {}
	}
	_, span := s.parts.Tracer.Start(r.Context(), "score", trace.WithAttributes(
		attribute.Int("riskscorer.orders", orders), attribute.String("riskscorer.model_version", m.wire.Version),
		attribute.String("riskscorer.model_digest", m.wire.Digest), attribute.String("riskscorer.engine", m.wire.Engine)))
	return func() { span.End() }
}
