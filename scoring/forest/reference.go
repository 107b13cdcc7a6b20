package forest

import "slices"

// The reference walk is what margins mean: pointers followed from the root, float32 added in tree order.
// Every kernel gives its bits. It also scores what no kernel is made for: a Forest that is a literal,
// and one that [New] found cheaper to walk than to quantise rows for.

// referenceMargins does what [Forest.MarginsTo] does.
func (f *Forest) referenceMargins(dst, rows []float64) {
	n := len(rows) / f.NumFeature
	for first := 0; first < n; first += blockRows {
		last := min(first+blockRows, n)
		f.marginsOfBlock(dst[first*f.NumGroup:last*f.NumGroup], rows[first*f.NumFeature:last*f.NumFeature])
	}
}

func (f *Forest) marginsOfBlock(dst, rows []float64) {
	for i := range dst {
		dst[i] = float64(f.Base[i%f.NumGroup])
	}
	for t := range f.Trees {
		tree := &f.Trees[t]
		// dst holds float32 values between trees, so it serves as the float32 accumulator.
		for r, out := 0, tree.Group; out < len(dst); r, out = r+f.NumFeature, out+f.NumGroup {
			dst[out] = float64(float32(dst[out]) + tree.leaf(rows[r:r+f.NumFeature]))
		}
	}
}

// leaf returns the value of the leaf that row falls into.
func (t *Tree) leaf(row []float64) float32 {
	n := &t.Nodes[0]
	for n.Left != 0 {
		next := n.Right
		if t.goesLeft(n, float32(row[n.Feature])) {
			next = n.Left
		}
		n = &t.Nodes[next]
	}
	return n.Leaf
}

// goesLeft reports the side of split n that a feature value takes.
func (t *Tree) goesLeft(n *Node, x float32) bool {
	switch {
	case x != x:
		return n.DefaultLeft
	case n.Set < 0:
		return x < n.Threshold
	}
	return !contains(t.Sets[n.Set], x)
}

// contains reports whether the category that x stands for is in set. As in XGBoost, fractions are cut
// off, and codes that a float32 cannot tell apart are in no set.
func contains(set []uint32, x float32) bool {
	if x < 0 || x > MaxCategory {
		return false
	}
	_, found := slices.BinarySearch(set, uint32(x))
	return found
}
