package forest

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// tableWorkers is how many trees are built at a time.
const tableWorkers = 2

// fillCheck is how often the progress of the workers is looked at.
const fillCheck = 50 * time.Millisecond

// maxTableLeaf bounds a tree's leaves, so that no sum of their contributions is beyond float32.
const maxTableLeaf = 1e36

// newPatternTables returns the tables of f, or nil for a forest that they do not suit: that depends on
// the trees alone. It uses tests where there are any. The bits of the entries do not depend on the number of workers
// or CPUs. The error is that of progress.
func newPatternTables(f *Forest, tests *nodeTests, progress *Progress) (*patternTables, error) {
	p := &patternTables{places: numPlaces(f.NumFeature)}
	var padded []*paddedTree
	size := 1
	for _, i := range treesByGroup(f) {
		t := &f.Trees[i]
		if t.depth() > maxTableDepth || t.largestLeaf() > maxTableLeaf {
			return nil, nil
		}
		if t.Nodes[0].Left == 0 {
			continue
		}
		pad := padTree(t)
		tree := patternTree{group: t.Group, mask: uint8(pad.patterns() - 1), subtrees: pad.subtrees(size)}
		size += len(tree.subtrees) * pad.patterns()
		if size > maxTableBytes/(entryLanes*4) {
			return nil, nil
		}
		if f.NumFeature > entryLanes {
			tree.features = pad.setLanes(tree.subtrees, f.NumFeature <= maxForestPlaces)
		}
		padded, p.trees = append(padded, pad), append(p.trees, tree)
	}
	p.entries = make([]entry, size)
	adviseHugePages(p.entries)
	if err := p.fill(padded, progress); err != nil {
		return nil, fmt.Errorf("forest: tables of contributions: %w", err)
	}
	p.outcomes = newOutcomes(f, tests, padded)
	p.vector = newVectorTables(p)
	p.scratch.New = func() any {
		size := p.stride() * tableRows
		bytes := make([]byte, 2*size+strideUnit)
		return &tableScratch{rows: bytes[size:], columns: bytes[:size], places: make([]int32, len(p.masks)*tableRows)}
	}
	return p, nil
}

func numPlaces(features int) int {
	for _, places := range [...]int{8, 16, maxForestPlaces} {
		if features <= places {
			return places
		}
	}
	return 0
}

// treesByGroup returns the indices of the trees, ordered by group and then by tree.
func treesByGroup(f *Forest) []int {
	order := make([]int, len(f.Trees))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return f.Trees[a].Group - f.Trees[b].Group })
	return order
}

// fill computes the entries of all trees, each in its own place. All workers have ended when it returns.
func (p *patternTables) fill(padded []*paddedTree, progress *Progress) error {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range tableWorkers {
		workers.Go(func() {
			games := newTreeGames()
			for i := next.Add(1) - 1; i < int64(len(padded)); i = next.Add(1) - 1 {
				games.of(padded[i])
				p.fillTree(&p.trees[i], padded[i], games)
			}
		})
	}
	done := make(chan struct{})
	go func() { workers.Wait(); close(done) }()
	tick := time.NewTicker(fillCheck)
	defer tick.Stop()
	for {
		if err := progress.made(int(min(next.Load(), int64(len(padded)))), len(padded)); err != nil {
			next.Store(int64(len(padded))) // there is nothing left to take
			<-done
			return err
		}
		select {
		case <-done:
			return nil
		case <-tick.C:
		}
	}
}

// fillTree computes the entries of one tree from its games.
func (p *patternTables) fillTree(tree *patternTree, pad *paddedTree, games *treeGames) {
	for k := range tree.subtrees {
		s := &tree.subtrees[k]
		entries, four := p.entries[s.first:][:pad.patterns()], games.games[4*s.slot-maxSlots:][:4]
		fillSubtree(entries, four, p.lanesOf(tree, s, four))
	}
}

// A paddedTree is a tree as the far left of a complete one of depth 6, by slot. A leaf above the lowest
// level is the leftmost leaf there, below splits that are none of the tree's and that no row goes right at.
type paddedTree struct {
	*Tree
	depth int // of the tree, but at least 2
	// nodes has the split of each slot, or -1; leaves those of the slots from 64 on.
	nodes, leaves [maxSlots]int32
	// height is how far each leaf is above the lowest level.
	height [maxSlots]int
	// offset is taken off all leaves.
	offset float64
}

func padTree(t *Tree) *paddedTree {
	p := &paddedTree{Tree: t, depth: max(2, t.depth()), offset: t.offset()}
	for i := range maxSlots {
		p.nodes[i], p.leaves[i] = -1, -1
	}
	slots := make([]int, len(t.Nodes))
	slots[0] = maxSlots >> p.depth
	for i := range t.Nodes {
		n, slot := &t.Nodes[i], slots[i]
		if n.Left == 0 {
			height := maxTableDepth - (bits.Len(uint(slot)) - 1)
			lowest := slot<<height - maxSlots
			p.leaves[lowest], p.height[lowest] = int32(i), height
			continue
		}
		p.nodes[slot] = int32(i)
		slots[n.Left], slots[n.Right] = 2*slot, 2*slot+1
	}
	return p
}

// offset returns what all leaves of t may be reduced by without a change to any contribution: the mean, if
// at each split the children's shares add up to 1, so that a constant is all bias. It matters where
// the first tree holds the mean of the target: its leaves' contributions are large and cancel out.
func (t *Tree) offset() float64 {
	for i := range t.Nodes {
		if n := &t.Nodes[i]; n.Left != 0 && math.Abs(t.share(i, n.Left)+t.share(i, n.Right)-1) > 2e-12 {
			return 0
		}
	}
	return t.mean()
}

// patterns returns the number of patterns of each subtree.
func (p *paddedTree) patterns() int { return 2 << p.depth }

// subtrees returns the subtrees that have leaves, their entries from first on. Lane i is feature i.
func (p *paddedTree) subtrees(first int) []subtree {
	var all []subtree
	for i := range 1 << p.depth / 4 {
		if four := p.leaves[4*i : 4*i+4]; four[0]&four[1]&four[2]&four[3] < 0 {
			continue
		}
		s := subtree{slot: uint32(maxSubtrees + i), first: uint32(first)}
		first += p.patterns()
		all = append(all, s)
	}
	return all
}

// setLanes gives the subtrees' lanes their places: those of the forest's features, or those of the
// features that it returns.
func (p *paddedTree) setLanes(subtrees []subtree, ofForest bool) (features []int32) {
	for i := range subtrees {
		s := &subtrees[i]
		for lane := range s.lanes {
			s.lanes[lane] = noPlace
		}
		used := 0
		// The splits that its leaves lie below: those above it, and its own three.
		for _, slot := range append(above(s.slot), s.slot, 2*s.slot, 2*s.slot+1) {
			if p.nodes[slot] < 0 {
				continue
			}
			feature := p.Nodes[p.nodes[slot]].Feature
			if !ofForest && !slices.Contains(features, feature) {
				features = append(features, feature)
			}
			place := uint8(placeOf(features, feature))
			if !slices.Contains(s.lanes[:used], place) {
				s.lanes[used] = place
				used++
			}
		}
	}
	return features
}

// placeOf returns the place of a feature, where features are the tree's own or nil.
func placeOf(features []int32, feature int32) int {
	if features == nil {
		return int(feature)
	}
	return slices.Index(features, feature)
}

// above returns the slots above a slot, the root first.
func above(slot uint32) []uint32 {
	var slots []uint32
	for shift := bits.Len32(slot) - 1; shift > 0; shift-- {
		slots = append(slots, slot>>shift)
	}
	return slots
}

// lanesOf returns the lane of each feature of a subtree's four leaves.
func (p *patternTables) lanesOf(t *patternTree, s *subtree, four []leafGame) (lanes [4][maxTableDepth]int) {
	for i := range four {
		for k, feature := range four[i].features {
			lanes[i][k] = int(feature)
			if p.places != entryLanes {
				lanes[i][k] = slices.Index(s.lanes[:], uint8(placeOf(t.features, feature)))
			}
		}
	}
	return lanes
}

// fillSubtree computes the entries of a subtree from the games of its leaves.
func fillSubtree(entries []entry, four []leafGame, lanes [4][maxTableDepth]int) {
	for pattern := range entries {
		right, rightChild, leftChild := pattern>>2&1, pattern>>1&1, pattern&1
		// Of the four leaves, bit 1 and bit 0 are the ways to it from the root and from its child.
		satisfied := [4]int{
			(1-right)<<1 | (1 - leftChild), (1-right)<<1 | leftChild,
			right<<1 | (1 - rightChild), right<<1 | rightChild,
		}
		var sum [entryLanes]float64
		for i := range four {
			for k, phi := range four[i].contributions(pattern>>3<<2 | satisfied[i]) {
				sum[lanes[i][k]] += phi
			}
		}
		for lane, phi := range sum {
			entries[pattern][lane] = float32(phi)
		}
	}
}
