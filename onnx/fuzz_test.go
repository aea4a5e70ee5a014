package onnx

import (
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Whatever parses can be written, read again, checked, sorted and inferred. Run it
// with -fuzzminimizetime=1x: Go's minimizing of each new input takes a minute.
func FuzzParse(f *testing.F) {
	for _, path := range ownModels(f) {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		m, err := parse(data, nil)
		if err != nil {
			f.Fatal(err)
		}
		// Fuzzing is slow on large inputs, so only some nodes and no weights.
		m.Graph.Nodes, m.Graph.Initializers, m.Graph.Values, m.Meta = m.Graph.Nodes[:min(8, len(m.Graph.Nodes))], nil, nil, nil
		for _, n := range m.Graph.Nodes {
			n.Meta = n.Meta[:min(1, len(n.Meta))]
		}
		if b := marshal(f, m); len(b) < 3000 {
			f.Add(b)
		}
	}
	f.Add(marshal(f, small(value("x", 1, 3), node("Gemm", "x w", "h", intAttr("transB", 1)),
		condition(branch("i", node("Neg", "h", "i")), "y")).with(zeros(f, "w", 2, 3), int64s("k", 1, 2, 3))))
	f.Add([]byte(modelOf(pb{}.b(15, pb{}.b(1, tensorOf("s", tensor.Float32, 1)))).b(20, pb{}.b(1, nil)).b(25, pb{}.s(1, "f"))))
	f.Fuzz(func(t *testing.T, data []byte) {
		if m, err := parse(data, nil); err == nil {
			exercise(t, m)
		}
	})
}

// Inference survives every operator with any inputs and attributes.
func FuzzInfer(f *testing.F) {
	ops := slices.Sorted(maps.Keys(inference))
	for i := range ops {
		f.Add([]byte{byte(i), 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, byte(i), 20, 21, 22, 23, 24, 25, 26, 27, 28})
		f.Add([]byte{byte(i), 0xff, 3, 0, 0, 0, 0, 2, 2, 2, 2, 2, byte(i), 0, 0, 1, 1, 3, 3, 6, 6, 7, 7})
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m := scramble(t, ops, data)
		var fs faults // of the structure: attributes and constants may be anything
		if m.checkStructure(&fs); fs.join() != nil {
			t.Fatalf("the generator made an unsound model: %v", fs.join())
		}
		_ = m.Check()
		facts, _ := m.Infer(nil)
		for name, f := range facts {
			if err := f.plausible(); err != nil {
				t.Fatalf("%q: %v", name, err)
			}
			if f.Const != nil && int64(len(f.Const)) != count(f.Shape) {
				t.Fatalf("%q of shape %v has %d elements", name, f.Shape, len(f.Const))
			}
		}
	})
}

// cutLast splits DOMAIN.OP.
func cutLast(s string) (domain, op string) {
	i := strings.LastIndexByte(s, '.')
	return s[:max(i, 0)], s[i+1:]
}

// scramble builds a sound model whose nodes, inputs and attributes data chooses.
func scramble(t testing.TB, ops []string, data []byte) *Model {
	next := func() int {
		if len(data) == 0 {
			return 0
		}
		b := data[0]
		data = data[1:]
		return int(b)
	}
	sizes := []int64{0, 1, 2, 3, 4, 7, 8, -1, -2, 64, 4096, 1 << 24, 1e12, math.MaxInt64, math.MinInt64, 1 << 31}
	size := func() int64 { return sizes[next()%len(sizes)] }
	m := small(value("x", 2, 4, 8, 8)).with(zeros(t, "w", 4, 4, 3, 3), zeros(t, "v", 4), int64s("i", size(), size(), size(), size()),
		int64s("j", size(), size()), int64s("k", size()), NewTensor("n", tensor.Scalar(size())), int64s("e"))
	m.Graph.Inputs = append(m.Graph.Inputs, value("m", 4, 6), value("u", -1, -1), NewValue("r", tensor.Float32, nil), value("s"))
	m.Opsets[0].Version = int64(6 + next()%14)
	m.Opsets = append(m.Opsets, Opset{"com.microsoft", 1}, Opset{"ai.onnx.ml", 3})
	names := []string{"", "x", "w", "v", "i", "j", "k", "n", "e", "m", "u", "r", "s"}
	lists := []string{"strides", "pads", "dilations", "kernel_shape", "axes", "perm", "split", "shape", "repeats", "starts", "ends", "value_ints", "output_padding", "output_shape"}
	scalars := []string{"axis", "group", "to", "transA", "transB", "keepdims", "ceil_mode", "blocksize", "k", "start", "end", "num_outputs", "allowzero", "broadcast", "output_height", "channels_last", "num_heads",
		"kv_num_heads", "q_num_heads", "hidden_size", "layout", "batch_dims", "N", "transBatchA", "transBatchB", "targets"}
	for i := 0; len(data) > 0 && i < 12; i++ {
		n := &Node{}
		n.Domain, n.Op = cutLast(ops[next()%len(ops)])
		for range next() % 5 {
			n.Inputs = append(n.Inputs, names[next()%len(names)])
		}
		for j := range 1 + next()%3 {
			n.Outputs = append(n.Outputs, fmt.Sprintf("o%d.%d", i, j))
		}
		used := map[string]bool{}
		for range next() % 4 {
			a := &Attr{Type: AttrInts}
			if b := next(); b%2 == 0 {
				a.Name = lists[b/2%len(lists)]
				for range next() % 5 {
					a.Ints = append(a.Ints, size())
				}
			} else {
				a.Name, a.Type, a.Int = scalars[b/2%len(scalars)], AttrInt, size()
			}
			if !used[a.Name] {
				used[a.Name] = true
				n.Attrs = append(n.Attrs, a)
			}
		}
		m.Graph.Nodes = append(m.Graph.Nodes, n)
		names = append(names, n.Outputs...)
	}
	if len(m.Graph.Nodes) > 0 {
		m.Graph.Outputs = []*Value{NewValue(m.Graph.Nodes[0].Outputs[0], tensor.Float32, nil)}
	}
	return m
}
