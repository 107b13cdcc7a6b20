//go:build amd64 && !purego

package forest

import "math"

// A pathInput is a feature as some splits see it: narrowed or not, with what they take for missing as NaN,
// or as +Inf where they send it right, since a row goes right where its value is at least a threshold.
// For splits on categories it is a code below 64, as an integer.
type pathInput struct {
	feature               int32
	missing               Missing
	defaultLeft, category bool
}

// numInputs is how many inputs a feature can have.
const numInputs = 4 * (int(MissingNone) + 1)

// The codes of an input by category: those of categories, then any other, and missing values that go right.
const (
	maxInputCategory = 61
	otherCode        = 62
	missingCode      = 63
)

func inputOf(n *Node) pathInput { return pathInput{n.Feature, n.Missing, n.DefaultLeft, n.Set >= 0} }

func (in pathInput) index() int {
	index := int(in.feature)*numInputs + 4*int(in.missing)
	if in.defaultLeft {
		index++
	}
	if in.category {
		index += 2
	}
	return index
}

// setInputs writes the inputs of the rows. Lanes without a row keep what they have: nobody reads what
// comes of it.
func (v *vectorQuadrature) setInputs(f *Forest, s *vectorQuadratureScratch, rows []float64) {
	for i, in := range v.inputs {
		to, missing := s.inputs[i*v.groups*groupRows:], math.NaN()
		if !in.defaultLeft {
			missing = math.Inf(1)
		}
		for r, at := 0, int(in.feature); at < len(rows); r, at = r+1, at+f.NumFeature {
			x := rows[at]
			if !f.Wide {
				x = float64(float32(x))
			}
			if in.missing != MissingNaN {
				x = in.missing.replace(x)
			}
			switch {
			case in.category:
				x = math.Float64frombits(in.code(x, f.Wide))
			case x != x:
				x = missing
			}
			to[r] = x
		}
	}
}

// code returns the code of a category. See [contains] for what a number stands for.
func (in pathInput) code(x float64, wide bool) uint64 {
	if wide {
		x = math.Trunc(x)
	}
	switch {
	case x != x && !in.defaultLeft:
		return missingCode
	case x >= 0 && x < maxInputCategory+1:
		return uint64(x)
	}
	return otherCode
}

// A splitTest is a split: a row goes right if the input is at least the threshold; or, by category, if
// the threshold, as bits, has that of the code. Input and phi are the places, in bytes, of the input and of the
// feature's contributions.
type splitTest struct {
	threshold  float64
	input, phi uint32
}

// A testKind is how a split is asked: byRow where neither does, for each row alone.
type testKind int

const (
	byNumber testKind = iota
	byCategory
	byRow
)

// newSplitTest returns the test of a split, without its input.
func newSplitTest(f *Forest, t *Tree, n *Node) (test splitTest, kind testKind) {
	test = splitTest{threshold: n.Threshold, phi: uint32(n.Feature) * groupRows * 8}
	switch {
	case n.Set >= 0:
		set := uint64(1) << missingCode
		for _, code := range t.Sets[n.Set] {
			if code > maxInputCategory {
				return test, byRow
			}
			set |= 1 << code
		}
		test.threshold = math.Float64frombits(set)
		return test, byCategory
	case f.LessEqual && math.IsInf(n.Threshold, 1):
		return test, byRow // no number is the next one
	case f.LessEqual:
		test.threshold = math.Nextafter(n.Threshold, math.Inf(1)) // x > t is x >= the next number
	}
	return test, byNumber
}

// right returns which rows go right at a split by category.
func (t *splitTest) right(codes []float64) (right uint64) {
	set := math.Float64bits(t.threshold)
	for r, code := range codes {
		right |= set >> (math.Float64bits(code) % 64) & 1 << (r % blockRows)
	}
	return right
}
