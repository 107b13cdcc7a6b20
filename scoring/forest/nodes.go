package forest

// A tree deeper than a block becomes nodes of 8 bytes, breadth first, with the children of a split side
// by side. A leaf is a split whose left child is itself and that no row goes right at, so that a walk
// may go on past its end and needs no test for it. All trees of a segment share one array.

// A packedNode is the index of the left child in the low 32 bits, then 16 bits of column, then 8 bits of
// threshold.
type packedNode uint64

func packNode(left int, test nodeTest) packedNode {
	return packedNode(uint32(left)) | packedNode(test.column)<<32 | packedNode(test.threshold)<<48
}

// A nodeForest holds consecutive trees as nodes.
type nodeForest[V number] struct {
	nodes []packedNode
	// leaves has the value of each leaf at its node's index.
	leaves []V
	trees  []nodeTree
}

// A nodeTree is where a tree begins and the group that it adds to.
type nodeTree struct{ root, group int }

// newNodeForest returns the trees as nodes.
func newNodeForest[V number](tests *nodeTests, trees []Tree) *nodeForest[V] {
	size := 0
	for i := range trees {
		size += len(trees[i].Nodes)
	}
	f := &nodeForest[V]{nodes: make([]packedNode, 0, size), leaves: make([]V, size)}
	var queue []int32
	for i := range trees {
		t := &trees[i]
		root := len(f.nodes)
		f.trees = append(f.trees, nodeTree{root, t.Group})
		queue = append(queue[:0], 0)
		for k := 0; k < len(queue); k++ {
			n, at := &t.Nodes[queue[k]], len(f.nodes)
			if n.Left == 0 {
				f.nodes = append(f.nodes, packNode(at, nodeTest{threshold: neverRight}))
				f.leaves[at] = V(n.Leaf)
				continue
			}
			f.nodes = append(f.nodes, packNode(root+len(queue), tests.of(t, n)))
			queue = append(queue, n.Left, n.Right)
		}
	}
	return f
}
