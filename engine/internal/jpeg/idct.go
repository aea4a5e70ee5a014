package jpeg

// pending is blocks that wait for their inverse cosine transform, which takes two
// at a time.
type pending struct {
	n     int
	coefs [2][64]int16 // as in the file
	quant [2]*[64]int16
	to    [2][]byte // where a block's first sample goes
	step  [2]int    // from row to row
	sink  [64]byte
}

// extent tells where a block has coefficients other than the first: the bits of their
// places, or something like them.
type extent uint8

const (
	flat     extent = 0
	firstRow extent = 7 // this or less: nowhere else
	whole    extent = 63
)

// push takes the block at coefs[n], the one at (x, y) of a component.
func (d *decoder) push(c *component, x, y int, e extent) {
	p, stride := &d.pending, 8*c.across
	to := c.plane[8*(y*stride+x):][:7*stride+8]
	if e <= firstRow {
		row := oneRow(&p.coefs[p.n], c.quant, e)
		for i := range 8 {
			*(*[8]byte)(to[i*stride:]) = row
		}
		return
	}
	p.quant[p.n], p.to[p.n], p.step[p.n] = c.quant, to, stride
	if p.n++; p.n == 2 {
		d.flush()
	}
}

// oneRow is any row of a block without coefficients below its first row. libjpeg-turbo
// does such blocks by a shortcut, which overflows otherwise than its transform does.
func oneRow(coefs, quant *[64]int16, e extent) (row [8]byte) {
	if e == flat {
		v := sample((int32(coefs[0]*quant[0]<<2) + 16) >> 5)
		return [8]byte{v, v, v, v, v, v, v, v}
	}
	var v [8]int16
	for x := range v {
		v[x] = coefs[x] * quant[x] << 2
	}
	for x, s := range inverse8(v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]) {
		row[x] = sample((s + 1<<17) >> 18)
	}
	return row
}

// flush transforms what waits.
func (d *decoder) flush() {
	p := &d.pending
	if p.n == 1 {
		p.quant[1], p.to[1], p.step[1] = p.quant[0], p.sink[:], 8
	}
	if p.n > 0 {
		fast.inverse(p)
	}
	p.n, p.to = 0, [2][]byte{}
}

// sample shifts a transform's value to 0 to 255.
func sample(v int32) uint8 { return uint8(min(max(v, -128), 127) + 128) }

// The 13-bit constants of jidctint.c, which is Loeffler, Ligtenberg and
// Moschytz's transform of 11 multiplications, 1989.
const (
	f0298 = 2446
	f0390 = 3196
	f0541 = 4433
	f0765 = 6270
	f0899 = 7373
	f1175 = 9633
	f1501 = 12299
	f1847 = 15137
	f1961 = 16069
	f2053 = 16819
	f2562 = 20995
	f3072 = 25172
)

// inverse is jpeg_idct_islow: columns, then rows, with 2 more bits in between.
// Where coefficients that no encoder gives overflow 16 bits, products and sums wrap
// around and the results of each half saturate, as in libjpeg-turbo's vector code.
func inverse(p *pending) {
	for i, to := range p.to {
		inverseBlock(&p.coefs[i], p.quant[i], to, p.step[i])
	}
}

func inverseBlock(coefs, quant *[64]int16, to []byte, step int) {
	var block, between [64]int16
	for k, v := range coefs {
		block[k] = v * quant[k]
	}
	for x := range 8 {
		for y, s := range inverse8(block[x], block[8+x], block[16+x], block[24+x], block[32+x], block[40+x], block[48+x], block[56+x]) {
			between[8*y+x] = int16(min(max((s+1<<10)>>11, -1<<15), 1<<15-1))
		}
	}
	for y := range 8 {
		v, row := (*[8]int16)(between[8*y:]), (*[8]byte)(to[y*step:])
		for x, s := range inverse8(v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]) {
			row[x] = sample((s + 1<<17) >> 18)
		}
	}
}

func inverse8(v0, v1, v2, v3, v4, v5, v6, v7 int16) [8]int32 {
	x0, x1, x2, x3 := int32(v0), int32(v1), int32(v2), int32(v3)
	x4, x5, x6, x7 := int32(v4), int32(v5), int32(v6), int32(v7)
	if x1|x2|x3|x4|x5|x6|x7 == 0 {
		s := x0 << 13
		return [8]int32{s, s, s, s, s, s, s, s}
	}
	z := (x2 + x6) * f0541
	e2, e3 := z-x6*f1847, z+x2*f0765
	e0, e1 := int32(v0+v4)<<13, int32(v0-v4)<<13
	a0, a3, a1, a2 := e0+e3, e0-e3, e1+e2, e1-e2

	z1, z2, z3, z4 := x7+x1, x5+x3, int32(v7+v3), int32(v5+v1)
	z5 := (z3 + z4) * f1175
	z1, z2, z3, z4 = -z1*f0899, -z2*f2562, z5-z3*f1961, z5-z4*f0390
	b0, b1, b2, b3 := x7*f0298+z1+z3, x5*f2053+z2+z4, x3*f3072+z2+z3, x1*f1501+z1+z4
	return [8]int32{a0 + b3, a1 + b2, a2 + b1, a3 + b0, a3 - b0, a2 - b1, a1 - b2, a0 - b3}
}
