package forest_test

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

// kernels returns f as it is, and by every kernel that this CPU has.
func kernels(tb rapid.TB, f *forest.Forest) []*forest.Forest {
	tb.Helper()
	made := []*forest.Forest{f}
	for _, k := range forest.Kernels() {
		g, err := f.WithKernel(k)
		if err != nil {
			tb.Fatalf("WithKernel: %v", err)
		}
		if g.Kernel() != k {
			tb.Fatalf("kernel %q of a forest asked for %q", g.Kernel(), k)
		}
		made = append(made, g)
	}
	return made
}

// compareKernels holds every kernel to the bits of a walk, for the first n of rows for each n of counts.
func compareKernels(tb rapid.TB, f *forest.Forest, rows []float64, counts ...int) {
	tb.Helper()
	const canary = -12345
	var want []float64
	for i := 0; i < len(rows); i += f.NumFeature {
		for _, m := range walk(f, rows[i:i+f.NumFeature]) {
			want = append(want, float64(m))
		}
	}
	before := slices.Clone(rows)
	for _, g := range kernels(tb, f) {
		for _, n := range counts {
			used := n * f.NumGroup
			got := make([]float64, used+4)
			for i := range got {
				got[i] = canary
			}
			g.MarginsTo(got[2:2+used:2+used], rows[:n*f.NumFeature:n*f.NumFeature])
			for i, m := range got[2 : 2+used] {
				if math.Float64bits(m) != math.Float64bits(want[i]) {
					tb.Fatalf("kernel %q, %d rows: margin %d is %v, want %v", g.Kernel(), n, i, m, want[i])
				}
			}
			if got[0] != canary || got[1] != canary || got[2+used] != canary || got[3+used] != canary {
				tb.Fatalf("kernel %q, %d rows: it wrote outside dst", g.Kernel(), n)
			}
		}
	}
	for i := range rows {
		if math.Float64bits(rows[i]) != math.Float64bits(before[i]) {
			tb.Fatalf("value %d of the rows was changed", i)
		}
	}
}

var rowCounts = []int{0, 1, 2, 3, 4, 5, 15, 16, 17, 19, 20, 21, 63, 64, 65, 131}

func TestKernelsGiveTheBitsOfAWalk(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawForest(t, 5, 10, false)
		rows := drawRows(t, f)
		compareKernels(t, f, rows, len(rows)/f.NumFeature)
	})
}

func TestKernelsOnLargeForests(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f, g := drawShape(t).forest(t)
		compareKernels(t, f, g.rows(131), 1, rapid.IntRange(2, 131).Draw(t, "rows"), 131)
	})
}

// libraries returns the shape as a forest of XGBoost's, of LightGBM's, and with LightGBM's kinds of missing values.
func (s shape) libraries() []shape {
	wide := s
	wide.wide = true
	kinds := wide
	kinds.kinds = true
	return []shape{s, wide, kinds}
}

func drawShape(t *rapid.T) shape {
	return shape{
		features:   rapid.OneOf(rapid.IntRange(1, 10), rapid.IntRange(60, 140), rapid.IntRange(250, 300)).Draw(t, "features"),
		groups:     rapid.IntRange(1, 4).Draw(t, "groups"),
		trees:      rapid.IntRange(0, 40).Draw(t, "trees"),
		depth:      rapid.OneOf(rapid.IntRange(0, 6), rapid.IntRange(0, 30)).Draw(t, "depth"),
		thresholds: rapid.OneOf(rapid.IntRange(1, 20), rapid.IntRange(250, 260), rapid.IntRange(500, 800)).Draw(t, "thresholds"),
		sides:      rapid.Bool().Draw(t, "sides"),
		sets:       rapid.Bool().Draw(t, "sets"),
		ragged:     rapid.Bool().Draw(t, "ragged"),
		wide:       rapid.Bool().Draw(t, "wide"),
		kinds:      rapid.Bool().Draw(t, "kinds"),
		splits:     rapid.OneOf(rapid.Just(0), rapid.IntRange(1, 70), rapid.IntRange(71, 270)).Draw(t, "splits"),
		seed:       rapid.Uint64().Draw(t, "seed"),
	}
}

func TestKernelsAtTheirEdges(t *testing.T) {
	base := shape{features: 5, groups: 1, trees: 20, depth: 6, thresholds: 30, sides: true, ragged: true}
	cases := map[string]shape{"plain": base}
	add := func(name string, n int, change func(s *shape)) {
		s := base
		change(&s)
		s.seed = uint64(n)
		cases[fmt.Sprintf("%d %s", n, name)] = s
	}
	for _, n := range []int{1, 2, 15, 16, 17, 254, 255, 256, 257, 271, 272, 510, 511} {
		add("thresholds", n, func(s *shape) { s.features, s.thresholds, s.ragged = 1, n, false })
	}
	for _, n := range []int{0, 1, 3, 4, 5, 7, 8, 9, 16, 17, 511, 512, 513, 1030} {
		add("trees", n, func(s *shape) { s.trees, s.sets = n, true })
	}
	for _, n := range []int{2, 3, 100} {
		add("groups", n, func(s *shape) { s.groups, s.trees = n, 2*n })
	}
	for n := range 13 {
		add("levels", n, func(s *shape) { s.depth, s.ragged = n, false })
		add("ragged levels", n, func(s *shape) { s.depth = n })
	}
	for _, n := range []int{1, 2, 8, 16, 17, 29, 30, 31, 32, 33, 61, 62, 63, 64, 65, 126, 127, 128, 129, 254, 255, 256} {
		add("splits", n, func(s *shape) { s.splits = n })
	}
	for name, s := range cases {
		t.Run(name, func(t *testing.T) {
			for _, s := range s.libraries() {
				f, g := s.forest(t)
				compareKernels(t, f, g.rows(131), rowCounts...)
			}
		})
	}
}

func TestKernelsByColumns(t *testing.T) {
	for _, n := range []int{1, 31, 32, 33, 63, 64, 65, 127, 128, 129, 256, 257, 1000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			// One threshold and one side make a column a feature.
			for _, wide := range []bool{false, true} {
				f, g := shape{features: n, groups: 1, trees: 40, depth: 6, thresholds: 1, wide: wide, seed: uint64(n)}.forest(t)
				if got := forest.NumColumns(f); got != n {
					t.Fatalf("%d columns, want %d", got, n)
				}
				compareKernels(t, f, g.rows(131), rowCounts...)
				f, g = shape{features: n, groups: 1, trees: 80, splits: 31, thresholds: 1, wide: wide, seed: uint64(n)}.forest(t)
				compareKernels(t, f, g.rows(131), rowCounts...)
			}
		})
	}
}

// TestKernelsOnAlternatingDepths makes segments of blocks and of nodes that follow one another, for which
// the order of additions must still be that of the trees.
func TestKernelsOnAlternatingDepths(t *testing.T) {
	for _, wide := range []bool{false, true} {
		shallow, g := shape{features: 4, groups: 2, trees: 40, depth: 4, thresholds: 20, sides: true, wide: wide, seed: 1}.forest(t)
		deep, _ := shape{features: 4, groups: 2, trees: 40, depth: 9, thresholds: 20, sides: true, wide: wide, seed: 2}.forest(t)
		mixed := forest.Forest{NumFeature: 4, NumGroup: 2, Base: shallow.Base, Wide: wide, LessEqual: wide}
		for i, count := range []int{1, 7, 8, 9, 3, 12} {
			mixed.Trees = append(mixed.Trees, shallow.Trees[:count]...)
			mixed.Trees = append(mixed.Trees, deep.Trees[:i+1]...)
		}
		f, err := forest.New(mixed)
		if err != nil {
			t.Fatal(err)
		}
		compareKernels(t, f, g.rows(131), rowCounts...)
	}
}

func TestWithKernelRefuses(t *testing.T) {
	f, _ := shape{features: 1, groups: 1, trees: 1, depth: 1, thresholds: 1}.forest(t)
	if _, err := f.WithKernel("sse2"); err == nil {
		t.Error("an unknown kernel is not refused")
	}
	if g, err := f.WithKernel(""); err != nil || g.Kernel() != f.Kernel() {
		t.Errorf("WithKernel of no name gives %v, %v, want kernel %q", g, err, f.Kernel())
	}
}

// TestForestOfManySetsIsWalked makes each split's set a column of its own, more than a quantised row has.
func TestForestOfManySetsIsWalked(t *testing.T) {
	d := forest.Forest{NumFeature: 1, NumGroup: 1, Base: []float64{0}}
	for i := range uint32(16_385) {
		d.Trees = append(d.Trees, forest.Tree{Sets: [][]uint32{{i}}, Nodes: []forest.Node{
			{Left: 1, Right: 2, Cover: forest.NoCover},
			{Set: -1, Leaf: -1, Cover: forest.NoCover},
			{Set: -1, Leaf: 2, Cover: forest.NoCover},
		}})
	}
	f, err := forest.New(d)
	if err != nil {
		t.Fatal(err)
	}
	if f.Kernel() != forest.KernelReference {
		t.Errorf("kernel %q, want %q", f.Kernel(), forest.KernelReference)
	}
	if _, err := f.WithKernel(forest.KernelGo); err == nil {
		t.Error("a kernel in Go is not refused")
	}
	margin := make([]float64, 1)
	if f.MarginsTo(margin, []float64{7}); margin[0] != 2-16_384 {
		t.Errorf("margin %v, want %v", margin[0], 2-16_384)
	}
}

// busyShapes are forests of every kind of split, for both layouts.
func busyShapes() (shapes []shape) {
	for _, depth := range []int{6, 9} {
		s := shape{features: 8, groups: 2, trees: 20, depth: depth, thresholds: 300, sides: true, sets: true}
		shapes = append(shapes, s.libraries()...)
	}
	return shapes
}

func TestKernelsDoNotAllocate(t *testing.T) {
	for _, s := range busyShapes() {
		f, g := s.forest(t)
		rows, dst := g.rows(131), make([]float64, 131*2)
		for _, k := range kernels(t, f) {
			for _, n := range []int{1, 131} {
				if allocs := testing.AllocsPerRun(100, func() { k.MarginsTo(dst[:n*2], rows[:n*8]) }); allocs != 0 {
					t.Errorf("kernel %q, %+v, %d rows: %v allocations", k.Kernel(), s, n, allocs)
				}
			}
		}
	}
}

// TestKernelsInConcurrentUse is for the race detector, and for scratch memory that two calls might share.
func TestKernelsInConcurrentUse(t *testing.T) {
	for _, s := range busyShapes() {
		f, g := s.forest(t)
		rows, want := g.rows(131), make([]float64, 131*2)
		for _, k := range kernels(t, f) {
			k.MarginsTo(want, rows)
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					batch, single := make([]float64, len(want)), make([]float64, len(want))
					for range 10 {
						k.MarginsTo(batch, rows)
						for i := range 131 {
							k.MarginsTo(single[i*2:i*2+2], rows[i*8:i*8+8])
						}
						if !slices.Equal(batch, want) || !slices.Equal(single, want) {
							t.Errorf("kernel %q: margins differ between calls", k.Kernel())
							return
						}
					}
				})
			}
			wg.Wait()
		}
	}
}

// FuzzKernels holds every kernel to a walk on forests and rows of any shape.
func FuzzKernels(f *testing.F) {
	f.Add(uint64(1), uint16(8), uint8(1), uint8(20), uint8(6), uint16(0), uint16(300), uint8(64), uint8(7))
	f.Add(uint64(2), uint16(65), uint8(3), uint8(9), uint8(12), uint16(30), uint16(20), uint8(33), uint8(5))
	f.Add(uint64(3), uint16(130), uint8(1), uint8(17), uint8(4), uint16(200), uint16(2), uint8(1), uint8(1))
	f.Add(uint64(4), uint16(8), uint8(1), uint8(20), uint8(6), uint16(0), uint16(300), uint8(64), uint8(15))
	f.Add(uint64(5), uint16(65), uint8(3), uint8(9), uint8(12), uint16(30), uint16(20), uint8(33), uint8(29))
	f.Fuzz(func(t *testing.T, seed uint64, features uint16, groups, trees, depth uint8, splits, thresholds uint16, rows, flags uint8) {
		s := shape{
			features: 1 + int(features)%400, groups: 1 + int(groups)%5, trees: int(trees) % 80, depth: int(depth) % 40, splits: int(splits) % 280,
			thresholds: 1 + int(thresholds)%1100, sides: flags&1 != 0, sets: flags&2 != 0, ragged: flags&4 != 0,
			wide: flags&8 != 0, kinds: flags&16 != 0, seed: seed,
		}
		made, g := s.forest(t)
		n := 1 + int(rows)%140
		compareKernels(t, made, g.rows(n), 1, n)
	})
}
