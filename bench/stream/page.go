package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/trendbuy/riskscorer/bench/report"
	"github.com/trendbuy/riskscorer/e2e/kafka"
)

const head = `# Benchmarks of the stream

Written by a command, not by hand; run it anew and this page and the plot are replaced:

    %s

%s, on %s. **Load average: %.1f at the start, %.1f at the end**%s

One real Kafka broker (%s) and all contenders share these cores. Everybody reads the same topic of %d partitions: orders of
about 300 bytes, Avro in Confluent framing, with 30 features of which the model takes 8. Each turn is a new process with a
new group, reading from the beginning, where orders lie in all partitions in turn: each batch spreads by key. The next turn is another contender's. Figures are medians of the turns. Rates are
taken from the ends of the output topic, from a tenth of a turn's events to all of them; processor time (user and system) and
peak memory are the kernel's accounts of the contender's processes. All acknowledgements are of all replicas (one here), and
nothing is compressed. How soon results come is told at the end. The code is in [bench/stream](../bench/stream).

![Events a second, and processor time an event](benchmarks-stream.svg)
`

// write writes the page and the plot.
func (r *results) write(docs string) error {
	page := fmt.Sprintf(head, report.Command("bench-stream", r.args), r.when.Format("2006-01-02"), report.Machine(), r.load, report.LoadAverage(), report.Busy(r.load), kafka.Version, partitions)
	page += r.passing() + r.scoring() + r.byStage() + r.latency() + r.goals() + r.failures()
	if err := os.WriteFile(filepath.Join(docs, "benchmarks-stream.svg"), []byte(r.plot()), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(docs, "benchmarks-stream.md"), []byte(page), 0o644)
}

// of returns the lines of copiers or of scorers that took a turn.
func (r *results) of(copying bool) (lines []*line) {
	for _, l := range r.lines {
		if isCopier(l) == copying && len(l.samples) > 0 {
			lines = append(lines, l)
		}
	}
	return lines
}

func isCopier(l *line) bool {
	return l.name == "raw" || l.name == "franz" || strings.Contains(l.note, "changes nothing")
}

// find returns an empty line for a contender that took no turn.
func (r *results) find(copying bool, name string) *line {
	for _, l := range r.of(copying) {
		if l.name == name {
			return l
		}
	}
	return &line{}
}

func (r *results) passing() string {
	var text strings.Builder
	text.WriteString("\n## Passing through\n\nFetch, publish spread by key over the partitions, commit.\n\n" +
		"| client | messages/s | of the bare loop | CPU us a message | peak MB | how |\n| --- | ---: | ---: | ---: | ---: | --- |\n")
	bar := r.find(true, "raw").rate()
	for _, l := range r.of(true) {
		fmt.Fprintf(&text, "| %s | %s | %s | %.2f | %.0f | %s |\n", l.label, report.Thousands(l.rate()), percent(l.rate()/bar), l.cpu(), l.rss(), l.note)
	}
	return text.String()
}

func (r *results) scoring() string {
	var text strings.Builder
	text.WriteString("\n## The whole: event in, decision out\n\nAvro in, score, reasons, Avro out, the demo model (300 trees of depth 6).\n\n" +
		"| | events/s | riskscorer is faster by | CPU us an event | peak MB | difference | how |\n| --- | ---: | ---: | ---: | ---: | ---: | --- |\n")
	ours := r.find(false, "riskscorer")
	for _, l := range r.of(false) {
		fmt.Fprintf(&text, "| %s | %s | %s | %.1f | %.0f | %.1g | %s |\n",
			l.label, report.Thousands(l.rate()), times(ours.rate()/l.rate()), l.cpu(), l.rss(), compare(ours.scores, l.scores), l.note)
	}
	fmt.Fprintf(&text, "\n*Difference* is the largest of the risk score, over the first %d results. xgboost4j 3.0.4 takes\n"+
		"the base score of a model of XGBoost 3.1 or later for 1/2; it is given the right one with each row. Dead letters of all turns: %d.\n", comparedResults, r.deadLetters)
	return text.String()
}

func (r *results) byStage() string {
	var text strings.Builder
	text.WriteString("\n## By stage\n\nIn one process, without Kafka, in batches of 500; collecting garbage counts.\n\n| stage | CPU us an event |\n| --- | ---: |\n")
	for _, s := range r.stages {
		fmt.Fprintf(&text, "| %s | %.2f |\n", s.Name, s.Micros)
	}
	return text.String()
}

func (r *results) latency() string {
	var text strings.Builder
	fmt.Fprintf(&text, "\n## From event to result at %s events/s\n\n"+
		"Open loop: events are due at fixed times, whether results come or not, and the time runs from then to the receipt of the result\n"+
		"by another client. The first half of the run warms up.\n\n| | p50 ms | p99 ms | largest ms |\n| --- | ---: | ---: | ---: |\n", report.Thousands(paceRate))
	for _, l := range r.of(false) {
		if len(l.took) > 0 {
			fmt.Fprintf(&text, "| %s | %.1f | %.1f | %.1f |\n", l.label, report.Quantile(l.took, 0.5), report.Quantile(l.took, 0.99), l.took[len(l.took)-1])
		}
	}
	return text.String()
}

func (r *results) failures() string {
	var text strings.Builder
	for _, l := range r.lines {
		if l.err != nil {
			fmt.Fprintf(&text, "- %s: %s\n", l.label, report.Cell(l.err.Error()))
		}
		if l.paceErr != nil {
			fmt.Fprintf(&text, "- %s, at a fixed rate: %s\n", l.label, report.Cell(l.paceErr.Error()))
		}
	}
	if text.Len() == 0 {
		return "\nEvery contender was installed and ran.\n"
	}
	return "\nWhat failed, and why:\n\n" + text.String()
}

func percent(x float64) string { return fmt.Sprintf("%.0f%%", 100*x) }

func times(x float64) string { return fmt.Sprintf("%.2fx", x) }
