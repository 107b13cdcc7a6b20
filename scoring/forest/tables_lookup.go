package forest

import "encoding/binary"

// pass takes trees of one group, from the first on, and adds what they contribute to s.phi, or to dst if
// each tree has places of its own. It returns the first tree after them.
func (p *patternTables) pass(s *tableScratch, f *Forest, vector *vectorTables, rows []float64, first int, dst []float64) (last int) {
	n, stride := len(rows)/f.NumFeature, f.NumGroup*(f.NumFeature+1)
	most := tableTrees
	if n > blockRows {
		most /= tableRows / blockRows
	}
	last = first + 1
	for last < min(first+most, len(p.trees)) && p.trees[last].group == p.trees[first].group {
		last++
	}
	if vector.finds(&p.outcomes) {
		vector.find(s, &p.outcomes, first, last-first, n)
	} else {
		p.find(s, f, first, last, rows)
	}
	p.mask(s, first, last-first, n)
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
func (t *patternTree) add(phi *[tableRows * maxForestPlaces]float64, ways []uint64, entries []entry) {
	var patterns [maxSubtrees]uint8
	mask := t.mask
	for r, w := range ways {
		setPatterns(&patterns, w)
		var s0, s1, s2, s3, s4, s5, s6, s7 float32
		for i := range t.subtrees {
			s := &t.subtrees[i]
			e := &entries[s.first+uint32(patterns[s.slot%maxSubtrees]&mask)]
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
	var patterns [maxSubtrees]uint8
	mask := t.mask
	for r, w := range ways {
		setPatterns(&patterns, w)
		sum := &sums[r]
		clear(sum[:])
		for i := range t.subtrees {
			s := &t.subtrees[i]
			e := &entries[s.first+uint32(patterns[s.slot%maxSubtrees]&mask)]
			for lane, place := range s.lanes {
				sum[place%maxSlots] += e[lane]
			}
		}
	}
}

// setPatterns sets the patterns of the subtrees below the slots 16 to 31, with bits for the splits that
// a tree of a smaller depth hangs below. It works on 8 subtrees at a time, a byte each.
func setPatterns(patterns *[maxSubtrees]uint8, ways uint64) {
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
}

// spread moves the upper half of each group of bits up by a distance, and keeps the bits of mask.
func spread(bits uint64, distance int, mask uint64) uint64 { return (bits | bits<<distance) & mask }
