package forest

import (
	"math"
	"slices"
)

// blockRows is how many rows a tree scores before the next tree is fetched: enough to use the tree
// while it is in the cache, few enough to keep the rows there too. A kernel's vector holds a byte of each.
const blockRows = 64

// MarginsTo writes the margins of the n rows in rows (n x NumFeature) to dst (n x NumGroup).
//
// The leaves are added in tree order to the base margin. Where the forest is not Wide, a feature is rounded
// to float32 first, the sums are of float32, and the result is that float32, widened. It depends on
// the row alone, not on its neighbours. MarginsTo does not allocate; it panics with a
// *[ShapeError] if the shapes do not fit.
func (f *Forest) MarginsTo(dst, rows []float64) {
	n := mustNumRows("rows", rows, f.NumFeature)
	checkShape("dst", dst, n, f.NumGroup)
	if f.program == nil {
		f.referenceMargins(dst, rows)
		return
	}
	f.program.marginsTo(f, dst, rows)
}

// PredictionsTo writes the predictions that belong to margins (n x NumGroup) to dst, of the same
// shape; the two may be one slice. The link is computed as the forest's library computes it: in float32,
// and widened, or in float64 where the forest is Wide. For every softmax objective that is the probability
// of each class: multi:softmax, too, where XGBoost's Booster.predict only names the class of the largest.
// An [Exp] beyond the forest's precision is +Inf. PredictionsTo does not allocate; it
// panics with a *[ShapeError] if the shapes do not fit.
func (f *Forest) PredictionsTo(dst, margins []float64) {
	checkShape("dst", dst, mustNumRows("margins", margins, f.NumGroup), f.NumGroup)
	if f.Wide {
		f.widePredictions(dst, margins)
		return
	}
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
	case Ascending:
		copy(dst, margins)
		for i := 0; i < len(dst); i += f.NumGroup {
			slices.Sort(dst[i : i+f.NumGroup])
		}
	case Step:
		for i, m := range margins {
			dst[i] = hinge(m)
		}
	case LogOnePlusExp, SignedSquare: // of wide forests alone
	}
}

// sigmoid is XGBoost's: the bound keeps exp finite, and 1e-16 vanishes in float32 but is its formula.
func sigmoid(margin float32) float32 {
	return 1 / (exp(min(-margin, 88.7)) + 1 + 1e-16)
}

// hinge is XGBoost's binary:hinge.
func hinge(margin float64) float64 {
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
func exp(x float32) float32 { return float32(exp64(float64(x))) }

// exp64 returns e**x to within a step or two of a float64, and the same bits on every CPU.
func exp64(x float64) float64 {
	if !(x <= 709.79) {
		return x * math.Inf(1) // NaN stays NaN
	}
	x = max(x, -746) // 0, as all below
	// e**x = 2**k e**r with |r| <= ln(2)/2, where 14 terms of the series reach the precision of a float64.
	const log2High, log2Low = 0x1.62e42fefap-1, 0x1.cf79abc9e3b39p-40
	k := math.Round(x / math.Ln2)
	r := x - float64(k*log2High) - float64(k*log2Low)
	sum := 1.0
	for i := 14; i > 0; i-- {
		sum = 1 + float64(r*sum)/float64(i)
	}
	return math.Ldexp(sum, int(k))
}
