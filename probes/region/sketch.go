package region

import (
	"math/rand/v2"
	"slices"

	"github.com/onnxprobe/onnxprobe/probes"
)

// Sketch samples k distinct bits of the region code of several sites, or all where it
// has no more, by a generator seeded with seed, and packs them in their order; code
// holds all sites' codes in the order of sel. Where two regions select the same units,
// the Hamming distance of their sketches, times bits over k, estimates that of their
// codes without bias; of other regions it says nothing.
func Sketch(sel []*Selection, code []byte, k int, seed uint64) []byte {
	total := 0
	for _, s := range sel {
		total += s.Size()
	}
	chosen := sample(max(min(k, total), 0), total, seed)
	out := make([]byte, (len(chosen)+7)/8)
	before, n := 0, 0
	for _, s := range sel {
		own := s.Append(nil, code[:len(s.Bits)])
		code = code[len(s.Bits):]
		for ; n < len(chosen) && chosen[n] < before+s.Size(); n++ {
			if probes.Bit(own, chosen[n]-before) {
				out[n/8] |= 128 >> (n % 8)
			}
		}
		before += s.Size()
	}
	return out
}

// sample is k distinct numbers below n, in order, by Floyd's method, which does not
// hold all of them.
func sample(k, n int, seed uint64) []int {
	r := rand.New(rand.NewPCG(seed, 0x726567696f6e))
	taken := make(map[int]bool, k)
	chosen := make([]int, 0, k)
	for j := n - k; j < n; j++ {
		t := r.IntN(j + 1)
		if taken[t] {
			t = j
		}
		taken[t] = true
		chosen = append(chosen, t)
	}
	slices.Sort(chosen)
	return chosen
}
