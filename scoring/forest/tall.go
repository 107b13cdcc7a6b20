package forest

import "unsafe"

// A tree deeper than a block that fills its levels well is laid out as a block is, in slices: that takes
// half the memory of nodes, and a step of a walk half the instructions.

// maxTallDepth is the depth of the largest complete tree: two of them, with the rows, fill the nearest cache.
const maxTallDepth = 12

// A tallForest holds consecutive trees as complete trees of one depth, the slots of tree i from i<<depth on.
type tallForest[ID columnID, V number] struct {
	depth  int
	all    slots[ID, V]
	groups []int32 // per tree
}

// fitsTall reports whether the trees deeper than a block take less memory as complete trees than as nodes.
func fitsTall(f *Forest, depth []int) bool {
	deepest, nodes, trees := 0, 0, 0
	for i, d := range depth {
		if d > blockDepth {
			deepest = max(deepest, d)
			nodes += len(f.Trees[i].Nodes)
			trees++
		}
	}
	return deepest <= maxTallDepth && trees<<deepest <= 2*nodes
}

func newTallForest[ID columnID, V number](tests *nodeTests, trees []Tree, depth int) *tallForest[ID, V] {
	size := len(trees) << depth
	f := &tallForest[ID, V]{depth: depth, all: slots[ID, V]{make([]ID, size), make([]uint8, size), make([]V, size)}}
	for i := range f.all.threshold {
		f.all.threshold[i] = neverRight
	}
	for i := range trees {
		first, last := i<<depth, (i+1)<<depth
		s := slots[ID, V]{f.all.column[first:last], f.all.threshold[first:last], f.all.leaf[first:last]}
		s.place(tests, &trees[i], 0, 1, 0, depth)
		f.groups = append(f.groups, int32(trees[i].Group))
	}
	return f
}

// stepTall is step for slots in slices, at columns and thresholds.
func stepTall[ID columnID](columns, thresholds, row unsafe.Pointer, slot uintptr) uintptr {
	column := *(*ID)(unsafe.Add(columns, slot*unsafe.Sizeof(ID(0))))
	threshold := *(*uint8)(unsafe.Add(thresholds, slot))
	x := *(*uint8)(unsafe.Add(row, uintptr(column)))
	return 2*slot + uintptr((uint64(threshold)-uint64(x))>>63)
}

// descendTallRows is descendRows for slots in slices.
//
//go:noinline
func descendTallRows[ID columnID](columns, thresholds, row0, row1, row2, row3 unsafe.Pointer, depth int) (slot0, slot1, slot2, slot3 uintptr) {
	slot0, slot1, slot2, slot3 = 1, 1, 1, 1
	for ; depth > 0; depth-- {
		slot0 = stepTall[ID](columns, thresholds, row0, slot0)
		slot1 = stepTall[ID](columns, thresholds, row1, slot1)
		slot2 = stepTall[ID](columns, thresholds, row2, slot2)
		slot3 = stepTall[ID](columns, thresholds, row3, slot3)
	}
	return slot0, slot1, slot2, slot3
}

// descendTallTrees is descendBlocks for slots in slices: columns and thresholds are those of the first of
// four trees, and slots count from there, so that each step doubles what comes before the tree as well.
//
//go:noinline
func descendTallTrees[ID columnID](columns, thresholds, row unsafe.Pointer, depth int) (slot0, slot1, slot2, slot3 uintptr) {
	size := uintptr(1) << depth
	slot0, slot1, slot2, slot3 = 1, 1+size, 1+2*size, 1+3*size
	for ; depth > 0; depth-- {
		slot0 = stepTall[ID](columns, thresholds, row, slot0)
		slot1 = stepTall[ID](columns, thresholds, row, slot1) - size
		slot2 = stepTall[ID](columns, thresholds, row, slot2) - 2*size
		slot3 = stepTall[ID](columns, thresholds, row, slot3) - 3*size
	}
	return slot0 - size, slot1 - size, slot2 - size, slot3 - size
}

// at returns where the columns and thresholds of a tree begin.
func (f *tallForest[ID, V]) at(tree int) (columns, thresholds unsafe.Pointer) {
	return unsafe.Pointer(&f.all.column[tree<<f.depth]), unsafe.Pointer(&f.all.threshold[tree<<f.depth])
}

// addOne interleaves trees.
func (f *tallForest[ID, V]) addOne(s *scratch[V]) {
	row := unsafe.Pointer(unsafe.SliceData(s.rows))
	i := 0
	for ; i+interleave <= len(f.groups); i += interleave {
		columns, thresholds := f.at(i)
		leaf0, leaf1, leaf2, leaf3 := descendTallTrees[ID](columns, thresholds, row, f.depth)
		leaves := f.all.leaf[i<<f.depth:]
		s.sums[f.groups[i]] += leaves[leaf0]
		s.sums[f.groups[i+1]] += leaves[leaf1]
		s.sums[f.groups[i+2]] += leaves[leaf2]
		s.sums[f.groups[i+3]] += leaves[leaf3]
	}
	for ; i < len(f.groups); i++ {
		columns, thresholds := f.at(i)
		slot := uintptr(1)
		for range f.depth {
			slot = stepTall[ID](columns, thresholds, row, slot)
		}
		s.sums[f.groups[i]] += f.all.leaf[uintptr(i-1)<<f.depth+slot]
	}
}

// addBlock interleaves rows.
func (f *tallForest[ID, V]) addBlock(s *scratch[V], n int) {
	size := uintptr(1) << f.depth
	for i, group := range f.groups {
		columns, thresholds := f.at(i)
		leaves := f.all.leaf[i<<f.depth : (i+1)<<f.depth]
		for r := 0; r < n; r += interleave {
			row0 := unsafe.Pointer(&s.rows[r*s.stride])
			row1 := unsafe.Add(row0, s.stride)
			row2 := unsafe.Add(row1, s.stride)
			row3 := unsafe.Add(row2, s.stride)
			slot0, slot1, slot2, slot3 := descendTallRows[ID](columns, thresholds, row0, row1, row2, row3, f.depth)
			at := r*s.groups + int(group)
			s.sums[at] += leaves[slot0-size]
			s.sums[at+s.groups] += leaves[slot1-size]
			s.sums[at+2*s.groups] += leaves[slot2-size]
			s.sums[at+3*s.groups] += leaves[slot3-size]
		}
	}
}
