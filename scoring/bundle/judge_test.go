package bundle_test

import (
	"math"
	"strings"
	"testing"

	"github.com/trendbuy/riskscorer/scoring/bundle"
	"github.com/trendbuy/riskscorer/scoring/forest"
)

// shifted is the forest with every margin off by a constant.
type shifted struct {
	*forest.Forest
	by float64
}

func (s shifted) MarginsTo(dst, rows []float64) {
	s.Forest.MarginsTo(dst, rows)
	for i := range dst {
		dst[i] += s.by
	}
}

// atMost returns the forest with its thresholds read as LightGBM's: the mistake that a judge is for.
func atMost(t *testing.T, f *forest.Forest) *forest.Forest {
	t.Helper()
	wrong := *f
	wrong.LessEqual = true
	made, err := forest.New(wrong)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestAJudgeOfOtherNumbersIsAnError(t *testing.T) {
	b, err := bundle.Open(demo, bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		judge bundle.Judge
		says  string
	}{
		{"the forest itself", b.Forest, ""},
		{"a rounding away", shifted{b.Forest, 3e-6}, ""},
		{"further than rounding", shifted{b.Forest, 1e-4}, "row 1: margin"},
		{"a score that shows it first", shifted{b.Forest, 1.5e-5}, ": score"},
		{"not a number", shifted{b.Forest, math.NaN()}, "row 1: margin NaN"},
		{"thresholds read as LightGBM's", atMost(t, b.Forest), ": margin"},
	} {
		got, err := b.Judge(tt.judge)
		if tt.says == "" {
			if err != nil || got.Rows != b.Parity.Rows || got.Rows == 0 {
				t.Errorf("%s: %+v, %v", tt.name, got, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %+v, error is %v, want %q in it", tt.name, got, err, tt.says)
		}
	}
}
