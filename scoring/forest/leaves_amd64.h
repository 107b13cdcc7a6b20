// What the functions that score 64 rows share: from the rows' leaf numbers to their sums.

// LOOKUP gathers the bytes of the rows' leaves into Z1 to Z4: Z0 has the leaf numbers, below 64, and the
// leaves' bytes are at DX, from FIRST on.
#define LOOKUP(FIRST) \
	VPERMB (FIRST)(DX), Z0, Z1     \
	VPERMB (FIRST+64)(DX), Z0, Z2  \
	VPERMB (FIRST+128)(DX), Z0, Z3 \
	VPERMB (FIRST+192)(DX), Z0, Z4

// LOOKUP256 gathers one byte of each row's leaf, of leaves up to 256, into D. K1 has the numbers above 127.
#define LOOKUP256(FIRST, D) \
	VMOVDQU64 (FIRST)(DX), Z8          \
	VMOVDQU64 (FIRST+128)(DX), Z10     \
	VMOVDQA64 Z0, D                    \
	VMOVDQA64 Z0, Z9                   \
	VPERMI2B  (FIRST+64)(DX), Z8, D    \
	VPERMI2B  (FIRST+192)(DX), Z10, Z9 \
	VMOVDQU8  Z9, K1, D

// UNPACK turns the bytes of Z1 to Z4 to 32 bits a row, of rows that are four apart side by side.
#define UNPACK(D1, D2, D3, D4) \
	VPUNPCKLBW Z2, Z1, Z5     \
	VPUNPCKHBW Z2, Z1, Z6     \
	VPUNPCKLBW Z4, Z3, Z7     \
	VPUNPCKHBW Z4, Z3, Z14    \
	VPUNPCKLWD Z7, Z5, D1     \
	VPUNPCKHWD Z7, Z5, D2     \
	VPUNPCKLWD Z14, Z6, D3    \
	VPUNPCKHWD Z14, Z6, D4

// ADD_LEAVES adds each row's leaf, whose bytes Z1 to Z4 have, to its sum; the sums begin at AX bytes from DI.
#define ADD_LEAVES \
	UNPACK(Z1, Z2, Z3, Z4)    \
	ADDQ    DI, AX            \
	VADDPS  (AX), Z1, Z1      \
	VADDPS  64(AX), Z2, Z2    \
	VADDPS  128(AX), Z3, Z3   \
	VADDPS  192(AX), Z4, Z4   \
	VMOVUPS Z1, (AX)          \
	VMOVUPS Z2, 64(AX)        \
	VMOVUPS Z3, 128(AX)       \
	VMOVUPS Z4, 192(AX)

// UNPACK_F64_LOW keeps the lower four bytes of float64 leaves, from Z1 to Z4.
#define UNPACK_F64_LOW UNPACK(Z24, Z25, Z26, Z27)

#define ADD_F64_QUARTER(LOW, HIGH, AT) \
	VPUNPCKLDQ HIGH, LOW, Z5     \
	VPUNPCKHDQ HIGH, LOW, Z6     \
	VADDPD     AT(AX), Z5, Z5    \
	VADDPD     AT+64(AX), Z6, Z6 \
	VMOVUPD    Z5, AT(AX)        \
	VMOVUPD    Z6, AT+64(AX)

// ADD_F64_LEAVES adds each row's leaf, whose upper four bytes Z1 to Z4 have, to its sum. It leaves rows that are
// two apart side by side.
#define ADD_F64_LEAVES \
	UNPACK(Z1, Z2, Z3, Z4)        \
	ADDQ DI, AX                   \
	ADD_F64_QUARTER(Z24, Z1, 0)   \
	ADD_F64_QUARTER(Z25, Z2, 128) \
	ADD_F64_QUARTER(Z26, Z3, 256) \
	ADD_F64_QUARTER(Z27, Z4, 384)
