package region

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/onnxprobe/onnxprobe/probes"
)

// A network with two knots a unit, and one of tokens, by the rule bit for bit: a unit
// is inside when its row and column, from its place in the tensor, are.
func TestSelectionsBitByBit(t *testing.T) {
	for file, where := range map[string]func(l *Layout, u int) (y, x, c int, ok bool){
		"acts_dynamo":           chw,
		"mobilenet_torchscript": chw,
		"vit_dynamo": func(l *Layout, u int) (y, x, c int, ok bool) {
			tok := u/l.Channels - 1 // the class token first
			return tok / l.W, tok % l.W, u % l.Channels, tok >= 0
		},
	} {
		ls, p := layouts(t, "../../testdata/models/"+file+".onnx", probes.AttachOptions{})
		r := rand.New(rand.NewPCG(1, 2))
		for i := range p.Sites {
			site := &p.Sites[i]
			l := ls[site.Name]
			code, other := make([]byte, site.Bytes()), make([]byte, site.Bytes())
			for k := range code {
				code[k], other[k] = byte(r.Uint32()), byte(r.Uint32())
			}
			positions := newMask(max(l.H, 1), max(l.W, 1))
			for range 1 + l.H*l.W/3 {
				positions.Set(r.IntN(positions.H), r.IntN(positions.W))
			}
			s := l.Select(positions)
			if len(s.Bits) != len(code) {
				t.Fatalf("%s: site %s: %d bytes, want %d", file, site.Name, len(s.Bits), len(code))
			}
			if l.Reason != "" {
				if s.Units != 0 || s.Size() != 0 || len(s.Append(nil, code)) != 0 || s.Differ(code, other) != 0 {
					t.Errorf("%s: site %s has units inside", file, site.Name)
				}
				continue
			}
			var own []bool
			differ, changed := 0, map[int]bool{}
			fired := make([]int, site.Planes()*l.Channels)
			for b := range site.Planes() * site.Units {
				y, x, c, ok := where(l, b%site.Units)
				in := ok && positions.Has(y, x)
				if got := probes.Bit(s.Bits, b); got != in {
					t.Fatalf("%s: site %s: bit %d is inside: got %v, want %v", file, site.Name, b, got, in)
				}
				if !in {
					continue
				}
				own = append(own, probes.Bit(code, b))
				if probes.Bit(code, b) != probes.Bit(other, b) {
					differ++
				}
				if probes.Bit(code, b) {
					changed[b%site.Units] = true
					fired[b/site.Units*l.Channels+c]++
				}
			}
			if got := s.Append(nil, code); !bytes.Equal(got, packed(own)) {
				t.Errorf("%s: site %s: region code %x, want %x", file, site.Name, got, packed(own))
			}
			if s.Size() != len(own) || s.Units*site.Planes() != len(own) || s.Differ(code, other) != differ || s.Changed(code) != len(changed) {
				t.Errorf("%s: site %s: %d bits, %d differ, %d units changed, want %d, %d, %d", file, site.Name, s.Size(), s.Differ(code, other), s.Changed(code), len(own), differ, len(changed))
			}
			for _, share := range []float64{0, 0.5, 1} {
				want := make([]bool, len(fired))
				for k, n := range fired {
					want[k] = n > 0 && float64(n) >= share*float64(positions.Count())
				}
				if got := s.ChannelCode(nil, code, share); !bytes.Equal(got, packed(want)) {
					t.Errorf("%s: site %s: channels at share %v: %x, want %x", file, site.Name, share, got, packed(want))
				}
			}
			if got, want := Digest([]*Selection{s, s}, append(bytes.Clone(code), other...)), probes.DigestOf(append(s.Append(nil, code), s.Append(nil, other)...)); got != want {
				t.Errorf("%s: site %s: digest %s, want %s", file, site.Name, got, want)
			}
			all := Sketch([]*Selection{s}, code, 1<<20, 7)
			if !bytes.Equal(all, packed(own)) || !bytes.Equal(Sketch([]*Selection{s}, code, 9, 7), Sketch([]*Selection{s}, code, 9, 7)) || len(Sketch([]*Selection{s}, code, 9, 7)) != (min(9, len(own))+7)/8 {
				t.Errorf("%s: site %s: sketches", file, site.Name)
			}
		}
	}
}

func chw(l *Layout, u int) (y, x, c int, ok bool) {
	return u / l.W % l.H, u % l.W, u / l.W / l.H, true
}

func packed(bits []bool) []byte {
	out := make([]byte, (len(bits)+7)/8)
	for i, b := range bits {
		if b {
			out[i/8] |= 1 << (7 - i%8)
		}
	}
	return out
}
