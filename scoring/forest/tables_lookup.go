package forest

import (
	"encoding/binary"
	"unsafe"
)

// outcomes finds the ways that rows go at the splits of the trees.
type outcomes struct {
	// columns quantise rows, and tests are the trees' splits then; both are nil for a forest that
	// cannot be quantised, of whose splits there are nodes.
	columns *columns
	tests   []treeTests
	splits  [][]slotSplit
}

// treeTests are a tree's splits by slot, as quantised rows answer them. No row goes right at a slot
// without a split.
type treeTests struct {
	column    [maxSlots]uint16
	threshold [maxSlots]uint8
}

// A slotSplit is a split and its slot.
type slotSplit struct {
	tree       *Tree
	slot, node int32
}

func newOutcomes(f *Forest, trees []*paddedTree) outcomes {
	c, tests, err := newColumns(f)
	if err != nil {
		// The columns are bounded, and the forest is not refused for that: its splits are asked as they are.
		return outcomes{splits: slotSplits(trees)}
	}
	o := outcomes{columns: c, tests: make([]treeTests, len(trees))}
	for i, t := range trees {
		for slot, node := range t.nodes {
			o.tests[i].threshold[slot] = neverRight
			if node >= 0 {
				test := tests.of(t.Tree, &t.Nodes[node])
				o.tests[i].column[slot], o.tests[i].threshold[slot] = test.column, test.threshold
			}
		}
	}
	return o
}

func slotSplits(trees []*paddedTree) [][]slotSplit {
	splits := make([][]slotSplit, len(trees))
	for i, t := range trees {
		for slot, node := range t.nodes {
			if node >= 0 {
				splits[i] = append(splits[i], slotSplit{t.Tree, int32(slot), node})
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

// quantise quantises a block of rows.
func (o *outcomes) quantise(s *tableScratch, f *Forest, rows []float64) {
	if o.columns == nil {
		return
	}
	for r, at := 0, 0; at < len(rows); r, at = r+1, at+f.NumFeature {
		o.columns.quantise(s.rows[r*o.columns.stride:][:o.columns.stride], rows[at:at+f.NumFeature])
	}
}

// find sets s.ways to those of the rows in the trees from first to last.
func (o *outcomes) find(s *tableScratch, f *Forest, first, last int, rows []float64) {
	n := len(rows) / f.NumFeature
	for i := first; i < last; i++ {
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

// waysOf returns a bit for each slot: 1 if the row goes right.
func waysOf(f *Forest, splits []slotSplit, row []float64) (ways uint64) {
	for _, s := range splits {
		if n := &s.tree.Nodes[s.node]; !f.goesLeft(s.tree, n, row[n.Feature]) {
			ways |= 1 << s.slot
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

// pass takes up to tableTrees trees of one group, from the first on, and adds what they contribute to
// s.phi, or to dst if the forest has more than 8 features. It returns the first tree after them.
func (p *patternTables) pass(s *tableScratch, f *Forest, rows []float64, first int, dst []float64) (last int) {
	n, stride := len(rows)/f.NumFeature, f.NumGroup*(f.NumFeature+1)
	last = first + 1
	for last < min(first+tableTrees, len(p.trees)) && p.trees[last].group == p.trees[first].group {
		last++
	}
	vector := p.vector
	if f.Kernel() != KernelAVX512 {
		vector = nil
	}
	if vector == nil || !vector.find(&s.ways, &p.outcomes, first, last-first, s.rows, n) {
		p.find(s, f, first, last, rows)
	}
	switch {
	case f.NumFeature > maxForestPlaces:
		for i := first; i < last; i++ {
			t := &p.trees[i]
			if vector != nil {
				vector.sum(s, p.entries, i, i-first, n)
			} else {
				t.sum(s.sums[:n], s.ways[i-first][:n], p.entries)
			}
			for r := range n {
				phi := dst[r*stride:][:f.NumFeature]
				for k, feature := range t.features {
					phi[feature] += float64(s.sums[r][k])
				}
			}
		}
	case vector != nil:
		vector.add(s, p, first, last-first, n)
	default:
		for i := first; i < last; i++ {
			p.add(s, i, s.ways[i-first][:n])
		}
	}
	return last
}

// add adds what a tree contributes to s.phi.
func (p *patternTables) add(s *tableScratch, tree int, ways []uint64) {
	t := &p.trees[tree]
	if p.places == entryLanes {
		t.add(&s.phi, ways, p.entries)
		return
	}
	t.sum(s.sums[:len(ways)], ways, p.entries)
	for r := range ways {
		phi := s.phi[r*p.places:][:p.places]
		for k, sum := range s.sums[r][:p.places] {
			phi[k] += float64(sum)
		}
	}
}

// add adds what the tree contributes to rows, whose places are the lanes.
func (t *patternTree) add(phi *[blockRows * maxForestPlaces]float64, ways []uint64, entries []entry) {
	for r, w := range ways {
		patterns := patternsOf(w)
		var s0, s1, s2, s3, s4, s5, s6, s7 float32
		for i := range t.subtrees {
			s := &t.subtrees[i]
			e := &entries[s.first+uint32(patterns[s.slot%maxSubtrees]&t.mask)]
			s0, s1, s2, s3 = s0+e[0], s1+e[1], s2+e[2], s3+e[3]
			s4, s5, s6, s7 = s4+e[4], s5+e[5], s6+e[6], s7+e[7]
		}
		to := phi[r*entryLanes:][:entryLanes]
		to[0], to[1], to[2], to[3] = to[0]+float64(s0), to[1]+float64(s1), to[2]+float64(s2), to[3]+float64(s3)
		to[4], to[5], to[6], to[7] = to[4]+float64(s4), to[5]+float64(s5), to[6]+float64(s6), to[7]+float64(s7)
	}
}

// sum sets sums to what the tree contributes to rows.
func (t *patternTree) sum(sums [][maxSlots]float32, ways []uint64, entries []entry) {
	for r, w := range ways {
		patterns := patternsOf(w)
		sum := &sums[r]
		clear(sum[:])
		for i := range t.subtrees {
			s := &t.subtrees[i]
			e := &entries[s.first+uint32(patterns[s.slot%maxSubtrees]&t.mask)]
			for lane, place := range s.lanes {
				sum[place%maxSlots] += e[lane]
			}
		}
	}
}

// patternsOf returns the patterns of the subtrees below the slots 16 to 31, with bits for the splits that
// a tree of a smaller depth hangs below. It works on 8 subtrees at a time, a byte each.
func patternsOf(ways uint64) (patterns [maxSubtrees]uint8) {
	const (
		each = 0x01010101_01010101
		// lefts are the bits of splits that a subtree is to the left of: its path is satisfied if the row
		// does not go right there.
		lefts = 0x00000000_20202020 ^ 0x00001010_00001010 ^ 0x00080008_00080008
	)
	root := ways>>1&1*each<<6 ^ each<<6
	for half := range 2 {
		// The splits of a level lie side by side; each one's bit goes to the bytes of the subtrees below.
		level1 := ways >> (2 + half) & 1 * each << 5
		level2 := spread(ways>>(4+2*half)&3, 31, 0x00000001_00000001) * 0x01010101 << 4
		level3 := spread(ways>>(8+4*half)&0xf, 30, 0x00000003_00000003)
		level3 = spread(level3, 15, 0x00010001_00010001) * 0x0101 << 3
		own := spread(ways>>(16+8*half)&0xff, 28, 0x0000000f_0000000f)
		own = spread(spread(own, 14, 0x00030003_00030003), 7, each) << 2
		children := spread(ways>>(32+16*half)&0xffff, 24, 0x000000ff_000000ff)
		children = spread(spread(children, 12, 0x000f000f_000f000f), 6, 3*each)
		bits := (root | level1 | level2 | level3 | own | children) ^ lefts
		binary.LittleEndian.PutUint64(patterns[8*half:], bits)
		root ^= each << 6 // the other half is to the right of it
	}
	return patterns
}

// spread moves the upper half of each group of bits up by a distance, and keeps the bits of mask.
func spread(bits uint64, distance int, mask uint64) uint64 { return (bits | bits<<distance) & mask }
