package forest_test

import (
	"fmt"
	"testing"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

// leafwise returns a forest of trees of 31 leaves, grown by splitting a leaf at random, and rows for it.
func leafwise(tb testing.TB, trees, features, n int) (f *forest.Forest, rows []float64) {
	tb.Helper()
	f, g := shape{features: features, groups: 1, trees: trees, splits: 30, thresholds: 200, sides: true, seed: 1}.forest(tb)
	return covered(tb, f, 1), g.rows(n)
}

// The forests have the size of models B and C of the comparison with other engines; batches are of 1,024 rows.
func BenchmarkQuadrature(b *testing.B) {
	const n = 1024
	small, smallRows := leafwise(b, 500, 28, n)
	deep, deepRows := balanced(b, 100, 10, 28, n)
	for _, c := range []struct {
		name string
		f    *forest.Forest
		rows []float64
	}{{"500 x 31 leaves", small, smallRows}, {"100 x depth 10", deep, deepRows}} {
		q := forest.Quadrature(c.f)
		b.Run(c.name+"/avx512", func(b *testing.B) { benchmarkContributions(b, q, c.rows) })
		b.Run(c.name+"/avx512, not kept", func(b *testing.B) { benchmarkContributions(b, forest.QuadratureKeeping(c.f, 0), c.rows) })
		b.Run(c.name+"/go", func(b *testing.B) { benchmarkContributions(b, forest.Scalar(q), c.rows) })
	}
}

// A forest far beyond the factors that are kept: opening it, and what it takes.
func BenchmarkLargeQuadrature(b *testing.B) {
	for _, trees := range []int{100, 1000} {
		b.Run(fmt.Sprint(trees), func(b *testing.B) {
			f, _ := balanced(b, trees, 10, 28, 0)
			b.ReportAllocs()
			for b.Loop() {
				forest.Quadrature(f)
			}
		})
	}
}
