package main

import (
	"testing"
	"time"
)

func TestTallyBalancesOnlyWhenEveryEventHasOneOutcome(t *testing.T) {
	t0 := time.Unix(0, 0)
	id := func(offset int64) recordID { return recordID{partition: 1, offset: offset} }
	tl := newTally()
	tl.acknowledged(id(0), t0)
	tl.came(id(1), outcome{at: t0.Add(3 * time.Millisecond), band: "LOW"}) // before its acknowledgement is seen
	tl.acknowledged(id(2), t0)
	if tl.settled() {
		t.Fatal("settled with two events pending and one outcome early")
	}
	tl.acknowledged(id(1), t0)
	tl.came(id(2), outcome{at: t0, deadLetter: "decode"})
	if tl.settled() {
		t.Fatal("settled with one event pending")
	}
	tl.came(id(0), outcome{at: t0.Add(time.Millisecond), band: "HIGH"})
	tl.came(id(0), outcome{at: t0.Add(time.Second), band: "HIGH"})
	tl.came(id(2), outcome{at: t0, deadLetter: "decode"})
	if !tl.settled() {
		t.Fatal("not settled")
	}
	c := tl.snapshot(10)
	if c.Sent != 3 || c.Results != 2 || c.DeadLetters != 1 || c.Duplicates != 2 || c.Bands["HIGH"] != 1 || c.Classes["decode"] != 1 {
		t.Errorf("counts are %+v", c)
	}
	if c.P50 != 3*time.Millisecond || c.P99 != 3*time.Millisecond {
		t.Errorf("p50 %v, p99 %v, want the nearest ranks of 1 ms and 3 ms", c.P50, c.P99)
	}
}

func TestTallyKeepsTheLatestLatencies(t *testing.T) {
	tl := newTally()
	for i := range int64(latencyWindow + 10) {
		id := recordID{offset: i}
		tl.acknowledged(id, time.Unix(0, 0))
		tl.came(id, outcome{at: time.Unix(0, i), band: "LOW"})
	}
	if got := tl.snapshot(10).P50; got != time.Duration(latencyWindow+5) {
		t.Errorf("p50 of the latest 10 is %d, want %d", got, latencyWindow+5)
	}
	if n := len(tl.pending) + len(tl.early) + len(tl.done[0].beyond); n != 0 {
		t.Errorf("%d entries kept of settled events", n)
	}
}
