package xgboost_test

import (
	"testing"

	"github.com/trendbuy/riskscorer/scoring/forest"
	"github.com/trendbuy/riskscorer/scoring/forest/xgboost"
)

// The benchmarks report nanoseconds a row, of single rows and of batches of 200, on the golden models.

func BenchmarkMargins(b *testing.B) {
	benchmark(b, func(f *forest.Forest) int { return f.NumGroup }, (*forest.Forest).MarginsTo)
}

func BenchmarkContributions(b *testing.B) {
	width := func(f *forest.Forest) int { return f.NumGroup * (f.NumFeature + 1) }
	benchmark(b, width, (*forest.Forest).ContributionsTo)
}

func benchmark(b *testing.B, width func(*forest.Forest) int, score func(f *forest.Forest, dst, rows []float64)) {
	b.Helper()
	for _, name := range []string{"depths", "regression", "partition", "multiclass"} {
		f := loadGolden(b, name, "model.ubj")
		rows := goldenRows(b, name, f)
		n := len(rows) / f.NumFeature
		dst := make([]float64, n*width(f))
		b.Run(name+"/single", func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				score(f, dst[:width(f)], rows[i*f.NumFeature:(i+1)*f.NumFeature])
				i = (i + 1) % n
			}
		})
		b.Run(name+"/batch", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				score(f, dst, rows)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/row")
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	for _, file := range []string{"model.json", "model.ubj"} {
		data := readGolden(b, "depths", file)
		b.Run(file, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if _, err := xgboost.Load(data, xgboost.Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
