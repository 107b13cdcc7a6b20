package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/trendbuy/riskscorer/broker"
)

// TracingConfig is where traces go, by OpenTelemetry's own names. Its other variables of the OTLP exporter and of the
// span processor (certificates, time-outs, queue) are read by its library.
type TracingConfig struct {
	Endpoint       string        `env:"OTEL_EXPORTER_OTLP_ENDPOINT" help:"URL of an OpenTelemetry collector (OTLP over HTTP); without one nothing is traced"`
	TracesEndpoint string        `env:"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" help:"URL for traces, as it stands; by default the collector's with /v1/traces"`
	Protocol       string        `env:"OTEL_EXPORTER_OTLP_PROTOCOL, default=http/protobuf" help:"http/protobuf, the only one"`
	Headers        broker.Secret `env:"OTEL_EXPORTER_OTLP_HEADERS" help:"headers for the collector: name=value, comma-separated, values percent-encoded"`
	Disabled       bool          `env:"OTEL_SDK_DISABLED, default=false" help:"true traces nothing"`
	ServiceName    string        `env:"OTEL_SERVICE_NAME, default=riskscorer" help:"the service's name in traces"`
	Attributes     string        `env:"OTEL_RESOURCE_ATTRIBUTES" help:"attributes of the process in traces: name=value, comma-separated, values percent-encoded"`
	Sampler        string        `env:"OTEL_TRACES_SAMPLER, default=parentbased_always_on" help:"always_on, always_off, traceidratio, or one of them with parentbased_ before it"`
	SamplerArg     string        `env:"OTEL_TRACES_SAMPLER_ARG" help:"the share for traceidratio, 0 to 1"`
}

func (c TracingConfig) enabled() bool {
	return !c.Disabled && (c.Endpoint != "" || c.TracesEndpoint != "")
}

// Validate names the variable of each setting that makes no sense.
func (c TracingConfig) Validate() error {
	if !c.enabled() {
		return nil
	}
	var errs []error
	if c.Protocol != "http/protobuf" {
		errs = append(errs, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL is %q, want http/protobuf", c.Protocol))
	}
	if u, err := url.Parse(c.url()); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		errs = append(errs, errors.New("OTEL_EXPORTER_OTLP_ENDPOINT must be like http://host:4318, without credentials"))
	}
	if _, err := pairs(string(c.Headers)); err != nil {
		errs = append(errs, errors.New("OTEL_EXPORTER_OTLP_HEADERS must be name=value, comma-separated")) // not the values
	}
	if _, err := pairs(c.Attributes); err != nil {
		errs = append(errs, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err))
	}
	if _, err := c.sampler(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (c TracingConfig) url() string {
	if c.TracesEndpoint != "" {
		return c.TracesEndpoint
	}
	return strings.TrimSuffix(c.Endpoint, "/") + "/v1/traces"
}

func (c TracingConfig) sampler() (sdk.Sampler, error) {
	kind, parents := strings.CutPrefix(c.Sampler, "parentbased_")
	var root sdk.Sampler
	switch kind {
	case "always_on":
		root = sdk.AlwaysSample()
	case "always_off":
		root = sdk.NeverSample()
	case "traceidratio":
		share, err := strconv.ParseFloat(c.SamplerArg, 64)
		if err != nil || !(share >= 0 && share <= 1) {
			return nil, fmt.Errorf("OTEL_TRACES_SAMPLER_ARG is %q, want a share of 0 to 1", c.SamplerArg)
		}
		root = sdk.TraceIDRatioBased(share)
	default:
		return nil, fmt.Errorf("OTEL_TRACES_SAMPLER: there is no %q", c.Sampler)
	}
	if parents {
		return sdk.ParentBased(root), nil
	}
	return root, nil
}

// pairs reads name=value, comma-separated, with percent-encoded values, as OpenTelemetry's variables have them.
func pairs(text string) (map[string]string, error) {
	out := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		decoded, err := url.PathUnescape(strings.TrimSpace(value))
		if name = strings.TrimSpace(name); !ok || err != nil || name == "" {
			return nil, errors.New("want name=value, comma-separated")
		}
		out[name] = decoded
	}
	return out, nil
}

// tracing sends spans to a collector. The nil *tracing traces nothing.
type tracing struct {
	provider *sdk.TracerProvider
	exporter *exporter
}

// newTracing returns nil where tracing is off. It connects to nothing: a collector that is not there is no error.
func newTracing(ctx context.Context, c TracingConfig, version string, log *slog.Logger, reg prometheus.Registerer) (*tracing, error) {
	if !c.enabled() {
		return nil, nil
	}
	headers, err := pairs(string(c.Headers))
	if err != nil {
		return nil, err
	}
	sampler, err := c.sampler()
	if err != nil {
		return nil, err
	}
	described, err := c.describe(version)
	if err != nil {
		return nil, err
	}
	otlp, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(c.url()), otlptracehttp.WithHeaders(headers))
	if err != nil {
		return nil, fmt.Errorf("OTLP exporter: %w", err)
	}
	e := newExporter(otlp, log, reg)
	return &tracing{
		exporter: e,
		provider: sdk.NewTracerProvider(sdk.WithSampler(sampler), sdk.WithResource(described),
			sdk.WithSpanProcessor(&counting{sdk.NewBatchSpanProcessor(e), e.spans.WithLabelValues("ended")})),
	}, nil
}

func (c TracingConfig) describe(version string) (*resource.Resource, error) {
	named, err := pairs(c.Attributes)
	if err != nil {
		return nil, err
	}
	named["service.name"], named["service.version"] = c.ServiceName, version
	attributes := make([]attribute.KeyValue, 0, len(named))
	for name, value := range named {
		attributes = append(attributes, attribute.String(name, value))
	}
	return resource.NewSchemaless(attributes...), nil
}

// tracer returns nil where nothing is traced.
func (t *tracing) tracer() trace.Tracer {
	if t == nil {
		return nil
	}
	return t.provider.Tracer("github.com/trendbuy/riskscorer")
}

// close sends what is still queued, for two seconds at most, and lets go of the rest.
func (t *tracing) close(ctx context.Context) {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	defer context.AfterFunc(ctx, t.exporter.stop)()
	_ = t.provider.Shutdown(ctx) // what was lost is counted
}

// counting counts spans on their way to the queue, so that ended - exported - failed shows what the full queue dropped.
type counting struct {
	sdk.SpanProcessor
	ended prometheus.Counter
}

// OnEnd counts and passes on. The processor behind it drops what its queue has no room for, and never waits.
func (c *counting) OnEnd(s sdk.ReadOnlySpan) {
	c.ended.Inc()
	c.SpanProcessor.OnEnd(s)
}

// exporter counts and reports what the OTLP exporter could not send, once a minute. It returns no error: the library would
// hand it to a handler that the whole process shares.
type exporter struct {
	sdk.SpanExporter
	log     *slog.Logger
	spans   *prometheus.CounterVec
	stopped context.Context
	stop    context.CancelFunc

	mu      sync.Mutex
	next    time.Time // of the next line in the log
	failing atomic.Bool
}

func newExporter(otlp sdk.SpanExporter, log *slog.Logger, reg prometheus.Registerer) *exporter {
	e := &exporter{SpanExporter: otlp, log: log, spans: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "riskscorer_trace_spans_total",
		Help: "Spans that ended, that the collector took (exported), and that it did not (failed); the rest waits, or was dropped from a full queue.",
	}, []string{"state"})}
	reg.MustRegister(e.spans)
	for _, state := range []string{"ended", "exported", "failed"} {
		e.spans.WithLabelValues(state)
	}
	e.stopped, e.stop = context.WithCancel(context.Background())
	return e
}

// ExportSpans implements sdk.SpanExporter.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.stopped, cancel)() //nolint:contextcheck // close ends it too, besides the caller
	err := e.SpanExporter.ExportSpans(ctx, spans)
	if err == nil {
		e.spans.WithLabelValues("exported").Add(float64(len(spans)))
		if e.failing.Swap(false) {
			e.log.Info("the collector takes traces again")
		}
		return nil
	}
	e.spans.WithLabelValues("failed").Add(float64(len(spans)))
	e.failing.Store(true)
	e.mu.Lock()
	defer e.mu.Unlock()
	if now := time.Now(); now.After(e.next) {
		e.next = now.Add(time.Minute)
		e.log.Warn("the collector takes no traces: they are lost, nothing else is", "error", err)
	}
	return nil
}
