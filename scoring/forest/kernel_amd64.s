//go:build amd64 && !purego

#include "textflag.h"
#include "leaves_amd64.h"

// OUTCOME compares 64 rows with one test: the column's bytes that exceed the threshold become the mask
// of the slot. R9 is at the tests, R8 at the masks, SI at the columns.
#define OUTCOME(k) \
	MOVL         (k*8)(R9), AX           \
	VPBROADCASTD (k*8+4)(R9), Z1         \
	VPCMPUB      $1, (SI)(AX*1), Z1, K1  \
	KMOVQ        K1, (k*64)(R8)

// SELECT2 to SELECT32 pick the mask of one of so many neighbouring slots into D, bit by bit: bits of S
// choose the right one, and of the selectors after it, those of the levels below. T.. are free.
#define PICK(R, S, D) VPTERNLOGQ $0xB8, R, S, D
#define SELECT2(slot, S, D) \
	VMOVDQU64 (slot*64)(BX), D  \
	PICK((slot*64+64)(BX), S, D)
#define SELECT4(slot, S, S1, D, T) \
	SELECT2(slot, S1, D)     \
	SELECT2((slot+2), S1, T) \
	PICK(T, S, D)
#define SELECT8(slot, S, S1, S2, D, T, T1) \
	SELECT4(slot, S1, S2, D, T1)     \
	SELECT4((slot+4), S1, S2, T, T1) \
	PICK(T, S, D)
#define SELECT16(slot, S, S1, S2, S3, D, T, T1, T2) \
	SELECT8(slot, S1, S2, S3, D, T1, T2)     \
	SELECT8((slot+8), S1, S2, S3, T, T1, T2) \
	PICK(T, S, D)
#define SELECT32(slot, S, S1, S2, S3, S4, D, T, T1, T2, T3) \
	SELECT16(slot, S1, S2, S3, S4, D, T1, T2, T3)      \
	SELECT16((slot+16), S1, S2, S3, S4, T, T1, T2, T3) \
	PICK(T, S, D)

#define CONSTANT(bytes, D) \
	MOVL         $bytes, AX \
	VPBROADCASTD AX, D

// ADD_TREES is the body of a function: ADD adds the leaves of a tree, which are at DX and take SIZE bytes.
//
// step: the masks of eight trees, 64 bytes a slot, 8 of each tree; after a tree, R8 goes 63 slots back and one
// tree on. Then six vectors of outcomes along the paths are picked, from the root down, and make the rows'
// leaf numbers tree by tree.
#define ADD_TREES(ADD, SIZE) \
	MOVQ sums+0(FP), DI \
	MOVQ columns+8(FP), SI \
	MOVQ masks+16(FP), BX \
	MOVQ tests+24(FP), R12 \
	MOVQ leaves+32(FP), DX \
	MOVQ n+40(FP), CX \
	CONSTANT(0x20202020, Z16) \
	CONSTANT(0x10101010, Z17) \
	CONSTANT(0x08080808, Z18) \
	CONSTANT(0x04040404, Z19) \
	CONSTANT(0x02020202, Z20) \
	CONSTANT(0x01010101, Z21) \
step: \
	MOVQ R12, R9 \
	LEAQ 64(BX), R8 \
	MOVQ $8, R10 \
tree: \
	ADDQ $8, R9 \
	MOVQ $9, R11 \
tests: \
	OUTCOME(0) \
	OUTCOME(1) \
	OUTCOME(2) \
	OUTCOME(3) \
	OUTCOME(4) \
	OUTCOME(5) \
	OUTCOME(6) \
	ADDQ $56, R9 \
	ADDQ $448, R8 \
	DECQ R11 \
	JNZ  tests \
	SUBQ $4024, R8 \
	DECQ R10 \
	JNZ  tree \
	VMOVDQU64 64(BX), Z8 \
	SELECT2(2, Z8, Z9) \
	SELECT4(4, Z8, Z9, Z10, Z0) \
	SELECT8(8, Z8, Z9, Z10, Z11, Z0, Z1) \
	SELECT16(16, Z8, Z9, Z10, Z11, Z12, Z0, Z1, Z2) \
	SELECT32(32, Z8, Z9, Z10, Z11, Z12, Z13, Z0, Z1, Z2, Z3) \
	VMOVDQU64 Z8, 4096(BX) \
	VMOVDQU64 Z9, 4160(BX) \
	VMOVDQU64 Z10, 4224(BX) \
	VMOVDQU64 Z11, 4288(BX) \
	VMOVDQU64 Z12, 4352(BX) \
	VMOVDQU64 Z13, 4416(BX) \
	LEAQ 4096(BX), R8 \
	MOVQ $8, R10 \
leaves: \
	KMOVQ       (R8), K1 \
	KMOVQ       64(R8), K2 \
	KMOVQ       128(R8), K3 \
	KMOVQ       192(R8), K4 \
	KMOVQ       256(R8), K5 \
	KMOVQ       320(R8), K6 \
	VMOVDQU8.Z  Z16, K1, Z0 \
	VPADDB      Z17, Z0, K2, Z0 \
	VPADDB      Z18, Z0, K3, Z0 \
	VPADDB      Z19, Z0, K4, Z0 \
	VPADDB      Z20, Z0, K5, Z0 \
	VPADDB      Z21, Z0, K6, Z0 \
	MOVL        (R12), AX \
	ADD \
	ADDQ        $512, R12 \
	ADDQ        $SIZE, DX \
	ADDQ        $8, R8 \
	DECQ        R10 \
	JNZ         leaves \
	SUBQ        $8, CX \
	JNZ         step \
	VZEROUPPER

#define ADD_F32 \
	LOOKUP(0)  \
	ADD_LEAVES

#define ADD_F64 \
	LOOKUP(0)               \
	UNPACK_F64_LOW          \
	LOOKUP(256)             \
	ADD_F64_LEAVES

// func addTreesAVX512(sums *float32, columns *byte, masks *uint64, tests *vectorTests, leaves *byte, n int)
TEXT ·addTreesAVX512(SB), NOSPLIT, $0-48
	ADD_TREES(ADD_F32, 256)
	RET

// func addTreesF64AVX512(sums *float64, columns *byte, masks *uint64, tests *vectorTests, leaves *byte, n int)
TEXT ·addTreesF64AVX512(SB), NOSPLIT, $0-48
	ADD_TREES(ADD_F64, 512)
	RET
