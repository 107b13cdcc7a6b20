//go:build amd64 && !purego

package forest

import "unsafe"

// A tree of up to 256 leaves scores 64 rows by moving each to the leaf it ends in. Leaves are numbered from
// left to right, and a row begins at leaf 0. A split is reached by the rows that are at the leftmost leaf
// below it when all splits above have been through; those that go right there move to the leftmost leaf
// of its right child. A split costs six instructions for 64 rows, however deep or lopsided the tree.

const (
	// maxLeafwise is how many leaves a byte numbers; smallLeafwise of them are looked up in one step.
	maxLeafwise, smallLeafwise = 256, 64
	// leafwiseSplits is the mean number of splits up to which this is faster than blocks.
	leafwiseSplits = 32
	// streamedSplits is the mean number of splits up to which this is faster than walking complete trees: it
	// reads every split for each 64 rows, and beyond this forests do not stay in the cache.
	streamedSplits = 128
)

// A leafwiseForest holds trees in parts of at most treesPerCall.
type leafwiseForest[V number] struct {
	// room is smallLeafwise or maxLeafwise: the number of leaves that each tree has room for.
	room  int
	parts []leafwisePart
	add   func(sums *V, columns *byte, trees *leafwiseTree, tests *leafwiseTest, leaves *byte, n int)
}

type leafwisePart struct {
	trees []leafwiseTree
	tests []leafwiseTest // of all trees in turn, and one more so that there is a first
	// leaves has of each tree the lowest bytes of its values, then the next, each in the forest's room.
	leaves []uint8
}

type leafwiseTree struct {
	splits uint32
	// sums is where the sums of the tree's group begin.
	sums uint32
}

// A leafwiseTest is a split: where its column begins, and four times each its threshold, the leftmost
// leaf below it, and the leftmost leaf below its right child.
type leafwiseTest struct {
	offset                 uint32
	threshold, here, right [4]uint8
}

// newLeafwiseForest returns f's trees, or nil if one has more leaves than maxLeafwise.
func newLeafwiseForest[V number](f *Forest, tests *nodeTests) vectorBatch[V] {
	made := &leafwiseForest[V]{room: smallLeafwise}
	for i := range f.Trees {
		switch leaves := (len(f.Trees[i].Nodes) + 1) / 2; {
		case leaves > maxLeafwise:
			return nil
		case leaves > smallLeafwise:
			made.room = maxLeafwise
		}
	}
	if made.room == smallLeafwise {
		made.add = ofType[func(*V, *byte, *leafwiseTree, *leafwiseTest, *byte, int)](addLeafwiseAVX512, addLeafwiseF64AVX512)
	} else {
		made.add = ofType[func(*V, *byte, *leafwiseTree, *leafwiseTest, *byte, int)](addLargeLeafwiseAVX512, addLargeLeafwiseF64AVX512)
	}
	perCall := treesPerCall * smallLeafwise / made.room // larger trees take longer
	for first := 0; first < len(f.Trees); first += perCall {
		made.addPart(tests, f.Trees[first:min(first+perCall, len(f.Trees))])
	}
	return made
}

// addPart makes a part of the trees.
func (f *leafwiseForest[V]) addPart(tests *nodeTests, trees []Tree) {
	size := int(unsafe.Sizeof(V(0)))
	part := leafwisePart{leaves: make([]uint8, size*f.room*len(trees))}
	for i := range trees {
		t := &trees[i]
		p := leafwisePlacement[V]{tests: tests, tree: t, room: f.room, leaves: part.leaves[size*f.room*i:], to: part.tests}
		p.place(0)
		part.tests = p.to
		part.trees = append(part.trees, leafwiseTree{uint32(len(t.Nodes) / 2), uint32(t.Group * blockRows * size)})
	}
	part.tests = append(part.tests, leafwiseTest{})
	f.parts = append(f.parts, part)
}

// A leafwisePlacement is a tree being laid out.
type leafwisePlacement[V number] struct {
	tests  *nodeTests
	tree   *Tree
	room   int
	leaves []uint8
	next   int // the number of the next leaf
	to     []leafwiseTest
}

// place appends the splits at and below a node, parents first, and numbers its leaves.
func (p *leafwisePlacement[V]) place(node int32) {
	n := &p.tree.Nodes[node]
	if n.Left == 0 {
		setLeaf(p.leaves, p.room, p.next, V(n.Leaf))
		p.next++
		return
	}
	test, at := p.tests.of(p.tree, n), len(p.to)
	p.to = append(p.to, leafwiseTest{
		offset:    uint32(test.column) * blockRows,
		threshold: four(test.threshold),
		here:      four(uint8(p.next)),
	})
	p.place(n.Left)
	p.to[at].right = four(uint8(p.next))
	p.place(n.Right)
}

func (f *leafwiseForest[V]) addBlock(s *vectorScratch[V]) {
	for i := range f.parts {
		p := &f.parts[i]
		f.add(&s.sums[0], &s.columns[0], &p.trees[0], &p.tests[0], &p.leaves[0], len(p.trees))
	}
}

// addLeafwiseAVX512 adds the leaves of n > 0 trees with room for smallLeafwise leaves to the sums of 64 rows.
//
//go:noescape
func addLeafwiseAVX512(sums *float32, columns *byte, trees *leafwiseTree, tests *leafwiseTest, leaves *byte, n int)

//go:noescape
func addLeafwiseF64AVX512(sums *float64, columns *byte, trees *leafwiseTree, tests *leafwiseTest, leaves *byte, n int)

// addLargeLeafwiseAVX512 is addLeafwiseAVX512 for trees with room for maxLeafwise leaves.
//
//go:noescape
func addLargeLeafwiseAVX512(sums *float32, columns *byte, trees *leafwiseTree, tests *leafwiseTest, leaves *byte, n int)

//go:noescape
func addLargeLeafwiseF64AVX512(sums *float64, columns *byte, trees *leafwiseTree, tests *leafwiseTest, leaves *byte, n int)
