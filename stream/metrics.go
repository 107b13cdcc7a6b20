package stream

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/scoring"
)

// The stages of a batch, as the metrics name them.
const (
	stageDecode  = "decode"
	stageScore   = "score"
	stageEncode  = "encode"
	stagePublish = "publish"
)

type metrics struct {
	tombstones, stale    prometheus.Counter
	results, deadLetters *prometheus.CounterVec
	stages               *prometheus.HistogramVec
	batch, latency       prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "riskscorer_stream_results_total", Help: "Results published and acknowledged, by risk band.",
		}, []string{"band"}),
		tombstones: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "riskscorer_stream_tombstones_total", Help: "Records without a value, skipped.",
		}),
		stale: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "riskscorer_stream_stale_results_total", Help: "Results of events older than MAX_EVENT_AGE, published and acknowledged.",
		}),
		deadLetters: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "riskscorer_stream_dead_letters_total", Help: "Dead letters published and acknowledged, by reject class.",
		}, []string{"class"}),
		stages: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "riskscorer_stream_stage_duration_seconds",
			Help:    "Time of a batch in each stage.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 9), NativeHistogramBucketFactor: 1.1,
		}, []string{"stage"}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "riskscorer_stream_batch_records", Help: "Records in a batch.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 6), NativeHistogramBucketFactor: 1.1,
		}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "riskscorer_stream_event_to_result_seconds",
			Help:    "From an event's Kafka timestamp to its result's acknowledgement.",
			Buckets: prometheus.ExponentialBuckets(0.001, 3, 11), NativeHistogramBucketFactor: 1.1,
		}),
	}
	reg.MustRegister(m.results, m.tombstones, m.stale, m.deadLetters, m.stages, m.batch, m.latency)
	for _, b := range []scoring.Band{scoring.Low, scoring.Medium, scoring.High} {
		m.results.WithLabelValues(string(b))
	}
	for _, c := range schemas.RejectClasses() {
		m.deadLetters.WithLabelValues(string(c))
	}
	return m
}

func (m *metrics) time(stage string, do func() error) error {
	start := time.Now()
	err := do()
	m.stages.WithLabelValues(stage).Observe(time.Since(start).Seconds())
	return err
}
