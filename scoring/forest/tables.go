package forest

import "sync"

// Pattern tables hold the SHAP values of whole subtrees, ready to be added up.
//
// What a leaf contributes depends on the row only through which splits on its path the row satisfies:
// in a tree of depth 6, on 6 bits. So a tree is padded to a complete one of its depth and cut, at its two
// lowest levels of splits, into subtrees of three splits and four leaves:
//
//	            1                    slot 1 is the root; the children of slot i are 2i and 2i+1
//	     2             3
//	  4     5       6     7          depth 4: the subtrees are those below 4, 5, 6 and 7
//	 8 9  10 11  12 13  14 15
//	.. .. .. .. .. .. .. .. .. ..    the leaves are 16 to 31
//
// A tree of a depth below 6 hangs, on the far left, below splits that all rows go left at, so that every
// tree has its subtrees below the slots 16 to 31.
//
// A pattern of a subtree consists of the bits of the splits above it, 1 where the row satisfies the
// path, from the tree's root down, and of the ways that the row takes at its own three splits, 1 for right: at
// its root, at the right child, at the left child. The entry for a pattern is the exact contribution of
// the four leaves to each feature, computed in float64 and rounded to float32.
//
// The bits of the result are defined by this order, which every kernel keeps: a tree's contribution to
// a feature is the float32 sum of its subtrees' entries from left to right, and the contribution of the
// forest is the float64 sum of those over the trees in order.
const (
	maxTableDepth = 6
	// maxTableBytes bounds the entries; a depth-6 tree takes at most 64 KiB.
	maxTableBytes = 64 << 20
	// entryLanes is the features of an entry: a subtree's leaves lie below at most 4+3 splits.
	entryLanes = 8
	// maxForestPlaces is the most features that get the same places in every tree.
	maxForestPlaces = 32
	// tableRows is how many rows are looked up in a tree's entries while these are in the cache: with
	// 256, most lines of 64 KiB serve several rows.
	tableRows = 256
	// tableTrees is how many trees one pass over up to 64 rows takes; more rows make it a quarter. It
	// bounds a call in assembly, which nothing can interrupt.
	tableTrees = 16
)

// maxSlots and maxSubtrees are those of a tree of maxTableDepth.
const (
	maxSlots    = 1 << maxTableDepth
	maxSubtrees = maxSlots / 4
)

// An entry is what a subtree contributes: with at most 8 features in the forest, lane i is that of
// feature i; else the subtree says what place a lane belongs to. Lanes without a feature are 0.
type entry [entryLanes]float32

// patternTables explains a forest of shallow trees. It is immutable.
type patternTables struct {
	entries []entry // the first one is 0
	trees   []patternTree
	// places is how many sums a row has: one for each feature, rounded up to 8, 16 or 32, or, with
	// more features, one for each of the features that a tree has.
	places int
	outcomes
	vector  *vectorTables // or nil
	scratch sync.Pool     // of *tableScratch
}

// A patternTree is a tree with splits, as its entries are looked up. Trees are ordered by group, then
// as in the forest.
type patternTree struct {
	group int
	// mask has the bits of a pattern.
	mask uint8
	// subtrees are those with leaves, from left to right.
	subtrees []subtree
	// features are those of the places where each tree has its own, else nil.
	features []int32
}

// A subtree is one of the subtrees of three splits.
type subtree struct {
	// slot is its root's, in the tree of depth 6.
	slot uint32
	// first is its first entry: that of pattern 0.
	first uint32
	// lanes are the places of each lane, if the forest has more than 8 features; a lane without a feature
	// has noPlace.
	lanes [entryLanes]uint8
}

// noPlace is a place that no feature has: a tree has at most 63.
const noPlace = maxSlots - 1

// tableScratch is the working memory of one call, for a block of rows.
type tableScratch struct {
	// rows are the quantised rows, if the forest can be quantised, and 64 bytes more.
	rows []byte
	// columns are the same, in blocks of 64 rows, column by column.
	columns []byte
	// places are those of the rows' categories, feature by feature.
	places []int32
	// ways has a bit for each split of a tree, by slot: 1 if the row goes right. It is ordered by
	// tree, then by row.
	ways [tableTrees][tableRows]uint64
	// phi has what a group's trees have added up to in each place, row by row, where all trees have the
	// same places.
	phi [tableRows * maxForestPlaces]float64
	// sums has what one tree adds to each place.
	sums [tableRows][maxSlots]float32
}

// explain adds the contributions of all trees to dst.
func (p *patternTables) explain(f *Forest, dst, rows []float64) {
	s := p.scratch.Get().(*tableScratch)
	defer p.scratch.Put(s)
	n, width := len(rows)/f.NumFeature, f.NumGroup*(f.NumFeature+1)
	for first := 0; first < n; first += tableRows {
		last := min(first+tableRows, n)
		p.explainBlock(s, f, dst[first*width:last*width], rows[first*f.NumFeature:last*f.NumFeature])
	}
}

func (p *patternTables) explainBlock(s *tableScratch, f *Forest, dst, rows []float64) {
	n, width, stride := len(rows)/f.NumFeature, f.NumFeature+1, f.NumGroup*(f.NumFeature+1)
	vector := p.vector
	if f.Kernel() != KernelAVX512 {
		vector = nil
	}
	p.quantise(s, f, rows)
	if !vector.finds(&p.outcomes) {
		p.transpose(s, n)
	}
	for first := 0; first < len(p.trees); {
		group := p.trees[first].group
		phi := s.phi[:n*p.places]
		clear(phi)
		for first < len(p.trees) && p.trees[first].group == group {
			first = p.pass(s, f, vector, rows, first, dst[group*width:])
		}
		if f.NumFeature <= maxForestPlaces {
			for r := range n {
				copy(dst[r*stride+group*width:][:f.NumFeature], phi[r*p.places:]) // they were 0
			}
		}
	}
}
