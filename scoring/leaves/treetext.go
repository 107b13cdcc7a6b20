package leaves

import (
	"fmt"
	"math"
	"strconv"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

// The bits of a split's decision_type. Above them is the missing type.
const (
	decisionCategorical = 1 << 0
	decisionDefaultLeft = 1 << 1
	missingShift        = 2
)

// missingType returns the bits of a decision_type that say which values are missing.
func missingType(m forest.Missing) int {
	switch m {
	case forest.MissingNone:
		return 0 << missingShift
	case forest.MissingZero:
		return 1 << missingShift
	default:
		return 2 << missingShift
	}
}

// treeText gathers the lists of one tree's text. Splits and leaves are numbered apart, each in the order of the nodes.
type treeText struct {
	features, thresholds, decisions, lefts, rights []byte // of the splits
	values                                         []byte // of the leaves
	boundaries, words                              []byte // of the bit sets: where each begins and ends, and all of them

	numLeaves, numSets, numWords int
	index                        []int32  // of each node among the splits, or the complement of that among the leaves
	bits                         []uint32 // the set at hand
}

func (t *treeText) reset() {
	for _, list := range []*[]byte{
		&t.features, &t.thresholds, &t.decisions, &t.lefts, &t.rights, &t.values, &t.boundaries, &t.words,
	} {
		*list = (*list)[:0]
	}
	t.numLeaves, t.numSets, t.numWords = 0, 0, 0
	t.boundaries = append(t.boundaries, '0')
}

// add adds the nodes of a tree of f.
func (t *treeText) add(f *forest.Forest, tree *forest.Tree) {
	t.index = t.index[:0]
	splits, leaves := int32(0), int32(0)
	for i := range tree.Nodes {
		if tree.Nodes[i].Left == 0 {
			t.index = append(t.index, ^leaves)
			leaves++
		} else {
			t.index = append(t.index, splits)
			splits++
		}
	}
	for i := range tree.Nodes {
		n := &tree.Nodes[i]
		switch {
		case n.Left == 0:
			t.addLeaf(n.Leaf)
		case n.Set >= 0:
			t.addCategorical(n, tree.Sets[n.Set])
		default:
			t.addNumeric(n, largestLeft(f, n.Threshold))
		}
	}
}

func (t *treeText) addLeaf(value float64) {
	t.values = appendFloat(t.values, value)
	t.numLeaves++
}

// addNumeric adds a split that sends x <= threshold left, and a missing value where the node sends it.
func (t *treeText) addNumeric(n *forest.Node, threshold float64) {
	decision := missingType(n.Missing)
	if n.DefaultLeft {
		decision |= decisionDefaultLeft
	}
	t.addSplit(n.Feature, threshold, decision, n.Left, n.Right)
}

// addCategorical adds a split by a set of categories. The forest sends those in the set right and the library sends them
// left, so the children change places.
func (t *treeText) addCategorical(n *forest.Node, set []uint32) {
	t.bits = t.bits[:0]
	if !n.DefaultLeft {
		t.addBit(missingCategory)
	}
	for _, c := range set {
		t.addBit(c + firstCategory)
	}
	if len(t.bits) == 0 {
		// The library refuses an empty set: everything goes left, as every number is at most infinity.
		t.addNumeric(n, math.Inf(1))
		return
	}
	t.addSplit(n.Feature, float64(t.numSets), decisionCategorical|missingType(n.Missing), n.Right, n.Left)
	for _, w := range t.bits {
		t.words = strconv.AppendUint(separate(t.words), uint64(w), 10)
	}
	t.numSets++
	t.numWords += len(t.bits)
	t.boundaries = appendInt(t.boundaries, t.numWords)
}

func (t *treeText) addBit(code uint32) {
	for int(code/32) >= len(t.bits) {
		t.bits = append(t.bits, 0)
	}
	t.bits[code/32] |= 1 << (code % 32)
}

func (t *treeText) addSplit(feature int32, threshold float64, decision int, left, right int32) {
	t.features = appendInt(t.features, int(feature))
	t.thresholds = appendFloat(t.thresholds, threshold)
	t.decisions = appendInt(t.decisions, decision)
	t.lefts = appendInt(t.lefts, int(t.index[left]))
	t.rights = appendInt(t.rights, int(t.index[right]))
}

// appendTo appends the text of the tree with this number.
func (t *treeText) appendTo(dst []byte, number int) []byte {
	dst = fmt.Appendf(dst, "Tree=%d\nnum_leaves=%d\nnum_cat=%d\n", number, t.numLeaves, t.numSets)
	for _, field := range []struct {
		name string
		list []byte
	}{
		{"split_feature", t.features},
		{"threshold", t.thresholds},
		{"decision_type", t.decisions},
		{"left_child", t.lefts},
		{"right_child", t.rights},
		{"leaf_value", t.values},
		{"cat_boundaries", t.boundaries},
		{"cat_threshold", t.words},
	} {
		dst = append(append(append(append(dst, field.name...), '='), field.list...), '\n')
	}
	return append(dst, '\n')
}

// largestLeft returns the largest number that a split sends left, of those that a row of f can have: the threshold or the number
// before it. Nothing is less than minus infinity, and nothing is at most NaN.
func largestLeft(f *forest.Forest, threshold float64) float64 {
	switch {
	case f.LessEqual:
		return threshold
	case math.IsInf(threshold, -1):
		return math.NaN()
	case f.Wide:
		return math.Nextafter(threshold, math.Inf(-1))
	}
	return float64(math.Nextafter32(float32(threshold), float32(math.Inf(-1))))
}

func appendFloat(dst []byte, x float64) []byte {
	return strconv.AppendFloat(separate(dst), x, 'g', -1, 64)
}

func appendInt(dst []byte, x int) []byte {
	return strconv.AppendInt(separate(dst), int64(x), 10)
}

func separate(dst []byte) []byte {
	if len(dst) > 0 {
		dst = append(dst, ' ')
	}
	return dst
}
