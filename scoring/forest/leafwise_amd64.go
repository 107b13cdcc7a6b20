//go:build amd64 && !purego

package forest

// A tree of up to 64 leaves scores 64 rows by moving each to the leaf it ends in. Leaves are numbered from
// left to right, and a row begins at leaf 0. A split is reached by the rows that are at the leftmost leaf
// below it when all splits above have been through; those that go right there move to the leftmost leaf
// of its right child. A split costs six instructions for 64 rows, however deep or lopsided the tree.

// leafwiseSplits is the mean number of splits up to which this is faster than blocks.
const leafwiseSplits = 32

// maxLeafwise is how many leaves one register looks up.
const maxLeafwise = 64

// A leafwiseForest holds trees of at most maxLeafwise leaves, in parts of at most treesPerCall.
type leafwiseForest []leafwisePart

type leafwisePart struct {
	trees []leafwiseTree
	tests []leafwiseTest // of all trees in turn, and one more so that there is a first
}

type leafwiseTree struct {
	// leaves are the values' bytes: the lowest byte of each leaf, then the next.
	leaves [4][maxLeafwise]uint8
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

// newLeafwiseForest returns f's trees, or nil if one has more leaves.
func newLeafwiseForest(f *Forest, tests *nodeTests) leafwiseForest {
	var made leafwiseForest
	for i := range f.Trees {
		t := &f.Trees[i]
		if (len(t.Nodes)+1)/2 > maxLeafwise {
			return nil
		}
		if i%treesPerCall == 0 {
			made = append(made, leafwisePart{})
		}
		part := &made[len(made)-1]
		tree := leafwiseTree{sums: uint32(t.Group * blockRows * 4)}
		part.tests = tree.place(part.tests, tests, t, 0)
		tree.splits = uint32(len(t.Nodes) / 2)
		part.trees = append(part.trees, tree)
	}
	for i := range made {
		made[i].tests = append(made[i].tests, leafwiseTest{})
	}
	return made
}

// place appends the splits at and below a node, parents first, and numbers its leaves from splits on,
// which counts the leaves placed before.
func (tree *leafwiseTree) place(to []leafwiseTest, tests *nodeTests, t *Tree, node int32) []leafwiseTest {
	n := &t.Nodes[node]
	if n.Left == 0 {
		setLeaf(&tree.leaves, int(tree.splits), float32(n.Leaf))
		tree.splits++
		return to
	}
	test, at := tests.of(t, n), len(to)
	to = append(to, leafwiseTest{
		offset:    uint32(test.column) * blockRows,
		threshold: four(test.threshold),
		here:      four(uint8(tree.splits)),
	})
	to = tree.place(to, tests, t, n.Left)
	to[at].right = four(uint8(tree.splits))
	return tree.place(to, tests, t, n.Right)
}

func (f leafwiseForest) addBlock(s *vectorScratch) {
	for i := range f {
		addLeafwiseAVX512(&s.sums[0], &s.columns[0], &f[i].trees[0], &f[i].tests[0], len(f[i].trees))
	}
}

// addLeafwiseAVX512 adds the leaves of n > 0 trees to the sums of 64 rows.
//
//go:noescape
func addLeafwiseAVX512(sums *float32, columns *byte, trees *leafwiseTree, tests *leafwiseTest, n int)
