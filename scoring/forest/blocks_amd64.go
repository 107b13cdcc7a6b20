//go:build amd64 && !purego

package forest

import "math"

// A block of rows is quantised into columns: 64 bytes, one a row. Comparing a column with a threshold
// gives the outcomes of 64 rows at one split as a mask. Taking masks of the same split in 8 trees
// as one vector, the outcomes along each row's path are picked by bitwise selection, level by level.

const (
	// treesPerStep is how many trees a vector of 64-bit masks holds.
	treesPerStep = 8
	// maskWords is the memory of addTreesAVX512: masks by slot, and outcomes by level, of treesPerStep trees.
	maskWords = (1<<blockDepth + blockDepth) * treesPerStep
)

// A vectorTree is a block laid out for 64 rows at a time.
type vectorTree struct {
	// tests are those of a treeBlock's slots.
	tests [1 << blockDepth]vectorTest
	// leaves are the values' bytes: the lowest byte of each leaf, then the next.
	leaves [4][1 << blockDepth]uint8
}

// A vectorTest is where its column begins, and the threshold four times. In slot 0, which has no
// test, offset is where the sums of the tree's group begin.
type vectorTest struct {
	offset    uint32
	threshold [4]uint8
}

// vectorTrees score blocks of rows. They are padded to a multiple of treesPerStep.
type vectorTrees []vectorTree

func newVectorTrees(f *Forest, tests *nodeTests) vectorTrees {
	trees := make(vectorTrees, (len(f.Trees)+treesPerStep-1)/treesPerStep*treesPerStep)
	for i := range trees {
		// A tree that pads the last step adds -0, which changes no sum.
		group, b := 0, treeBlock[uint16]{}
		if i < len(f.Trees) {
			group, b = f.Trees[i].Group, newTreeBlock[uint16](tests, &f.Trees[i], blockDepth)
		} else {
			for k := range b.leaf {
				b.leaf[k] = float32(math.Copysign(0, -1))
			}
		}
		t := &trees[i]
		for k := range t.tests {
			t.tests[k] = vectorTest{uint32(b.column[k]) * blockRows, four(b.threshold[k])}
		}
		t.tests[0].offset = uint32(group * blockRows * 4)
		for k, leaf := range b.leaf {
			setLeaf(&t.leaves, k, leaf)
		}
	}
	return trees
}

// setLeaf writes the bytes of a leaf's value.
func setLeaf(leaves *[4][1 << blockDepth]uint8, i int, value float32) {
	for j := range leaves {
		leaves[j][i] = uint8(math.Float32bits(value) >> (8 * j))
	}
}

func four(b uint8) [4]uint8 { return [4]uint8{b, b, b, b} }

// addTreesAVX512 adds the leaves of n trees, a multiple of treesPerStep, to the sums of 64 rows.
//
//go:noescape
func addTreesAVX512(sums *float32, columns *byte, masks *uint64, trees *vectorTree, n int)

func (v vectorTrees) addBlock(s *vectorScratch) {
	for first := 0; first < len(v); first += treesPerCall {
		n := min(treesPerCall, len(v)-first)
		addTreesAVX512(&s.sums[0], &s.columns[0], &s.masks[0], &v[first], n)
	}
}

// permutedBlocks score single rows: a row in registers is permuted into the order of a block's slots, and
// one comparison gives its outcomes.
type permutedBlocks struct {
	blocks []treeBlock[uint8]
	// wide says that a row has more than halfPermuted columns.
	wide bool
}

func (p permutedBlocks) addRow(s *vectorScratch, sum float32) float32 {
	for first := 0; first < len(p.blocks); first += treesPerCall {
		n := min(treesPerCall, len(p.blocks)-first)
		if p.wide {
			sum = addWideRowAVX512(&s.leaves[first], &p.blocks[first], n, &s.columns[0], sum)
		} else {
			sum = addRowAVX512(&s.leaves[first], &p.blocks[first], n, &s.columns[0], sum)
		}
	}
	return sum
}

// addRowAVX512 writes the leaves of n > 0 trees for one row of halfPermuted bytes, and returns sum plus
// each of them.
//
//go:noescape
func addRowAVX512(leaves *float32, blocks *treeBlock[uint8], n int, row *byte, sum float32) float32

// addWideRowAVX512 is addRowAVX512 for a row of maxPermuted bytes.
//
//go:noescape
func addWideRowAVX512(leaves *float32, blocks *treeBlock[uint8], n int, row *byte, sum float32) float32
