package server

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/trendbuy/riskscorer/server/admission"
)

// Why a scoring request was turned away: the label "reason".
const (
	refusedBusy   = "busy"   // too much waited already
	refusedLate   = "late"   // it could not be, or was not, done in its time
	refusedRate   = "rate"   // its client is over its rate
	refusedMemory = "memory" // too many bodies were on their way
	refusedGone   = "gone"   // its client left while it waited
)

func newRefusals() *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "riskscorer_http_refused_requests_total",
		Help: "Scoring requests that were turned away for want of room or time, by size class and reason.",
	}, []string{"class", "reason"})
	for _, class := range []admission.Class{admission.Order, admission.Batch} {
		for _, reason := range []string{refusedBusy, refusedLate, refusedRate, refusedMemory, refusedGone} {
			v.WithLabelValues(className(class), reason) // a rate needs its zero
		}
	}
	return v
}

func (m *metrics) refused(class admission.Class, reason string) {
	m.refusals.WithLabelValues(className(class), reason).Inc()
}

func className(c admission.Class) string {
	if c == admission.Batch {
		return "batch"
	}
	return "order"
}

// register shows what the guard does at the moment of a scrape.
func (g *guard) register(r prometheus.Registerer) error {
	gauge := func(name, help string, value func(admission.State) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(g.gate.State()) })
	}
	collectors := []prometheus.Collector{
		gauge("riskscorer_http_degradation_step", "0: decisions have their reasons; 1: reasons are shed; 2: and requests are turned away.",
			func(s admission.State) float64 { return float64(s.Step) }),
		gauge("riskscorer_http_concurrency_limit", "Scoring requests that may compute at once, by the time that they were seen to take.",
			func(s admission.State) float64 { return float64(s.Limit) }),
		gauge("riskscorer_http_computing_requests", "Scoring requests that compute.",
			func(s admission.State) float64 { return float64(s.Running) }),
		gauge("riskscorer_http_waiting_requests", "Scoring requests that wait for their turn to compute.",
			func(s admission.State) float64 {
				return float64(s.Waiting[admission.Order] + s.Waiting[admission.Batch])
			}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "riskscorer_http_body_memory_bytes",
			Help: "Memory of the scoring bodies and answers that are on their way.",
		}, func() float64 {
			return float64(2*bodyMemory - g.memory[admission.Order].Free() - g.memory[admission.Batch].Free())
		}),
	}
	for _, c := range collectors {
		if err := r.Register(c); err != nil {
			return err
		}
	}
	return nil
}
