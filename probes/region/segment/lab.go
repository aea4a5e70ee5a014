package segment

import (
	"image"
	"math"
)

// labOf is a picture's pixels in CIELAB, of sRGB with the white D65.
func labOf(m image.Image) [][3]float32 {
	b := m.Bounds()
	out := make([][3]float32, 0, b.Dx()*b.Dy())
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			r, g, bl, _ := m.At(x, y).RGBA()
			out = append(out, lab(float64(r)/0xffff, float64(g)/0xffff, float64(bl)/0xffff))
		}
	}
	return out
}

// lab is the CIELAB of an sRGB colour in 0..1 (IEC 61966-2-1, CIE 15).
func lab(r, g, b float64) [3]float32 {
	r, g, b = linear(r), linear(g), linear(b)
	x := cube((0.412453*r + 0.357580*g + 0.180423*b) / 0.95047)
	y := cube(0.212671*r + 0.715160*g + 0.072169*b)
	z := cube((0.019334*r + 0.119193*g + 0.950227*b) / 1.08883)
	return [3]float32{float32(116*y - 16), float32(500 * (x - y)), float32(200 * (y - z))}
}

func linear(v float64) float64 {
	if v <= 0.04045 {
		return v / 12.92
	}
	return math.Pow((v+0.055)/1.055, 2.4)
}

func cube(t float64) float64 {
	if t > 0.008856 {
		return math.Cbrt(t)
	}
	return 7.787*t + 16.0/116
}
