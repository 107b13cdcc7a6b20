//go:build amd64 && !purego

package forest

import "slices"

// The assembly goes through a tree in parts of some splits, down one and on to those below, then up again,
// so that the states of 8 rows stay in the first-level cache however large the tree is.
const (
	// partSplits is the most splits of a part; their states take 16 KiB.
	partSplits = 32
	// smallPart is how many splits are too few for a part of their own.
	smallPart = 4
)

// A pathOp is a split as the assembly goes through it. States are named by their place in bytes.
type pathOp struct {
	split uint32
	// at is the state of its node, below that of its left child, before the right one's; into is where
	// what the leaves below contribute goes.
	at, below, into uint32
	// leaf has the children's leaf values, or 1 for a split.
	leaf [2]float64
}

// A pathStep is a run of ops: count of them from first on, in their order, which goes down the tree, or, if
// up is 1, in reverse.
type pathStep struct{ first, count, up uint32 }

const (
	// stateBytes is the size of a state: four points of 8 rows.
	stateBytes = 4 * 8 * 8
	// The root's state has the weights of the rule, and stays; what comes up there goes to the next one.
	rootState, sumState, firstState = 0, stateBytes, 2 * stateBytes
)

// A partition is a tree being cut into parts.
type partition struct {
	tree *Tree
	// splits counts, by node, the splits at and below; index has the number of each split.
	splits, index []uint32
	ops           []pathOp
	steps         []pathStep
	// stateBytes is the room that the states take.
	stateBytes uint32
}

func newPartition(t *Tree, tab *table) *partition {
	p := &partition{tree: t, splits: make([]uint32, len(t.Nodes)), index: make([]uint32, len(t.Nodes))}
	for k, s := range slices.Backward(tab.splits) {
		node, n := s.node, &t.Nodes[s.node]
		p.splits[node], p.index[node] = p.splits[n.Left]+p.splits[n.Right]+1, uint32(k)
	}
	p.ops = make([]pathOp, 0, len(tab.splits))
	if len(tab.splits) > 0 {
		p.cut(subtreeAt{0, rootState, sumState}, firstState)
	}
	return p
}

// A subtreeAt is where a subtree begins, and the states that its root has.
type subtreeAt struct {
	node     int32
	at, into uint32
}

// cut makes the subtree a part, and what has no room there parts below it, with states from free on.
// It recurses at most as deep as the tree is, which is [MaxDepth].
func (p *partition) cut(root subtreeAt, free uint32) {
	whole := p.splits[root.node] <= partSplits
	// Each split queues two at most; such slices stay on the stack.
	queue, parts := make([]subtreeAt, 1, 2*partSplits+1), make([]subtreeAt, 0, 2*partSplits+1)
	queue[0] = root
	first := len(p.ops)
	for i := 0; i < len(queue); i++ {
		s := queue[i]
		if i >= partSplits {
			parts = append(parts, s)
			continue
		}
		n := &p.tree.Nodes[s.node]
		op := pathOp{split: p.index[s.node], at: s.at, into: s.into, below: free, leaf: [2]float64{1, 1}}
		for side, child := range [...]int32{n.Left, n.Right} {
			sub := subtreeAt{child, free, free}
			free += stateBytes
			switch size := p.splits[child]; {
			case size == 0:
				op.leaf[side] = p.tree.Nodes[child].Leaf
			case whole || size > partSplits || size <= smallPart:
				queue = append(queue, sub)
			default:
				parts = append(parts, sub)
			}
		}
		p.ops = append(p.ops, op)
	}
	p.stateBytes = max(p.stateBytes, free)
	step := pathStep{first: uint32(first), count: uint32(len(p.ops) - first)}
	p.steps = append(p.steps, step)
	for _, s := range parts {
		p.cut(s, free)
	}
	step.up = 1
	p.steps = append(p.steps, step)
}
