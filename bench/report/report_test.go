package report_test

import (
	"math"
	"strings"
	"testing"

	"github.com/trendbuy/riskscorer/bench/report"
)

func TestMedian(t *testing.T) {
	if got := report.Median([]float64{9, 1, 5}); got != 5 {
		t.Errorf("median %v, want 5", got)
	}
	if got := report.Median(nil); !math.IsNaN(got) {
		t.Errorf("median of nothing %v, want NaN", got)
	}
}

func TestGoalsTellWhatWasReached(t *testing.T) {
	text := report.Goals([]report.Goal{
		{What: "fast", Aim: "≥ 2x", Have: 2.5, Unit: "x", Reached: report.AtLeast(2)},
		{What: "small", Aim: "≤ 2 MB", Have: 2.5, Unit: " MB", Reached: report.AtMost(2)},
		{What: "cheap", Aim: "≤ 2", Have: math.NaN(), Reached: report.AtMost(2)},
	})
	for _, want := range []string{"| fast | ≥ 2x | 2.5x | reached |", "| small | ≤ 2 MB | 2.5 MB | missed |", "| cheap | ≤ 2 |  | not measured |"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
}

func TestThousands(t *testing.T) {
	for x, want := range map[float64]string{12: "12", 1234: "1,234", 1234567: "1,234,567", math.NaN(): "none"} {
		if got := report.Thousands(x); got != want {
			t.Errorf("%v is %q, want %q", x, got, want)
		}
	}
}
