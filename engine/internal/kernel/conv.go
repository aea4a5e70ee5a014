package kernel

import "slices"

// Conv is the geometry of a 2-D convolution.
type Conv struct {
	N, C, H, W int // input [N, C, H, W]
	M, KH, KW  int // weight [M, C/Groups, KH, KW]
	OH, OW     int // output [N, M, OH, OW]

	StrideH, StrideW, DilationH, DilationW int

	// What lies below and to the right follows from OH and OW. Windows may reach
	// beyond the input on any side, where zeros lie; a negative pad crops.
	PadTop, PadLeft int

	Groups int
}

// taps is the size of the window.
func (g *Conv) taps() int { return g.KH * g.KW }

// rows is how many outputs a group has, and depth how many products each is of.
func (g *Conv) rows() int  { return g.M / g.Groups }
func (g *Conv) depth() int { return g.C / g.Groups * g.taps() }

// direct tells the convolutions that pass one channel of the input through few
// filters. They go without a matrix product.
func (g *Conv) direct() bool { return g.C == g.Groups && g.rows() < 4 }

// whole says that no window reaches beyond the input.
func (g *Conv) whole() bool {
	return g.PadTop <= 0 && (g.OH-1)*g.StrideH+(g.KH-1)*g.DilationH-g.PadTop < g.H &&
		g.PadLeft <= 0 && (g.OW-1)*g.StrideW+(g.KW-1)*g.DilationW-g.PadLeft < g.W
}

// flat is g with each channel as one row, where that is the same convolution.
func (g *Conv) flat() Conv {
	f := *g
	if g.taps() == 1 && g.StrideH == 1 && g.StrideW == 1 && g.PadTop == 0 && g.PadLeft == 0 && g.OH == g.H && g.OW == g.W {
		f.H, f.W, f.OH, f.OW = 1, g.H*g.W, 1, g.H*g.W
	}
	return f
}

// ConvWeights is the weights of a convolution, laid out for ConvForward. It does
// not change: any number of sessions may use it, and geometries that differ from
// PackConv's in N, H, W, OH, OW, the pads and the strides alone.
type ConvWeights[T Float] struct {
	m    *micro[T]
	data []T // per group, block of k and panel of rows: [k, mr]; as it was where the convolution is direct
}

// PackConv lays out the weights of a convolution.
func PackConv[T Float](g *Conv, w []T) *ConvWeights[T] {
	m, rows, depth := kernels[T](), g.rows(), g.depth()
	w = w[:g.M*depth]
	if g.direct() {
		return &ConvWeights[T]{m, slices.Clone(w)}
	}
	padded, step := ceilDiv(rows, m.mr)*m.mr, kStep(depth)
	data := make([]T, g.Groups*padded*depth)
	dst := data
	for i := range g.Groups {
		v := matrix[T]{w[i*rows*depth:], depth, 1}
		for k := 0; k < depth; k += step {
			kc := min(step, depth-k)
			for q := 0; q < rows; q += m.mr {
				packPanel(dst, m.mr, v.from(q, k), min(m.mr, rows-q), kc)
				dst = dst[m.mr*kc:]
			}
		}
	}
	return &ConvWeights[T]{m, data}
}

// ConvForward sets y to the convolution of x with w, plus bias, which is nil or
// one element for each of the M filters.
func ConvForward[T Float](r *Runner, g *Conv, y, x []T, w *ConvWeights[T], bias []T) {
	if g.N*g.M*g.OH*g.OW == 0 {
		return
	}
	f := g.flat()
	y, x = y[:g.N*g.M*g.OH*g.OW], x[:g.N*g.C*g.H*g.W]
	if bias != nil {
		bias = bias[:g.M]
	}
	if g.depth() == 0 {
		for i := range g.N * g.M {
			fill(y[i*g.OH*g.OW:][:g.OH*g.OW], biasOf(bias, i%g.M))
		}
		return
	}
	if g.direct() {
		convDirect(r, g, y, x, w, bias)
		return
	}
	convPanels(r, &f, y, x, w, bias)
}

func biasOf[T Float](bias []T, i int) T {
	if bias == nil {
		return 0
	}
	return bias[i]
}

const (
	bandSize  = 1 << 15 // elements of a band of a direct convolution
	blockSize = 1 << 17 // elements of the output that are worked on at a time
)

// convPanels is ConvForward by matrix products: for each group, the weights
// [rows, depth] times the windows [depth, N*OH*OW].
func convPanels[T Float](r *Runner, g *Conv, y, x []T, w *ConvWeights[T], bias []T) {
	m := w.m
	cols := g.N * g.OH * g.OW
	colPanels, rowPanels := ceilDiv(cols, m.nr), ceilDiv(g.rows(), m.mr)
	units := g.Groups * colPanels
	want := min(r.threads, max(1, g.M*cols*g.depth()/grainWork))
	rowParts := 1
	if units < 4*want { // rather than that threads read the same weights
		rowParts = min(want, rowPanels)
		if units >= want && rowPanels < 2*want {
			rowParts = 1
		}
	}
	cost := max(1, g.M*cols*g.depth()/(units*rowParts))
	r.each(units*rowParts, ceilDiv(grainWork, cost), func(wk *worker, lo, hi int) {
		p := convPart[T]{g: g, m: m, w: wk, y: y, x: x, bias: bias, weights: w.data, l: g.lattice(), inside: g.StrideW == 1 && g.whole()}
		for lo < hi {
			// unit = (part*Groups + group)*colPanels + panel
			end := min(hi, (lo/colPanels+1)*colPanels)
			gi := lo / colPanels
			p.group = gi % g.Groups
			p.q0, p.q1 = part(rowPanels, gi/g.Groups, rowParts), part(rowPanels, gi/g.Groups+1, rowParts)
			first := gi * colPanels
			p.run(lo-first, end-first)
			lo = end
		}
	})
}

// convPart is one goroutine's share of a convolution.
type convPart[T Float] struct {
	g             *Conv
	m             *micro[T]
	w             *worker
	y, x          []T
	bias, weights []T
	l             lattice
	inside        bool // x is read where it lies, not from bands
	group, q0, q1 int  // the panels of rows
	j0, j1        int  // the columns at hand
}

// run computes panels [lo, hi) of columns.
func (p *convPart[T]) run(lo, hi int) {
	g, m := p.g, p.m
	rows := min(g.rows(), p.q1*m.mr) - p.q0*m.mr
	if rows <= 0 {
		return
	}
	step := max(4, blockSize/(rows*m.nr))
	for ; lo < hi; lo += step {
		p.j0, p.j1 = lo*m.nr, min(min(lo+step, hi)*m.nr, g.N*g.OH*g.OW)
		p.block()
	}
}

// span is the columns at hand that belong to image n.
func (p *convPart[T]) span(n int) (from, to int) {
	size := p.g.OH * p.g.OW
	return max(p.j0-n*size, 0), min(p.j1-n*size, size)
}

// rows is the rows of image n's lattice that its columns at hand need.
func (p *convPart[T]) rows(n int) (lo, hi int) {
	from, to := p.span(n)
	return from / p.g.OW * p.g.StrideH, (to-1)/p.g.OW*p.g.StrideH + (p.g.KH-1)*p.g.DilationH + 1
}

// block computes columns [j0, j1), which begin a panel.
func (p *convPart[T]) block() {
	g, m := p.g, p.m
	size, depth, taps := g.OH*g.OW, g.depth(), g.taps()
	rows, channels := g.rows(), g.C/g.Groups
	padded, step := ceilDiv(rows, m.mr)*m.mr, kStep(depth)
	weights := p.weights[p.group*padded*depth:]
	n0, n1 := p.j0/size, (p.j1-1)/size+1

	for n := n0; n < n1; n++ {
		from, to := p.span(n)
		for i := p.q0 * m.mr; i < min(rows, p.q1*m.mr); i++ {
			f := p.group*rows + i
			fill(p.y[(n*g.M+f)*size:][from:to], biasOf(p.bias, f))
		}
	}

	// A plane is what there is of one channel; in it image n0 takes first
	// elements, and each after it, up to the last, whole.
	row, plane, first, whole := g.W, g.H*g.W, 0, 0
	if !p.inside {
		row, plane = p.l.row, 0
		for n := n0; n < n1; n++ {
			lo, hi := p.rows(n)
			plane += (hi - lo) * row
			if n == n0 {
				first = plane
			}
		}
		whole = ((g.OH-1)*g.StrideH + (g.KH-1)*g.DilationH + 1) * row
	}
	off := scratch[int](p.w, slotOffsets, step)
	runs := scratch[run](p.w, slotRuns, m.nr)
	panel := scratch[T](p.w, slotB, step*m.nr+slack)
	tmp := scratch[T](p.w, slotTile, m.mr*m.nr)
	clear(tmp)

	for k0 := 0; k0 < depth; k0 += step {
		kc := min(step, depth-k0)
		c0, c1 := k0/taps, (k0+kc-1)/taps+1
		src := p.x
		if !p.inside {
			src = scratch[T](p.w, slotBand, (c1-c0)*plane+slack)
			at := src
			for c := c0; c < c1; c++ {
				for n := n0; n < n1; n++ {
					lo, hi := p.rows(n)
					load(&p.l, at, p.x[(n*g.C+p.group*channels+c)*g.H*g.W:][:g.H*g.W], lo, hi)
					at = at[(hi-lo)*row:]
				}
			}
		}
		for i, c, kh, kw := 0, 0, k0%taps/g.KW, k0%g.KW; i < kc; i++ {
			if p.inside {
				off[i] = c*plane + kh*g.DilationH*row + kw*g.DilationW
			} else {
				off[i] = c*plane + p.l.tap(kh, kw)
			}
			if kw++; kw == g.KW {
				kw = 0
				if kh++; kh == g.KH {
					kh = 0
					c++
				}
			}
		}

		for j := p.j0; j < p.j1; j += m.nr {
			cols := min(m.nr, p.j1-j)
			// One run for each row of the output that the panel has a part of.
			count, last := 0, 0
			for done := 0; done < cols; count++ {
				n, pos := (j+done)/size, (j+done)%size
				var at int
				switch {
				case p.inside:
					at = (n*g.C+p.group*channels+c0)*plane - g.PadTop*row - g.PadLeft
				case n == n0:
					lo, _ := p.rows(n)
					at = -lo * row
				default:
					at = first + (n-n0-1)*whole
				}
				at += pos/g.OW*g.StrideH*row + pos%g.OW
				length := min(g.OW-pos%g.OW, cols-done)
				runs[count] = run{done, at, length}
				last = max(last, at+length)
				done += length
			}
			p.gather(kc, panel, src, off[:kc], runs[:count], last)

			n, pos := j/size, j%size
			for q := p.q0; q < p.q1; q++ {
				h := min(m.mr, rows-q*m.mr)
				a := weights[k0*padded+q*m.mr*kc:][:m.mr*kc]
				f := p.group*rows + q*m.mr
				if pos+cols <= size {
					m.add(kc, a, panel, p.y[(n*g.M+f)*size+pos:], size, h, cols, tmp)
					continue
				}
				p.spread(tmp, f, n, pos, h, cols, true)
				m.tile(kc, &a[0], &panel[0], &tmp[0], m.nr)
				p.spread(tmp, f, n, pos, h, cols, false)
			}
		}
	}
}

// spread moves a tile of filters f and on, and cols columns from pos of image n
// on and of the images after it, from the output, or to it.
func (p *convPart[T]) spread(tmp []T, f, n, pos, rows, cols int, get bool) {
	size, nr := p.g.OH*p.g.OW, p.m.nr
	for done := 0; done < cols; n, pos = n+1, 0 {
		length := min(size-pos, cols-done)
		for i := range rows {
			t, c := tmp[i*nr+done:][:length], p.y[(n*p.g.M+f+i)*size+pos:][:length]
			if get {
				copy(t, c)
			} else {
				copy(c, t)
			}
		}
		done += length
	}
}

// gather fills a panel of B. Last is the end of the furthest run: x, whose rows
// are at ascending offsets, may end sooner than whole vectors do; a band has the
// room for them.
func (p *convPart[T]) gather(k int, dst, src []T, off []int, runs []run, last int) {
	m := p.m
	if m.gather != nil && off[k-1]+last+slack <= len(src) {
		m.gather(k, &dst[0], m.nr, &src[0], &off[0], &runs[0], len(runs))
		return
	}
	for _, s := range runs {
		for i, o := range off {
			copy(dst[i*m.nr+s.dst:][:s.n], src[o+s.src:])
		}
	}
}

// convDirect is ConvForward for the convolutions that go without a product of
// matrices: tap by tap along the rows of the output.
func convDirect[T Float](r *Runner, g *Conv, y, x []T, w *ConvWeights[T], bias []T) {
	m, l, taps, rows := w.m, g.lattice(), g.taps(), g.rows()
	reach := (g.KH-1)*g.DilationH + 1
	step := min(g.OH, max(1, (bandSize/l.row-reach)/g.StrideH)) // rows of the output to a band
	bands := ceilDiv(g.OH, step)
	// Short rows go through the kernel several at a time, with what lies between
	// them in the band.
	high := 1
	if g.StrideH == 1 && g.OW < 64 {
		high = min(step, ceilDiv(128, l.row))
	}
	width := ceilDiv((high-1)*l.row+g.OW, m.lanes) * m.lanes
	cost := step * g.OW * taps * rows
	r.each(g.N*g.C*bands, ceilDiv(grainWork, cost), func(wk *worker, lo, hi int) {
		band := scratch[T](wk, slotBand, ((step-1)*g.StrideH+reach)*l.row+width+slack)
		line := scratch[T](wk, slotTile, width)
		off := scratch[int](wk, slotOffsets, taps)
		for t := range off {
			off[t] = l.tap(t/g.KW, t%g.KW)
		}
		for u := lo; u < hi; u++ {
			n, c := u/bands/g.C, u/bands%g.C
			h0 := u % bands * step
			h1 := min(h0+step, g.OH)
			load(&l, band, x[(n*g.C+c)*g.H*g.W:][:g.H*g.W], h0*g.StrideH, (h1-1)*g.StrideH+reach)
			for f := c * rows; f < (c+1)*rows; f++ {
				b := biasOf(bias, f)
				v := w.data[f*taps:][:taps]
				for oh := h0; oh < h1; oh += high {
					d := y[((n*g.M+f)*g.OH+oh)*g.OW:]
					s := band[(oh-h0)*g.StrideH*l.row:]
					_ = s[reach*l.row+width-1]
					if width == g.OW && high == 1 {
						fill(d[:width], b)
						m.row(width, &d[0], &s[0], &off[0], &v[0], taps)
						continue
					}
					fill(line, b)
					m.row(width, &line[0], &s[0], &off[0], &v[0], taps)
					for i := range min(high, h1-oh) {
						copy(d[i*g.OW:][:g.OW], line[i*l.row:])
					}
				}
			}
		}
	})
}
