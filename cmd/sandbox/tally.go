package main

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// latencyWindow bounds how many latencies are kept: the percentiles are those of the latest.
const latencyWindow = 100_000

// recordID is where an order event stands in its topic.
type recordID struct {
	partition int32
	offset    int64
}

// outcome is what came of an event.
type outcome struct {
	at         time.Time
	band       string // of a result
	deadLetter string // the reject class, of a dead letter
}

// tally keeps account of every event sent and everything that came of it. It is safe for concurrent use.
// Its memory is bounded by the events on their way, not by those that were ever sent.
type tally struct {
	mu          sync.Mutex
	sent        int
	results     int
	deadLetters int
	duplicates  int
	failed      int // not acknowledged by the broker, so never sent
	bands       map[string]int
	classes     map[string]int
	pending     map[recordID]time.Time // sent, nothing came of it yet
	early       map[recordID]outcome   // something came of it before its acknowledgement was seen
	done        map[int32]*doneOffsets
	latencies   []time.Duration // a ring
	next        int
}

func newTally() *tally {
	return &tally{
		bands:   map[string]int{},
		classes: map[string]int{},
		pending: map[recordID]time.Time{},
		early:   map[recordID]outcome{},
		done:    map[int32]*doneOffsets{},
	}
}

// doneOffsets is the set of one partition's offsets that something came of: all below next, and those in beyond.
type doneOffsets struct {
	next   int64
	beyond map[int64]bool
}

// add adds an offset and says whether it was new.
func (d *doneOffsets) add(offset int64) bool {
	if offset < d.next || d.beyond[offset] {
		return false
	}
	d.beyond[offset] = true
	for d.beyond[d.next] {
		delete(d.beyond, d.next)
		d.next++
	}
	return true
}

// acknowledged counts an event that the broker has, sent at the given time.
func (t *tally) acknowledged(id recordID, sentAt time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sent++
	if o, ok := t.early[id]; ok {
		delete(t.early, id)
		t.resolve(o, sentAt)
		return
	}
	t.pending[id] = sentAt
}

// refused counts an event that the broker did not take.
func (t *tally) refused() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed++
}

// came counts a result or a dead letter of an event.
func (t *tally) came(id recordID, o outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := t.done[id.partition]
	if d == nil {
		d = &doneOffsets{beyond: map[int64]bool{}}
		t.done[id.partition] = d
	}
	if !d.add(id.offset) {
		t.duplicates++
		return
	}
	sentAt, ok := t.pending[id]
	if !ok {
		t.early[id] = o
		return
	}
	delete(t.pending, id)
	t.resolve(o, sentAt)
}

func (t *tally) resolve(o outcome, sentAt time.Time) {
	if o.deadLetter != "" {
		t.deadLetters++
		t.classes[o.deadLetter]++
		return
	}
	t.results++
	t.bands[o.band]++
	latency := o.at.Sub(sentAt)
	if len(t.latencies) < latencyWindow {
		t.latencies = append(t.latencies, latency)
		return
	}
	t.latencies[t.next] = latency
	t.next = (t.next + 1) % latencyWindow
}

// settled says whether something came of every event sent.
func (t *tally) settled() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.pending) == 0 && len(t.early) == 0
}

// counts is the tally at one moment.
type counts struct {
	Sent, Results, DeadLetters, Duplicates, Failed int
	Bands, Classes                                 map[string]int
	P50, P99                                       time.Duration
}

// snapshot returns the tally so far, with percentiles of the latest latencies.
func (t *tally) snapshot(latest int) counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := counts{
		Sent: t.sent, Results: t.results, DeadLetters: t.deadLetters, Duplicates: t.duplicates, Failed: t.failed,
		Bands: maps.Clone(t.bands), Classes: maps.Clone(t.classes),
	}
	recent := t.recent(latest)
	slices.Sort(recent)
	c.P50, c.P99 = percentile(recent, 0.50), percentile(recent, 0.99)
	return c
}

// recent copies the at most n latest latencies, in no particular order.
func (t *tally) recent(n int) []time.Duration {
	n = min(n, len(t.latencies))
	out := make([]time.Duration, 0, n)
	for i := range n {
		out = append(out, t.latencies[(t.next-1-i+2*len(t.latencies))%len(t.latencies)])
	}
	return out
}

// percentile returns the nearest-rank percentile of sorted values, 0 if there are none.
func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(p*float64(len(sorted))), len(sorted)-1)]
}
