package main

import (
	"math"

	"github.com/trendbuy/riskscorer/bench/report"
)

// goals tells what was aimed at and what came of it.
func (r *results) goals() string {
	floor, ours, pure := r.find("floor"), r.find("riskscorer"), r.find("riskscorerpurego")
	return report.Goals([]report.Goal{
		{What: "CPU of an order with exact reasons, of the bare handler", Aim: "≤ 3.5x", Have: ours.cpu() / floor.cpu(), Unit: "x", Reached: report.AtMost(3.5)},
		{What: "the same in pure Go", Aim: "≤ 6x", Have: pure.cpu() / floor.cpu(), Unit: "x", Reached: report.AtMost(6)},
		{What: "requests/s, of the replaced server with real SHAP", Aim: "≥ 60x", Have: ours.rate() / r.find("replaced-shap").rate(), Unit: "x", Reached: report.AtLeast(60)},
		{What: "requests/s, of KServe V1, which does not explain", Aim: "≥ 5x", Have: ours.rate() / r.find("kserve-v1").rate(), Unit: "x", Reached: report.AtLeast(5)},
		{What: "p50 at half of the capacity", Aim: "≤ 0.5 ms", Have: ours.p50(), Unit: " ms", Reached: report.AtMost(0.5)},
		{What: "p99 at half of the capacity", Aim: "≤ 3 ms", Have: ours.p99(), Unit: " ms", Reached: report.AtMost(3)},
		{What: "p99 at 0.7 of the capacity while the stream catches up in the process", Aim: "≤ 10 ms", Have: r.beside(), Unit: " ms", Reached: report.AtMost(10)},
		r.goodputGoal(2), r.goodputGoal(5), r.goodputGoal(10),
		{What: "p99 of the served under any load, within the deadline", Aim: "≤ 2 s", Have: r.worstP99() / 1e3, Unit: " s", Reached: report.AtMost(deadline.Seconds())},
		{What: "CPU of refusing one", Aim: "≤ 20 us", Have: r.refused(), Unit: " us", Reached: report.AtMost(20)},
		{What: "the same, of a bare handler that refuses, as 20 us is of its 15.3 where the goal was set", Aim: "≤ 1.31x", Have: r.refused() / report.Median(r.BareRefusal), Unit: "x", Reached: report.AtMost(1.31)},
		{What: "the demo model at 10x: goodput, of what refusing left", Aim: "≥ 0.85x", Have: r.singleShare(), Unit: "x", Reached: report.AtLeast(0.85)},
		{What: "batch of 1,000: engine and JSON, of the whole", Aim: "≥ 0.8x", Have: r.stages() / r.batchCPU(), Unit: "x", Reached: report.AtLeast(0.8)},
		{What: "first answer after the start", Aim: "≤ 1.5 s", Have: report.Median(r.Starts), Unit: " s", Reached: report.AtMost(1.5)},
		{What: "memory after the first answer", Aim: "≤ 100 MB", Have: report.Median(r.Idles), Unit: " MB", Reached: report.AtMost(100)},
		{What: "most memory under full load", Aim: "≤ 200 MB", Have: measured(ours.Peak), Unit: " MB", Reached: report.AtMost(200)},
	})
}

// measured is NaN for a figure that was not.
func measured(x float64) float64 {
	if x == 0 {
		return math.NaN()
	}
	return x
}

func (r *results) goodputGoal(times float64) report.Goal {
	return report.Goal{
		What: "goodput of a model slow to explain at " + factor(times) + " of the capacity, of the peak", Aim: "≥ 0.9x",
		Have: good(r.Offered, times), Unit: "x", Reached: report.AtLeast(0.9),
	}
}

// at are the rounds of one offered load.
func at(all []offered, times float64) (some []offered) {
	for _, o := range all {
		if o.Times == times {
			some = append(some, o)
		}
	}
	return some
}

func good(all []offered, times float64) float64 {
	return median(at(all, times), func(o *offered) float64 { return o.Good / o.Peak.Rate })
}

// worstP99 is in ms, over the loads.
func (r *results) worstP99() float64 {
	worst := math.NaN()
	for _, times := range loads() {
		if p99 := median(at(r.Offered, times), func(o *offered) float64 { return o.P99 }); !(p99 <= worst) {
			worst = p99
		}
	}
	return worst
}

func (r *results) refused() float64 { return report.Median(r.Refusal) }

// singleShare is the goodput of single orders at the highest load, of what the processor time that the server got
// would have served beside the refusals. The server does not get all of the cores: the generator has its share.
func (r *results) singleShare() float64 {
	refused := r.refused()
	return median(at(r.Singles, 10), func(o *offered) float64 {
		return o.Good / ((o.CPU*1e6 - o.Refused*refused) / o.Peak.CPU)
	})
}

// stages is the sum of a batch's, in us an order; NaN if they were not measured.
func (r *results) stages() float64 {
	sum := 0.0
	for _, s := range r.Stages {
		sum += s.Micros
	}
	return measured(sum)
}

func (r *results) batchCPU() float64 {
	return median(r.Batch, func(t *batchTurn) float64 { return t.CPU })
}
