package service

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/trendbuy/riskscorer/server"
)

// reloadMetrics tell which model serves, and what came of attempts to replace it.
type reloadMetrics struct {
	attempts *prometheus.CounterVec
	failing  prometheus.Gauge
}

func newReloadMetrics(s *Service) *reloadMetrics {
	m := &reloadMetrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "riskscorer_model_reloads_total",
			Help: "Attempts to replace the model, by outcome: loaded, unchanged, refused, failed or postponed.",
		}, []string{"outcome"}),
		failing: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "riskscorer_model_reload_failing",
			Help: "1 while the bundle at MODEL_PATH is not the one that serves, because the last attempt to load it failed.",
		}),
	}
	for _, outcome := range server.ReloadOutcomes() {
		m.attempts.WithLabelValues(outcome) // a rate needs its zero
	}
	s.registry.MustRegister(m.attempts, m.failing, &modelInfo{
		service: s,
		description: prometheus.NewDesc("riskscorer_model_info", "The model that serves; always 1.",
			[]string{"model_version", "model_digest", "engine"}, nil),
	})
	return m
}

// modelInfo is collected from the model that serves, so that only its series is there.
type modelInfo struct {
	service     *Service
	description *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (i *modelInfo) Describe(d chan<- *prometheus.Desc) { d <- i.description }

// Collect implements prometheus.Collector.
func (i *modelInfo) Collect(c chan<- prometheus.Metric) {
	if m := i.service.current.Load(); m != nil {
		c <- prometheus.MustNewConstMetric(i.description, prometheus.GaugeValue, 1,
			m.scorer.Manifest().Version, m.scorer.Digest().String(), m.scorer.EngineID())
	}
}
