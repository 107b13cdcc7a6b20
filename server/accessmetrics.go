package server

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// What a door has on disk, and what became of it when it changed, as labels.
const (
	filesCertificate = "certificate"
	filesTokens      = "tokens"
	outcomeUsed      = "used"
	outcomeRefused   = "refused"
)

// accessMetrics tell how the doors are kept. Labels come from closed sets.
type accessMetrics struct {
	refused     *prometheus.CounterVec
	reloads     *prometheus.CounterVec
	expiry      *prometheus.GaugeVec
	connections *prometheus.GaugeVec
	evicted     *prometheus.CounterVec
	handshakes  *prometheus.CounterVec
}

func newAccessMetrics(r prometheus.Registerer) (*accessMetrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append([]string{"door"}, labels...))
	}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"door"})
	}
	m := &accessMetrics{
		refused: counter("riskscorer_http_refused_callers_total", "Callers refused with 401 or 403, by class.", "class"),
		reloads: counter("riskscorer_http_file_reloads_total",
			"Changes of a door's files, by what they are and whether they came into use; after a refused one the files of before are in use.", "what", "outcome"),
		expiry: gauge("riskscorer_http_certificate_expiry_timestamp_seconds",
			"When the certificate in use ends, in seconds since 1970."),
		connections: gauge("riskscorer_http_connections", "Open connections."),
		evicted: counter("riskscorer_http_evicted_connections_total",
			"Connections without a request under way that were closed to make room for a new one."),
		handshakes: counter("riskscorer_http_failed_handshakes_total", "Connections that ended before their TLS handshake was done."),
	}
	for _, c := range []prometheus.Collector{m.refused, m.reloads, m.expiry, m.connections, m.evicted, m.handshakes} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("server metrics: %w", err)
		}
	}
	return m, nil
}

// follow readies a door's series, for a rate needs its zero, and returns what its connections report to.
func (m *accessMetrics) follow(door string, a *Access) connectionNotes {
	if a.auth() != AuthNone {
		for _, class := range callerClasses() {
			m.refused.WithLabelValues(door, class)
		}
	}
	for what, there := range map[string]bool{filesCertificate: a.encrypted(), filesTokens: a.auth() == AuthBearer} {
		if there {
			m.reloads.WithLabelValues(door, what, outcomeUsed)
			m.reloads.WithLabelValues(door, what, outcomeRefused)
		}
	}
	open, evicted, failed := m.connections.WithLabelValues(door), m.evicted.WithLabelValues(door), m.handshakes.WithLabelValues(door)
	return connectionNotes{open: func(n int) { open.Set(float64(n)) }, evicted: evicted.Inc, handshake: failed.Inc}
}
