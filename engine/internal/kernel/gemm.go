package kernel

import "unsafe"

// micro is the inner kernels of one instruction set.
type micro[T Float] struct {
	name string

	// tile adds the product of a panel of A, [k, mr], transposed, and a panel of
	// B, [k, nr], to the mr rows of nr elements at c, which lie ldc apart.
	mr, nr int
	tile   func(k int, a, b, c *T, ldc int)

	// row adds w[t] * x[off[t]+j] to y[j], for t ascending to taps and j below n,
	// a multiple of lanes.
	lanes int
	row   func(n int, y, x *T, off *int, w *T, taps int)

	// gather copies the runs of k rows into a panel of B: run by run, src[off[i]+
	// run.src:] to dst[i*nr+run.dst:]. It copies whole vectors, so it reads and
	// writes up to slack elements too many. Nil: copy.
	gather func(k int, dst *T, nr int, src *T, off *int, runs *run, n int)
}

// slack is how far gather and the buffers that it works on may be overrun.
const slack = 16

// run is a piece of a row of a panel: n elements.
type run struct{ dst, src, n int }

// The instruction sets, each of which includes those before it. Tests lower
// level.
const (
	plain = iota
	avx2
	avx512
)

var level = detect()

func kernels[T Float]() *micro[T] {
	var zero T
	if any(zero) == any(float32(0)) {
		return any(micros32[level]).(*micro[T])
	}
	return any(micros64[level]).(*micro[T])
}

// blockK bounds the rows of a panel: a panel of B stays in the first cache.
const blockK = 256

// kStep is the even blocks in which k goes through the kernels.
func kStep(k int) int { return max(1, ceilDiv(k, max(1, ceilDiv(k, blockK)))) }

// matrix is a strided view: element (i, j) lies at i*row + j*col.
type matrix[T Float] struct {
	data     []T
	row, col int
}

func (m matrix[T]) from(i, j int) matrix[T] {
	return matrix[T]{m.data[i*m.row+j*m.col:], m.row, m.col}
}

// packPanel lays n <= width elements of each of k steps side by side, padded
// with zeros to width: dst is [k, width] and m is [n, k].
func packPanel[T Float](dst []T, width int, m matrix[T], n, k int) {
	switch {
	case m.row == 1 && n > 0:
		for p := range k {
			d := dst[p*width : (p+1)*width]
			copy(d, m.data[p*m.col:p*m.col+n])
			clear(d[n:])
		}
		return
	case n == width && n%4 == 0:
		for i := 0; i < n; i += 4 {
			if m.col == 1 {
				s0 := m.data[i*m.row:][:k]
				s1 := m.data[(i+1)*m.row:][:k]
				s2 := m.data[(i+2)*m.row:][:k]
				s3 := m.data[(i+3)*m.row:][:k]
				d := dst[i:]
				for p, v := range s0 {
					e := (*[4]T)(d[p*width:])
					e[0], e[1], e[2], e[3] = v, s1[p], s2[p], s3[p]
				}
				continue
			}
			for p := range k {
				for q := range 4 {
					dst[p*width+i+q] = m.data[(i+q)*m.row+p*m.col]
				}
			}
		}
		return
	}
	for p := range k {
		d := dst[p*width : (p+1)*width]
		for i := range n {
			d[i] = m.data[i*m.row+p*m.col]
		}
		clear(d[n:])
	}
}

// add adds a tile's product to the rows by cols elements at c. tmp has room for
// a tile.
func (m *micro[T]) add(k int, a, b, c []T, ldc, rows, cols int, tmp []T) {
	if rows == m.mr && cols == m.nr {
		_ = c[(rows-1)*ldc+cols-1]
		m.tile(k, &a[0], &b[0], &c[0], ldc)
		return
	}
	for i := range rows {
		copy(tmp[i*m.nr:], c[i*ldc:i*ldc+cols])
	}
	m.tile(k, &a[0], &b[0], &tmp[0], m.nr)
	for i := range rows {
		copy(c[i*ldc:i*ldc+cols], tmp[i*m.nr:])
	}
}

const (
	blockRows = 192 // of A, packed at a time
	blockCols = 512 // of B
)

// addProduct adds a b, [rows, k] times [k, cols], to c, whose rows lie ldc apart.
func (m *micro[T]) addProduct(w *worker, c []T, ldc, rows, k, cols int, a, b matrix[T]) {
	if rows == 0 || cols == 0 || k == 0 {
		return
	}
	step := kStep(k)
	mc := ceilDiv(min(rows, blockRows), m.mr) * m.mr
	nc := ceilDiv(min(cols, blockCols), m.nr) * m.nr
	pa := scratch[T](w, slotA, mc*step)
	pb := scratch[T](w, slotB, nc*step)
	tmp := scratch[T](w, slotTile, m.mr*m.nr)
	clear(tmp)
	for j0 := 0; j0 < cols; j0 += nc {
		j1 := min(j0+nc, cols)
		for k0 := 0; k0 < k; k0 += step {
			kc := min(step, k-k0)
			for j := j0; j < j1; j += m.nr {
				v := b.from(k0, j)
				v.row, v.col = v.col, v.row
				packPanel(pb[(j-j0)*kc:], m.nr, v, min(m.nr, j1-j), kc)
			}
			for i0 := 0; i0 < rows; i0 += mc {
				i1 := min(i0+mc, rows)
				for i := i0; i < i1; i += m.mr {
					packPanel(pa[(i-i0)*kc:], m.mr, a.from(i, k0), min(m.mr, i1-i), kc)
				}
				for j := j0; j < j1; j += m.nr {
					for i := i0; i < i1; i += m.mr {
						m.add(kc, pa[(i-i0)*kc:], pb[(j-j0)*kc:], c[i*ldc+j:], ldc, min(m.mr, i1-i), min(m.nr, j1-j), tmp)
					}
				}
			}
		}
	}
}

// addRow is m.row for any n. x and y are long enough for just that.
func (m *micro[T]) addRow(y, x []T, off []int, w []T) {
	n := len(y)
	if n == 0 || len(off) == 0 {
		return
	}
	body := n - n%m.lanes
	if body > 0 {
		m.row(body, &y[0], &x[0], &off[0], &w[0], len(off))
	}
	for j := body; j < n; j++ {
		s := y[j]
		for t, o := range off {
			s += T(w[t] * x[o+j])
		}
		y[j] = s
	}
}

const (
	plainRows = 4
	plainCols = 4
)

// The plain kernels, which every processor has.
func plainKernels[T Float]() *micro[T] {
	return &micro[T]{
		name: "plain",
		mr:   plainRows, nr: plainCols, tile: plainTile[T],
		lanes: 1, row: plainRow[T],
	}
}

func plainTile[T Float](k int, pa, pb, pc *T, ldc int) {
	a := unsafe.Slice(pa, k*plainRows)
	b := unsafe.Slice(pb, k*plainCols)
	c := unsafe.Slice(pc, (plainRows-1)*ldc+plainCols)
	for h := 0; h < plainRows; h += 2 {
		r0, r1 := (*[plainCols]T)(c[h*ldc:]), (*[plainCols]T)(c[(h+1)*ldc:])
		c00, c01, c02, c03 := r0[0], r0[1], r0[2], r0[3]
		c10, c11, c12, c13 := r1[0], r1[1], r1[2], r1[3]
		s, v := a[h:], b
		for range k {
			v4 := (*[plainCols]T)(v)
			a0, a1 := s[0], s[1]
			c00 += T(a0 * v4[0])
			c01 += T(a0 * v4[1])
			c02 += T(a0 * v4[2])
			c03 += T(a0 * v4[3])
			c10 += T(a1 * v4[0])
			c11 += T(a1 * v4[1])
			c12 += T(a1 * v4[2])
			c13 += T(a1 * v4[3])
			if len(s) < plainRows+2 {
				break
			}
			s, v = s[plainRows:], v[plainCols:]
		}
		r0[0], r0[1], r0[2], r0[3] = c00, c01, c02, c03
		r1[0], r1[1], r1[2], r1[3] = c10, c11, c12, c13
	}
}

func plainRow[T Float](n int, py, px *T, poff *int, pw *T, taps int) {
	y, off, w := unsafe.Slice(py, n), unsafe.Slice(poff, taps), unsafe.Slice(pw, taps)
	for t, o := range off {
		x := unsafe.Slice((*T)(unsafe.Add(unsafe.Pointer(px), o*int(unsafe.Sizeof(*px)))), n)
		v := w[t]
		for j, s := range x {
			y[j] += T(v * s)
		}
	}
}
