package kernel

const (
	columnSize   = 1 << 18 // elements of the columns that are made at a time
	columnBlocks = 8       // parts to cut the channels of a group into
)

// ConvInput sets dx to the adjoint of the convolution, with respect to its
// input, at dy: [N, C, H, W] from [N, M, OH, OW]. It is also the transposed
// convolution, of which dy is the input. w is as PackConv takes it.
func ConvInput[T Float](r *Runner, g *Conv, dx, dy, w []T) {
	size, plane, taps := g.OH*g.OW, g.H*g.W, g.taps()
	dx, dy, w = dx[:g.N*g.C*plane], dy[:g.N*g.M*size], w[:g.M*g.depth()]
	if len(dx) == 0 {
		return
	}
	if len(dy) == 0 || len(w) == 0 {
		clear(dx)
		return
	}
	m, rows, depth, channels := kernels[T](), g.rows(), g.depth(), g.C/g.Groups
	// A task is some channels of a group of an image: their columns, [channels*
	// taps, OH*OW], are the transposed weights times dy, and are then added up in
	// dx, at most high rows of the output at a time. The sizes, and with them the
	// order of the sums, follow from the geometry alone.
	high := min(g.OH, max(1, columnSize/(taps*g.OW)))
	some := min(max(1, columnSize/(taps*g.OW*high)), max(4, ceilDiv(channels, columnBlocks)), channels)
	blocks := ceilDiv(channels, some)
	r.each(g.N*g.Groups*blocks, ceilDiv(grainWork, some*taps*size*rows), func(wk *worker, lo, hi int) {
		cols := scratch[T](wk, slotColumns, some*taps*high*g.OW)
		for u := lo; u < hi; u++ {
			n, group := u/blocks/g.Groups, u/blocks%g.Groups
			c0 := u % blocks * some
			c1 := min(c0+some, channels)
			out := dx[(n*g.C+group*channels+c0)*plane:][:(c1-c0)*plane]
			clear(out)
			a := matrix[T]{w[group*rows*depth+c0*taps:], 1, depth}
			in := dy[(n*g.M+group*rows)*size:]
			for h0 := 0; h0 < g.OH; h0 += high {
				h1 := min(h0+high, g.OH)
				width := (h1 - h0) * g.OW
				c := cols[:(c1-c0)*taps*width]
				clear(c)
				if rows < 4 {
					for i := range (c1 - c0) * taps {
						for f := range rows {
							v := a.data[i+f*depth]
							d := c[i*width:][:width]
							for j, s := range in[f*size+h0*g.OW:][:width] {
								d[j] += T(v * s)
							}
						}
					}
				} else {
					m.addProduct(wk, c, width, (c1-c0)*taps, rows, width, a, matrix[T]{in[h0*g.OW:], size, 1})
				}
				for i := range c1 - c0 {
					addColumns(g, out[i*plane:][:plane], c[i*taps*width:][:taps*width], h0, h1)
				}
			}
		}
	})
}

// addColumns adds the columns of one channel, [taps, h1-h0, OW], to where its
// windows read.
func addColumns[T Float](g *Conv, plane, cols []T, h0, h1 int) {
	for t := range g.taps() {
		kh, kw := t/g.KW, t%g.KW
		first := kw*g.DilationW - g.PadLeft // the input column of output column 0
		from, to := inside(first, g.StrideW, g.OW, g.W)
		for oh := h0; oh < h1; oh++ {
			ih := oh*g.StrideH + kh*g.DilationH - g.PadTop
			if ih < 0 || ih >= g.H || from == to {
				continue
			}
			s := cols[(t*(h1-h0)+oh-h0)*g.OW:][from:to]
			d := plane[ih*g.W+first+from*g.StrideW:]
			if g.StrideW == 1 {
				d = d[:len(s)]
				for i, v := range s {
					d[i] += v
				}
				continue
			}
			for i, v := range s {
				d[i*g.StrideW] += v
			}
		}
	}
}
