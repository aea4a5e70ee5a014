#include "textflag.h"

// Sums begin with one half, at 22 fraction bits.
DATA half<>+0(SB)/4, $0x200000
GLOBL half<>(SB), RODATA|NOPTR, $4

// func acrossAVX2(out, row *uint8, ks *kernel, n int)
// A kernel is min, and a slice of weights: 32 bytes. Four bytes are read for a
// pixel, and written; the next pixel overwrites the last.
TEXT ·acrossAVX2(SB), NOSPLIT, $0-32
	MOVQ out+0(FP), DI
	MOVQ row+8(FP), SI
	MOVQ ks+16(FP), DX
	MOVQ n+24(FP), CX
	VPBROADCASTD half<>(SB), X7
pixel:
	MOVQ 0(DX), R8
	MOVQ 8(DX), R9
	MOVQ 16(DX), R10
	LEAQ (R8)(R8*2), R8
	ADDQ SI, R8
	VMOVDQA X7, X0
	TESTQ R10, R10
	JZ pixelDone
tap:
	VPMOVZXBD (R8), X1
	VPBROADCASTD (R9), X2
	VPMULLD X2, X1, X1
	VPADDD X1, X0, X0
	ADDQ $3, R8
	ADDQ $4, R9
	DECQ R10
	JNZ tap
pixelDone:
	VPSRAD $22, X0, X0
	VPACKUSDW X0, X0, X0
	VPACKUSWB X0, X0, X0
	VMOVD X0, (DI)
	ADDQ $3, DI
	ADDQ $32, DX
	DECQ CX
	JNZ pixel
	RET

// func downAVX2(out, rows *uint8, weights *int32, n, stride, rowCount int)
TEXT ·downAVX2(SB), NOSPLIT, $0-48
	MOVQ out+0(FP), DI
	MOVQ rows+8(FP), SI
	MOVQ weights+16(FP), DX
	MOVQ n+24(FP), CX
	MOVQ stride+32(FP), R8
	MOVQ rowCount+40(FP), R9
	VPBROADCASTD half<>(SB), Y7
piece:
	VMOVDQA Y7, Y0
	VMOVDQA Y7, Y1
	MOVQ SI, R10
	MOVQ DX, R11
	MOVQ R9, R12
weight:
	VPBROADCASTD (R11), Y2
	VPMOVZXBD (R10), Y3
	VPMOVZXBD 8(R10), Y4
	VPMULLD Y2, Y3, Y3
	VPMULLD Y2, Y4, Y4
	VPADDD Y3, Y0, Y0
	VPADDD Y4, Y1, Y1
	ADDQ R8, R10
	ADDQ $4, R11
	DECQ R12
	JNZ weight
	VPSRAD $22, Y0, Y0
	VPSRAD $22, Y1, Y1
	VPACKUSDW Y1, Y0, Y0
	VPERMQ $0xd8, Y0, Y0
	VPACKUSWB Y0, Y0, Y0
	VPERMQ $0x08, Y0, Y0
	VMOVDQU X0, (DI)
	ADDQ $16, SI
	ADDQ $16, DI
	SUBQ $16, CX
	JNZ piece
	VZEROUPPER
	RET
