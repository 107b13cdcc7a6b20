//go:build amd64 && !purego

#include "textflag.h"
#include "leaves_amd64.h"

// MOVE moves the rows that are at a split, and go right there, to the first leaf on its right. R9 is at the
// split, SI at the columns; Z0 has the rows' leaf numbers.
#define MOVE \
	MOVL         (R9), AX               \
	VPBROADCASTD 4(R9), Z1              \
	VPCMPUB      $1, (SI)(AX*1), Z1, K1 \
	VPBROADCASTD 8(R9), Z2              \
	VPCMPEQB     Z2, Z0, K1, K2         \
	VPBROADCASTB 12(R9), K2, Z0         \
	ADDQ         $16, R9

// func addLeafwiseAVX512(sums *float32, columns *byte, trees *leafwiseTree, tests *leafwiseTest, leaves *byte, n int)
TEXT ·addLeafwiseAVX512(SB), NOSPLIT, $0-48
	MOVQ sums+0(FP), DI
	MOVQ columns+8(FP), SI
	MOVQ trees+16(FP), R8
	MOVQ tests+24(FP), R9
	MOVQ leaves+32(FP), DX
	MOVQ n+40(FP), CX

tree:
	VPXORQ Z0, Z0, Z0
	MOVL   (R8), R10
	TESTL  R10, R10
	JZ     leaves

test:
	MOVE
	DECL R10
	JNZ  test

leaves:
	LOOKUP(0)
	MOVL 4(R8), AX
	ADD_LEAVES
	ADDQ $8, R8
	ADDQ $256, DX
	DECQ CX
	JNZ  tree
	VZEROUPPER
	RET

// func addLargeLeafwiseAVX512(sums *float32, columns *byte, trees *leafwiseTree, tests *leafwiseTest, leaves *byte, n int)
TEXT ·addLargeLeafwiseAVX512(SB), NOSPLIT, $0-48
	MOVQ sums+0(FP), DI
	MOVQ columns+8(FP), SI
	MOVQ trees+16(FP), R8
	MOVQ tests+24(FP), R9
	MOVQ leaves+32(FP), DX
	MOVQ n+40(FP), CX

tree:
	VPXORQ Z0, Z0, Z0
	MOVL   (R8), R10
	TESTL  R10, R10
	JZ     leaves

test:
	MOVE
	DECL R10
	JNZ  test

leaves:
	VPMOVB2M Z0, K1
	LOOKUP256(0, Z1)
	LOOKUP256(256, Z2)
	LOOKUP256(512, Z3)
	LOOKUP256(768, Z4)
	MOVL 4(R8), AX
	ADD_LEAVES
	ADDQ $8, R8
	ADDQ $1024, DX
	DECQ CX
	JNZ  tree
	VZEROUPPER
	RET
