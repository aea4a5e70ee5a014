package rewrite

import (
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// normalising is what batch normalization with these parameters (scale, bias, mean,
// variance) multiplies by and adds.
func normalising(v [4][]float64, epsilon float64) (scale, shift []float64) {
	scale, shift = make([]float64, len(v[0])), make([]float64, len(v[0]))
	for i := range scale {
		scale[i] = v[0][i] / math.Sqrt(v[3][i]+epsilon)
		shift[i] = v[1][i] - v[2][i]*scale[i]
	}
	return scale, shift
}

// sole reports whether the node is all that depends on its first input, through
// operators that did nothing.
func (l *lowering) sole(n *onnx.Node) bool {
	// n is a copy whose inputs are resolved already.
	orig := l.index.Maker[n.Outputs[0]]
	if orig == nil {
		return false
	}
	name := orig.Input(0)
	for {
		if l.outputs[name] || len(l.index.Readers[name]) != 1 || name == "" {
			return false
		}
		if l.facts[name].DType != l.dtype(n.Input(0)) {
			return false // it was rounded to 16 bits
		}
		to, ok := l.alias[name]
		if !ok {
			return true
		}
		// What name only passed on must have no other reader either.
		name = to
	}
}

// intoFilter multiplies and shifts the channels of the convolution or product that
// makes n's first input, and returns what that then makes, "" where it cannot be
// done. Weights are new constants, computed in float64 and rounded once.
func (l *lowering) intoFilter(n *onnx.Node, scale, shift []float64) string {
	x := n.Input(0)
	k := l.maker[x]
	if k == nil || !foldable(l.dtype(x)) || !l.sole(n) {
		return ""
	}
	if k.Op == "Reshape" { // of a convolution over one axis
		if inner := l.maker[k.Input(0)]; inner != nil && l.index.Maker[k.Input(0)] == nil && (inner.Op == "Conv" || inner.Op == "ConvTranspose") {
			k = inner
		}
	}
	var weight, bias *tensor.Tensor
	product := k
	switch k.Op {
	case "Conv", "ConvTranspose":
		weight = l.weight(k.Input(1))
		if k.Input(2) != "" {
			if bias = l.weight(k.Input(2)); bias == nil {
				return ""
			}
		}
	case "Add":
		product = l.maker[k.Input(0)]
		bias = l.weight(k.Input(1))
		if product == nil || product.Op != "MatMul" || l.index.Maker[k.Input(0)] != nil || bias == nil || len(l.shape(x)) != 2 ||
			len(bias.Shape) == 0 || bias.Shape[len(bias.Shape)-1] != len(scale) || tensor.Count(bias.Shape) != len(scale) {
			return ""
		}
		weight = l.weight(product.Input(1))
	default:
		return ""
	}
	if weight == nil || len(weight.Shape) < 2 {
		return ""
	}
	channel, ok := channelOf(product, weight.Shape, len(scale))
	if !ok {
		return ""
	}
	w := weight.Float64s()
	for i := range w {
		w[i] *= scale[channel(i)]
	}
	b := slices.Clone(shift)
	if bias != nil {
		for i, v := range bias.Float64s() {
			b[i] += v * scale[i]
		}
	}
	d := l.dtype(x)
	product.Inputs[1] = l.make(fill(d, l.facts[product.Input(1)].Shape, w))
	added := l.make(fill(d, []int64{int64(len(b))}, b))
	if k != product {
		k.Inputs[1] = added
	} else {
		k.Inputs = append(k.Inputs[:2], added)
	}
	return l.taken(x)
}

// channelOf says which output channel an element of a weight belongs to.
func channelOf(n *onnx.Node, shape []int, channels int) (func(i int) int, bool) {
	inner := 1
	for _, d := range shape[2:] {
		inner *= d
	}
	switch n.Op {
	case "MatMul": // [inputs, outputs]
		return func(i int) int { return i % channels }, len(shape) == 2 && shape[1] == channels
	case "Conv": // [outputs, inputs / groups, ...]
		return func(i int) int { return i / (shape[1] * inner) }, shape[0] == channels
	}
	// ConvTranspose: [inputs, outputs / groups, ...], the inputs group by group
	groups := int(n.Int("group", 1))
	if groups < 1 || shape[0]%groups != 0 || shape[1]*groups != channels {
		return nil, false
	}
	return func(i int) int {
		in, out := i/(shape[1]*inner), i/inner%shape[1]
		return in/(shape[0]/groups)*shape[1] + out
	}, true
}

// taken makes a value of the old graph, which nothing reads any more, a fresh one,
// so that it takes the name of the value that it now is.
func (l *lowering) taken(x string) string {
	k := l.maker[x]
	v := l.Name(k.Op + ".out")
	k.Outputs[0] = v
	l.facts[v], l.maker[v] = l.facts[x], k
	delete(l.maker, x)
	delete(l.facts, x)
	l.loose[v] = true
	return v
}
