//go:build cgo

package ort

import (
	"context"
	"slices"
	"sync"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/internal/scratch"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// nchwc is the domain of the operators on values that ONNX Runtime keeps in blocks
// of channels, as its convolutions like them.
const nchwc = "com.microsoft.nchwc"

// maxSaved bounds the models that fuse takes: what ONNX Runtime writes in one file
// must stay below 2 GiB.
const maxSaved = 1 << 30

// fuse makes SignPack read values as the convolutions leave them, joins it with the
// activation that follows, and has channels scaled in blocks. ONNX Runtime optimises a
// model, and so puts its values in blocks of channels, only while it makes a session,
// where nothing of ours can take part; all it knows to do for SignPack is to put every
// value back in the usual order first, which costs more than the packing. So the model it
// has optimised is written to a file and given operators that know of blocks. nil means
// that there is nothing to be gained.
//
// opt is that model, m the one it was made from, in which disguise has hidden nodes.
func fuse(opt, m *onnx.Model, hidden map[string]disguised) (*onnx.Model, error) {
	gained := len(hidden) > 0
	opt, err := rewrite.Apply(opt, rewrite.Pass{Name: "fuse", Do: func(e *rewrite.Edit) error {
		if err := undisguise(e, hidden); err != nil {
			return err
		}
		makers := e.Graph.Index().Maker
		for _, n := range e.Graph.Nodes {
			if r := makers[n.Input(0)]; isSignPack(n) && usualOrder(r) && r.Int("channels", 0)%8 == 0 {
				n.Inputs[0] = r.Input(0)
				n.Attrs = append(n.Attrs, blocks(r)...)
				gained = true
			}
		}
		joined(e)
		scaled(e, m)
		readers, shown := e.Graph.Index().Readers, shownOf(e.Graph)
		e.Graph.Nodes = slices.DeleteFunc(e.Graph.Nodes, func(n *onnx.Node) bool {
			return n.Domain == nchwc && n.Op == "ReorderOutput" && readers[n.Outputs[0]] == nil && !shown[n.Outputs[0]]
		})
		// The order of nodes that nothing reads decides in which order all others
		// run; the file has them elsewhere than m.
		place := map[string]int{}
		for i, n := range m.Graph.Nodes {
			for _, o := range n.Outputs {
				place[o] = i
			}
		}
		last := func(n *onnx.Node) int {
			at := 0
			for _, o := range n.Outputs {
				if readers[o] != nil && o != "" {
					return 0
				}
				at = max(at, place[o])
			}
			return at
		}
		slices.SortStableFunc(e.Graph.Nodes, func(a, b *onnx.Node) int { return last(a) - last(b) })
		return nil
	}})
	if err != nil || !gained {
		return nil, err
	}
	return opt, nil
}

func isSignPack(n *onnx.Node) bool { return n.Domain == engine.Domain && n.Op == engine.SignPack }

// usualOrder says whether a node puts values in blocks in the usual order.
func usualOrder(n *onnx.Node) bool {
	return n != nil && n.Domain == nchwc && n.Op == "ReorderOutput" && n.Int("channels", 0) > 0 && n.Int("channels_last", 0) == 0
}

// blocks are the attributes of an operator of ours that reads what such a node does.
func blocks(reorder *onnx.Node) []*onnx.Attr {
	return []*onnx.Attr{{Name: "block", Type: onnx.AttrInt, Int: int64(blockSize())},
		{Name: "channels", Type: onnx.AttrInt, Int: reorder.Int("channels", 0)}}
}

// shownOf are the graph's outputs.
func shownOf(g *onnx.Graph) map[string]bool {
	shown := map[string]bool{}
	for _, v := range g.Outputs {
		shown[v.Name] = true
	}
	return shown
}

// worthFusing says whether ONNX Runtime may keep in blocks what SignPack of m reads.
func worthFusing(m *onnx.Model, o engine.Options) bool {
	if o.Device.Kind == "cuda" || levels[o.Optimize] != levels["all"] || m.Opset(engine.Domain) == 0 || half(m) {
		return false
	}
	size := 0
	for _, t := range m.Tensors() {
		n := 8
		for _, d := range t.Dims {
			n *= int(d)
		}
		size += n
	}
	return size < maxSaved && readsBlocks(m.Graph) && blockSize() > 0
}

// unblocked are operators that neither read nor make values in blocks.
var unblocked = []string{"MatMul", "Gemm", "Reshape", "Flatten", "Transpose", "LayerNormalization", "Softmax", "Gather", "Einsum"}

// readsBlocks says whether a SignPack reads what may come in blocks from a convolution:
// the trial costs another session, and a file of all weights.
func readsBlocks(g *onnx.Graph) bool {
	makers, seen := g.Index().Maker, map[*onnx.Node]bool{}
	var comes func(n *onnx.Node) bool
	comes = func(n *onnx.Node) bool {
		if n == nil || seen[n] || slices.Contains(unblocked, n.Op) {
			return false
		}
		seen[n] = true
		return n.IsOp("Conv") || slices.ContainsFunc(n.Inputs, func(in string) bool { return comes(makers[in]) })
	}
	return slices.ContainsFunc(g.Nodes, func(n *onnx.Node) bool {
		return isSignPack(n) && comes(makers[n.Input(0)])
	})
}

// fused makes the session of fuse; nil where nothing is to be gained. What it does
// is only faster, so a full disk is no error.
func fused(ctx context.Context, m *onnx.Model, f sessionFiles, o engine.Options) *session {
	f.own = true
	m, hidden, err := disguise(ctx, m, f, o)
	if err != nil {
		return nil
	}
	opt, done, err := optimised(ctx, m, f, o)
	if err != nil {
		return nil
	}
	defer done()
	if opt, err = fuse(opt, m, hidden); opt == nil || err != nil {
		return nil
	}
	o.Optimize = "none" // it is, and the optimiser would not know our blocks
	s, err := prepareLean(ctx, opt, sessionFiles{file: f.file, own: true}, o)
	if err != nil {
		return nil
	}
	return s
}

// optimised is what ONNX Runtime makes of a model. Its weights lie in a file until done.
func optimised(ctx context.Context, m *onnx.Model, f sessionFiles, o engine.Options) (opt *onnx.Model, done func(), err error) {
	f.save, done, err = scratch.File()
	if err != nil {
		return nil, nil, err
	}
	s, err := prepareLean(ctx, m, f, o)
	if err == nil {
		s.Close()
		opt, err = onnx.Load(f.save)
	}
	if err != nil {
		done()
		return nil, nil, err
	}
	return opt, done, nil
}

// blockSize is how many channels this machine's ONNX Runtime puts in a block, found
// out by having it put one value in blocks; 0 when it does not do so, or not as
// SignPack knows it.
var blockSize = sync.OnceValue(func() int {
	const channels, area = 16, 3
	x := make([]float32, channels*area)
	for i := range x {
		x[i] = float32(i)
	}
	dims := []onnx.Dim{{Size: 1}, {Size: channels}, {Size: 1}, {Size: area}}
	m := &onnx.Model{IR: 8, Opsets: []onnx.Opset{{Version: 17}, {Domain: nchwc, Version: 1}}, Graph: &onnx.Graph{Name: "blocks",
		Inputs:  []*onnx.Value{onnx.NewValue("x", tensor.Float32, dims)},
		Outputs: []*onnx.Value{onnx.NewValue("y", tensor.Float32, nil)},
		Nodes:   []*onnx.Node{{Name: "reorder", Op: "ReorderInput", Domain: nchwc, Inputs: []string{"x"}, Outputs: []string{"y"}}}}}
	proto, err := m.Marshal()
	if err != nil {
		return 0
	}
	s, err := prepare(context.Background(), proto, sessionFiles{}, engine.Options{Optimize: "none", Threads: 1})
	if err != nil {
		return 0
	}
	defer s.Close()
	out, err := s.Run(context.Background(), []*tensor.Tensor{tensor.Of(x, 1, channels, 1, area)})
	if err != nil || tensor.Count(out[0].Shape) != channels*area {
		return 0
	}
	y := tensor.Data[float32](out[0])
	for _, b := range []int{8, 16} {
		same := true
		for c := range channels {
			for p := range area {
				same = same && y[(c/b*area+p)*b+c%b] == x[c*area+p]
			}
		}
		if same {
			return b
		}
	}
	return 0
})
