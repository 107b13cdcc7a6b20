package leaves

import (
	"fmt"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

// column is how the library takes a feature: as a number, or as a category.
type column bool

const (
	numeric     column = false
	categorical column = true
)

// The library sends a missing category to the side of those that are not in the set, whatever the missing type says. A
// forest may send it to either side, so here it is a category like any other: each set holds it or not. That is code 0,
// and the codes of the forest move up by one.
const (
	missingCategory = 0
	firstCategory   = 1
	noCategory      = -1 // in no set
)

// value returns what the library takes for the feature's value x. It is rounded to float32, as the forest rounds it
// before it compares.
func (c column) value(x float64) float64 {
	single := float64(float32(x))
	switch {
	case c == numeric:
		return single
	case x != x:
		return missingCategory
	case single < 0 || single > forest.MaxCategory:
		return noCategory
	}
	return single + firstCategory // the library cuts off a fraction, as the forest does
}

// columnsOf finds out how each feature is split. A tree that splits one otherwise than an earlier tree is a *TreeError:
// to the library a feature has one value.
func columnsOf(f *forest.Forest) ([]column, error) {
	columns := make([]column, f.NumFeature)
	split := make([]bool, f.NumFeature)
	for i := range f.Trees {
		for j := range f.Trees[i].Nodes {
			n := &f.Trees[i].Nodes[j]
			if n.Left == 0 {
				continue
			}
			c := column(n.Set >= 0)
			if split[n.Feature] && columns[n.Feature] != c {
				return nil, &TreeError{i, fmt.Sprintf("feature %d is split both by category and by number", n.Feature)}
			}
			split[n.Feature], columns[n.Feature] = true, c
		}
	}
	return columns, nil
}
