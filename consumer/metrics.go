package consumer

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	records      prometheus.Counter
	batches      prometheus.Counter
	skipped      prometheus.Counter
	generations  prometheus.Counter
	commits      prometheus.Counter
	commitErrors prometheus.Counter
	wedged       prometheus.Counter
	fetchErrors  *prometheus.CounterVec
	memory       prometheus.Gauge
	handle       prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer, s *state) *metrics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "riskscorer_consumer_" + name, Help: help})
		reg.MustRegister(c)
		return c
	}
	m := &metrics{
		records:      counter("records_total", "Records whose outputs are all acknowledged."),
		batches:      counter("batches_total", "Batches whose outputs are all acknowledged."),
		skipped:      counter("skipped_records_total", "Control records and records of aborted transactions passed over."),
		generations:  counter("rebalances_total", "Generations of the group that this member took part in."),
		commits:      counter("commits_total", "Successful offset commits."),
		commitErrors: counter("commit_errors_total", "Failed offset commits."),
		wedged:       counter("wedged_batches_total", "Batches whose handler did not return in time: this member left the group."),
		fetchErrors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "riskscorer_consumer_fetch_errors_total", Help: "Failed fetches, by kind.",
		}, []string{"kind"}),
		memory: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "riskscorer_consumer_memory_bound_bytes", Help: "What the records under way of the assigned partitions may take, at most.",
		}),
		handle: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "riskscorer_consumer_batch_seconds", Help: "From a batch's hand-over to the handler to its acknowledgement, without failed attempts.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14), NativeHistogramBucketFactor: 1.1,
		}),
	}
	reg.MustRegister(m.fetchErrors, m.memory, m.handle, collector{state: s})
	return m
}

var (
	descLag    = prometheus.NewDesc("riskscorer_consumer_lag_records", "Records of the log after the committed offset, of assigned partitions.", []string{"partition"}, nil)
	descPaused = prometheus.NewDesc("riskscorer_consumer_paused_partitions", "Assigned partitions that do not move, by kind of reason.", []string{"reason"}, nil)
	descOwned  = prometheus.NewDesc("riskscorer_consumer_assigned_partitions", "Partitions assigned to this member.", nil, nil)
	descJoined = prometheus.NewDesc("riskscorer_consumer_joined", "1 while this process is a member of the group.", nil, nil)
)

// collector reads the state when scraped: a partition that was taken away leaves no stale series behind.
type collector struct{ state *state }

// Describe lists the gauges.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descLag, descPaused, descOwned, descJoined} {
		ch <- d
	}
}

// Collect measures them.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	s := c.state.snapshot()
	paused := make(map[string]int)
	for _, p := range s.Partitions {
		if p.HighWatermark >= 0 { // else the lag is not known, and a zero would be taken for none
			ch <- prometheus.MustNewConstMetric(descLag, prometheus.GaugeValue, float64(p.Lag), strconv.Itoa(p.Partition))
		}
		if p.Paused != "" {
			paused[p.Kind]++
		}
	}
	for kind, n := range paused {
		ch <- prometheus.MustNewConstMetric(descPaused, prometheus.GaugeValue, float64(n), kind)
	}
	joined := 0.0
	if s.Joined {
		joined = 1
	}
	ch <- prometheus.MustNewConstMetric(descOwned, prometheus.GaugeValue, float64(len(s.Partitions)))
	ch <- prometheus.MustNewConstMetric(descJoined, prometheus.GaugeValue, joined)
}
