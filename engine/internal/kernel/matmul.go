package kernel

// MatMul is the geometry of a product of matrices, or of several.
type MatMul struct {
	M, K, N        int
	TransA, TransB bool     // A is [K, M] when TransA, else [M, K]; B is [N, K] when TransB, else [K, N]; y is [M, N]; all dense
	Batches        [][3]int // offsets into y, a and b; nil means one product at 0, 0, 0
}

func (g *MatMul) batches() int {
	if g.Batches == nil {
		return 1
	}
	return len(g.Batches)
}

// offsets is where product i's y, a and b begin.
func (g *MatMul) offsets(i int) (y, a, b int) {
	if g.Batches == nil {
		return 0, 0, 0
	}
	o := g.Batches[i]
	return o[0], o[1], o[2]
}

func (g *MatMul) strides() (aRow, aCol, bRow, bCol int) {
	aRow, aCol, bRow, bCol = g.K, 1, g.N, 1
	if g.TransA {
		aRow, aCol = 1, g.M
	}
	if g.TransB {
		bRow, bCol = 1, g.K
	}
	return
}

// directRows is up to how many rows of A it does not pay to pack B.
const directRows = 2

// grainWork is how many multiplications are worth a goroutine.
const grainWork = 1 << 15

// MatMulForward sets y to the products of a and b.
func MatMulForward[T Float](r *Runner, g *MatMul, y, a, b []T) {
	if g.M == 0 || g.N == 0 {
		return
	}
	m := kernels[T]()
	aRow, aCol, bRow, bCol := g.strides()
	// Each product is cut into rowParts by colParts; the order of the sums does
	// not depend on it.
	batches, rowParts, colParts := g.batches(), 1, 1
	work := g.M * g.N * max(g.K, 1)
	if batches < r.threads {
		want := min(ceilDiv(r.threads, max(1, batches)), max(1, work/grainWork))
		if g.M >= g.N {
			rowParts = min(want, ceilDiv(g.M, m.mr))
			colParts = min(ceilDiv(want, rowParts), ceilDiv(g.N, m.nr))
		} else {
			colParts = min(want, ceilDiv(g.N, m.nr))
			rowParts = min(ceilDiv(want, colParts), ceilDiv(g.M, m.mr))
		}
	}
	parts := rowParts * colParts
	r.each(batches*parts, ceilDiv(grainWork, max(1, work/parts)), func(w *worker, lo, hi int) {
		for u := lo; u < hi; u++ {
			oy, oa, ob := g.offsets(u / parts)
			ip, jp := u%parts/colParts, u%colParts
			i0, i1 := cut(g.M, ip, rowParts, m.mr)
			j0, j1 := cut(g.N, jp, colParts, m.nr)
			if i0 >= i1 || j0 >= j1 {
				continue
			}
			c := y[oy+i0*g.N+j0 : oy+(i1-1)*g.N+j1]
			for i := range i1 - i0 {
				clear(c[i*g.N : i*g.N+j1-j0])
			}
			if g.K == 0 {
				continue
			}
			va := matrix[T]{a[oa:][:g.M*g.K], aRow, aCol}.from(i0, 0)
			vb := matrix[T]{b[ob:][:g.K*g.N], bRow, bCol}.from(0, j0)
			if g.M > directRows {
				m.addProduct(w, c, g.N, i1-i0, g.K, j1-j0, va, vb)
			} else {
				m.addDirect(w, c, g.N, i1-i0, g.K, j1-j0, va, vb)
			}
		}
	})
}

// cut is the p-th of parts parts of [0, n), which begin at multiples of unit.
func cut(n, p, parts, unit int) (lo, hi int) {
	units := ceilDiv(n, unit)
	return min(n, part(units, p, parts)*unit), min(n, part(units, p+1, parts)*unit)
}

// addDirect is addProduct without packing b, for few rows.
func (m *micro[T]) addDirect(w *worker, c []T, ldc, rows, k, cols int, a, b matrix[T]) {
	va := scratch[T](w, slotA, rows*k)
	for i := range rows {
		for p := range k {
			va[i*k+p] = a.data[i*a.row+p*a.col]
		}
	}
	if b.col == 1 {
		const step = 8 // rows of b that are read side by side
		off := scratch[int](w, slotOffsets, step)
		for t := range off {
			off[t] = t * b.row
		}
		for k0 := 0; k0 < k; k0 += step {
			n := min(step, k-k0)
			for i := range rows {
				m.addRow(c[i*ldc:i*ldc+cols], b.data[k0*b.row:], off[:n], va[i*k+k0:][:n])
			}
		}
		return
	}
	for i := range rows {
		x, y := va[i*k:][:k], c[i*ldc:i*ldc+cols]
		j := 0
		for ; j+8 <= cols; j += 8 {
			b0, b1, b2, b3 := b.data[j*b.col:][:k], b.data[(j+1)*b.col:][:k], b.data[(j+2)*b.col:][:k], b.data[(j+3)*b.col:][:k]
			b4, b5, b6, b7 := b.data[(j+4)*b.col:][:k], b.data[(j+5)*b.col:][:k], b.data[(j+6)*b.col:][:k], b.data[(j+7)*b.col:][:k]
			var s0, s1, s2, s3, s4, s5, s6, s7 T
			s := (*[8]T)(y[j:])
			s0, s1, s2, s3 = s[0], s[1], s[2], s[3]
			s4, s5, s6, s7 = s[4], s[5], s[6], s[7]
			for p, v := range x {
				s0 += T(v * b0[p])
				s1 += T(v * b1[p])
				s2 += T(v * b2[p])
				s3 += T(v * b3[p])
				s4 += T(v * b4[p])
				s5 += T(v * b5[p])
				s6 += T(v * b6[p])
				s7 += T(v * b7[p])
			}
			*s = [8]T{s0, s1, s2, s3, s4, s5, s6, s7}
		}
		for ; j < cols; j++ {
			s := y[j]
			for p, v := range b.data[j*b.col:][:k] {
				s += T(x[p] * v)
			}
			y[j] = s
		}
	}
}

// MatMulInteger sets y to the products of matrices of 8-bit integers. It takes
// no transposed ones.
func MatMulInteger[A, B uint8 | int8](r *Runner, g *MatMul, y []int32, a []A, b []B) {
	if g.M == 0 || g.N == 0 {
		return
	}
	r.each(g.batches()*g.M, ceilDiv(grainWork, g.N*max(g.K, 1)), func(_ *worker, lo, hi int) {
		for u := lo; u < hi; u++ {
			oy, oa, ob := g.offsets(u / g.M)
			i := u % g.M
			c := y[oy+i*g.N:][:g.N]
			clear(c)
			x := a[oa+i*g.K:][:g.K]
			p := 0
			for ; p+4 <= g.K; p += 4 {
				a0, a1, a2, a3 := int32(x[p]), int32(x[p+1]), int32(x[p+2]), int32(x[p+3])
				b0 := b[ob+p*g.N:][:len(c)]
				b1 := b[ob+(p+1)*g.N:][:len(c)]
				b2 := b[ob+(p+2)*g.N:][:len(c)]
				b3 := b[ob+(p+3)*g.N:][:len(c)]
				for j := range c {
					c[j] += a0*int32(b0[j]) + a1*int32(b1[j]) + a2*int32(b2[j]) + a3*int32(b3[j])
				}
			}
			for ; p < g.K; p++ {
				for j, v := range b[ob+p*g.N:][:len(c)] {
					c[j] += int32(x[p]) * int32(v)
				}
			}
		}
	})
}

// MatMulInt sets y to the products of matrices of integers, which wrap around.
func MatMulInt[T int32 | int64 | uint32 | uint64](r *Runner, g *MatMul, y, a, b []T) {
	if g.M == 0 || g.N == 0 {
		return
	}
	aRow, aCol, bRow, bCol := g.strides()
	r.each(g.batches()*g.M, ceilDiv(grainWork, g.N*max(g.K, 1)), func(_ *worker, lo, hi int) {
		for u := lo; u < hi; u++ {
			oy, oa, ob := g.offsets(u / g.M)
			i := u % g.M
			c := y[oy+i*g.N:][:g.N]
			clear(c)
			for p := range g.K {
				v := a[oa+i*aRow+p*aCol]
				if bCol == 1 {
					for j, s := range b[ob+p*bRow:][:len(c)] {
						c[j] += v * s
					}
					continue
				}
				for j := range c {
					c[j] += v * b[ob+p*bRow+j*bCol]
				}
			}
		}
	})
}
