package xgboost_test

import (
	"testing"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

// TestGoldensByEveryKernel holds the kernels, not only the one that the forest chose, to XGBoost's margins.
func TestGoldensByEveryKernel(t *testing.T) {
	for name, files := range goldens(t) {
		f := loadGolden(t, name, files[0])
		rows, want := goldenRows(t, name, f), goldenExpectation(t, name, f)
		for _, k := range forest.Kernels() {
			t.Run(name+"/"+string(k), func(t *testing.T) {
				g, err := f.WithKernel(k)
				if err != nil {
					t.Fatal(err)
				}
				margins := make([]float64, len(want.margins))
				g.MarginsTo(margins, rows)
				compareBits(t, "margin", margins, want.margins)
				for i := 0; i < len(margins); i += f.NumGroup {
					row := i / f.NumGroup * f.NumFeature
					g.MarginsTo(margins[i:i+f.NumGroup], rows[row:row+f.NumFeature])
				}
				compareBits(t, "single row's margin", margins, want.margins)
			})
		}
	}
}
