package lightgbm

import (
	"math"
	"math/bits"
	"slices"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

// maxCodes bounds the codes in a file's category sets, which take more memory than the file's bit sets.
const maxCodes = 1 << 24

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
