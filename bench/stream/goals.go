package main

import (
	"math"

	"github.com/trendbuy/riskscorer/bench/report"
)

// goals tells what was aimed at and what came of it.
func (r *results) goals() string {
	copied, ours, pure := r.find(true, "riskscorer"), r.find(false, "riskscorer"), r.find(false, "riskscorerpurego")
	decodeEncode := math.NaN()
	if len(r.stages) == 3 {
		decodeEncode = r.stages[0].Micros + r.stages[2].Micros
	}
	return report.Goals([]report.Goal{
		{What: "passing through, of the bare loop", Aim: "≥ 0.85x", Have: copied.rate() / r.find(true, "raw").rate(), Unit: "x", Reached: report.AtLeast(0.85)},
		{What: "passing through, of franz-go", Aim: "≥ 1.05x", Have: copied.rate() / r.find(true, "franz").rate(), Unit: "x", Reached: report.AtLeast(1.05)},
		{What: "decode and encode, CPU an event", Aim: "≤ 12 us", Have: decodeEncode, Unit: " us", Reached: report.AtMost(12)},
		{What: "the whole, CPU an event", Aim: "≤ 30 us", Have: ours.cpu(), Unit: " us", Reached: report.AtMost(30)},
		{What: "the whole in pure Go, CPU an event", Aim: "≤ 75 us", Have: pure.cpu(), Unit: " us", Reached: report.AtMost(75)},
		{What: "events/s, of Python", Aim: "≥ 12x", Have: ours.rate() / r.find(false, "python").rate(), Unit: "x", Reached: report.AtLeast(12)},
		{What: "events/s in pure Go, of Python", Aim: "≥ 6x", Have: pure.rate() / r.find(false, "python").rate(), Unit: "x", Reached: report.AtLeast(6)},
		{What: "events/s, of Kafka Streams by record", Aim: "≥ 3x", Have: ours.rate() / r.find(false, "streams").rate(), Unit: "x", Reached: report.AtLeast(3)},
		{What: "events/s, of Kafka Streams by batch", Aim: "≥ 1x", Have: ours.rate() / r.find(false, "streams-batch").rate(), Unit: "x", Reached: report.AtLeast(1)},
		{What: "event to result, p50", Aim: "≤ 3 ms", Have: report.Quantile(ours.took, 0.5), Unit: " ms", Reached: report.AtMost(3)},
		{What: "event to result, p99", Aim: "≤ 10 ms", Have: report.Quantile(ours.took, 0.99), Unit: " ms", Reached: report.AtMost(10)},
		{What: "peak memory at full rate", Aim: "≤ 200 MB", Have: ours.rss(), Unit: " MB", Reached: report.AtMost(200)},
	})
}
