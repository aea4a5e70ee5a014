package rewrite_test

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

const conformance = "../../../shared/data/onnx-conformance/"

// readTensors reads the files pattern % 0, 1, ... as TensorProto messages, each as
// the only constant of a model.
func readTensors(pattern string) ([]*tensor.Tensor, error) {
	var out []*tensor.Tensor
	for i := 0; ; i++ {
		pb, err := os.ReadFile(fmt.Sprintf(pattern, i))
		if err != nil {
			return out, nil
		}
		var graph, model []byte
		graph = protowire.AppendString(protowire.AppendTag(graph, 2, protowire.BytesType), "g")
		graph = protowire.AppendBytes(protowire.AppendTag(graph, 5, protowire.BytesType), append(pb, "\x42\x01x"...)) // named x
		model = protowire.AppendVarint(protowire.AppendTag(model, 1, protowire.VarintType), 8)
		model = protowire.AppendBytes(protowire.AppendTag(model, 7, protowire.BytesType), graph)
		model = protowire.AppendBytes(protowire.AppendTag(model, 8, protowire.BytesType), []byte{0x10, 17})
		m, err := onnx.Parse(model)
		if err != nil {
			return nil, err
		}
		v, err := m.Values(m.Graph.Initializers[0])
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
}

// frozen is the model with all inputs but the first keep as initializers, which
// most exporters make of them; the conformance cases make everything an input.
func frozen(m *onnx.Model, in []*tensor.Tensor, keep int) (*onnx.Model, []*tensor.Tensor) {
	m = m.Clone()
	if m.IR < 4 {
		m.IR = 4
	}
	for i, v := range m.Graph.Inputs[keep:] {
		m.Graph.Initializers = append(m.Graph.Initializers, onnx.NewTensor(v.Name, in[keep+i]))
	}
	m.Graph.Inputs = m.Graph.Inputs[:keep]
	return m, in[:keep]
}

// ONNX's own cases for each operator, of three ages: what ONNX Runtime computes
// rightly it still does when lowered, and what is not lowered says so.
func TestLowerConformance(t *testing.T) {
	text, err := os.ReadFile(conformance + "ort-web-1.30.0-not-passing.tsv")
	if err != nil {
		t.Skip(err)
	}
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	for _, suite := range []string{"node-opset-latest-2026-08", "node-v1.9.0-opset14", "node-v1.5.0-opset10"} {
		skip := map[string]bool{}
		for line := range strings.Lines(string(text)) {
			if c := strings.Split(line, "\t"); c[0] == suite {
				skip[c[1]] = true
			}
		}
		lowered, leftover := 0, map[string]int{}
		paths, _ := filepath.Glob(conformance + suite + "/test_*/model.onnx")
		for _, path := range paths {
			name := filepath.Base(filepath.Dir(path))
			data := filepath.Join(filepath.Dir(path), "test_data_set_0")
			m, err := onnx.Load(path)
			if err != nil {
				continue
			}
			in, err := readTensors(filepath.Join(data, "input_%d.pb"))
			want, err2 := readTensors(filepath.Join(data, "output_%d.pb"))
			if errors.Join(err, err2) != nil || len(in) != len(m.Graph.Inputs) {
				continue
			}
			t.Run(suite+"/"+name, func(t *testing.T) {
				done := false
				for keep := range len(in) + 1 {
					fm, fin := frozen(m, in, keep)
					shapes := map[string][]int64{}
					for i, v := range fm.Graph.Inputs {
						shapes[v.Name] = []int64{}
						for _, d := range fin[i].Shape {
							shapes[v.Name] = append(shapes[v.Name], int64(d))
						}
					}
					low, facts, err := rewrite.Lower(fm, shapes)
					if err != nil {
						t.Fatalf("%d inputs: %v", keep, err)
					}
					if err := speaks(low, facts); err != nil {
						if !strings.Contains(err.Error(), "left: ") {
							t.Errorf("%d inputs: %v", keep, err)
						}
						if keep == 1 {
							leftover[m.Graph.Nodes[0].Op]++
							t.Log(err)
						}
						continue
					}
					if skip[name] {
						continue
					}
					got, err := run(low, fin)
					if err != nil {
						if _, err2 := run(fm, fin); err2 != nil {
							t.Skip(err2) // ONNX Runtime cannot run it at all
						}
						if strings.Contains(err.Error(), "NOT_IMPLEMENTED") { // a kernel for the type is missing
							t.Skip(err)
						}
						t.Fatalf("%d inputs: %v", keep, err)
					}
					if err := enginetest.Equal(got, want, within(want)); err != nil {
						if was, err2 := run(fm, fin); err2 != nil || enginetest.Equal(was, want, within(want)) == nil {
							t.Errorf("%d inputs: %v", keep, err)
						}
					}
					done = true
				}
				if done {
					lowered++
				}
			})
		}
		t.Logf("%s: %d of %d cases lowered and right; operators left: %v", suite, lowered, len(paths), slices.Sorted(maps.Keys(leftover)))
	}
}

// within is enginetest.Conformance's tolerance: the specification leaves the order of
// sums and the last bits of the transcendental functions open; half precision rounds
// every step.
func within(want []*tensor.Tensor) float64 {
	d := 1e-5
	for _, w := range want {
		for _, v := range w.Float64s() {
			if w.DType.IsFloat() && math.Abs(v) < 1e30 {
				d = max(d, math.Abs(v)*1e-4)
			}
		}
		if w.DType == tensor.Float16 || w.DType == tensor.BFloat16 {
			d = max(d, 2e-2)
		}
	}
	return d
}
