package scoring

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/trendbuy/riskscorer/scoring/bundle"
)

// Metrics count what the features show. One set serves all scorers of a process, whatever model they hold.
type Metrics struct {
	outsideSeen *prometheus.CounterVec
}

// NewMetrics registers the metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		// Bounded: a series per feature of the bundles that this process has served.
		outsideSeen: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "riskscorer_feature_outside_seen_total",
			Help: "Scored values outside the range that the model saw in training, by feature.",
		}, []string{"feature"}),
	}
	reg.MustRegister(m.outsideSeen)
	return m
}

func (m *Metrics) countRow(features []bundle.Feature, row []float64) {
	for i := range features {
		// A missing value (NaN) is no number outside; a category has no range.
		if x := row[i]; x == x && !features[i].Seen.Holds(x) {
			m.outsideSeen.WithLabelValues(features[i].Name).Inc()
		}
	}
}
