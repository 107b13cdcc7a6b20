//go:build amd64 && !purego

package forest

// halfPermuted is how many columns two registers hold; a row of no more takes fewer instructions than one of maxPermuted.
const halfPermuted = 128

// singleRows score one row in two steps. Comparing the row's bytes, permuted into the order of the splits, gives words of
// 64 outcomes; categories without columns add theirs. Then each word leads to the leaf of one tree, or of two.
type singleRows[V number] struct {
	quantiser *vectorQuantiser
	words     []wordTests
	find      func(outcomes *uint64, words *wordTests, n int, row *byte)
	masks     []categoryMasks // of the words
	trees     singleTrees[V]
}

// wordTests are the tests whose outcomes are the bits of a word.
type wordTests struct{ column, threshold [64]uint8 }

// singleTrees are what words lead to.
type singleTrees[V number] interface {
	// add writes the leaves of the words from the first on, which are not none, and returns sum plus each of them. It
	// takes the outcomes' memory.
	add(leaves []V, outcomes []uint64, first int, sum V) V
}

// newSingleRows returns f's trees, or nil if they are too large, or have too many columns. The quantiser is that of tests.
func newSingleRows[V number](f *Forest, tests *nodeTests, quantiser *vectorQuantiser, shallow bool) *singleRows[V] {
	masked := tests.sets == nil
	if tests.columns.count > maxPermuted && len(tests.columns.categorical) > 0 {
		tests, masked = tests.numeric(), true
		numbers := newVectorQuantiser(tests.columns)
		quantiser = &numbers
	}
	if tests.columns.count > maxPermuted {
		return nil
	}
	p := &singleRows[V]{quantiser: quantiser, find: findOutcomesAVX512}
	if tests.columns.count > halfPermuted {
		p.find = findLongOutcomesAVX512
	}
	var splits []placedSplit
	words := 0
	if shallow {
		words = (len(f.Trees) + treesPerStep - 1) / treesPerStep * treesPerStep
		p.trees, splits = newBlockLeaves[V](f.Trees, words)
	} else {
		words = (len(f.Trees) + 1) / 2
		if p.trees, splits = newMatchedTrees[V](f.Trees, words); p.trees == nil {
			return nil
		}
	}
	p.words = newWordTests(tests, splits, words)
	if masked {
		var ok bool
		if p.masks, ok = newCategoryMasks(f, splits, words); !ok {
			return nil
		}
	}
	return p
}

// newWordTests returns the words of splits; no row goes right at a bit without a split.
func newWordTests(tests *nodeTests, splits []placedSplit, words int) []wordTests {
	all := make([]wordTests, words)
	for i := range all {
		for k := range all[i].threshold {
			all[i].threshold[k] = neverRight
		}
	}
	for _, s := range splits {
		test := tests.of(s.tree, s.node)
		all[s.mask].column[s.bit], all[s.mask].threshold[s.bit] = uint8(test.column), test.threshold
	}
	return all
}

// addRow writes a row's leaves to s, and returns sum plus each of them.
func (p *singleRows[V]) addRow(s *vectorScratch[V], row []float64, sum V) V {
	p.quantiser.quantiseRow(s.columns, s.ranks, row)
	for first := 0; first < len(p.words); first += treesPerCall {
		p.find(&s.outcomes[first], &p.words[first], min(treesPerCall, len(p.words)-first), &s.columns[0])
	}
	for k := range p.masks {
		m := &p.masks[k]
		addOutcomes(s.outcomes, m.of(m.place(row[m.feature])))
	}
	for first := 0; first < len(p.words); first += treesPerCall {
		sum = p.trees.add(s.leaves, s.outcomes[first:min(first+treesPerCall, len(p.words))], first, sum)
	}
	return sum
}

// addOutcomes adds masks to the first outcomes, four at a time, which takes a third less.
func addOutcomes(outcomes, masks []uint64) {
	outcomes = outcomes[:len(masks)]
	for ; len(masks) >= 4 && len(outcomes) >= 4; masks, outcomes = masks[4:], outcomes[4:] {
		outcomes[0] |= masks[0]
		outcomes[1] |= masks[1]
		outcomes[2] |= masks[2]
		outcomes[3] |= masks[3]
	}
	for i, mask := range masks {
		outcomes[i] |= mask
	}
}

// findOutcomesAVX512 writes n > 0 words of outcomes of a row of halfPermuted bytes.
//
//go:noescape
func findOutcomesAVX512(outcomes *uint64, words *wordTests, n int, row *byte)

// findLongOutcomesAVX512 is findOutcomesAVX512 for a row of maxPermuted bytes.
//
//go:noescape
func findLongOutcomesAVX512(outcomes *uint64, words *wordTests, n int, row *byte)
