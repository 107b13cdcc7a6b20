//go:build amd64 && !purego

#include "textflag.h"
#include "tables_amd64.h"

// The arithmetic is that of tables_lookup.go: entries are added up in the same order.

// func prefetchEntries(ways *[tableRows]uint64, entries *entry, tree *lookupTree, trees int)
TEXT ·prefetchEntries(SB), NOSPLIT, $128-32
	MOVQ ways+0(FP), R9
	MOVQ entries+8(FP), BX
	MOVQ tree+16(FP), DX
	MOVQ trees+24(FP), R12
	ALIGN_OFFSETS

tree:
	LOAD_TREE
	FIND_ENTRIES

four:
	MOVL 0(AX), CX
	PREFETCHT0 (BX)(CX*1)
	MOVL 4(AX), CX
	PREFETCHT0 (BX)(CX*1)
	MOVL 8(AX), CX
	PREFETCHT0 (BX)(CX*1)
	MOVL 12(AX), CX
	PREFETCHT0 (BX)(CX*1)
	ADDQ $16, AX
	DECQ R11
	JNZ  four

	ADDQ $SIZEOF_WAYS, R9
	ADDQ $SIZEOF_TREE, DX
	DECQ R12
	JNZ  tree
	VZEROUPPER
	RET

// func addEntries8(phi *float64, ways *[tableRows]uint64, entries *entry, tree *lookupTree, trees, n int)
TEXT ·addEntries8(SB), NOSPLIT, $128-48
	MOVQ phi+0(FP), DI
	MOVQ ways+8(FP), SI
	MOVQ entries+16(FP), BX
	MOVQ tree+24(FP), DX
	MOVQ trees+32(FP), R12
	ALIGN_OFFSETS

tree:
	LOAD_TREE
	MOVQ SI, R9
	MOVQ DI, R10
	MOVQ n+40(FP), R8

row:
	FIND_ENTRIES
	VXORPS Y6, Y6, Y6

four:
	MOVL   0(AX), CX
	VADDPS (BX)(CX*1), Y6, Y6
	MOVL   4(AX), CX
	VADDPS (BX)(CX*1), Y6, Y6
	MOVL   8(AX), CX
	VADDPS (BX)(CX*1), Y6, Y6
	MOVL   12(AX), CX
	VADDPS (BX)(CX*1), Y6, Y6
	ADDQ   $16, AX
	DECQ   R11
	JNZ    four

	FLUSH(Y6, 0)
	ADDQ $8, R9
	ADDQ $64, R10
	DECQ R8
	JNZ  row

	ADDQ $SIZEOF_WAYS, SI
	ADDQ $SIZEOF_TREE, DX
	DECQ R12
	JNZ  tree
	VZEROUPPER
	RET

// func addEntries16(phi *float64, ways *[tableRows]uint64, entries *entry, tree *lookupTree, sources *treeSources, trees, n int)
TEXT ·addEntries16(SB), NOSPLIT, $128-56
	MOVQ ways+8(FP), SI
	MOVQ entries+16(FP), BX
	MOVQ tree+24(FP), DX
	MOVQ sources+32(FP), R12
	ALIGN_OFFSETS

tree:
	LOAD_TREE
	MOVQ SI, R9
	MOVQ phi+0(FP), R10
	MOVQ n+48(FP), R8

row:
	FIND_ENTRIES
	MOVQ R12, DI
	VPXORQ Z6, Z6, Z6

four:
	LOAD_ENTRY(0)
	SPREAD(0, Z6)
	LOAD_ENTRY(4)
	SPREAD(64, Z6)
	LOAD_ENTRY(8)
	SPREAD(128, Z6)
	LOAD_ENTRY(12)
	SPREAD(192, Z6)
	ADDQ $16, AX
	ADDQ $256, DI
	DECQ R11
	JNZ  four

	FLUSH(Y6, 0)
	VEXTRACTF64X4 $1, Z6, Y6
	FLUSH(Y6, 64)
	ADDQ $8, R9
	ADDQ $128, R10
	DECQ R8
	JNZ  row

	ADDQ $SIZEOF_WAYS, SI
	ADDQ $SIZEOF_TREE, DX
	ADDQ $SIZEOF_SOURCES, R12
	DECQ trees+40(FP)
	JNZ  tree
	VZEROUPPER
	RET

// func addEntries32(phi *float64, ways *[tableRows]uint64, entries *entry, tree *lookupTree, sources *treeSources, trees, n int)
TEXT ·addEntries32(SB), NOSPLIT, $128-56
	MOVQ ways+8(FP), SI
	MOVQ entries+16(FP), BX
	MOVQ tree+24(FP), DX
	MOVQ sources+32(FP), R12
	ALIGN_OFFSETS

tree:
	LOAD_TREE
	MOVQ SI, R9
	MOVQ phi+0(FP), R10
	MOVQ n+48(FP), R8

row:
	FIND_ENTRIES
	MOVQ R12, DI
	VPXORQ Z6, Z6, Z6
	VPXORQ Z7, Z7, Z7

four:
	LOAD_ENTRY(0)
	SPREAD(0, Z6)
	SPREAD(16, Z7)
	LOAD_ENTRY(4)
	SPREAD(64, Z6)
	SPREAD(80, Z7)
	LOAD_ENTRY(8)
	SPREAD(128, Z6)
	SPREAD(144, Z7)
	LOAD_ENTRY(12)
	SPREAD(192, Z6)
	SPREAD(208, Z7)
	ADDQ $16, AX
	ADDQ $256, DI
	DECQ R11
	JNZ  four

	FLUSH(Y6, 0)
	VEXTRACTF64X4 $1, Z6, Y6
	FLUSH(Y6, 64)
	FLUSH(Y7, 128)
	VEXTRACTF64X4 $1, Z7, Y7
	FLUSH(Y7, 192)
	ADDQ $8, R9
	ADDQ $256, R10
	DECQ R8
	JNZ  row

	ADDQ $SIZEOF_WAYS, SI
	ADDQ $SIZEOF_TREE, DX
	ADDQ $SIZEOF_SOURCES, R12
	DECQ trees+40(FP)
	JNZ  tree
	VZEROUPPER
	RET

// func sumEntries32(sums *[maxSlots]float32, ways *[tableRows]uint64, entries *entry, tree *lookupTree, sources *treeSources, n int)
TEXT ·sumEntries32(SB), NOSPLIT, $128-48
	MOVQ sums+0(FP), R10
	MOVQ ways+8(FP), R9
	MOVQ entries+16(FP), BX
	MOVQ tree+24(FP), DX
	MOVQ sources+32(FP), SI
	MOVQ n+40(FP), R8
	ALIGN_OFFSETS
	LOAD_TREE

row:
	FIND_ENTRIES
	MOVQ SI, DI
	VPXORQ Z6, Z6, Z6
	VPXORQ Z7, Z7, Z7

four:
	LOAD_ENTRY(0)
	SPREAD(0, Z6)
	SPREAD(16, Z7)
	LOAD_ENTRY(4)
	SPREAD(64, Z6)
	SPREAD(80, Z7)
	LOAD_ENTRY(8)
	SPREAD(128, Z6)
	SPREAD(144, Z7)
	LOAD_ENTRY(12)
	SPREAD(192, Z6)
	SPREAD(208, Z7)
	ADDQ $16, AX
	ADDQ $256, DI
	DECQ R11
	JNZ  four

	VMOVUPS Z6, 0(R10)
	VMOVUPS Z7, 64(R10)
	ADDQ $8, R9
	ADDQ $256, R10
	DECQ R8
	JNZ  row
	VZEROUPPER
	RET

// func sumEntries64(sums *[maxSlots]float32, ways *[tableRows]uint64, entries *entry, tree *lookupTree, sources *treeSources, n int)
TEXT ·sumEntries64(SB), NOSPLIT, $128-48
	MOVQ sums+0(FP), R10
	MOVQ ways+8(FP), R9
	MOVQ entries+16(FP), BX
	MOVQ tree+24(FP), DX
	MOVQ sources+32(FP), SI
	MOVQ n+40(FP), R8
	ALIGN_OFFSETS
	LOAD_TREE

row:
	FIND_ENTRIES
	MOVQ SI, DI
	SHLQ $2, R11 // one entry a step
	VPXORQ Z6, Z6, Z6
	VPXORQ Z7, Z7, Z7
	VPXORQ Z8, Z8, Z8
	VPXORQ Z9, Z9, Z9

one:
	LOAD_ENTRY(0)
	SPREAD(0, Z6)
	SPREAD(16, Z7)
	SPREAD(32, Z8)
	SPREAD(48, Z9)
	ADDQ $4, AX
	ADDQ $64, DI
	DECQ R11
	JNZ  one

	VMOVUPS Z6, 0(R10)
	VMOVUPS Z7, 64(R10)
	VMOVUPS Z8, 128(R10)
	VMOVUPS Z9, 192(R10)
	ADDQ $8, R9
	ADDQ $256, R10
	DECQ R8
	JNZ  row
	VZEROUPPER
	RET
