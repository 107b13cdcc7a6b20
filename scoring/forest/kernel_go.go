package forest

import "unsafe"

// The walks of this file read memory without bounds checks, which makes them about twice as fast. What
// they rely on: [Forest.Validate] passed before the forest was compiled, so every slot, child index and
// column number that the compiler wrote is in range; a quantised row has all columns; and rows that a
// batch interleaves beyond the last one lie in scratch memory and hold any bytes.

// interleave is how many walks go on at a time: enough to hide that each waits for its loads, few enough
// for their state to stay in registers.
const interleave = 4

// narrowInterleave is how many rows of strideUnit bytes a batch interleaves.
const narrowInterleave = 8

// A blockForest holds consecutive trees as blocks of one depth.
type blockForest[ID columnID, V number] struct {
	depth  int
	blocks []treeBlock[ID, V]
	// groups has the group of each tree, or is nil if all are 0.
	groups []int32
}

func newBlockForest[ID columnID, V number](tests *nodeTests, trees []Tree, depth int) *blockForest[ID, V] {
	f := &blockForest[ID, V]{depth: depth, blocks: make([]treeBlock[ID, V], len(trees))}
	groups, several := make([]int32, len(trees)), false
	for i := range trees {
		f.blocks[i] = newTreeBlock[ID, V](tests, &trees[i], depth)
		groups[i] = int32(trees[i].Group)
		several = several || trees[i].Group != 0
	}
	if several {
		f.groups = groups
	}
	return f
}

// step returns the slot below slot of the block at b that the quantised row goes to.
func step[ID columnID](b, row unsafe.Pointer, slot uintptr) uintptr {
	size := unsafe.Sizeof(ID(0))
	column := *(*ID)(unsafe.Add(b, slot*size))
	threshold := *(*uint8)(unsafe.Add(b, slot+size<<blockDepth))
	x := *(*uint8)(unsafe.Add(row, uintptr(column)))
	// The difference is negative, and its sign bit 1, where x exceeds the threshold.
	return 2*slot + uintptr((uint64(threshold)-uint64(x))>>63)
}

// descendRows returns the lowest slots of the block at b that four rows go to. It is not inlined because
// all that it works on fits the registers, as long as nothing else is in them.
//
//go:noinline
func descendRows[ID columnID](b, row0, row1, row2, row3 unsafe.Pointer, depth int) (slot0, slot1, slot2, slot3 uintptr) {
	slot0, slot1, slot2, slot3 = 1, 1, 1, 1
	for ; depth > 0; depth-- {
		slot0 = step[ID](b, row0, slot0)
		slot1 = step[ID](b, row1, slot1)
		slot2 = step[ID](b, row2, slot2)
		slot3 = step[ID](b, row3, slot3)
	}
	return slot0, slot1, slot2, slot3
}

// descendNarrow is descendRows for eight rows of strideUnit bytes one after another: their distance is a
// constant in the instructions, which leaves the registers to the slots.
//
//go:noinline
func descendNarrow[ID columnID](b, row unsafe.Pointer, depth int) (slot0, slot1, slot2, slot3, slot4, slot5, slot6, slot7 uintptr) {
	slot0, slot1, slot2, slot3, slot4, slot5, slot6, slot7 = 1, 1, 1, 1, 1, 1, 1, 1
	for ; depth > 0; depth-- {
		slot0 = step[ID](b, row, slot0)
		slot1 = step[ID](b, unsafe.Add(row, strideUnit), slot1)
		slot2 = step[ID](b, unsafe.Add(row, 2*strideUnit), slot2)
		slot3 = step[ID](b, unsafe.Add(row, 3*strideUnit), slot3)
		slot4 = step[ID](b, unsafe.Add(row, 4*strideUnit), slot4)
		slot5 = step[ID](b, unsafe.Add(row, 5*strideUnit), slot5)
		slot6 = step[ID](b, unsafe.Add(row, 6*strideUnit), slot6)
		slot7 = step[ID](b, unsafe.Add(row, 7*strideUnit), slot7)
	}
	return slot0, slot1, slot2, slot3, slot4, slot5, slot6, slot7
}

// descendBlocks returns the lowest slots that one row goes to in the eight blocks from b on. Their distance is a constant,
// too.
//
//go:noinline
func descendBlocks[ID columnID, V number](b, row unsafe.Pointer, depth int) (slot0, slot1, slot2, slot3, slot4, slot5, slot6, slot7 uintptr) {
	size := unsafe.Sizeof(treeBlock[ID, V]{})
	slot0, slot1, slot2, slot3, slot4, slot5, slot6, slot7 = 1, 1, 1, 1, 1, 1, 1, 1
	for ; depth > 0; depth-- {
		slot0 = step[ID](b, row, slot0)
		slot1 = step[ID](unsafe.Add(b, size), row, slot1)
		slot2 = step[ID](unsafe.Add(b, 2*size), row, slot2)
		slot3 = step[ID](unsafe.Add(b, 3*size), row, slot3)
		slot4 = step[ID](unsafe.Add(b, 4*size), row, slot4)
		slot5 = step[ID](unsafe.Add(b, 5*size), row, slot5)
		slot6 = step[ID](unsafe.Add(b, 6*size), row, slot6)
		slot7 = step[ID](unsafe.Add(b, 7*size), row, slot7)
	}
	return slot0, slot1, slot2, slot3, slot4, slot5, slot6, slot7
}

// leafAt returns the value of the leaf that slot, on the lowest level of lowest slots, stands for.
func leafAt[ID columnID, V number](b *treeBlock[ID, V], slot, lowest uintptr) V {
	return *(*V)(unsafe.Add(unsafe.Pointer(&b.leaf), (slot-lowest)*unsafe.Sizeof(V(0))))
}

// addOne interleaves trees. The last ones are gone down together with some that were before.
func (f *blockForest[ID, V]) addOne(s *scratch[V]) {
	const wide = 8
	row, lowest := unsafe.Pointer(unsafe.SliceData(s.rows)), uintptr(1)<<f.depth
	i := 0
	for ; i < len(f.blocks) && len(f.blocks) >= wide; i += wide {
		first := min(i, len(f.blocks)-wide)
		b := (*[wide]treeBlock[ID, V])(unsafe.Pointer(&f.blocks[first]))
		var slots [wide]uintptr
		slots[0], slots[1], slots[2], slots[3], slots[4], slots[5], slots[6], slots[7] = descendBlocks[ID, V](unsafe.Pointer(b), row, f.depth)
		if f.groups == nil {
			sum := s.sums[0]
			for k := i - first; k < wide; k++ {
				sum += leafAt(&b[k], slots[k], lowest)
			}
			s.sums[0] = sum
			continue
		}
		for k := i - first; k < wide; k++ {
			s.sums[f.groups[first+k]] += leafAt(&b[k], slots[k], lowest)
		}
	}
	for ; i < len(f.blocks); i++ {
		b, slot := &f.blocks[i], uintptr(1)
		for range f.depth {
			slot = step[ID](unsafe.Pointer(b), row, slot)
		}
		s.sums[f.group(i)] += leafAt(b, slot, lowest)
	}
}

func (f *blockForest[ID, V]) group(tree int) int {
	if f.groups == nil {
		return 0
	}
	return int(f.groups[tree])
}

// addBlock interleaves rows.
func (f *blockForest[ID, V]) addBlock(s *scratch[V], n int) {
	lowest := uintptr(1) << f.depth
	for i := range f.blocks {
		b, group := &f.blocks[i], f.group(i)
		if s.stride == strideUnit {
			for r := 0; r < n; r += narrowInterleave {
				slot0, slot1, slot2, slot3, slot4, slot5, slot6, slot7 := descendNarrow[ID](unsafe.Pointer(b), unsafe.Pointer(&s.rows[r*strideUnit]), f.depth)
				at, g := r*s.groups+group, s.groups
				s.sums[at] += leafAt(b, slot0, lowest)
				s.sums[at+g] += leafAt(b, slot1, lowest)
				s.sums[at+2*g] += leafAt(b, slot2, lowest)
				s.sums[at+3*g] += leafAt(b, slot3, lowest)
				s.sums[at+4*g] += leafAt(b, slot4, lowest)
				s.sums[at+5*g] += leafAt(b, slot5, lowest)
				s.sums[at+6*g] += leafAt(b, slot6, lowest)
				s.sums[at+7*g] += leafAt(b, slot7, lowest)
			}
			continue
		}
		for r := 0; r < n; r += interleave {
			row0 := unsafe.Pointer(&s.rows[r*s.stride])
			row1 := unsafe.Add(row0, s.stride)
			row2 := unsafe.Add(row1, s.stride)
			row3 := unsafe.Add(row2, s.stride)
			slot0, slot1, slot2, slot3 := descendRows[ID](unsafe.Pointer(b), row0, row1, row2, row3, f.depth)
			at := r*s.groups + group
			s.sums[at] += leafAt(b, slot0, lowest)
			s.sums[at+s.groups] += leafAt(b, slot1, lowest)
			s.sums[at+2*s.groups] += leafAt(b, slot2, lowest)
			s.sums[at+3*s.groups] += leafAt(b, slot3, lowest)
		}
	}
}

// child returns the index of the node below node that the quantised row goes to.
func child(nodes, row unsafe.Pointer, node uintptr) uintptr {
	n := *(*packedNode)(unsafe.Add(nodes, node*8))
	x := *(*uint8)(unsafe.Add(row, uintptr(uint16(n>>32))))
	return uintptr(uint32(n)) + uintptr((uint64(n>>48)-uint64(x))>>63)
}

// descendNodes returns the leaves that four walks end at, each from its node with its row. They stop when
// none of them is above its leaf. It is not inlined for the reason that descendRows is not.
//
//go:noinline
func descendNodes(nodes, row0, row1, row2, row3 unsafe.Pointer, at0, at1, at2, at3 uintptr) (leaf0, leaf1, leaf2, leaf3 uintptr) {
	for {
		at0 = child(nodes, row0, at0)
		at1 = child(nodes, row1, at1)
		at2 = child(nodes, row2, at2)
		at3 = child(nodes, row3, at3)
		next := child(nodes, row0, at0)
		moved := next ^ at0
		at0 = next
		next = child(nodes, row1, at1)
		moved |= next ^ at1
		at1 = next
		next = child(nodes, row2, at2)
		moved |= next ^ at2
		at2 = next
		next = child(nodes, row3, at3)
		moved |= next ^ at3
		at3 = next
		if moved == 0 {
			return at0, at1, at2, at3
		}
	}
}

// addOne interleaves trees.
func (f *nodeForest[V]) addOne(s *scratch[V]) {
	row, nodes := unsafe.Pointer(unsafe.SliceData(s.rows)), unsafe.Pointer(unsafe.SliceData(f.nodes))
	i := 0
	for ; i+interleave <= len(f.trees); i += interleave {
		t := (*[interleave]nodeTree)(f.trees[i:])
		leaf0, leaf1, leaf2, leaf3 := descendNodes(nodes, row, row, row, row,
			uintptr(t[0].root), uintptr(t[1].root), uintptr(t[2].root), uintptr(t[3].root))
		s.sums[t[0].group] += f.leaves[leaf0]
		s.sums[t[1].group] += f.leaves[leaf1]
		s.sums[t[2].group] += f.leaves[leaf2]
		s.sums[t[3].group] += f.leaves[leaf3]
	}
	for ; i < len(f.trees); i++ {
		at := uintptr(f.trees[i].root)
		for next := child(nodes, row, at); next != at; next = child(nodes, row, at) {
			at = next
		}
		s.sums[f.trees[i].group] += f.leaves[at]
	}
}

// addBlock interleaves rows.
func (f *nodeForest[V]) addBlock(s *scratch[V], n int) {
	nodes := unsafe.Pointer(unsafe.SliceData(f.nodes))
	for _, t := range f.trees {
		root := uintptr(t.root)
		for r := 0; r < n; r += interleave {
			row0 := unsafe.Pointer(&s.rows[r*s.stride])
			row1 := unsafe.Add(row0, s.stride)
			row2 := unsafe.Add(row1, s.stride)
			row3 := unsafe.Add(row2, s.stride)
			leaf0, leaf1, leaf2, leaf3 := descendNodes(nodes, row0, row1, row2, row3, root, root, root, root)
			at := r*s.groups + t.group
			s.sums[at] += f.leaves[leaf0]
			s.sums[at+s.groups] += f.leaves[leaf1]
			s.sums[at+2*s.groups] += f.leaves[leaf2]
			s.sums[at+3*s.groups] += f.leaves[leaf3]
		}
	}
}
