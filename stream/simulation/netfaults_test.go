package simulation_test

import (
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// networkFaults are those between the processes and the brokers. The brokers themselves are well.
func networkFaults() []fault {
	list := []fault{
		{name: "connections reset", inject: func(w *world) {
			w.busy(w.soon(), func() { w.network.each(w.where(), (*link).reset) })
		}},
		{name: "connections half open", inject: func(w *world) {
			w.busy(w.soon(), func() { w.network.each(w.where(), (*link).lose) })
		}},
		{name: "messages cut at any byte", inject: func(w *world) {
			w.during(&rule{key: -1, cut: pick(w.random, 0.02, 0.2, 0.6)}, w.between(time.Second, time.Minute))
		}},
		{name: "produce cut at any byte", inject: func(w *world) {
			w.during(&rule{key: int16(kmsg.Produce), cut: pick(w.random, 0.3, 0.9)}, w.between(time.Second, time.Minute))
		}},
		{name: "commit cut at any byte", inject: func(w *world) {
			w.during(&rule{key: int16(kmsg.OffsetCommit), cut: pick(w.random, 0.3, 0.9)}, w.between(time.Second, time.Minute))
		}},
		{name: "slow network", inject: func(w *world) {
			w.during(&rule{slow: pick(w.random, 100*time.Millisecond, time.Second, 6*time.Second)}, w.between(10*time.Second, 2*time.Minute))
		}},
		{name: "network stalled, then all arrives", inject: func(w *world) {
			d := w.between(time.Second, 40*time.Second)
			w.during(&rule{until: time.Now().Add(d)}, d)
		}},
		{name: "broker unreachable", inject: func(w *world) { w.outage(w.address(), w.between(time.Second, 3*time.Minute)) }},
		{name: "all brokers unreachable", inject: func(w *world) { w.outage("", w.between(time.Second, 3*time.Minute)) }},
		{name: "broker a black hole", inject: func(w *world) {
			w.during(&rule{broker: w.address(), vanish: true}, w.between(time.Second, 2*time.Minute))
		}},
		{name: "process cut off", inject: func(w *world) {
			w.during(&rule{host: w.any().name, vanish: true}, w.between(time.Second, time.Minute))
		}},
		{name: "SIGTERM in an outage", inject: func(w *world) {
			w.traffic.write(100)
			time.Sleep(w.soon())
			lift := w.network.impose(&rule{vanish: true})
			w.stop(w.any())
			lift()
			w.start()
		}},
	}
	codes := refusals()
	for _, key := range slices.Sorted(maps.Keys(codes)) {
		list = append(list, refuse(key, codes[key]))
	}
	return list
}

// address is that of one of the brokers.
func (w *world) address() string { return pick(w.random, w.cluster.ListenAddrs()...) }

// where chooses what a fault of connections covers: all of them, those of a process, those to a broker, or both.
func (w *world) where() *rule {
	r := &rule{}
	if w.random.IntN(2) == 0 {
		r.host = w.any().name
	}
	if w.random.IntN(2) == 0 {
		r.broker = w.address()
	}
	return r
}

// during lets a rule hold for d, under load.
func (w *world) during(r *rule, d time.Duration) {
	w.traffic.write(10)
	lift := w.network.impose(r)
	defer lift()
	w.busy(w.soon(), func() { w.pass(d) })
}

// outage takes a broker away, as its end does: connections break and cannot be made.
func (w *world) outage(broker string, d time.Duration) {
	r := &rule{broker: broker, refuse: true}
	lift := w.network.impose(r)
	defer lift()
	w.busy(w.soon(), func() {
		w.network.each(r, (*link).reset)
		w.pass(d)
	})
}
