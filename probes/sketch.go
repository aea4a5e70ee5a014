package probes

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/onnxprobe/onnxprobe/probes/result"
)

// Sketch is bits sampled from an item's whole code, the same for every item, "sketch":
// Hamming distances between sketches, times the code's bits over the sketch's, estimate
// those between codes without bias.
type Sketch struct {
	coded
	// Bits is how many bits are sampled: at most those of a code.
	Bits int
	// Seed draws them.
	Seed uint64
}

// About is the probe's row in lists.
func (Sketch) About() About {
	return About{Name: "sketch", Doc: "K sampled bits of the code, whose Hamming distances estimate those of codes"}
}

// Start draws the bits.
func (s Sketch) Start(_ context.Context, r *Prober) (Maker, error) { return s.sampler(r.Plan) }

// Of gives the sketches of whole codes of a plan, which lie one after the other as the
// codes do. Its error says why no such sketch can be of them, and is that of no codes too.
func (s Sketch) Of(p *Plan, codes []byte) ([]byte, error) {
	m, err := s.sampler(p)
	if err != nil {
		return nil, err
	}
	width := p.CodeBytes()
	out := make([]byte, 0, len(codes)/max(width, 1)*m.size())
	for ; len(codes) >= width && width > 0; codes = codes[width:] {
		out = append(out, make([]byte, m.size())...)
		m.take(out[len(out)-m.size():], codes[:width])
	}
	return out, nil
}

// SketchError says that a code has no so many bits to sample.
type SketchError struct{ Bits, Of int }

func (e *SketchError) Error() string {
	return fmt.Sprintf("a sketch of %d bits of a code of %d: want 1 to %d", e.Bits, e.Of, e.Of)
}

// sampler is a sketch of the codes of a plan.
type sampler struct {
	Sketch
	positions []int // in the packed code, ascending
}

// sampler samples distinct positions among the plan's real bits (padding is never chosen),
// without regard to site.
func (s Sketch) sampler(p *Plan) (*sampler, error) {
	k, total := s.Bits, p.Bits()
	if k < 1 || k > total {
		return nil, &SketchError{k, total}
	}
	r := rand.New(rand.NewPCG(s.Seed, 0x736b65746368))
	// Floyd's method: k distinct numbers without holding all of them.
	chosen := map[int]bool{}
	for j := total - k; j < total; j++ {
		if t := r.IntN(j + 1); !chosen[t] {
			chosen[t] = true
		} else {
			chosen[j] = true
		}
	}
	out := &sampler{Sketch: s}
	for c := range chosen {
		out.positions = append(out.positions, c)
	}
	slices.Sort(out.positions)
	// From counting bits to places in the packed code.
	site, before, offset := 0, 0, 0
	for i, c := range out.positions {
		for c >= before+p.Sites[site].Units*p.Sites[site].Planes() {
			before += p.Sites[site].Units * p.Sites[site].Planes()
			offset += p.Sites[site].Bytes()
			site++
		}
		out.positions[i] = offset*8 + c - before
	}
	return out, nil
}

// size is the length of a packed sketch.
func (s *sampler) size() int { return (len(s.positions) + 7) / 8 }

// take writes the sketch of a whole code to dst, which holds size bytes.
func (s *sampler) take(dst, code []byte) {
	clear(dst)
	for i, p := range s.positions {
		if Bit(code, p) {
			dst[i/8] |= 1 << (7 - i%8)
		}
	}
}

// Columns is the column "sketch".
func (s *sampler) Columns(b *Batch) ([]result.Column, error) {
	width, n, codes := b.CodeBytes(), s.size(), b.Codes()
	sketches := make([]byte, b.Len()*n)
	for i := range b.Len() {
		s.take(sketches[i*n:(i+1)*n], codes[i*width:(i+1)*width])
	}
	return []result.Column{{Name: "sketch", Values: sketches, Width: n, Null: b.Failed()}}, nil
}

// Settings are what the manifest says of the probe.
func (s Sketch) Settings() map[string]any { return map[string]any{"sketch": s.Bits, "seed": s.Seed} }
