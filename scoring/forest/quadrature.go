package forest

import "math"

// lanes is how many quadrature points one pass over a tree carries. Four float64 stay in registers, and
// integrate exactly what at most eight features on a path give.
const lanes = 4

// maxFactors bounds the memory of quadrature's tables, at 256 bytes each.
const maxFactors = 1 << 21

// points holds one value at each of four quadrature points. The products are converted explicitly
// because Go may otherwise fuse them with an addition on some CPUs, which would change the bits.
type points struct{ a, b, c, d float64 }

func (p points) add(q points) points {
	return points{p.a + q.a, p.b + q.b, p.c + q.c, p.d + q.d}
}

func (p points) mul(q points) points {
	return points{float64(p.a * q.a), float64(p.b * q.b), float64(p.c * q.c), float64(p.d * q.d)}
}

func (p points) scale(k float64) points {
	return points{float64(p.a * k), float64(p.b * k), float64(p.c * k), float64(p.d * k)}
}

func (p points) dot(q points) float64 {
	return (float64(p.a*q.a) + float64(p.b*q.b)) + (float64(p.c*q.c) + float64(p.d*q.d))
}

// apply returns f at each of the points.
func (p points) apply(f func(y float64) float64) points {
	return points{f(p.a), f(p.b), f(p.c), f(p.d)}
}

// A rule is four of the points of a quadrature rule on [0, 1], with their weights.
type rule struct{ y, weights points }

// numBlocks returns how many rules of four points integrate a path of so many features exactly: the
// integrand has a degree one less, and n points are exact up to degree 2n-1.
func numBlocks(features int) int {
	return max(1, (features+2*lanes-1)/(2*lanes))
}

// gaussLegendre returns the Gauss-Legendre rule of blocks x 4 points, found by Newton's method.
func gaussLegendre(blocks int) []rule {
	n := blocks * lanes
	y, w := make([]float64, n), make([]float64, n)
	for i := range y {
		x := math.Cos(math.Pi * (float64(i) + 0.75) / (float64(n) + 0.5))
		var slope float64
		for range 10 { // from this start, Newton's method is at its limit after five steps
			var value float64
			value, slope = legendre(n, x)
			x -= value / slope
		}
		y[i] = float64(0.5*x) + 0.5
		w[i] = 1 / (float64(1-float64(x*x)) * float64(slope*slope))
	}
	rules := make([]rule, blocks)
	for b := range rules {
		i := b * lanes
		rules[b] = rule{points{y[i], y[i+1], y[i+2], y[i+3]}, points{w[i], w[i+1], w[i+2], w[i+3]}}
	}
	return rules
}

// legendre returns the Legendre polynomial of degree n and its derivative at x, with -1 < x < 1.
func legendre(n int, x float64) (value, slope float64) {
	before, value := 1.0, x
	for k := 2; k <= n; k++ {
		up, down := float64(float64(2*k-1)*x), float64(k-1)
		before, value = value, (float64(up*value)-float64(down*before))/float64(k)
	}
	return value, float64(n) * (float64(x*value) - before) / (float64(x*x) - 1)
}

// A table holds the splits of a tree, parents first, and their factors at every quadrature point.
type table struct {
	splits []split
	leaves []int32
	blocks []block
}

// A split is what quadrature needs to know of an inner node.
type split struct {
	node, left, right int32
	// previous is the node below the nearest split above on the same feature, or -1.
	previous int32
	// share is each child's part of the training weight that reaches the node.
	share [2]float64
	// above is the product of the shares on the path down to the node at splits on its feature.
	above float64
}

// A block holds the factors of a tree's splits at four quadrature points.
type block struct {
	weights points
	factors []factors // per split
}

// factors are the changes at a split for a row that has satisfied all splits on the feature so far: by
// child, if the row goes to that child and if it goes to the other one.
type factors struct{ satisfied, violated [2]change }

// A change takes the product of a path to below a split, and adds delta to the feature's quotient
// (b-r) / (r (1-y) + b y), which turns the product into the feature's own integrand.
type change struct{ scale, delta points }

// newTable returns the splits of t without their factors, and the most features that a path splits on.
func newTable(t *Tree) (tab table, features int) {
	// trail[n] is the split whose child n is; distinct[n] counts the features on the path to n.
	trail, distinct := make([]int32, len(t.Nodes)), make([]int, len(t.Nodes))
	trail[0] = -1
	for i := range t.Nodes {
		n := &t.Nodes[i]
		features = max(features, distinct[i])
		if n.Left == 0 {
			tab.leaves = append(tab.leaves, int32(i))
			continue
		}
		s := split{node: int32(i), left: n.Left, right: n.Right, previous: -1, above: 1}
		s.share = [2]float64{t.share(i, n.Left), t.share(i, n.Right)}
		below := distinct[i] + 1
		for child, k := int32(i), trail[i]; k >= 0; child, k = tab.splits[k].node, trail[tab.splits[k].node] {
			up := &tab.splits[k]
			if t.Nodes[up.node].Feature == n.Feature {
				s.previous, s.above, below = child, up.path(child), distinct[i]
				break
			}
		}
		distinct[n.Left], distinct[n.Right] = below, below
		trail[n.Left], trail[n.Right] = int32(len(tab.splits)), int32(len(tab.splits))
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
func (s *split) path(child int32) float64 {
	if child == s.left {
		return float64(s.above * s.share[0])
	}
	return float64(s.above * s.share[1])
}

// integrate gives the table its factors at the points of the rules.
func (tab *table) integrate(rules []rule) {
	tab.blocks = make([]block, len(rules))
	for i, r := range rules {
		b := block{weights: r.weights, factors: make([]factors, len(tab.splits))}
		for k := range tab.splits {
			b.factors[k] = tab.splits[k].factors(r.y)
		}
		tab.blocks[i] = b
	}
}

// factors computes the split's factors at the points y. Where the feature is satisfied so far, its
// term in the product is above (1-y) + y, or 1 if this is its first split.
func (s *split) factors(y points) (f factors) {
	for side, child := range [...]int32{s.left, s.right} {
		r := s.path(child)
		f.satisfied[side] = change{
			scale: y.apply(func(y float64) float64 { return term(r, y) / s.term(y) }),
			delta: y.apply(func(y float64) float64 { return (1-r)/term(r, y) - (1-s.above)/s.term(y) }),
		}
		f.violated[side] = change{
			scale: y.apply(func(y float64) float64 { return float64(r*(1-y)) / s.term(y) }),
			delta: y.apply(func(y float64) float64 { return -1/(1-y) - (1-s.above)/s.term(y) }),
		}
	}
	return f
}

// term is what a satisfied feature of share r multiplies the integrand by.
func term(r, y float64) float64 { return float64(r*(1-y)) + y }

func (s *split) term(y float64) float64 {
	if s.previous < 0 {
		return 1
	}
	return term(s.above, y)
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
