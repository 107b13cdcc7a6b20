//go:build amd64 && !purego

package forest

import "math"

// A tree of up to 32 leaves scores a single row by comparing its outcomes with those of each leaf: the row
// ends in the leaf whose path asks, at every split on it, for the outcome that the row has. One comparison
// of 64 bytes gives the outcomes of two trees.

const (
	// maxMatched is how many leaves have their paths in two registers, and one more than the splits.
	maxMatched = 32
	// unused is a bit of no split, in which outcomes are 0 and unused leaves ask for 1.
	unused = 1 << (maxMatched - 1)
)

// A matchedPair is two trees, their splits numbered parents first. All arrays are by tree.
type matchedPair[V number] struct {
	column, threshold [2][maxMatched]uint8
	// want are the splits on a leaf's path at which it lies on the right; care are all on its path.
	want, care [2][maxMatched]uint32
	leaf       [2][maxMatched]V
}

// A matchedForest is all trees in turn; a tree that pads it adds -0, which changes no sum.
type matchedForest[V number] struct {
	pairs []matchedPair[V]
	add   func(leaves *V, pairs *matchedPair[V], n int, row *byte, masks *uint64, sum V) V
}

// newMatchedForest returns f's trees for rows of the size, or nil if one has more leaves; and their splits, each pair a
// mask with a bit for each.
func newMatchedForest[V number](f *Forest, tests *nodeTests, size rowSize) (vectorSingle[V], []placedSplit) {
	add := [...]func(*V, *matchedPair[V], int, *byte, *uint64, V) V{
		halfRow:   ofType[func(*V, *matchedPair[V], int, *byte, *uint64, V) V](addMatchedAVX512, addMatchedF64AVX512),
		longRow:   ofType[func(*V, *matchedPair[V], int, *byte, *uint64, V) V](addLongMatchedAVX512, addLongMatchedF64AVX512),
		maskedRow: ofType[func(*V, *matchedPair[V], int, *byte, *uint64, V) V](addMaskedMatchedAVX512, addMaskedMatchedF64AVX512),
	}
	made := matchedForest[V]{make([]matchedPair[V], (len(f.Trees)+1)/2), add[size]}
	var splits []placedSplit
	for i := range 2 * len(made.pairs) {
		m := matchedTree[V]{pair: &made.pairs[i/2], half: i % 2}
		for k := range maxMatched {
			m.pair.threshold[m.half][k] = neverRight
			m.pair.want[m.half][k], m.pair.care[m.half][k] = unused, math.MaxUint32
		}
		padding := Tree{Nodes: []Node{{Leaf: math.Copysign(0, -1)}}}
		t := &padding
		if i < len(f.Trees) {
			t = &f.Trees[i]
		}
		if (len(t.Nodes)+1)/2 > maxMatched {
			return nil, nil
		}
		m.place(tests, t, 0, 0, 0)
		for k, n := range m.nodes {
			splits = append(splits, placedSplit{t, n, i / 2, m.half*maxMatched + k})
		}
	}
	return made, splits
}

// A matchedTree is one of a pair while it is made.
type matchedTree[V number] struct {
	pair         *matchedPair[V]
	half, leaves int
	nodes        []*Node // of its splits
}

// place adds a node, and what is below it, whose path wants and cares for the splits that it says.
func (m *matchedTree[V]) place(tests *nodeTests, t *Tree, node int32, want, care uint32) {
	n, p := &t.Nodes[node], m.pair
	if n.Left == 0 {
		p.want[m.half][m.leaves], p.care[m.half][m.leaves] = want, care
		p.leaf[m.half][m.leaves] = V(n.Leaf)
		m.leaves++
		return
	}
	split := len(m.nodes)
	test, bit := tests.of(t, n), uint32(1)<<split
	p.column[m.half][split], p.threshold[m.half][split] = uint8(test.column), test.threshold
	m.nodes = append(m.nodes, n)
	m.place(tests, t, n.Left, want, care|bit)
	m.place(tests, t, n.Right, want|bit, care|bit)
}

func (f matchedForest[V]) addRow(s *vectorScratch[V], sum V) V {
	const pairs = treesPerCall / 2
	for first := 0; first < len(f.pairs); first += pairs {
		n := min(pairs, len(f.pairs)-first)
		sum = f.add(&s.leaves[2*first], &f.pairs[first], n, &s.columns[0], s.rightsFrom(first), sum)
	}
	return sum
}

// addMatchedAVX512 writes the leaves of n > 0 pairs of trees for one row of halfPermuted bytes, and returns
// sum plus each of them.
//
//go:noescape
func addMatchedAVX512(leaves *float32, pairs *matchedPair[float32], n int, row *byte, masks *uint64, sum float32) float32

//go:noescape
func addMatchedF64AVX512(leaves *float64, pairs *matchedPair[float64], n int, row *byte, masks *uint64, sum float64) float64

// addLongMatchedAVX512 is addMatchedAVX512 for a row of maxPermuted bytes.
//
//go:noescape
func addLongMatchedAVX512(leaves *float32, pairs *matchedPair[float32], n int, row *byte, masks *uint64, sum float32) float32

//go:noescape
func addLongMatchedF64AVX512(leaves *float64, pairs *matchedPair[float64], n int, row *byte, masks *uint64, sum float64) float64

// addMaskedMatchedAVX512 is addLongMatchedAVX512 with a mask for each pair, of the splits at which the row goes right
// besides.
//
//go:noescape
func addMaskedMatchedAVX512(leaves *float32, pairs *matchedPair[float32], n int, row *byte, masks *uint64, sum float32) float32

//go:noescape
func addMaskedMatchedF64AVX512(leaves *float64, pairs *matchedPair[float64], n int, row *byte, masks *uint64, sum float64) float64
