package forest

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Missing says which values of a feature are missing at a split.
type Missing uint8

// The kinds of missing values. XGBoost knows the first; LightGBM chooses one for each split.
const (
	MissingNaN  Missing = iota // NaN
	MissingZero                // NaN and what counts as zero: up to ZeroBound from it
	MissingNone                // nothing: NaN counts as 0
)

// ZeroBound is the largest distance from zero of a value that LightGBM takes for zero: its float32 1e-35.
const ZeroBound = float64(float32(1e-35))

// replace returns what x stands for at a split: NaN for a missing value.
func (m Missing) replace(x float64) float64 {
	switch {
	case m == MissingZero && math.Abs(x) <= ZeroBound:
		return math.NaN()
	case m == MissingNone && x != x:
		return 0
	}
	return x
}

// Linear is a leaf whose value depends on the row: a constant and a multiple of some features.
type Linear struct {
	Constant     float64
	Features     []int32
	Coefficients []float64
}

// value returns the leaf's value for a row, or plain if one of its features is NaN. The sum is LightGBM's, in
// its order, and has its overflow for values near the end of float64; the products are converted explicitly because Go may otherwise fuse them with the addition.
func (l Linear) value(row []float64, plain float64) float64 {
	sum := l.Constant
	for i, feature := range l.Features {
		x := row[feature]
		if x != x {
			return plain
		}
		if math.Abs(x) > ZeroBound {
			sum += float64(l.Coefficients[i] * x)
		}
	}
	return sum
}

// widePredictions computes the links in float64, by the formulas of LightGBM.
func (f *Forest) widePredictions(dst, margins []float64) {
	divisor, steepness := f.Divisor, f.Steepness
	if divisor == 0 {
		divisor = 1
	}
	if steepness == 0 {
		steepness = 1
	}
	for i, m := range margins {
		m /= divisor
		switch f.Link {
		case Identity, Softmax:
			dst[i] = m
		case Sigmoid:
			dst[i] = 1 / (1 + exp64(-steepness*m))
		case Exp:
			dst[i] = exp64(m)
		case LogOnePlusExp:
			dst[i] = math.Log1p(exp64(m))
		case SignedSquare:
			dst[i] = m * math.Abs(m)
		case Step, Ascending: // of forests that are not wide alone
		}
	}
	if f.Link != Softmax {
		return
	}
	for i := 0; i < len(dst); i += f.NumGroup {
		wideSoftmax(dst[i : i+f.NumGroup])
	}
}

func wideSoftmax(margins []float64) {
	largest, sum := slices.Max(margins), 0.0
	for i, m := range margins {
		margins[i] = exp64(m - largest)
		sum += margins[i]
	}
	for i := range margins {
		margins[i] /= sum
	}
}

// hasLinearLeaves reports whether a leaf's value depends on the row, so that there is nothing to explain exactly.
func (f *Forest) hasLinearLeaves() bool {
	return slices.ContainsFunc(f.Trees, func(t Tree) bool { return t.Linear != nil })
}

// holds reports whether v is a number of the forest's own precision; the caller checks what else it must be.
func (f *Forest) holds(v float64) bool {
	return f.Wide || v != v || float64(float32(v)) == v
}

// validateKind checks what only a wide forest may have.
func (f *Forest) validateKind() error {
	switch {
	case !finite(f.Divisor) || f.Divisor < 0:
		return errors.New("the divisor is not a finite number of 0 or more")
	case !finite(f.Steepness) || f.Steepness < 0:
		return errors.New("the steepness of the sigmoid is not a finite number of 0 or more")
	case !f.Wide && (f.Divisor != 0 || f.Steepness != 0 || f.Link == LogOnePlusExp || f.Link == SignedSquare):
		return errors.New("a divisor, a steepness and this link are for wide forests")
	case f.Wide && (f.Link == Step || f.Link == Ascending):
		return errors.New("this link is for forests that are not wide")
	}
	return nil
}

// validateLinear checks the linear leaves of a tree whose nodes are valid, as validateTree does.
func (f *Forest) validateLinear(t *Tree) (int, error) {
	for at, l := range t.Linear {
		switch {
		case !f.Wide:
			return -1, errors.New("linear leaves are for wide forests")
		case at < 0 || int(at) >= len(t.Nodes) || t.Nodes[at].Left != 0:
			return int(at), errors.New("a linear leaf that is no leaf")
		case len(l.Features) != len(l.Coefficients):
			return int(at), fmt.Errorf("%d features and %d coefficients", len(l.Features), len(l.Coefficients))
		case !finite(l.Constant):
			return int(at), errors.New("the constant of its linear leaf is not finite")
		}
		for i, feature := range l.Features {
			if feature < 0 || int(feature) >= f.NumFeature {
				return int(at), fmt.Errorf("feature %d is not below the %d features", feature, f.NumFeature)
			}
			if !finite(l.Coefficients[i]) {
				return int(at), fmt.Errorf("the coefficient of feature %d is not finite", feature)
			}
		}
	}
	return -1, nil
}
