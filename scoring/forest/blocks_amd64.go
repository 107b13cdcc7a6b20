//go:build amd64 && !purego

package forest

import (
	"math"
	"math/bits"
	"unsafe"
)

// A block of rows is quantised into columns: 64 bytes, one a row. Comparing a column with a threshold
// gives the outcomes of 64 rows at one split as a mask. Taking masks of the same split in 8 trees
// as one vector, the outcomes along each row's path are picked by bitwise selection, level by level.

const (
	// treesPerStep is how many trees a vector of 64-bit masks holds.
	treesPerStep = 8
	// maskWords is the memory of addTreesAVX512: masks by slot, and outcomes by level, of treesPerStep trees.
	maskWords = (1<<blockDepth + blockDepth) * treesPerStep
)

// vectorTrees score blocks of rows. They are padded to a multiple of treesPerStep.
type vectorTrees[V number] struct {
	tests []vectorTests
	// leaves has of each tree the lowest bytes of its values, then the next.
	leaves []uint8
	add    func(sums *V, columns *byte, masks *uint64, tests *vectorTests, leaves *byte, n int)
}

// vectorTests are those of a treeBlock's slots.
type vectorTests [1 << blockDepth]vectorTest

// A vectorTest is where its column begins, and the threshold four times. In slot 0, which has no
// test, offset is where the sums of the tree's group begin.
type vectorTest struct {
	offset    uint32
	threshold [4]uint8
}

func newVectorTrees[V number](f *Forest, tests *nodeTests) vectorTrees[V] {
	n, size := (len(f.Trees)+treesPerStep-1)/treesPerStep*treesPerStep, int(unsafe.Sizeof(V(0)))
	v := vectorTrees[V]{tests: make([]vectorTests, n), leaves: make([]uint8, n*size<<blockDepth)}
	v.add = ofType[func(*V, *byte, *uint64, *vectorTests, *byte, int)](addTreesAVX512, addTreesF64AVX512)
	for i := range v.tests {
		// A tree that pads the last step adds -0, which changes no sum.
		group, b := 0, treeBlock[uint16, V]{}
		if i < len(f.Trees) {
			group, b = f.Trees[i].Group, newTreeBlock[uint16, V](tests, &f.Trees[i], blockDepth)
		} else {
			for k := range b.leaf {
				b.leaf[k] = V(math.Copysign(0, -1))
			}
		}
		t := &v.tests[i]
		for k := range t {
			t[k] = vectorTest{uint32(b.column[k]) * blockRows, four(b.threshold[k])}
		}
		t[0].offset = uint32(group * blockRows * size)
		for k, leaf := range b.leaf {
			setLeaf(v.leaves[i*size<<blockDepth:], 1<<blockDepth, k, leaf)
		}
	}
	return v
}

func four(b uint8) [4]uint8 { return [4]uint8{b, b, b, b} }

// addTreesAVX512 adds the leaves of n trees, a multiple of treesPerStep, to the sums of 64 rows.
//
//go:noescape
func addTreesAVX512(sums *float32, columns *byte, masks *uint64, tests *vectorTests, leaves *byte, n int)

//go:noescape
func addTreesF64AVX512(sums *float64, columns *byte, masks *uint64, tests *vectorTests, leaves *byte, n int)

func (v vectorTrees[V]) addBlock(s *vectorScratch[V]) {
	size := int(unsafe.Sizeof(V(0))) << blockDepth
	for first := 0; first < len(v.tests); first += treesPerCall {
		n := min(treesPerCall, len(v.tests)-first)
		v.add(&s.sums[0], &s.columns[0], &s.masks[0], &v.tests[first], &v.leaves[first*size], n)
	}
}

// blockLeaves are those of blocks, 64 of each: a block's outcomes are a word, by slot. A single row goes down eight blocks
// at a time, and blocks that pad them add -0, which changes no sum.
type blockLeaves[V number] struct {
	values []V
	sum    func(leaves, trees *V, outcomes *uint64, n int, sum V) V
}

// newBlockLeaves returns trees in so many blocks, and their splits, each block a word with a bit for each slot.
func newBlockLeaves[V number](trees []Tree, blocks int) (singleTrees[V], []placedSplit) {
	b := blockLeaves[V]{make([]V, blocks<<blockDepth), ofType[func(*V, *V, *uint64, int, V) V](addBlocksAVX512, addBlocksF64AVX512)}
	for i := range b.values {
		b.values[i] = V(math.Copysign(0, -1))
	}
	var splits []placedSplit
	for i := range trees {
		t, leaves := &trees[i], b.values[i<<blockDepth:][:1<<blockDepth]
		slots := make([]int, len(t.Nodes))
		slots[0] = 1
		for k := range t.Nodes {
			n, slot := &t.Nodes[k], slots[k]
			if n.Left != 0 {
				splits = append(splits, placedSplit{t, n, i, slot})
				slots[n.Left], slots[n.Right] = 2*slot, 2*slot+1
				continue
			}
			height := blockDepth + 1 - bits.Len(uint(slot)) // above the lowest level, where it stands in every leaf below
			for at := slot << height; at < (slot+1)<<height; at++ {
				leaves[at-1<<blockDepth] = V(n.Leaf)
			}
		}
	}
	return b, splits
}

func (b blockLeaves[V]) add(leaves []V, outcomes []uint64, first int, sum V) V {
	return b.sum(&leaves[first], &b.values[first<<blockDepth], &outcomes[0], len(outcomes), sum)
}

// addBlocksAVX512 writes the leaves of n blocks, a multiple of treesPerStep, and returns sum plus each of them. It writes
// over the outcomes.
//
//go:noescape
func addBlocksAVX512(leaves, trees *float32, outcomes *uint64, n int, sum float32) float32

//go:noescape
func addBlocksF64AVX512(leaves, trees *float64, outcomes *uint64, n int, sum float64) float64
