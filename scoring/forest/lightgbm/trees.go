package lightgbm

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

// The bits of decision_type.
const (
	categoricalBit = 1 << 0
	defaultLeftBit = 1 << 1
	missingShift   = 2
	largestType    = int(forest.MissingNone)<<missingShift | defaultLeftBit | categoricalBit
)

// missingKinds are the kinds of missing values by their number in decision_type.
var missingKinds = [...]forest.Missing{forest.MissingNone, forest.MissingZero, forest.MissingNaN}

// maxCodes bounds the codes in a file's category sets, which take more memory than the file's bit sets.
const maxCodes = 1 << 24

// readTrees reads the trees, the first of which begins with the line next; tree k adds to group k modulo the
// number of groups.
func readTrees(in *lines, next string, f *forest.Forest) error {
	var c columns
	codes := 0
	for next != treesEnd {
		i := len(f.Trees)
		s := &c.source
		s.tree, s.line = i, in.number
		if next[len(treeBegins):] != strconv.Itoa(i) {
			return &FileError{Line: in.number, Tree: i, Problem: "Tree does not follow the tree before it"}
		}
		var err error
		if next, err = s.read(in); err != nil {
			return err
		}
		if err := c.read(f); err != nil {
			return err
		}
		for _, set := range c.sets {
			codes += len(set)
		}
		if codes > maxCodes {
			return s.errorf("cat_threshold", "the model's category sets have more than %d codes", maxCodes)
		}
		t, err := c.tree(f)
		if err != nil {
			return err
		}
		t.Group = i % f.NumGroup
		f.Trees = append(f.Trees, t)
	}
	dropCoversIfNone(f.Trees)
	return nil
}

// dropCoversIfNone makes trees of one leaf, which count nothing, go with trees whose file has no counts.
func dropCoversIfNone(trees []forest.Tree) {
	counted, uncounted := false, false
	for i := range trees {
		if len(trees[i].Nodes) > 1 {
			none := trees[i].Nodes[0].Cover == forest.NoCover
			counted, uncounted = counted || !none, uncounted || none
		}
	}
	for i := range trees {
		if uncounted && !counted && len(trees[i].Nodes) == 1 {
			trees[i].Nodes[0].Cover = forest.NoCover
		}
	}
}

// columns are the lists of one tree, in memory that each tree takes over from the one before it. The splits are
// numbered from 0, the root; leaf i is child -1-i.
type columns struct {
	source      section
	left, right []int
	feature     []int
	threshold   []float64
	kind        []int // decision_type
	leaf        []float64
	counted     bool // the file has the counts
	splitCount  []float64
	leafCount   []float64
	sets        [][]uint32      // the tree's own
	linear      []forest.Linear // the tree's own, nil if the leaves are plain

	order []int  // a split's number, or that of a leaf plus the number of splits, by node
	seen  []bool // by that number
	words []int  // of the bit sets
}

// read reads the lists and makes sure of their lengths.
func (c *columns) read(f *forest.Forest) error {
	s := &c.source
	c.sets, c.linear, c.counted = nil, nil, false
	leaves, err := s.integer("num_leaves", 1, math.MaxInt32/2)
	if err != nil {
		return err
	}
	if c.leaf, err = s.numbers(c.leaf, "leaf_value", leaves); err != nil {
		return err
	}
	splits := leaves - 1
	c.left, c.right = c.left[:0], c.right[:0]
	if c.linear, err = readLinear(s, leaves, f.NumFeature); err != nil || leaves == 1 {
		return err
	}
	if c.left, err = s.integers(c.left, "left_child", splits, -leaves, splits-1); err != nil {
		return err
	}
	if c.right, err = s.integers(c.right, "right_child", splits, -leaves, splits-1); err != nil {
		return err
	}
	if c.feature, err = s.integers(c.feature, "split_feature", splits, 0, f.NumFeature-1); err != nil {
		return err
	}
	if c.threshold, err = s.thresholds(c.threshold, "threshold", splits); err != nil {
		return err
	}
	if c.kind, err = s.integers(c.kind, "decision_type", splits, 0, largestType); err != nil {
		return err
	}
	if err := c.readSets(splits); err != nil {
		return err
	}
	return c.readCounts(leaves)
}

// readCounts reads how many training rows reached each node, which the explanations need.
func (c *columns) readCounts(leaves int) error {
	if _, c.counted = c.source.field("leaf_count"); !c.counted {
		return nil
	}
	var err error
	if c.leafCount, err = c.source.numbers(c.leafCount, "leaf_count", leaves); err != nil {
		return err
	}
	c.splitCount, err = c.source.numbers(c.splitCount, "internal_count", leaves-1)
	return err
}

// readSets turns the tree's bit sets of categories, at most one a split, into lists of codes.
func (c *columns) readSets(splits int) error {
	s := &c.source
	count, err := s.integer("num_cat", 0, math.MaxInt32)
	if err != nil || count == 0 {
		return err
	}
	if count > splits {
		return s.errorf("num_cat", "there are %d category sets for %d splits", count, splits)
	}
	starts, err := s.integers(nil, "cat_boundaries", count+1, 0, math.MaxInt32)
	if err != nil {
		return err
	}
	if starts[0] != 0 || !slices.IsSorted(starts) {
		return s.errorf("cat_boundaries", "they do not go up from 0")
	}
	if c.words, err = s.integers(c.words, "cat_threshold", starts[count], 0, math.MaxUint32); err != nil {
		return err
	}
	c.sets = make([][]uint32, count)
	codes := 0
	for i := range c.sets {
		for k, word := range c.words[starts[i]:starts[i+1]] {
			if codes += bits.OnesCount(uint(word)); codes > maxCodes {
				return s.errorf("cat_threshold", "its category sets have more than %d codes", maxCodes)
			}
			for ; word != 0; word &= word - 1 {
				c.sets[i] = append(c.sets[i], uint32(32*k+bits.TrailingZeros(uint(word))))
			}
		}
	}
	return nil
}

// readLinear reads the tree's linear leaves, or nothing if it has plain ones.
func readLinear(s *section, leaves, features int) ([]forest.Linear, error) {
	if f, ok := s.field("is_linear"); !ok || f.text == "0" {
		return nil, nil
	}
	constants, err := s.numbers(nil, "leaf_const", leaves)
	if err != nil {
		return nil, err
	}
	terms, err := s.integers(nil, "num_features", leaves, 0, features)
	if err != nil {
		return nil, err
	}
	total := 0
	for _, n := range terms {
		total += n
	}
	columns, err := s.integers(nil, "leaf_features", total, 0, features-1)
	if err != nil {
		return nil, err
	}
	coefficients, err := s.numbers(nil, "leaf_coeff", total)
	if err != nil {
		return nil, err
	}
	linear := make([]forest.Linear, leaves)
	for i := range linear {
		linear[i].Constant = constants[i]
		for k := range terms[i] {
			linear[i].Features = append(linear[i].Features, int32(columns[k]))
		}
		linear[i].Coefficients = coefficients[:terms[i]:terms[i]]
		columns, coefficients = columns[terms[i]:], coefficients[terms[i]:]
	}
	return linear, nil
}

// tree numbers splits and leaves from the root, level by level, so that every child comes after its parent.
func (c *columns) tree(f *forest.Forest) (forest.Tree, error) {
	t := forest.Tree{Sets: c.sets}
	if c.linear != nil {
		t.Linear = make(map[int32]forest.Linear, len(c.leaf))
	}
	splits, nodes := len(c.left), len(c.left)+len(c.leaf)
	t.Nodes = make([]forest.Node, nodes)
	c.order = slices.Grow(c.order[:0], nodes)
	c.seen = append(c.seen[:0], make([]bool, nodes)...)
	enter := func(child int) (int32, error) {
		if child < 0 {
			child = splits - 1 - child
		}
		if child == 0 && splits > 0 || c.seen[child] {
			return 0, c.source.errorf("left_child", "%s has two parents", c.name(child))
		}
		c.seen[child] = true
		c.order = append(c.order, child)
		return int32(len(c.order) - 1), nil
	}
	c.order = append(c.order, 0)
	for i := 0; i < len(c.order); i++ {
		from, n := c.order[i], &t.Nodes[i]
		if from >= splits {
			c.fillLeaf(&t, i, from-splits)
			continue
		}
		if err := c.fillSplit(n, from, f); err != nil {
			return t, err
		}
		left, right := c.left[from], c.right[from]
		if n.Set >= 0 {
			// LightGBM sends the categories in the set left, and all else right; a forest has it the other way round.
			left, right = right, left
		}
		var err error
		if n.Left, err = enter(left); err != nil {
			return t, err
		}
		if n.Right, err = enter(right); err != nil {
			return t, err
		}
	}
	if len(c.order) != nodes {
		return t, c.source.errorf("left_child", "%d of %d nodes hang on the root", len(c.order), nodes)
	}
	return t, nil
}

func (c *columns) name(node int) string {
	if splits := len(c.left); node >= splits {
		return fmt.Sprintf("leaf %d", node-splits)
	}
	return fmt.Sprintf("split %d", node)
}

func (c *columns) fillLeaf(t *forest.Tree, at, leaf int) {
	t.Nodes[at] = forest.Node{Set: -1, Leaf: c.leaf[leaf], Cover: forest.NoCover}
	switch {
	case len(c.leaf) == 1:
		t.Nodes[at].Cover = 0
	case c.counted:
		t.Nodes[at].Cover = c.leafCount[leaf]
	}
	if c.linear != nil {
		t.Linear[int32(at)] = c.linear[leaf]
	}
}

// fillSplit fills in a split, save for its children.
func (c *columns) fillSplit(n *forest.Node, split int, f *forest.Forest) error {
	kind := c.kind[split]
	*n = forest.Node{Feature: int32(c.feature[split]), Set: -1, Cover: forest.NoCover}
	if c.counted {
		n.Cover = c.splitCount[split]
	}
	if kind&categoricalBit == 0 {
		n.Threshold = beyondZero(c.threshold[split])
		n.DefaultLeft, n.Missing = kind&defaultLeftBit != 0, missingKinds[kind>>missingShift]
		return nil
	}
	set := c.threshold[split]
	if set < 0 || set >= float64(len(c.sets)) || set != math.Trunc(set) {
		return c.source.errorf("threshold", "split %d takes category set %v of %d", split, set, len(c.sets))
	}
	// NaN goes where the categories outside the set go.
	n.Set, n.DefaultLeft = int32(set), true
	f.Categorical[n.Feature] = true
	return nil
}

// beyondZero moves a threshold among the values that LightGBM takes for zero out of their way, to the side
// that sends all of them where it sends zero.
func beyondZero(threshold float64) float64 {
	switch {
	case threshold >= 0 && threshold < forest.ZeroBound:
		return forest.ZeroBound
	case threshold < 0 && threshold >= -forest.ZeroBound:
		return math.Nextafter(-forest.ZeroBound, math.Inf(-1))
	}
	return threshold
}
