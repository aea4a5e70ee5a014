#include "textflag.h"

// The scans of scan.go. SI walks the base, BX counts groups left, CX is the row
// of the group's first code, R8 to R11 are where the next keys of the four
// queries go. DI stays at the arguments.

DATA lane<>+0(SB)/8, $0
DATA lane<>+8(SB)/8, $1
DATA lane<>+16(SB)/8, $2
DATA lane<>+24(SB)/8, $3
DATA lane<>+32(SB)/8, $4
DATA lane<>+40(SB)/8, $5
DATA lane<>+48(SB)/8, $6
DATA lane<>+56(SB)/8, $7
GLOBL lane<>(SB), RODATA|NOPTR, $64

// How many bits a nibble has.
DATA nibble<>+0(SB)/8, $0x0302020102010100
DATA nibble<>+8(SB)/8, $0x0403030203020201
DATA nibble<>+16(SB)/8, $0x0302020102010100
DATA nibble<>+24(SB)/8, $0x0403030203020201
GLOBL nibble<>(SB), RODATA|NOPTR, $32

DATA low<>+0(SB)/8, $0x0f0f0f0f0f0f0f0f
DATA low<>+8(SB)/8, $0x0f0f0f0f0f0f0f0f
DATA low<>+16(SB)/8, $0x0f0f0f0f0f0f0f0f
DATA low<>+24(SB)/8, $0x0f0f0f0f0f0f0f0f
GLOBL low<>(SB), RODATA|NOPTR, $32

#define ARGS \
	MOVQ a+0(FP), DI  \
	MOVQ 0(DI), SI    \
	MOVQ 8(DI), BX    \
	MOVQ 24(DI), DX   \
	MOVQ 32(DI), CX   \
	MOVQ 72(DI), R8

#define ARGS4 \
	ARGS              \
	MOVQ 80(DI), R9   \
	MOVQ 88(DI), R10  \
	MOVQ 96(DI), R11

#define LIMITS4 \
	VPBROADCASTQ 40(DI), Z12 \
	VPBROADCASTQ 48(DI), Z13 \
	VPBROADCASTQ 56(DI), Z14 \
	VPBROADCASTQ 64(DI), Z15

// COUNT writes how many keys went to OUT.
#define COUNT(OUT, AT) \
	SUBQ (AT-32)(DI), OUT \
	SHRQ $3, OUT          \
	MOVQ OUT, AT(DI)

#define COUNT4 \
	COUNT(R8, 104)  \
	COUNT(R9, 112)  \
	COUNT(R10, 120) \
	COUNT(R11, 128)

// HIT4 tests the distances in Z8 to Z11 against the limits in Z12 to Z15.
#define HIT4 \
	VPCMPUQ $1, Z12, Z8, K1  \
	VPCMPUQ $1, Z13, Z9, K2  \
	VPCMPUQ $1, Z14, Z10, K3 \
	VPCMPUQ $1, Z15, Z11, K4 \
	KORB    K1, K2, K5       \
	KORB    K3, K4, K6       \
	KORTESTB K5, K6

// EMIT writes the keys of the distances in D when any bit of K is set. Z0 has
// the rows.
#define EMIT(K, D, OUT, SKIP) \
	KORTESTB K, K     \
	JZ   SKIP         \
	VPSLLQ $32, D, D  \
	VPADDQ Z0, D, D   \
	VMOVDQU64 D, (OUT) \
	ADDQ $64, OUT

#define ROWS512 \
	VPBROADCASTQ CX, Z0       \
	VPADDQ lane<>(SB), Z0, Z0

#define EMIT4 \
hit:                        \
	ROWS512             \
	EMIT(K1, Z8, R8, hit1) \
hit1:                       \
	EMIT(K2, Z9, R9, hit2) \
hit2:                       \
	EMIT(K3, Z10, R10, hit3) \
hit3:                       \
	EMIT(K4, Z11, R11, hit4) \
hit4:                       \
	JMP next

// QUERY4 is the distance of the words in Z0 to Z3 from a query's in Q0 to Q3.
#define QUERY4(Q0, Q1, Q2, Q3, D) \
	VPXORQ Z0, Q0, Z4   \
	VPXORQ Z1, Q1, Z5   \
	VPXORQ Z2, Q2, Z6   \
	VPXORQ Z3, Q3, Z7   \
	VPOPCNTQ Z4, Z4     \
	VPOPCNTQ Z5, Z5     \
	VPOPCNTQ Z6, Z6     \
	VPOPCNTQ Z7, Z7     \
	VPADDQ Z4, Z5, Z4   \
	VPADDQ Z6, Z7, Z6   \
	VPADDQ Z4, Z6, D

#define QUERY2(Q0, Q1, D) \
	VPXORQ Z0, Q0, Z4   \
	VPXORQ Z1, Q1, Z5   \
	VPOPCNTQ Z4, Z4     \
	VPOPCNTQ Z5, Z5     \
	VPADDQ Z4, Z5, D

// func scan4x4AVX512(a *scanArgs): four queries of 256 bits, in Z16 to Z31
TEXT ·scan4x4AVX512(SB), NOSPLIT, $0-8
	ARGS4
	LIMITS4
	VPBROADCASTQ 0(DX), Z16
	VPBROADCASTQ 8(DX), Z17
	VPBROADCASTQ 16(DX), Z18
	VPBROADCASTQ 24(DX), Z19
	VPBROADCASTQ 32(DX), Z20
	VPBROADCASTQ 40(DX), Z21
	VPBROADCASTQ 48(DX), Z22
	VPBROADCASTQ 56(DX), Z23
	VPBROADCASTQ 64(DX), Z24
	VPBROADCASTQ 72(DX), Z25
	VPBROADCASTQ 80(DX), Z26
	VPBROADCASTQ 88(DX), Z27
	VPBROADCASTQ 96(DX), Z28
	VPBROADCASTQ 104(DX), Z29
	VPBROADCASTQ 112(DX), Z30
	VPBROADCASTQ 120(DX), Z31
	TESTQ BX, BX
	JZ   done
	PCALIGN $32
loop:
	VMOVDQU64 (SI), Z0
	VMOVDQU64 64(SI), Z1
	VMOVDQU64 128(SI), Z2
	VMOVDQU64 192(SI), Z3
	QUERY4(Z16, Z17, Z18, Z19, Z8)
	QUERY4(Z20, Z21, Z22, Z23, Z9)
	QUERY4(Z24, Z25, Z26, Z27, Z10)
	QUERY4(Z28, Z29, Z30, Z31, Z11)
	HIT4
	JNZ  hit
next:
	ADDQ $256, SI
	ADDQ $8, CX
	DECQ BX
	JNZ  loop
done:
	COUNT4
	VZEROUPPER
	RET
	EMIT4

// func scan4x2AVX512(a *scanArgs): four queries of 128 bits, in Z16 to Z23
TEXT ·scan4x2AVX512(SB), NOSPLIT, $0-8
	ARGS4
	LIMITS4
	VPBROADCASTQ 0(DX), Z16
	VPBROADCASTQ 8(DX), Z17
	VPBROADCASTQ 16(DX), Z18
	VPBROADCASTQ 24(DX), Z19
	VPBROADCASTQ 32(DX), Z20
	VPBROADCASTQ 40(DX), Z21
	VPBROADCASTQ 48(DX), Z22
	VPBROADCASTQ 56(DX), Z23
	TESTQ BX, BX
	JZ   done
	PCALIGN $32
loop:
	VMOVDQU64 (SI), Z0
	VMOVDQU64 64(SI), Z1
	QUERY2(Z16, Z17, Z8)
	QUERY2(Z18, Z19, Z9)
	QUERY2(Z20, Z21, Z10)
	QUERY2(Z22, Z23, Z11)
	HIT4
	JNZ  hit
next:
	ADDQ $128, SI
	ADDQ $8, CX
	DECQ BX
	JNZ  loop
done:
	COUNT4
	VZEROUPPER
	RET
	EMIT4

// WORD4 adds the distances of one word of four queries at AT(DX).
#define WORD4(AT) \
	VMOVDQU64 (8*AT)(SI), Z0               \
	VPXORQ.BCST AT(DX), Z0, Z4             \
	VPXORQ.BCST AT(DX)(R12*1), Z0, Z5      \
	VPXORQ.BCST AT(DX)(R12*2), Z0, Z6      \
	VPXORQ.BCST AT(DX)(R13*1), Z0, Z7      \
	VPOPCNTQ Z4, Z4                        \
	VPOPCNTQ Z5, Z5                        \
	VPOPCNTQ Z6, Z6                        \
	VPOPCNTQ Z7, Z7                        \
	VPADDQ Z4, Z8, Z8                      \
	VPADDQ Z5, Z9, Z9                      \
	VPADDQ Z6, Z10, Z10                    \
	VPADDQ Z7, Z11, Z11

// func scan4AVX512(a *scanArgs): four queries of a multiple of 256 bits
TEXT ·scan4AVX512(SB), NOSPLIT, $0-8
	ARGS4
	LIMITS4
	MOVQ 16(DI), R12
	SHLQ $3, R12
	LEAQ (R12)(R12*2), R13
	TESTQ BX, BX
	JZ   done
loop:
	VPXORQ Z8, Z8, Z8
	VPXORQ Z9, Z9, Z9
	VPXORQ Z10, Z10, Z10
	VPXORQ Z11, Z11, Z11
	MOVQ 24(DI), DX
	MOVQ 16(DI), AX
	PCALIGN $32
words:
	WORD4(0)
	WORD4(8)
	WORD4(16)
	WORD4(24)
	ADDQ $32, DX
	ADDQ $256, SI
	SUBQ $4, AX
	JNZ  words
	HIT4
	JNZ  hit
next:
	ADDQ $8, CX
	DECQ BX
	JNZ  loop
done:
	COUNT4
	VZEROUPPER
	RET
	EMIT4


#define HIT1 \
	VPCMPUQ $1, Z12, Z8, K1 \
	KORTESTB K1, K1

#define EMIT1 \
hit:                        \
	ROWS512             \
	VPSLLQ $32, Z8, Z8  \
	VPADDQ Z0, Z8, Z8   \
	VMOVDQU64 Z8, (R8)  \
	ADDQ $64, R8        \
	JMP next

// func scan1x2AVX512(a *scanArgs): one query of 128 bits
TEXT ·scan1x2AVX512(SB), NOSPLIT, $0-8
	ARGS
	VPBROADCASTQ 40(DI), Z12
	VPBROADCASTQ 0(DX), Z16
	VPBROADCASTQ 8(DX), Z17
	TESTQ BX, BX
	JZ   done
	PCALIGN $32
loop:
	VPXORQ (SI), Z16, Z4
	VPXORQ 64(SI), Z17, Z5
	VPOPCNTQ Z4, Z4
	VPOPCNTQ Z5, Z5
	VPADDQ Z4, Z5, Z8
	HIT1
	JNZ  hit
next:
	ADDQ $128, SI
	ADDQ $8, CX
	DECQ BX
	JNZ  loop
done:
	COUNT(R8, 104)
	VZEROUPPER
	RET
	EMIT1

#define FOUR(AT, Q0, Q1, Q2, Q3, D) \
	VPXORQ (AT)(SI), Q0, Z4        \
	VPXORQ (AT+64)(SI), Q1, Z5     \
	VPXORQ (AT+128)(SI), Q2, Z6    \
	VPXORQ (AT+192)(SI), Q3, Z7    \
	VPOPCNTQ Z4, Z4                \
	VPOPCNTQ Z5, Z5                \
	VPOPCNTQ Z6, Z6                \
	VPOPCNTQ Z7, Z7                \
	VPADDQ Z4, Z5, Z4              \
	VPADDQ Z6, Z7, Z6              \
	VPADDQ Z4, Z6, D

// func scan1x4AVX512(a *scanArgs): one query of 256 bits
TEXT ·scan1x4AVX512(SB), NOSPLIT, $0-8
	ARGS
	VPBROADCASTQ 40(DI), Z12
	VPBROADCASTQ 0(DX), Z16
	VPBROADCASTQ 8(DX), Z17
	VPBROADCASTQ 16(DX), Z18
	VPBROADCASTQ 24(DX), Z19
	TESTQ BX, BX
	JZ   done
	PCALIGN $32
loop:
	FOUR(0, Z16, Z17, Z18, Z19, Z8)
	HIT1
	JNZ  hit
next:
	ADDQ $256, SI
	ADDQ $8, CX
	DECQ BX
	JNZ  loop
done:
	COUNT(R8, 104)
	VZEROUPPER
	RET
	EMIT1

// func scan1x8AVX512(a *scanArgs): one query of 512 bits
TEXT ·scan1x8AVX512(SB), NOSPLIT, $0-8
	ARGS
	VPBROADCASTQ 40(DI), Z12
	VPBROADCASTQ 0(DX), Z16
	VPBROADCASTQ 8(DX), Z17
	VPBROADCASTQ 16(DX), Z18
	VPBROADCASTQ 24(DX), Z19
	VPBROADCASTQ 32(DX), Z20
	VPBROADCASTQ 40(DX), Z21
	VPBROADCASTQ 48(DX), Z22
	VPBROADCASTQ 56(DX), Z23
	TESTQ BX, BX
	JZ   done
	PCALIGN $32
loop:
	FOUR(0, Z16, Z17, Z18, Z19, Z8)
	FOUR(256, Z20, Z21, Z22, Z23, Z9)
	VPADDQ Z8, Z9, Z8
	HIT1
	JNZ  hit
next:
	ADDQ $512, SI
	ADDQ $8, CX
	DECQ BX
	JNZ  loop
done:
	COUNT(R8, 104)
	VZEROUPPER
	RET
	EMIT1

#define WORD1(AT, D) \
	VMOVDQU64 (8*AT)(SI), Z0               \
	VPXORQ.BCST AT(DX), Z0, Z4             \
	VPOPCNTQ Z4, Z4                        \
	VPADDQ Z4, D, D

// func scan1AVX512(a *scanArgs): one query of a multiple of 256 bits
TEXT ·scan1AVX512(SB), NOSPLIT, $0-8
	ARGS
	VPBROADCASTQ 40(DI), Z12
	TESTQ BX, BX
	JZ   done
loop:
	VPXORQ Z8, Z8, Z8
	VPXORQ Z9, Z9, Z9
	MOVQ 24(DI), DX
	MOVQ 16(DI), AX
	PCALIGN $32
words:
	WORD1(0, Z8)
	WORD1(8, Z9)
	WORD1(16, Z8)
	WORD1(24, Z9)
	ADDQ $32, DX
	ADDQ $256, SI
	SUBQ $4, AX
	JNZ  words
	VPADDQ Z8, Z9, Z8
	HIT1
	JNZ  hit
next:
	ADDQ $8, CX
	DECQ BX
	JNZ  loop
done:
	COUNT(R8, 104)
	VZEROUPPER
	RET
	EMIT1

// AVX2 has no instruction that counts bits: VPSHUFB looks up both nibbles of
// every byte, and VPSADBW adds up the bytes of each word. Y13 is the table, Y14
// the mask, Y15 zero.
#define CONSTANTS2 \
	VMOVDQU nibble<>(SB), Y13 \
	VMOVDQU low<>(SB), Y14    \
	VPXOR Y15, Y15, Y15

// NIBBLES makes the byte counts of Y4 in Y4.
#define NIBBLES \
	VPSRLW $4, Y4, Y5     \
	VPAND Y14, Y4, Y4     \
	VPAND Y14, Y5, Y5     \
	VPSHUFB Y4, Y13, Y4   \
	VPSHUFB Y5, Y13, Y5   \
	VPADDB Y4, Y5, Y4

// PAIR2 adds to D the distances of two words of four codes, in Y0 and Y1, from
// the query's at Q and Q+8.
#define PAIR2(Q, Q8, D) \
	VPBROADCASTQ Q, Y4    \
	VPXOR Y0, Y4, Y4      \
	NIBBLES               \
	VMOVDQA Y4, Y6        \
	VPBROADCASTQ Q8, Y4   \
	VPXOR Y1, Y4, Y4      \
	NIBBLES               \
	VPADDB Y4, Y6, Y6     \
	VPSADBW Y15, Y6, Y6   \
	VPADDQ Y6, D, D

// EMIT2 writes the keys of one query if any of the distances at AT(DI) is below
// its limit at LIMIT(DI). Y0 and Y1 have the rows.
#define EMIT2(AT, LIMIT, OUT, SKIP) \
	VPBROADCASTQ LIMIT(DI), Y2  \
	VMOVDQU AT(DI), Y4          \
	VMOVDQU (AT+32)(DI), Y5     \
	VPCMPGTQ Y4, Y2, Y6         \
	VPCMPGTQ Y5, Y2, Y7         \
	VPOR Y6, Y7, Y6             \
	VMOVMSKPD Y6, AX            \
	TESTL AX, AX                \
	JZ   SKIP                   \
	VPSLLQ $32, Y4, Y4          \
	VPSLLQ $32, Y5, Y5          \
	VPADDQ Y0, Y4, Y4           \
	VPADDQ Y1, Y5, Y5           \
	VMOVDQU Y4, (OUT)           \
	VMOVDQU Y5, 32(OUT)         \
	ADDQ $64, OUT

#define ROWS2 \
	MOVQ CX, X2                      \
	VPBROADCASTQ X2, Y2              \
	VPADDQ lane<>(SB), Y2, Y0        \
	VPADDQ lane<>+32(SB), Y2, Y1

// HALF2 finds the distances of four codes of the group at SI+AT, and leaves them
// at DIST+AT(DI).
#define HALF4(AT, WORDS) \
	VPXOR Y8, Y8, Y8          \
	VPXOR Y9, Y9, Y9          \
	VPXOR Y10, Y10, Y10       \
	VPXOR Y11, Y11, Y11       \
	MOVQ SI, R15              \
	MOVQ 24(DI), DX           \
	MOVQ 16(DI), AX           \
WORDS:                            \
	VMOVDQU AT(R15), Y0       \
	VMOVDQU (AT+64)(R15), Y1  \
	PAIR2(0(DX), 8(DX), Y8)   \
	PAIR2(0(DX)(R12*1), 8(DX)(R12*1), Y9)   \
	PAIR2(0(DX)(R12*2), 8(DX)(R12*2), Y10)  \
	PAIR2(0(DX)(R13*1), 8(DX)(R13*1), Y11)  \
	ADDQ $16, DX              \
	ADDQ $128, R15            \
	SUBQ $2, AX               \
	JNZ  WORDS                \
	VMOVDQU Y8, (136+AT)(DI)  \
	VMOVDQU Y9, (200+AT)(DI)  \
	VMOVDQU Y10, (264+AT)(DI) \
	VMOVDQU Y11, (328+AT)(DI)

// func scan4AVX2(a *scanArgs): four queries
TEXT ·scan4AVX2(SB), NOSPLIT, $0-8
	ARGS4
	CONSTANTS2
	MOVQ 16(DI), R12
	SHLQ $3, R12
	LEAQ (R12)(R12*2), R13
	TESTQ BX, BX
	JZ   done
loop:
	HALF4(0, words0)
	HALF4(32, words1)
	MOVQ R15, SI
	ROWS2
	EMIT2(136, 40, R8, skip0)
skip0:
	EMIT2(200, 48, R9, skip1)
skip1:
	EMIT2(264, 56, R10, skip2)
skip2:
	EMIT2(328, 64, R11, skip3)
skip3:
	ADDQ $8, CX
	DECQ BX
	JNZ  loop
done:
	COUNT4
	VZEROUPPER
	RET

// func scan1AVX2(a *scanArgs): one query
TEXT ·scan1AVX2(SB), NOSPLIT, $0-8
	ARGS
	CONSTANTS2
	TESTQ BX, BX
	JZ   done
loop:
	VPXOR Y8, Y8, Y8
	VPXOR Y9, Y9, Y9
	MOVQ 24(DI), DX
	MOVQ 16(DI), AX
words:
	VMOVDQU 0(SI), Y0
	VMOVDQU 64(SI), Y1
	PAIR2(0(DX), 8(DX), Y8)
	VMOVDQU 32(SI), Y0
	VMOVDQU 96(SI), Y1
	PAIR2(0(DX), 8(DX), Y9)
	ADDQ $16, DX
	ADDQ $128, SI
	SUBQ $2, AX
	JNZ  words
	VMOVDQU Y8, 136(DI)
	VMOVDQU Y9, 168(DI)
	ROWS2
	EMIT2(136, 40, R8, skip0)
skip0:
	ADDQ $8, CX
	DECQ BX
	JNZ  loop
done:
	COUNT(R8, 104)
	VZEROUPPER
	RET
