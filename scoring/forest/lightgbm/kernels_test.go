package lightgbm_test

import (
	"math"
	"strings"
	"testing"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

// TestGoldensByEveryKernel holds the kernels to the walk, whose margins [TestGoldens] holds to LightGBM's, in a
// batch and row by row, and the contributions to those of the forest's own kernel.
func TestGoldensByEveryKernel(t *testing.T) {
	for _, name := range goldens(t) {
		f := loadGolden(t, name)
		rows := goldenRows(t, name, f)
		n := len(rows) / f.NumFeature
		margins, contributions := make([]float64, n*f.NumGroup), make([]float64, n*f.NumGroup*(f.NumFeature+1))
		byKernel(t, f, forest.KernelReference).MarginsTo(margins, rows)
		if f.Explains() {
			f.ContributionsTo(contributions, rows)
		}
		for _, k := range forest.Kernels() {
			t.Run(name+"/"+string(k), func(t *testing.T) {
				if strings.Contains(name, "linear") {
					if _, err := f.WithKernel(k); (err == nil) != (k == forest.KernelReference) {
						t.Fatalf("WithKernel of linear leaves: %v", err)
					}
					return
				}
				g := byKernel(t, f, k)
				got := make([]float64, len(margins))
				g.MarginsTo(got, rows)
				compareBits(t, "margin", got, margins)
				for i := range n {
					g.MarginsTo(got[i*f.NumGroup:(i+1)*f.NumGroup], rows[i*f.NumFeature:(i+1)*f.NumFeature])
				}
				compareBits(t, "single row's margin", got, margins)
				if f.Explains() {
					got = make([]float64, len(contributions))
					g.ContributionsTo(got, rows)
					compareBits(t, "contribution", got, contributions)
				}
			})
		}
	}
}

func byKernel(t *testing.T, f *forest.Forest, k forest.Kernel) *forest.Forest {
	t.Helper()
	g, err := f.WithKernel(k)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func compareBits(t *testing.T, what string, got, want []float64) {
	t.Helper()
	for i := range want {
		if math.Float64bits(got[i]) != math.Float64bits(want[i]) {
			t.Fatalf("%s %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}
