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

// ADD_LEAFWISE is the body of a function: ADD adds the leaves of a tree, which are at DX and take SIZE bytes.
#define ADD_LEAFWISE(ADD, SIZE) \
	MOVQ sums+0(FP), DI     \
	MOVQ columns+8(FP), SI  \
	MOVQ trees+16(FP), R8   \
	MOVQ tests+24(FP), R9   \
	MOVQ leaves+32(FP), DX  \
	MOVQ n+40(FP), CX       \
tree:                       \
	VPXORQ Z0, Z0, Z0       \
	MOVL   (R8), R10        \
	TESTL  R10, R10         \
	JZ     leaves           \
test:                       \
	MOVE                    \
	DECL R10                \
	JNZ  test               \
leaves:                     \
	MOVL 4(R8), AX          \
	ADD                     \
	ADDQ $8, R8             \
	ADDQ $SIZE, DX          \
	DECQ CX                 \
	JNZ  tree               \
	VZEROUPPER

#define LOOKUP_LARGE(FIRST) \
	LOOKUP256(FIRST, Z1)       \
	LOOKUP256((FIRST+256), Z2) \
	LOOKUP256((FIRST+512), Z3) \
	LOOKUP256((FIRST+768), Z4)

#define ADD_SMALL \
	LOOKUP(0)  \
	ADD_LEAVES

#define ADD_SMALL_F64 \
	LOOKUP(0)      \
	UNPACK_F64_LOW \
	LOOKUP(256)    \
	ADD_F64_LEAVES

#define ADD_LARGE \
	VPMOVB2M Z0, K1 \
	LOOKUP_LARGE(0) \
	ADD_LEAVES

#define ADD_LARGE_F64 \
	VPMOVB2M Z0, K1    \
	LOOKUP_LARGE(0)    \
	UNPACK_F64_LOW     \
	LOOKUP_LARGE(1024) \
	ADD_F64_LEAVES

// func addLeafwiseAVX512(sums *float32, columns *byte, trees *leafwiseTree, tests *leafwiseTest, leaves *byte, n int)
TEXT ·addLeafwiseAVX512(SB), NOSPLIT, $0-48
	ADD_LEAFWISE(ADD_SMALL, 256)
	RET

// func addLeafwiseF64AVX512(sums *float64, columns *byte, trees *leafwiseTree, tests *leafwiseTest, leaves *byte, n int)
TEXT ·addLeafwiseF64AVX512(SB), NOSPLIT, $0-48
	ADD_LEAFWISE(ADD_SMALL_F64, 512)
	RET

// func addLargeLeafwiseAVX512(sums *float32, columns *byte, trees *leafwiseTree, tests *leafwiseTest, leaves *byte, n int)
TEXT ·addLargeLeafwiseAVX512(SB), NOSPLIT, $0-48
	ADD_LEAFWISE(ADD_LARGE, 1024)
	RET

// func addLargeLeafwiseF64AVX512(sums *float64, columns *byte, trees *leafwiseTree, tests *leafwiseTest, leaves *byte, n int)
TEXT ·addLargeLeafwiseF64AVX512(SB), NOSPLIT, $0-48
	ADD_LEAFWISE(ADD_LARGE_F64, 2048)
	RET
