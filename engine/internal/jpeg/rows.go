package jpeg

// rows is memory for a row of pixels on its way.
type rows struct {
	sums  []int16
	wide  [4][]byte
	plane [4][]byte
}

// kernels are the inner loops, which plain Go and a processor's vectors do alike
// to the bit.
type kernels struct {
	name    string
	inverse func(*pending)
	// weigh gives 3*near + far.
	weigh func(sums []int16, near, far []byte)
	// widen doubles a row of n = len(to)/2 sums, which begin at sums[1]: three
	// parts of the nearer and one of the farther, plus a bias for left and right
	// samples, over 16.
	widen func(to []byte, sums []int16, left, right int16)
	// colours makes RGB of len(y) pixels of Y, Cb and Cr.
	colours func(rgb, y, cb, cr []byte)
}

var plain = kernels{"plain Go", inverse, weigh, widen, colours}

func weigh(sums []int16, near, far []byte) {
	far = far[:len(near)]
	sums = sums[:len(near)]
	for i, v := range near {
		sums[i] = 3*int16(v) + int16(far[i])
	}
}

func widen(to []byte, sums []int16, left, right int16) {
	for i := range len(to) / 2 {
		s, at := (*[3]int16)(sums[i:]), (*[2]byte)(to[2*i:])
		at[0], at[1] = uint8((3*s[1]+s[0]+left)>>4), uint8((3*s[1]+s[2]+right)>>4)
	}
}

func colours(rgb, y, cb, cr []byte) {
	cb, cr = cb[:len(y)], cr[:len(y)]
	for i, l := range y {
		at := (*[3]byte)(rgb[3*i:])
		at[0], at[1], at[2] = ycc(int32(l), int32(cb[i])-128, int32(cr[i])-128)
	}
}

// ycc has jdcolor.c's constants, FIX(1.402) and so on, and its roundings.
func ycc(y, cb, cr int32) (r, g, b uint8) {
	const half = 1 << 15
	return clamp(y + (91881*cr+half)>>16), clamp(y + (-22554*cb-46802*cr+half)>>16), clamp(y + (116130*cb+half)>>16)
}

func clamp(v int32) uint8 { return uint8(min(max(v, 0), 255)) }

// row is the samples of a component at the pixels from x0 to x1 of row y: of the
// plane itself, or upsampled as jdsample.c does, whose triangle filters are for
// ratios with 2 and, across, planes of more than two columns.
func (d *decoder) row(i, y, x0, x1 int) []byte {
	c := &d.components[i]
	sx, sy, stride := d.hMax/c.h, d.vMax/c.v, 8*c.across
	at := y / sy
	near := c.plane[at*stride:][:c.w]
	if sx == 1 && sy == 1 {
		return near[x0:x1]
	}
	other := near
	if sy == 2 { // the row above for upper pixels, else below
		at = min(max(at-1+2*(y%2), 0), c.height-1)
		other = c.plane[at*stride:][:c.w]
	}
	lo, hi := x0/sx, ceil(x1, sx)
	to := sized(d.rows.wide[i], (hi-lo)*sx)
	d.rows.wide[i] = to
	switch {
	case sx == 1 && sy == 2:
		bias := 1 + y%2
		for j := range to {
			to[j] = uint8((3*int(near[lo+j]) + int(other[lo+j]) + bias) >> 2)
		}
	case sx == 2 && sy <= 2 && c.w > 2:
		left, right := int16(8), int16(7)
		if sy == 1 { // the sums are four times the samples
			left, right = 4, 8
		}
		d.rows.sums = sized(d.rows.sums, hi-lo+2)
		from, end := max(lo-1, 0), min(hi+1, c.w)
		sums := d.rows.sums
		fast.weigh(sums[from-lo+1:], near[from:end], other[from:end])
		if from == lo {
			sums[0] = sums[1]
		}
		if end == hi {
			sums[hi-lo+1] = sums[hi-lo]
		}
		fast.widen(to, sums, left, right)
	default:
		for j := range to {
			to[j] = near[lo+j/sx]
		}
	}
	return to[x0-lo*sx : x1-lo*sx]
}

// paint makes the pixels within the window.
func (d *decoder) paint(pix []byte) {
	n, x0, x1 := len(d.components), d.window.Min.X, d.window.Max.X
	channels := d.config().Channels
	convert := d.conversion()
	for y := d.window.Min.Y; y < d.window.Max.Y; y++ {
		p := &d.rows.plane
		for i := range n {
			p[i] = d.row(i, y, x0, x1)
		}
		convert(pix[(y*d.width+x0)*channels:(y*d.width+x1)*channels], p)
	}
	d.rows.plane = [4][]byte{}
}

// conversion is from the file's colours to RGB. What these are is guessed as in
// libjpeg's default_decompress_parms.
func (d *decoder) conversion() func(to []byte, from *[4][]byte) {
	switch len(d.components) {
	case 1:
		return func(to []byte, from *[4][]byte) { copy(to, from[0]) }
	case 3:
		ids := [3]int{d.components[0].id, d.components[1].id, d.components[2].id}
		if !d.jfif && d.adobe && d.transform > 1 {
			d.damage |= strangeMarkers
		}
		if !d.jfif && (d.adobe && d.transform == 0 || !d.adobe && ids == [3]int{'R', 'G', 'B'}) {
			return interleave
		}
		return func(to []byte, from *[4][]byte) { fast.colours(to, from[0], from[1], from[2]) }
	}
	if d.adobe && d.transform != 0 && d.transform != 2 {
		d.damage |= strangeMarkers
	}
	if d.adobe && d.transform != 0 {
		return func(to []byte, from *[4][]byte) {
			fast.colours(to, from[0], from[1], from[2])
			darken(to, from[3], 0)
		}
	}
	return func(to []byte, from *[4][]byte) {
		interleave(to, from)
		darken(to, from[3], 255)
	}
}

func interleave(to []byte, from *[4][]byte) {
	for i := range from[0] {
		to[3*i], to[3*i+1], to[3*i+2] = from[0][i], from[1][i], from[2][i]
	}
}

// darken makes RGB of inks, which Adobe stores inverted, as PIL does: first
// the inks are v^flip, then PIL's cmyk2rgb.
func darken(inks, black []byte, flip uint8) {
	for i, k := range black {
		for j := 3 * i; j < 3*i+3; j++ {
			t := uint32(inks[j]^flip)*uint32(k) + 128
			inks[j] = k - uint8((t>>8+t)>>8)
		}
	}
}
