package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/trendbuy/riskscorer/bench/report"
)

// results are what the page tells.
type results struct {
	Args    string
	When    time.Time
	Load    float64 // average of a minute, at the start
	Lines   []*line // in order of their first turn
	Starts  []float64
	Idles   []float64
	Batch   []batchTurn
	Stages  []stage
	Offered []offered
	Singles []offered
	Refusal []float64 // microseconds of the server's processor time a refused request
	// BareRefusal is the same of the floor.
	BareRefusal []float64
	Mixed       []mixedTurn
	Soak        *soakFigures
	Failed      []failure
}

// failure is a part that could not be measured.
type failure struct{ Part, Why string }

// line is all that is known of one contender.
type line struct {
	Name, Label, Note string
	First             []float64 // seconds until the first answer
	Idle, Peak        float64   // MB
	Turns             []turn
	Latencies         []latency
	Error             string `json:",omitempty"`
}

func newResults(args string) *results {
	return &results{Args: args, When: time.Now().UTC(), Load: report.LoadAverage()}
}

func (r *results) line(c *contender) *line {
	i := slices.IndexFunc(r.Lines, func(l *line) bool { return l.Name == c.name })
	if i < 0 {
		i = len(r.Lines)
		r.Lines = append(r.Lines, &line{Name: c.name, Label: c.label, Note: c.note})
	}
	return r.Lines[i]
}

// find returns an empty line for a contender that took no turn.
func (r *results) find(name string) *line {
	for _, l := range r.Lines {
		if l.Name == name {
			return l
		}
	}
	return new(line)
}

// median is of one figure over turns; NaN of none.
func median[T any](turns []T, of func(*T) float64) float64 {
	values := make([]float64, len(turns))
	for i := range turns {
		values[i] = of(&turns[i])
	}
	return report.Median(values)
}

func (l *line) rate() float64 { return median(l.Turns, func(t *turn) float64 { return t.Rate }) }
func (l *line) cpu() float64  { return median(l.Turns, func(t *turn) float64 { return t.CPU }) }
func (l *line) shed() float64 { return median(l.Turns, func(t *turn) float64 { return t.Shed }) }
func (l *line) p50() float64  { return median(l.Latencies, func(t *latency) float64 { return t.P50 }) }

func (l *line) p99() float64 { return median(l.Latencies, func(t *latency) float64 { return t.P99 }) }

// last tells the last turn, for whoever waits.
func (l *line) last() string {
	if n := len(l.Latencies); n > 0 {
		t := l.Latencies[n-1]
		return fmt.Sprintf("at %.0f/s p50 %.2f ms, p99 %.2f ms, p99.9 %.2f ms, the generator late by up to %.2f ms, %d failed",
			t.Rate, t.P50, t.P99, t.P999, t.Late99, t.Failed)
	}
	t := l.Turns[len(l.Turns)-1]
	return fmt.Sprintf("%.0f requests/s, %.1f us CPU a request, %.1f%% without the reasons", t.Rate, t.CPU, 100*t.Shed)
}
