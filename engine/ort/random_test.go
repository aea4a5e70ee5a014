//go:build cgo

package ort

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// drawn is a random network of convolutions, some of whose values are packed.
type drawn struct {
	rng   *rand.Rand
	nodes []*onnx.Node
	inits []*onnx.Tensor
	outs  []*onnx.Value
	count int
}

// plane is a value of so many channels, whose sides are halved so many times.
type plane struct {
	name     string
	channels int
	halved   int
}

func (d *drawn) name(of string) string { d.count++; return fmt.Sprint(of, d.count) }

func (d *drawn) pick(of ...string) string { return of[d.rng.IntN(len(of))] }

// add makes a node of one output.
func (d *drawn) add(op, in string, attrs ...*onnx.Attr) string {
	out := d.name("v")
	n := node(op, d.name("n"), in, out)
	n.Attrs = attrs
	d.nodes = append(d.nodes, n)
	return out
}

func (d *drawn) weights(shape ...int) string {
	w, name := make([]float32, tensor.Count(shape)), d.name("w")
	for i := range w {
		w[i] = float32(d.rng.NormFloat64() * math.Sqrt(2/float64(max(len(w)/shape[0], 4))))
	}
	d.inits = append(d.inits, onnx.NewTensor(name, tensor.Of(w, shape...)))
	return name
}

func intsAttr(name string, v ...int64) *onnx.Attr {
	return &onnx.Attr{Name: name, Type: onnx.AttrInts, Ints: v}
}

// conv is a convolution, now and then with a constant factor, offset or normalisation.
func (d *drawn) conv(in plane, channels, kernel, stride int) plane {
	groups := 1
	if in.channels == channels && d.rng.IntN(4) == 0 {
		groups = channels
	}
	p := int64(kernel / 2)
	v := d.add("Conv", in.name+" "+d.weights(channels, in.channels/groups, kernel, kernel), intsAttr("pads", p, p, p, p),
		intsAttr("strides", int64(stride), int64(stride)), &onnx.Attr{Name: "group", Type: onnx.AttrInt, Int: int64(groups)})
	switch d.rng.IntN(8) {
	case 0:
		c := d.weights([][]int{{1, channels, 1, 1}, {channels, 1, 1}}[d.rng.IntN(2)]...)
		v = d.add(d.pick("Add", "Mul"), d.pick(v+" "+c, c+" "+v))
	case 1:
		b := d.weights(channels)
		one := d.name("one")
		d.inits = append(d.inits, onnx.NewTensor(one, tensor.Of(slices.Repeat([]float32{1}, channels), channels)))
		v = d.add("BatchNormalization", v+" "+b+" "+b+" "+b+" "+one)
	}
	return plane{v, channels, in.halved + stride - 1}
}

func (d *drawn) activation(in plane) plane {
	switch d.rng.IntN(9) {
	case 0, 1:
		in.name = d.add("Clip", in.name+d.pick(" lo hi", " zero hi", "", " zero"))
	case 2:
		in.name = d.add("Mul", in.name+" "+d.add("Sigmoid", in.name))
	case 3:
		in.name = d.add("LeakyRelu", in.name, &onnx.Attr{Name: "alpha", Type: onnx.AttrFloat, Float: d.rng.Float32() - .5})
	case 4:
		// none
	default:
		in.name = d.add(d.pick("Relu", "HardSwish", "HardSigmoid", "Sigmoid", "Tanh"), in.name)
	}
	return in
}

// pack packs a value, or only looks for NaNs in it.
func (d *drawn) pack(v string) {
	codes, nan := d.name("codes"), d.name("nan")
	n := &onnx.Node{Name: d.name("pack"), Op: engine.SignPack, Domain: engine.Domain, Inputs: []string{v, d.pick("none", "zero1", "two", "five")}, Outputs: []string{codes, nan}}
	switch d.rng.IntN(4) {
	case 0:
		n.Outputs[0] = ""
	case 1:
		n.Outputs = n.Outputs[:1]
	}
	if d.rng.IntN(5) == 0 {
		n.Attrs = []*onnx.Attr{{Name: "below", Type: onnx.AttrInt, Int: 1}}
	}
	for i, o := range n.Outputs {
		if o != "" {
			d.outs = append(d.outs, onnx.NewValue(o, []tensor.DType{tensor.Uint8, tensor.Float32}[i], nil))
		}
	}
	d.nodes = append(d.nodes, n)
}

// step makes one more value of those there are; nothing where what is drawn does not fit.
func (d *drawn) step(all []plane) []plane {
	in := all[len(all)-1]
	if d.rng.IntN(4) == 0 {
		in = all[d.rng.IntN(len(all))]
	}
	kind := d.rng.IntN(9)
	if in.channels == 3 {
		kind = 8
	}
	switch kind {
	case 0: // squeeze-and-excitation
		squeezed := plane{d.add("GlobalAveragePool", in.name), in.channels, 0}
		up := d.conv(d.activation(d.conv(squeezed, 8, 1, 1)), in.channels, 1, 1)
		if d.rng.IntN(2) == 0 {
			d.pack(up.name)
		}
		in.name = d.add("Mul", in.name+" "+d.add(d.pick("HardSigmoid", "Sigmoid"), up.name))
	case 1: // residual
		in.name = d.add("Add", d.conv(in, in.channels, 3, 1).name+" "+in.name)
		if d.rng.IntN(2) == 0 {
			d.pack(in.name)
		}
		in = d.activation(in)
	case 2:
		if in.halved > 1 {
			return all
		}
		in.name, in.halved = d.add(d.pick("MaxPool", "AveragePool"), in.name, intsAttr("kernel_shape", 2, 2), intsAttr("strides", 2, 2)), in.halved+1
	case 3:
		beside := all[d.rng.IntN(len(all))]
		if beside.halved != in.halved || beside.channels == 3 {
			return all
		}
		in = plane{d.add("Concat", in.name+" "+beside.name, &onnx.Attr{Name: "axis", Type: onnx.AttrInt, Int: 1}), in.channels + beside.channels, in.halved}
	default:
		stride := 1
		if in.halved < 2 && d.rng.IntN(3) == 0 {
			stride = 2
		}
		in = d.conv(in, []int{8, 16, 24, 32, 32, 40, 12, 48}[d.rng.IntN(8)], []int{1, 3}[d.rng.IntN(2)], stride)
		for d.rng.IntN(3) > 0 {
			d.pack(in.name)
		}
		if in = d.activation(in); d.rng.IntN(3) == 0 {
			d.pack(in.name)
		}
	}
	return append(all, in)
}

// network ends what is drawn: what nothing reads becomes an output, and now and then
// something else.
func (d *drawn) network(dims []onnx.Dim) *onnx.Model {
	all := []plane{{"x", 3, 0}}
	for range 4 + d.rng.IntN(10) {
		all = d.step(all)
	}
	read := map[string]bool{}
	for _, n := range d.nodes {
		for _, in := range n.Inputs {
			read[in] = read[in] || !isSignPack(n)
		}
	}
	for i, v := range all[1:] {
		if !read[v.name] || i == len(all)-2 {
			d.outs = append(d.outs, onnx.NewValue(d.add(d.pick("GlobalAveragePool", "Identity", "GlobalMaxPool"), v.name), tensor.Float32, nil))
		} else if d.rng.IntN(8) == 0 {
			d.outs = append(d.outs, onnx.NewValue(v.name, tensor.Float32, nil))
		}
	}
	scalar := func(name string, v float32) { d.inits = append(d.inits, onnx.NewTensor(name, tensor.Scalar(v))) }
	scalar("lo", -0.1)
	scalar("hi", 0.5)
	scalar("zero", 0)
	for name, knots := range map[string][]float32{"none": {}, "zero1": {0}, "two": {-0.2, 0.2}, "five": {0, 0.1, 0.2, 0.3, 0.4}} {
		d.inits = append(d.inits, onnx.NewTensor(name, tensor.Of(knots, len(knots))))
	}
	m := model([]*onnx.Value{onnx.NewValue("x", tensor.Float32, dims)}, d.outs, d.inits, d.nodes...)
	m.Opsets = append(m.Opsets, onnx.Opset{Domain: engine.Domain, Version: 1})
	return m
}

// A network's outputs are, with codes, to the bit what they are without, whatever it is
// made of, for every size and for NaNs and infinities; and the codes are those of the
// session in which nothing is fused but for values within rounding of a knot.
// ONNXPROBE_SEEDS=FROM:TO takes other networks.
func TestFusedRandomNetworks(t *testing.T) {
	needActPack(t)
	from, to := 0, 60
	if s := os.Getenv("ONNXPROBE_SEEDS"); s != "" {
		if _, err := fmt.Sscanf(s, "%d:%d", &from, &to); err != nil {
			t.Fatalf("ONNXPROBE_SEEDS=%s: %v; want FROM:TO", s, err)
		}
	}
	had, outputs := map[string]int{}, 0
	for seed := from; seed < to; seed++ {
		rng := rand.New(rand.NewPCG(uint64(seed), 1))
		named := func(n string, size int64) onnx.Dim { return onnx.Dim{Size: size, Param: n} }
		dims := [][]onnx.Dim{{named("n", -1), {Size: 3}, {Size: 24}, {Size: 24}}, {named("n", -1), {Size: 3}, named("h", -1), named("w", -1)},
			{{Size: -1}, {Size: 3}, {Size: -1}, {Size: -1}}, nil}[min(rng.IntN(6), 3)%4]
		m := (&drawn{rng: rng}).network(dims)
		bare := m.Clone()
		bare.Graph.Nodes = slices.DeleteFunc(bare.Graph.Nodes, isSignPack)
		made := bare.Graph.Index().Maker
		bare.Graph.Outputs = slices.DeleteFunc(bare.Graph.Outputs, func(v *onnx.Value) bool { return made[v.Name] == nil })
		if !worthFusing(m, engine.Options{}) {
			continue
		}
		ours := fused(t.Context(), m, sessionFiles{}, engine.Options{Threads: 1 + seed%2})
		if ours == nil {
			had["not fused"]++
			continue
		}
		had["fused"]++
		for _, n := range fusedNodes(t, m) {
			had[n.Op]++
		}
		apart, err := prepareLean(t.Context(), m, sessionFiles{own: true}, engine.Options{})
		if err != nil {
			t.Fatal(seed, err)
		}
		plain := prepared(t, bare, engine.Options{})
		for i, size := range [][3]int{{1, 24, 24}, {3, 24, 24}, {2, 32, 48}, {1, 8, 8}} {
			if dims != nil && dims[2].Size > 0 {
				size[1], size[2] = 24, 24
			}
			x := make([]float32, size[0]*3*size[1]*size[2])
			for i := range x {
				x[i] = float32(rng.NormFloat64())
			}
			strange := i == 3
			if strange {
				x[rng.IntN(len(x))], x[rng.IntN(len(x))] = float32(math.NaN()), float32(math.Inf(1))
			}
			in := tensor.Of(x, size[0], 3, size[1], size[2])
			got, own, want := run(t, ours, in), run(t, plain, in), run(t, apart, in)
			for k, v := range m.Graph.Outputs {
				what := fmt.Sprintf("seed %d, %v, output %s", seed, size, v.Name)
				at := slices.IndexFunc(bare.Graph.Outputs, func(o *onnx.Value) bool { return o.Name == v.Name })
				switch {
				case at >= 0:
					outputs++
					if a, b := tensor.Data[float32](got[k]), tensor.Data[float32](own[at]); len(a) != len(b) || firstUnlike(a, b) >= 0 {
						t.Errorf("%s moves", what)
					}
				case v.DType == tensor.Uint8:
					a, b, off := got[k].Bytes(), want[k].Bytes(), 0
					for i := range a {
						off += bits.OnesCount8(a[i] ^ b[i])
					}
					if len(a) != len(b) || off > 2+len(a)/25 && !strange {
						t.Errorf("%s: %d of %d bits are others", what, off, 8*len(a))
					}
				}
			}
		}
		ours.Close()
		apart.Close()
	}
	t.Logf("%d outputs of %d networks; %d ActPack, %d SignPack, %d Scale; %d not fused", outputs, had["fused"], had[actPack], had[engine.SignPack], had[scale], had["not fused"])
	if to-from >= 60 && (had["fused"] < (to-from)*2/3 || had[actPack] < to-from || had[scale] == 0) {
		t.Error("too few are fused")
	}
}
