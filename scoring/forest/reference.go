package forest

import (
	"math"
	"slices"
)

// The reference walk is what margins mean: pointers followed from the root, leaves added in tree order.
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
		dst[i] = f.Base[i%f.NumGroup]
	}
	for t := range f.Trees {
		tree := &f.Trees[t]
		// dst holds float32 values between trees, so it serves as the float32 accumulator.
		for r, out := 0, tree.Group; out < len(dst); r, out = r+f.NumFeature, out+f.NumGroup {
			leaf := f.leaf(tree, rows[r:r+f.NumFeature])
			if f.Wide {
				dst[out] += leaf
			} else {
				dst[out] = float64(float32(dst[out]) + float32(leaf))
			}
		}
	}
}

// leaf returns the value of the leaf that row falls into.
func (f *Forest) leaf(t *Tree, row []float64) float64 {
	at, n := int32(0), &t.Nodes[0]
	for n.Left != 0 {
		at = n.Right
		if f.goesLeft(t, n, row[n.Feature]) {
			at = n.Left
		}
		n = &t.Nodes[at]
	}
	if l, ok := t.Linear[at]; ok {
		return l.value(row, n.Leaf)
	}
	return n.Leaf
}

// goesLeft reports the side of split n that a feature value takes. A float32 and a widened one compare alike.
func (f *Forest) goesLeft(t *Tree, n *Node, x float64) bool {
	if !f.Wide {
		x = float64(float32(x))
	}
	if n.Missing != MissingNaN {
		x = n.Missing.replace(x)
	}
	switch {
	case x != x:
		return n.DefaultLeft
	case n.Set >= 0:
		return !contains(t.Sets[n.Set], x, f.Wide)
	case f.LessEqual:
		return x <= n.Threshold
	}
	return x < n.Threshold
}

// contains reports whether the category that x stands for is in set. As in XGBoost, fractions are cut off,
// and codes that a float32 cannot tell apart are in no set; LightGBM takes -0.5 for category 0, XGBoost for none.
func contains(set []uint32, x float64, wide bool) bool {
	if wide {
		x = math.Trunc(x)
	}
	if x < 0 || x > MaxCategory {
		return false
	}
	_, found := slices.BinarySearch(set, uint32(x))
	return found
}
