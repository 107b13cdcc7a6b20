package main

import (
	"fmt"
	"math"
	"strings"
)

// goal is a figure that was aimed at.
type goal struct {
	what, aim string
	have      float64
	unit      string
	reached   func(float64) bool
}

func atLeast(x float64) func(float64) bool { return func(have float64) bool { return have >= x } }
func atMost(x float64) func(float64) bool  { return func(have float64) bool { return have <= x } }

// goals tells what was aimed at and what came of it.
func (r *results) goals() string {
	copied, ours, pure := r.find(true, "riskscorer"), r.find(false, "riskscorer"), r.find(false, "riskscorerpurego")
	decodeEncode := math.NaN()
	if len(r.stages) == 3 {
		decodeEncode = r.stages[0].Micros + r.stages[2].Micros
	}
	var text strings.Builder
	text.WriteString("\n## What was aimed at\n\n| | goal | here | |\n| --- | ---: | ---: | --- |\n")
	for _, g := range []goal{
		{"passing through, of the bare loop", "≥ 0.85x", copied.rate() / r.find(true, "raw").rate(), "x", atLeast(0.85)},
		{"passing through, of franz-go", "≥ 1.05x", copied.rate() / r.find(true, "franz").rate(), "x", atLeast(1.05)},
		{"decode and encode, CPU an event", "≤ 12 us", decodeEncode, " us", atMost(12)},
		{"the whole, CPU an event", "≤ 30 us", ours.cpu(), " us", atMost(30)},
		{"the whole in pure Go, CPU an event", "≤ 75 us", pure.cpu(), " us", atMost(75)},
		{"events/s, of Python", "≥ 12x", ours.rate() / r.find(false, "python").rate(), "x", atLeast(12)},
		{"events/s in pure Go, of Python", "≥ 6x", pure.rate() / r.find(false, "python").rate(), "x", atLeast(6)},
		{"events/s, of Kafka Streams by record", "≥ 3x", ours.rate() / r.find(false, "streams").rate(), "x", atLeast(3)},
		{"events/s, of Kafka Streams by batch", "≥ 1x", ours.rate() / r.find(false, "streams-batch").rate(), "x", atLeast(1)},
		{"event to result, p50", "≤ 3 ms", quantile(ours.took, 0.5), " ms", atMost(3)},
		{"event to result, p99", "≤ 10 ms", quantile(ours.took, 0.99), " ms", atMost(10)},
		{"peak memory at full rate", "≤ 200 MB", ours.rss(), " MB", atMost(200)},
	} {
		have, verdict := fmt.Sprintf("%.3g%s", g.have, g.unit), "missed"
		switch {
		case math.IsNaN(g.have):
			have, verdict = "", "not measured"
		case g.reached(g.have):
			verdict = "reached"
		}
		fmt.Fprintf(&text, "| %s | %s | %s | %s |\n", g.what, g.aim, have, verdict)
	}
	return text.String()
}
