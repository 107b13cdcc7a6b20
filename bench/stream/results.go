package main

import (
	"slices"
	"time"

	"github.com/trendbuy/riskscorer/bench/report"
)

const paceRate = 2000 // events a second

// line is all that is known of one contender.
type line struct {
	name, label, note string
	samples           []sample
	scores            map[string]float64 // of the first results, by order id
	took              []float64          // milliseconds, sorted
	err               error              // of the turn that failed, after which there was none
	paceErr           error
}

// results are what the page tells.
type results struct {
	args        string
	when        time.Time
	load        float64
	stages      []stage
	lines       []*line // in order of their first turn
	deadLetters int64
}

func newResults(args string) *results {
	return &results{args: args, when: time.Now().UTC(), load: report.LoadAverage()}
}

// line is a contender's, by what it does and not by its name alone: riskscorer both copies and scores.
func (r *results) line(c *contender) *line {
	i := slices.IndexFunc(r.lines, func(l *line) bool { return l.label == c.label && l.note == c.note })
	if i < 0 {
		i = len(r.lines)
		r.lines = append(r.lines, &line{name: c.name, label: c.label, note: c.note})
	}
	return r.lines[i]
}

func (r *results) failed(c *contender) bool { return r.line(c).err != nil }

func (r *results) add(c *contender, s sample, err error) {
	l := r.line(c)
	if l.err = err; err == nil {
		l.samples = append(l.samples, s)
		if s.scores != nil {
			l.scores = s.scores
		}
	}
}

func (r *results) addPace(c *contender, took []float64, err error) {
	l := r.line(c)
	l.took, l.paceErr = took, err
}

func (l *line) median(of func(sample) float64) float64 {
	values := make([]float64, len(l.samples))
	for i := range values {
		values[i] = of(l.samples[i])
	}
	return report.Median(values)
}

func (l *line) rate() float64 { return l.median(func(s sample) float64 { return s.rate }) }
func (l *line) cpu() float64  { return l.median(func(s sample) float64 { return s.cpu }) }
func (l *line) rss() float64  { return l.median(func(s sample) float64 { return s.rss }) }
