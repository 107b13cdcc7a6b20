//go:build amd64 && !purego

#include "textflag.h"

// func permuteAVX512(columns *byte, places *[blockRows]byte, masks *[maxPages]uint64, tables *byte, pages, n int)
//
// A row is in one page, so a column is the union of what the pages say.
TEXT ·permuteAVX512(SB), NOSPLIT, $0-48
	MOVQ      columns+0(FP), DI
	MOVQ      places+8(FP), SI
	MOVQ      masks+16(FP), R8
	MOVQ      tables+24(FP), DX
	MOVQ      pages+32(FP), R9
	MOVQ      n+40(FP), CX
	VMOVDQU64 (SI), Z1

column:
	VPXORQ Z0, Z0, Z0
	XORQ   AX, AX

page:
	KMOVQ    (R8)(AX*8), K1
	VPERMB.Z (DX), Z1, K1, Z2
	VPORQ    Z2, Z0, Z0
	ADDQ     $64, DX
	INCQ     AX
	CMPQ     AX, R9
	JLT      page
	VMOVDQU64 Z0, (DI)
	ADDQ     $64, DI
	DECQ     CX
	JNZ      column
	VZEROUPPER
	RET
