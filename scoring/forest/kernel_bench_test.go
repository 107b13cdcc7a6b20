package forest_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/trendbuy/riskscorer/scoring/forest"
	"github.com/trendbuy/riskscorer/scoring/forest/xgboost"
)

// demo returns the model of the demo bundle, 300 trees of depth 6 on 8 features, and n rows for it: values
// near its thresholds, in their proportions, and one in 20 missing.
func demo(tb testing.TB, n int) (f *forest.Forest, rows []float64) {
	tb.Helper()
	data, err := os.ReadFile("../../models/trendbuy_xgb_v1.0.0/model.ubj")
	if err != nil {
		tb.Fatal(err)
	}
	if f, err = xgboost.Load(data, xgboost.Options{}); err != nil {
		tb.Fatal(err)
	}
	thresholds := make([][]float64, f.NumFeature)
	for _, t := range f.Trees {
		for _, node := range t.Nodes {
			if node.Left != 0 {
				thresholds[node.Feature] = append(thresholds[node.Feature], float64(node.Threshold))
			}
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range n {
		for _, of := range thresholds {
			x := math.NaN()
			if len(of) > 0 && r.IntN(20) != 0 {
				x = of[r.IntN(len(of))] * (1 + 0.01*r.NormFloat64())
			}
			rows = append(rows, x)
		}
	}
	return f, rows
}

// The demo model in XGBoost's arithmetic and in LightGBM's, and 500 leaf-wise trees of 31 leaves on 28 features
// likewise. The row count is in the name. One row is another at each call, since a row that comes again and again
// teaches the branches of the reference walk.
func BenchmarkKernels(b *testing.B) {
	const n = 1024
	f, rows := demo(b, n)
	benchmarkKernels(b, "demo", f, rows)
	benchmarkKernels(b, "wide demo", widened(b, f), rows)
	s := shape{features: 28, groups: 1, trees: 500, splits: 30, thresholds: 200, sides: true}
	f, g := s.forest(b)
	benchmarkKernels(b, "leafwise", f, g.rows(n))
	s.wide = true
	f, g = s.forest(b)
	benchmarkKernels(b, "wide leafwise", f, g.rows(n))
}

func benchmarkKernels(b *testing.B, name string, f *forest.Forest, rows []float64) {
	b.Helper()
	n := len(rows) / f.NumFeature
	margins := make([]float64, n)
	for _, k := range forest.Kernels() {
		g, err := f.WithKernel(k)
		if err != nil {
			b.Fatal(err)
		}
		for _, count := range []int{1, n} {
			b.Run(fmt.Sprintf("%s/%s/%d", name, k, count), func(b *testing.B) {
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					g.MarginsTo(margins[:count], rows[i*f.NumFeature:(i+count)*f.NumFeature])
					i = (i + count) % n
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*count), "ns/row")
			})
		}
	}
}
