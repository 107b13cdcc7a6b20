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

// DOWN goes down one level: BX becomes twice itself, and one more where its bit of AX is set.
#define DOWN \
	BTQ  BX, AX \
	ADCQ BX, BX

// MASK adds the outcomes at splits on categories, which are the word at R9.
#define MASK \
	ORQ  (R9), AX \
	ADDQ $8, R9

#define NO_MASK

// BLOCK adds the leaf of one block of SIZE bytes. Its leaves begin at 128 bytes, and its lowest slots at 64: a leaf is
// at AT plus its slot times SCALE. MOV and ADD are those of the leaves' type.
#define BLOCK(MASKED, MOV, ADD, AT, SCALE, SIZE) \
	VPCMPUB $6, 64(SI), Z1, K1   \
	KMOVQ   K1, AX               \
	MASKED                       \
	MOVL    $1, BX               \
	DOWN                         \
	DOWN                         \
	DOWN                         \
	DOWN                         \
	DOWN                         \
	DOWN                         \
	MOV     AT(SI)(BX*SCALE), X4 \
	MOV     X4, (DI)             \
	ADD     X4, X3, X3           \
	ADDQ    $SIZE, SI            \
	ADDQ    $SCALE, DI

#define BLOCK_F32 BLOCK(NO_MASK, VMOVSS, VADDSS, -128, 4, 384)
#define BLOCK_F64 BLOCK(NO_MASK, VMOVSD, VADDSD, -384, 8, 640)
#define MASKED_BLOCK_F32 BLOCK(MASK, VMOVSS, VADDSS, -128, 4, 384)
#define MASKED_BLOCK_F64 BLOCK(MASK, VMOVSD, VADDSD, -384, 8, 640)

// MATCH adds the leaf of one tree of a pair: OUTCOMES has its outcomes, and the offsets are those of its
// arrays from SI, and of its place from DI.
#define MATCH(MOV, ADD, SCALE, OUTCOMES, WANT, CARE, LEAF, AT) \
	VPBROADCASTD OUTCOMES, Z2            \
	VPXORD       (WANT)(SI), Z2, Z4      \
	VPXORD       (WANT+64)(SI), Z2, Z5   \
	VPTESTNMD    (CARE)(SI), Z4, K2      \
	VPTESTNMD    (CARE+64)(SI), Z5, K3   \
	KUNPCKWD     K2, K3, K4              \
	KMOVD        K4, BX                  \
	TZCNTL       BX, BX                  \
	MOV          (LEAF)(SI)(BX*SCALE), X4 \
	MOV          X4, (AT)(DI)            \
	ADD          X4, X3, X3

// PAIR adds the leaves of two trees.
#define PAIR(MASKED, MOV, ADD, SCALE) \
	VPCMPUB $6, 64(SI), Z1, K1   \
	KMOVQ   K1, AX               \
	MASKED                       \
	MATCH(MOV, ADD, SCALE, AX, 128, 384, 640, 0)  \
	SHRQ    $32, AX              \
	MATCH(MOV, ADD, SCALE, AX, 256, 512, (640+32*SCALE), SCALE)  \
	ADDQ    $(640+64*SCALE), SI  \
	ADDQ    $(2*SCALE), DI

#define PAIR_F32 PAIR(NO_MASK, VMOVSS, VADDSS, 4)
#define PAIR_F64 PAIR(NO_MASK, VMOVSD, VADDSD, 8)
#define MASKED_PAIR_F32 PAIR(MASK, VMOVSS, VADDSS, 4)
#define MASKED_PAIR_F64 PAIR(MASK, VMOVSD, VADDSD, 8)

// ADD_ROW is the body of a function: PERMUTED permutes, and TREES adds the leaves of one block or one pair. Where its
// loop begins in a cache line makes a difference of an eighth.
#define ADD_ROW(PERMUTED, TREES) \
	PCALIGN $64        \
next:                 \
	VMOVDQU64 (SI), Z1 \
	PERMUTED           \
	TREES              \
	DECQ CX            \
	JNZ  next

#define LOAD_ROW \
	VMOVDQU64 (R8), Z20   \
	VMOVDQU64 64(R8), Z21

#define LOAD_LONG_ROW \
	LOAD_ROW               \
	VMOVDQU64 128(R8), Z22 \
	VMOVDQU64 192(R8), Z23

// func addRowAVX512(leaves *float32, blocks *treeBlock[uint8, float32], n int, row *byte, masks *uint64, sum float32) float32
TEXT ·addRowAVX512(SB), NOSPLIT, $0-52
	MOVQ   leaves+0(FP), DI
	MOVQ   blocks+8(FP), SI
	MOVQ   n+16(FP), CX
	MOVQ   row+24(FP), R8
	VMOVSS sum+40(FP), X3
	LOAD_ROW
	ADD_ROW(PERMUTE, BLOCK_F32)
	VMOVSS X3, ret+48(FP)
	VZEROUPPER
	RET

// func addRowF64AVX512(leaves *float64, blocks *treeBlock[uint8, float64], n int, row *byte, masks *uint64, sum float64) float64
TEXT ·addRowF64AVX512(SB), NOSPLIT, $0-56
	MOVQ   leaves+0(FP), DI
	MOVQ   blocks+8(FP), SI
	MOVQ   n+16(FP), CX
	MOVQ   row+24(FP), R8
	VMOVSD sum+40(FP), X3
	LOAD_ROW
	ADD_ROW(PERMUTE, BLOCK_F64)
	VMOVSD X3, ret+48(FP)
	VZEROUPPER
	RET

// func addLongRowAVX512(leaves *float32, blocks *treeBlock[uint8, float32], n int, row *byte, masks *uint64, sum float32) float32
TEXT ·addLongRowAVX512(SB), NOSPLIT, $0-52
	MOVQ   leaves+0(FP), DI
	MOVQ   blocks+8(FP), SI
	MOVQ   n+16(FP), CX
	MOVQ   row+24(FP), R8
	VMOVSS sum+40(FP), X3
	LOAD_LONG_ROW
	ADD_ROW(PERMUTE_LONG, BLOCK_F32)
	VMOVSS X3, ret+48(FP)
	VZEROUPPER
	RET

// func addLongRowF64AVX512(leaves *float64, blocks *treeBlock[uint8, float64], n int, row *byte, masks *uint64, sum float64) float64
TEXT ·addLongRowF64AVX512(SB), NOSPLIT, $0-56
	MOVQ   leaves+0(FP), DI
	MOVQ   blocks+8(FP), SI
	MOVQ   n+16(FP), CX
	MOVQ   row+24(FP), R8
	VMOVSD sum+40(FP), X3
	LOAD_LONG_ROW
	ADD_ROW(PERMUTE_LONG, BLOCK_F64)
	VMOVSD X3, ret+48(FP)
	VZEROUPPER
	RET

// func addMatchedAVX512(leaves *float32, pairs *matchedPair[float32], n int, row *byte, masks *uint64, sum float32) float32
TEXT ·addMatchedAVX512(SB), NOSPLIT, $0-52
	MOVQ   leaves+0(FP), DI
	MOVQ   pairs+8(FP), SI
	MOVQ   n+16(FP), CX
	MOVQ   row+24(FP), R8
	VMOVSS sum+40(FP), X3
	LOAD_ROW
	ADD_ROW(PERMUTE, PAIR_F32)
	VMOVSS X3, ret+48(FP)
	VZEROUPPER
	RET

// func addMatchedF64AVX512(leaves *float64, pairs *matchedPair[float64], n int, row *byte, masks *uint64, sum float64) float64
TEXT ·addMatchedF64AVX512(SB), NOSPLIT, $0-56
	MOVQ   leaves+0(FP), DI
	MOVQ   pairs+8(FP), SI
	MOVQ   n+16(FP), CX
	MOVQ   row+24(FP), R8
	VMOVSD sum+40(FP), X3
	LOAD_ROW
	ADD_ROW(PERMUTE, PAIR_F64)
	VMOVSD X3, ret+48(FP)
	VZEROUPPER
	RET

// func addLongMatchedAVX512(leaves *float32, pairs *matchedPair[float32], n int, row *byte, masks *uint64, sum float32) float32
TEXT ·addLongMatchedAVX512(SB), NOSPLIT, $0-52
	MOVQ   leaves+0(FP), DI
	MOVQ   pairs+8(FP), SI
	MOVQ   n+16(FP), CX
	MOVQ   row+24(FP), R8
	VMOVSS sum+40(FP), X3
	LOAD_LONG_ROW
	ADD_ROW(PERMUTE_LONG, PAIR_F32)
	VMOVSS X3, ret+48(FP)
	VZEROUPPER
	RET

// func addLongMatchedF64AVX512(leaves *float64, pairs *matchedPair[float64], n int, row *byte, masks *uint64, sum float64) float64
TEXT ·addLongMatchedF64AVX512(SB), NOSPLIT, $0-56
	MOVQ   leaves+0(FP), DI
	MOVQ   pairs+8(FP), SI
	MOVQ   n+16(FP), CX
	MOVQ   row+24(FP), R8
	VMOVSD sum+40(FP), X3
	LOAD_LONG_ROW
	ADD_ROW(PERMUTE_LONG, PAIR_F64)
	VMOVSD X3, ret+48(FP)
	VZEROUPPER
	RET

// func addMaskedRowAVX512(leaves *float32, blocks *treeBlock[uint8, float32], n int, row *byte, masks *uint64, sum float32) float32
TEXT ·addMaskedRowAVX512(SB), NOSPLIT, $0-52
	MOVQ   leaves+0(FP), DI
	MOVQ   blocks+8(FP), SI
	MOVQ   n+16(FP), CX
	MOVQ   row+24(FP), R8
	MOVQ   masks+32(FP), R9
	VMOVSS sum+40(FP), X3
	LOAD_LONG_ROW
	ADD_ROW(PERMUTE_LONG, MASKED_BLOCK_F32)
	VMOVSS X3, ret+48(FP)
	VZEROUPPER
	RET

// func addMaskedRowF64AVX512(leaves *float64, blocks *treeBlock[uint8, float64], n int, row *byte, masks *uint64, sum float64) float64
TEXT ·addMaskedRowF64AVX512(SB), NOSPLIT, $0-56
	MOVQ   leaves+0(FP), DI
	MOVQ   blocks+8(FP), SI
	MOVQ   n+16(FP), CX
	MOVQ   row+24(FP), R8
	MOVQ   masks+32(FP), R9
	VMOVSD sum+40(FP), X3
	LOAD_LONG_ROW
	ADD_ROW(PERMUTE_LONG, MASKED_BLOCK_F64)
	VMOVSD X3, ret+48(FP)
	VZEROUPPER
	RET

// func addMaskedMatchedAVX512(leaves *float32, pairs *matchedPair[float32], n int, row *byte, masks *uint64, sum float32) float32
TEXT ·addMaskedMatchedAVX512(SB), NOSPLIT, $0-52
	MOVQ   leaves+0(FP), DI
	MOVQ   pairs+8(FP), SI
	MOVQ   n+16(FP), CX
	MOVQ   row+24(FP), R8
	MOVQ   masks+32(FP), R9
	VMOVSS sum+40(FP), X3
	LOAD_LONG_ROW
	ADD_ROW(PERMUTE_LONG, MASKED_PAIR_F32)
	VMOVSS X3, ret+48(FP)
	VZEROUPPER
	RET

// func addMaskedMatchedF64AVX512(leaves *float64, pairs *matchedPair[float64], n int, row *byte, masks *uint64, sum float64) float64
TEXT ·addMaskedMatchedF64AVX512(SB), NOSPLIT, $0-56
	MOVQ   leaves+0(FP), DI
	MOVQ   pairs+8(FP), SI
	MOVQ   n+16(FP), CX
	MOVQ   row+24(FP), R8
	MOVQ   masks+32(FP), R9
	VMOVSD sum+40(FP), X3
	LOAD_LONG_ROW
	ADD_ROW(PERMUTE_LONG, MASKED_PAIR_F64)
	VMOVSD X3, ret+48(FP)
	VZEROUPPER
	RET
