package forest

import (
	"fmt"
	"math"
	"slices"
)

// blockRows is how many rows a tree scores before the next tree is fetched: enough to use the tree
// while it is in the cache, few enough to keep the rows there too.
const blockRows = 64

// MarginsTo writes the margins of the n rows in rows (n x NumFeature) to dst (n x NumGroup).
//
// The arithmetic is XGBoost's: a feature is rounded to float32 first, and the leaves are added in
// float32, in tree order, to the base margin. The result is that float32, widened. It depends on
// the row alone, not on its neighbours. MarginsTo does not allocate; it panics if the shapes do not fit.
func (f *Forest) MarginsTo(dst, rows []float64) {
	n := f.numRows(rows)
	checkShape("dst", dst, n, f.NumGroup)
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

// PredictionsTo writes the predictions that belong to margins (n x NumGroup) to dst, of the same
// shape; the two may be one slice. The link is computed in float32 as XGBoost computes it, and
// widened. For every softmax objective that is the probability of each class: multi:softmax, too, where
// XGBoost's Booster.predict only names the class of the largest. An [Exp] beyond float32 is +Inf.
// PredictionsTo does not allocate; it panics if the shapes do not fit.
func (f *Forest) PredictionsTo(dst, margins []float64) {
	if len(margins)%f.NumGroup != 0 {
		panic(fmt.Sprintf("forest: len(margins) = %d is not a multiple of NumGroup = %d", len(margins), f.NumGroup))
	}
	checkShape("dst", dst, len(margins)/f.NumGroup, f.NumGroup)
	switch f.Link {
	case Identity:
		copy(dst, margins)
	case Sigmoid:
		for i, m := range margins {
			dst[i] = float64(sigmoid(float32(m)))
		}
	case Softmax:
		for i := 0; i < len(margins); i += f.NumGroup {
			softmax(dst[i:i+f.NumGroup], margins[i:i+f.NumGroup])
		}
	case Exp:
		for i, m := range margins {
			dst[i] = float64(exp(float32(m)))
		}
	case Step:
		for i, m := range margins {
			dst[i] = step(m)
		}
	}
}

// sigmoid is XGBoost's: the bound keeps exp finite, and 1e-16 vanishes in float32 but is its formula.
func sigmoid(margin float32) float32 {
	return 1 / (exp(min(-margin, 88.7)) + 1 + 1e-16)
}

// step is XGBoost's binary:hinge.
func step(margin float64) float64 {
	if margin > 0 {
		return 1
	}
	return 0
}

// softmax is XGBoost's: exponentials in float32, their sum in float64, the quotient in float32.
func softmax(dst, margins []float64) {
	largest := slices.Max(margins)
	sum := 0.0
	for i, m := range margins {
		e := exp(float32(m) - float32(largest))
		dst[i] = float64(e)
		sum += float64(e)
	}
	for i, e := range dst {
		dst[i] = float64(float32(e) / float32(sum))
	}
}

// exp returns the float32 nearest to e**x, save in rare cases; the C libraries that XGBoost runs on differ
// from that, and from one another, in the last bit of one value in some thousands. It does not call
// math.Exp, whose result depends on whether the CPU has a fused multiply-add.
func exp(x float32) float32 {
	if x > 89 { // beyond float32, as all above
		return float32(math.Inf(1))
	}
	x = max(x, -110) // 0 in float32, as all below
	// e**x = 2**k e**r with |r| <= ln(2)/2, where 14 terms of the series reach the precision of a float64.
	const log2High, log2Low = 0x1.62e42fefap-1, 0x1.cf79abc9e3b39p-36
	k := math.Round(float64(x) / math.Ln2)
	r := float64(x) - float64(k*log2High) - float64(k*log2Low)
	sum := 1.0
	for i := 14; i > 0; i-- {
		sum = 1 + float64(r*sum)/float64(i)
	}
	return float32(math.Ldexp(sum, int(k)))
}

func (f *Forest) numRows(rows []float64) int {
	if len(rows)%f.NumFeature != 0 {
		panic(fmt.Sprintf("forest: len(rows) = %d is not a multiple of NumFeature = %d", len(rows), f.NumFeature))
	}
	return len(rows) / f.NumFeature
}

func checkShape(name string, s []float64, n, width int) {
	if len(s) != n*width {
		panic(fmt.Sprintf("forest: len(%s) = %d, want %d rows x %d", name, len(s), n, width))
	}
}
