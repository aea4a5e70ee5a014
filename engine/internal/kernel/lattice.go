package kernel

// lattice is how a part of the input lies in memory so that neighbouring windows
// read a tap from neighbouring elements: each row is split into StrideW phases
// of width columns, the phase being the column modulo the stride. Rows and
// columns count from where the first window begins, above and to the left of the
// input by the pads, and what lies outside the input is there, as zeros.
type lattice struct {
	g          *Conv
	width, row int
}

func (g *Conv) lattice() lattice {
	width := ceilDiv((g.OW-1)*g.StrideW+(g.KW-1)*g.DilationW+1, g.StrideW)
	return lattice{g, width, width * min(g.StrideW, (g.KW-1)*g.DilationW+1)}
}

// tap is how far the element that tap (kh, kw) reads lies from its window's row
// and phase 0.
func (l *lattice) tap(kh, kw int) int {
	c := kw * l.g.DilationW
	return kh*l.g.DilationH*l.row + c%l.g.StrideW*l.width + c/l.g.StrideW
}

// usesRow tells whether some window has a tap on a row.
func (l *lattice) usesRow(r int) bool {
	for kh := range min(l.g.KH, l.g.StrideH) {
		if (r-kh*l.g.DilationH)%l.g.StrideH == 0 {
			return true
		}
	}
	return false
}

func (l *lattice) usesPhase(p int) bool {
	for kw := range min(l.g.KW, l.g.StrideW) {
		if kw*l.g.DilationW%l.g.StrideW == p {
			return true
		}
	}
	return false
}

// inside is which of n elements, at start, start+step and so on, lie in [0, size).
func inside(start, step, n, size int) (from, to int) {
	from = min(max(0, ceilDiv(-start, step)), n)
	return from, max(from, min(n, ceilDiv(size-start, step)))
}

// load lays out rows [lo, hi) of a channel of the input.
func load[T Float](l *lattice, dst, plane []T, lo, hi int) {
	g := l.g
	from, to := inside(-g.PadLeft, g.StrideW, l.width, g.W) // of phase 0
	for r := lo; r < hi; r++ {
		d := dst[(r-lo)*l.row:][:l.row]
		if g.StrideH > 1 && !l.usesRow(r) {
			continue
		}
		ih := r - g.PadTop
		if ih < 0 || ih >= g.H {
			clear(d)
			continue
		}
		src := plane[ih*g.W:][:g.W]
		if g.StrideW == 1 {
			clear(d[:from])
			clear(d[to:])
			if from < to {
				copy(d[from:to], src[from-g.PadLeft:])
			}
			continue
		}
		for p := 0; p*l.width < len(d); p++ {
			if !l.usesPhase(p) {
				continue
			}
			e, first := d[p*l.width:][:l.width], p-g.PadLeft
			from, to := inside(first, g.StrideW, l.width, g.W)
			clear(e[:from])
			clear(e[to:])
			if from == to {
				continue
			}
			s, m := src[first+from*g.StrideW:], e[from:to]
			if g.StrideW == 2 {
				for len(m) >= 4 && len(s) >= 8 {
					m[0], m[1], m[2], m[3] = s[0], s[2], s[4], s[6]
					m, s = m[4:], s[8:]
				}
			}
			for i := range m {
				m[i] = s[i*g.StrideW]
			}
		}
	}
}
