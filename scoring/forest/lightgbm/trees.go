package lightgbm

import (
	"fmt"
	"math"
	"math/bits"
	"slices"

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

// readTrees reads the trees; tree k adds to group k modulo the number of groups.
func readTrees(sections []*section, f *forest.Forest) error {
	f.Trees = make([]forest.Tree, len(sections))
	codes := 0
	for i, s := range sections {
		c, err := readColumns(s, f)
		if err != nil {
			return err
		}
		for _, set := range c.sets {
			codes += len(set)
		}
		if codes > maxCodes {
			return s.errorf("cat_threshold", "the model's category sets have more than %d codes", maxCodes)
		}
		if f.Trees[i], err = c.tree(f); err != nil {
			return err
		}
		f.Trees[i].Group = i % f.NumGroup
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

// columns are the lists of one tree. The splits are numbered from 0, the root; leaf i is child -1-i.
type columns struct {
	source      *section
	left, right []int
	feature     []int
	threshold   []float64
	kind        []int // decision_type
	leaf        []float64
	splitCount  []float64 // nil, as leafCount, if the file has none
	leafCount   []float64
	sets        [][]uint32
	linear      []forest.Linear // nil if the leaves are plain
}

// readColumns reads the lists and makes sure of their lengths.
func readColumns(s *section, f *forest.Forest) (*columns, error) {
	c := &columns{source: s}
	leaves, err := s.integer("num_leaves", 1, math.MaxInt32/2)
	if err != nil {
		return nil, err
	}
	if c.leaf, err = s.numbers("leaf_value", leaves); err != nil {
		return nil, err
	}
	if c.linear, err = readLinear(s, leaves, f.NumFeature); err != nil || leaves == 1 {
		return c, err
	}
	splits := leaves - 1
	if c.left, err = s.integers("left_child", splits, -leaves, splits-1); err != nil {
		return nil, err
	}
	if c.right, err = s.integers("right_child", splits, -leaves, splits-1); err != nil {
		return nil, err
	}
	if c.feature, err = s.integers("split_feature", splits, 0, f.NumFeature-1); err != nil {
		return nil, err
	}
	if c.threshold, err = s.thresholds("threshold", splits); err != nil {
		return nil, err
	}
	if c.kind, err = s.integers("decision_type", splits, 0, largestType); err != nil {
		return nil, err
	}
	if c.sets, err = readSets(s); err != nil {
		return nil, err
	}
	return c, c.readCounts(leaves)
}

// readCounts reads how many training rows reached each node, which the explanations need.
func (c *columns) readCounts(leaves int) error {
	if _, ok := c.source.fields["leaf_count"]; !ok {
		return nil
	}
	var err error
	if c.leafCount, err = c.source.numbers("leaf_count", leaves); err != nil {
		return err
	}
	c.splitCount, err = c.source.numbers("internal_count", leaves-1)
	return err
}

// readSets turns the tree's bit sets of categories into lists of codes.
func readSets(s *section) ([][]uint32, error) {
	count, err := s.integer("num_cat", 0, math.MaxInt32)
	if err != nil || count == 0 {
		return nil, err
	}
	starts, err := s.integers("cat_boundaries", count+1, 0, math.MaxInt32)
	if err != nil {
		return nil, err
	}
	if starts[0] != 0 || !slices.IsSorted(starts) {
		return nil, s.errorf("cat_boundaries", "they do not go up from 0")
	}
	words, err := s.integers("cat_threshold", starts[count], 0, math.MaxUint32)
	if err != nil {
		return nil, err
	}
	sets := make([][]uint32, count)
	codes := 0
	for i := range sets {
		for k, word := range words[starts[i]:starts[i+1]] {
			if codes += bits.OnesCount(uint(word)); codes > maxCodes {
				return nil, s.errorf("cat_threshold", "its category sets have more than %d codes", maxCodes)
			}
			for ; word != 0; word &= word - 1 {
				sets[i] = append(sets[i], uint32(32*k+bits.TrailingZeros(uint(word))))
			}
		}
	}
	return sets, nil
}

// readLinear reads the tree's linear leaves, or nothing if it has plain ones.
func readLinear(s *section, leaves, features int) ([]forest.Linear, error) {
	if f, ok := s.fields["is_linear"]; !ok || f.text == "0" {
		return nil, nil
	}
	constants, err := s.numbers("leaf_const", leaves)
	if err != nil {
		return nil, err
	}
	terms, err := s.integers("num_features", leaves, 0, features)
	if err != nil {
		return nil, err
	}
	total := 0
	for _, n := range terms {
		total += n
	}
	columns, err := s.integers("leaf_features", total, 0, features-1)
	if err != nil {
		return nil, err
	}
	coefficients, err := s.numbers("leaf_coeff", total)
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
	order := make([]int, 0, nodes) // a split's number, or that of a leaf plus the number of splits
	seen := make([]bool, nodes)
	enter := func(child int) (int32, error) {
		if child < 0 {
			child = splits - 1 - child
		}
		if child == 0 && splits > 0 || seen[child] {
			return 0, c.source.errorf("left_child", "%s has two parents", c.name(child))
		}
		seen[child] = true
		order = append(order, child)
		return int32(len(order) - 1), nil
	}
	order = append(order, 0)
	for i := 0; i < len(order); i++ {
		from, n := order[i], &t.Nodes[i]
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
	if len(order) != nodes {
		return t, c.source.errorf("left_child", "%d of %d nodes hang on the root", len(order), nodes)
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
	case c.leafCount != nil:
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
	if c.splitCount != nil {
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
