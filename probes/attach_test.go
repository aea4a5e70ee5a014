package probes

import (
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
)

// Probes stand last place first: see attach.
func TestTapsStandLastPlaceFirst(t *testing.T) {
	m := network(t, 8, func(e *rewrite.Edit, x string) string {
		return e.Op("Relu", nil, e.Op("LeakyRelu", nil, e.Op("Relu", nil, x)))
	})
	p, err := Attach(m, AttachOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, n := range p.Model.Graph.Nodes {
		if f := strings.Split(n.Name, "/"); f[0] == "onnxprobe" && !slices.Contains(order, f[1]) {
			order = append(order, f[1])
		}
	}
	if want := []string{"Relu_1", "LeakyRelu", "Relu"}; !slices.Equal(order, want) {
		t.Errorf("probes are written in the order %q, want %q", order, want)
	}
	for i, v := range p.Model.Graph.Outputs[1:] {
		if want := []string{"Relu", "LeakyRelu", "Relu_1"}[i]; v.Name != "onnxprobe.code/"+want {
			t.Errorf("output %d is %q, want that of %s", i+1, v.Name, want)
		}
	}
}
