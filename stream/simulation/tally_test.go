package simulation_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// tally counts what a run, or several, went through.
type tally struct {
	hours, events, duplicates int
	faults                    map[string]int // by name
	doubled                   map[string]int // duplicates, by the name of the fault
	refused                   map[string]int // answers, by request and error
	longest                   time.Duration
	slowest                   string // the fault of the longest recovery
}

func newTally() tally {
	return tally{faults: make(map[string]int), doubled: make(map[string]int), refused: make(map[string]int)}
}

func (t *tally) note(refusal string, n int) { t.refused[refusal] += n }

func (t *tally) recovered(after string, took time.Duration) {
	if took > t.longest {
		t.longest, t.slowest = took, after
	}
}

func (t *tally) add(o *tally) {
	t.hours += o.hours
	t.events += o.events
	t.duplicates += o.duplicates
	for _, m := range []struct{ to, from map[string]int }{{t.faults, o.faults}, {t.doubled, o.doubled}, {t.refused, o.refused}} {
		for name, n := range m.from {
			m.to[name] += n
		}
	}
	t.recovered(o.slowest, o.longest)
}

// String is the report: the sums in one line, then what happened how often.
func (t *tally) String() string {
	total := 0
	for _, n := range t.faults {
		total += n
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d hours, %d events, %d faults of %d kinds, %d duplicates, longest recovery %v (%s)",
		t.hours, t.events, total, len(t.faults), t.duplicates, t.longest.Round(time.Millisecond), t.slowest)
	return b.String()
}

// Table lists the faults with the duplicates that they led to, and the refusals.
func (t *tally) Table() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(t.faults)) {
		fmt.Fprintf(&b, "%6d  %6d duplicates  %s\n", t.faults[name], t.doubled[name], name)
	}
	for _, name := range slices.Sorted(maps.Keys(t.refused)) {
		fmt.Fprintf(&b, "%6d  answers of  %s\n", t.refused[name], name)
	}
	return b.String()
}
