package region

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"

	"github.com/onnxprobe/onnxprobe/probes"
)

// Selection is the units of a site that lie inside a region.
type Selection struct {
	// Bits has the order, the packing and the length of the site's code, one plane of
	// units after the other, and is set where a unit is inside.
	Bits []byte
	// Units is the number of units inside, Channels the units of each position.
	Units, Channels int

	layout    *Layout
	positions *Mask
}

// stretch is units of one position whose channels follow one another.
type stretch struct{ unit, length, channel, y, x int }

// Select takes all units of the positions in a mask over H x W, none for what is not
// spatial. A mask of another size holds no position beyond its own.
func (l *Layout) Select(positions *Mask) *Selection {
	s := &Selection{Bits: make([]byte, (l.units*l.planes+7)/8), Channels: l.Channels, layout: l, positions: positions}
	s.runs(func(r stretch) {
		s.Units += r.length
		for p := range l.planes {
			setBits(s.Bits, p*l.units+r.unit, r.length)
		}
	})
	return s
}

// setBits sets n bits from bit i on.
func setBits(b []byte, i, n int) {
	for ; n > 0 && i%8 != 0; i, n = i+1, n-1 {
		b[i/8] |= 128 >> (i % 8)
	}
	for ; n >= 8; i, n = i+8, n-8 {
		b[i/8] = 0xff
	}
	for ; n > 0; i, n = i+1, n-1 {
		b[i/8] |= 128 >> (i % 8)
	}
}

// step is what a place of an axis adds to row, column and channel.
type step struct{ y, x, c int }

// runs calls use with the units inside in their order. Axes before the first that
// lies on the grid repeat what follows; those after the last are one run.
func (s *Selection) runs(use func(stretch)) {
	l := s.layout
	if l.grid == nil || s.positions.Count() == 0 {
		return
	}
	head, tail := 0, len(l.axes)
	for !l.axes[head].spatial() {
		head++
	}
	for tail > head && !l.axes[tail-1].spatial() {
		tail--
	}
	inner, channels := sizeOf(l.axes[tail:]), sizeOf(l.axes[tail:])
	tables := make([][]step, len(l.axes))
	for i := tail - 1; i >= head; i-- {
		tables[i], channels = l.steps(l.axes[i], channels)
	}
	var block []stretch
	unit := 0
	var walk func(i int, at step)
	walk = func(i int, at step) {
		if i < tail {
			for _, d := range tables[i] {
				walk(i+1, step{at.y + d.y, at.x + d.x, at.c + d.c})
			}
			return
		}
		if s.positions.Has(at.y, at.x) {
			block = append(block, stretch{unit, inner, at.c, at.y, at.x})
		}
		unit += inner
	}
	walk(head, step{})
	for k := range sizeOf(l.axes[:head]) {
		for _, r := range block {
			use(stretch{k*unit + r.unit, r.length, k*channels + r.channel, r.y, r.x})
		}
	}
}

func sizeOf(axes []axis) int {
	n := 1
	for _, a := range axes {
		n *= a.size()
	}
	return n
}

// nowhere is the row of a token that stands for no position: no sum brings it back.
const nowhere = -1 << 40

// steps is what each place of an axis adds, where channels of it weigh so much, and
// what those of the axis before weigh.
func (l *Layout) steps(a axis, channels int) ([]step, int) {
	t := make([]step, a.size())
	next := channels
	for o := range t {
		rest, weight := o, channels
		for k := len(a) - 1; k >= 0; k-- {
			d := a[k]
			n := rest % d.size
			rest /= d.size
			switch d.role {
			case row:
				t[o].y += n * d.weight
			case column:
				t[o].x += n * d.weight
			case token:
				if at := l.tokens[n]; at < 0 {
					t[o].y = nowhere
				} else {
					t[o].y, t[o].x = t[o].y+at/l.W, t[o].x+at%l.W
				}
			default:
				t[o].c += n * weight
				weight *= d.size
			}
		}
		next = weight
	}
	return t, next
}

// checkCode panics where a code is not of the selection's length: a fault of the
// caller's program, as with probes.Hamming.
func (s *Selection) checkCode(code []byte) {
	if len(code) != len(s.Bits) {
		panic(fmt.Sprintf("region: a code of %d bytes for a site of %d", len(code), len(s.Bits)))
	}
}

// Size is the number of bits inside: units times planes.
func (s *Selection) Size() int { return s.Units * s.layout.planes }

// Append appends the region code: the bits of the site's code that are inside, in
// their order, packed from the most significant bit on and padded to a byte.
//
// Region codes, and their digests, of two regions can be compared only where both
// select the same units: equal Bits. Channel codes have one length for all regions.
func (s *Selection) Append(dst, code []byte) []byte {
	s.checkCode(code)
	var acc byte
	n := 0
	for i, mask := range s.Bits {
		for b := code[i]; mask != 0; {
			lead := bits.LeadingZeros8(mask)
			mask &^= 128 >> lead
			acc = acc<<1 | b>>(7-lead)&1
			if n++; n == 8 {
				dst, acc, n = append(dst, acc), 0, 0
			}
		}
	}
	if n > 0 {
		dst = append(dst, acc<<(8-n))
	}
	return dst
}

// Digest is the digest of the region code of several sites, one after the other as
// Append makes them; code holds all sites' codes in the order of sel.
func Digest(sel []*Selection, code []byte) probes.Hash {
	var all []byte
	for _, s := range sel {
		all = s.Append(all, code[:len(s.Bits)])
		code = code[len(s.Bits):]
	}
	return probes.DigestOf(all)
}

// Differ is the number of bits inside in which two codes of the site differ.
func (s *Selection) Differ(a, b []byte) (n int) {
	s.checkCode(a)
	s.checkCode(b)
	for i, m := range s.Bits {
		n += bits.OnesCount8((a[i] ^ b[i]) & m)
	}
	return n
}

// Changed is the number of units inside that have a set bit in any of their planes:
// their local complexity, when changed holds the bits that are not the same at all
// vertices.
func (s *Selection) Changed(changed []byte) (n int) {
	s.checkCode(changed)
	if s.layout.planes == 1 {
		for i, m := range s.Bits {
			n += bits.OnesCount8(changed[i] & m)
		}
		return n
	}
	for _, k := range s.PerPosition(changed) {
		n += k
	}
	return n
}

// Fired counts for each plane and channel, plane by plane, the positions inside at
// which its bit is set. Channels are the units of a position in their order.
func (s *Selection) Fired(code []byte) []int {
	s.checkCode(code)
	counts := make([]int, s.layout.planes*s.Channels)
	s.runs(func(r stretch) {
		for p := range s.layout.planes {
			at := p*s.layout.units + r.unit
			for k := range r.length {
				if probes.Bit(code, at+k) {
					counts[p*s.Channels+r.channel+k]++
				}
			}
		}
	})
	return counts
}

// ChannelCode appends the channel code of the region: one bit for each plane and
// channel, packed as codes are, set where the channel's bit is set at one position
// inside at least, and at a share (0 to 1) of them. Share 0 is "anywhere". It has the
// same length whatever the region, and no bit set for an empty one.
func (s *Selection) ChannelCode(dst, code []byte, share float64) []byte {
	counts := s.Fired(code)
	inside := 0
	if s.Channels > 0 {
		inside = s.Units / s.Channels
	}
	out := make([]byte, (len(counts)+7)/8)
	for i, n := range counts {
		if n > 0 && float64(n) >= share*float64(inside) {
			out[i/8] |= 128 >> (i % 8)
		}
	}
	return append(dst, out...)
}

// PerPosition is, row by row, how many of a position's units have a set bit in any of
// their planes: of positions outside none.
func (s *Selection) PerPosition(bits []byte) []int {
	s.checkCode(bits)
	l := s.layout
	counts := make([]int, l.H*l.W)
	s.runs(func(r stretch) {
		for u := r.unit; u < r.unit+r.length; u++ {
			for p := range l.planes {
				if probes.Bit(bits, p*l.units+u) {
					counts[r.y*l.W+r.x]++
					break
				}
			}
		}
	})
	return counts
}

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
