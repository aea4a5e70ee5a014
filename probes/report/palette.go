package report

import "image/color"

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
