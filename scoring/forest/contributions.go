package forest

import (
	"fmt"
	"sync"
)

// ContributionsTo writes the exact path-dependent SHAP values of the n rows in rows (n x NumFeature)
// to dst (n x NumGroup x (NumFeature+1)), in margin units; the last value of each group is the bias,
// the same for every row. A group's values add up to its margin, save for the rounding of the margin.
//
// These are the values of Lundberg's TreeSHAP and of XGBoost's and LightGBM's own, computed in float64.
// If no tree is deeper than 6, they come from tables in float32, of at most 64 MiB, and are within 1e-6 of
// the sum of what the trees contribute, signs aside. They depend on the row alone, not on its neighbours
// or on the kernel. ContributionsTo does not allocate once its scratch memory is pooled; it panics with a *[ShapeError] if the
// shapes do not fit, and if [Forest.Explains] is false.
func (f *Forest) ContributionsTo(dst, rows []float64) {
	if f.explainer == nil {
		panic("forest: ContributionsTo of a forest without covers, or not made by New")
	}
	n, width := mustNumRows("rows", rows, f.NumFeature), f.NumGroup*(f.NumFeature+1)
	checkShape("dst", dst, n, width)
	f.explainer.explain(f, dst, rows)
}

// An explainer computes contributions from tables where the trees allow them, else by quadrature. The
// two differ in the last bits, so nothing but the trees decides: not the CPU, nor a setting.
type explainer struct {
	bias       []float64      // per group
	tables     *patternTables // or nil
	quadrature *quadrature    // where there are no tables
}

func newExplainer(f *Forest, tests *nodeTests, progress *Progress) (e *explainer, err error) {
	e = &explainer{bias: f.bias()}
	if e.tables, err = newPatternTables(f, tests, progress); err == nil && e.tables == nil {
		e.quadrature, err = newQuadrature(f)
	}
	return e, err
}

// bias returns the margin of each group for a row of which nothing is known.
func (f *Forest) bias() []float64 {
	bias := make([]float64, f.NumGroup)
	for g, b := range f.Base {
		bias[g] = float64(b)
	}
	for i := range f.Trees {
		t := &f.Trees[i]
		bias[t.Group] += t.mean()
	}
	return bias
}

func (e *explainer) explain(f *Forest, dst, rows []float64) {
	width, stride := f.NumFeature+1, f.NumGroup*(f.NumFeature+1)
	clear(dst)
	for g, b := range e.bias {
		for out := g*width + f.NumFeature; out < len(dst); out += stride {
			dst[out] = b
		}
	}
	if e.tables != nil {
		e.tables.explain(f, dst, rows)
	} else {
		e.quadrature.explain(f, dst, rows)
	}
}

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
type quadrature struct {
	tables  []table   // per tree
	scratch sync.Pool // of *[]state, each as long as the largest tree
}

// A state is one row's progress at one node.
type state struct {
	// product is the path's product on the way down, and what the leaves below contribute on the way up.
	product points
	// satisfied says that the row satisfies every split on the parent's feature down to this node.
	satisfied bool
	// right says that the row goes right at this split.
	right bool
}

func newQuadrature(f *Forest) (*quadrature, error) {
	q := &quadrature{tables: make([]table, len(f.Trees))}
	rules := make(map[int][]rule)
	nodes, size := 0, 0
	for i := range f.Trees {
		t := &f.Trees[i]
		tab, features := newTable(t)
		blocks := numBlocks(features)
		size += blocks * len(tab.splits)
		if size > maxFactors {
			return nil, fmt.Errorf("forest: explaining these trees takes factors of more than %d splits; train fewer or smaller trees", maxFactors)
		}
		if rules[blocks] == nil {
			rules[blocks] = gaussLegendre(blocks)
		}
		tab.integrate(rules[blocks])
		q.tables[i] = tab
		nodes = max(nodes, len(t.Nodes))
	}
	q.scratch.New = func() any {
		s := make([]state, nodes)
		return &s
	}
	return q, nil
}

// explain adds the contributions of all trees to dst.
func (q *quadrature) explain(f *Forest, dst, rows []float64) {
	states := q.scratch.Get().(*[]state)
	defer q.scratch.Put(states)
	n, width := len(rows)/f.NumFeature, f.NumGroup*(f.NumFeature+1)
	for first := 0; first < n; first += blockRows {
		last := min(first+blockRows, n)
		q.explainBlock(f, *states, dst[first*width:last*width], rows[first*f.NumFeature:last*f.NumFeature])
	}
}

func (q *quadrature) explainBlock(f *Forest, states []state, dst, rows []float64) {
	width, stride := f.NumFeature+1, f.NumGroup*(f.NumFeature+1)
	for i := range f.Trees {
		t, tab := &f.Trees[i], &q.tables[i]
		for r, out := 0, t.Group*width; out < len(dst); r, out = r+f.NumFeature, out+stride {
			row, phi := rows[r:r+f.NumFeature], dst[out:out+f.NumFeature]
			for b := range tab.blocks {
				tab.descend(f, t, &tab.blocks[b], states, row)
				tab.ascend(t, &tab.blocks[b], states, phi)
			}
		}
	}
}

// descend computes every path's product at the points of one block, down to what each leaf contributes.
func (tab *table) descend(forest *Forest, t *Tree, b *block, states []state, row []float64) {
	states[0] = state{product: b.weights}
	for i := range tab.splits {
		s, f := &tab.splits[i], &b.factors[i]
		n, at := &t.Nodes[s.node], &states[s.node]
		left, right := &states[s.left], &states[s.right]
		at.right = !forest.goesLeft(t, n, row[n.Feature])
		switch {
		case s.previous >= 0 && !states[s.previous].satisfied:
			// The row has left the path at this feature before: only the feature's share goes on shrinking.
			left.product, left.satisfied = at.product.scale(s.share[0]), false
			right.product, right.satisfied = at.product.scale(s.share[1]), false
		case at.right:
			left.product, left.satisfied = at.product.mul(f.violated[0].scale), false
			right.product, right.satisfied = at.product.mul(f.satisfied[1].scale), true
		default:
			left.product, left.satisfied = at.product.mul(f.satisfied[0].scale), true
			right.product, right.satisfied = at.product.mul(f.violated[1].scale), false
		}
	}
	for _, n := range tab.leaves {
		states[n].product = states[n].product.scale(t.Nodes[n].Leaf)
	}
}

// ascend adds up the leaves' contributions from below and gives each split's feature its part of them.
func (tab *table) ascend(t *Tree, b *block, states []state, phi []float64) {
	for i := len(tab.splits) - 1; i >= 0; i-- {
		s, f := &tab.splits[i], &b.factors[i]
		at, left, right := &states[s.node], states[s.left].product, states[s.right].product
		at.product = left.add(right)
		feature := t.Nodes[s.node].Feature
		switch {
		case s.previous >= 0 && !states[s.previous].satisfied:
		case at.right:
			phi[feature] += left.dot(f.violated[0].delta) + right.dot(f.satisfied[1].delta)
		default:
			phi[feature] += left.dot(f.satisfied[0].delta) + right.dot(f.violated[1].delta)
		}
	}
}
