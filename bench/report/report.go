// Package report provides what the benchmarks' pages have in common: the machine, its load, medians, timed runs, and the table of
// what was aimed at.
package report

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
)

// Goal is a figure that was aimed at.
type Goal struct {
	What, Aim string
	Have      float64 // NaN is not measured
	Unit      string  // with a space before it if one is wanted
	Reached   func(float64) bool
}

// AtLeast is reached by x and more.
func AtLeast(x float64) func(float64) bool { return func(have float64) bool { return have >= x } }

// AtMost is reached by x and less.
func AtMost(x float64) func(float64) bool { return func(have float64) bool { return have <= x } }

// Goals returns a section that tells what was aimed at and what came of it.
func Goals(goals []Goal) string {
	var text strings.Builder
	text.WriteString("\n## What was aimed at\n\n| | goal | here | |\n| --- | ---: | ---: | --- |\n")
	for _, g := range goals {
		have, verdict := fmt.Sprintf("%.3g%s", g.Have, g.Unit), "missed"
		switch {
		case math.IsNaN(g.Have):
			have, verdict = "", "not measured"
		case g.Reached(g.Have):
			verdict = "reached"
		}
		fmt.Fprintf(&text, "| %s | %s | %s | %s |\n", g.What, g.Aim, have, verdict)
	}
	return text.String()
}

// Median returns NaN of nothing.
func Median(values []float64) float64 {
	return Quantile(slices.Sorted(slices.Values(values)), 0.5)
}

// Quantile returns NaN of nothing.
func Quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// LoadAverage is the kernel's, of a minute; NaN if there is none to read.
func LoadAverage() float64 {
	load := math.NaN()
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		_, _ = fmt.Sscan(string(text), &load)
	}
	return load
}

// Busy says how much figures are worth that were measured from this load average on.
func Busy(load float64) string {
	if load < 0.5 {
		return " (the machine was idle)."
	}
	return "\n(the machine was busy with other work): take the ratios and the processor times, and even those with caution; rates and\n" +
		"latencies are what was left of the cores."
}

// Machine tells processor, cores and system.
func Machine() string {
	model := runtime.GOARCH
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for l := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%s, %d cores, %s, %s", model, runtime.NumCPU(), runtime.GOOS, runtime.Version())
}

// Command is how to run a target again.
func Command(target, args string) string {
	if args == "" {
		return "make " + target
	}
	return "make " + target + " ARGS='" + args + "'"
}

// Cell returns text that Markdown does not take for anything else, on one line and short.
func Cell(text string) string {
	text = strings.NewReplacer("|", "/", "<", "", "`", "'", "\n", " ").Replace(text)
	if len(text) > 300 {
		text = text[:297] + "..."
	}
	return text
}

// Thousands writes a whole number with commas; NaN is none.
func Thousands(x float64) string {
	if math.IsNaN(x) {
		return "none"
	}
	text := fmt.Sprintf("%.0f", x)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
