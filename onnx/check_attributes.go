package onnx

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// bound is what ONNX's specification demands of an attribute of some operators, or of
// the input that newer versions have in its place, where that is a constant. Each
// demand is made wherever what it is held against is known.
type bound struct {
	ops   string // names, as in Operators, with spaces between them
	attr  string // the attribute's name, or what the specification calls the input
	input int    // the input that stands for it; 0 is none, or one that sees to itself
	demands
}

type demands []demand

// demand says what is wrong with the numbers of an attribute, "" of sound ones.
type demand func(u usage, v []int64) string

// bounds is the table of what is refused before any engine sees it: engines divide by
// some of these numbers, and reach beyond arrays with others.
var bounds = func() []bound {
	const (
		convs   = "Conv ConvInteger ConvTranspose QLinearConv DeformConv"
		pools   = "MaxPool AveragePool LpPool"
		windows = convs + " " + pools + " MaxUnpool"
		reduces = "ReduceMax ReduceMin ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMean ReduceProd ReduceSum ReduceSumSquare"
	)
	return []bound{
		{convs, "group", 0, demands{least(1), divides(0, 1)}},
		{"Conv ConvInteger DeformConv ConvTranspose", "group", 0, demands{divides(1, 0)}},
		{"QLinearConv", "group", 0, demands{divides(3, 0)}},
		{"DeformConv", "offset_group", 0, demands{least(1), divides(0, 1)}},
		{"GroupNormalization", "num_groups", 0, demands{least(1), divides(0, 1)}},

		{windows, "kernel_shape", 0, demands{least(1), perAxis(1)}},
		{windows, "strides", 0, demands{least(1), perAxis(1)}},
		{windows, "dilations", 0, demands{least(1), perAxis(1)}},
		{windows, "pads", 0, demands{least(0), perAxis(2)}},
		{"ConvTranspose", "output_padding", 0, demands{least(0), perAxis(1)}},
		{"ConvTranspose", "output_shape", 0, demands{least(1)}},
		{pools, "ceil_mode", 0, demands{oneOf(0, 1)}},
		{"MaxPool", "storage_order", 0, demands{oneOf(0, 1)}},
		{"AveragePool", "count_include_pad", 0, demands{oneOf(0, 1)}},
		{"LRN", "size", 0, demands{least(1)}},
		{"RoiAlign", "output_height", 0, demands{least(1)}},
		{"RoiAlign", "output_width", 0, demands{least(1)}},
		{"RoiAlign", "sampling_ratio", 0, demands{least(0)}},
		{"MaxRoiPool", "pooled_shape", 0, demands{least(1), numbers(2)}},
		{"DepthToSpace SpaceToDepth", "blocksize", 0, demands{least(1)}},

		{"ArgMax ArgMin Compress Concat DFT Gather GatherElements Hardmax LayerNormalization LogSoftmax " +
			"LpNormalization RMSNormalization Scatter ScatterElements Softmax Split SplitToSequence TopK Unique",
			"axis", 0, demands{axisWithin(0, 0)}},
		{"CumSum CumProd", "axis", 1, demands{axisWithin(0, 0)}},
		{"QuantizeLinear DequantizeLinear", "axis", 0, demands{scaledAxis}},
		{"Flatten", "axis", 0, demands{flattened}},
		{"OneHot", "axis", 0, demands{axisWithin(0, 1)}},
		{reduces + " Squeeze", "axes", 1, demands{axisWithin(0, 0)}},
		{"Slice Pad", "axes", 3, demands{axisWithin(0, 0)}},
		{"CenterCropPad MeanVarianceNormalization Resize", "axes", 0, demands{axisWithin(0, 0)}},
		{"Unsqueeze", "axes", 1, demands{insertedAxes}},
		{"Transpose", "perm", 0, demands{permutation}},
		{"GatherND", "batch_dims", 0, demands{least(0), batchWithin}},
		{"ReverseSequence", "batch_axis", 0, demands{oneOf(0, 1)}},
		{"ReverseSequence", "time_axis", 0, demands{oneOf(0, 1)}},

		{"Split", "num_outputs", 0, demands{least(1)}},
		{"Split", "split", 1, demands{least(0)}},
		{"SplitToSequence", "split", 1, demands{parts}},
		{"ConcatFromSequence", "new_axis", 0, demands{oneOf(0, 1)}},
		{"Slice", "steps", 4, demands{notZero}},
		{"Range", "delta", 2, demands{notZero}},
		{"Tile", "repeats", 1, demands{least(0)}},
		{"TopK", "k", 1, demands{least(0)}},
		{"Attention", "q_num_heads", 0, demands{heads(0)}},
		{"Attention", "kv_num_heads", 0, demands{heads(1)}},
		{"RNN GRU LSTM", "hidden_size", 0, demands{least(1)}},
		{"RNN GRU LSTM", "layout", 0, demands{oneOf(0, 1)}},
		{"Mod", "fmod", 0, demands{oneOf(0, 1)}},
	}
}()

// boundsOf are the rows of bounds by operator.
var boundsOf = func() map[string][]bound {
	by := map[string][]bound{}
	for _, b := range bounds {
		for _, op := range strings.Fields(b.ops) {
			by[op] = append(by[op], b)
		}
	}
	return by
}()

func least(low int64) demand {
	return func(_ usage, v []int64) string {
		for _, d := range v {
			if d < low {
				return fmt.Sprintf("%d or more", low)
			}
		}
		return ""
	}
}

func oneOf(choices ...int64) demand {
	return func(_ usage, v []int64) string {
		for _, d := range v {
			if !slices.Contains(choices, d) {
				return strings.ReplaceAll(strings.Trim(fmt.Sprint(choices), "[]"), " ", " or ")
			}
		}
		return ""
	}
}

func notZero(_ usage, v []int64) string {
	if slices.Contains(v, 0) {
		return "any number but 0"
	}
	return ""
}

func numbers(n int) demand {
	return func(_ usage, v []int64) string {
		if len(v) != n {
			return fmt.Sprintf("%d numbers", n)
		}
		return ""
	}
}

// divides demands a divisor of input i's dimension along an axis.
func divides(i, axis int) demand {
	return func(u usage, v []int64) string {
		shape := u.shape(i)
		if len(v) == 1 && v[0] > 0 && axis < len(shape) && shape[axis] > 0 && shape[axis]%v[0] != 0 {
			return fmt.Sprintf("a divisor of the %d channels of an input of shape %v", shape[axis], shape)
		}
		return ""
	}
}

// perAxis demands n numbers for each of the spatial axes of the first input.
func perAxis(n int) demand {
	return func(u usage, v []int64) string {
		if r, ok := u.rank(0); ok && r > 2 && len(v) != n*(r-2) {
			return fmt.Sprintf("%d numbers, for an input of shape %v", n*(r-2), u.shape(0))
		}
		return ""
	}
}

// axisWithin demands axes of input i, or, with extra, of what has so many axes more. A
// number by itself has the axes 0 and -1, as in PyTorch.
func axisWithin(i, extra int) demand {
	return func(u usage, v []int64) string {
		r, ok := u.rank(i)
		if !ok {
			return ""
		}
		return within(v, -int64(max(r+extra, 1)), int64(max(r+extra, 1))-1, u.shape(i))
	}
}

func within(v []int64, low, high int64, shape []int64) string {
	for _, d := range v {
		if d < low || d > high {
			return fmt.Sprintf("%d to %d, for an input of shape %v", low, high, shape)
		}
	}
	return ""
}

func flattened(u usage, v []int64) string {
	r, ok := u.rank(0)
	if !ok {
		return ""
	}
	return within(v, -int64(r), int64(r), u.shape(0))
}

// scaledAxis is the axis of a quantizer, which one of a single scale has no use for.
func scaledAxis(u usage, v []int64) string {
	if r, ok := u.rank(1); !ok || r == 0 || slices.Equal(u.shape(1), []int64{1}) {
		return ""
	}
	return axisWithin(0, 0)(u, v)
}

func insertedAxes(u usage, v []int64) string {
	r, ok := u.rank(0)
	if !ok {
		return ""
	}
	r += len(v)
	return within(v, -int64(r), int64(r)-1, u.shape(0))
}

func permutation(u usage, v []int64) string {
	sorted := slices.Sorted(slices.Values(v))
	for i, d := range sorted {
		if d != int64(i) {
			return "each axis once"
		}
	}
	if r, ok := u.rank(0); ok && len(v) != r {
		return fmt.Sprintf("%d axes, for an input of shape %v", r, u.shape(0))
	}
	return ""
}

// batchWithin is of the axes that GatherND's data and indices have in common, which
// leave one axis of each at least.
func batchWithin(u usage, v []int64) string {
	least := int64(math.MaxInt64)
	for i := range 2 {
		if r, ok := u.rank(i); ok {
			least = min(least, int64(r))
		}
	}
	for _, d := range v {
		if d >= least {
			return fmt.Sprintf("less than %d, for inputs of shapes %v and %v", least, u.shape(0), u.shape(1))
		}
	}
	return ""
}

// heads is how many input i has side by side in its last axis, where there is no axis
// of heads.
func heads(i int) demand {
	return func(u usage, v []int64) string {
		if r, ok := u.rank(i); ok && r == 4 {
			return ""
		}
		return least(1)(u, v)
	}
}

// parts is of SplitToSequence: one number is the size of all parts, and a list may hold
// empty ones.
func parts(u usage, v []int64) string {
	if r, ok := u.rank(1); ok && r == 0 {
		return least(1)(u, v)
	}
	return least(0)(u, v)
}
