package leaves

import (
	"fmt"
	"math"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

// column is how the library takes a feature.
type column uint8

const (
	unsplit     column = iota
	numeric            // as a number
	zeroMissing        // as a number of which zero is missing
	categorical        // as a category
)

func (c column) String() string {
	return [...]string{"unsplit", "number", "number with zero missing", "category"}[c]
}

// The library sends a missing category to the side of those that are not in the set, whatever the missing type says. A
// forest may send it to either side, so here it is a category like any other: each set holds it or not. That is code 0,
// and the codes of the forest move up by one.
const (
	missingCategory = 0
	firstCategory   = 1
	noCategory      = -1 // in no set
)

// value returns what the library takes for the feature's value x. It is rounded to float32 where the forest rounds it
// before it compares.
func (c column) value(x float64, wide bool) float64 {
	if !wide {
		x = float64(float32(x))
	}
	switch {
	case c == categorical:
		return category(x, wide)
	case c == zeroMissing && math.Abs(x) <= forest.ZeroBound:
		return 0 // the library has another bound
	}
	return x
}

func category(x float64, wide bool) float64 {
	if wide {
		x = math.Trunc(x) // so -0.5 is category 0, as in LightGBM; elsewhere it is none
	}
	switch {
	case x != x:
		return missingCategory
	case x < 0 || x > forest.MaxCategory:
		return noCategory
	}
	return x + firstCategory // the library cuts off a fraction, as the forest does
}

// columnsOf finds out how each feature is split. A tree that splits one otherwise than an earlier tree is a *TreeError:
// to the library a feature has one value.
func columnsOf(f *forest.Forest) ([]column, error) {
	columns := make([]column, f.NumFeature)
	for i := range f.Trees {
		for j := range f.Trees[i].Nodes {
			n := &f.Trees[i].Nodes[j]
			if n.Left == 0 {
				continue
			}
			c := numeric
			switch {
			case n.Set >= 0 && n.Missing != forest.MissingNaN:
				return nil, &TreeError{i, fmt.Sprintf("it splits feature %d by category with other missing values than NaN", n.Feature)}
			case n.Set >= 0:
				c = categorical
			case n.Missing == forest.MissingZero:
				c = zeroMissing
			}
			switch earlier := columns[n.Feature]; earlier {
			case unsplit:
				columns[n.Feature] = c
			case c:
			default:
				return nil, &TreeError{i, fmt.Sprintf("feature %d is split both as a %s and as a %s", n.Feature, earlier, c)}
			}
		}
	}
	return columns, nil
}
