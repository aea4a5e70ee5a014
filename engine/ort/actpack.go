//go:build cgo

package ort

import (
	"context"
	"math"
	"slices"
	"sync"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// ActPack is SignPack with the activation that follows, for values in blocks of
// channels:
//
//	y, codes, nan = ActPack(x, knots)
//
// A convolution of ONNX Runtime applies the activation itself, before it writes its
// values, unless something else asks for them. Packing does, so that the activation
// becomes a node of its own, which reads and writes all values once more. ActPack packs
// while it does so. It is no part of a model: fuse puts it into a session.
const actPack = "ActPack"

// activation is one that ActPack applies, of kind as pack.h numbers them.
type activation struct {
	kind        int64
	alpha, beta float32
}

const (
	actRelu        = iota + 2 // max(0, x)
	actClip                   // min(beta, max(alpha, x))
	actHardSigmoid            // max(0, min(1, alpha x + beta))
	actHardSwish              // x hardSigmoid(x)
	actSiLU                   // x / (1 + exp(-x)), ONNX Runtime's QuickGelu; for another factor of x it computes otherwise
)

// activationAt finds the activation of x in an optimised graph: the nodes that compute
// it, the last of which makes its value.
func activationAt(m *onnx.Model, ix *onnx.Index, shown map[string]bool, x string) (activation, []*onnx.Node) {
	for _, n := range ix.Readers[x] {
		switch {
		case n.IsOp("Relu"):
			return activation{kind: actRelu}, []*onnx.Node{n}
		case n.IsOp("Clip"):
			if lo, hi, ok := bounds(m, ix, n); ok && n.Inputs[0] == x {
				return activation{actClip, lo, hi}, []*onnx.Node{n}
			}
		case n.IsOp("HardSigmoid"):
			a := activation{actHardSigmoid, n.Float("alpha", 0.2), n.Float("beta", 0.5)}
			y := n.Outputs[0]
			if r := ix.Readers[y]; len(r) == 1 && !shown[y] && r[0].IsOp("Mul") && slices.Contains(r[0].Inputs, x) {
				a.kind = actHardSwish
				return a, []*onnx.Node{n, r[0]}
			}
			return a, []*onnx.Node{n}
		case n.Op == "QuickGelu" && n.Domain == "com.microsoft" && n.Float("alpha", 1.702) == 1:
			return activation{kind: actSiLU}, []*onnx.Node{n}
		}
	}
	return activation{}, nil
}

// bounds are the numbers of a Clip of float32. Without one ONNX Runtime clips at the last
// number before infinity.
func bounds(m *onnx.Model, ix *onnx.Index, n *onnx.Node) (lo, hi float32, ok bool) {
	lo, hi = n.Float("min", -math.MaxFloat32), n.Float("max", math.MaxFloat32)
	values, ok := constants(m, ix, n.Inputs[1:min(len(n.Inputs), 3)])
	for i, v := range values {
		if v == nil {
			continue
		}
		if v.DType != tensor.Float32 || tensor.Count(v.Shape) != 1 {
			return 0, 0, false
		}
		*[]*float32{&lo, &hi}[i] = tensor.Data[float32](v)[0]
	}
	return lo, hi, ok
}

// constants are the values of names; ok is false where one is computed.
func constants(m *onnx.Model, ix *onnx.Index, names []string) (values []*tensor.Tensor, ok bool) {
	for _, name := range names {
		var v *tensor.Tensor
		if name != "" {
			t := ix.Const[name]
			if t == nil {
				return nil, false
			}
			var err error
			if v, err = m.Values(t); err != nil {
				return nil, false
			}
		}
		values = append(values, v)
	}
	return values, true
}

// nodes computes the activation of x by ONNX Runtime's operators.
func (a activation) nodes(e *rewrite.Edit, x string) (y string) {
	switch a.kind {
	case actRelu:
		return e.Op("Relu", nil, x)
	case actClip:
		return e.Op("Clip", nil, x, e.Const(tensor.Scalar(a.alpha)), e.Const(tensor.Scalar(a.beta)))
	case actSiLU:
		y = e.Op("QuickGelu", map[string]any{"alpha": float32(1)}, x)
		e.Graph.Nodes[len(e.Graph.Nodes)-1].Domain = "com.microsoft"
		return y
	}
	y = e.Op("HardSigmoid", map[string]any{"alpha": a.alpha, "beta": a.beta}, x)
	if a.kind == actHardSwish {
		y = e.Op("Mul", nil, x, y)
	}
	return y
}

// attrs are what ActPack has of an activation.
func (a activation) attrs() []*onnx.Attr {
	return []*onnx.Attr{{Name: "kind", Type: onnx.AttrInt, Int: a.kind},
		{Name: "alpha", Type: onnx.AttrFloat, Float: a.alpha}, {Name: "beta", Type: onnx.AttrFloat, Float: a.beta}}
}

// joined makes one node of each SignPack of values in blocks and the activation of the same
// values. A SignPack may also read what a Relu makes: no knot is below zero there, and
// above zero it changes nothing.
func joined(e *rewrite.Edit) {
	ix, shown := e.Graph.Index(), shownOf(e.Graph)
	gone, instead := map[*onnx.Node]bool{}, map[*onnx.Node]*onnx.Node{}
	for _, s := range e.Graph.Nodes {
		if !isSignPack(s) || s.Int("block", 0) == 0 || s.Int("below", 0) != 0 || ix.Const[s.Inputs[1]] == nil {
			continue // knots that are computed may come of the activation itself
		}
		x := s.Inputs[0]
		a, nodes := activationAt(e.Model, ix, shown, x)
		if r := ix.Maker[x]; nodes == nil && r != nil && r.IsOp("Relu") && positive(e.Model, ix, s.Inputs[1]) {
			a, nodes, x = activation{kind: actRelu}, []*onnx.Node{r}, r.Inputs[0]
		}
		if nodes == nil || slices.ContainsFunc(nodes, func(n *onnx.Node) bool { return gone[n] || instead[n] != nil }) || !agrees(a) {
			continue
		}
		last := nodes[len(nodes)-1]
		instead[last] = &onnx.Node{Name: s.Name, Op: actPack, Domain: engine.Domain, Inputs: []string{x, s.Inputs[1]},
			Outputs: append([]string{last.Outputs[0]}, s.Outputs...), Attrs: append(slices.Clone(s.Attrs), a.attrs()...)}
		gone[s] = true
		for _, n := range nodes[:len(nodes)-1] {
			gone[n] = true
		}
	}
	for i, n := range e.Graph.Nodes {
		if instead[n] != nil {
			e.Graph.Nodes[i] = instead[n]
		}
	}
	e.Graph.Nodes = slices.DeleteFunc(e.Graph.Nodes, func(n *onnx.Node) bool { return gone[n] })
}

// positive says whether knots are constants none of which is below zero.
func positive(m *onnx.Model, ix *onnx.Index, knots string) bool {
	v, ok := constants(m, ix, []string{knots})
	return ok && v[0].DType == tensor.Float32 && !slices.ContainsFunc(tensor.Data[float32](v[0]), func(k float32) bool { return !(k >= 0) })
}

// agrees says whether ActPack's activation is, bit for bit, that of ONNX Runtime: over all
// exponents, and around the values at which the formula changes. It is asked once for
// each in a process.
func agrees(a activation) bool {
	ask, _ := agreed.LoadOrStore(a, sync.OnceValue(func() bool {
		x := a.probe(7, 64)
		ours, err := a.session(&onnx.Attr{Name: "block", Type: onnx.AttrInt, Int: int64(blockSize())})
		if err != nil { // no AVX2
			return false
		}
		defer ours.Close()
		theirs, err := a.session()
		if err != nil {
			return false
		}
		defer theirs.Close()
		in := []*tensor.Tensor{tensor.Of(x, 1, 16, 1, len(x)/16)}
		got, err := ours.Run(context.Background(), in)
		if err != nil {
			return false
		}
		want, err := theirs.Run(context.Background(), in)
		return err == nil && firstUnlike(tensor.Data[float32](got[0]), tensor.Data[float32](want[0])) < 0
	}))
	return ask.(func() bool)()
}

var agreed sync.Map // activation to func() bool

// firstUnlike is the first place at which two lists differ in more than which NaN it is;
// -1 for none.
func firstUnlike(a, b []float32) int {
	for i, v := range a {
		if math.Float32bits(v) != math.Float32bits(b[i]) && (v == v || b[i] == b[i]) {
			return i
		}
	}
	return -1
}

// probe are values to compare activations at, a multiple of 16 of them: of every exponent
// and sign so many mantissas, a power of two, and around each bend so many values on
// either side.
func (a activation) probe(mantissas, around int) []float32 {
	var x []float32
	for top := range uint32(1 << (9 + mantissas)) {
		bits := top << (23 - mantissas)
		x = append(x, math.Float32frombits(bits), math.Float32frombits(bits|top*0x9e3779b9>>(9+mantissas)))
	}
	for _, bend := range a.bends() {
		up, down := bend, bend
		for range around {
			x = append(x, up, down)
			up, down = math.Nextafter32(up, float32(math.Inf(1))), math.Nextafter32(down, float32(math.Inf(-1)))
		}
	}
	for len(x)%16 != 0 {
		x = append(x, 0)
	}
	return x
}

// bends are the values at which an activation's formula changes.
func (a activation) bends() []float32 {
	switch a.kind {
	case actClip:
		return []float32{0, a.alpha, a.beta}
	case actHardSigmoid, actHardSwish:
		return []float32{0, -a.beta / a.alpha, (1 - a.beta) / a.alpha}
	case actSiLU:
		return []float32{0, -18, 18}
	}
	return []float32{0}
}

// session applies the activation alone, to values [n, 16, h, w] in blocks: with ActPack,
// given the attributes of its blocks, which packs the sides of its bends, too; without
// them, with ONNX Runtime's operators.
func (a activation) session(blocks ...*onnx.Attr) (*session, error) {
	dims := []onnx.Dim{{Size: -1}, {Size: 16}, {Size: -1}, {Size: -1}}
	m := &onnx.Model{IR: 8, Opsets: []onnx.Opset{{Version: 17}, {Domain: "com.microsoft", Version: 1}, {Domain: engine.Domain, Version: 1}},
		Graph: &onnx.Graph{Name: "activation", Inputs: []*onnx.Value{onnx.NewValue("x", tensor.Float32, dims)}}}
	m, err := rewrite.Apply(m, rewrite.Pass{Name: "activation", Do: func(e *rewrite.Edit) error {
		if len(blocks) == 0 {
			e.Output(a.nodes(e, "x"), tensor.Float32, nil)
			return nil
		}
		e.Graph.Nodes = append(e.Graph.Nodes, &onnx.Node{Name: "y", Op: actPack, Domain: engine.Domain,
			Inputs: []string{"x", e.Const(tensor.Of(a.bends(), len(a.bends())))}, Outputs: []string{"y", "codes"},
			Attrs: slices.Concat(blocks, a.attrs(), []*onnx.Attr{{Name: "channels", Type: onnx.AttrInt, Int: 16}})})
		e.Output("y", tensor.Float32, nil)
		e.Output("codes", tensor.Uint8, nil)
		return nil
	}})
	if err != nil {
		return nil, err
	}
	proto, err := m.Marshal()
	if err != nil {
		return nil, err
	}
	return prepare(context.Background(), proto, sessionFiles{own: true}, engine.Options{Optimize: "none", Threads: 1})
}
