package probes

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"

	"github.com/zeebo/xxh3"
)

// Digest is the 128-bit XXH3 hash of a whole code: the id of a linear region.
// Equal codes have equal digests.
type Digest [16]byte

// DigestOf hashes a packed code.
func DigestOf(code []byte) Digest { return xxh3.Hash128(code).Bytes() }

// String is the digest in hex.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

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

// Sketch chooses K bits of a whole code, the same for every item: Hamming
// distances between sketches, times bits over K, estimate those between codes
// without bias.
type Sketch struct {
	positions []int
}

// NewSketch samples k distinct positions among the plan's real bits (padding is
// never chosen), without regard to site, from a generator seeded with seed. k is
// at most the number of bits.
func (p *Plan) NewSketch(k int, seed uint64) (*Sketch, error) {
	total := 0
	for i := range p.Sites {
		total += p.Sites[i].Units * p.Sites[i].Planes()
	}
	if k < 1 || k > total {
		return nil, fmt.Errorf("a sketch of %d bits of a code of %d", k, total)
	}
	r := rand.New(rand.NewPCG(seed, 0x736b65746368))
	// Floyd's method: k distinct numbers without holding all of them.
	chosen := map[int]bool{}
	for j := total - k; j < total; j++ {
		if t := r.IntN(j + 1); !chosen[t] {
			chosen[t] = true
		} else {
			chosen[j] = true
		}
	}
	s := &Sketch{}
	for c := range chosen {
		s.positions = append(s.positions, c)
	}
	slices.Sort(s.positions)
	// From counting bits to places in the packed code.
	site, before, offset := 0, 0, 0
	for i, c := range s.positions {
		for c >= before+p.Sites[site].Units*p.Sites[site].Planes() {
			before += p.Sites[site].Units * p.Sites[site].Planes()
			offset += p.Sites[site].Bytes()
			site++
		}
		s.positions[i] = offset*8 + c - before
	}
	return s, nil
}

// Bytes is the length of a packed sketch.
func (s *Sketch) Bytes() int { return (len(s.positions) + 7) / 8 }

// Of writes the sketch of a whole code to dst, which holds Bytes bytes.
func (s *Sketch) Of(dst, code []byte) {
	clear(dst)
	for i, p := range s.positions {
		if Bit(code, p) {
			dst[i/8] |= 1 << (7 - i%8)
		}
	}
}

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
