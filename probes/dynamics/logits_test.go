package dynamics

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Whatever else a network gives before its logits, the figures are those of the network
// that gives them alone.
func TestLogitsOfSeveralOutputs(t *testing.T) {
	attacked := func() *Study {
		s := study(t)
		s.Settings.Attack = &Attack{Norm: "linf", Epsilon: 0.3, Step: 0.1, Iterations: 5}
		return s
	}
	want := words(t, figures(follow(t, attacked(), corners(t, threeSteps...), t.TempDir())))
	for name, change := range map[string]func(g *onnx.Graph){
		"the second output": func(g *onnx.Graph) {
			g.Outputs = []*onnx.Value{onnx.NewValue("z", tensor.Float32, g.Outputs[0].Shape), g.Outputs[0]}
		},
		"before a softmax": func(g *onnx.Graph) {
			g.Nodes = append(g.Nodes, &onnx.Node{Name: "softmax", Op: "Softmax", Inputs: []string{"logits"}, Outputs: []string{"p"}})
			g.Outputs = []*onnx.Value{onnx.NewValue("p", tensor.Float32, g.Outputs[0].Shape)}
		},
	} {
		ckpts := t.TempDir()
		for i, p := range threeSteps {
			m := corner(p[0], p[1])
			change(m.Graph)
			save(t, m, filepath.Join(ckpts, "step-"+string(rune('1'+i))+".onnx"))
		}
		if got := words(t, figures(follow(t, attacked(), ckpts, t.TempDir()))); got == want {
			t.Errorf("%s: its first output gives the same figures as its logits", name)
		}
		s := attacked()
		s.Load, s.Logits = LogitsFirst(s.Load, "logits"), "logits"
		if got := words(t, figures(follow(t, s, ckpts, t.TempDir()))); got != want {
			t.Errorf("%s: figures\n%s\nwant\n%s", name, got, want)
		}
	}
	m := corner(0.5, 0.5)
	if got := SoftmaxOf(m); got != "" {
		t.Errorf("the logits are the Softmax of %q", got)
	}
	m.Graph.Nodes = append(m.Graph.Nodes, &onnx.Node{Name: "softmax", Op: "Softmax", Inputs: []string{"logits"}, Outputs: []string{"p"}})
	m.Graph.Outputs = []*onnx.Value{onnx.NewValue("p", tensor.Float32, m.Graph.Outputs[0].Shape)}
	if got := SoftmaxOf(m); got != "logits" {
		t.Errorf("the output is the Softmax of %q, want logits", got)
	}
	path := filepath.Join(t.TempDir(), "step-1.onnx")
	save(t, corner(0.5, 0.5), path)
	for _, name := range []string{"no such", "input", "w"} {
		if _, err := LogitsFirst(onnx.Load, name)(path); err == nil || !strings.Contains(err.Error(), `its outputs are "logits"`) {
			t.Errorf("%q as logits: %v", name, err)
		}
	}
}
