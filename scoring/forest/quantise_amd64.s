//go:build amd64 && !purego

#include "textflag.h"

// RANK makes AX the rank of the float64 at SI, as a float32, in the table at DX, or 65535 for NaN. R12 holds
// 65535. The thresholds that are last of 16 say which 16 to count in.
#define RANK \
	VCVTSD2SS    (SI), X2, X0              \
	VBROADCASTSS X0, Z1                    \
	VCMPPS       $29, (DX), Z1, K1         \
	KMOVW        K1, AX                    \
	POPCNTL      AX, AX                    \
	SHLL         $6, AX                    \
	VCMPPS       $29, 64(DX)(AX*1), Z1, K2 \
	KMOVW        K2, BX                    \
	POPCNTL      BX, BX                    \
	SHRL         $2, AX                    \
	ADDL         BX, AX                    \
	VUCOMISS     X0, X0                    \
	CMOVLPS      R12, AX

// RANK_F64 makes AX the rank of the float64 at SI in the table at DX, or 65535 for NaN and for what is up to ZERO
// from zero. R12 holds 65535, and X3 all bits but the sign.
#define RANK_F64(ZERO) \
	VMOVSD       (SI), X0                    \
	VBROADCASTSD X0, Z1                      \
	VCMPPD       $29, (DX), Z1, K1           \
	VCMPPD       $29, 64(DX), Z1, K2         \
	KUNPCKBW     K1, K2, K1                  \
	KMOVW        K1, AX                      \
	POPCNTL      AX, AX                      \
	SHLL         $7, AX                      \
	VCMPPD       $29, 128(DX)(AX*1), Z1, K1  \
	VCMPPD       $29, 192(DX)(AX*1), Z1, K2  \
	KUNPCKBW     K1, K2, K1                  \
	KMOVW        K1, BX                      \
	POPCNTL      BX, BX                      \
	SHRL         $3, AX                      \
	ADDL         BX, AX                      \
	VANDPD       X3, X0, X0                  \
	VUCOMISD     ZERO, X0                    \
	CMOVLLS      R12, AX

#define ALL_BUT_THE_SIGN(D) \
	VPCMPEQD D, D, D     \
	VPSRLQ   $1, D, D

// func rankColumnAVX512(ranks *uint16, rows *float64, rowBytes, n int, table *rankTable[float32])
TEXT ·rankColumnAVX512(SB), NOSPLIT, $0-40
	MOVQ   ranks+0(FP), DI
	MOVQ   rows+8(FP), SI
	MOVQ   rowBytes+16(FP), R8
	MOVQ   n+24(FP), CX
	MOVQ   table+32(FP), DX
	MOVL   $65535, R12
	VXORPS X2, X2, X2

row:
	RANK
	MOVW AX, (DI)
	ADDQ $2, DI
	ADDQ R8, SI
	DECQ CX
	JNZ  row
	VZEROUPPER
	RET

// func rankColumnF64AVX512(ranks *uint16, rows *float64, rowBytes, n int, table *rankTable[float64], zero float64)
TEXT ·rankColumnF64AVX512(SB), NOSPLIT, $0-48
	MOVQ   ranks+0(FP), DI
	MOVQ   rows+8(FP), SI
	MOVQ   rowBytes+16(FP), R8
	MOVQ   n+24(FP), CX
	MOVQ   table+32(FP), DX
	VMOVSD zero+40(FP), X2
	MOVL   $65535, R12
	ALL_BUT_THE_SIGN(X3)

row:
	RANK_F64(X2)
	MOVW AX, (DI)
	ADDQ $2, DI
	ADDQ R8, SI
	DECQ CX
	JNZ  row
	VZEROUPPER
	RET

// func rankRowAVX512(ranks *uint16, row *float64, features *int, n int, tables *rankTable[float32])
TEXT ·rankRowAVX512(SB), NOSPLIT, $0-40
	MOVQ   ranks+0(FP), DI
	MOVQ   row+8(FP), R8
	MOVQ   features+16(FP), R9
	MOVQ   n+24(FP), CX
	MOVQ   tables+32(FP), DX
	MOVL   $65535, R12
	VXORPS X2, X2, X2

feature:
	MOVQ (R9), SI
	LEAQ (R8)(SI*8), SI
	RANK
	MOVW AX, (DI)
	ADDQ $2, DI
	ADDQ $8, R9
	ADDQ $1152, DX
	DECQ CX
	JNZ  feature
	VZEROUPPER
	RET

// func rankRowF64AVX512(ranks *uint16, row *float64, features *int, n int, tables *rankTable[float64], zeros *float64)
TEXT ·rankRowF64AVX512(SB), NOSPLIT, $0-48
	MOVQ ranks+0(FP), DI
	MOVQ row+8(FP), R8
	MOVQ features+16(FP), R9
	MOVQ n+24(FP), CX
	MOVQ tables+32(FP), DX
	MOVQ zeros+40(FP), R10
	MOVL $65535, R12
	ALL_BUT_THE_SIGN(X3)

feature:
	MOVQ (R9), SI
	LEAQ (R8)(SI*8), SI
	RANK_F64((R10))
	MOVW AX, (DI)
	ADDQ $2, DI
	ADDQ $8, R9
	ADDQ $8, R10
	ADDQ $2304, DX
	DECQ CX
	JNZ  feature
	VZEROUPPER
	RET

// BYTES turns the 32 ranks of Z1 into bytes, saturated, after subtracting BELOW, and those of NaN into the
// bytes MISSING. Z22 has all bits set.
#define BYTES(BELOW, MISSING, D) \
	VPCMPEQW  Z22, Z1, K1    \
	VPSUBUSW  BELOW, Z1, Z1  \
	VPMOVUSWB Z1, Y2         \
	VMOVDQU8  MISSING, K1, Y2 \
	VMOVDQU8  Y2, D

// func columnAVX512(column *byte, ranks *uint16, below uint16, missing uint8)
TEXT ·columnAVX512(SB), NOSPLIT, $0-19
	MOVQ         column+0(FP), DI
	MOVQ         ranks+8(FP), SI
	VPBROADCASTW below+16(FP), Z3
	VPBROADCASTB missing+18(FP), Y4
	VPTERNLOGD   $255, Z22, Z22, Z22
	VMOVDQU64    (SI), Z1
	BYTES(Z3, Y4, (DI))
	VMOVDQU64    64(SI), Z1
	BYTES(Z3, Y4, 32(DI))
	VZEROUPPER
	RET

// func expandAVX512(row *byte, ranks *uint16, blocks *expandBlock, n int)
TEXT ·expandAVX512(SB), NOSPLIT, $0-32
	MOVQ       row+0(FP), DI
	MOVQ       ranks+8(FP), R8
	MOVQ       blocks+16(FP), SI
	MOVQ       n+24(FP), CX
	VPTERNLOGD $255, Z22, Z22, Z22

block:
	MOVQ      160(SI), AX
	VMOVDQU64 (SI), Z1
	VPERMW    (R8)(AX*2), Z1, Z1
	BYTES(64(SI), 128(SI), (DI))
	ADDQ      $168, SI
	ADDQ      $32, DI
	DECQ      CX
	JNZ       block
	VZEROUPPER
	RET
