//go:build amd64 && !purego

#include "textflag.h"

// The arithmetic is that of tables_lookup.go: entries are added up in the same order.

// The sizes of the Go types.
#define SIZEOF_WAYS 2048 // of one tree: 256 rows
#define SIZEOF_TREE 216
#define TREE_FIRST 128
#define TREE_FLIPS 192
#define TREE_FOURS 208
#define SIZEOF_SOURCES 1024

// LOAD_TREE loads a tree's selectors to Z0 and Z1, its first entries to Z2 and its flips to X3.
#define LOAD_TREE \
	VMOVDQU64 (DX), Z0;            \
	VMOVDQU64 64(DX), Z1;          \
	VMOVDQU64 TREE_FIRST(DX), Z2;  \
	VMOVDQU   TREE_FLIPS(DX), X3

// ALIGN_OFFSETS points R13 to 64 bytes of the frame of 128 that start at a multiple of 64.
#define ALIGN_OFFSETS \
	LEAQ frame-128(SP), R13; \
	ADDQ $63, R13;           \
	ANDQ $-64, R13

// FIND_ENTRIES writes the offsets of the 16 entries of a row, whose ways are at R9, to R13.
#define FIND_ENTRIES \
	VPBROADCASTQ (R9), Z4;         \
	VPSHUFBITQMB Z0, Z4, K1;       \
	VPSHUFBITQMB Z1, Z4, K2;       \
	KMOVQ        K1, AX;           \
	KMOVQ        K2, R11;          \
	VMOVQ        AX, X5;           \
	VPINSRQ      $1, R11, X5, X5;  \
	VPXOR        X3, X5, X5;       \
	VPMOVZXBD    X5, Z5;           \
	VPADDD       Z2, Z5, Z5;       \
	VPSLLD       $5, Z5, Z5;       \
	VMOVDQA64    Z5, (R13);        \
	MOVQ         R13, AX;          \
	MOVQ         TREE_FOURS(DX), R11

// LOAD_ENTRY loads the next entry to Y10.
#define LOAD_ENTRY(at) \
	MOVL    at(AX), CX;         \
	VMOVUPS (BX)(CX*1), Y10

// SPREAD adds the entry's lanes to 16 places.
#define SPREAD(at, sum) \
	VPMOVZXBD at(DI), Z11;       \
	VPERMPS   Z10, Z11, Z11;     \
	VADDPS    Z11, sum, sum

// FLUSH adds 8 sums to those of the row.
#define FLUSH(sum, at) \
	VCVTPS2PD sum, Z12;           \
	VADDPD    at(R10), Z12, Z12;  \
	VMOVUPD   Z12, at(R10)

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
