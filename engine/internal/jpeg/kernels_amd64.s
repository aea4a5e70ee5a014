#include "textflag.h"

// The kernels of rows.go and idct.go.

// OUT makes two rows of a half: A has the even part, which the product of the pairs P
// with the constants K, and Z, are added to and taken from. The sum is left in A, the
// difference in Y14.
#define OUT(P, K, Z, A, SHIFT) \
	VPMADDWD (32*K)(DX), P, Y12 \
	VPADDD   Z, Y12, Y12   \
	VPSUBD   Y12, A, Y14   \
	VPADDD   Y12, A, A     \
	VPSRAD   SHIFT, A, A   \
	VPSRAD   SHIFT, Y14, Y14

// ODD leaves z3 and z4 of a half, whose pairs of sums are in Y15.
#define ODD(Z3, Z4) \
	VPMADDWD 128(DX), Y15, Z3 \
	VPMADDWD 160(DX), Y15, Z4

// EVEN leaves the even part in Y0 to Y3, rounding included.
#define EVEN(P26, P04, ROUND) \
	VPMADDWD 0(DX), P04, Y0       \
	VPMADDWD 32(DX), P04, Y1      \
	VPMADDWD 96(DX), P26, Y12     \
	VPMADDWD 64(DX), P26, Y13     \
	VPADDD   (32*ROUND)(DX), Y0, Y0 \
	VPADDD   (32*ROUND)(DX), Y1, Y1 \
	VPSUBD   Y12, Y0, Y3 \
	VPADDD   Y12, Y0, Y0 \
	VPSUBD   Y13, Y1, Y2 \
	VPADDD   Y13, Y1, Y1

// SAVE keeps the rows of the upper half, which PACK joins to those of the lower.
#define SAVE(A, I, J) \
	VMOVDQU A, (32*I)(SP) \
	VMOVDQU Y14, (32*J)(SP)

#define PACK(A, B, I, J) \
	VPACKSSDW (32*J)(SP), Y14, B \
	VPACKSSDW (32*I)(SP), A, A

// PASS transforms along the registers Y0 to Y7.
#define PASS(ROUND, SHIFT) \
	VPADDW Y3, Y7, Y12 \
	VPADDW Y1, Y5, Y13 \
	VPUNPCKLWD Y13, Y12, Y14 \
	VPUNPCKHWD Y13, Y12, Y15 \
	VMOVDQU Y14, 256(SP) \
	VPADDW Y4, Y0, Y12 \
	VPSUBW Y4, Y0, Y13 \
	VPUNPCKLWD Y6, Y2, Y8    \
	VPUNPCKHWD Y6, Y2, Y6    \
	VPUNPCKLWD Y13, Y12, Y9  \
	VPUNPCKHWD Y13, Y12, Y4  \
	VPUNPCKLWD Y1, Y7, Y10 \
	VPUNPCKHWD Y1, Y7, Y7  \
	VPUNPCKLWD Y3, Y5, Y11 \
	VPUNPCKHWD Y3, Y5, Y5  \
	EVEN(Y6, Y4, ROUND)        \
	ODD(Y4, Y6)                \
	OUT(Y7, 9, Y6, Y0, SHIFT)  \
	SAVE(Y0, 0, 7)             \
	OUT(Y5, 8, Y4, Y1, SHIFT)  \
	SAVE(Y1, 1, 6)             \
	OUT(Y5, 7, Y6, Y2, SHIFT)  \
	SAVE(Y2, 2, 5)             \
	OUT(Y7, 6, Y4, Y3, SHIFT)  \
	SAVE(Y3, 3, 4)             \
	EVEN(Y8, Y9, ROUND)        \
	VMOVDQU 256(SP), Y15       \
	ODD(Y8, Y9)                \
	OUT(Y10, 9, Y9, Y0, SHIFT) \
	PACK(Y0, Y7, 0, 7)         \
	OUT(Y11, 8, Y8, Y1, SHIFT) \
	PACK(Y1, Y6, 1, 6)         \
	OUT(Y11, 7, Y9, Y2, SHIFT) \
	PACK(Y2, Y5, 2, 5)         \
	OUT(Y10, 6, Y8, Y3, SHIFT) \
	PACK(Y3, Y4, 3, 4)

// LOAD multiplies a row of both blocks by its quantisation.
#define LOAD(I, X, Y) \
	VMOVDQU (16*I)(R11), X8 \
	VINSERTI128 $1, (16*I)(R12), Y8, Y8 \
	VMOVDQU (16*I)(SI), X \
	VINSERTI128 $1, (128+16*I)(SI), Y, Y \
	VPMULLW Y8, Y, Y

// STORE writes two rows of both blocks.
#define STORE(X, Y) \
	VPXOR Y15, Y, Y          \
	VEXTRACTI128 $1, Y, X8   \
	VMOVQ X, (DI)            \
	VMOVHPS X, (DI)(R8*1)    \
	VMOVQ X8, (R9)           \
	VMOVHPS X8, (R9)(R10*1)  \
	LEAQ (DI)(R8*2), DI      \
	LEAQ (R9)(R10*2), R9

// func inverseAVX2(coefs *[2][64]int16, quant0, quant1 *[64]int16, to0, to1 *byte, step0, step1 int, constants *[13][16]int16)
// One block is in the lower lanes, the other in the upper.
TEXT ·inverseAVX2(SB), NOSPLIT, $288-64
	MOVQ coefs+0(FP), SI
	MOVQ quant0+8(FP), R11
	MOVQ quant1+16(FP), R12
	MOVQ to0+24(FP), DI
	MOVQ to1+32(FP), R9
	MOVQ step0+40(FP), R8
	MOVQ step1+48(FP), R10
	MOVQ constants+56(FP), DX
	LOAD(0, X0, Y0)
	LOAD(1, X1, Y1)
	LOAD(2, X2, Y2)
	LOAD(3, X3, Y3)
	LOAD(4, X4, Y4)
	LOAD(5, X5, Y5)
	LOAD(6, X6, Y6)
	LOAD(7, X7, Y7)
	PASS(10, $11)

	// Rows to columns.
	VPUNPCKLWD Y1, Y0, Y8
	VPUNPCKHWD Y1, Y0, Y9
	VPUNPCKLWD Y3, Y2, Y10
	VPUNPCKHWD Y3, Y2, Y11
	VPUNPCKLWD Y5, Y4, Y12
	VPUNPCKHWD Y5, Y4, Y13
	VPUNPCKLWD Y7, Y6, Y14
	VPUNPCKHWD Y7, Y6, Y15
	VPUNPCKLDQ Y10, Y8, Y1
	VPUNPCKHDQ Y10, Y8, Y3
	VPUNPCKLDQ Y11, Y9, Y5
	VPUNPCKHDQ Y11, Y9, Y7
	VPUNPCKLDQ Y14, Y12, Y8
	VPUNPCKHDQ Y14, Y12, Y9
	VPUNPCKLDQ Y15, Y13, Y10
	VPUNPCKHDQ Y15, Y13, Y11
	VPUNPCKLQDQ Y8, Y1, Y0
	VPUNPCKHQDQ Y8, Y1, Y1
	VPUNPCKLQDQ Y9, Y3, Y2
	VPUNPCKHQDQ Y9, Y3, Y3
	VPUNPCKLQDQ Y10, Y5, Y4
	VPUNPCKHQDQ Y10, Y5, Y5
	VPUNPCKLQDQ Y11, Y7, Y6
	VPUNPCKHQDQ Y11, Y7, Y7
	PASS(11, $18)

	// Columns to rows of bytes.
	VPACKSSWB Y4, Y0, Y0
	VPACKSSWB Y5, Y1, Y1
	VPACKSSWB Y6, Y2, Y2
	VPACKSSWB Y7, Y3, Y3
	VPUNPCKLBW Y1, Y0, Y4
	VPUNPCKHBW Y1, Y0, Y5
	VPUNPCKLBW Y3, Y2, Y6
	VPUNPCKHBW Y3, Y2, Y7
	VPUNPCKLWD Y6, Y4, Y0
	VPUNPCKHWD Y6, Y4, Y1
	VPUNPCKLWD Y7, Y5, Y2
	VPUNPCKHWD Y7, Y5, Y3
	VPUNPCKLDQ Y2, Y0, Y4
	VPUNPCKHDQ Y2, Y0, Y5
	VPUNPCKLDQ Y3, Y1, Y6
	VPUNPCKHDQ Y3, Y1, Y7
	VMOVDQU (32*12)(DX), Y15
	STORE(X4, Y4)
	STORE(X5, Y5)
	STORE(X6, Y6)
	STORE(X7, Y7)
	VZEROUPPER
	RET

// func weighAVX2(sums *int16, near, far *byte, n int)
TEXT ·weighAVX2(SB), NOSPLIT, $0-32
	MOVQ sums+0(FP), DI
	MOVQ near+8(FP), SI
	MOVQ far+16(FP), DX
	MOVQ n+24(FP), CX
weighing:
	VPMOVZXBW (SI), Y0
	VPMOVZXBW (DX), Y1
	VPADDW Y0, Y0, Y2
	VPADDW Y0, Y1, Y1
	VPADDW Y2, Y1, Y1
	VMOVDQU Y1, (DI)
	ADDQ $16, SI
	ADDQ $16, DX
	ADDQ $32, DI
	SUBQ $16, CX
	JNZ weighing
	VZEROUPPER
	RET

// func widenAVX2(to *byte, sums *int16, left, right int16, n int)
TEXT ·widenAVX2(SB), NOSPLIT, $0-32
	MOVQ to+0(FP), DI
	MOVQ sums+8(FP), SI
	VPBROADCASTW left+16(FP), Y6
	VPBROADCASTW right+18(FP), Y7
	MOVQ n+24(FP), CX
widening:
	VMOVDQU 2(SI), Y0
	VPADDW Y0, Y0, Y1
	VPADDW Y0, Y1, Y0
	VPADDW 0(SI), Y0, Y1
	VPADDW 4(SI), Y0, Y2
	VPADDW Y6, Y1, Y1
	VPADDW Y7, Y2, Y2
	VPSRLW $4, Y1, Y1
	VPSRLW $4, Y2, Y2
	VPSLLW $8, Y2, Y2
	VPOR Y1, Y2, Y1
	VMOVDQU Y1, (DI)
	ADDQ $32, SI
	ADDQ $32, DI
	SUBQ $16, CX
	JNZ widening
	VZEROUPPER
	RET

// CHANNEL makes 16 words of a channel's fraction of the pairs in Y3 and Y4.
#define CHANNEL(C, Y) \
	VPMADDWD C, Y3, Y       \
	VPMADDWD C, Y4, Y5      \
	VPADDD   Y14, Y, Y      \
	VPADDD   Y14, Y5, Y5    \
	VPSRAD   $16, Y, Y      \
	VPSRAD   $16, Y5, Y5    \
	VPACKSSDW Y5, Y, Y

// BYTES clips 16 words.
#define BYTES(Y) \
	VPACKUSWB Y, Y, Y \
	VPERMQ $0x08, Y, Y

#define PART(I) \
	VPSHUFB (48*I)(R9), X6, X9     \
	VPSHUFB (48*I+16)(R9), X7, X10 \
	VPSHUFB (48*I+32)(R9), X8, X11 \
	VPOR X10, X9, X9   \
	VPOR X11, X9, X9   \
	VMOVDQU X9, (16*I)(DI)

// func coloursAVX2(rgb, y, cb, cr *byte, n int, constants *[5][16]int16, places *[9][16]uint8)
TEXT ·coloursAVX2(SB), NOSPLIT, $0-56
	MOVQ rgb+0(FP), DI
	MOVQ y+8(FP), SI
	MOVQ cb+16(FP), DX
	MOVQ cr+24(FP), BX
	MOVQ n+32(FP), CX
	MOVQ constants+40(FP), R8
	MOVQ places+48(FP), R9
	VMOVDQU 32(R8), Y12
	VMOVDQU 64(R8), Y13
	VMOVDQU 96(R8), Y14
	VMOVDQU 128(R8), Y15
colouring:
	VPMOVZXBW (SI), Y0
	VPMOVZXBW (DX), Y1
	VPMOVZXBW (BX), Y2
	VPSUBW Y15, Y1, Y1
	VPSUBW Y15, Y2, Y2
	VPUNPCKLWD Y2, Y1, Y3
	VPUNPCKHWD Y2, Y1, Y4
	CHANNEL(0(R8), Y6)
	CHANNEL(Y12, Y7)
	CHANNEL(Y13, Y8)
	VPADDW Y2, Y6, Y6
	VPADDW Y0, Y6, Y6
	VPSUBW Y2, Y7, Y7
	VPADDW Y0, Y7, Y7
	VPADDW Y1, Y1, Y1
	VPADDW Y1, Y8, Y8
	VPADDW Y0, Y8, Y8
	BYTES(Y6)
	BYTES(Y7)
	BYTES(Y8)
	PART(0)
	PART(1)
	PART(2)
	ADDQ $16, SI
	ADDQ $16, DX
	ADDQ $16, BX
	ADDQ $48, DI
	SUBQ $16, CX
	JNZ colouring
	VZEROUPPER
	RET
