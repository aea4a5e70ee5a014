package region

import "math"

// resize samples rows and columns anew. A place depends on the two (linear), four
// (cubic) or one (nearest) that its interpolation reads; its cell is that of the
// nearest.
func resize(c call) *value {
	out := c.shape(0)
	mode, trans := c.n.Str("mode", "nearest"), c.n.Str("coordinate_transformation_mode", "half_pixel")
	if c.n.IsOp("Upsample") || c.opset < 11 {
		trans = "asymmetric"
	}
	if c.v == nil || len(out) != len(c.v.axes) || trans == "tf_crop_and_resize" || c.n.Int("antialias", 0) != 0 || c.n.Int("exclude_outside", 0) != 0 {
		return nil
	}
	v := c.v
	for i := range out {
		n := v.axes[i].size()
		if n == out[i] {
			continue
		}
		u, r, ok := v.straight(i)
		if !ok || out[i] > maxLine {
			return nil
		}
		scale := c.scale(i, n, out[i])
		if !(scale > 0) {
			return nil
		}
		at := func(o int) float64 {
			switch x := float64(o); {
			case trans == "asymmetric":
				return x / scale
			case trans == "align_corners":
				return x * float64(n-1) / math.Max(float64(out[i]-1), 1)
			case trans == "pytorch_half_pixel" && out[i] == 1:
				return 0
			default:
				return (x+0.5)/scale - 0.5
			}
		}
		round := rounding(c.n.Str("nearest_mode", "round_prefer_floor"))
		if c.n.IsOp("Upsample") || c.opset < 11 {
			round = math.Floor
		}
		inside := func(i float64) int { return min(max(int(i), 0), n-1) }
		cell := func(o int, use func(int)) {
			if mode == "nearest" {
				use(inside(round(at(o))))
			} else {
				use(inside(math.Round(at(o))))
			}
		}
		fields := cell
		if reach := map[string]float64{"linear": 1, "cubic": 2}[mode]; reach > 0 {
			fields = func(o int, use func(int)) {
				x := at(o)
				if mode == "linear" {
					x = min(max(x, 0), float64(n-1))
				}
				// Within rounding of a place no other is read, or one with a weight of
				// nearly nothing, which counts.
				for k := math.Floor(x) - reach + 1; k <= math.Floor(x)+reach; k++ {
					if math.Abs(k-x) < reach && (k == math.Floor(x) || x != math.Floor(x)) {
						use(inside(k))
					}
				}
			}
		} else if mode != "nearest" {
			return nil
		}
		v = u.set(i, axis{{r, out[i], 1}})
		v.grid = u.grid.along(r, func(l line) line { return l.pick(out[i], fields) }, func(l line) line { return l.pick(out[i], cell) })
	}
	return v
}

// scale is the factor by which axis i grows: as given, else the ratio of sizes.
func (c call) scale(i, in, out int) float64 {
	at := 2
	if c.n.IsOp("Upsample") || c.opset < 11 {
		at = 1
	}
	if s := c.facts[c.n.Input(at)].Const; c.n.Input(at) != "" && len(s) == len(c.v.axes) {
		return float64(float32(s[i]))
	}
	if a := c.n.Attr("scales"); a != nil && len(a.Floats) == len(c.v.axes) {
		return float64(a.Floats[i])
	}
	if axes := c.n.Ints("axes"); axes != nil {
		for k, a := range axes {
			if s := c.facts[c.n.Input(at)].Const; c.n.Input(at) != "" && k < len(s) && (a == int64(i) || a+int64(len(c.v.axes)) == int64(i)) {
				return float64(float32(s[k]))
			}
		}
	}
	return float64(out) / float64(in)
}

func rounding(mode string) func(float64) float64 {
	switch mode {
	case "floor":
		return math.Floor
	case "ceil":
		return math.Ceil
	case "round_prefer_ceil":
		return func(x float64) float64 { return math.Floor(x + 0.5) }
	}
	return func(x float64) float64 { return math.Ceil(x - 0.5) }
}
