package server

import (
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/scoring"
)

// metrics are the server's. Labels come from closed sets: route patterns, status codes that the server writes, bands,
// reject classes, and the versions of models that served.
type metrics struct {
	requests  *prometheus.CounterVec
	durations *prometheus.HistogramVec
	inFlight  prometheus.Gauge
	panics    prometheus.Counter
	decisions *prometheus.CounterVec
	rejects   *prometheus.CounterVec
	refusals  *prometheus.CounterVec
	shed      prometheus.Counter
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "riskscorer_http_requests_total",
			Help: "HTTP requests answered, by route and status code.",
		}, []string{"route", "code"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "riskscorer_http_request_duration_seconds",
			Help: "Time from a request's header to its answer, by route and status code.",
			// From a tenth of a single order's cost to the default deadline.
			Buckets:                         []float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2},
			NativeHistogramBucketFactor:     1.1,
			NativeHistogramMaxBucketNumber:  160,
			NativeHistogramMinResetDuration: time.Hour,
		}, []string{"route", "code"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "riskscorer_http_requests_in_flight",
			Help: "HTTP requests that are being answered.",
		}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "riskscorer_http_panics_total",
			Help: "Panics of HTTP handlers. Any is a bug.",
		}),
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "riskscorer_http_decisions_total",
			Help: "Decisions made for HTTP, by risk band and model version.",
		}, []string{"band", "model_version"}),
		rejects: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "riskscorer_http_rejected_orders_total",
			Help: "Orders refused over HTTP, by reject class; a body that is refused whole counts as one order.",
		}, []string{"class"}),
		refusals: newRefusals(),
		shed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "riskscorer_http_shed_decisions_total",
			Help: "Decisions made for HTTP without reasons (explanation NONE), to save their cost under overload.",
		}),
	}
	for _, c := range []prometheus.Collector{m.requests, m.durations, m.inFlight, m.panics, m.decisions, m.rejects, m.refusals, m.shed} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	for _, class := range schemas.RejectClasses() {
		m.rejects.WithLabelValues(string(class)) // a rate needs its zero
	}
	return m, nil
}

// request counts and times a request; traceID is that of its sampled trace, or "".
func (m *metrics) request(route string, code int, took time.Duration, traceID string) {
	c := strconv.Itoa(code)
	m.requests.WithLabelValues(route, c).Inc()
	durations := m.durations.WithLabelValues(route, c)
	if exemplars, ok := durations.(prometheus.ExemplarObserver); ok && traceID != "" {
		exemplars.ObserveWithExemplar(took.Seconds(), prometheus.Labels{"trace_id": traceID})
		return
	}
	durations.Observe(took.Seconds())
}

func (m *metrics) decided(band scoring.Band, version string) {
	m.decisions.WithLabelValues(string(band), version).Inc()
}

func (m *metrics) reject(class schemas.RejectClass) { m.rejects.WithLabelValues(string(class)).Inc() }

// metricsPage serves what the gatherer collects.
func (s *Server) metricsPage() handler {
	// Scrapes do not pile up behind a slow collector.
	const (
		maxScrapes    = 4
		scrapeTimeout = 10 * time.Second
	)
	page := promhttp.HandlerFor(s.parts.Gatherer, promhttp.HandlerOpts{
		EnableOpenMetrics:   true,
		MaxRequestsInFlight: maxScrapes,
		Timeout:             scrapeTimeout,
		ErrorLog:            slog.NewLogLogger(s.parts.Logger.Handler(), slog.LevelWarn),
	})
	return func(w http.ResponseWriter, r *http.Request) error {
		page.ServeHTTP(w, r)
		return nil
	}
}
