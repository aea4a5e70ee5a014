package region

import "slices"

func reshape(c call) *value {
	if c.v == nil {
		return nil
	}
	return c.v.reshaped(c.shape(0))
}

// reshaped hands v's digits to the axes of another shape, splitting them where an
// axis ends within one; nil where that cannot be.
func (v *value) reshaped(shape []int) *value {
	if slices.Equal(shape, v.dims()) {
		return v
	}
	var digits axis
	for _, a := range v.axes {
		digits = append(digits, a...)
	}
	axes := make([]axis, len(shape))
	for i, size := range shape {
		if size == 1 && len(digits) > 0 && digits[0].size == 1 {
			axes[i], digits = axis{digits[0]}, digits[1:]
		}
		for need := size; need > 1; {
			if len(digits) == 0 {
				return nil
			}
			d := digits[0]
			switch {
			case need%d.size == 0:
				digits = digits[1:]
			case d.size%need == 0 && d.role != token:
				rest := d.size / need
				digits = append(axis{{d.role, rest, d.weight}}, digits[1:]...)
				d.size, d.weight = need, d.weight*rest
			default:
				return nil
			}
			if d.size > 1 {
				axes[i] = append(axes[i], d)
				need /= d.size
			}
		}
		axes[i] = axes[i].compact()
	}
	return v.with(axes)
}

func transpose(c call) *value {
	if c.v == nil {
		return nil
	}
	perm := c.n.Ints("perm")
	axes := make([]axis, len(c.v.axes))
	for i := range axes {
		from := len(axes) - 1 - i
		if perm != nil {
			if len(perm) != len(axes) || perm[i] < 0 || perm[i] >= int64(len(axes)) {
				return nil
			}
			from = int(perm[i])
		}
		axes[i] = c.v.axes[from]
	}
	return c.v.with(axes)
}

// expand repeats axes of 1.
func expand(c call) *value {
	c.in = c.in[:1]
	return elementwise(c)
}

// tile repeats along axes that hold nothing of the grid.
func tile(c call) *value {
	out := c.shape(0)
	if c.v == nil || len(out) != len(c.v.axes) {
		return nil
	}
	v := c.v
	for i, d := range out {
		if d != v.axes[i].size() {
			if v.axes[i].spatial() && v.axes[i].size() > 1 {
				return nil
			}
			v = v.set(i, plain(d))
		}
	}
	return v
}

func slice(c call) *value {
	starts, ok1 := c.ints(1, "starts")
	axes, ok2 := c.ints(3, "axes")
	steps, ok3 := c.ints(4, "")
	if c.v == nil || !ok1 || !ok2 || !ok3 {
		return nil
	}
	v, out := c.v, c.shape(0)
	for k, start := range starts {
		a, step := int64(k), int64(1)
		if axes != nil {
			if k >= len(axes) {
				return nil
			}
			a = axes[k]
		}
		if steps != nil {
			if k >= len(steps) {
				return nil
			}
			step = steps[k]
		}
		ax, ok := axisOf(a, len(out))
		if !ok || len(out) != len(v.axes) {
			return nil
		}
		size := int64(v.axes[ax].size())
		if start < 0 {
			start += size
		}
		high := size
		if step < 0 {
			high--
		}
		if v = v.stride(ax, int(min(max(start, 0), high)), int(min(max(step, -size), size)), out[ax]); v == nil {
			return nil
		}
	}
	return v
}

// stride chooses n places of an axis.
func (v *value) stride(ax, start, step, n int) *value {
	size := v.axes[ax].size()
	if n < 1 || n > size {
		return nil
	}
	if !v.axes[ax].spatial() {
		return v.set(ax, plain(n))
	}
	list := make([]int, n)
	for i := range list {
		list[i] = start + i*step
		if list[i] < 0 || list[i] >= size {
			return nil
		}
	}
	return v.choose(ax, list)
}

func split(c call) []*value {
	if c.v == nil {
		return nil
	}
	ax, ok := axisOf(c.n.Int("axis", 0), len(c.v.axes))
	if !ok {
		return nil
	}
	outs := make([]*value, len(c.n.Outputs))
	at := 0
	for i := range outs {
		shape := c.shape(i)
		if len(shape) != len(c.v.axes) {
			return nil
		}
		if outs[i] = c.v.stride(ax, at, 1, shape[ax]); outs[i] == nil {
			outs[i] = lost("positions are not followed through node " + c.n.String())
		}
		at += shape[ax]
	}
	return outs
}

// gather takes places of an axis that a constant names.
func gather(c call) *value {
	idx := c.facts[c.n.Input(1)]
	if c.v == nil || len(c.in) < 2 || c.in[1] != nil || !idx.Known() || len(idx.Shape) > 1 {
		return nil
	}
	ax, ok := axisOf(c.n.Int("axis", 0), len(c.v.axes))
	if !ok {
		return nil
	}
	size := c.v.axes[ax].size()
	list := make([]int, len(idx.Const))
	for i, f := range idx.Const {
		if list[i], ok = axisOf(int64(f), size); !ok {
			return nil
		}
	}
	v := c.v
	switch {
	case idx.Const != nil:
		if v = v.choose(ax, list); v == nil {
			return nil
		}
	case v.axes[ax].spatial():
		return nil
	default:
		v = v.set(ax, plain(sizes(idx.Shape)[0]))
	}
	if len(idx.Shape) == 1 {
		return v
	}
	if len(v.tokens) == 1 && v.tokens[0] < 0 {
		return lost("its units belong to a token that stands for no place, taken by node " + c.n.String())
	}
	if v.tokens != nil {
		return v.mix(ax, 1).drop(ax)
	}
	return v.drop(ax)
}

func (v *value) drop(ax int) *value { return v.with(slices.Delete(slices.Clone(v.axes), ax, ax+1)) }

func pad(c call) *value {
	pads, ok1 := c.ints(1, "pads")
	axes, ok2 := c.ints(3, "")
	out := c.shape(0)
	if c.v == nil || !ok1 || !ok2 || len(out) != len(c.v.axes) {
		return nil
	}
	if axes == nil {
		for i := range out {
			axes = append(axes, int64(i))
		}
	}
	if len(pads) != 2*len(axes) {
		return nil
	}
	v := c.v
	for k, a := range axes {
		ax, ok := axisOf(a, len(out))
		if !ok {
			return nil
		}
		n := v.axes[ax].size()
		if out[ax] == n && pads[k] == 0 {
			continue
		}
		if !v.axes[ax].spatial() {
			v = v.set(ax, plain(out[ax]))
			continue
		}
		u, r, ok := v.straight(ax)
		if !ok || out[ax] > maxLine {
			return nil
		}
		before, mode := int(pads[k]), c.n.Str("mode", "constant")
		v = u.set(ax, axis{{r, out[ax], 1}})
		v.grid = u.grid.pick(r, out[ax], func(o int, use func(int)) {
			i := o - before
			switch {
			case mode == "edge":
				i = min(max(i, 0), n-1)
			case mode == "wrap":
				i = (i%n + n) % n
			case mode == "reflect" && n > 1:
				if i = (i%(2*n-2) + 2*n - 2) % (2*n - 2); i >= n {
					i = 2*n - 2 - i
				}
			}
			use(i)
		})
	}
	return v
}

// blocks is SpaceToDepth and DepthToSpace, as the reshapes and transposes that they are.
func blocks(c call) *value {
	b, in := int(min(c.n.Int("blocksize", 0), 1<<20)), c.inShape(0)
	if c.v == nil || len(in) != 4 || b < 1 {
		return nil
	}
	n, ch, h, w := in[0], in[1], in[2], in[3]
	via := func(v *value, shape []int, perm ...int) *value {
		if v = v.reshaped(shape); v == nil {
			return nil
		}
		axes := make([]axis, len(perm))
		for i, p := range perm {
			axes[i] = v.axes[p]
		}
		return v.with(axes)
	}
	var v *value
	switch {
	case c.n.IsOp("SpaceToDepth"):
		v = via(c.v, []int{n, ch, h / b, b, w / b, b}, 0, 3, 5, 1, 2, 4)
	case c.n.Str("mode", "DCR") == "CRD":
		v = via(c.v, []int{n, ch / b / b, b, b, h, w}, 0, 1, 4, 2, 5, 3)
	default:
		v = via(c.v, []int{n, b, b, ch / b / b, h, w}, 0, 3, 4, 1, 5, 2)
	}
	if v == nil {
		return nil
	}
	return v.reshaped(c.shape(0))
}
