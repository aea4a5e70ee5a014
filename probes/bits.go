package probes

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// Hamming is the number of bits in which two packed codes of one length differ.
// It panics when the lengths differ.
func Hamming(a, b []byte) int {
	if len(a) != len(b) {
		panic(fmt.Sprintf("probes.Hamming: codes of %d and %d bytes", len(a), len(b)))
	}
	n := 0
	for len(a) >= 8 {
		n += bits.OnesCount64(binary.LittleEndian.Uint64(a) ^ binary.LittleEndian.Uint64(b))
		a, b = a[8:], b[8:]
	}
	for i := range a {
		n += bits.OnesCount8(a[i] ^ b[i])
	}
	return n
}

// Bit is bit i of a packed code.
func Bit(code []byte, i int) bool { return code[i/8]>>(7-i%8)&1 == 1 }

// or sets in dst the bits of a, and those before its end alone; and clears in dst
// those that a lacks; differs clears in dst those that a has.
func or(dst, a []byte) {
	dst = dst[:len(a)]
	for len(a) >= 8 {
		binary.LittleEndian.PutUint64(dst, binary.LittleEndian.Uint64(dst)|binary.LittleEndian.Uint64(a))
		dst, a = dst[8:], a[8:]
	}
	for i, b := range a {
		dst[i] |= b
	}
}

func and(dst, a []byte) {
	dst = dst[:len(a)]
	for len(a) >= 8 {
		binary.LittleEndian.PutUint64(dst, binary.LittleEndian.Uint64(dst)&binary.LittleEndian.Uint64(a))
		dst, a = dst[8:], a[8:]
	}
	for i, b := range a {
		dst[i] &= b
	}
}

func differs(dst, a []byte) {
	dst = dst[:len(a)]
	for len(a) >= 8 {
		binary.LittleEndian.PutUint64(dst, binary.LittleEndian.Uint64(dst)&^binary.LittleEndian.Uint64(a))
		dst, a = dst[8:], a[8:]
	}
	for i, b := range a {
		dst[i] &^= b
	}
}

// changed counts the units that have a set bit in any of their planes, in a
// packed code of planes times units bits.
func changed(code []byte, units, planes int) int {
	if planes == 1 {
		n := 0
		for len(code) >= 8 {
			n += bits.OnesCount64(binary.LittleEndian.Uint64(code))
			code = code[8:]
		}
		for _, b := range code {
			n += bits.OnesCount8(b)
		}
		return n
	}
	n := 0
	for u := 0; u < units; u += 8 {
		var any byte
		for p := range planes {
			any |= eight(code, p*units+u)
		}
		if rest := units - u; rest < 8 {
			any &= 0xff << (8 - rest)
		}
		n += bits.OnesCount8(any)
	}
	return n
}

// eight is the 8 bits from bit i on; bits past the end are 0.
func eight(code []byte, i int) byte {
	at, shift := i/8, i%8
	if at >= len(code) {
		return 0
	}
	b := code[at] << shift
	if shift > 0 && at+1 < len(code) {
		b |= code[at+1] >> (8 - shift)
	}
	return b
}
