package leaves_test

import (
	"math"
	"slices"

	"pgregory.net/rapid"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

// grid holds the thresholds of generated forests, and so the values at which rows are on the edge.
var grid = []float32{
	float32(math.Inf(-1)), -1e-35, -math.MaxFloat32, -2.5, -1e-45, 0, 1e-45, 1e-35, 0.5, 0.75, 1, 3, math.MaxFloat32, float32(math.Inf(1)),
}

// drawForest generates a forest of every shape the transcoder takes. Base margins and leaves are multiples of 1/1024, so
// their sums are exact in float32 and in float64, and two engines that take the same leaves have the same bits.
func drawForest(t *rapid.T) *forest.Forest {
	f := forest.Forest{
		NumFeature: rapid.IntRange(1, 4).Draw(t, "features"),
		NumGroup:   rapid.IntRange(1, 3).Draw(t, "groups"),
		Wide:       rapid.Bool().Draw(t, "wide"),
		LessEqual:  rapid.Bool().Draw(t, "less or equal"),
	}
	exact := rapid.Map(rapid.IntRange(-1024, 1024), func(n int) float64 { return float64(n) / 1024 })
	for range f.NumGroup {
		f.Base = append(f.Base, exact.Draw(t, "base"))
	}
	for range f.NumFeature {
		f.Categorical = append(f.Categorical, rapid.Bool().Draw(t, "categorical"))
	}
	// Zero is missing everywhere or nowhere.
	missing := []forest.Missing{forest.MissingZero}
	if rapid.Bool().Draw(t, "zero is a number") {
		missing = []forest.Missing{forest.MissingNaN, forest.MissingNone}
	}
	for range rapid.IntRange(0, 5).Draw(t, "trees") {
		tree := forest.Tree{Group: rapid.IntRange(0, f.NumGroup-1).Draw(t, "group")}
		grow(t, &f, &tree, missing, exact, rapid.IntRange(0, 4).Draw(t, "depth"))
		f.Trees = append(f.Trees, tree)
	}
	made, err := forest.New(f)
	if err != nil {
		t.Fatalf("New of a generated forest: %v", err)
	}
	return made
}

// grow appends a node and all below it, and returns its index.
func grow(t *rapid.T, f *forest.Forest, tree *forest.Tree, missing []forest.Missing, leaf *rapid.Generator[float64], depth int) int32 {
	at := int32(len(tree.Nodes))
	tree.Nodes = append(tree.Nodes, forest.Node{Set: -1, Cover: forest.NoCover})
	if depth == 0 || rapid.IntRange(0, 5).Draw(t, "stop") == 0 {
		tree.Nodes[at].Leaf = leaf.Draw(t, "leaf")
		return at
	}
	n := forest.Node{
		Feature:     int32(rapid.IntRange(0, f.NumFeature-1).Draw(t, "feature")),
		Set:         -1,
		Cover:       forest.NoCover,
		DefaultLeft: rapid.Bool().Draw(t, "default left"),
	}
	if f.Categorical[n.Feature] {
		n.Set = int32(len(tree.Sets))
		code := rapid.SampledFrom([]uint32{0, 1, 2, 5, 30, 31, 32, 33, 62, 63, 64, 1000})
		set := rapid.SliceOfNDistinct(code, 0, 4, rapid.ID).Draw(t, "set")
		slices.Sort(set)
		tree.Sets = append(tree.Sets, set)
	} else {
		n.Threshold = float64(rapid.SampledFrom(grid).Draw(t, "threshold"))
		n.Missing = rapid.SampledFrom(missing).Draw(t, "missing")
		if f.Wide && rapid.Bool().Draw(t, "between two float32") {
			n.Threshold = math.Nextafter(n.Threshold, 0)
		}
	}
	n.Left = grow(t, f, tree, missing, leaf, depth-1)
	n.Right = grow(t, f, tree, missing, leaf, depth-1)
	tree.Nodes[at] = n
	return at
}

// drawRows generates rows on, beside and between the thresholds, with missing values, infinities and odd categories.
func drawRows(t *rapid.T, f *forest.Forest) []float64 {
	values := []float64{
		math.NaN(), math.Copysign(0, -1), -0.5, 0.999, 1.5, 2, 4, 5, 5.7, 6, 30, 31, 32, 33, 34, 63, 64, 65, 1000, 1001,
		forest.ZeroBound, -forest.ZeroBound, 1e-35, -1e-35, forest.MaxCategory, forest.MaxCategory + 0.9, 1 << 24, 1 << 31, 1 << 32, 1 << 40, 1e300, -1e300,
	}
	for _, x := range grid {
		values = append(values, float64(x), float64(math.Nextafter32(x, -10)), float64(math.Nextafter32(x, 10)))
		values = append(values, math.Nextafter(float64(x), -10), math.Nextafter(float64(x), 0), math.Nextafter(float64(x), 10))
	}
	n := rapid.IntRange(0, 70).Draw(t, "rows") * f.NumFeature
	return rapid.SliceOfN(rapid.SampledFrom(values), n, n).Draw(t, "values")
}
