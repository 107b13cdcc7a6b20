package forest

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
				ways[r] = waysOf(o.splits[i], rows[r*f.NumFeature:][:f.NumFeature])
			}
		}
	}
}

// waysOf returns a bit for each slot: 1 if the row goes right.
func waysOf(splits []slotSplit, row []float64) (ways uint64) {
	for _, s := range splits {
		if n := &s.tree.Nodes[s.node]; !s.tree.goesLeft(n, float32(row[n.Feature])) {
			ways |= 1 << s.slot
		}
	}
	return ways
}

// ways returns a bit for each slot: 1 if the row goes right.
func (t *treeTests) ways(row []byte) (ways uint64) {
	for slot := range maxSlots {
		// The sign of the difference is the outcome; it comes in at the top and ends up at the slot's bit.
		less := uint64(t.threshold[slot]) - uint64(row[t.column[slot]])
		ways = ways>>1 | less&(1<<63)
	}
	return ways
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
	var above [maxSlots / 2]uint32
	for r, w := range ways {
		t.satisfied(&above, w)
		var s0, s1, s2, s3, s4, s5, s6, s7 float32
		for i := range t.subtrees {
			e := &entries[t.subtrees[i].entry(&above, w)]
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
	var above [maxSlots / 2]uint32
	for r, w := range ways {
		t.satisfied(&above, w)
		sum := &sums[r]
		clear(sum[:])
		for i := range t.subtrees {
			s := &t.subtrees[i]
			e := &entries[s.entry(&above, w)]
			for lane, place := range s.lanes {
				sum[place%maxSlots] += e[lane]
			}
		}
	}
}

// satisfied sets above[slot], for the slots down to the roots of the subtrees, to the bits of the splits
// above it, from the root down: 1 where the row goes towards the slot.
func (t *patternTree) satisfied(above *[maxSlots / 2]uint32, ways uint64) {
	above[1] = 0
	for slot := uint32(1); slot < 1<<t.depth/4; slot++ {
		right := uint32(ways>>slot) & 1
		above[(2*slot)%(maxSlots/2)] = above[slot%(maxSlots/2)]<<1 | (right ^ 1)
		above[(2*slot+1)%(maxSlots/2)] = above[slot%(maxSlots/2)]<<1 | right
	}
}

// entry returns the index of the entry for the pattern of a row.
func (s *subtree) entry(above *[maxSlots / 2]uint32, ways uint64) uint32 {
	own := uint32(ways>>(s.slot&63))&1<<2 | uint32(ways>>(2*s.slot&63))&3
	return s.first + above[s.slot%(maxSlots/2)]<<3 + own
}
