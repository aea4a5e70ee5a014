package partition

import (
	"fmt"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// survey looks for what keeps the output from being piecewise affine in the input, and
// for boundaries that no site shows: bent are sites and nodes of the first kind,
// unwatched those of the second.
func survey(m *onnx.Model, input, output string, sites []site.Site) (bent, unwatched []string) {
	on := map[*onnx.Node]bool{}
	needed := map[string]bool{output: true}
	for _, n := range slices.Backward(m.Graph.Nodes) {
		if slices.ContainsFunc(n.Outputs, func(o string) bool { return needed[o] }) {
			on[n] = true
			for _, v := range n.Reads() {
				needed[v] = true
			}
		}
	}
	for i := range sites {
		s := &sites[i]
		if !on[s.Nodes()[0]] {
			continue
		}
		name := fmt.Sprintf("%s (%s)", s.Name, s.Op)
		// Some bend between their knots too.
		if op := onnx.OperatorNamed(s.Op); s.Smooth || op != nil && op.Traits&onnx.Smooth != 0 {
			bent = append(bent, name)
		}
		if !followed(s) {
			unwatched = append(unwatched, name)
		}
	}
	for _, u := range site.Survey(m, sites, []string{input}, []string{output}) {
		op := u.Node.Operator()
		const steps = onnx.Piecewise | onnx.Step | onnx.Grid
		if u.Kind == site.KindGuard || u.Kind == site.KindBend && (u.Op == "Cast" || op != nil && op.Traits&steps != 0) {
			unwatched = append(unwatched, u.Node.String())
		} else {
			bent = append(bent, u.Node.String())
		}
	}
	return bent, unwatched
}

// followed says whether the boundaries of a site are looked for: at knots, where
// elements of one value overtake each other, and where two values meet.
func followed(s *site.Site) bool { return s.Choices() == nil && len(s.Compared()) <= 1 }
