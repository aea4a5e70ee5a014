//go:build cgo

package ort

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// scaleAlone is a model of Scale between two nodes, so that it may work in place.
func scaleAlone(channels, full, simd, block int64) *onnx.Model {
	n := &onnx.Node{Name: "scale", Op: scale, Domain: engine.Domain, Inputs: []string{"v", "factors"}, Outputs: []string{"y"}}
	for k, v := range map[string]int64{"simd": simd, "block": block, "channels": channels} {
		n.Attrs = append(n.Attrs, &onnx.Attr{Name: k, Type: onnx.AttrInt, Int: v})
	}
	dims := func(n string, h, w onnx.Dim) []onnx.Dim {
		return []onnx.Dim{{Size: -1, Param: n}, {Size: full}, h, w}
	}
	m := model([]*onnx.Value{onnx.NewValue("x", tensor.Float32, dims("n", onnx.Dim{Size: -1, Param: "h"}, onnx.Dim{Size: -1, Param: "w"})),
		onnx.NewValue("factors", tensor.Float32, dims("k", onnx.Dim{Size: -1}, onnx.Dim{Size: -1}))},
		[]*onnx.Value{onnx.NewValue("z", tensor.Float32, nil)}, nil, node("Neg", "before", "x", "v"), n, node("Neg", "after", "y", "z"))
	m.Opsets = append(m.Opsets, onnx.Opset{Domain: engine.Domain, Version: 1})
	return m
}

// Scale multiplies each channel by its factor, of the item or of all, and fills the last
// block up with zeros whatever lies there.
func TestScale(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 5))
	for _, f := range []struct{ simd, block int64 }{{0, 8}, {0, 16}, {1, 8}, {1, 16}, {2, 16}} {
		for _, channels := range []int{3, 8, 16, 20, 40} {
			block := int(f.block)
			full := (channels + block - 1) / block * block
			s := prepared(t, scaleAlone(int64(channels), int64(full), f.simd, f.block), engine.Options{Threads: 2, Optimize: "none"})
			for _, c := range [][4]int{{1, 1, 1, 1}, {2, 2, 3, 3}, {3, 1, 7, 7}, {2, 2, 40, 40}} {
				n, k, area := c[0], c[1], c[2]*c[3]
				x, factors := make([]float32, n*full*area), make([]float32, k*full)
				for i := range x {
					x[i] = float32(rng.NormFloat64())
				}
				for i := range factors {
					factors[i] = float32(rng.NormFloat64())
				}
				want := make([]float32, len(x))
				for i := range x {
					ch := i/(area*block)%(full/block)*block + i%block
					if ch >= channels {
						x[i] = float32(math.Inf(1))
					} else {
						want[i] = x[i] * factors[i/(full*area)%k*full+ch]
					}
				}
				got := tensor.Data[float32](run(t, s, tensor.Of(x, n, full, c[2], c[3]), tensor.Of(factors, k, full, 1, 1))[0])
				for i := range got {
					got[i] += 0 // of the two signs of zero one
					want[i] += 0
				}
				if i := firstUnlike(got, want); i >= 0 {
					t.Fatalf("simd %d, blocks of %d, %d channels, %v: place %d is %v, want %v", f.simd, f.block, channels, c, i, got[i], want[i])
				}
			}
			for _, bad := range []struct{ x, factors []int }{{[]int{2, full, 3, 3}, []int{2, full, 3, 3}}, {[]int{2, full, 3, 3}, []int{3, full, 1, 1}}, {[]int{1, full, 3, 3}, []int{2, full, 1, 1}}} {
				_, err := s.Run(context.Background(), []*tensor.Tensor{tensor.Of(make([]float32, tensor.Count(bad.x)), bad.x...), tensor.Of(make([]float32, tensor.Count(bad.factors)), bad.factors...)})
				if err == nil || !strings.Contains(err.Error(), "Scale: the values are not in blocks of channels, or have not one factor each") {
					t.Errorf("%v by %v: %v", bad.x, bad.factors, err)
				}
			}
			s.Close()
		}
	}
	for _, bad := range [][2]int64{{12, 8}, {16, 0}} {
		_, err := Backend{}.Prepare(context.Background(), scaleAlone(bad[1], 48, 2, bad[0]), engine.Options{Optimize: "none"})
		if err == nil || !strings.Contains(err.Error(), "Scale: a block is of 8 or 16 floats, and there are channels") {
			t.Errorf("blocks of %d, %d channels: %v", bad[0], bad[1], err)
		}
	}
}

// squeeze is a squeeze-and-excitation block between two convolutions, whose first is
// packed. read names what reads the product besides.
func squeeze(channels int, pool, read string, packs bool) *onnx.Model {
	rng := rand.New(rand.NewPCG(7, 8))
	weights := func(name string, shape ...int) *onnx.Tensor {
		w := make([]float32, tensor.Count(shape))
		for i := range w {
			w[i] = float32(rng.NormFloat64()) / 2
		}
		return onnx.NewTensor(name, tensor.Of(w, shape...))
	}
	squeezed := node(pool, "squeeze", "a", "s")
	if pool == "ReduceMean" {
		squeezed.Attrs = []*onnx.Attr{{Name: "axes", Type: onnx.AttrInts, Ints: []int64{2, 3}}}
	}
	nodes := []*onnx.Node{node("Conv", "conv", "x w b", "v"), node("HardSwish", "act", "v", "a"), squeezed,
		node("Conv", "down", "s wd", "d"), node("Relu", "relu", "d", "r"), node("Conv", "up", "r wu", "u"), node("HardSigmoid", "gate", "u", "g"),
		node("Mul", "mul", "g a", "p"), node("Conv", "last", "p w2", "y")}
	outputs := []*onnx.Value{onnx.NewValue("y", tensor.Float32, nil)}
	if read != "" {
		nodes = append(nodes, node(read, "more", "p", "z"))
		outputs = append(outputs, onnx.NewValue("z", tensor.Float32, nil))
	}
	if packs {
		nodes = append(nodes, &onnx.Node{Name: "pack", Op: engine.SignPack, Domain: engine.Domain, Inputs: []string{"v", "knots"}, Outputs: []string{"codes"}})
		outputs = append(outputs, onnx.NewValue("codes", tensor.Uint8, nil))
	}
	m := model([]*onnx.Value{onnx.NewValue("x", tensor.Float32, []onnx.Dim{{Size: -1}, {Size: 3}, {Size: 9}, {Size: 9}})}, outputs,
		[]*onnx.Tensor{weights("w", channels, 3, 3, 3), weights("b", channels), weights("wd", 8, channels, 1, 1), weights("wu", channels, 8, 1, 1),
			weights("w2", 32, channels, 3, 3), onnx.NewTensor("knots", tensor.Of([]float32{-3, 3}, 2))}, nodes...)
	m.Opsets = []onnx.Opset{{Version: 17}, {Domain: engine.Domain, Version: 1}}
	return m
}

// The product of squeeze-and-excitation stays in blocks where all that reads it takes
// blocks, and nothing moves.
func TestFusedScale(t *testing.T) {
	needActPack(t)
	for _, channels := range []int{24, 32, 36} {
		for _, pool := range []string{"GlobalAveragePool", "ReduceMean"} {
			for _, read := range []string{"", "MaxPool", "Softmax"} {
				what := fmt.Sprintf("%d channels, %s, %q", channels, pool, read)
				plain, ours := squeeze(channels, pool, read, false), squeeze(channels, pool, read, true)
				if read == "MaxPool" {
					for _, m := range []*onnx.Model{plain, ours} {
						for _, n := range m.Graph.Nodes {
							if n.IsOp("MaxPool") {
								n.Attrs = []*onnx.Attr{{Name: "kernel_shape", Type: onnx.AttrInts, Ints: []int64{2, 2}}}
							}
						}
					}
				}
				want := read == "" && channels != 36                                                                                                     // of which no codes are packed in blocks
				if has := slices.ContainsFunc(fusedNodes(t, ours), func(n *onnx.Node) bool { return n.Op == scale }); has != want && read != "MaxPool" { // it takes blocks where they are full
					t.Errorf("%s: in blocks %v, want %v", what, has, want)
				}
				x := make([]float32, 3*243)
				rng := rand.New(rand.NewPCG(1, 2))
				for i := range x {
					x[i] = float32(rng.NormFloat64() * 3)
				}
				in := tensor.Of(x, 3, 3, 9, 9)
				got, own := run(t, prepared(t, ours, engine.Options{}), in), run(t, prepared(t, plain, engine.Options{}), in)
				for i := range own {
					if !slices.Equal(got[i].Bytes(), own[i].Bytes()) {
						t.Errorf("%s: output %d moves", what, i)
					}
				}
			}
		}
	}
}

// Factors of one number of items and values of another are no matter for Scale, though
// neither is known: they may be one and many.
func TestScaleOfOtherItems(t *testing.T) {
	needActPack(t)
	m := squeeze(32, "GlobalAveragePool", "", true)
	for _, n := range m.Graph.Nodes {
		if n.Name == "squeeze" {
			n.Inputs[0] = "q"
		}
	}
	m.Graph.Nodes = append([]*onnx.Node{node("Conv", "beside", "z w b", "q")}, m.Graph.Nodes...)
	dims := []onnx.Dim{{Size: -1, Param: "m"}, {Size: 3}, {Size: 9}, {Size: 9}}
	m.Graph.Inputs = append(m.Graph.Inputs, onnx.NewValue("z", tensor.Float32, dims))
	s := prepared(t, m, engine.Options{})
	for _, n := range [][2]int{{1, 3}, {3, 1}, {2, 2}} {
		out := run(t, s, tensor.Of(make([]float32, n[0]*243), n[0], 3, 9, 9), tensor.Of(make([]float32, n[1]*243), n[1], 3, 9, 9))
		if got := out[0].Shape[0]; got != max(n[0], n[1]) {
			t.Errorf("%d and %d items give %d", n[0], n[1], got)
		}
	}
	dims[0].Param = "n"
	m.Graph.Inputs[0].Shape[0].Param = "n"
	if !slices.ContainsFunc(fusedNodes(t, m), func(n *onnx.Node) bool { return n.Op == scale }) {
		t.Error("of the same number of items they are")
	}
}
