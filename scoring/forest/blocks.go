package forest

// A tree of at most blockDepth splits on any path becomes a block: a complete tree without child
// pointers. Slot 0 is unused, slot 1 is the root, and the children of slot i are 2i (left) and 2i+1
// (right), so that a walk is arithmetic:
//
//	slot := 1
//	for range depth {
//		right := 0
//		if row[b.column[slot]] > b.threshold[slot] { right = 1 }
//		slot = 2*slot + right
//	}
//	leaf := b.leaf[slot-1<<depth]
//
// where row comes from [columns.quantise] of the columns that the block was made for. All outcomes of a
// tree at once are the bits row[b.column[i]] > b.threshold[i], for i from 1 to 1<<depth - 1; that of a
// split does not depend on whether the walk comes by.
//
// A leaf above the lowest level is padded with dummy splits, whose threshold no row exceeds, down to
// it; its value stands in every leaf below, so that it does not matter what a dummy split says.

// blockDepth is the depth of the largest block.
const blockDepth = 6

// A columnID numbers the columns of a quantised row: one byte where 256 suffice.
type columnID interface{ uint8 | uint16 }

// A number is what leaves and their sums are of: float64 in a wide forest.
type number interface{ float32 | float64 }

// A treeBlock is a tree of depth <= blockDepth. It is of one depth for all of its forest's blocks, and
// what is beyond 1<<depth in its arrays is unused: dummy splits and zeros.
type treeBlock[ID columnID, V number] struct {
	column    [1 << blockDepth]ID
	threshold [1 << blockDepth]uint8
	leaf      [1 << blockDepth]V
}

// newTreeBlock returns t as a block of the given depth, which is at least that of t.
func newTreeBlock[ID columnID, V number](tests *nodeTests, t *Tree, depth int) treeBlock[ID, V] {
	var b treeBlock[ID, V]
	for i := range b.threshold {
		b.threshold[i] = neverRight
	}
	slots[ID, V]{b.column[:], b.threshold[:], b.leaf[:]}.place(tests, t, 0, 1, 0, depth)
	return b
}

// slots are the arrays of one complete tree.
type slots[ID columnID, V number] struct {
	column    []ID
	threshold []uint8
	leaf      []V
}

// place puts a node at the given level of a complete tree of the given depth, and what is below it. Where
// it puts no split, the threshold is neverRight already.
func (b slots[ID, V]) place(tests *nodeTests, t *Tree, node int32, slot, level, depth int) {
	n := &t.Nodes[node]
	if n.Left == 0 {
		first := slot<<(depth-level) - 1<<depth
		for i := range 1 << (depth - level) {
			b.leaf[first+i] = V(n.Leaf)
		}
		return
	}
	test := tests.of(t, n)
	b.column[slot], b.threshold[slot] = ID(test.column), test.threshold
	b.place(tests, t, n.Left, 2*slot, level+1, depth)
	b.place(tests, t, n.Right, 2*slot+1, level+1, depth)
}

// depth returns the number of splits on the longest path of t.
func (t *Tree) depth() int {
	deepest := 0
	level := make([]uint8, len(t.Nodes))
	for i := range t.Nodes {
		n := &t.Nodes[i]
		if n.Left == 0 {
			deepest = max(deepest, int(level[i]))
			continue
		}
		level[n.Left], level[n.Right] = level[i]+1, level[i]+1
	}
	return deepest
}

// numbers returns what a forest holds in its own precision.
func numbers[V number](wide []float64) []V {
	out := make([]V, len(wide))
	for i, x := range wide {
		out[i] = V(x)
	}
	return out
}
