package forest_test

import (
	"math"
	"math/rand/v2"
	"slices"

	"pgregory.net/rapid"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

// A shape describes a random forest by what kernels take different ways for.
type shape struct {
	features, groups, trees, depth int
	// splits is how many a tree has, grown leaf by leaf whatever its depth; 0 means that depth says.
	splits int
	// thresholds is how many distinct ones a feature has if there are splits enough.
	thresholds int
	// sides says that splits of one feature differ in the side of a missing value; sets, that some splits
	// are on categories; ragged, that trees have leaves above their depth and differ in depth.
	sides, sets, ragged bool
	// wide says that the forest is LightGBM's; kinds, that its splits differ in what is missing.
	wide, kinds bool
	seed        uint64
}

// A grower makes the trees of a shape.
type grower struct {
	shape
	*rand.Rand
	// pools are the thresholds of each feature, and next is how many splits there have been: they take
	// features and thresholds in turn, so that all are used as early as can be.
	pools [][]float64
	next  int
}

// extremes are thresholds at which floats behave in ways of their own.
var extremes = []float64{
	0, math.Inf(-1), math.Inf(1), math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32, math.MaxFloat32, -math.MaxFloat32, 0x1.8p-127, -0x1.8p-127,
}

// wideExtremes are those of float64, and of what LightGBM takes for zero.
var wideExtremes = []float64{
	0, forest.ZeroBound, -forest.ZeroBound, math.Inf(-1), math.Inf(1), math.Nextafter(forest.ZeroBound, 1), math.Nextafter(-forest.ZeroBound, -1),
	math.SmallestNonzeroFloat64, -math.SmallestNonzeroFloat64, math.MaxFloat64, -math.MaxFloat64, 1e-35, -1e-36,
}

func (s shape) forest(tb rapid.TB) (*forest.Forest, *grower) {
	tb.Helper()
	g := &grower{shape: s, Rand: rand.New(rand.NewPCG(s.seed, 1)), pools: make([][]float64, s.features)}
	for i := range g.pools {
		first := extremes
		if s.wide {
			first = wideExtremes
		}
		pool := slices.Clone(first[:min(s.thresholds, len(first))])
		for len(pool) < s.thresholds {
			x := float64(float32(len(pool))*0.37 - 20)
			if s.wide && len(pool)%2 == 0 {
				x = math.Nextafter(pool[len(pool)-1], 100) // no float32 tells the two apart
			}
			pool = append(pool, x)
		}
		g.Shuffle(len(pool), func(a, b int) { pool[a], pool[b] = pool[b], pool[a] })
		g.pools[i] = pool
	}
	d := forest.Forest{NumFeature: s.features, NumGroup: s.groups, Link: forest.Identity, Wide: s.wide, LessEqual: s.wide}
	for range s.groups {
		d.Base = append(d.Base, g.leaf())
	}
	for range s.trees {
		t := forest.Tree{Group: g.IntN(s.groups)}
		if s.splits > 0 {
			g.growLeafwise(&t)
			d.Trees = append(d.Trees, t)
			continue
		}
		depth := s.depth
		if s.ragged {
			depth = g.IntN(s.depth + 1)
		}
		g.grow(&t, depth)
		d.Trees = append(d.Trees, t)
	}
	f, err := forest.New(d)
	if err != nil {
		tb.Fatalf("New of %+v: %v", s, err)
	}
	return f, g
}

// grow adds a node and what is below it, without covers: these forests are for margins only. Beyond a
// block's depth only one child goes on, so that depth does not cost 2^depth nodes.
func (g *grower) grow(t *forest.Tree, depth int) int32 {
	at := int32(len(t.Nodes))
	t.Nodes = append(t.Nodes, forest.Node{Set: -1, Leaf: g.leaf(), Cover: forest.NoCover})
	if depth == 0 || g.ragged && at > 0 && g.IntN(4) == 0 {
		return at
	}
	n := g.split(t)
	left, right := depth-1, depth-1
	if depth > 7 && g.IntN(2) == 0 {
		left = min(left, 1)
	} else if depth > 7 {
		right = min(right, 1)
	}
	n.Left = g.grow(t, left)
	n.Right = g.grow(t, right)
	t.Nodes[at] = n
	return at
}

// growLeafwise splits one of the last leaves again and again, at random, so that trees are deep and lopsided.
func (g *grower) growLeafwise(t *forest.Tree) {
	leaf := func() forest.Node {
		return forest.Node{Set: -1, Leaf: g.leaf(), Cover: forest.NoCover}
	}
	t.Nodes = append(t.Nodes, leaf())
	open := []int{0}
	splits := g.splits
	if g.ragged {
		splits = g.IntN(g.splits + 1)
	}
	depth := map[int]int{}
	for range splits {
		k := max(0, len(open)-1-g.IntN(4))
		if depth[open[k]] == forest.MaxDepth {
			k = 0
		}
		at, next := open[k], len(t.Nodes)
		t.Nodes[at] = g.split(t)
		t.Nodes[at].Left, t.Nodes[at].Right = int32(next), int32(next+1)
		t.Nodes = append(t.Nodes, leaf(), leaf())
		depth[next], depth[next+1] = depth[at]+1, depth[at]+1
		open[k] = next
		open = append(open, next+1)
	}
}

// leaf returns a number that the forest's precision holds.
func (g *grower) leaf() float64 {
	if g.wide {
		return g.Float64() - 0.5
	}
	return float64(g.Float32() - 0.5)
}

// split returns a split without children.
func (g *grower) split(t *forest.Tree) forest.Node {
	feature := g.next % g.features
	pool := g.pools[feature]
	n := forest.Node{
		Feature: int32(feature), Set: -1, Threshold: pool[g.next/g.features%len(pool)],
		DefaultLeft: g.sides && g.IntN(2) == 0, Cover: forest.NoCover,
	}
	if g.kinds {
		n.Missing = forest.Missing(g.IntN(3))
	}
	g.next++
	if g.sets && g.IntN(3) == 0 {
		n.Set = int32(len(t.Sets))
		t.Sets = append(t.Sets, g.set())
	}
	return n
}

func (g *grower) set() []uint32 {
	var set []uint32
	for _, code := range []uint32{0, 1, 2, 3, 5, 8, 40, forest.MaxCategory} {
		if g.IntN(2) == 0 {
			set = append(set, code)
		}
	}
	return set
}

// rows returns n rows on, beside and between the thresholds, with missing values and odd categories.
func (g *grower) rows(n int) []float64 {
	odd := []float64{
		math.NaN(), math.Copysign(0, -1), math.Inf(1), math.Inf(-1), 1e300, -1e300, 5e-324, 1e-46, -1e-46, 1e-35, -1e-35, forest.ZeroBound, -forest.ZeroBound,
		-1, -0.999, -0.5, 0.5, 1, 2, 3.9, 5, 8, 40, forest.MaxCategory, forest.MaxCategory + 0.5, forest.MaxCategory + 1,
	}
	rows := make([]float64, n*g.features)
	for i := range rows {
		pool := g.pools[i%g.features]
		t := pool[g.IntN(len(pool))]
		up, down := float32(math.Inf(1)), float32(math.Inf(-1))
		switch g.IntN(8) {
		case 0:
			rows[i] = odd[g.IntN(len(odd))]
		case 1:
			rows[i] = math.NaN()
		case 2:
			rows[i] = float64(math.Nextafter32(float32(t), up))
		case 3:
			rows[i] = float64(math.Nextafter32(float32(t), down))
		case 4: // rounds to t
			rows[i] = math.Nextafter(t, math.Inf(1))
		case 5:
			rows[i] = math.Nextafter(t, math.Inf(-1))
		case 6:
			rows[i] = g.NormFloat64() * 20
		default:
			rows[i] = t
		}
	}
	return rows
}
