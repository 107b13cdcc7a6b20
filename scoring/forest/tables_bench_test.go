package forest_test

import (
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/trendbuy/riskscorer/scoring/forest"
	"github.com/trendbuy/riskscorer/scoring/forest/xgboost"
)

// demoForest returns the demo model, and rows in the range of its thresholds with 5% missing values.
func demoForest(tb testing.TB, n int) (f *forest.Forest, rows []float64) {
	tb.Helper()
	file, err := os.ReadFile("../../models/trendbuy_xgb_v1.0.0/model.ubj")
	if err != nil {
		tb.Fatal(err)
	}
	if f, err = xgboost.Load(file, xgboost.Options{}); err != nil {
		tb.Fatal(err)
	}
	return f, rowsFor(f, n)
}

// rowsFor returns rows of values between the thresholds of f, with 5% missing values.
func rowsFor(f *forest.Forest, n int) (rows []float64) {
	thresholds := make([][]float64, f.NumFeature)
	for _, t := range f.Trees {
		for _, node := range t.Nodes {
			if node.Left != 0 && node.Set < 0 {
				thresholds[node.Feature] = append(thresholds[node.Feature], float64(node.Threshold))
			}
		}
	}
	r := rand.New(rand.NewPCG(3, 4))
	for i := range n * f.NumFeature {
		values := append(thresholds[i%f.NumFeature], 0)
		rows = append(rows, values[r.IntN(len(values))]+r.Float64()-0.5)
		if r.IntN(20) == 0 {
			rows[i] = math.NaN()
		}
	}
	return rows
}

// The batches are of 1,024 rows.
func BenchmarkContributions(b *testing.B) {
	const n = 1024
	demoModel, demoRows := demoForest(b, n)
	full, fullRows := balanced(b, 300, 6, 8, n)
	wide, wideRows := balanced(b, 300, 6, 28, n)
	wider, widerRows := balanced(b, 300, 6, 60, n)
	for _, c := range []struct {
		name string
		f    *forest.Forest
		rows []float64
	}{{"demo", demoModel, demoRows}, {"full", full, fullRows}, {"28 features", wide, wideRows}, {"60 features", wider, widerRows}} {
		quadrature := forest.Quadrature(c.f)
		b.Run(c.name+"/quadrature", func(b *testing.B) { benchmarkContributions(b, quadrature, c.rows) })
		for _, k := range []forest.Kernel{forest.KernelGo, forest.KernelAVX512} {
			if f := withKernel(c.f, k); f != nil {
				b.Run(c.name+"/"+string(k), func(b *testing.B) { benchmarkContributions(b, f, c.rows) })
			}
		}
	}
}

func benchmarkContributions(b *testing.B, f *forest.Forest, rows []float64) {
	b.Helper()
	n := len(rows) / f.NumFeature
	dst := make([]float64, n*(f.NumFeature+1))
	b.Run("single", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i = (i + 1) % n {
			f.ContributionsTo(dst[:f.NumFeature+1], rows[i*f.NumFeature:(i+1)*f.NumFeature])
		}
	})
	b.Run("batch", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f.ContributionsTo(dst, rows)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/row")
	})
}

func BenchmarkTables(b *testing.B) {
	f, _ := demoForest(b, 0)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := forest.New(*f); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(forest.TableBytes(f)), "table-bytes")
}
