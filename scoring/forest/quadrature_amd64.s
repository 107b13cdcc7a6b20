//go:build amd64 && !purego

#include "textflag.h"

// The sizes and places of the Go types.
#define SIZEOF_OP 32
#define OP_AT 4
#define OP_BELOW 8
#define OP_INTO 12
#define OP_LEAVES 16
#define SIZEOF_FACTORS 240
#define FACTORS_SHARE 0
#define FACTORS_LEFT_LEFT 16 // the way, then the child
#define FACTORS_LEFT_RIGHT 48
#define FACTORS_RIGHT_LEFT 80
#define FACTORS_RIGHT_RIGHT 112
#define FACTORS_DELTA_LEFT 144 // to the left, and going there
#define FACTORS_DELTA_VIOLATED 176
#define FACTORS_DELTA_RIGHT 208
#define SIZEOF_STATE 256
// AHEAD is how far factors are fetched ahead, about a part of the tree: where the forest is larger than the
// cache, a single row takes a third of the time, and a block a tenth less. A prefetch past the end faults on nothing.
#define AHEAD 8000

// func findRightsAVX512(rights *uint64, tests *splitTest, n int, inputs *float64, groups int)
TEXT ·findRightsAVX512(SB), NOSPLIT, $0-40
	MOVQ rights+0(FP), DI
	MOVQ tests+8(FP), DX
	MOVQ n+16(FP), CX
	MOVQ inputs+24(FP), SI
	MOVQ groups+32(FP), BX

split:
	MOVL         8(DX), AX
	VBROADCASTSD (DX), Z0
	ADDQ         SI, AX
	XORL         R8, R8

group:
	VCMPPD $18, (AX), Z0, K1 // the threshold is at most the input, and neither is NaN
	KMOVB  K1, (DI)(R8*1)
	ADDQ   $64, AX
	INCQ   R8
	CMPQ   R8, BX
	JB     group
	ADDQ   $16, DX
	ADDQ   $8, DI
	DECQ   CX
	JNZ    split
	VZEROUPPER
	RET

// LOAD_SPLIT loads of the op at R12: AX the number of its split, K1 the rows that satisfy the path to its left child
// at its feature, K2 those that do so for its right child.
#define LOAD_SPLIT \
	MOVL   (R12), AX        \
	LEAQ   (AX)(AX*1), R13  \
	KMOVB  8(R8)(R13*8), K1 \
	KMOVB  16(R8)(R13*8), K2

// DOWN takes point P of a split's state to its children: R13 is the state's place, BX the left child's. Z16 and
// Z17 have the shares, Z18 and Z19 the leaf values.
#define DOWN(P) \
	VMOVUPD       (64*P)(SI)(R13*1), Z0                             \
	VBLENDMPD.BCST (FACTORS_LEFT_LEFT+8*P)(R11), Z16, K1, Z1         \
	VBLENDMPD.BCST (FACTORS_RIGHT_RIGHT+8*P)(R11), Z17, K2, Z2      \
	VBROADCASTSD  (FACTORS_RIGHT_LEFT+8*P)(R11), K2, Z1               \
	VBROADCASTSD  (FACTORS_LEFT_RIGHT+8*P)(R11), K1, Z2            \
	VMULPD        Z1, Z0, Z1                                        \
	VMULPD        Z2, Z0, Z2                                        \
	VMULPD        Z18, Z1, Z1                                       \
	VMULPD        Z19, Z2, Z2                                       \
	VMOVUPD       Z1, (64*P)(SI)(BX*1)                              \
	VMOVUPD       Z2, (SIZEOF_STATE+64*P)(SI)(BX*1)

// UP adds point P of the children's states, at BX, to that at R13, and sets L and R to what it gives the
// feature. A lane that is in neither mask gets numbers of no meaning there.
#define UP(P, L, R) \
	VMOVUPD        (64*P)(SI)(BX*1), Z0                             \
	VMOVUPD        (SIZEOF_STATE+64*P)(SI)(BX*1), Z1                \
	VBROADCASTSD   (FACTORS_DELTA_VIOLATED+8*P)(R11), Z2            \
	VBLENDMPD.BCST (FACTORS_DELTA_LEFT+8*P)(R11), Z2, K1, L    \
	VBLENDMPD.BCST (FACTORS_DELTA_RIGHT+8*P)(R11), Z2, K2, R \
	VMULPD         L, Z0, L                                         \
	VMULPD         R, Z1, R                                         \
	VADDPD         Z1, Z0, Z0                                       \
	VMOVUPD        Z0, (64*P)(SI)(R13*1)

// func walkAVX512(parts, states *float64, satisfied *uint8, factors *factors, ops *pathOp, steps *pathStep, n int)
TEXT ·walkAVX512(SB), NOSPLIT, $0-56
	MOVQ parts+0(FP), DI
	MOVQ states+8(FP), SI
	MOVQ satisfied+16(FP), R8
	MOVQ factors+24(FP), R9
	MOVQ ops+32(FP), R10
	MOVQ steps+40(FP), DX

step:
	MOVL   0(DX), R12
	MOVL   4(DX), CX
	CMPL   8(DX), $0
	JNE    upward
	IMUL3Q $SIZEOF_FACTORS, R12, R11
	IMUL3Q $SIZEOF_OP, R12, R12
	ADDQ   R9, R11
	ADDQ   R10, R12

down:
	LOAD_SPLIT
	MOVL         OP_AT(R12), R13
	MOVL         OP_BELOW(R12), BX
	VBROADCASTSD FACTORS_SHARE(R11), Z16
	VBROADCASTSD (FACTORS_SHARE+8)(R11), Z17
	VBROADCASTSD OP_LEAVES(R12), Z18
	VBROADCASTSD (OP_LEAVES+8)(R12), Z19
	PREFETCHT0   AHEAD(R11)
	PREFETCHT0   (AHEAD+64)(R11)
	PREFETCHT0   (AHEAD+128)(R11)
	PREFETCHT0   (AHEAD+192)(R11)
	DOWN(0)
	DOWN(1)
	DOWN(2)
	DOWN(3)
	ADDQ         $SIZEOF_FACTORS, R11
	ADDQ         $SIZEOF_OP, R12
	DECL         CX
	JNZ          down
	JMP          next

upward:
	LEAQ   -1(R12)(CX*1), R12
	IMUL3Q $SIZEOF_FACTORS, R12, R11
	IMUL3Q $SIZEOF_OP, R12, R12
	ADDQ   R9, R11
	ADDQ   R10, R12

up:
	LOAD_SPLIT
	MOVL      OP_INTO(R12), R13
	MOVL      OP_BELOW(R12), BX
	UP(0, Z4, Z8)
	UP(1, Z5, Z9)
	UP(2, Z6, Z10)
	UP(3, Z7, Z11)
	KORB      K1, K2, K3
	VADDPD    Z5, Z4, Z4
	VADDPD    Z7, Z6, Z6
	VADDPD    Z9, Z8, Z8
	VADDPD    Z11, Z10, Z10
	VADDPD    Z6, Z4, Z4
	VADDPD    Z10, Z8, Z8
	SHLQ      $6, AX
	VADDPD.Z  Z8, Z4, K3, Z4 // 0 in a lane whose row has left the path at the feature before
	VMOVUPD   Z4, (DI)(AX*1)
	SUBQ      $SIZEOF_FACTORS, R11
	SUBQ      $SIZEOF_OP, R12
	DECL      CX
	JNZ       up

next:
	ADDQ $12, DX
	DECQ n+48(FP)
	JNZ  step
	VZEROUPPER
	RET

// func addPartsAVX512(phi, parts *float64, tests *splitTest, n int)
TEXT ·addPartsAVX512(SB), NOSPLIT, $0-32
	MOVQ phi+0(FP), DI
	MOVQ parts+8(FP), SI
	MOVQ tests+16(FP), DX
	MOVQ n+24(FP), CX
	MOVQ CX, AX
	SHLQ $6, AX
	ADDQ AX, SI
	MOVQ CX, AX
	SHLQ $4, AX
	ADDQ AX, DX

split:
	SUBQ    $64, SI
	SUBQ    $16, DX
	MOVL    12(DX), AX
	VMOVUPD (DI)(AX*1), Z0
	VADDPD  (SI), Z0, Z0
	VMOVUPD Z0, (DI)(AX*1)
	DECQ    CX
	JNZ     split
	VZEROUPPER
	RET
