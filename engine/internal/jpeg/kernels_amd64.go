package jpeg

import "golang.org/x/sys/cpu"

var fast = func() kernels {
	if cpu.X86.HasAVX2 {
		return kernels{"AVX2", inverseVectors, weighVectors, widenVectors, coloursVectors}
	}
	return plain
}()

// The kernels in kernels_amd64.s work on 16 elements at a time, n of them; the
// rest is plain Go's.

//go:noescape
func inverseAVX2(coefs *[2][64]int16, quant0, quant1 *[64]int16, to0, to1 *byte, step0, step1 int, constants *[13][16]int16)

//go:noescape
func weighAVX2(sums *int16, near, far *byte, n int)

//go:noescape
func widenAVX2(to *byte, sums *int16, left, right int16, n int)

//go:noescape
func coloursAVX2(rgb, y, cb, cr *byte, n int, constants *[5][16]int16, places *[9][16]uint8)

// A product with these of pairs of samples, (x0+x4, x0-x4), (x2, x6), (x7+x3, x5+x1),
// (x7, x1) and (x5, x3), gives what inverse8 calls e0 to e3, z3 and z4, and what b0, b1,
// b2 and b3 are besides these.
var inverseConstants = [13][16]int16{
	pair(1<<13, 0), pair(0, 1<<13), pair(f0541, f0541-f1847), pair(f0541+f0765, f0541),
	pair(f1175-f1961, f1175), pair(f1175, f1175-f0390),
	pair(f0298-f0899, -f0899), pair(f2053-f2562, -f2562), pair(-f2562, f3072-f2562), pair(-f0899, f1501-f0899),
	word(1 << 10), word(1 << 17), word(-0x7f7f7f80),
}

// Red, green and blue of pairs (cb, cr), over 1<<16, after whole parts: red has cr
// once, green has cr once less, blue has cb twice.
var colourConstants = [5][16]int16{
	pair(0, 91881-1<<16), pair(-22554, 1<<16-46802), pair(116130-2<<16, 0),
	word(1 << 15), pair(128, 128),
}

// places is where the three channels of 16 pixels go in each of the 16 bytes.
var places = func() (p [9][16]uint8) {
	for i := range 48 {
		for c := range 3 {
			p[3*(i/16)+c][i%16] = 0x80
		}
		p[3*(i/16)+i%3][i%16] = uint8(i / 3)
	}
	return p
}()

func pair(a, b int16) (v [16]int16) {
	for i := 0; i < 16; i += 2 {
		v[i], v[i+1] = a, b
	}
	return v
}

func word(w int32) [16]int16 { return pair(int16(w), int16(w>>16)) }

func inverseVectors(p *pending) {
	_, _ = p.to[0][7*p.step[0]+7], p.to[1][7*p.step[1]+7]
	inverseAVX2(&p.coefs, p.quant[0], p.quant[1], &p.to[0][0], &p.to[1][0], p.step[0], p.step[1], &inverseConstants)
}

func weighVectors(sums []int16, near, far []byte) {
	far = far[:len(near)]
	sums = sums[:len(near)]
	n := len(near) &^ 15
	if n > 0 {
		weighAVX2(&sums[0], &near[0], &far[0], n)
	}
	weigh(sums[n:], near[n:], far[n:])
}

func widenVectors(to []byte, sums []int16, left, right int16) {
	n := len(to) / 2 &^ 15
	if n > 0 {
		_ = sums[len(to)/2+1]
		widenAVX2(&to[0], &sums[0], left, right, n)
	}
	widen(to[2*n:], sums[n:], left, right)
}

func coloursVectors(rgb, y, cb, cr []byte) {
	cb, cr, rgb = cb[:len(y)], cr[:len(y)], rgb[:3*len(y)]
	n := len(y) &^ 15
	if n > 0 {
		coloursAVX2(&rgb[0], &y[0], &cb[0], &cr[0], n, &colourConstants, &places)
	}
	colours(rgb[3*n:], y[n:], cb[n:], cr[n:])
}
