//go:build amd64 && !purego

#include "textflag.h"

// The sizes of the Go types.
#define SIZEOF_WAYS 2048 // of one tree: 256 rows
#define SIZEOF_TESTS 192
#define TESTS_THRESHOLD 128

// LOAD_FIND_ARGS loads the arguments: DI ways, DX tests, CX trees, BX rows, R8 stride.
#define LOAD_FIND_ARGS \
	MOVQ ways+0(FP), DI;   \
	MOVQ tests+8(FP), DX;  \
	MOVQ trees+16(FP), CX; \
	MOVQ rows+24(FP), BX;  \
	MOVQ stride+32(FP), R8

// LOAD_TESTS loads a tree's columns, as bytes, to Z1 and its thresholds to Z3, and begins with the first
// row: SI its bytes, R9 its ways, R10 how many rows are left.
#define LOAD_TESTS \
	VMOVDQU64    (DX), Z0;                 \
	VPMOVWB      Z0, Y1;                   \
	VMOVDQU64    64(DX), Z0;               \
	VPMOVWB      Z0, Y2;                   \
	VINSERTI64X4 $1, Y2, Z1, Z1;           \
	VMOVDQU64    TESTS_THRESHOLD(DX), Z3;  \
	MOVQ         BX, SI;                   \
	MOVQ         DI, R9;                   \
	MOVQ         n+40(FP), R10

// STORE_WAYS compares a row's bytes in Z4 to the thresholds.
#define STORE_WAYS \
	VPCMPUB $6, Z3, Z4, K1; \
	KMOVQ   K1, (R9);       \
	ADDQ    R8, SI;         \
	ADDQ    $8, R9

#define NEXT_TREE \
	ADDQ $SIZEOF_WAYS, DI;  \
	ADDQ $SIZEOF_TESTS, DX

// func findWays64(ways *[tableRows]uint64, tests *treeTests, trees int, rows *byte, stride, n int)
TEXT ·findWays64(SB), NOSPLIT, $0-48
	LOAD_FIND_ARGS

tree:
	LOAD_TESTS

row:
	VPERMB (SI), Z1, Z4
	STORE_WAYS
	DECQ   R10
	JNZ    row
	NEXT_TREE
	DECQ   CX
	JNZ    tree
	VZEROUPPER
	RET

// func findWays128(ways *[tableRows]uint64, tests *treeTests, trees int, rows *byte, stride, n int)
TEXT ·findWays128(SB), NOSPLIT, $0-48
	LOAD_FIND_ARGS

tree:
	LOAD_TESTS

row:
	VMOVDQU64 (SI), Z5
	VMOVDQA64 Z1, Z4
	VPERMI2B  64(SI), Z5, Z4
	STORE_WAYS
	DECQ      R10
	JNZ       row
	NEXT_TREE
	DECQ      CX
	JNZ       tree
	VZEROUPPER
	RET

// func findWays256(ways *[tableRows]uint64, tests *treeTests, trees int, rows *byte, stride, n int)
TEXT ·findWays256(SB), NOSPLIT, $0-48
	LOAD_FIND_ARGS

tree:
	LOAD_TESTS
	VPMOVB2M Z1, K2 // the columns from 128 on

row:
	VMOVDQU64 (SI), Z5
	VMOVDQA64 Z1, Z4
	VPERMI2B  64(SI), Z5, Z4
	VMOVDQU64 128(SI), Z5
	VMOVDQA64 Z1, Z6
	VPERMI2B  192(SI), Z5, Z6
	VPBLENDMB Z6, Z4, K2, Z4
	STORE_WAYS
	DECQ      R10
	JNZ       row
	NEXT_TREE
	DECQ      CX
	JNZ       tree
	VZEROUPPER
	RET
