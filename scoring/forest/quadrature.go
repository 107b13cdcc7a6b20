package forest

import (
	"fmt"
	"math"
	"sync"
)

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
	// states has, by node, the path's product on the way down, and what the leaves below contribute on the way up.
	states  []points
	ways    ways
	factors []factors // per split, if some tree's are not kept
}

// ways says where up to 64 rows go in a tree, each row a bit.
type ways struct {
	// right is by split: that the row goes right.
	right []uint64
	// satisfied is by edge: that the row satisfies every split on that feature down to there.
	satisfied []uint64
}

// newQuadrature returns the quadrature of f, which keeps factors of up to a number of bytes. The error is that of
// progress.
func newQuadrature(f *Forest, bytes int, progress *Progress) (*quadrature, error) {
	q := &quadrature{tables: make([]table, len(f.Trees)), vector: newVectorQuadrature(f)}
	rules := make(map[int][]rule)
	largest, computed := 0, 0 // splits of the largest tree, and of the largest one whose factors are not kept
	for i := range f.Trees {
		if err := progress.made(i, len(f.Trees)); err != nil {
			return nil, fmt.Errorf("forest: quadrature: %w", err)
		}
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
		return &quadratureScratch{states: make([]points, 2*largest+1), ways: newWays(largest), factors: make([]factors, computed)}
	}
	return q, nil
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
	n, width, stride := len(rows)/f.NumFeature, f.NumFeature+1, f.NumGroup*(f.NumFeature+1)
	for i := range f.Trees {
		t, tab := &f.Trees[i], &q.tables[i]
		for k := range tab.splits {
			s.ways.right[k] = tab.right(f, t, k, rows)
		}
		s.ways.follow(tab.splits)
		for b, rule := range tab.rules {
			factors := tab.factorsOf(b, s.factors)
			for r := range n {
				s.states[0] = rule.weights
				tab.descend(t, factors, s, r)
				tab.ascend(t, factors, s, r, dst[r*stride+t.Group*width:][:f.NumFeature])
			}
		}
	}
}

func newWays(splits int) ways {
	return ways{right: alignedSlice[uint64](splits), satisfied: alignedSlice[uint64](2*splits + 1)}
}

// right returns which rows go right at a split.
func (tab *table) right(f *Forest, t *Tree, split int, rows []float64) (right uint64) {
	n := &t.Nodes[tab.splits[split].node]
	for r, at := 0, int(n.Feature); at < len(rows); r, at = r+1, at+f.NumFeature {
		bit := uint64(1)
		if f.goesLeft(t, n, rows[at]) {
			bit = 0
		}
		right |= bit << (r % blockRows)
	}
	return right
}

// follow follows the rows through the tree, from what they do at the splits.
func (w *ways) follow(splits []split) {
	w.satisfied[0] = math.MaxUint64
	for k := range splits {
		before, right := w.satisfied[splits[k].previous], w.right[k]
		w.satisfied[edgeTo(k, 0)], w.satisfied[edgeTo(k, 1)] = before&^right, before&right
	}
}

// descend computes every path's product for row r at the points of one rule, down to what each leaf contributes.
func (tab *table) descend(t *Tree, factors []factors, scratch *quadratureScratch, r int) {
	states, ways := scratch.states, &scratch.ways
	for i := range tab.splits {
		s := &tab.splits[i]
		f, n, at := &factors[s.place], &t.Nodes[s.node], states[s.node]
		left, right := &states[n.Left], &states[n.Right]
		if ways.satisfied[s.previous]>>(r%blockRows)&1 == 1 {
			scale := &f.scale[ways.right[i]>>(r%blockRows)&1]
			*left, *right = at.mul(scale[0]), at.mul(scale[1])
		} else {
			// The row has left the path at this feature before: only the feature's share goes on shrinking.
			*left, *right = at.scale(f.share[0]), at.scale(f.share[1])
		}
	}
	for _, n := range tab.leaves {
		states[n] = states[n].scale(t.Nodes[n].Leaf)
	}
}

// ascend adds up the leaves' contributions from below and gives each split's feature its part of them.
func (tab *table) ascend(t *Tree, factors []factors, scratch *quadratureScratch, r int, phi []float64) {
	states, ways := scratch.states, &scratch.ways
	for i := len(tab.splits) - 1; i >= 0; i-- {
		s := &tab.splits[i]
		f, n := &factors[s.place], &t.Nodes[s.node]
		left, right := states[n.Left], states[n.Right]
		states[s.node] = left.add(right)
		if ways.satisfied[s.previous]>>(r%blockRows)&1 == 1 {
			way := ways.right[i] >> (r % blockRows) & 1
			phi[n.Feature] += left.dot(f.delta[way]) + right.dot(f.delta[way+1])
		}
	}
}
