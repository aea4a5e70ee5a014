#include "textflag.h"

// The kernels of type micro, for float32 (PS) and float64 (PD). Products and
// sums are rounded apart: multiply, then add, never a fused instruction.

// The tile kernels have k in CX, a in SI, b in DX, c in DI and ldc in R8; rows 0
// to 3 of c are at DI plus 0, R8, 2*R8 and R9, the others from R10 on likewise.
#define TILE(SIZE) \
	SHLQ $SIZE, R8       \
	LEAQ (R8)(R8*2), R9  \
	LEAQ (DI)(R8*4), R10

// ROW2 adds a broadcast element of A times the row of B in Y0, Y1 to a row.
#define ROW2(BROADCAST, MUL, ADD, A, ACC0, ACC1) \
	BROADCAST A, Y2      \
	MUL  Y0, Y2, Y3      \
	MUL  Y1, Y2, Y2      \
	ADD  Y3, ACC0, ACC0  \
	ADD  Y2, ACC1, ACC1

// TILE6 is six rows of two vectors of 32 bytes, in Y4 to Y15.
#define TILE6(MOV, BROADCAST, MUL, ADD, W, SIZE) \
	TILE(SIZE)                                  \
	MOV   (DI), Y4                              \
	MOV   32(DI), Y5                            \
	MOV   (DI)(R8*1), Y6                        \
	MOV   32(DI)(R8*1), Y7                      \
	MOV   (DI)(R8*2), Y8                        \
	MOV   32(DI)(R8*2), Y9                      \
	MOV   (DI)(R9*1), Y10                       \
	MOV   32(DI)(R9*1), Y11                     \
	MOV   (R10), Y12                            \
	MOV   32(R10), Y13                          \
	MOV   (R10)(R8*1), Y14                      \
	MOV   32(R10)(R8*1), Y15                    \
	TESTQ CX, CX                                \
	JZ    done                                  \
	PCALIGN $32                                 \
loop:                                               \
	MOV   (DX), Y0                              \
	MOV   32(DX), Y1                            \
	ROW2(BROADCAST, MUL, ADD, (0*W)(SI), Y4, Y5)   \
	ROW2(BROADCAST, MUL, ADD, (1*W)(SI), Y6, Y7)   \
	ROW2(BROADCAST, MUL, ADD, (2*W)(SI), Y8, Y9)   \
	ROW2(BROADCAST, MUL, ADD, (3*W)(SI), Y10, Y11) \
	ROW2(BROADCAST, MUL, ADD, (4*W)(SI), Y12, Y13) \
	ROW2(BROADCAST, MUL, ADD, (5*W)(SI), Y14, Y15) \
	ADDQ  $(6*W), SI                            \
	ADDQ  $64, DX                               \
	DECQ  CX                                    \
	JNZ   loop                                  \
done:                                               \
	MOV   Y4, (DI)                              \
	MOV   Y5, 32(DI)                            \
	MOV   Y6, (DI)(R8*1)                        \
	MOV   Y7, 32(DI)(R8*1)                      \
	MOV   Y8, (DI)(R8*2)                        \
	MOV   Y9, 32(DI)(R8*2)                      \
	MOV   Y10, (DI)(R9*1)                       \
	MOV   Y11, 32(DI)(R9*1)                     \
	MOV   Y12, (R10)                            \
	MOV   Y13, 32(R10)                          \
	MOV   Y14, (R10)(R8*1)                      \
	MOV   Y15, 32(R10)(R8*1)                    \
	VZEROUPPER                                  \
	RET

// func tile32AVX2(k int, a, b, c *float32, ldc int)
TEXT ·tile32AVX2(SB), NOSPLIT, $0-40
	MOVQ k+0(FP), CX
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	MOVQ c+24(FP), DI
	MOVQ ldc+32(FP), R8
	TILE6(VMOVUPS, VBROADCASTSS, VMULPS, VADDPS, 4, 2)

// func tile64AVX2(k int, a, b, c *float64, ldc int)
TEXT ·tile64AVX2(SB), NOSPLIT, $0-40
	MOVQ k+0(FP), CX
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	MOVQ c+24(FP), DI
	MOVQ ldc+32(FP), R8
	TILE6(VMOVUPD, VBROADCASTSD, VMULPD, VADDPD, 8, 3)

// ROW2Z is ROW2 for vectors of 64 bytes. The products take the element of A from
// memory: where a broadcast has to go through a register, some processors do it
// in the place of a product.
#define ROW2Z(MUL, ADD, A, T0, T1, ACC0, ACC1) \
	MUL  A, Z0, T0       \
	MUL  A, Z1, T1       \
	ADD  T0, ACC0, ACC0  \
	ADD  T1, ACC1, ACC1

// TILE8 is eight rows of two vectors of 64 bytes, in Z16 to Z31.
#define TILE8(MOV, MUL, ADD, W, SIZE) \
	TILE(SIZE)                                  \
	MOV   (DI), Z16                             \
	MOV   64(DI), Z17                           \
	MOV   (DI)(R8*1), Z18                       \
	MOV   64(DI)(R8*1), Z19                     \
	MOV   (DI)(R8*2), Z20                       \
	MOV   64(DI)(R8*2), Z21                     \
	MOV   (DI)(R9*1), Z22                       \
	MOV   64(DI)(R9*1), Z23                     \
	MOV   (R10), Z24                            \
	MOV   64(R10), Z25                          \
	MOV   (R10)(R8*1), Z26                      \
	MOV   64(R10)(R8*1), Z27                    \
	MOV   (R10)(R8*2), Z28                      \
	MOV   64(R10)(R8*2), Z29                    \
	MOV   (R10)(R9*1), Z30                      \
	MOV   64(R10)(R9*1), Z31                    \
	TESTQ CX, CX                                \
	JZ    done                                  \
	PCALIGN $64                                 \
loop:                                               \
	MOV   (DX), Z0                              \
	MOV   64(DX), Z1                            \
	ROW2Z(MUL, ADD, (0*W)(SI), Z2, Z3, Z16, Z17)   \
	ROW2Z(MUL, ADD, (1*W)(SI), Z4, Z5, Z18, Z19)   \
	ROW2Z(MUL, ADD, (2*W)(SI), Z6, Z7, Z20, Z21)   \
	ROW2Z(MUL, ADD, (3*W)(SI), Z8, Z9, Z22, Z23)   \
	ROW2Z(MUL, ADD, (4*W)(SI), Z10, Z11, Z24, Z25) \
	ROW2Z(MUL, ADD, (5*W)(SI), Z12, Z13, Z26, Z27) \
	ROW2Z(MUL, ADD, (6*W)(SI), Z2, Z3, Z28, Z29)   \
	ROW2Z(MUL, ADD, (7*W)(SI), Z4, Z5, Z30, Z31)   \
	ADDQ  $(8*W), SI                            \
	ADDQ  $128, DX                              \
	DECQ  CX                                    \
	JNZ   loop                                  \
done:                                               \
	MOV   Z16, (DI)                             \
	MOV   Z17, 64(DI)                           \
	MOV   Z18, (DI)(R8*1)                       \
	MOV   Z19, 64(DI)(R8*1)                     \
	MOV   Z20, (DI)(R8*2)                       \
	MOV   Z21, 64(DI)(R8*2)                     \
	MOV   Z22, (DI)(R9*1)                       \
	MOV   Z23, 64(DI)(R9*1)                     \
	MOV   Z24, (R10)                            \
	MOV   Z25, 64(R10)                          \
	MOV   Z26, (R10)(R8*1)                      \
	MOV   Z27, 64(R10)(R8*1)                    \
	MOV   Z28, (R10)(R8*2)                      \
	MOV   Z29, 64(R10)(R8*2)                    \
	MOV   Z30, (R10)(R9*1)                      \
	MOV   Z31, 64(R10)(R9*1)                    \
	VZEROUPPER                                  \
	RET

// func tile32AVX512(k int, a, b, c *float32, ldc int)
TEXT ·tile32AVX512(SB), NOSPLIT, $0-40
	MOVQ k+0(FP), CX
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	MOVQ c+24(FP), DI
	MOVQ ldc+32(FP), R8
	TILE8(VMOVUPS, VMULPS.BCST, VADDPS, 4, 2)

// func tile64AVX512(k int, a, b, c *float64, ldc int)
TEXT ·tile64AVX512(SB), NOSPLIT, $0-40
	MOVQ k+0(FP), CX
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	MOVQ c+24(FP), DI
	MOVQ ldc+32(FP), R8
	TILE8(VMOVUPD, VMULPD.BCST, VADDPD, 8, 3)

// ROW is a row kernel: four vectors of LANES elements at a time, then one.
#define ROW(MOV, BROADCAST, MUL, ADD, W, LANES) \
	SUBQ $(4*LANES), CX                    \
	JL   narrow                            \
wide:                                          \
	MOV  (DI), Y0                          \
	MOV  32(DI), Y1                        \
	MOV  64(DI), Y2                        \
	MOV  96(DI), Y3                        \
	XORQ R10, R10                          \
widetap:                                       \
	MOVQ (DX)(R10*8), AX                   \
	BROADCAST (R8)(R10*W), Y4              \
	LEAQ (SI)(AX*W), AX                    \
	MUL  (AX), Y4, Y5                      \
	MUL  32(AX), Y4, Y6                    \
	MUL  64(AX), Y4, Y7                    \
	MUL  96(AX), Y4, Y8                    \
	ADD  Y5, Y0, Y0                        \
	ADD  Y6, Y1, Y1                        \
	ADD  Y7, Y2, Y2                        \
	ADD  Y8, Y3, Y3                        \
	INCQ R10                               \
	CMPQ R10, R9                           \
	JLT  widetap                           \
	MOV  Y0, (DI)                          \
	MOV  Y1, 32(DI)                        \
	MOV  Y2, 64(DI)                        \
	MOV  Y3, 96(DI)                        \
	ADDQ $128, DI                          \
	ADDQ $128, SI                          \
	SUBQ $(4*LANES), CX                    \
	JGE  wide                              \
narrow:                                        \
	ADDQ $(4*LANES), CX                    \
	JZ   done                              \
one:                                           \
	MOV  (DI), Y0                          \
	XORQ R10, R10                          \
onetap:                                        \
	MOVQ (DX)(R10*8), AX                   \
	BROADCAST (R8)(R10*W), Y4              \
	MUL  (SI)(AX*W), Y4, Y5                \
	ADD  Y5, Y0, Y0                        \
	INCQ R10                               \
	CMPQ R10, R9                           \
	JLT  onetap                            \
	MOV  Y0, (DI)                          \
	ADDQ $32, DI                           \
	ADDQ $32, SI                           \
	SUBQ $LANES, CX                        \
	JG   one                               \
done:                                          \
	VZEROUPPER                             \
	RET

// func row32AVX2(n int, y, x *float32, off *int, w *float32, taps int)
TEXT ·row32AVX2(SB), NOSPLIT, $0-48
	MOVQ n+0(FP), CX
	MOVQ y+8(FP), DI
	MOVQ x+16(FP), SI
	MOVQ off+24(FP), DX
	MOVQ w+32(FP), R8
	MOVQ taps+40(FP), R9
	ROW(VMOVUPS, VBROADCASTSS, VMULPS, VADDPS, 4, 8)

// func row64AVX2(n int, y, x *float64, off *int, w *float64, taps int)
TEXT ·row64AVX2(SB), NOSPLIT, $0-48
	MOVQ n+0(FP), CX
	MOVQ y+8(FP), DI
	MOVQ x+16(FP), SI
	MOVQ off+24(FP), DX
	MOVQ w+32(FP), R8
	MOVQ taps+40(FP), R9
	ROW(VMOVUPD, VBROADCASTSD, VMULPD, VADDPD, 8, 4)

// GATHER copies in vectors of 32 bytes, LANES elements.
#define GATHER(W, LANES, SIZE) \
	SHLQ $SIZE, R8                 \
row:                                   \
	MOVQ (DX), R11                 \
	LEAQ (SI)(R11*W), R11          \
	MOVQ R9, R12                   \
	MOVQ R10, R13                  \
run:                                   \
	MOVQ (R12), AX                 \
	MOVQ 8(R12), BX                \
	MOVQ 16(R12), R14              \
	LEAQ (DI)(AX*W), AX            \
	LEAQ (R11)(BX*W), BX           \
vector:                                \
	VMOVUPS (BX), Y0               \
	VMOVUPS Y0, (AX)               \
	ADDQ $32, AX                   \
	ADDQ $32, BX                   \
	SUBQ $LANES, R14               \
	JG   vector                    \
	ADDQ $24, R12                  \
	DECQ R13                       \
	JNZ  run                       \
	ADDQ $8, DX                    \
	ADDQ R8, DI                    \
	DECQ CX                        \
	JNZ  row                       \
	VZEROUPPER                     \
	RET

// func gather32AVX2(k int, dst *float32, nr int, src *float32, off *int, runs *run, n int)
TEXT ·gather32AVX2(SB), NOSPLIT, $0-56
	MOVQ k+0(FP), CX
	MOVQ dst+8(FP), DI
	MOVQ nr+16(FP), R8
	MOVQ src+24(FP), SI
	MOVQ off+32(FP), DX
	MOVQ runs+40(FP), R9
	MOVQ n+48(FP), R10
	GATHER(4, 8, 2)

// func gather64AVX2(k int, dst *float64, nr int, src *float64, off *int, runs *run, n int)
TEXT ·gather64AVX2(SB), NOSPLIT, $0-56
	MOVQ k+0(FP), CX
	MOVQ dst+8(FP), DI
	MOVQ nr+16(FP), R8
	MOVQ src+24(FP), SI
	MOVQ off+32(FP), DX
	MOVQ runs+40(FP), R9
	MOVQ n+48(FP), R10
	GATHER(8, 4, 3)
