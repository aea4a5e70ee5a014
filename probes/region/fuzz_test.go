package region

import (
	"math/rand/v2"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// edit breaks a model: what asks for a node, an attribute or input of it, and a value.
func edit(m *onnx.Model, what []byte) {
	values := []int64{0, -1, 1, 2, 3, 7, 1 << 23, 1 << 40, -1 << 40}
	ops := []string{"Conv", "ConvTranspose", "MaxPool", "Concat", "Reshape", "Transpose", "Slice", "Gather", "Pad", "Resize", "MatMul", "Gemm",
		"Split", "SpaceToDepth", "DepthToSpace", "ReduceMean", "Softmax", "LayerNormalization", "Tile", "Expand", "Flatten", "Squeeze", "GlobalAveragePool", "LRN"}
	for ; len(what) >= 4; what = what[4:] {
		n := m.Graph.Nodes[int(what[0])%len(m.Graph.Nodes)]
		value := values[int(what[3])%len(values)]
		switch k := int(what[2]); {
		case what[1] == 0:
			n.Op = ops[k%len(ops)]
		case what[1] == 1 && len(n.Inputs) > 0:
			n.Inputs = n.Inputs[:len(n.Inputs)-1]
		case what[1] == 2:
			n.Inputs = append(n.Inputs, m.Graph.Nodes[k%len(m.Graph.Nodes)].Outputs[0])
		case what[1] == 3:
			n.Attrs = append(n.Attrs, number([]string{"axis", "blocksize", "keepdims", "group", "ceil_mode"}[k%5], value))
		case what[1] == 4 && len(n.Attrs) > 0:
			n.Attrs = n.Attrs[1:]
		case len(n.Attrs) > 0:
			if a := n.Attrs[k%len(n.Attrs)]; len(a.Ints) > 0 {
				a.Ints[int(what[1])%len(a.Ints)] = value
			} else {
				a.Int = value
			}
		}
	}
}

// Whatever a graph holds, its layouts are made or refused.
func survive(t *testing.T, seed uint64, what []byte) {
	m, b, _ := random(seed, false)
	edit(m, what)
	if m.Check() != nil {
		return
	}
	p, err := probes.Attach(m, probes.AttachOptions{Sites: site.Options{MaxPool: true}})
	if err != nil || p.Units() > 1<<20 {
		return
	}
	ls, err := Map(m, &p.Fit, p.Sites)
	if err != nil {
		return
	}
	for i := range ls {
		l := &ls[i]
		mask := newMask(l.InputH, l.InputW)
		mask.Set(l.InputH/2, l.InputW/2)
		for _, r := range []Rule{Nominal, Any, All} {
			if s, err := l.Units(mask, r); err != nil || s.Units > p.Sites[i].Units {
				t.Errorf("%s: site %s: %v", b.log, l.Site, err)
			}
		}
	}
}

func FuzzMap(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(seed, []byte{})
		f.Add(seed, []byte{byte(seed), byte(seed % 7), byte(3 * seed), byte(seed)})
	}
	f.Fuzz(survive)
}

func TestBrokenGraphs(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 1000 {
		seed, what := r.Uint64N(1000), make([]byte, 4*(1+r.IntN(3)))
		for i := range what {
			if what[i] = byte(r.Uint32()); i%4 == 1 {
				what[i] %= 7
			}
		}
		survive(t, seed, what)
	}
}
