package forest

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// maxCategoryBytes bounds the tables of all categorical features.
const maxCategoryBytes = 16 << 20

// A nodeTest is a split as quantised rows answer it: right if the byte in column exceeds threshold.
type nodeTest struct {
	column    uint16
	threshold uint8
}

// nodeTests finds the test of each split. It is needed only while a forest is compiled.
type nodeTests struct {
	thresholds [][]uint32   // per feature, the keys of its thresholds in order
	chunks     [][]sideUses // per feature and chunk
	sets       map[setColumn]uint16
}

// sideUses are the columns of a chunk by the byte of a missing value, noColumn where no split needs it.
type sideUses struct{ left, right int }

const noColumn = -1

// A setColumn is what a column of a categorical feature stands for.
type setColumn struct {
	feature     int32
	defaultLeft bool
	codes       string // four bytes each, to be comparable
}

// newColumns returns the columns that the splits of f need, and the test of each split. It fails for
// a forest that takes more than maxColumns or maxCategoryBytes.
func newColumns(f *Forest) (*columns, *nodeTests, error) {
	c := &columns{}
	tests := &nodeTests{
		thresholds: make([][]uint32, f.NumFeature),
		chunks:     make([][]sideUses, f.NumFeature),
		sets:       make(map[setColumn]uint16),
	}
	f.eachSplit(func(t *Tree, n *Node) {
		if n.Set >= 0 {
			tests.sets[t.setColumn(n)] = 0
		} else {
			tests.thresholds[n.Feature] = append(tests.thresholds[n.Feature], orderedKey(float32(n.Threshold)))
		}
	})
	for i, keys := range tests.thresholds {
		slices.Sort(keys)
		keys = slices.Compact(keys)
		tests.thresholds[i] = keys
		tests.chunks[i] = make([]sideUses, (len(keys)+chunkThresholds-1)/chunkThresholds)
		for k := range tests.chunks[i] {
			tests.chunks[i][k] = sideUses{noColumn, noColumn}
		}
	}
	f.eachSplit(func(_ *Tree, n *Node) {
		if n.Set < 0 {
			chunk, _ := tests.position(n)
			*tests.chunks[n.Feature][chunk].of(n.DefaultLeft) = 0
		}
	})
	for feature := range tests.chunks {
		c.addRanked(feature, tests)
	}
	if err := c.addCategorical(tests.sets); err != nil {
		return nil, nil, err
	}
	if c.count > maxColumns {
		return nil, nil, fmt.Errorf("its splits take %d columns, and at most %d fit", c.count, maxColumns)
	}
	c.stride = max(1, (c.count+strideUnit-1)/strideUnit) * strideUnit
	return c, tests, nil
}

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

func (s *sideUses) of(defaultLeft bool) *int {
	if defaultLeft {
		return &s.left
	}
	return &s.right
}

// position returns the chunk of a numeric split's threshold, and its place in there.
func (s *nodeTests) position(n *Node) (chunk, place int) {
	i, _ := slices.BinarySearch(s.thresholds[n.Feature], orderedKey(float32(n.Threshold)))
	return i / chunkThresholds, i % chunkThresholds
}

// of returns the test of split n of t.
func (s *nodeTests) of(t *Tree, n *Node) nodeTest {
	if n.Set >= 0 {
		return nodeTest{column: s.sets[t.setColumn(n)]}
	}
	chunk, place := s.position(n)
	return nodeTest{column: uint16(*s.chunks[n.Feature][chunk].of(n.DefaultLeft)), threshold: uint8(place)}
}

// addRanked adds the columns of a feature that has thresholds, and writes their numbers to tests.
func (c *columns) addRanked(feature int, tests *nodeTests) {
	keys := tests.thresholds[feature]
	if len(keys) == 0 {
		return
	}
	r := rankedFeature{feature: feature, thresholds: newSortedKeys(keys)}
	for i := range tests.chunks[feature] {
		below := i * chunkThresholds
		if at := &tests.chunks[feature][i].left; *at != noColumn {
			r.columns = append(r.columns, rankColumn{column: c.take(at), below: below})
		}
		if at := &tests.chunks[feature][i].right; *at != noColumn {
			r.columns = append(r.columns, rankColumn{column: c.take(at), below: below, missing: 255})
		}
	}
	c.ranked = append(c.ranked, r)
}

// take gives out the next column.
func (c *columns) take(at *int) int {
	*at = c.count
	c.count++
	return *at
}

func (t *Tree) setColumn(n *Node) setColumn {
	codes := make([]byte, 0, 4*len(t.Sets[n.Set]))
	for _, code := range t.Sets[n.Set] {
		codes = binary.LittleEndian.AppendUint32(codes, code)
	}
	return setColumn{n.Feature, n.DefaultLeft, string(codes)}
}

func (s setColumn) eachCode(visit func(code uint32)) {
	for codes := []byte(s.codes); len(codes) > 0; codes = codes[4:] {
		visit(binary.LittleEndian.Uint32(codes))
	}
}

// addCategorical adds a column for each of sets, those of one feature side by side, and writes their
// numbers to sets.
func (c *columns) addCategorical(sets map[setColumn]uint16) error {
	byFeature := make(map[int32][]setColumn)
	for s := range sets {
		byFeature[s.feature] = append(byFeature[s.feature], s)
	}
	size := 0
	for _, feature := range slices.Sorted(maps.Keys(byFeature)) {
		of := byFeature[feature]
		// The order is that of no map, so that a model has the same columns in every process.
		slices.SortFunc(of, func(a, b setColumn) int {
			switch {
			case a.defaultLeft == b.defaultLeft:
				return strings.Compare(a.codes, b.codes)
			case a.defaultLeft:
				return -1
			}
			return 1
		})
		var codes []uint32
		for _, s := range of {
			s.eachCode(func(code uint32) { codes = append(codes, code) })
		}
		slices.Sort(codes)
		codes = slices.Compact(codes)
		if size += (len(codes) + 2) * len(of); size > maxCategoryBytes {
			return fmt.Errorf("its category sets take a table of more than %d bytes", maxCategoryBytes)
		}
		for i, s := range of {
			sets[s] = uint16(c.count + i)
		}
		c.categorical = append(c.categorical, newCategoricalFeature(int(feature), c.count, codes, of))
		c.count += len(of)
	}
	return nil
}

func newCategoricalFeature(feature, first int, codes []uint32, sets []setColumn) categoricalFeature {
	f := categoricalFeature{feature: feature, first: first, width: len(sets), codes: newSortedKeys(codes)}
	f.bytes = make([]byte, (len(codes)+2)*len(sets))
	for i, s := range sets {
		s.eachCode(func(code uint32) {
			at, _ := slices.BinarySearch(codes, code)
			f.bytes[at*f.width+i] = 1
		})
		if !s.defaultLeft {
			f.bytes[(len(codes)+1)*f.width+i] = 1
		}
	}
	return f
}
