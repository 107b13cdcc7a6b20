package forest_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

// groupSizes are row counts around what a register and a block hold.
var groupSizes = []int{1, 7, 8, 9, 15, 16, 17, 63, 64, 65}

// covered returns f with random covers; some reach no row, or are not the sum of the children's.
func covered(tb rapid.TB, f *forest.Forest, seed uint64) *forest.Forest {
	tb.Helper()
	r := rand.New(rand.NewPCG(seed, 2))
	shares := []float64{0, 1e-9, 0.1, 0.3, 0.5, 0.7, 1}
	for _, t := range f.Trees {
		t.Nodes[0].Cover = 1000
		for i := range t.Nodes {
			if n := &t.Nodes[i]; n.Left != 0 {
				t.Nodes[n.Left].Cover = n.Cover * shares[r.IntN(len(shares))]
				t.Nodes[n.Right].Cover = n.Cover * shares[r.IntN(len(shares))]
			}
		}
	}
	made, err := forest.New(*f)
	if err != nil {
		tb.Fatal(err)
	}
	return made
}

// compareQuadrature holds quadrature by this CPU's vectors, and with factors that are not kept, to the bits
// of that in Go row by row, for the first n of rows for each n of counts.
func compareQuadrature(tb rapid.TB, f *forest.Forest, rows []float64, counts ...int) {
	tb.Helper()
	const canary = -12345
	width := f.NumGroup * (f.NumFeature + 1)
	inGo := forest.Scalar(forest.Quadrature(f))
	want := make([]float64, len(rows)/f.NumFeature*width)
	for r := 0; r*f.NumFeature < len(rows); r++ {
		inGo.ContributionsTo(want[r*width:(r+1)*width], rows[r*f.NumFeature:(r+1)*f.NumFeature])
	}
	before := slices.Clone(rows)
	for name, g := range map[string]*forest.Forest{
		"in Go":                          inGo,
		"in Go, factors not kept":        forest.Scalar(forest.QuadratureKeeping(f, 0)),
		"by vectors":                     forest.Quadrature(f),
		"by vectors, factors not kept":   forest.QuadratureKeeping(f, 0),
		"by vectors, some factors kept":  forest.QuadratureKeeping(f, 10_000),
		"again by vectors, without them": forest.QuadratureKeeping(f, 0),
	} {
		for _, n := range counts {
			used := n * width
			got := slices.Repeat([]float64{canary}, used+4)
			g.ContributionsTo(got[2:2+used:2+used], rows[:n*f.NumFeature:n*f.NumFeature])
			for i, phi := range got[2 : 2+used] {
				if math.Float64bits(phi) != math.Float64bits(want[i]) {
					tb.Fatalf("%s, %d rows: contribution %d is %v, want %v", name, n, i, phi, want[i])
				}
			}
			if got[0] != canary || got[1] != canary || got[2+used] != canary || got[3+used] != canary {
				tb.Fatalf("%s, %d rows: it wrote outside dst", name, n)
			}
		}
	}
	if !sameBits(rows, before) {
		tb.Fatal("the rows were changed")
	}
}

func TestQuadratureGivesTheBitsOfGo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawForest(t, rapid.SampledFrom([]int{3, 30}).Draw(t, "most features"), 20, false)
		rows := drawRows(t, f)
		compareQuadrature(t, f, rows, len(rows)/f.NumFeature)
	})
}

func TestQuadratureAtItsEdges(t *testing.T) {
	base := shape{features: 5, groups: 1, trees: 9, depth: 6, thresholds: 30, sides: true, ragged: true}
	cases := map[string]shape{"plain": base}
	add := func(name string, n int, change func(s *shape)) {
		s := base
		change(&s)
		s.seed = uint64(n)
		cases[fmt.Sprintf("%d %s", n, name)] = s
	}
	for _, n := range []int{0, 1, 3, 4, 5, 6, 30, 31, 32, 33, 34, 63, 64, 65, 200, 1000, 1500} {
		add("splits", n, func(s *shape) { s.trees, s.splits, s.ragged = 3, n, false })
		add("ragged splits with sets", n, func(s *shape) { s.trees, s.splits, s.sets = 3, n, true })
	}
	for n := range 13 {
		add("full levels", n, func(s *shape) { s.trees, s.depth, s.ragged, s.features = 2, n, false, 28 })
	}
	for _, n := range []int{8, 9, 16, 17, 24, 25, 64} {
		add("features on a path", n, func(s *shape) { s.features, s.depth = n, 64 })
	}
	for _, n := range []int{2, 3, 30} {
		add("groups", n, func(s *shape) { s.groups, s.trees = n, 2*n })
	}
	for _, n := range []int{100, 1000, 2500, 20_000} {
		add("features", n, func(s *shape) { s.features, s.depth = n, 9 })
	}
	for name, s := range cases {
		t.Run(name, func(t *testing.T) {
			f, g := s.forest(t)
			counts := groupSizes
			if s.features > 1000 {
				counts = []int{1, 9, 65}
			}
			compareQuadrature(t, covered(t, f, s.seed), g.rows(65), counts...)
		})
	}
}

// What LightGBM's splits have that XGBoost's have not: a value equal to the threshold goes left, numbers
// of twice the precision, three kinds of missing values.
func TestQuadratureOfWideForests(t *testing.T) {
	odd := []float64{math.NaN(), 0, math.Copysign(0, -1), 1e-35, -1e-36, 5e-324, math.Inf(1), math.Inf(-1), math.MaxFloat64}
	for _, lessEqual := range []bool{false, true} {
		f, _ := balanced(t, 20, 7, 11, 0)
		r := rand.New(rand.NewPCG(3, 4))
		var thresholds []float64
		for _, tree := range f.Trees {
			for i := range tree.Nodes {
				n := &tree.Nodes[i]
				n.Missing, n.DefaultLeft = forest.Missing(r.IntN(3)), r.IntN(2) == 0
				if r.IntN(5) == 0 {
					n.Threshold = odd[1+r.IntN(len(odd)-1)]
				}
				thresholds = append(thresholds, n.Threshold)
			}
		}
		rows := make([]float64, 65*f.NumFeature)
		for i := range rows {
			x := thresholds[r.IntN(len(thresholds))]
			rows[i] = []float64{x, math.Nextafter(x, math.Inf(1)), math.Nextafter(x, math.Inf(-1)), odd[r.IntN(len(odd))]}[r.IntN(4)]
		}
		f.Wide, f.LessEqual = true, lessEqual
		made, err := forest.New(*f)
		if err != nil {
			t.Fatal(err)
		}
		compareQuadrature(t, made, rows, groupSizes...)
	}
}

// A forest may be of any size: what it and a call take is known beforehand.
func TestQuadratureTakesTheMemoryThatIsKnown(t *testing.T) {
	for _, trees := range []int{30, 300} {
		f, rows := balanced(t, trees, 10, 28, 1)
		var before, after, called runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		q := forest.Quadrature(f)
		runtime.GC()
		runtime.ReadMemStats(&after)
		contributions(q, rows)
		runtime.ReadMemStats(&called)
		taken, known := int(after.HeapAlloc)-int(before.HeapAlloc), forest.QuadratureBytes(f, 10)
		if taken > known || taken < known/2 {
			t.Errorf("%d trees: quadrature takes %d bytes, and %d were known", trees, taken, known)
		}
		taken, known = int(called.TotalAlloc-after.TotalAlloc), forest.QuadratureCallBytes(f)
		if taken > known {
			t.Errorf("%d trees: a call takes %d bytes, and %d were known", trees, taken, known)
		}
		runtime.KeepAlive(f) // its own quadrature is as large
		runtime.KeepAlive(q)
	}
}

// For the race detector, and for scratch memory that two calls might share.
func TestQuadratureConcurrently(t *testing.T) {
	f, rows := balanced(t, 4, 8, 20, 70)
	kept, computed := forest.Quadrature(f), forest.QuadratureKeeping(f, 0)
	inGo := forest.Scalar(computed)
	want := contributions(kept, rows)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 3 {
				for _, g := range []*forest.Forest{kept, computed, inGo} {
					if !sameBits(contributions(g, rows), want) || !sameBits(contributions(g, rows[:20]), want[:21]) {
						t.Error("contributions differ between calls")
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestQuadratureDoesNotAllocate(t *testing.T) {
	f, rows := balanced(t, 5, 7, 40, 70)
	phi := make([]float64, 70*41)
	for _, g := range []*forest.Forest{f, forest.Scalar(f), forest.QuadratureKeeping(f, 0)} {
		for _, n := range []int{1, 70} {
			if allocs := testing.AllocsPerRun(20, func() { g.ContributionsTo(phi[:n*41], rows[:n*40]) }); allocs != 0 {
				t.Errorf("%d rows: ContributionsTo allocates %v times", n, allocs)
			}
		}
	}
}
