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

// What torchvision 0.29's resize gives for a tensor of bytes, antialiased, and nearest-exact.
func TestResizeLikeTorchvisionsTensors(t *testing.T) {
	m := New(7, 19, 1)
	for i := range m.Pix {
		m.Pix[i] = uint8(i*i*37 + i*11)
	}
	for f, want := range map[Filter][]uint8{
		"torchvision-bilinear": {129, 121, 123, 148, 179, 176, 144, 135, 107, 116, 169, 133, 101, 127, 113, 140, 117, 63, 138, 138, 106, 111, 113, 102, 195, 114, 105, 148, 166, 170},
		"torchvision-bicubic":  {130, 121, 122, 147, 184, 180, 149, 138, 102, 109, 177, 131, 93, 125, 109, 149, 114, 50, 136, 147, 105, 109, 110, 101, 209, 108, 99, 153, 172, 175},
		"torchvision-lanczos":  {131, 125, 121, 140, 186, 182, 154, 139, 100, 103, 183, 134, 88, 124, 105, 154, 114, 42, 137, 151, 102, 110, 109, 100, 213, 103, 97, 154, 174, 175},
		"torchvision-nearest":  {98, 152, 24, 246, 84, 252, 142, 220, 116, 130, 248, 184, 90, 192, 112, 174, 60, 20, 198, 68, 12, 122, 32, 16, 210, 104, 72, 230, 164, 172},
	} {
		if got := m.resize(6, 5, f).Pix; !bytes.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", f, got, want)
		}
	}
}
