//go:build amd64 && !purego

package forest

import "math"

// A tree of up to 32 leaves scores a single row by comparing its outcomes with those of each leaf: the row
// ends in the leaf whose path asks, at every split on it, for the outcome that the row has. A word has the outcomes
// of two trees.

const (
	// maxMatched is how many leaves have their paths in two registers, and one more than the splits.
	maxMatched = 32
	// unused is a bit of no split, in which outcomes are 0 and unused leaves ask for 1.
	unused = 1 << (maxMatched - 1)
)

// A matchedPair is two trees, their splits numbered parents first. All arrays are by tree.
type matchedPair[V number] struct {
	// want are the splits on a leaf's path at which it lies on the right; care are all on its path.
	want, care [2][maxMatched]uint32
	leaf       [2][maxMatched]V
}

// matchedTrees are all trees in turn; a tree that pads them adds -0, which changes no sum.
type matchedTrees[V number] struct {
	pairs []matchedPair[V]
	sum   func(leaves *V, trees *matchedPair[V], outcomes *uint64, n int, sum V) V
}

// newMatchedTrees returns trees in so many pairs, and their splits, each pair a word with a bit for each; or nil if one
// has more leaves.
func newMatchedTrees[V number](trees []Tree, pairs int) (singleTrees[V], []placedSplit) {
	made := matchedTrees[V]{make([]matchedPair[V], pairs), ofType[func(*V, *matchedPair[V], *uint64, int, V) V](addPairsAVX512, addPairsF64AVX512)}
	var splits []placedSplit
	for i := range 2 * pairs {
		m := matchedTree[V]{pair: &made.pairs[i/2], half: i % 2}
		for k := range maxMatched {
			m.pair.want[m.half][k], m.pair.care[m.half][k] = unused, math.MaxUint32
		}
		t := &Tree{Nodes: []Node{{Leaf: math.Copysign(0, -1)}}}
		if i < len(trees) {
			t = &trees[i]
		}
		if (len(t.Nodes)+1)/2 > maxMatched {
			return nil, nil
		}
		m.place(t, 0, 0, 0)
		for k, n := range m.splits {
			splits = append(splits, placedSplit{t, n, i / 2, m.half*maxMatched + k})
		}
	}
	return made, splits
}

// A matchedTree is one of a pair while it is made.
type matchedTree[V number] struct {
	pair         *matchedPair[V]
	half, leaves int
	splits       []*Node
}

// place adds a node, and what is below it, whose path wants and cares for the splits that it says.
func (m *matchedTree[V]) place(t *Tree, node int32, want, care uint32) {
	n, p := &t.Nodes[node], m.pair
	if n.Left == 0 {
		p.want[m.half][m.leaves], p.care[m.half][m.leaves] = want, care
		p.leaf[m.half][m.leaves] = V(n.Leaf)
		m.leaves++
		return
	}
	bit := uint32(1) << len(m.splits)
	m.splits = append(m.splits, n)
	m.place(t, n.Left, want, care|bit)
	m.place(t, n.Right, want|bit, care|bit)
}

func (m matchedTrees[V]) add(leaves []V, outcomes []uint64, first int, sum V) V {
	return m.sum(&leaves[2*first], &m.pairs[first], &outcomes[0], len(outcomes), sum)
}

// addPairsAVX512 writes the leaves of n > 0 pairs of trees, and returns sum plus each of them.
//
//go:noescape
func addPairsAVX512(leaves *float32, trees *matchedPair[float32], outcomes *uint64, n int, sum float32) float32

//go:noescape
func addPairsF64AVX512(leaves *float64, trees *matchedPair[float64], outcomes *uint64, n int, sum float64) float64
