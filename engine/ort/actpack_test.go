//go:build cgo

package ort

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// activations are those of networks: ReLU, ReLU6, Hardtanh and a Clip of one bound,
// Hardsigmoid of PyTorch and ONNX, Hardswish, SiLU.
var activations = map[string]activation{
	"Relu": {kind: actRelu}, "ReLU6": {actClip, 0, 6}, "Hardtanh": {actClip, -1, 1}, "ClampMin": {actClip, -0.5, math.MaxFloat32},
	"Hardsigmoid": {actHardSigmoid, 1.0 / 6, 0.5}, "HardSigmoid": {actHardSigmoid, 0.2, 0.5}, "Hardswish": {actHardSwish, 1.0 / 6, 0.5},
	"SiLU": {kind: actSiLU},
}

// forms are the ways in which ActPack works: AVX2 on both sizes of blocks, AVX-512.
var forms = []struct{ simd, block int64 }{{1, 8}, {1, 16}, {2, 16}}

func (f activation) with(simd, block int64) (*session, error) {
	return f.session(&onnx.Attr{Name: "simd", Type: onnx.AttrInt, Int: simd}, &onnx.Attr{Name: "block", Type: onnx.AttrInt, Int: block})
}

// needActPack skips where no machine instructions are for it, which must not be on one
// whose ONNX Runtime it is written for.
func needActPack(t *testing.T) {
	enginetest.Need(t, Backend{}, engine.Options{})
	if runtime.GOARCH != "amd64" {
		t.Skip("ActPack needs AVX2")
	}
}

// Every activation is that of ONNX Runtime's own operators to the bit, and every side that
// of Go's comparison: over every 65,537th float, and all within 1,000 of each bend.
// ONNXPROBE_EVERY_FLOAT=1 takes all 2^32, which is a matter of half an hour.
func TestActivationsAreONNXRuntimes(t *testing.T) {
	needActPack(t)
	for name, a := range activations {
		for _, f := range forms {
			t.Run(fmt.Sprintf("%s/simd %d of %d", name, f.simd, f.block), func(t *testing.T) {
				theirs, err := a.session()
				if err != nil {
					t.Fatal(err)
				}
				defer theirs.Close()
				ours, err := a.with(f.simd, f.block)
				if err != nil {
					t.Fatal(err)
				}
				defer ours.Close()
				n := compareActivation(t, ours, theirs, a, int(f.block), a.probe(7, 1000))
				var x []float32
				step := uint64(65537)
				if os.Getenv("ONNXPROBE_EVERY_FLOAT") != "" {
					step = 1
				}
				for b := uint64(0); b < 1<<32; b += step {
					if x = append(x, math.Float32frombits(uint32(b))); len(x) == 1<<22 || b+step >= 1<<32 && len(x)%16 == 0 {
						n += compareActivation(t, ours, theirs, a, int(f.block), x)
						x = x[:0]
					}
				}
				t.Logf("%d floats", n)
			})
		}
	}
}

// compareActivation compares an activation and the sides of its bends at x.
func compareActivation(t *testing.T, ours, theirs *session, a activation, block int, x []float32) int {
	t.Helper()
	in := tensor.Of(x, 1, 16, 1, len(x)/16)
	got, want := run(t, ours, in), run(t, theirs, in)
	if i := firstUnlike(tensor.Data[float32](got[0]), tensor.Data[float32](want[0])); i >= 0 {
		t.Fatalf("%x gives %x, ONNX Runtime %x", math.Float32bits(x[i]), math.Float32bits(tensor.Data[float32](got[0])[i]), math.Float32bits(tensor.Data[float32](want[0])[i]))
	}
	area, codes := len(x)/16, tensor.Data[uint8](got[1])
	for k, knot := range a.bends() {
		for i, v := range x {
			channel, place := i/(area*block)*block+i%block, i/block%area
			if at := (16*k+channel)*area + place; bitOf(codes, at) != (v > knot) {
				t.Fatalf("%x is not on its side of %v", math.Float32bits(v), knot)
			}
		}
	}
	ours.Recycle(got)
	theirs.Recycle(want)
	return len(x)
}

// bitOf is bit i of packed codes.
func bitOf(codes []byte, i int) bool { return codes[i/8]>>(7-i%8)&1 == 1 }

// alone is a model of ActPack between two nodes, and with names for its sizes, so that
// ONNX Runtime has it work in place; with shared, its values are read once more, so that it
// may not.
func alone(a activation, knots []float32, channels, full, simd, block int64, shared bool) *onnx.Model {
	n := &onnx.Node{Name: "pack", Op: actPack, Domain: engine.Domain, Inputs: []string{"v", "knots"}, Outputs: []string{"y", "codes", "nan"}, Attrs: a.attrs()}
	for k, v := range map[string]int64{"simd": simd, "block": block, "channels": channels} {
		n.Attrs = append(n.Attrs, &onnx.Attr{Name: k, Type: onnx.AttrInt, Int: v})
	}
	nodes := []*onnx.Node{node("Neg", "before", "x", "v"), n, node("Neg", "after", "y", "z")}
	out := []*onnx.Value{onnx.NewValue("z", tensor.Float32, nil), onnx.NewValue("codes", tensor.Uint8, nil), onnx.NewValue("nan", tensor.Float32, nil)}
	if shared {
		nodes, out = append(nodes, node("Neg", "beside", "v", "w")), append(out, onnx.NewValue("w", tensor.Float32, nil))
	}
	m := model([]*onnx.Value{onnx.NewValue("x", tensor.Float32, []onnx.Dim{{Size: -1, Param: "n"}, {Size: full}, {Size: -1, Param: "h"}, {Size: -1, Param: "w"}})}, out,
		[]*onnx.Tensor{onnx.NewTensor("knots", tensor.Of(knots, len(knots)))}, nodes...)
	m.Opsets = append(m.Opsets, onnx.Opset{Domain: engine.Domain, Version: 1})
	return m
}

// ActPack gives SignPack's codes and NaNs and ONNX Runtime's activations, in place or not,
// for every area and number of channels and knots. What fills the last block up is NaN
// here, and must not matter.
func TestActPack(t *testing.T) {
	needActPack(t)
	for name, a := range activations {
		theirs, err := a.session()
		if err != nil {
			t.Fatal(err)
		}
		defer theirs.Close()
		rng := rand.New(rand.NewPCG(9, uint64(a.kind)))
		for _, f := range forms {
			for _, knots := range [][]float32{{}, {0}, {-0.5, 0.5}, {-1, -0.3, 0, 0.2, 1, 6}} {
				special := patterns(append(slices.Clone(knots), a.bends()...))
				for _, channels := range []int{8, 16, 24, 40} {
					full := (channels + 15) / 16 * 16 // of what ONNX Runtime's operators take
					for _, shared := range []bool{false, true} {
						ours := prepared(t, alone(a, knots, int64(channels), int64(full), f.simd, f.block, shared), engine.Options{Threads: 2, Optimize: "none"})
						for _, c := range [][3]int{{1, 1, 1}, {3, 1, 3}, {2, 7, 7}, {1, 8, 8}, {2, 14, 14}, {1, 6, 12}, {1, 46, 46}, {2, 48, 48}} {
							n, area, b := c[0], c[1]*c[2], int(f.block)
							if area > 2000 && (testing.Short() || channels != 24) {
								continue
							}
							what := fmt.Sprintf("%s, simd %d, blocks of %d, knots %v, %d channels, shared %v, %v", name, f.simd, f.block, knots, channels, shared, c)
							v, items := make([]float32, n*full*area), [][]float32{}
							for i := range n {
								item := make([]float32, channels*area)
								for j := range item {
									if item[j] = float32(rng.NormFloat64() * 3); i != 1 && rng.IntN(4) == 0 {
										item[j] = special[rng.IntN(len(special))]
									}
								}
								for ch := range full {
									for p := range area {
										at := i*full*area + (ch/b*area+p)*b + ch%b
										if v[at] = float32(math.NaN()); ch < channels {
											v[at] = item[ch*area+p]
										}
									}
								}
								items = append(items, item)
							}
							x := make([]float32, len(v))
							for i := range v {
								x[i] = -v[i]
							}
							got := run(t, ours, tensor.Of(x, n, full, c[1], c[2]))
							codes, nans := packed(items, knots, false)
							checkPacked(t, what, got[1:], codes, nans)
							want := tensor.Data[float32](run(t, theirs, tensor.Of(v, n, 16, full/16, area))[0])
							y := tensor.Data[float32](got[0])
							for i := range y {
								y[i] = -y[i]
							}
							if i := firstUnlike(y, want); i >= 0 {
								t.Fatalf("%s: %v gives %v, ONNX Runtime %v", what, v[i], y[i], want[i])
							}
							if shared && firstUnlike(tensor.Data[float32](got[3]), x) >= 0 {
								t.Fatalf("%s: the values were overwritten", what)
							}
						}
						ours.Close()
					}
				}
			}
		}
	}
}

func TestActPackRefuses(t *testing.T) {
	needActPack(t)
	for _, c := range []struct {
		a           activation
		simd, block int64
	}{{activation{kind: actRelu}, 0, 16}, {activation{kind: actRelu}, 2, 0}, {activation{kind: 1}, 2, 16}, {activation{kind: 99}, 2, 16}, {activation{kind: -1}, 2, 16}} {
		s, err := c.a.with(c.simd, c.block)
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "ActPack: it needs blocks of channels, an activation that it knows, and AVX2") {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// convThen is a network of a convolution, an activation of its values by nodes, what reads the
// activation, and, when packed, a SignPack of either the values or the activation.
func convThen(channels int, opset int64, nodes []*onnx.Node, reader string, read string, knots ...float32) *onnx.Model {
	rng := rand.New(rand.NewPCG(7, 8))
	weights := func(name string, shape ...int) *onnx.Tensor {
		w := make([]float32, tensor.Count(shape))
		for i := range w {
			w[i] = float32(rng.NormFloat64())
		}
		return onnx.NewTensor(name, tensor.Of(w, shape...))
	}
	all := append([]*onnx.Node{node("Conv", "conv", "x w b", "v")}, nodes...)
	switch reader {
	case "Conv":
		all = append(all, node("Conv", "last", "a w2", "y"))
	case "Add":
		all = append(all, node("Add", "add", "a v", "s"), node("GlobalAveragePool", "last", "s", "y"))
	default:
		all = append(all, node(reader, "last", "a", "y"))
	}
	outputs := []*onnx.Value{onnx.NewValue("y", tensor.Float32, nil)}
	if read != "" {
		all = append(all, &onnx.Node{Name: "pack", Op: engine.SignPack, Domain: engine.Domain, Inputs: []string{read, "knots"}, Outputs: []string{"codes", "nan"}})
		outputs = append(outputs, onnx.NewValue("codes", tensor.Uint8, nil), onnx.NewValue("nan", tensor.Float32, nil))
	}
	m := model([]*onnx.Value{onnx.NewValue("x", tensor.Float32, []onnx.Dim{{Size: -1}, {Size: 3}, {Size: 9}, {Size: 9}})}, outputs,
		[]*onnx.Tensor{weights("w", channels, 3, 3, 3), weights("b", channels), weights("w2", 32, channels, 3, 3),
			onnx.NewTensor("knots", tensor.Of(knots, len(knots))), onnx.NewTensor("lo", tensor.Scalar(float32(0))), onnx.NewTensor("hi", tensor.Scalar(float32(6))), onnx.NewTensor("factor", tensor.Scalar(float32(1.702)))}, all...)
	m.Opsets = []onnx.Opset{{Version: opset}, {Domain: engine.Domain, Version: 1}}
	return m
}

// A network whose activations are packed gives its outputs, and the codes of the session
// in which nothing is joined, bit for bit; and joined they are where ONNX Runtime would
// have applied the activation within the convolution, or by itself.
func TestFusedActivations(t *testing.T) {
	needActPack(t)
	with := func(n *onnx.Node, attrs ...*onnx.Attr) *onnx.Node { n.Attrs = attrs; return n }
	real := func(name string, v float32) *onnx.Attr {
		return &onnx.Attr{Name: name, Type: onnx.AttrFloat, Float: v}
	}
	for _, c := range []struct {
		name   string
		opset  int64
		nodes  func() []*onnx.Node
		read   string
		joined bool // but for an Add that reads the same values: then a Clip is no part of the convolution
	}{
		{"Clip", 17, func() []*onnx.Node { return []*onnx.Node{node("Clip", "act", "v lo hi", "a")} }, "v", true},
		{"Clip of opset 7", 7, func() []*onnx.Node {
			return []*onnx.Node{with(node("Clip", "act", "v", "a"), real("min", 0), real("max", 6))}
		}, "v", true},
		{"Clip without bounds", 17, func() []*onnx.Node { return []*onnx.Node{node("Clip", "act", "v", "a")} }, "v", true},
		{"Clip of one bound", 17, func() []*onnx.Node { return []*onnx.Node{node("Clip", "act", "v lo", "a")} }, "v", true},
		{"Clip of a computed bound", 17, func() []*onnx.Node {
			return []*onnx.Node{with(node("ReduceMax", "max", "x", "m"), &onnx.Attr{Name: "keepdims", Type: onnx.AttrInt}), node("Clip", "act", "v lo m", "a")}
		}, "v", false},
		{"HardSigmoid", 17, func() []*onnx.Node {
			return []*onnx.Node{with(node("HardSigmoid", "act", "v", "a"), real("alpha", 1.0/6))}
		}, "v", true},
		{"Hardswish", 17, func() []*onnx.Node { return []*onnx.Node{node("HardSwish", "act", "v", "a")} }, "v", true},
		{"SiLU", 17, func() []*onnx.Node {
			return []*onnx.Node{node("Sigmoid", "sigmoid", "v", "g"), node("Mul", "act", "v g", "a")}
		}, "v", true},
		{"QuickGELU", 17, func() []*onnx.Node {
			return []*onnx.Node{node("Mul", "scale", "v factor", "u"), node("Sigmoid", "sigmoid", "u", "g"), node("Mul", "act", "v g", "a")}
		}, "v", false}, // which ONNX Runtime computes otherwise
		{"Relu by what it makes", 17, func() []*onnx.Node { return []*onnx.Node{node("Relu", "act", "v", "a")} }, "a", false}, // of the convolution
		{"Relu", 17, func() []*onnx.Node { return []*onnx.Node{node("Relu", "act", "v", "a")} }, "v", true},
		{"Sigmoid", 17, func() []*onnx.Node { return []*onnx.Node{node("Sigmoid", "act", "v", "a")} }, "v", false},
		{"LeakyRelu", 17, func() []*onnx.Node { return []*onnx.Node{node("LeakyRelu", "act", "v", "a")} }, "a", false},
		{"LeakyRelu of negative slope", 17, func() []*onnx.Node {
			return []*onnx.Node{with(node("LeakyRelu", "act", "v", "a"), real("alpha", -0.5))}
		}, "v", false},
	} {
		for _, channels := range []int{5, 12, 24, 32} {
			for _, reader := range []string{"Conv", "GlobalAveragePool", "Add"} {
				what := fmt.Sprintf("%s of %d channels before %s", c.name, channels, reader)
				plain := prepared(t, convThen(channels, c.opset, c.nodes(), reader, ""), engine.Options{})
				m := convThen(channels, c.opset, c.nodes(), reader, c.read, 0, 1)
				opt := fusedNodes(t, m)
				joined := c.joined && channels%8 == 0 && !(reader == "Add" && strings.HasPrefix(c.name, "Clip")) ||
					reader == "Add" && c.name == "Relu by what it makes" && channels%8 == 0
				if has := slices.ContainsFunc(opt, func(n *onnx.Node) bool { return n.Op == actPack }); has != joined {
					t.Errorf("%s: joined %v, want %v", what, has, joined)
				}
				apart, err := prepareLean(context.Background(), m, sessionFiles{own: true}, engine.Options{})
				if err != nil {
					t.Fatal(err)
				}
				ours := prepared(t, m, engine.Options{})
				x := make([]float32, 3*243)
				rng := rand.New(rand.NewPCG(1, 2))
				for i := range x {
					x[i] = float32(rng.NormFloat64() * 3)
				}
				x[300] = float32(math.NaN()) // of the second item
				x[600] = float32(math.Inf(1))
				in := tensor.Of(x, 3, 3, 9, 9)
				got, codes, own := run(t, ours, in), run(t, apart, in), run(t, plain, in)
				if firstUnlike(tensor.Data[float32](got[0]), tensor.Data[float32](own[0])) >= 0 {
					t.Errorf("%s: the output moves", what)
				}
				if !slices.Equal(got[1].Bytes(), codes[1].Bytes()) || firstUnlike(tensor.Data[float32](got[2]), tensor.Data[float32](codes[2])) >= 0 {
					t.Errorf("%s: other codes, or NaNs", what)
				}
				apart.Close()
			}
		}
	}
}

// What a Relu makes is above a knot below zero wherever the Relu's value is none.
func TestReluOfLowKnots(t *testing.T) {
	needActPack(t)
	for _, c := range []struct {
		knots  []float32
		joined bool
	}{{[]float32{0}, true}, {[]float32{0, 2}, true}, {[]float32{-1}, false}, {[]float32{1, -0.5}, false}, {[]float32{float32(math.NaN())}, false}} {
		m := convThen(32, 17, []*onnx.Node{node("Relu", "act", "v", "a")}, "Add", "a", c.knots...)
		if has := slices.ContainsFunc(fusedNodes(t, m), func(n *onnx.Node) bool { return n.Op == actPack }); has != c.joined {
			t.Errorf("knots %v: joined %v", c.knots, has)
		}
	}
}

// Of several that read one value, one packs with the activation and the others stay.
func TestActPackBesideOthers(t *testing.T) {
	needActPack(t)
	m := convThen(32, 17, []*onnx.Node{node("Clip", "act", "v lo hi", "a")}, "Conv", "v", 0, 6)
	for i, below := range []int64{1, 0} {
		name := fmt.Sprint("more", i)
		m.Graph.Nodes = append(m.Graph.Nodes, &onnx.Node{Name: name, Op: engine.SignPack, Domain: engine.Domain, Inputs: []string{"v", "hi1"}, Outputs: []string{name},
			Attrs: []*onnx.Attr{{Name: "below", Type: onnx.AttrInt, Int: below}}})
		m.Graph.Outputs = append(m.Graph.Outputs, onnx.NewValue(name, tensor.Uint8, nil))
	}
	m.Graph.Initializers = append(m.Graph.Initializers, onnx.NewTensor("hi1", tensor.Of([]float32{1}, 1)))
	count := map[string]int{}
	for _, n := range fusedNodes(t, m) {
		count[n.Op]++
	}
	if count[actPack] != 1 || count[engine.SignPack] != 2 || count["Clip"] != 0 {
		t.Errorf("nodes: %v", count)
	}
	apart, err := prepareLean(context.Background(), m, sessionFiles{own: true}, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer apart.Close()
	x := make([]float32, 243)
	for i := range x {
		x[i] = float32(i%13) - 6
	}
	got, want := run(t, prepared(t, m, engine.Options{}), tensor.Of(x, 1, 3, 9, 9)), run(t, apart, tensor.Of(x, 1, 3, 9, 9))
	for i := range want {
		if !slices.Equal(got[i].Bytes(), want[i].Bytes()) {
			t.Errorf("output %d differs", i)
		}
	}
	m = convThen(32, 17, []*onnx.Node{node("Clip", "act", "v lo hi", "a")}, "Conv", "v", 0, 6)
	pack := m.Graph.Nodes[len(m.Graph.Nodes)-1]
	pack.Attrs = []*onnx.Attr{{Name: "below", Type: onnx.AttrInt, Int: 1}}
	if slices.ContainsFunc(fusedNodes(t, m), func(n *onnx.Node) bool { return n.Op == actPack }) {
		t.Error("joined with sides below the knots")
	}
}

// Graphs in which one node could be taken for another, or a value for what it is not, give
// what they give without codes; one that ONNX Runtime refuses it goes on to refuse.
func TestFusedStrangeGraphs(t *testing.T) {
	needActPack(t)
	pack := func(v, knots, codes string) *onnx.Node {
		return &onnx.Node{Name: codes, Op: engine.SignPack, Domain: engine.Domain, Inputs: []string{v, knots}, Outputs: []string{codes}}
	}
	last := func(in, out string) *onnx.Node { return node("Conv", "of"+out, in+" w2", out) }
	first := node("Conv", "conv", "x w b", "v")
	for _, c := range []struct {
		name   string
		nodes  []*onnx.Node
		joined bool // some node is
	}{
		{"a twin whose activation is a Relu", []*onnx.Node{node("Conv", "twin", "x w b", "u"), node("Relu", "relu", "u", "r"), last("r", "y2"),
			first, node("Clip", "act", "v lo hi", "a"), pack("v", "knots", "codes"), last("a", "y")}, true},
		{"twins, both packed", []*onnx.Node{node("Conv", "twin", "x w b", "u"), node("Clip", "relu", "u lo hi", "r"), pack("u", "knots", "more"), last("r", "y2"),
			first, node("Clip", "act", "v lo half", "a"), pack("v", "knots", "codes"), last("a", "y")}, false}, // by themselves without codes, too
		{"a Clip of a Clip", []*onnx.Node{first, node("Clip", "act", "v lo hi", "a"), pack("v", "knots", "codes"), node("Clip", "again", "a half hi", "c"), last("c", "y"), last("a", "y2")}, true},
		{"knots of the activation", []*onnx.Node{first, node("Relu", "act", "v", "a"), node("ReduceMean", "mean", "a", "m"), node("Reshape", "flat", "m minus", "k"),
			pack("v", "k", "codes"), last("a", "y"), last("a", "y2")}, false},
		{"activations of one value", []*onnx.Node{first, node("Clip", "act", "v lo hi", "a"), node("HardSigmoid", "other", "v", "c"), pack("v", "knots", "codes"), pack("v", "knots", "more"), last("a", "y"), last("c", "y2")}, true},
	} {
		base := convThen(32, 17, nil, "Conv", "", 0, 1)
		weights := append(base.Graph.Initializers, onnx.NewTensor("half", tensor.Scalar(float32(0.5))), onnx.NewTensor("minus", tensor.Of([]int64{-1}, 1)))
		var outs []*onnx.Value
		for _, n := range c.nodes {
			switch o := n.Outputs[0]; {
			case isSignPack(n):
				outs = append(outs, onnx.NewValue(o, tensor.Uint8, nil))
			case o[0] == 'y':
				outs = append(outs, onnx.NewValue(o, tensor.Float32, nil))
			}
		}
		slices.SortStableFunc(outs, func(a, b *onnx.Value) int { return int(a.DType) - int(b.DType) }) // those of its own first
		m := model(base.Graph.Inputs, outs, weights, c.nodes...)
		m.Opsets = base.Opsets
		bare := m.Clone()
		bare.Graph.Nodes = slices.DeleteFunc(bare.Graph.Nodes, isSignPack)
		bare.Graph.Outputs = bare.Graph.Outputs[:2]
		if has := slices.ContainsFunc(fusedNodes(t, m), func(n *onnx.Node) bool { return n.Op == actPack }); has != c.joined {
			t.Errorf("%s: joined %v, want %v", c.name, has, c.joined)
		}
		x := make([]float32, 243)
		for i := range x {
			x[i] = float32((i*31)%17)/4 - 2
		}
		in := tensor.Of(x, 1, 3, 9, 9)
		got, own := run(t, prepared(t, m, engine.Options{}), in), run(t, prepared(t, bare, engine.Options{}), in)
		for i := range own {
			if !slices.Equal(got[i].Bytes(), own[i].Bytes()) {
				t.Errorf("%s: output %s moves", c.name, m.Graph.Outputs[i].Name)
			}
		}
	}
	four := convThen(32, 17, []*onnx.Node{node("Clip", "act", "v lo hi hi", "a")}, "Conv", "v", 0)
	if _, err := (Backend{}).Prepare(t.Context(), four, engine.Options{}); err == nil || !strings.Contains(err.Error(), "not in range [min=1, max=3]") {
		t.Errorf("a Clip of four inputs: %v", err)
	}
}

// fusedNodes are those of the session that fused makes of m.
func fusedNodes(t *testing.T, m *onnx.Model) []*onnx.Node {
	t.Helper()
	f := sessionFiles{own: true}
	m, hidden, err := disguise(t.Context(), m, f, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	opt, done, err := optimised(t.Context(), m, f, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	if opt, err = fuse(opt, m, hidden); err != nil {
		t.Fatal(err)
	}
	if opt == nil {
		return nil
	}
	return opt.Graph.Nodes
}

// Where an activation is not ONNX Runtime's bit for bit, it is left to ONNX Runtime. Where
// the optimiser did away with what a node was disguised as, nothing is fused.
func TestActPackFallsBack(t *testing.T) {
	needActPack(t)
	m := convThen(32, 17, []*onnx.Node{node("Clip", "act", "v lo hi", "a")}, "Conv", "v", 0, 6)
	a := activation{actClip, 0, 6}
	if !agrees(a) {
		t.Fatal("Clip is not ONNX Runtime's")
	}
	was, _ := agreed.Load(a)
	agreed.Store(a, func() bool { return false })
	nodes := fusedNodes(t, m)
	agreed.Store(a, was)
	var ops []string
	for _, n := range nodes {
		ops = append(ops, n.Op)
	}
	slices.Sort(ops)
	if !slices.Equal(ops, []string{"Clip", "Conv", "Conv", "ReorderOutput", "SignPack"}) {
		t.Errorf("without agreement: %q", ops)
	}

	f := sessionFiles{own: true}
	looks, all, err := disguise(t.Context(), m, f, engine.Options{})
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	opt, done, err := optimised(t.Context(), looks, f, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	all["another"] = disguised{}
	if _, err := fuse(opt, looks, all); err == nil || !strings.Contains(err.Error(), "of 2 nodes in disguise 1 are left") {
		t.Errorf("a node that is lost: %v", err)
	}
}
