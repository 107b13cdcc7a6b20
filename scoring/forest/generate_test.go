package forest_test

import (
	"math"
	"slices"

	"pgregory.net/rapid"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

// grid holds the thresholds of generated forests, and so the values at which rows are on the edge.
var grid = []float32{float32(math.Inf(-1)), -math.MaxFloat32, -2.5, -1, -1e-35, -1e-45, 0, 1e-45, 1e-35, 0.25, 0.5, 0.75, 1, 3, 1e30}

// missings are the kinds of missing values that a forest's splits are drawn from.
func missings(f *forest.Forest) []forest.Missing {
	if f.Wide || f.LessEqual {
		return []forest.Missing{forest.MissingNaN, forest.MissingZero, forest.MissingNone}
	}
	return []forest.Missing{forest.MissingNaN}
}

// drawForest generates a forest of every shape the loaders can make; with linear leaves it does not explain.
func drawForest(t *rapid.T, maxFeatures, maxDepth int, linear bool) *forest.Forest {
	f := forest.Forest{
		Wide:      linear || rapid.Bool().Draw(t, "wide"),
		LessEqual: rapid.Bool().Draw(t, "less or equal"),
	}
	f.NumFeature = rapid.IntRange(1, maxFeatures).Draw(t, "features")
	f.NumGroup = rapid.IntRange(1, 3).Draw(t, "groups")
	f.Link = forest.Identity
	for range f.NumGroup {
		f.Base = append(f.Base, drawNumber(t, f.Wide, "base"))
	}
	depth := rapid.IntRange(0, maxDepth).Draw(t, "depth")
	for range rapid.IntRange(0, 5).Draw(t, "trees") {
		f.Trees = append(f.Trees, drawTree(t, &f, depth))
		if linear {
			addLinearLeaves(t, &f, &f.Trees[len(f.Trees)-1])
		}
	}
	made, err := forest.New(f)
	if err != nil {
		t.Fatalf("New of a generated forest: %v", err)
	}
	return made
}

// drawTree grows one long path and side branches, so that depth does not cost 2^depth nodes. Features
// repeat on a path whenever the path is longer than there are features.
func drawTree(t *rapid.T, f *forest.Forest, depth int) forest.Tree {
	tree := forest.Tree{Group: rapid.IntRange(0, f.NumGroup-1).Draw(t, "group")}
	var grow func(depth int, cover float64) int32
	grow = func(depth int, cover float64) int32 {
		at := int32(len(tree.Nodes))
		tree.Nodes = append(tree.Nodes, forest.Node{Set: -1, Cover: cover})
		if depth == 0 {
			tree.Nodes[at].Leaf = drawNumber(t, f.Wide, "leaf")
			return at
		}
		n := forest.Node{
			Feature:     int32(rapid.IntRange(0, f.NumFeature-1).Draw(t, "feature")),
			Set:         -1,
			Threshold:   float64(rapid.SampledFrom(grid).Draw(t, "threshold")),
			Cover:       cover,
			DefaultLeft: rapid.Bool().Draw(t, "default left"),
			Missing:     rapid.SampledFrom(missings(f)).Draw(t, "missing"),
		}
		if f.Wide && rapid.Bool().Draw(t, "between float32") {
			n.Threshold = math.Nextafter(n.Threshold, 0)
		}
		if rapid.IntRange(0, 3).Draw(t, "kind") == 0 {
			n.Set = int32(len(tree.Sets))
			set := rapid.SliceOfNDistinct(rapid.Uint32Range(0, 5), 0, 4, rapid.ID).Draw(t, "set")
			slices.Sort(set)
			tree.Sets = append(tree.Sets, set)
		}
		part := rapid.SampledFrom([]float64{0, 1e-9, 0.1, 0.3, 0.5, 0.8, 1}).Draw(t, "left share")
		side := depth - 1
		if depth > 4 {
			side = rapid.IntRange(0, 2).Draw(t, "side depth")
		}
		n.Left = grow(depth-1, cover*part)
		n.Right = grow(side, cover*(1-part))
		tree.Nodes[at] = n
		return at
	}
	grow(depth, rapid.SampledFrom([]float64{0, 1, 1000}).Draw(t, "cover"))
	return tree
}

// drawNumber draws a number that the forest's precision holds.
func drawNumber(t *rapid.T, wide bool, label string) float64 {
	x := rapid.Float64Range(-1, 1).Draw(t, label)
	if !wide {
		x = float64(float32(x))
	}
	return x
}

func addLinearLeaves(t *rapid.T, f *forest.Forest, tree *forest.Tree) {
	tree.Linear = map[int32]forest.Linear{}
	for i := range tree.Nodes {
		if tree.Nodes[i].Left != 0 || rapid.Bool().Draw(t, "plain") {
			continue
		}
		l := forest.Linear{Constant: drawNumber(t, true, "constant")}
		for range rapid.IntRange(0, 3).Draw(t, "terms") {
			l.Features = append(l.Features, int32(rapid.IntRange(0, f.NumFeature-1).Draw(t, "feature")))
			l.Coefficients = append(l.Coefficients, drawNumber(t, true, "coefficient"))
		}
		tree.Linear[int32(i)] = l
	}
}

// drawRows generates rows on, beside and between the thresholds, with missing values and odd categories.
func drawRows(t *rapid.T, f *forest.Forest) []float64 {
	values := []float64{math.NaN(), math.Copysign(0, -1), 1e-36, -0.5, -0.999, 1.5, 2, 4, 5, 1 << 24, 1e300, -1e300}
	for _, x := range grid {
		values = append(values, float64(x), float64(math.Nextafter32(x, -10)), float64(math.Nextafter32(x, 10)))
		values = append(values, math.Nextafter(float64(x), -10), math.Nextafter(float64(x), 10))
	}
	n := rapid.IntRange(0, 4).Draw(t, "rows") * f.NumFeature
	return rapid.SliceOfN(rapid.SampledFrom(values), n, n).Draw(t, "values")
}
