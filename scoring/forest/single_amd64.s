//go:build amd64 && !purego

#include "textflag.h"

// PERMUTE gathers the bytes of a row in Z20 and Z21 that Z1 numbers into Z1. PERMUTE_WIDE does so of a row that
// goes on in Z22 and Z23.
#define PERMUTE VPERMI2B Z21, Z20, Z1
#define PERMUTE_WIDE \
	VPMOVB2M  Z1, K1        \
	VMOVDQA64 Z1, Z2        \
	VPERMI2B  Z21, Z20, Z1  \
	VPERMI2B  Z23, Z22, Z2  \
	VMOVDQU8  Z2, K1, Z1

// DOWN goes down one level: BX becomes twice itself, and one more where its bit of AX is set.
#define DOWN \
	BTQ  BX, AX \
	ADCQ BX, BX

// BLOCK adds the leaf of one block, whose leaves begin at 128 bytes, and whose lowest slots at 64.
#define BLOCK \
	VPCMPUB $6, 64(SI), Z1, K1   \
	KMOVQ   K1, AX               \
	MOVL    $1, BX               \
	DOWN                         \
	DOWN                         \
	DOWN                         \
	DOWN                         \
	DOWN                         \
	DOWN                         \
	VMOVSS  -128(SI)(BX*4), X4   \
	VMOVSS  X4, (DI)             \
	VADDSS  X4, X3, X3           \
	ADDQ    $384, SI             \
	ADDQ    $4, DI

// MATCH adds the leaf of one tree of a pair: OUTCOMES has its outcomes, and the offsets are those of its
// arrays from SI.
#define MATCH(OUTCOMES, WANT, CARE, LEAF, AT) \
	VPBROADCASTD OUTCOMES, Z2           \
	VPXORD       (WANT)(SI), Z2, Z4     \
	VPXORD       (WANT+64)(SI), Z2, Z5  \
	VPTESTNMD    (CARE)(SI), Z4, K2     \
	VPTESTNMD    (CARE+64)(SI), Z5, K3  \
	KUNPCKWD     K2, K3, K4             \
	KMOVD        K4, BX                 \
	TZCNTL       BX, BX                 \
	VMOVSS       (LEAF)(SI)(BX*4), X4   \
	VMOVSS       X4, (AT)(DI)           \
	VADDSS       X4, X3, X3

// PAIR adds the leaves of two trees.
#define PAIR \
	VPCMPUB $6, 64(SI), Z1, K1   \
	KMOVQ   K1, AX               \
	MATCH(AX, 128, 384, 640, 0)  \
	SHRQ    $32, AX              \
	MATCH(AX, 256, 512, 768, 4)  \
	ADDQ    $896, SI             \
	ADDQ    $8, DI

// func addRowAVX512(leaves *float32, blocks *treeBlock[uint8], n int, row *byte, sum float32) float32
TEXT ·addRowAVX512(SB), NOSPLIT, $0-44
	MOVQ      leaves+0(FP), DI
	MOVQ      blocks+8(FP), SI
	MOVQ      n+16(FP), CX
	MOVQ      row+24(FP), R8
	VMOVSS    sum+32(FP), X3
	VMOVDQU64 (R8), Z20
	VMOVDQU64 64(R8), Z21

next:
	VMOVDQU64 (SI), Z1
	PERMUTE
	BLOCK
	DECQ CX
	JNZ  next
	VMOVSS X3, ret+40(FP)
	VZEROUPPER
	RET

// func addWideRowAVX512(leaves *float32, blocks *treeBlock[uint8], n int, row *byte, sum float32) float32
TEXT ·addWideRowAVX512(SB), NOSPLIT, $0-44
	MOVQ      leaves+0(FP), DI
	MOVQ      blocks+8(FP), SI
	MOVQ      n+16(FP), CX
	MOVQ      row+24(FP), R8
	VMOVSS    sum+32(FP), X3
	VMOVDQU64 (R8), Z20
	VMOVDQU64 64(R8), Z21
	VMOVDQU64 128(R8), Z22
	VMOVDQU64 192(R8), Z23

next:
	VMOVDQU64 (SI), Z1
	PERMUTE_WIDE
	BLOCK
	DECQ CX
	JNZ  next
	VMOVSS X3, ret+40(FP)
	VZEROUPPER
	RET

// func addMatchedAVX512(leaves *float32, pairs *matchedPair, n int, row *byte, sum float32) float32
TEXT ·addMatchedAVX512(SB), NOSPLIT, $0-44
	MOVQ      leaves+0(FP), DI
	MOVQ      pairs+8(FP), SI
	MOVQ      n+16(FP), CX
	MOVQ      row+24(FP), R8
	VMOVSS    sum+32(FP), X3
	VMOVDQU64 (R8), Z20
	VMOVDQU64 64(R8), Z21

next:
	VMOVDQU64 (SI), Z1
	PERMUTE
	PAIR
	DECQ CX
	JNZ  next
	VMOVSS X3, ret+40(FP)
	VZEROUPPER
	RET

// func addWideMatchedAVX512(leaves *float32, pairs *matchedPair, n int, row *byte, sum float32) float32
TEXT ·addWideMatchedAVX512(SB), NOSPLIT, $0-44
	MOVQ      leaves+0(FP), DI
	MOVQ      pairs+8(FP), SI
	MOVQ      n+16(FP), CX
	MOVQ      row+24(FP), R8
	VMOVSS    sum+32(FP), X3
	VMOVDQU64 (R8), Z20
	VMOVDQU64 64(R8), Z21
	VMOVDQU64 128(R8), Z22
	VMOVDQU64 192(R8), Z23

next:
	VMOVDQU64 (SI), Z1
	PERMUTE_WIDE
	PAIR
	DECQ CX
	JNZ  next
	VMOVSS X3, ret+40(FP)
	VZEROUPPER
	RET
