package service_test

import (
	"compress/gzip"
	"context"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

const (
	traceID     = "4bf92f3577b34da6a3ce929d0e0e4736"
	parentID    = "00f067aa0ba902b7"
	traceparent = "00-" + traceID + "-" + parentID + "-01"
)

// receiver is an OTLP receiver over HTTP: it keeps the spans that it is sent.
type receiver struct {
	url string

	mu    sync.Mutex
	spans []*tracepb.Span
	raw   strings.Builder
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body := io.Reader(request.Body)
		if request.Header.Get("Content-Encoding") == "gzip" {
			var err error
			if body, err = gzip.NewReader(request.Body); err != nil {
				t.Error(err)
				return
			}
		}
		data, err := io.ReadAll(body)
		if err != nil {
			return // the sender has gone
		}
		var sent collector.ExportTraceServiceRequest
		if err := proto.Unmarshal(data, &sent); err != nil || request.URL.Path != "/v1/traces" || request.Header.Get("X-Tenant") != "shop 1" {
			t.Errorf("%s %v: %v", request.URL, request.Header, err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.raw.Write(data)
		for _, of := range sent.GetResourceSpans() {
			for _, scope := range of.GetScopeSpans() {
				r.spans = append(r.spans, scope.GetSpans()...)
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(s.Close)
	r.url = s.URL
	return r
}

// await returns the span of a name.
func (r *receiver) await(t *testing.T, name string) *tracepb.Span {
	t.Helper()
	var found *tracepb.Span
	eventually(t, "a span "+name, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, s := range r.spans {
			if s.GetName() == name {
				found = s
			}
		}
		return found != nil
	})
	return found
}

func attributes(s *tracepb.Span) map[string]string {
	out := map[string]string{}
	for _, a := range s.GetAttributes() {
		out[a.GetKey()] = a.GetValue().String()
	}
	return out
}

func (r *receiver) settings(more map[string]string) map[string]string {
	more["OTEL_EXPORTER_OTLP_ENDPOINT"] = r.url
	more["OTEL_EXPORTER_OTLP_HEADERS"] = "X-Tenant=shop%201"
	return more
}

const tracedOrder = `{"order_id":"ORD_traced","features":{"feature_discount_pct":0.314159,"feature_velocity_24h":8427,
	"feature_hours_since_trend_peak":6.5,"feature_device_type":"tablet"}}`

// TestARequestIsTraced as a child of its caller's span, with its order's id and without a feature's value; its metric
// leads to the trace.
func TestARequestIsTraced(t *testing.T) {
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
	r := newReceiver(t)
	s := start(t, r.settings(map[string]string{"ROLE": "serve"}))
	for _, body := range []string{tracedOrder, strings.Replace(tracedOrder, "tablet", "smartwatch", 1)} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.Addrs().Scoring+"/score", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Traceparent", traceparent)
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
	}
	decided := r.await(t, "score")
	var served, refused *tracepb.Span
	eventually(t, "both requests' spans", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, s := range r.spans {
			switch a := attributes(s); {
			case strings.Contains(a["http.response.status_code"], "200"):
				served = s
			case strings.Contains(a["http.response.status_code"], "422"):
				refused = s
			}
		}
		return served != nil && refused != nil
	})
	if hex.EncodeToString(served.GetTraceId()) != traceID || hex.EncodeToString(served.GetParentSpanId()) != parentID ||
		served.GetName() != "POST /score" || served.GetKind() != tracepb.Span_SPAN_KIND_SERVER {
		t.Errorf("the request's span is %v", served)
	}
	if string(decided.GetParentSpanId()) != string(served.GetSpanId()) || !strings.Contains(attributes(decided)["riskscorer.model_digest"], s.Scorer().Digest().String()) {
		t.Errorf("the decision's span is %v", decided)
	}
	if a := attributes(served); !strings.Contains(a["order_id"], "ORD_traced") {
		t.Errorf("the attributes are %v", a)
	}
	if a := attributes(refused); !strings.Contains(a["riskscorer.reject.class"], "feature_category") || !strings.Contains(a["riskscorer.problem"], "invalid-order") {
		t.Errorf("the refused request's attributes are %v", a)
	}
	for _, value := range []string{"smartwatch", "314159", "8427"} {
		if strings.Contains(r.raw.String(), value) {
			t.Errorf("the traces hold %s", value)
		}
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addrs().Metrics+"/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	page, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	exemplar := false
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "riskscorer_http_request_duration_seconds_bucket") && strings.Contains(line, `route="/score"`) && strings.Contains(line, `trace_id="`+traceID) {
			exemplar = true
		}
	}
	if !exemplar {
		t.Errorf("no bucket leads to the trace:\n%s", page)
	}
}

// TestAnEventIsTraced from its producer's span to its result's header, and its batch leads to it.
func TestAnEventIsTraced(t *testing.T) {
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
	r := newReceiver(t)
	kafka, client := cluster(t, nil)
	unsampled := "00-" + strings.Repeat("ab", 16) + "-" + parentID + "-00"
	for _, header := range []string{traceparent, unsampled} {
		record := &kgo.Record{Value: []byte(tracedOrder), Headers: []kgo.RecordHeader{{Key: "traceparent", Value: []byte(header)}}}
		if err := client.ProduceSync(t.Context(), record).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	start(t, r.settings(map[string]string{"KAFKA_BROKERS": kafka.ListenAddrs()[0]}))
	results := await(t, client, 2)
	event, batch := r.await(t, "score order-features"), r.await(t, "process order-features")
	if want := "00-" + traceID + "-" + hex.EncodeToString(event.GetSpanId()) + "-01"; headerOf(results[0], "traceparent") != want {
		t.Errorf("the result's traceparent is %s, want %s", headerOf(results[0], "traceparent"), want)
	}
	if headerOf(results[1], "traceparent") != unsampled {
		t.Errorf("a traceparent that is not sampled went on as %s", headerOf(results[1], "traceparent"))
	}
	if hex.EncodeToString(event.GetTraceId()) != traceID || hex.EncodeToString(event.GetParentSpanId()) != parentID ||
		!strings.Contains(attributes(event)["order_id"], "ORD_traced") {
		t.Errorf("the event's span is %v", event)
	}
	if len(batch.GetLinks()) != 1 || string(batch.GetLinks()[0].GetSpanId()) != string(event.GetSpanId()) {
		t.Errorf("the batch's links are %v", batch.GetLinks())
	}
	if raw := r.raw.String(); strings.Contains(raw, "314159") || strings.Contains(raw, "tablet") {
		t.Error("the traces hold a feature's value")
	}
}

// TestADeadCollectorCostsNothingButTraces: one that hangs, and one that is not there.
func TestADeadCollectorCostsNothingButTraces(t *testing.T) {
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
	t.Setenv("OTEL_BSP_MAX_QUEUE_SIZE", "64")
	t.Setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "16")
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "300")
	t.Setenv("OTEL_BSP_EXPORT_TIMEOUT", "500")
	ctx, release := context.WithCancel(context.WithoutCancel(t.Context()))
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-ctx.Done():
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() { release(); hanging.Close() })
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for name, endpoint := range map[string]string{"hanging": hanging.URL, "gone": gone.URL} {
		t.Run(name, func(t *testing.T) {
			var s interface{ String() string }
			t.Run("load", func(t *testing.T) {
				service, log := startLogged(t, map[string]string{"ROLE": "serve", "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint})
				s = log
				begin := time.Now()
				for range 1000 {
					if status, answer := call(t, http.MethodPost, "http://"+service.Addrs().Scoring+"/score", tracedOrder); status != http.StatusOK {
						t.Fatalf("%d %s", status, answer)
					}
				}
				if took := time.Since(begin); took > 10*time.Second {
					t.Errorf("1,000 requests took %v", took)
				}
				eventually(t, "the metric tells", func() bool {
					page := metricsPage(t, service)
					return strings.Contains(page, `riskscorer_trace_spans_total{state="ended"} 2000`) && !strings.Contains(page, `riskscorer_trace_spans_total{state="failed"} 0`)
				})
			})
			if n := strings.Count(s.String(), "takes no traces"); n != 1 {
				t.Errorf("%d lines in the log:\n%s", n, s)
			}
		})
	}
}
