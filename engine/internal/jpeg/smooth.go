package jpeg

// window is the weights of 5 x 5 blocks' DC coefficients, the block itself amid them.
type window [25]int

func (w window) turned() (t window) {
	for i, v := range w {
		t[i%5*5+i/5] = v
	}
	return t
}

// estimates is the weights of jdcoefct.c's decompress_smooth_data for the first
// coefficients of a block in zigzag order: [0] where only the DC coefficients are known,
// which are themselves smoothed then, and [1] where some others are.
var estimates = func() (e [2][10]window) {
	e[0][0] = window{
		-2, -6, -8, -6, -2,
		-6, 6, 42, 6, -6,
		-8, 42, 152, 42, -8,
		-6, 6, 42, 6, -6,
		-2, -6, -8, -6, -2,
	}
	e[0][1] = window{
		-1, -1, 0, 1, 1,
		-3, 13, 0, -13, 3,
		-3, 38, 0, -38, 3,
		-3, 13, 0, -13, 3,
		-1, -1, 0, 1, 1,
	}
	e[0][3] = window{
		0, 0, 1, 0, 0,
		0, 2, 7, 2, 0,
		0, -5, -14, -5, 0,
		0, 2, 7, 2, 0,
		0, 0, 1, 0, 0,
	}
	e[0][4] = window{
		-1, 0, 0, 0, 1,
		0, 9, 0, -9, 0,
		0, 0, 0, 0, 0,
		0, -9, 0, 9, 0,
		1, 0, 0, 0, -1,
	}
	e[0][6] = window{6: 1, 8: -1, 11: 2, 13: -2, 16: 1, 18: -1}
	e[0][7] = window{6: 1, 7: -3, 8: 1, 16: -1, 17: 3, 18: -1}
	e[1][1] = window{10: -7, 11: 50, 13: -50, 14: 7}
	e[1][3] = window{2: -1, 7: 13, 12: -24, 17: 13, 22: -1}
	e[1][4] = window{
		0, -1, 0, 1, 0,
		-1, 10, 0, -10, 1,
		0, 0, 0, 0, 0,
		1, -10, 0, 10, -1,
		0, 1, 0, -1, 0,
	}
	for i := range e {
		e[i][2], e[i][5], e[i][8], e[i][9] = e[i][1].turned(), e[i][3].turned(), e[i][7].turned(), e[i][6].turned()
	}
	return e
}()

// smoothing reports whether libjpeg smooths the file: a progressive one whose DC
// coefficients are known, and some of those behind them not to the last bit.
func (d *decoder) smoothing() bool {
	useful, safe := false, true
	for i := range d.components {
		c := &d.components[i]
		for k, bit := range c.bits {
			if bit != 0 {
				d.damage |= incomplete
				useful = useful || k > 0 && k < 10
			}
			safe = safe && (k > 9 || c.quant[zigzag[k]] != 0)
		}
		safe = safe && c.bits[0] >= 0
		if d.found == 1 {
			for k := range c.before {
				c.before[k] = -1
			}
		}
	}
	return useful && safe
}

// smooth estimates those of the first coefficients of the block at (x, y) that are zero
// and not known to the last bit.
func (d *decoder) smooth(c *component, x, y int, block *[64]int16) {
	bits := &c.bits
	if y/c.v > d.lastGood {
		bits = &c.before
	}
	coarse := true
	for _, b := range bits[1:10] {
		coarse = coarse && b == -1
	}
	dc := d.around(c, x, y)
	guess := func(w *window, k uint8) int {
		sum, q := 0, int(uint16(c.quant[k]))
		for i, v := range dc {
			sum += w[i] * v
		}
		sum *= int(uint16(c.quant[0]))
		if sum < 0 {
			return -((q<<7 - sum) / (q << 8))
		}
		return (q<<7 + sum) / (q << 8)
	}
	e, n := &estimates[1], 6
	if coarse {
		e, n = &estimates[0], 10
	}
	for k := 1; k < n; k++ {
		z, b := zigzag[k], bits[k]
		if b == 0 || block[z] != 0 {
			continue
		}
		v := guess(&e[k], z)
		if most := 1<<max(b, 0) - 1; b > 0 {
			v = min(max(v, -most), most)
		}
		block[z] = int16(v)
	}
	if coarse {
		block[0] = int16(guess(&e[0], 0))
	}
}

// around is the DC coefficients about a block; at the edges of the picture, those at the
// edge. Which rows these are libjpeg counts in the rows of blocks of a row of MCUs, of
// which the last has fewer.
func (d *decoder) around(c *component, x, y int) (dc window) {
	across, n := ceil(c.w, 8), c.v
	if y/c.v == d.mcusY-1 {
		if n = ceil(c.height, 8) % c.v; n == 0 {
			n = c.v
		}
	}
	at, end := y/c.v*n+y%c.v, n*d.mcusY-1
	up, down := min(at, 2), min(end-at, 2)
	for i := range dc {
		row := y + min(max(i/5-2, -up), down)
		column := min(max(x+i%5-2, 0), across-1)
		dc[i] = int(c.coefs[64*(row*c.across+column)])
	}
	return dc
}
