package report

import (
	"image/color"
	"math"
)

// The colours of what is not data. In a page they are CSS variables of these names,
// which follow the reader's choice of light or dark.
var (
	ink   = color.NRGBA{0x1b, 0x1f, 0x24, 0xff}
	muted = color.NRGBA{0x57, 0x60, 0x6a, 0xff}
	rule  = color.NRGBA{0xd0, 0xd7, 0xde, 0xff}
	paper = color.NRGBA{0xff, 0xff, 0xff, 0xff}
)

// categories are the colours of Okabe and Ito, "Color Universal Design" (2008), in an
// order that keeps neighbors apart. Yellow is left out, which white paper swallows, and
// black is the ink, which is light on a dark page.
var categories = []color.NRGBA{
	{0x00, 0x72, 0xb2, 0xff}, // blue
	{0xd5, 0x5e, 0x00, 0xff}, // vermilion
	{0x00, 0x9e, 0x73, 0xff}, // bluish green
	{0xcc, 0x79, 0xa7, 0xff}, // reddish purple
	{0x56, 0xb4, 0xe9, 0xff}, // sky blue
	{0xe6, 0x9f, 0x00, 0xff}, // orange
	ink,
}

func category(i int) color.NRGBA { return categories[i%len(categories)] }

// fade is a colour with another opacity.
func fade(c color.NRGBA, alpha uint8) color.NRGBA {
	c.A = alpha
	return c
}

// ramp holds the control points of the colours of quantities: from dark blue through grey
// to yellow, of steadily growing lightness, so that order survives colour blindness and
// grey print.
var ramp = []color.NRGBA{
	{0x0b, 0x1f, 0x4b, 0xff},
	{0x2c, 0x45, 0x77, 0xff},
	{0x5f, 0x68, 0x7a, 0xff},
	{0x8d, 0x8a, 0x76, 0xff},
	{0xc4, 0xb0, 0x60, 0xff},
	{0xfd, 0xe1, 0x4f, 0xff},
}

// quantity is the colour of a share of the largest value, 0 to 1.
func quantity(share float64) color.NRGBA {
	at := min(max(share, 0), 1) * float64(len(ramp)-1)
	i := min(int(at), len(ramp)-2)
	part := at - float64(i)
	mix := func(a, b uint8) uint8 { return uint8(math.Round(float64(a) + part*(float64(b)-float64(a)))) }
	a, b := ramp[i], ramp[i+1]
	return color.NRGBA{mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B), 0xff}
}
