package main

import (
	"fmt"
	"strings"

	"github.com/trendbuy/riskscorer/bench/report"
)

const head = `# Benchmarks of the synchronous door

Written by a command, not by hand; run it anew and this page and the plot are replaced:

    %s

%s, on %s. **Load average: %.1f at the start, %.1f at the end**%s

Server and generator share these cores, so a rate is what is left of them when the generator has had its part; processor
time (user and system) and memory are the kernel's accounts of the server's process alone. The generator keeps its connections,
sends requests made beforehand, and keeps every latency. At a constant rate a latency runs from the moment at which the
request was *due*, whether there was a connection for it or not; a test checks it against servers of known delay. The orders
are %d different ones without a missing feature. *No reasons* is the share of answers that riskscorer gave without, to save time. Contenders take turns; figures are medians of the turns. The code is in
[bench/http](../bench/http).

![Requests a second, and goodput under overload](benchmarks-http.svg)
`

func (r *results) page() string {
	return fmt.Sprintf(head, report.Command("bench-http", r.Args), r.When.Format("2006-01-02"), report.Machine(), r.Load, report.LoadAverage(),
		report.Busy(r.Load), distinctOrders) +
		r.single() + r.latency() + r.batches() + overloaded("## Overload with a model that is slow to explain, and ?explain=full", r.Offered) +
		overloaded("## Overload with the demo model", r.Singles) + r.beSide() + r.soaked() + r.goals() + r.failures()
}

func (r *results) single() string {
	ours := r.find("riskscorer")
	var text strings.Builder
	fmt.Fprintf(&text, "\n## One order a request, %d connections\n\n"+
		"| server | requests/s | riskscorer is faster by | CPU us a request | of the bare handler | no reasons | first answer s | MB after it | MB at most | how |\n"+
		"| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n", connections)
	for _, l := range r.Lines {
		if len(l.Turns) > 0 {
			fmt.Fprintf(&text, "| %s | %s | %.3gx | %.1f | %.3gx | %.0f%% | %.2f | %.0f | %.0f | %s |\n", l.Label, report.Thousands(l.rate()), ours.rate()/l.rate(),
				l.cpu(), l.cpu()/r.find("floor").cpu(), 100*l.shed(), report.Median(l.First), l.Idle, l.Peak, l.Note)
		}
	}
	return text.String()
}

func (r *results) latency() string {
	var text strings.Builder
	text.WriteString("\n## Latency at half of the server's own capacity\n\n" +
		"The capacity is the rate above. *Generator* is how late the generator itself was at p99, which is in the latencies.\n\n" +
		"| server | requests/s | p50 ms | p99 ms | p99.9 ms | generator ms | not 200 |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n")
	for _, l := range r.Lines {
		if len(l.Latencies) == 0 {
			continue
		}
		failed := 0
		for _, t := range l.Latencies {
			failed += t.Failed
		}
		fmt.Fprintf(&text, "| %s | %s | %.2f | %.2f | %.2f | %.2f | %d |\n", l.Label, report.Thousands(l.rate()/2), l.p50(), l.p99(),
			median(l.Latencies, func(t *latency) float64 { return t.P999 }), median(l.Latencies, func(t *latency) float64 { return t.Late99 }), failed)
	}
	return text.String()
}

func (r *results) batches() string {
	if len(r.Batch) == 0 {
		return ""
	}
	var text strings.Builder
	text.WriteString("\n## A batch of 1,000 orders, by stage\n\nThe stages run in a process of their own, without HTTP; collecting garbage counts.\n\n" +
		"| | CPU us an order |\n| --- | ---: |\n")
	for _, s := range r.Stages {
		fmt.Fprintf(&text, "| %s | %.2f |\n", s.Name, s.Micros)
	}
	fmt.Fprintf(&text, "| sum | %.2f |\n| POST /score/batch, %s batches/s | %.2f |\n", r.stages(),
		report.Thousands(median(r.Batch, func(t *batchTurn) float64 { return t.Rate })), r.batchCPU())
	return text.String()
}

func overloaded(title string, all []offered) string {
	if len(all) == 0 {
		return ""
	}
	peak := all[0].Peak
	var text strings.Builder
	fmt.Fprintf(&text, "\n%s\n\nAn order costs the server %.2f ms; the peak is %s requests/s in a closed loop of %d connections, %.0f%% without their reasons.\n"+
		"Each load is offered at a constant rate over at most %d connections; who finds none for %v *gives up*. *Good* is answered with\n"+
		"200 within %v of the intended start, *no reasons* the share of the served whose reasons were left out to save time.\n\n"+
		"| offered | sent/s | good/s | of the peak | no reasons | refused/s | gave up/s | p50 ms | p99 ms | p99.9 ms | server's cores | broken |\n"+
		"| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
		title, peak.CPU/1e3, report.Thousands(peak.Rate), all[0].Busy, 100*peak.Shed, crowd, patience, deadline)
	for _, times := range loads() {
		some, broken := at(all, times), 0
		for _, o := range some {
			broken += o.Broken
		}
		of := func(figure func(*offered) float64) float64 { return median(some, figure) }
		count := func(figure func(*offered) float64) string { return report.Thousands(of(figure)) }
		fmt.Fprintf(&text, "| %s | %s | %s | %.0f%% | %.0f%% | %s | %s | %.1f | %.1f | %.1f | %.2f | %d |\n", factor(times),
			count(func(o *offered) float64 { return o.Sent }), count(func(o *offered) float64 { return o.Good }),
			100*good(all, times), 100*of(func(o *offered) float64 { return o.Shed }),
			count(func(o *offered) float64 { return o.Refused }), count(func(o *offered) float64 { return o.GaveUp }),
			of(func(o *offered) float64 { return o.P50 }), of(func(o *offered) float64 { return o.P99 }), of(func(o *offered) float64 { return o.P999 }),
			of(func(o *offered) float64 { return o.CPU }), broken)
	}
	return text.String()
}

func (r *results) beSide() string {
	if len(r.Mixed) == 0 {
		return ""
	}
	of := func(figure func(*mixedTurn) float64) float64 { return median(r.Mixed, figure) }
	return fmt.Sprintf("\n## While the stream catches up in the same process\n\nROLE=both, a backlog of orders in JSON on a real Kafka broker, which shares the cores as well.\n\n"+
		"| requests/s | p50 ms | p99 ms | p99.9 ms | stream events/s | without requests |\n| ---: | ---: | ---: | ---: | ---: | ---: |\n"+
		"| %s | %.2f | %.2f | %.2f | %s | %s |\n", report.Thousands(of(func(t *mixedTurn) float64 { return t.Latency.Rate })),
		of(func(t *mixedTurn) float64 { return t.Latency.P50 }), r.beside(), of(func(t *mixedTurn) float64 { return t.Latency.P999 }),
		report.Thousands(of(func(t *mixedTurn) float64 { return t.Beside })), report.Thousands(of(func(t *mixedTurn) float64 { return t.Alone })))
}

func (r *results) soaked() string {
	if r.Soak == nil {
		return ""
	}
	return "\n## Soak\n\nThe last quarter's medians beside the first quarter's, after a tenth to warm up. " + r.Soak.verdict() + ".\n"
}

func (r *results) failures() string {
	var text strings.Builder
	for _, l := range r.Lines {
		if l.Error != "" {
			fmt.Fprintf(&text, "- %s: %s\n", l.Label, report.Cell(l.Error))
		}
	}
	for _, f := range r.Failed {
		fmt.Fprintf(&text, "- part %s: %s\n", f.Part, report.Cell(f.Why))
	}
	if text.Len() == 0 {
		return "\nEvery contender was installed and ran.\n"
	}
	return "\nWhat failed, and why:\n\n" + text.String()
}

func factor(x float64) string { return fmt.Sprintf("%gx", x) }
