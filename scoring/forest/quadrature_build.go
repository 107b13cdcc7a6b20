package forest

import "unsafe"

// maxFactorBytes bounds the factors that are kept. Those of the trees beyond it are computed again for each
// block of rows, which takes half as long again for 64 rows and four times as long for one. It
// decides nothing but speed.
const maxFactorBytes = 64 << 20

// quadratureBytes returns the most memory that quadrature keeps for so many trees that have so many splits
// together: beside what tells the splits apart, their factors, once for each of so many blocks of four
// quadrature points, which are what [numBlocks] makes of the most features on a path.
func quadratureBytes(trees, splits, blocks int) int {
	const (
		leaf = 4       // in table.leaves
		tree = 1 << 10 // tables and slices
	)
	kept := splits * (int(unsafe.Sizeof(split{})) + leaf + vectorSplitBytes)
	kept += min(splits*blocks*factorsSize, maxFactorBytes)
	return trees*tree + kept + kept/8 // what is lost to the allocator's sizes
}

// quadratureCallBytes returns the most memory that one call works in, which is pooled: in Go or by vectors, with
// a forest whose largest tree has so many splits.
func quadratureCallBytes(splits, features int) int {
	states := max((2*splits+1)*int(unsafe.Sizeof(points{})), vectorCallBytes(splits, features))
	bytes := splits*(factorsSize+8+2*8) + states + 1<<10 // 8 bytes a split and an edge for the ways
	return bytes + bytes/8
}

// A table holds the splits of a tree, parents first, and their factors at every quadrature point.
type table struct {
	splits []split
	leaves []int32
	rules  []rule
	// factors has those of each rule in turn, by place; it is nil where they are computed for each block
	// of rows.
	factors [][]factors
}

// An edge leads from a split to a child: edge 1+2*split to the left one, 2+2*split to the right one. Edge
// 0 stands for none.
type edge int32

func edgeTo(split, side int) edge { return edge(1 + 2*split + side) }

// A split is what quadrature needs to know of an inner node.
type split struct {
	node int32
	// previous is the edge that the path takes at the nearest split above on the same feature, or 0.
	previous edge
	// place is where its factors are: they are in the order in which kernels go through the tree.
	place uint32
	// share is each child's part of the training weight that reaches the node.
	share [2]float64
	// above is the product of the shares on the path down to the node at splits on its feature.
	above float64
}

// factors are what a split does to a path at four quadrature points. A scale takes the product of a path
// to below the split; a delta is added to the feature's quotient (b-r) / (r (1-y) + b y), which turns
// the product into the feature's own integrand. A row's way is 0 to the left and 1 to the right, and
// indexes both, as that is quicker than a branch that is a coin flip. The assembly knows the places.
type factors struct {
	// share is the split's: the scale for a row that has left the path at this feature before.
	share [2]float64
	// scale is by way and child: where the two are the same, the row satisfies the split.
	scale [2][2]points
	// delta is, by way, that of the left child, and one further that of the right child: the middle
	// one serves the child that the row does not go to.
	delta [3]points
}

const factorsSize = int(unsafe.Sizeof(factors{}))

// newTable returns the splits of t without their factors, and the most features that a path splits on.
func newTable(t *Tree) (tab table, features int) {
	splits := len(t.Nodes) / 2
	tab.splits, tab.leaves = make([]split, 0, splits), make([]int32, 0, splits+1)
	// trail[n] is the edge to n; distinct[n] counts the features on the path to n.
	trail, distinct := make([]edge, len(t.Nodes)), make([]int, len(t.Nodes))
	for i := range t.Nodes {
		n := &t.Nodes[i]
		features = max(features, distinct[i])
		if n.Left == 0 {
			tab.leaves = append(tab.leaves, int32(i))
			continue
		}
		s := split{node: int32(i), place: uint32(len(tab.splits)), above: 1}
		s.share = [2]float64{t.share(i, n.Left), t.share(i, n.Right)}
		below := distinct[i] + 1
		for e := trail[i]; e > 0; {
			up := &tab.splits[(e-1)/2]
			if t.Nodes[up.node].Feature == n.Feature {
				s.previous, s.above, below = e, up.path(int(e-1)%2), distinct[i]
				break
			}
			e = trail[up.node]
		}
		distinct[n.Left], distinct[n.Right] = below, below
		trail[n.Left], trail[n.Right] = edgeTo(len(tab.splits), 0), edgeTo(len(tab.splits), 1)
		tab.splits = append(tab.splits, s)
	}
	return tab, features
}

// share returns the part of the training weight in a node that went on to a child, with XGBoost's rules
// for covers that make no sense. It is never 0, and never above 1, where its powers could overflow.
func (t *Tree) share(node int, child int32) float64 {
	parent := t.Nodes[node].Cover
	if parent <= 0 {
		return 0.5
	}
	return min(max(t.Nodes[child].Cover/parent, 1e-12), 1)
}

// path returns the product of the shares down to a child at splits on the split's feature.
func (s *split) path(side int) float64 { return float64(s.above * s.share[side]) }

// keep computes the factors once and for all.
func (tab *table) keep() {
	tab.factors = make([][]factors, len(tab.rules))
	for i := range tab.rules {
		tab.factors[i] = make([]factors, len(tab.splits))
		tab.integrate(tab.factors[i], tab.rules[i].y)
	}
}

// factorsOf returns the factors of a rule. It computes them into scratch, as long as the splits, where
// they are not kept.
func (tab *table) factorsOf(rule int, scratch []factors) []factors {
	if tab.factors != nil {
		return tab.factors[rule]
	}
	scratch = scratch[:len(tab.splits)]
	tab.integrate(scratch, tab.rules[rule].y)
	return scratch
}

// integrate sets to to the splits' factors at the points y.
func (tab *table) integrate(to []factors, y points) {
	rest := y.apply(func(y float64) float64 { return 1 - y })
	lost := y.apply(func(y float64) float64 { return -1 / (1 - y) })
	for k := range tab.splits {
		s := &tab.splits[k]
		s.integrate(&to[s.place], y, rest, lost)
	}
}

// integrate computes the split's factors at the points y, where rest is 1-y and lost the quotient of a
// violated feature, -1/(1-y). Where the feature is satisfied so far, its term in the product is
// above (1-y) + y, or 1 if this is its first split.
func (s *split) integrate(f *factors, y, rest, lost points) {
	one := points{1, 1, 1, 1}
	before := one
	if s.previous > 0 {
		before = rest.scale(s.above).add(y)
	}
	quotient := one.scale(1 - s.above).div(before)
	f.share = s.share
	for side := range f.share {
		r := s.path(side)
		lone := rest.scale(r)
		term := lone.add(y)
		f.scale[side][side] = term.div(before)
		f.scale[1-side][side] = lone.div(before)
		f.delta[2*side] = one.scale(1 - r).div(term).sub(quotient)
	}
	f.delta[1] = lost.sub(quotient)
}

// mean returns the tree's value for a row of which nothing is known: the leaves by their shares.
func (t *Tree) mean() float64 {
	weight := make([]float64, len(t.Nodes))
	weight[0] = 1
	sum := 0.0
	for i := range t.Nodes {
		n := &t.Nodes[i]
		if n.Left == 0 {
			sum += float64(weight[i] * float64(n.Leaf))
			continue
		}
		weight[n.Left] = float64(weight[i] * t.share(i, n.Left))
		weight[n.Right] = float64(weight[i] * t.share(i, n.Right))
	}
	return sum
}
