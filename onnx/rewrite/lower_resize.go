package rewrite

import (
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// resize interpolates axis by axis, through elements gathered by constant indices
// and, but for nearest, constant weights:
// https://onnx.ai/onnx/operators/onnx__Resize.html. Coordinates are computed in
// float32 as runtimes do, since a nearest element depends on the last bit. Upsample,
// and Resize of version 10, leave open how they round; they do as ONNX Runtime does.
// (Where no axis changes its length though a scale is not 1, ONNX Runtime copies its
// input; this interpolates, as ONNX has it.)
func resize(l *lowering, n *onnx.Node) (string, error) {
	x := n.Input(0)
	in, out := l.shape(x), l.shape(n.Outputs[0])
	if l.err != nil || len(in) != len(out) {
		return "", left("the shape of its output is not known")
	}
	how := sampling{coordinates: n.Str("coordinate_transformation_mode", "half_pixel"), nearest: n.Str("nearest_mode", "round_prefer_floor"),
		a: float64(n.Float("cubic_coeff_a", -0.75)), exclude: n.Int("exclude_outside", 0) != 0}
	if n.Op == "Upsample" || l.opset < 11 {
		how.coordinates, how.nearest = "asymmetric", "simple"
	}
	if n.Int("antialias", 0) != 0 || n.Str("keep_aspect_ratio_policy", "stretch") != "stretch" {
		return "", left("it is antialiased or keeps the aspect ratio")
	}
	scales, err := l.scales(n, in, out)
	if err != nil {
		return "", err
	}
	mode := n.Str("mode", "nearest")
	if mode != "nearest" && !l.dtype(x).IsFloat() {
		return "", left("it interpolates %s", l.dtype(x))
	}
	for i, scale := range scales {
		if in[i] == out[i] && scale == 1 {
			continue
		}
		if !l.afford(8 * out[i]) {
			return "", l.err
		}
		taps, err := how.taps(mode, scale, in[i], out[i])
		if err != nil {
			return "", err
		}
		if x = l.sample(x, i, taps); l.err != nil {
			return "", l.err
		}
	}
	return x, nil
}

// scales has one scale for each axis.
func (l *lowering) scales(n *onnx.Node, in, out []int64) ([]float32, error) {
	as, err := sortless(n.Ints("axes"), len(in))
	if err != nil {
		return nil, err
	}
	slot := 2
	if n.Op == "Upsample" || l.opset < 11 {
		slot = 1
	}
	scales := slices.Repeat([]float32{1}, len(in))
	var given []float64
	if t := l.known(n.Input(slot)); t != nil {
		given = t.Float64s()
	} else if a := n.Attr("scales"); a != nil {
		for _, v := range a.Floats {
			given = append(given, float64(v))
		}
	}
	if len(given) > 0 {
		if len(given) != len(as) {
			return nil, left("%d scales for %d axes", len(given), len(as))
		}
		for i, a := range as {
			if scales[a] = float32(given[i]); !(scales[a] > 0) || math.IsInf(float64(scales[a]), 0) {
				return nil, left("a scale is %g", given[i])
			}
		}
		return scales, nil
	}
	if slot == 1 || l.known(n.Input(3)) == nil {
		return nil, left("its scales or sizes are not constant")
	}
	for i := range in {
		scales[i] = float32(out[i]) / float32(in[i])
	}
	return scales, nil
}

// sortless is axes in the order they were given in, all of them when none are.
func sortless(as []int64, rank int) ([]int, error) {
	if _, err := axes(as, rank); err != nil {
		return nil, err
	}
	if as == nil {
		as = span(0, rank)
	}
	out := make([]int, len(as))
	for i, a := range as {
		out[i], _ = axis(a, rank)
	}
	return out, nil
}

// sampling is how Resize finds the elements that one of its output is made of.
type sampling struct {
	coordinates, nearest string
	a                    float64 // of the cubic
	exclude              bool
}

// tap is one of the elements that each output element along an axis is a weighted
// sum of. Without weights it is the only one.
type tap struct {
	index   []int64
	weights []float64
}

// source is where output element i lies among the in elements of the input.
func (s sampling) source(i int64, scale float32, in, out int64) (float32, error) {
	x := float32(i)
	switch s.coordinates {
	case "half_pixel":
		return (x+0.5)/scale - 0.5, nil
	case "half_pixel_symmetric":
		adjustment := float32(out) / (scale * float32(in))
		offset := float32(in) / 2 * (1 - adjustment)
		return float32(float64(offset) + (float64(x)+0.5)/float64(scale) - 0.5), nil
	case "pytorch_half_pixel":
		if out == 1 {
			return 0, nil
		}
		return (x+0.5)/scale - 0.5, nil
	case "align_corners":
		if out == 1 {
			return 0, nil
		}
		return x * float32(in-1) / float32(out-1), nil
	case "asymmetric":
		return x / scale, nil
	case "tf_half_pixel_for_nn":
		return (x + 0.5) / scale, nil
	}
	return 0, left("its coordinates are %q", s.coordinates)
}

func (s sampling) taps(mode string, scale float32, in, out int64) ([]tap, error) {
	taps := make([]tap, map[string]int{"nearest": 1, "linear": 2, "bilinear": 2, "cubic": 4}[mode])
	if len(taps) == 0 {
		return nil, left("its mode is %q", mode)
	}
	for i := range out {
		x, err := s.source(i, scale, in, out)
		if err != nil {
			return nil, err
		}
		var index []int64
		var weights []float64
		switch mode {
		case "nearest":
			k, err := s.round(float64(x), scale)
			if err != nil {
				return nil, err
			}
			index = []int64{k}
		case "cubic":
			index, weights = s.cubic(float64(x), in)
		default:
			x := min(max(float64(x), 0), float64(in-1))
			k := int64(x)
			index, weights = []int64{k, k + 1}, []float64{1 - (x - float64(k)), x - float64(k)}
		}
		for t := range taps {
			taps[t].index = append(taps[t].index, min(max(index[t], 0), in-1))
			if weights != nil {
				taps[t].weights = append(taps[t].weights, weights[t])
			}
		}
	}
	return taps, nil
}

// halfway is how far a coordinate, which is rounded, may lie from the middle of two
// elements that it is meant to lie in: ONNX Runtime's number.
const halfway = 1e-6

// round is the nearest element.
func (s sampling) round(x float64, scale float32) (int64, error) {
	switch floor := math.Floor(x); s.nearest {
	case "round_prefer_floor":
		if x-floor <= 0.5+halfway {
			return int64(floor), nil
		}
		return int64(floor) + 1, nil
	case "round_prefer_ceil":
		if x-floor >= 0.5-halfway {
			return int64(floor) + 1, nil
		}
		return int64(floor), nil
	case "floor":
		return int64(math.Floor(x)), nil
	case "ceil":
		return int64(math.Ceil(x)), nil
	case "simple": // what ONNX Runtime does where the specification says nothing
		if scale < 1 {
			return int64(math.Ceil(x)), nil
		}
		return int64(x), nil
	}
	return 0, left("its nearest_mode is %q", s.nearest)
}

// cubic is the interpolation of Keys over four elements; those outside the input are
// its edge or, if excluded, weigh nothing.
func (s sampling) cubic(x float64, in int64) ([]int64, []float64) {
	floor := math.Floor(x)
	r, a, k := x-floor, s.a, int64(floor)
	w := []float64{
		((a*(r+1)-5*a)*(r+1)+8*a)*(r+1) - 4*a,
		((a+2)*r-(a+3))*r*r + 1,
		((a+2)*(1-r)-(a+3))*(1-r)*(1-r) + 1,
		((a*(2-r)-5*a)*(2-r)+8*a)*(2-r) - 4*a,
	}
	index := []int64{k - 1, k, k + 1, k + 2}
	if s.exclude {
		sum := 0.0
		for i := range w {
			if index[i] < 0 || index[i] >= in {
				w[i] = 0
			}
			sum += w[i]
		}
		for i := range w {
			w[i] /= sum
		}
	}
	return index, w
}

// sample replaces an axis of x by weighted sums of its elements.
func (l *lowering) sample(x string, axis int, taps []tap) string {
	sum := ""
	for i, t := range taps {
		v := l.op("Gather", attrs{"axis": axis}, x, l.make(tensor.Of(t.index, len(t.index))))
		if l.err != nil {
			return ""
		}
		if t.weights != nil {
			v = l.op("Mul", nil, v, l.vector(x, at(len(l.shape(x)), axis, int64(len(t.weights))), t.weights...))
		}
		if i > 0 {
			v = l.op("Add", nil, sum, v)
		}
		sum = v
	}
	return sum
}
