//go:build amd64 && !purego

#include "textflag.h"

// PERMUTE gathers the bytes of a row in Z20 and Z21 that Z1 numbers into Z1. PERMUTE_LONG does so of a row that
// goes on in Z22 and Z23.
#define PERMUTE VPERMI2B Z21, Z20, Z1
#define PERMUTE_LONG \
	VPMOVB2M  Z1, K1        \
	VMOVDQA64 Z1, Z2        \
	VPERMI2B  Z21, Z20, Z1  \
	VPERMI2B  Z23, Z22, Z2  \
	VMOVDQU8  Z2, K1, Z1

// FIND is a function's loop. Where a loop begins in a cache line makes a difference of an eighth.
#define FIND(PERMUTED) \
	PCALIGN   $64                \
next:                           \
	VMOVDQU64 (SI), Z1           \
	PERMUTED                     \
	VPCMPUB   $6, 64(SI), Z1, K1 \
	KMOVQ     K1, (DI)           \
	ADDQ      $128, SI           \
	ADDQ      $8, DI             \
	DECQ      CX                 \
	JNZ       next

#define LOAD_FIND_ARGS \
	MOVQ      outcomes+0(FP), DI \
	MOVQ      words+8(FP), SI    \
	MOVQ      n+16(FP), CX       \
	MOVQ      row+24(FP), R8     \
	VMOVDQU64 (R8), Z20          \
	VMOVDQU64 64(R8), Z21

// func findOutcomesAVX512(outcomes *uint64, words *wordTests, n int, row *byte)
TEXT ·findOutcomesAVX512(SB), NOSPLIT, $0-32
	LOAD_FIND_ARGS
	FIND(PERMUTE)
	VZEROUPPER
	RET

// func findLongOutcomesAVX512(outcomes *uint64, words *wordTests, n int, row *byte)
TEXT ·findLongOutcomesAVX512(SB), NOSPLIT, $0-32
	LOAD_FIND_ARGS
	VMOVDQU64 128(R8), Z22
	VMOVDQU64 192(R8), Z23
	FIND(PERMUTE_LONG)
	VZEROUPPER
	RET

// The slots of the lowest level of eight blocks, counted from the first slot of the first, are theirs and these.
DATA blockOffsets<>+0(SB)/8, $-64
DATA blockOffsets<>+8(SB)/8, $0
DATA blockOffsets<>+16(SB)/8, $64
DATA blockOffsets<>+24(SB)/8, $128
DATA blockOffsets<>+32(SB)/8, $192
DATA blockOffsets<>+40(SB)/8, $256
DATA blockOffsets<>+48(SB)/8, $320
DATA blockOffsets<>+56(SB)/8, $384
GLOBL blockOffsets<>(SB), RODATA, $64

// LOAD_LEAVES_ARGS loads where the leaves go, what the words lead to, and the words.
#define LOAD_LEAVES_ARGS \
	MOVQ leaves+0(FP), DI    \
	MOVQ trees+8(FP), SI     \
	MOVQ outcomes+16(FP), R8 \
	MOVQ n+24(FP), CX

// DOWN goes down one level in eight blocks, whose outcomes are in Z0 and slots in Z5: a slot becomes twice itself, and
// one more where its outcome is 1. Z6 has ones.
#define DOWN \
	VPSRLVQ    Z5, Z0, Z1        \
	VPADDQ     Z5, Z5, Z5        \
	VPTERNLOGQ $0xf8, Z6, Z1, Z5

// LEAF adds a block's leaf, whose number is the one at K of eight.
#define LEAF(MOV, ADD, SCALE, K) \
	MOVQ (8*K)(R8), BX       \
	MOV  (SI)(BX*SCALE), X4  \
	MOV  X4, (K*SCALE)(DI)   \
	ADD  X4, X3, X3

// ADD_BLOCKS is a function's loop over eight blocks at a time. The leaves' numbers take the place of the outcomes.
#define ADD_BLOCKS(MOV, ADD, SCALE) \
	MOVL         $1, AX             \
	VPBROADCASTQ AX, Z6             \
	VMOVDQU64    blockOffsets<>(SB), Z7 \
	PCALIGN      $64                \
next:                              \
	VMOVDQU64    (R8), Z0           \
	VMOVDQA64    Z6, Z5             \
	DOWN                            \
	DOWN                            \
	DOWN                            \
	DOWN                            \
	DOWN                            \
	DOWN                            \
	VPADDQ       Z7, Z5, Z5         \
	VMOVDQU64    Z5, (R8)           \
	LEAF(MOV, ADD, SCALE, 0)        \
	LEAF(MOV, ADD, SCALE, 1)        \
	LEAF(MOV, ADD, SCALE, 2)        \
	LEAF(MOV, ADD, SCALE, 3)        \
	LEAF(MOV, ADD, SCALE, 4)        \
	LEAF(MOV, ADD, SCALE, 5)        \
	LEAF(MOV, ADD, SCALE, 6)        \
	LEAF(MOV, ADD, SCALE, 7)        \
	ADDQ         $(512*SCALE), SI   \
	ADDQ         $64, R8            \
	ADDQ         $(8*SCALE), DI     \
	SUBQ         $8, CX             \
	JNZ          next

// func addBlocksAVX512(leaves, trees *float32, outcomes *uint64, n int, sum float32) float32
TEXT ·addBlocksAVX512(SB), NOSPLIT, $0-44
	LOAD_LEAVES_ARGS
	VMOVSS sum+32(FP), X3
	ADD_BLOCKS(VMOVSS, VADDSS, 4)
	VMOVSS X3, ret+40(FP)
	VZEROUPPER
	RET

// func addBlocksF64AVX512(leaves, trees *float64, outcomes *uint64, n int, sum float64) float64
TEXT ·addBlocksF64AVX512(SB), NOSPLIT, $0-48
	LOAD_LEAVES_ARGS
	VMOVSD sum+32(FP), X3
	ADD_BLOCKS(VMOVSD, VADDSD, 8)
	VMOVSD X3, ret+40(FP)
	VZEROUPPER
	RET

// MATCH adds the leaf of one tree of a pair: HALF of its word has the tree's outcomes, and the offsets are those of its
// arrays from SI.
#define MATCH(MOV, ADD, SCALE, HALF, WANT, CARE, LEAVES) \
	VPBROADCASTD (4*HALF)(R8), Z2           \
	VPXORD       (WANT)(SI), Z2, Z4         \
	VPXORD       (WANT+64)(SI), Z2, Z5      \
	VPTESTNMD    (CARE)(SI), Z4, K2         \
	VPTESTNMD    (CARE+64)(SI), Z5, K3      \
	KUNPCKWD     K2, K3, K4                 \
	KMOVD        K4, BX                     \
	TZCNTL       BX, BX                     \
	MOV          (LEAVES)(SI)(BX*SCALE), X4 \
	MOV          X4, (HALF*SCALE)(DI)       \
	ADD          X4, X3, X3

// ADD_PAIRS is a function's loop.
#define ADD_PAIRS(MOV, ADD, SCALE) \
	PCALIGN $64                    \
next:                             \
	MATCH(MOV, ADD, SCALE, 0, 0, 256, 512)              \
	MATCH(MOV, ADD, SCALE, 1, 128, 384, (512+32*SCALE)) \
	ADDQ $(512+64*SCALE), SI       \
	ADDQ $8, R8                    \
	ADDQ $(2*SCALE), DI            \
	DECQ CX                        \
	JNZ  next

// func addPairsAVX512(leaves *float32, trees *matchedPair[float32], outcomes *uint64, n int, sum float32) float32
TEXT ·addPairsAVX512(SB), NOSPLIT, $0-44
	LOAD_LEAVES_ARGS
	VMOVSS sum+32(FP), X3
	ADD_PAIRS(VMOVSS, VADDSS, 4)
	VMOVSS X3, ret+40(FP)
	VZEROUPPER
	RET

// func addPairsF64AVX512(leaves *float64, trees *matchedPair[float64], outcomes *uint64, n int, sum float64) float64
TEXT ·addPairsF64AVX512(SB), NOSPLIT, $0-48
	LOAD_LEAVES_ARGS
	VMOVSD sum+32(FP), X3
	ADD_PAIRS(VMOVSD, VADDSD, 8)
	VMOVSD X3, ret+40(FP)
	VZEROUPPER
	RET
