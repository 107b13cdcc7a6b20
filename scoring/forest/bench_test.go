package forest_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

// balanced returns a forest of complete trees with random splits and covers, and rows for it.
func balanced(tb testing.TB, trees, depth, features, n int) (f *forest.Forest, rows []float64) {
	tb.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	d := forest.Forest{NumFeature: features, NumGroup: 1, Base: []float64{0}, Link: forest.Sigmoid}
	for range trees {
		nodes := make([]forest.Node, 1<<(depth+1)-1)
		nodes[0].Cover = 10_000
		for i := range nodes {
			at := &nodes[i]
			at.Set = -1
			if 2*i+2 >= len(nodes) {
				at.Leaf = float64(r.Float32() - 0.5)
				continue
			}
			at.Feature, at.Threshold = int32(r.IntN(features)), float64(r.Float32())
			at.Left, at.Right = int32(2*i+1), int32(2*i+2)
			nodes[at.Left].Cover = at.Cover * at.Threshold
			nodes[at.Right].Cover = at.Cover - nodes[at.Left].Cover
		}
		d.Trees = append(d.Trees, forest.Tree{Nodes: nodes})
	}
	f, err := forest.New(d)
	if err != nil {
		tb.Fatal(err)
	}
	for range n * features {
		rows = append(rows, r.Float64())
	}
	return f, rows
}

// widened returns a forest with the trees of f in LightGBM's arithmetic; a leaf in four has bits beyond float32.
func widened(tb testing.TB, f *forest.Forest) *forest.Forest {
	tb.Helper()
	d := *f
	d.Wide, d.LessEqual, d.Trees = true, true, slices.Clone(f.Trees)
	for i := range d.Trees {
		nodes := slices.Clone(d.Trees[i].Nodes)
		for k := range nodes {
			if n := &nodes[k]; n.Left == 0 && k%4 == 0 {
				n.Leaf = math.Nextafter(n.Leaf, 1)
			}
		}
		d.Trees[i].Nodes = nodes
	}
	made, err := forest.New(d)
	if err != nil {
		tb.Fatal(err)
	}
	return made
}

// The forest has the size of the demo model: 300 trees of depth 6 on 8 features. Batches are of 64 rows.
func BenchmarkForest(b *testing.B) {
	f, rows := balanced(b, 300, 6, 8, 64)
	margins, contributions := make([]float64, 64), make([]float64, 64*9)
	run := func(name string, n int, score func(i int)) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				score(i % 64 * 8)
				i++
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/row")
		})
	}
	run("margins/single", 1, func(i int) { f.MarginsTo(margins[:1], rows[i:i+8]) })
	run("margins/batch", 64, func(int) { f.MarginsTo(margins, rows) })
	run("contributions/single", 1, func(i int) { f.ContributionsTo(contributions[:9], rows[i:i+8]) })
	run("contributions/batch", 64, func(int) { f.ContributionsTo(contributions, rows) })
	run("recursion/single", 1, func(i int) { reference(f, rows[i:i+8], shapleyByRecursion) })
}
