package picture

import (
	"bytes"
	"image"
	"math/rand/v2"
	"testing"
)

// The vectors' rows are plain Go's, for all filters and odd sizes.
func TestResizeKernelsAgree(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	filters := []Filter{Box, Bilinear, Hamming, Bicubic, Lanczos}
	for i := range 600 {
		in, out := 1+r.IntN(90), 1+r.IntN(90)
		rows := make([]uint8, in*(in*3)+1)
		for j := range rows {
			rows[j] = []uint8{0, 255, uint8(r.IntN(256))}[r.IntN(3)]
		}
		ks := kernels(in, out, filters[i%len(filters)], 0, out)
		want, got := make([]uint8, 3*out), make([]uint8, 3*out+1)
		across3(want, rows[:3*in], ks)
		across(got[:3*out], rows[:3*in], ks)
		if !bytes.Equal(got[:3*out], want) {
			t.Fatalf("across %d to %d: %v, want %v", in, out, got, want)
		}
		k, n := ks[r.IntN(out)], 3*in
		want, got = make([]uint8, n), make([]uint8, n)
		down1(want, rows[:n*len(k.weights)], k.weights, 0)
		down(got, rows[:n*len(k.weights)], k.weights)
		if !bytes.Equal(got, want) {
			t.Fatalf("down %d weights: %v, want %v", len(k.weights), got, want)
		}
	}
}

// What lies outside of the part that is said to be seen changes nothing.
func TestSeenDecides(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 500 {
		p := Preprocess{Interpolation: []Filter{"", Nearest, Box, Bilinear, Hamming, Bicubic, Lanczos}[r.IntN(7)]}
		size := func() Size { return Size{1 + r.IntN(40), 1 + r.IntN(40)} }
		edge := 1 + r.IntN(40)
		p.Resize = []Resize{{}, {Mode: Shorter, Size: Size{edge, edge}}, {Mode: Exact, Size: size()}, {Mode: Fit, Size: size()}, {Mode: Cover, Size: size()}}[r.IntN(5)]
		if r.IntN(4) > 0 {
			p.Crop = size()
		}
		m := New(1+r.IntN(60), 1+r.IntN(60), []int{1, 3}[r.IntN(2)])
		for i := range m.Pix {
			m.Pix[i] = uint8(r.IntN(256))
		}
		n := &Picture{W: m.W, H: m.H, C: m.C, Pix: bytes.Clone(m.Pix)}
		seen := p.Seen(m.W, m.H)
		for i := range n.Pix {
			if at := i / m.C; !image.Pt(at%m.W, at/m.W).In(seen) {
				n.Pix[i] = uint8(r.IntN(256))
			}
		}
		want, err := p.scene(m, 1<<20)
		got, errGot := p.scene(n, 1<<20)
		if (err == nil) != (errGot == nil) || err == nil && !bytes.Equal(want.Pix, got.Pix) {
			t.Fatalf("%+v of %d x %d: more than %v decides; errors %v, %v", p, m.W, m.H, seen, err, errGot)
		}
	}
}

func BenchmarkResize(b *testing.B) {
	p := New(500, 375, 3)
	for _, f := range []Filter{Bilinear, Bicubic, Lanczos} {
		b.Run(string(f), func(b *testing.B) {
			for b.Loop() {
				p.resize(341, 256, f)
			}
		})
	}
}

// PIL's window of Hamming has float32 constants, which decides the pixel in the middle: 126,
// from Pillow 13; 127 with 0.54 and 0.46 themselves.
func TestHammingsConstants(t *testing.T) {
	got := (&Picture{W: 9, H: 1, C: 1, Pix: []uint8{2, 233, 162, 102, 164, 106, 22, 21, 221}}).resize(3, 1, Hamming)
	if got.Pix[1] != 126 {
		t.Errorf("got %v, want 126 in the middle", got.Pix)
	}
}
