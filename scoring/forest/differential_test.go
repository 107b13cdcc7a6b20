package forest_test

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/trendbuy/riskscorer/scoring/forest"
	"github.com/trendbuy/riskscorer/scoring/leaves"
)

// A dress is what a differential case adds to a [shape]: everything that a model file can say of a tree
// and that changes where a row goes or what it contributes.
type dress struct {
	// wide is LightGBM's arithmetic, lessEqual its comparison.
	wide, lessEqual bool
	// exact makes all leaves multiples of 1/1024, so that a sum has the same bits in any order and precision.
	exact bool
	// oneKind makes a feature numeric or categorical in all trees, and zero missing everywhere or nowhere, as
	// the library leaves demands.
	oneKind bool
	// nested makes the covers add up, as those of training do; else they make no sense.
	nested bool
}

// apply returns the shape's forest with all of it, and covers.
func (d dress) apply(t *testing.T, f *forest.Forest, g *grower) *forest.Forest {
	t.Helper()
	made := *f
	made.Wide, made.LessEqual = d.wide, d.lessEqual
	made.Base = slices.Clone(f.Base)
	made.Trees = make([]forest.Tree, len(f.Trees))
	kinds := []forest.Missing{forest.MissingNaN}
	if d.wide || d.lessEqual {
		kinds = []forest.Missing{forest.MissingNaN, forest.MissingNone, forest.MissingZero}
	}
	if d.oneKind && len(kinds) > 1 {
		kinds = [][]forest.Missing{kinds[:2], kinds[2:]}[g.IntN(2)]
	}
	for i, b := range made.Base {
		made.Base[i] = d.number(b)
	}
	for i, tree := range f.Trees {
		tree.Nodes, tree.Sets = slices.Clone(tree.Nodes), slices.Clone(tree.Sets)
		tree.Nodes[0].Cover = 1000
		for k := range tree.Nodes {
			d.node(&tree, k, kinds, g)
		}
		made.Trees[i] = tree
	}
	dressed, err := forest.New(made)
	if err != nil {
		t.Fatalf("New of a dressed forest: %v", err)
	}
	return dressed
}

func (d dress) node(tree *forest.Tree, k int, kinds []forest.Missing, g *grower) {
	n := &tree.Nodes[k]
	if !d.nested {
		n.Cover = []float64{0, 1, 3, 7, 1e-9}[g.IntN(5)]
	}
	if n.Left == 0 {
		n.Leaf = d.number(n.Leaf)
		return
	}
	if d.nested {
		part := []float64{0.01, 0.3, 0.5, 0.9}[g.IntN(4)]
		tree.Nodes[n.Left].Cover, tree.Nodes[n.Right].Cover = n.Cover*part, n.Cover*(1-part)
	}
	n.Missing = kinds[g.IntN(len(kinds))]
	if d.wide && g.IntN(2) == 0 {
		n.Threshold = math.Nextafter(n.Threshold, 0)
	}
	if !d.oneKind {
		return
	}
	switch categorical := g.sets && n.Feature%3 == 0; {
	case !categorical:
		n.Set = -1
	case n.Set < 0:
		n.Set = int32(len(tree.Sets))
		tree.Sets = append(tree.Sets, g.set())
		fallthrough
	default:
		n.Missing = forest.MissingNaN
	}
}

func (d dress) number(x float64) float64 {
	if d.exact {
		return math.Round(x*1024) / 1024
	}
	return x
}

// everyKernel returns f by each kernel that can have it.
func everyKernel(f *forest.Forest) []*forest.Forest {
	all := []*forest.Forest{f}
	for _, k := range forest.Kernels() {
		if g, err := f.WithKernel(k); err == nil {
			all = append(all, g)
		}
	}
	return all
}

// checkMargins holds every kernel, in a batch and row by row, to the bits of a walk.
func checkMargins(t *testing.T, f *forest.Forest, rows []float64) {
	t.Helper()
	var want []float64
	for i := 0; i < len(rows); i += f.NumFeature {
		want = append(want, walk(f, rows[i:i+f.NumFeature])...)
	}
	got := make([]float64, len(want))
	for _, g := range everyKernel(f) {
		if g.MarginsTo(got, rows); !sameBits(got, want) {
			t.Fatalf("kernel %q: margins of a batch differ from those of a walk", g.Kernel())
		}
		for r := range len(rows) / f.NumFeature {
			one := got[r*f.NumGroup : (r+1)*f.NumGroup]
			if g.MarginsTo(one, rows[r*f.NumFeature:(r+1)*f.NumFeature]); !sameBits(one, want[r*f.NumGroup:(r+1)*f.NumGroup]) {
				t.Fatalf("kernel %q: row %d has margins %v, by a walk %v", g.Kernel(), r, one, want[r*f.NumGroup:(r+1)*f.NumGroup])
			}
		}
	}
}

// checkShap holds every kernel to the same bits, and these to the float64 recursion and to the margin.
func checkShap(t *testing.T, f *forest.Forest, rows []float64, recursion bool) {
	t.Helper()
	phi := contributions(f, rows)
	width := f.NumFeature + 1
	for _, g := range everyKernel(f) {
		if !sameBits(contributions(g, rows), phi) {
			t.Fatalf("kernel %q: contributions differ from those by %q", g.Kernel(), f.Kernel())
		}
	}
	sizes := treeSizes(f)
	for r := range len(rows) / f.NumFeature {
		row, of := rows[r*f.NumFeature:(r+1)*f.NumFeature], phi[r*width*f.NumGroup:(r+1)*width*f.NumGroup]
		if !sameBits(contributions(f, row), of) {
			t.Fatalf("row %d alone has other contributions than in its batch", r)
		}
		if !recursion {
			continue
		}
		want, _ := reference(f, row, shapleyByRecursion)
		for i, w := range want {
			if !(math.Abs(of[i]-w) <= 2e-7*sizes[i/width]) {
				t.Fatalf("row %d: contribution %d is %v, by the recursion %v", r, i, of[i], w)
			}
		}
	}
}

// checkLeaves holds the forest to the other implementation, where that can express it.
func checkLeaves(t *testing.T, f *forest.Forest, rows []float64) (expressed bool) {
	t.Helper()
	e, err := leaves.New(f)
	if inexpressible := (*leaves.TreeError)(nil); errors.As(err, &inexpressible) {
		return false
	}
	if err != nil {
		t.Fatalf("leaves: %v", err)
	}
	got, want := make([]float64, len(rows)/f.NumFeature*f.NumGroup), make([]float64, len(rows)/f.NumFeature*f.NumGroup)
	e.MarginsTo(got, rows)
	f.MarginsTo(want, rows)
	if !slices.Equal(got, want) {
		t.Fatal("the margins differ from those of leaves, though the sums are exact")
	}
	return true
}

// FuzzEngines is the differential target: on forests and rows of any shape, all kernels have the bits of a
// walk, contributions the same bits from every kernel and the values of the recursion, and the library
// leaves takes the same leaves wherever it can express the forest.
func FuzzEngines(f *testing.F) {
	f.Add(uint64(1), uint16(8), uint8(1), uint8(20), uint8(6), uint16(0), uint16(300), uint8(64), uint8(0b10000111))
	f.Add(uint64(2), uint16(65), uint8(3), uint8(9), uint8(12), uint16(30), uint16(20), uint8(33), uint8(0b11111000))
	f.Add(uint64(3), uint16(130), uint8(1), uint8(17), uint8(4), uint16(200), uint16(2), uint8(1), uint8(0b11111111))
	f.Add(uint64(4), uint16(3), uint8(0), uint8(30), uint8(5), uint16(0), uint16(9), uint8(70), uint8(0b11100111))
	f.Fuzz(func(t *testing.T, seed uint64, features uint16, groups, trees, depth uint8, splits, thresholds uint16, rows, flags uint8) {
		has := func(bit int) bool { return flags>>bit&1 == 1 }
		s := shape{
			features: 1 + int(features)%200, groups: 1 + int(groups)%3, trees: int(trees) % 40, depth: int(depth) % 20, splits: int(splits) % 130,
			thresholds: 1 + int(thresholds)%600, sides: has(0), sets: has(1), ragged: has(2), seed: seed,
		}
		plain, g := s.forest(t)
		d := dress{wide: has(3), lessEqual: has(4), exact: has(5) || has(6), oneKind: has(6), nested: has(7)}
		made := d.apply(t, plain, g)
		matrix := g.rows(1 + int(rows)%140)
		checkMargins(t, made, matrix)
		// The recursion copies its path at each node: it is for small forests. Where covers make no sense, a
		// path's share gets too small for its divisions.
		checkShap(t, made, matrix, d.nested && s.trees <= 8 && s.splits <= 40 && s.depth <= 8)
		if d.exact {
			checkLeaves(t, made, matrix)
		}
	})
}
