package forest

import (
	"errors"
	"fmt"
	"slices"
)

// A nodeTest is a split as quantised rows answer it: right if the byte in column exceeds threshold.
type nodeTest struct {
	column    uint16
	threshold uint8
}

// nodeTests finds the test of each split in rows that are quantised into columns. It is needed only while
// a forest is compiled.
type nodeTests struct {
	columns *columns
	// thresholds are, per feature as [Node.rankedAs] numbers them, the keys of its thresholds in order.
	thresholds [][]uint64
	chunks     [][]chunkColumns         // likewise, then by chunk
	sets       map[categorySet]nodeTest // nil if categories have no columns
	lessEqual  bool
}

// chunkColumns are the columns of a chunk by what its splits do with a missing value, noColumn where
// none does that.
type chunkColumns [3]int

const noColumn = -1

// What a split does with a missing value.
const (
	missingLeft = iota
	missingRight
	missingIsZero
)

// rankedAs numbers the features twice: for splits at which NaN alone is missing, and for those at which
// what counts as zero is missing too.
type rankedAs int

func (n *Node) rankedAs() rankedAs {
	if n.Missing == MissingZero {
		return rankedAs(2*n.Feature + 1)
	}
	return rankedAs(2 * n.Feature)
}

func (r rankedAs) feature() int { return int(r) / 2 }

func (r rankedAs) zero() bool { return r%2 == 1 }

// ofMissing returns what split n does with a missing value.
func (n *Node) ofMissing() int {
	switch {
	case n.Missing == MissingNone:
		return missingIsZero
	case n.DefaultLeft:
		return missingLeft
	}
	return missingRight
}

// newNodeTests returns the columns that the splits of f need, and the test of each split. It fails for
// a forest that takes more than maxColumns or maxCategoryBytes, and for one whose leaves take the row's
// own values.
func newNodeTests(f *Forest) (*nodeTests, error) {
	return newTests(f, make(map[categorySet]nodeTest))
}

// numericTests returns f's tests without columns of categories, for whose splits there are [categoryMasks]: by these no
// row goes right at them. They are made of f's tests of all columns, if it has such; nil says that it has neither.
func numericTests(f *Forest, tests *nodeTests) *nodeTests {
	if tests != nil {
		return tests.numeric()
	}
	numeric, err := newTests(f, nil)
	if err != nil {
		return nil
	}
	return numeric
}

func (s *nodeTests) numeric() *nodeTests {
	c, n := *s.columns, *s
	if len(c.categorical) > 0 {
		c.count = c.categorical[0].first // the columns of numbers come first
	}
	c.categorical = nil
	c.pad()
	n.columns, n.sets = &c, nil
	return &n
}

func newTests(f *Forest, sets map[categorySet]nodeTest) (*nodeTests, error) {
	if f.hasLinearLeaves() {
		return nil, errors.New("its leaves are linear")
	}
	c := &columns{narrow: !f.Wide}
	tests := &nodeTests{
		columns:    c,
		thresholds: make([][]uint64, 2*f.NumFeature),
		chunks:     make([][]chunkColumns, 2*f.NumFeature),
		sets:       sets,
		lessEqual:  f.LessEqual,
	}
	f.eachSplit(func(t *Tree, n *Node) {
		switch {
		case n.Set < 0:
			tests.thresholds[n.rankedAs()] = append(tests.thresholds[n.rankedAs()], tests.key(n))
		case sets != nil:
			sets[t.categorySet(n)] = nodeTest{}
		}
	})
	for i, keys := range tests.thresholds {
		slices.Sort(keys)
		keys = slices.Compact(keys)
		tests.thresholds[i] = keys
		tests.chunks[i] = make([]chunkColumns, (len(keys)+chunkThresholds-1)/chunkThresholds)
		for k := range tests.chunks[i] {
			tests.chunks[i][k] = chunkColumns{noColumn, noColumn, noColumn}
		}
	}
	f.eachSplit(func(_ *Tree, n *Node) {
		if n.Set < 0 {
			chunk, _ := tests.position(n)
			tests.chunks[n.rankedAs()][chunk][n.ofMissing()] = 0
		}
	})
	for i := range tests.chunks {
		c.addRanked(rankedAs(i), tests)
	}
	if err := c.addCategorical(sets); err != nil {
		return nil, err
	}
	if c.count > maxColumns {
		return nil, fmt.Errorf("its splits take %d columns, and at most %d fit", c.count, maxColumns)
	}
	c.pad()
	return tests, nil
}

// pad sets the stride.
func (c *columns) pad() { c.stride = max(1, (c.count+strideUnit-1)/strideUnit) * strideUnit }

func (f *Forest) eachSplit(visit func(t *Tree, n *Node)) {
	for i := range f.Trees {
		t := &f.Trees[i]
		for k := range t.Nodes {
			if n := &t.Nodes[k]; n.Left != 0 {
				visit(t, n)
			}
		}
	}
}

// key returns the key of the least value that goes right at a numeric split. That of no number goes right
// where infinity goes left.
func (s *nodeTests) key(n *Node) uint64 {
	key := orderedKey(n.Threshold)
	if s.lessEqual {
		key++
	}
	return key
}

// position returns the chunk of a numeric split's threshold, and its place in there.
func (s *nodeTests) position(n *Node) (chunk, place int) {
	i, _ := slices.BinarySearch(s.thresholds[n.rankedAs()], s.key(n))
	return i / chunkThresholds, i % chunkThresholds
}

// of returns the test of split n of t.
func (s *nodeTests) of(t *Tree, n *Node) nodeTest {
	if n.Set >= 0 && s.sets == nil {
		return nodeTest{threshold: neverRight}
	}
	if n.Set >= 0 {
		return s.sets[t.categorySet(n)]
	}
	chunk, place := s.position(n)
	return nodeTest{column: uint16(s.chunks[n.rankedAs()][chunk][n.ofMissing()]), threshold: uint8(place)}
}

// addRanked adds the columns of a feature that has thresholds, and writes their numbers to tests.
func (c *columns) addRanked(of rankedAs, tests *nodeTests) {
	keys := tests.thresholds[of]
	if len(keys) == 0 {
		return
	}
	r := rankedFeature{feature: of.feature(), zero: of.zero(), thresholds: newSortedKeys(keys)}
	for i := range tests.chunks[of] {
		below := i * chunkThresholds
		missing := [...]uint8{
			missingLeft:   0,
			missingRight:  255,
			missingIsZero: chunkRank(r.thresholds.rank(orderedKey(0)), below),
		}
		for k, column := range tests.chunks[of][i] {
			if column != noColumn {
				tests.chunks[of][i][k] = c.count
				r.columns = append(r.columns, rankColumn{c.count, below, missing[k]})
				c.count++
			}
		}
	}
	c.ranked = append(c.ranked, r)
}
