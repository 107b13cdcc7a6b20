//go:build amd64 && !purego

package forest

import "golang.org/x/sys/cpu"

// vectorTables are the pattern tables as the assembly looks them up.
type vectorTables struct {
	trees []lookupTree
	// sources is by tree, where the forest has more than 8 features.
	sources []treeSources
	// narrow says, by tree, that it has at most 32 places.
	narrow []bool
}

// treeSources says for each subtree and place which lane of the entry belongs there.
type treeSources [maxSubtrees][maxSlots]uint8

// A lookupTree is a patternTree as the assembly reads it. Subtrees that fill up four have entry 0.
type lookupTree struct {
	// selectors are the slots whose ways make a pattern: 8 for each subtree, the lowest bit's first.
	selectors [maxSubtrees * 8]uint8
	// first are the subtrees' first entries.
	first [maxSubtrees]uint32
	// flips turn ways into the bits of satisfied splits.
	flips [maxSubtrees]uint8
	// fours is the number of subtrees, in fours.
	fours uint64
}

// newVectorTables returns the tables for the assembly, or nil if this CPU cannot run it.
func newVectorTables(p *patternTables) *vectorTables {
	if !hasAVX512() || !cpu.X86.HasAVX512BITALG {
		return nil
	}
	v := &vectorTables{trees: make([]lookupTree, len(p.trees))}
	for i := range p.trees {
		v.trees[i] = newLookupTree(&p.trees[i])
		if p.places != entryLanes {
			v.sources = append(v.sources, newTreeSources(&p.trees[i]))
			v.narrow = append(v.narrow, len(p.trees[i].features) <= 32)
		}
	}
	return v
}

func newLookupTree(t *patternTree) lookupTree {
	l := lookupTree{fours: uint64(len(t.subtrees)+3) / 4}
	for i := range t.subtrees {
		s := &t.subtrees[i]
		selector := l.selectors[8*i:][:8]
		selector[0], selector[1], selector[2] = uint8(2*s.slot), uint8(2*s.slot+1), uint8(s.slot)
		// The bits above those of a pattern select slot 0, at which no row goes right.
		slot := s.slot
		for bit := 3; t.mask>>bit > 0; bit++ {
			if slot%2 == 0 { // the path goes left
				l.flips[i] |= 1 << bit
			}
			slot /= 2
			selector[bit] = uint8(slot)
		}
		l.first[i] = s.first
	}
	return l
}

// A place without a lane gets the last one, which is always 0.
func newTreeSources(t *patternTree) (lanes treeSources) {
	for i := range lanes {
		for place := range lanes[i] {
			lanes[i][place] = entryLanes - 1
		}
		if i < len(t.subtrees) {
			for lane, place := range t.subtrees[i].lanes {
				if place != noPlace {
					lanes[i][place] = uint8(lane)
				}
			}
		}
	}
	return lanes
}

// finds reports whether find can find the ways; v may be nil.
func (v *vectorTables) finds(o *outcomes) bool {
	return v != nil && o.columns != nil && o.columns.count <= maxPermuted
}

// find sets s.ways to those of n quantised rows in trees.
func (v *vectorTables) find(s *tableScratch, o *outcomes, first, trees, n int) {
	stride := o.columns.stride
	switch {
	case stride <= 64:
		findWays64(&s.ways[0], &o.tests[first], trees, &s.rows[0], stride, n)
	case stride <= 128:
		findWays128(&s.ways[0], &o.tests[first], trees, &s.rows[0], stride, n)
	default:
		findWays256(&s.ways[0], &o.tests[first], trees, &s.rows[0], stride, n)
	}
}

// add adds what trees contribute to s.phi. A single row leaves nothing in the cache for the next, and the instructions that add
// hold too few trees to wait for many lines at once: its entries are asked for beforehand.
func (v *vectorTables) add(s *tableScratch, p *patternTables, first, trees, n int) {
	if n == 1 {
		prefetchEntries(&s.ways[0], &p.entries[0], &v.trees[first], trees)
	}
	switch p.places {
	case entryLanes:
		addEntries8(&s.phi[0], &s.ways[0], &p.entries[0], &v.trees[first], trees, n)
	case 16:
		addEntries16(&s.phi[0], &s.ways[0], &p.entries[0], &v.trees[first], &v.sources[first], trees, n)
	default:
		addEntries32(&s.phi[0], &s.ways[0], &p.entries[0], &v.trees[first], &v.sources[first], trees, n)
	}
}

// sum sets s.sums to what a tree contributes, whose ways are s.ways[at].
func (v *vectorTables) sum(s *tableScratch, entries []entry, tree, at, n int) {
	if v.narrow[tree] {
		sumEntries32(&s.sums[0], &s.ways[at], &entries[0], &v.trees[tree], &v.sources[tree], n)
	} else {
		sumEntries64(&s.sums[0], &s.ways[at], &entries[0], &v.trees[tree], &v.sources[tree], n)
	}
}

// The functions of tables_amd64.s take n >= 1 rows and trees >= 1. What they rely on: the quantised rows
// have the columns that the tests name, and 64 bytes of any content behind the last one; the trees'
// entries lie within entries; and the types' sizes are those that they name.

// findWays64 sets ways[tree][row]; a row has up to 64 columns.
//
//go:noescape
func findWays64(ways *[tableRows]uint64, tests *treeTests, trees int, rows *byte, stride, n int)

// findWays128 sets ways[tree][row]; a row has up to 128 columns.
//
//go:noescape
func findWays128(ways *[tableRows]uint64, tests *treeTests, trees int, rows *byte, stride, n int)

// findWays256 sets ways[tree][row]; a row has up to 256 columns.
//
//go:noescape
func findWays256(ways *[tableRows]uint64, tests *treeTests, trees int, rows *byte, stride, n int)

// prefetchEntries has the entries of the first row brought into the cache.
//
//go:noescape
func prefetchEntries(ways *[tableRows]uint64, entries *entry, tree *lookupTree, trees int)

// addEntries8 adds each tree's sum of entries to phi[row], 8 numbers.
//
//go:noescape
func addEntries8(phi *float64, ways *[tableRows]uint64, entries *entry, tree *lookupTree, trees, n int)

// addEntries16 adds each tree's sums of entries by place to phi[row], 16 numbers.
//
//go:noescape
func addEntries16(phi *float64, ways *[tableRows]uint64, entries *entry, tree *lookupTree, sources *treeSources, trees, n int)

// addEntries32 adds each tree's sums of entries by place to phi[row], 32 numbers.
//
//go:noescape
func addEntries32(phi *float64, ways *[tableRows]uint64, entries *entry, tree *lookupTree, sources *treeSources, trees, n int)

// sumEntries32 sets the first 32 of sums[row] to the tree's sums of entries by place.
//
//go:noescape
func sumEntries32(sums *[maxSlots]float32, ways *[tableRows]uint64, entries *entry, tree *lookupTree, sources *treeSources, n int)

// sumEntries64 sets all of sums[row].
//
//go:noescape
func sumEntries64(sums *[maxSlots]float32, ways *[tableRows]uint64, entries *entry, tree *lookupTree, sources *treeSources, n int)
