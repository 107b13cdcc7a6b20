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

// ADD_LEAVES adds each row's leaf to its sum, which begin at AX bytes from DI. Unpacking the bytes of Z1 to Z4
// to float32 leaves rows that are four apart side by side, in the sums as well.
#define ADD_LEAVES \
	VPUNPCKLBW Z2, Z1, Z5              \
	VPUNPCKHBW Z2, Z1, Z6              \
	VPUNPCKLBW Z4, Z3, Z7              \
	VPUNPCKHBW Z4, Z3, Z14             \
	VPUNPCKLWD Z7, Z5, Z1              \
	VPUNPCKHWD Z7, Z5, Z2              \
	VPUNPCKLWD Z14, Z6, Z3             \
	VPUNPCKHWD Z14, Z6, Z4             \
	ADDQ       DI, AX                  \
	VADDPS     (AX), Z1, Z1            \
	VADDPS     64(AX), Z2, Z2          \
	VADDPS     128(AX), Z3, Z3         \
	VADDPS     192(AX), Z4, Z4         \
	VMOVUPS    Z1, (AX)                \
	VMOVUPS    Z2, 64(AX)              \
	VMOVUPS    Z3, 128(AX)             \
	VMOVUPS    Z4, 192(AX)
