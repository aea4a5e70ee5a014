package region

import "slices"

// rules say for each operator where its outputs' positions are. An operator without
// one, or whose rule gives nothing, loses them; a residual connection then brings them
// back, marked Global. Further outputs have none; Split, which has several, is split's.
var rules map[string]func(call) *value

func init() {
	rules = map[string]func(call) *value{
		"Conv": conv, "ConvTranspose": convTransposed,
		"MaxPool": pool, "AveragePool": pool, "LpPool": pool,
		"GlobalAveragePool": globalPool, "GlobalMaxPool": globalPool, "GlobalLpPool": globalPool,
		"Concat": concat, "Reshape": reshape, "Flatten": reshape, "Squeeze": reshape, "Unsqueeze": reshape,
		"Transpose": transpose, "Expand": expand, "Tile": tile, "Slice": slice, "Gather": gather,
		"Pad": pad, "Resize": resize, "Upsample": resize, "SpaceToDepth": blocks, "DepthToSpace": blocks,
		"MatMul": matMul, "Gemm": gemm, "BatchNormalization": firstOnly, "Dropout": firstOnly,
		"Softmax": overFrom, "LogSoftmax": overFrom, "LayerNormalization": overRest, "RMSNormalization": overRest,
		"InstanceNormalization": overAll, "GroupNormalization": overAll, "LRN": overChannels, "LpNormalization": over, "CumSum": overAll,
	}
	for _, op := range []string{"Relu", "LeakyRelu", "PRelu", "ThresholdedRelu", "Clip", "HardSwish", "HardSigmoid", "Abs", "Elu", "Selu", "Celu",
		"Gelu", "FastGelu", "QuickGelu", "BiasGelu", "Swish", "Mish", "Softplus", "Softsign", "Shrink", "Sigmoid",
		"Tanh", "Erf", "Exp", "Log", "Sqrt", "Reciprocal", "Neg",
		"Sign", "Floor", "Ceil", "Round", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh",
		"Atanh", "Not", "IsNaN", "IsInf", "Cast", "CastLike", "Identity",
		"Add", "Sub", "Mul", "Div", "Pow", "Mod", "Max", "Min", "Sum", "Mean", "Where", "And", "Or", "Xor",
		"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"} {
		rules[op] = elementwise
	}
	for _, op := range []string{"ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2",
		"ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare", "ArgMax", "ArgMin"} {
		rules[op] = reduce
	}
}

// firstOnly passes on the first input's positions.
func firstOnly(c call) *value {
	if c.v == nil || !c.alone() {
		return nil
	}
	return c.v
}

// alone reports whether no input but the first follows from the picture.
func (c call) alone() bool {
	return !slices.ContainsFunc(c.in[1:], func(v *value) bool { return v != nil })
}

func convTransposed(c call) *value {
	w := c.inShape(1)
	if c.v == nil || len(w) < 3 || len(w) != len(c.v.axes) || len(c.in) > 1 && c.in[1] != nil {
		return nil
	}
	c.v = c.v.mix(1, c.shape(0)[1])
	return c.followWindows(func(i int) int { return w[2+i] })
}

// matMul keeps the positions of the left operand's rows, or of the right one's columns
// where the left has none. The axis that is summed over is mixed; a product of two
// values that follow from the picture, as attention's, depends on all of it.
func matMul(c call) *value {
	if len(c.in) != 2 {
		return nil
	}
	a, b, out := c.in[0], c.in[1], c.shape(0)
	if len(c.inShape(0)) < 2 || len(c.inShape(1)) < 2 || len(out) < 2 {
		return nil
	}
	both := a != nil && b != nil
	var v *value
	switch k := len(out) - 1; {
	case a != nil && a.grid != nil && (b == nil || b.grid == nil || placed(a, len(a.axes)-1)):
		if v = a.mix(len(a.axes)-1, 1).widen(len(out)); v != nil {
			v = v.set(k, plain(out[k]))
		}
	case b != nil && b.grid != nil:
		if v = b.mix(len(b.axes)-2, 1).widen(len(out)); v != nil {
			v = v.set(k-1, plain(out[k-1]))
		}
	}
	if v == nil {
		return nil
	}
	for i := range len(out) - 2 {
		if v.axes[i].size() != out[i] {
			if v.axes[i].size() != 1 {
				return nil
			}
			v = v.set(i, plain(out[i]))
		}
	}
	if both {
		v = v.everywhere()
	}
	return v
}

// placed reports whether an axis besides one holds some of the grid.
func placed(v *value, besides int) bool {
	for i, a := range v.axes {
		if i != besides && a.spatial() {
			return true
		}
	}
	return false
}

func gemm(c call) *value {
	if c.v == nil || len(c.v.axes) != 2 || c.n.Int("transA", 0) != 0 || !c.alone() {
		return nil
	}
	return c.v.mix(1, c.shape(0)[1])
}

// reduce mixes the axes that it reduces.
func reduce(c call) *value {
	if c.v == nil {
		return nil
	}
	var axes []int64
	ok := true
	if c.n.IsOp("ArgMax") || c.n.IsOp("ArgMin") {
		axes = []int64{c.n.Int("axis", 0)}
	} else if axes, ok = c.ints(1, "axes"); !ok {
		return nil
	}
	v, rank := c.v, len(c.v.axes)
	if len(axes) == 0 {
		if c.n.Int("noop_with_empty_axes", 0) != 0 {
			return v
		}
		for i := range rank {
			axes = append(axes, int64(i))
		}
	}
	gone := make([]bool, rank)
	for _, a := range axes {
		ax, ok := axisOf(a, rank)
		if !ok {
			return nil
		}
		v, gone[ax] = v.mix(ax, 1), true
	}
	if c.n.Int("keepdims", 1) == 0 {
		for ax := rank - 1; ax >= 0; ax-- {
			if gone[ax] {
				v = v.drop(ax)
			}
		}
	}
	return v
}

// normalised keeps the positions; where the axes that are normalised over hold some of
// the grid, each element depends on all of it.
func (c call) normalised(from, to int) *value {
	v := c.v
	if v == nil || from < 0 || to > len(v.axes) {
		return nil
	}
	for _, a := range v.axes[from:to] {
		if a.spatial() {
			v = v.everywhere()
		}
	}
	return v
}

func over(c call) *value { return c.overAxis(c.n.Int("axis", -1), false) }

func overAll(c call) *value { return c.normalised(0, len(c.inShape(0))) }

func overChannels(c call) *value { return c.normalised(1, 2) }

func overRest(c call) *value { return c.overAxis(c.n.Int("axis", -1), true) }

// overFrom is Softmax: of one axis, before opset 13 of all from it on.
func overFrom(c call) *value {
	if c.opset < 13 {
		return c.overAxis(c.n.Int("axis", 1), true)
	}
	return c.overAxis(c.n.Int("axis", -1), false)
}

func (c call) overAxis(a int64, rest bool) *value {
	rank := len(c.inShape(0))
	ax, ok := axisOf(a, rank)
	if !ok {
		return nil
	}
	if rest {
		return c.normalised(ax, rank)
	}
	return c.normalised(ax, ax+1)
}
