package engine

import (
	"errors"
	"fmt"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// maxRank is the most dimensions a tensor can have here.
const maxRank = 32

// CheckInputs compares the inputs of a run with a session's ports and reports
// every fault: number, types, shapes, and data that do not fill their shape.
func CheckInputs(ports []Port, in []*tensor.Tensor) error {
	if len(in) != len(ports) {
		var names []string
		for _, p := range ports {
			names = append(names, p.Name)
		}
		return fmt.Errorf("got %d inputs; the model has %d: %q", len(in), len(ports), names)
	}
	var faults []error
	for i, p := range ports {
		if err := checkInput(p, in[i]); err != nil {
			faults = append(faults, fmt.Errorf("input %q: %w", p.Name, err))
		}
	}
	return errors.Join(faults...)
}

func checkInput(p Port, t *tensor.Tensor) error {
	if t == nil {
		return errors.New("got no tensor")
	}
	want := fmt.Sprintf("%s %v", p.DType, p.Shape)
	if p.Shape == nil {
		want = p.DType.String()
	}
	fault := func() error { return fmt.Errorf("got %s %v, want %s", t.DType, t.Shape, want) }
	if t.DType != p.DType {
		return fault()
	}
	if p.Shape != nil {
		if len(t.Shape) != len(p.Shape) {
			return fault()
		}
		for k, d := range p.Shape {
			if d >= 0 && t.Shape[k] != d {
				return fault()
			}
		}
	}
	if len(t.Shape) > maxRank {
		return fmt.Errorf("got %d dimensions, want at most %d", len(t.Shape), maxRank)
	}
	// A library trusts the shape; memory it describes must be there.
	n := 1
	for _, d := range t.Shape {
		if d < 0 {
			return fmt.Errorf("got shape %v; a dimension cannot be negative", t.Shape)
		}
		if d > 0 && n > (1<<46)/d {
			return fmt.Errorf("got shape %v, more elements than memory holds", t.Shape)
		}
		n *= d
	}
	zero, err := tensor.New(t.DType, 0)
	if err != nil || fmt.Sprintf("%T", zero.Data) != fmt.Sprintf("%T", t.Data) {
		return fmt.Errorf("a tensor of %s holds %T", t.DType, t.Data)
	}
	if held := t.Len(); held != n {
		return fmt.Errorf("shape %v holds %d elements, its data %d", t.Shape, n, held)
	}
	return nil
}
