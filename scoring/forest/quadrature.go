package forest

import "sync"

// quadrature computes SHAP values by numerical integration that is exact.
//
// In one tree, a leaf of value v gives a coalition of features S the value v times a product over the
// features i on its path: b_i if i is in S, else r_i. Here b_i is 1 if the row satisfies every split on
// i along the path, else 0, and r_i is the share of the training weight that takes the path at those
// splits. The Shapley value of feature i in that game is
//
//	v (b_i - r_i) times the integral from 0 to 1 of the product over j != i of (r_j (1-y) + b_j y) dy.
//
// The integrand is a polynomial in y, which Gauss-Legendre quadrature with enough points integrates
// exactly. At one point y the product builds up split by split on the way down a tree, and what the
// leaves contribute adds up on the way back, so a tree costs one pass down and one pass up.
//
// The bits of the result are defined by these orders, which every kernel keeps: trees in the order of the
// forest; of a tree, its rules of four points in turn; of a rule, the splits from the last node to the first.
type quadrature struct {
	tables  []table           // per tree
	vector  *vectorQuadrature // or nil
	scratch sync.Pool         // of *quadratureScratch
}

// quadratureScratch is the memory of one call, as much as the largest tree takes.
type quadratureScratch struct {
	states []state // per node
	// satisfied says, by edge, that the row satisfies every split on that feature down to there.
	satisfied []bool
	factors   []factors // per split, if some tree's are not kept
}

// A state is one row's progress at one node.
type state struct {
	// product is the path's product on the way down, and what the leaves below contribute on the way up.
	product points
	// right says that the row goes right at this split.
	right bool
}

// newQuadrature returns the quadrature of f, which keeps factors of up to a number of bytes.
func newQuadrature(f *Forest, bytes int) *quadrature {
	q := &quadrature{tables: make([]table, len(f.Trees)), vector: newVectorQuadrature(f)}
	rules := make(map[int][]rule)
	largest, computed := 0, 0 // splits of the largest tree, and of the largest one whose factors are not kept
	for i := range f.Trees {
		tab, features := newTable(&f.Trees[i])
		blocks := numBlocks(features)
		if rules[blocks] == nil {
			rules[blocks] = gaussLegendre(blocks)
		}
		tab.rules = rules[blocks]
		q.vector.place(f, i, &tab)
		// The first one that is beyond the bound uses it up, so that which ones are kept is easy to tell.
		if bytes -= blocks * len(tab.splits) * factorsSize; bytes >= 0 {
			tab.keep()
		} else {
			computed = max(computed, len(tab.splits))
		}
		largest = max(largest, len(tab.splits))
		q.tables[i] = tab
	}
	q.vector.finish(f, largest, computed)
	q.scratch.New = func() any {
		return &quadratureScratch{
			states: make([]state, 2*largest+1), satisfied: make([]bool, 2*largest+1), factors: make([]factors, computed),
		}
	}
	return q
}

// explain adds the contributions of all trees to dst, which is 0 there.
func (q *quadrature) explain(f *Forest, dst, rows []float64) {
	if q.vector != nil && !f.scalar {
		q.vector.explain(f, q.tables, dst, rows)
		return
	}
	s := q.scratch.Get().(*quadratureScratch)
	defer q.scratch.Put(s)
	n, width := len(rows)/f.NumFeature, f.NumGroup*(f.NumFeature+1)
	for first := 0; first < n; first += blockRows {
		last := min(first+blockRows, n)
		q.explainBlock(f, s, dst[first*width:last*width], rows[first*f.NumFeature:last*f.NumFeature])
	}
}

func (q *quadrature) explainBlock(f *Forest, s *quadratureScratch, dst, rows []float64) {
	width, stride := f.NumFeature+1, f.NumGroup*(f.NumFeature+1)
	for i := range f.Trees {
		t, tab := &f.Trees[i], &q.tables[i]
		for b, rule := range tab.rules {
			factors := tab.factorsOf(b, s.factors)
			for r, out := 0, t.Group*width; out < len(dst); r, out = r+f.NumFeature, out+stride {
				row, phi := rows[r:r+f.NumFeature], dst[out:out+f.NumFeature]
				s.states[0].product = rule.weights
				tab.descend(f, t, factors, s, row)
				tab.ascend(t, factors, s, phi)
			}
		}
	}
}

// descend computes every path's product at the points of one rule, down to what each leaf contributes.
func (tab *table) descend(forest *Forest, t *Tree, factors []factors, scratch *quadratureScratch, row []float64) {
	states, satisfied := scratch.states, scratch.satisfied
	satisfied[0] = true
	for i := range tab.splits {
		s := &tab.splits[i]
		f, n, at := &factors[s.place], &t.Nodes[s.node], &states[s.node]
		left, right := &states[n.Left].product, &states[n.Right].product
		at.right = !forest.goesLeft(t, n, row[n.Feature])
		before := satisfied[s.previous]
		satisfied[edgeTo(i, 0)], satisfied[edgeTo(i, 1)] = before && !at.right, before && at.right
		switch {
		case !before:
			// The row has left the path at this feature before: only the feature's share goes on shrinking.
			*left, *right = at.product.scale(f.share[0]), at.product.scale(f.share[1])
		case at.right:
			*left, *right = at.product.mul(f.violated[0]), at.product.mul(f.satisfied[1])
		default:
			*left, *right = at.product.mul(f.satisfied[0]), at.product.mul(f.violated[1])
		}
	}
	for _, n := range tab.leaves {
		states[n].product = states[n].product.scale(t.Nodes[n].Leaf)
	}
}

// ascend adds up the leaves' contributions from below and gives each split's feature its part of them.
func (tab *table) ascend(t *Tree, factors []factors, scratch *quadratureScratch, phi []float64) {
	states, satisfied := scratch.states, scratch.satisfied
	for i := len(tab.splits) - 1; i >= 0; i-- {
		s := &tab.splits[i]
		f, n, at := &factors[s.place], &t.Nodes[s.node], &states[s.node]
		left, right := states[n.Left].product, states[n.Right].product
		at.product = left.add(right)
		switch {
		case !satisfied[s.previous]:
		case at.right:
			phi[n.Feature] += left.dot(f.violatedDelta) + right.dot(f.satisfiedDelta[1])
		default:
			phi[n.Feature] += left.dot(f.satisfiedDelta[0]) + right.dot(f.violatedDelta)
		}
	}
}
