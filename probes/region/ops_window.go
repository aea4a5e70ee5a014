package region

// sliding is how an output's place o reads its input along one axis: at
// o*stride - before + k*dilation for k below kernel.
type sliding struct{ size, out, kernel, stride, dilation, before int }

// slide reads the windows of a convolution or pooling along spatial axis i of k.
func (c call) slide(i, k, in, out, kernel int) (s sliding, ok bool) {
	get := func(name string, at, absent int) int {
		if v := c.n.Ints(name); at < len(v) {
			return int(min(max(v[at], -1<<24), 1<<24))
		}
		return absent
	}
	s = sliding{in, out, kernel, get("strides", i, 1), get("dilations", i, 1), get("pads", i, 0)}
	if s.stride < 1 || s.dilation < 1 || s.kernel < 1 {
		return s, false
	}
	need := max((out-1)*s.stride+s.span()-in, 0)
	switch c.n.Str("auto_pad", "NOTSET") {
	case "SAME_UPPER":
		s.before = need / 2
	case "SAME_LOWER":
		s.before = (need + 1) / 2
	case "VALID":
		s.before = 0
	}
	return s, true
}

func (s sliding) span() int { return (s.kernel-1)*s.dilation + 1 }

// middle is where the stride-wide cell of place 0 begins: in the middle of the
// window, a half rounded up.
func (s sliding) middle() int { return floorDiv(s.span()-s.stride-2*s.before+1, 2) }

func floorDiv(a, b int) int {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}

func (s sliding) field(o int, use func(int)) {
	start := o*s.stride - s.before
	first := 0
	if start < 0 {
		first = (-start + s.dilation - 1) / s.dilation
	}
	for k := first; k < s.kernel; k++ {
		i := start + k*s.dilation
		if i >= s.size {
			return
		}
		use(i)
	}
}

func (s sliding) cell(o int, use func(int)) {
	start := o*s.stride + s.middle()
	for i := max(start, 0); i < min(start+s.stride, s.size); i++ {
		use(i)
	}
}

// transposed is the same read backwards, as ConvTranspose does: input i reaches the
// outputs that the window at i would read.
func (s sliding) transposed(o int, use func(int)) {
	// o = i*stride - before + k*dilation
	for k := range s.kernel {
		if at := o + s.before - k*s.dilation; at >= 0 && at%s.stride == 0 {
			use(at / s.stride)
		} else if at < 0 {
			return
		}
	}
}

func (s sliding) transposedCell(o int, use func(int)) { use(floorDiv(o-s.middle(), s.stride)) }

// followWindows applies windows to the axes from 2 on.
func (c call) followWindows(kernel func(i int) int) *value {
	v, in, out := c.v, c.inShape(0), c.shape(0)
	if v == nil || len(in) < 3 || len(in) != len(out) {
		return nil
	}
	for i := 2; i < len(in); i++ {
		k := kernel(i - 2)
		s, ok := c.slide(i-2, len(in)-2, in[i], out[i], k)
		if !ok || out[i] > maxLine {
			return nil
		}
		if s.kernel == 1 && s.stride == 1 && s.before == 0 && in[i] == out[i] {
			continue
		}
		u, r, straight := v.straight(i)
		if !straight {
			if v.axes[i].spatial() {
				return nil
			}
			v = v.set(i, plain(out[i]))
			continue
		}
		c.work += int64(out[i]) * int64(min(s.kernel, s.size)) * int64(len(u.grid.terms)+1) * int64(1+len(u.grid.cell.y[0]))
		if c.work > maxWork {
			return nil
		}
		v = u.set(i, axis{{r, out[i], 1}})
		if c.n.IsOp("ConvTranspose") {
			if o := c.n.Ints("output_shape"); o != nil || c.n.Str("auto_pad", "NOTSET") != "NOTSET" {
				return nil
			}
			v.grid = u.grid.along(r, func(l line) line { return l.pick(out[i], s.transposed) }, func(l line) line { return l.pick(out[i], s.transposedCell) })
			continue
		}
		v.grid = u.grid.along(r, func(l line) line { return l.pick(out[i], s.field) }, func(l line) line { return l.pick(out[i], s.cell) })
	}
	return v
}

// conv also mixes the channels; which groups read which does not move a position.
func conv(c call) *value {
	w := c.inShape(1)
	if c.v == nil || len(w) < 3 || len(c.in) > 1 && c.in[1] != nil {
		return nil
	}
	out := c.shape(0)
	if len(c.v.axes) != len(w) || len(out) != len(w) {
		return nil
	}
	c.v = c.v.mix(1, out[1])
	return c.followWindows(func(i int) int { return w[2+i] })
}

func pool(c call) *value {
	k := c.n.Ints("kernel_shape")
	if len(k) != len(c.inShape(0))-2 {
		return nil
	}
	return c.followWindows(func(i int) int { return int(min(k[i], 1<<24)) })
}

func globalPool(c call) *value {
	v := c.v
	if v == nil {
		return nil
	}
	for i := 2; i < len(v.axes); i++ {
		v = v.mix(i, 1)
	}
	return v
}
