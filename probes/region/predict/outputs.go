package predict

import (
	"fmt"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// outputs are the places of those that are read; -1 for none.
type outputs struct {
	boxes, scores, labels int
	probable              bool // the values of classes are probabilities
}

// usual are the names by which exporters call outputs, for each role.
var usual = map[string][]string{
	"boxes":  {"boxes", "pred_boxes", "dets", "detections"},
	"scores": {"scores", "logits", "pred_logits"},
	"labels": {"labels", "classes", "pred_labels"},
	"map":    {"labels", "logits", "out", "segmentation"},
}

// choose finds the outputs to read: those named, else those with a usual name that
// have a fitting type and shape, else the only one that fits.
func (s *Settings) choose(ports []engine.Port) (o outputs, err error) {
	o = outputs{-1, -1, -1, false}
	last := func(p engine.Port) int {
		if len(p.Shape) == 0 {
			return -1
		}
		return p.Shape[len(p.Shape)-1]
	}
	if s.Kind == Labels {
		o.labels, err = s.find(ports, "labels", "map", true, func(p engine.Port) bool {
			n := len(p.Shape)
			return p.Shape == nil || p.DType.IsFloat() && (n == 3 || n == 4) || isInteger(p.DType) && n >= 2 && n <= 4
		})
		return o, err
	}
	if o.boxes, err = s.find(ports, "boxes", "boxes", true, func(p engine.Port) bool {
		n := last(p)
		return p.DType.IsFloat() && (p.Shape == nil || (len(p.Shape) == 2 || len(p.Shape) == 3) && (n == 4 || n == 6 || n == -1))
	}); err != nil {
		return o, err
	}
	boxes := ports[o.boxes]
	if last(boxes) == 6 {
		return o, nil
	}
	rank := len(boxes.Shape)
	if o.scores, err = s.find(ports, "scores", "scores", false, func(p engine.Port) bool {
		return p.DType.IsFloat() && p.Name != boxes.Name && (p.Shape == nil || rank == 0 || len(p.Shape) == rank || len(p.Shape) == rank-1)
	}); err != nil {
		return o, err
	}
	o.labels, err = s.find(ports, "labels", "labels", false, func(p engine.Port) bool {
		return isInteger(p.DType) && (p.Shape == nil || rank == 0 || len(p.Shape) == rank-1)
	})
	return o, err
}

// find is the place of the output for a role; -1 where none is needed and none, or
// more than one, fits.
func (s *Settings) find(ports []engine.Port, role, names string, needed bool, fits func(engine.Port) bool) (int, error) {
	if name, given := s.Outputs[role]; given {
		for i, p := range ports {
			if p.Name == name {
				if !fits(p) {
					return -1, fmt.Errorf("its output %s cannot be its %s", describe(p), role)
				}
				return i, nil
			}
		}
		return -1, fmt.Errorf("it has no output %q for its %s; it has %s", name, role, describeAll(ports))
	}
	fit := []int{}
	for i, p := range ports {
		if fits(p) {
			fit = append(fit, i)
		}
	}
	for _, name := range usual[names] {
		for _, i := range fit {
			if ports[i].Name == name {
				return i, nil
			}
		}
	}
	switch {
	case len(fit) == 1:
		return fit[0], nil
	case !needed:
		return -1, nil
	case len(fit) == 0:
		return -1, fmt.Errorf("none of its outputs can be its %s; it has %s", role, describeAll(ports))
	}
	return -1, fmt.Errorf("which of its outputs are its %s? Name one of %s", role, describeAll(ports))
}

func isInteger(d tensor.DType) bool {
	return slices.Contains([]tensor.DType{tensor.Uint8, tensor.Int8, tensor.Uint16, tensor.Int16, tensor.Int32, tensor.Uint32, tensor.Int64, tensor.Uint64}, d)
}

func describe(p engine.Port) string { return fmt.Sprintf("%q (%s %v)", p.Name, p.DType, p.Shape) }

func describeAll(ports []engine.Port) string {
	var all []string
	for _, p := range ports {
		all = append(all, describe(p))
	}
	return strings.Join(all, ", ")
}

// probable reports whether the values of classes are probabilities already: a Softmax
// or a Sigmoid gives the output.
func probable(m *onnx.Model, output string) bool {
	for _, n := range m.Graph.Nodes {
		if slices.Contains(n.Outputs, output) {
			return n.Op == "Softmax" || n.Op == "Sigmoid"
		}
	}
	return false
}
