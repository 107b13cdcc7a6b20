package producer

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trendbuy/riskscorer/broker"
)

type metrics struct {
	records *prometheus.CounterVec
	bytes   *prometheus.CounterVec
	errors  *prometheus.CounterVec
	latency prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		records: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "riskscorer_producer_records_total", Help: "Records acknowledged by all replicas in sync.",
		}, []string{"topic"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "riskscorer_producer_bytes_total", Help: "Bytes of acknowledged record batches.",
		}, []string{"topic"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "riskscorer_producer_errors_total", Help: "Failed attempts to publish, by kind; most are retried.",
		}, []string{"kind"}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "riskscorer_producer_publish_seconds", Help: "From a publication's start to its last acknowledgement.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14), NativeHistogramBucketFactor: 1.1,
		}),
	}
	reg.MustRegister(m.records, m.bytes, m.errors, m.latency)
	return m
}

// timer starts a measurement and returns what ends it.
func (m *metrics) timer() func() {
	start := time.Now()
	return func() { m.latency.Observe(time.Since(start).Seconds()) }
}

func (m *metrics) fail(err error) { m.errors.WithLabelValues(broker.KindOf(err).String()).Inc() }

func (m *metrics) acknowledged(topic string, b broker.Batch) {
	m.records.WithLabelValues(topic).Add(float64(b.Count()))
	m.bytes.WithLabelValues(topic).Add(float64(b.Size()))
}
