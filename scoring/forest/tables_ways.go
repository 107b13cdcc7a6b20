package forest

import (
	"encoding/binary"
	"slices"
	"unsafe"
)

// minColumnRows is the fewest rows that are worth turning into columns.
const minColumnRows = 12

// outcomes finds the ways that rows go at the splits of the trees.
type outcomes struct {
	// columns quantise rows, and tests are the trees' splits then; both are nil for a forest that
	// cannot be quantised, of whose splits there are nodes.
	columns *columns
	tests   []treeTests
	splits  [][]placedSplit
	// masks add the ways at splits on categories, if those have no columns.
	masks []categoryMasks
}

// treeTests are a tree's splits by slot, as quantised rows answer them. No row goes right at a slot
// without a split.
type treeTests struct {
	column    [maxSlots]uint16
	threshold [maxSlots]uint8
}

// newOutcomes uses tests, which may be nil, for a forest without categories, or with too many for masks.
func newOutcomes(f *Forest, tests *nodeTests, trees []*paddedTree) outcomes {
	var o outcomes
	splits := slotSplits(trees)
	if masks, ok := newCategoryMasks(f, slices.Concat(splits...), len(trees)); ok && len(masks) > 0 {
		o.masks, tests = masks, numericTests(f, tests)
	}
	if tests == nil {
		// The columns are bounded, and the forest is not refused for that: its splits are asked as they are.
		return outcomes{splits: splits}
	}
	o.columns, o.tests = tests.columns, make([]treeTests, len(trees))
	for i := range o.tests {
		t := &o.tests[i]
		for slot := range t.threshold {
			t.threshold[slot] = neverRight
		}
		for _, s := range splits[i] {
			test := tests.of(s.tree, s.node)
			t.column[s.bit], t.threshold[s.bit] = test.column, test.threshold
		}
	}
	return o
}

// slotSplits are the splits of each tree, each tree a mask with a bit for each slot.
func slotSplits(trees []*paddedTree) [][]placedSplit {
	splits := make([][]placedSplit, len(trees))
	for i, t := range trees {
		for slot, node := range t.nodes {
			if node >= 0 {
				splits[i] = append(splits[i], placedSplit{t.Tree, &t.Nodes[node], i, slot})
			}
		}
	}
	return splits
}

// stride returns the length of a quantised row.
func (o *outcomes) stride() int {
	if o.columns == nil {
		return 0
	}
	return o.columns.stride
}

// quantise quantises a block of rows, and finds the places of their categories.
func (o *outcomes) quantise(s *tableScratch, f *Forest, rows []float64) {
	if o.columns == nil {
		return
	}
	for r, at := 0, 0; at < len(rows); r, at = r+1, at+f.NumFeature {
		o.columns.quantise(s.rows[r*o.columns.stride:][:o.columns.stride], rows[at:at+f.NumFeature])
		for k := range o.masks {
			s.places[k*tableRows+r] = int32(o.masks[k].place(rows[at+o.masks[k].feature]))
		}
	}
}

// transpose turns n quantised rows into columns, if that pays for find.
func (o *outcomes) transpose(s *tableScratch, n int) {
	if o.columns == nil || n < minColumnRows {
		return
	}
	for r := range n {
		for c, x := range s.rows[r*o.columns.stride:][:o.columns.count] {
			s.columns[(r/blockRows*o.columns.stride+c)*blockRows+r%blockRows] = x
		}
	}
}

// find sets s.ways to those of the rows in the trees from first to last. The rows are quantised and
// transposed.
func (o *outcomes) find(s *tableScratch, f *Forest, first, last int, rows []float64) {
	n := len(rows) / f.NumFeature
	for i := first; i < last; i++ {
		if o.columns != nil && n >= minColumnRows {
			for r := 0; r < n; r += blockRows {
				o.tests[i].blockWays((*[blockRows]uint64)(s.ways[i-first][r:]), s.columns[r*o.columns.stride:])
			}
			continue
		}
		ways := s.ways[i-first][:n]
		for r := range ways {
			if o.columns != nil {
				ways[r] = o.tests[i].ways(s.rows[r*o.columns.stride:][:o.columns.stride])
			} else {
				ways[r] = waysOf(f, o.splits[i], rows[r*f.NumFeature:][:f.NumFeature])
			}
		}
	}
}

// mask adds to s.ways what the categories of n rows say of trees.
func (o *outcomes) mask(s *tableScratch, first, trees, n int) {
	for k := range o.masks {
		for r, place := range s.places[k*tableRows:][:n] {
			for i, mask := range o.masks[k].of(int(place))[first : first+trees] {
				s.ways[i][r] |= mask
			}
		}
	}
}

// waysOf returns a bit for each slot: 1 if the row goes right.
func waysOf(f *Forest, splits []placedSplit, row []float64) (ways uint64) {
	for _, s := range splits {
		if !f.goesLeft(s.tree, s.node, row[s.node.Feature]) {
			ways |= 1 << s.bit
		}
	}
	return ways
}

// ways returns a bit for each slot: 1 if the row goes right. It reads without bounds checks: the columns
// are those that the row was quantised into.
func (t *treeTests) ways(row []byte) uint64 {
	const quarter = maxSlots / 4
	var w0, w1, w2, w3 uint64
	for slot := range quarter {
		// The sign of a difference is an outcome; it comes in at the top, and the last 16 stay there.
		w0 = w0>>1 | t.difference(row, slot)&(1<<63)
		w1 = w1>>1 | t.difference(row, slot+quarter)&(1<<63)
		w2 = w2>>1 | t.difference(row, slot+2*quarter)&(1<<63)
		w3 = w3>>1 | t.difference(row, slot+3*quarter)&(1<<63)
	}
	return w0>>48 | w1>>32 | w2>>16 | w3
}

// difference is negative if the row goes right at a slot.
func (t *treeTests) difference(row []byte, slot int) uint64 {
	x := *(*byte)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(row)), uintptr(t.column[slot])))
	return uint64(t.threshold[slot]) - uint64(x)
}

// blockWays sets ways to those of 64 rows, whose bytes are side by side in each column. It compares 8 at
// a time, in the bytes of a word.
func (t *treeTests) blockWays(ways *[blockRows]uint64, columns []byte) {
	const each, high, words = 0x01010101_01010101, 0x80808080_80808080, blockRows / 8
	clear(ways[:])
	for first := 0; first < maxSlots; first += 8 {
		var bits [words]uint64
		for slot := first; slot < first+8; slot++ {
			column := (*[blockRows]byte)(columns[int(t.column[slot])*blockRows:])
			threshold := uint64(t.threshold[slot]) * each
			for w := range bits {
				x := binary.LittleEndian.Uint64(column[8*w : 8*w+8])
				// The high bit of a byte of less is 0 where x is greater in the lower seven bits.
				less := (threshold | high) - x&^high
				greater := x&^threshold | ^(x ^ threshold | less)
				bits[w] = bits[w]>>1 | greater&high
			}
		}
		for w, b := range bits {
			for i := range 8 {
				ways[8*w+i] |= b >> (8 * i) & 0xff << first
			}
		}
	}
}
