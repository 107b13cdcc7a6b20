// What tables_amd64.s is written with.

// The sizes of the Go types.
#define SIZEOF_WAYS 2048 // of one tree: 256 rows
#define SIZEOF_TREE 216
#define TREE_FIRST 128
#define TREE_FLIPS 192
#define TREE_FOURS 208
#define SIZEOF_SOURCES 1024

// LOAD_TREE loads a tree's selectors to Z0 and Z1, its first entries to Z2 and its flips to X3.
#define LOAD_TREE \
	VMOVDQU64 (DX), Z0;            \
	VMOVDQU64 64(DX), Z1;          \
	VMOVDQU64 TREE_FIRST(DX), Z2;  \
	VMOVDQU   TREE_FLIPS(DX), X3

// ALIGN_OFFSETS points R13 to 64 bytes of the frame of 128 that start at a multiple of 64.
#define ALIGN_OFFSETS \
	LEAQ frame-128(SP), R13; \
	ADDQ $63, R13;           \
	ANDQ $-64, R13

// FIND_ENTRIES writes the offsets of the 16 entries of a row, whose ways are at R9, to R13.
#define FIND_ENTRIES \
	VPBROADCASTQ (R9), Z4;         \
	VPSHUFBITQMB Z0, Z4, K1;       \
	VPSHUFBITQMB Z1, Z4, K2;       \
	KMOVQ        K1, AX;           \
	KMOVQ        K2, R11;          \
	VMOVQ        AX, X5;           \
	VPINSRQ      $1, R11, X5, X5;  \
	VPXOR        X3, X5, X5;       \
	VPMOVZXBD    X5, Z5;           \
	VPADDD       Z2, Z5, Z5;       \
	VPSLLD       $5, Z5, Z5;       \
	VMOVDQA64    Z5, (R13);        \
	MOVQ         R13, AX;          \
	MOVQ         TREE_FOURS(DX), R11

// LOAD_ENTRY loads the next entry to Y10.
#define LOAD_ENTRY(at) \
	MOVL    at(AX), CX;         \
	VMOVUPS (BX)(CX*1), Y10

// SPREAD adds the entry's lanes to 16 places.
#define SPREAD(at, sum) \
	VPMOVZXBD at(DI), Z11;       \
	VPERMPS   Z10, Z11, Z11;     \
	VADDPS    Z11, sum, sum

// FLUSH adds 8 sums to those of the row.
#define FLUSH(sum, at) \
	VCVTPS2PD sum, Z12;           \
	VADDPD    at(R10), Z12, Z12;  \
	VMOVUPD   Z12, at(R10)
