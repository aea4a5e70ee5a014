package probes

import (
	"fmt"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Inputs are the model's input that samples enter by, and what it takes besides: a
// box, a mask. Both are without constants; the shapes of the others are those of one
// item.
func Inputs(m *onnx.Model) (data *onnx.Value, beside []engine.Port, err error) {
	in, place, err := dataInputs(m)
	if err != nil {
		return nil, nil, err
	}
	beside, err = others(in, place)
	return in[place], beside, err
}

// bind finds for each of the model's other inputs the array beside the samples that
// has its name.
func (f *Fit) bind(sides []dataset.Side) ([]int, error) {
	var missing, unknown []string
	place := make([]int, len(f.Others))
	for k, p := range f.Others {
		place[k] = slices.IndexFunc(sides, func(s dataset.Side) bool { return s.Name == p.Name })
		if place[k] < 0 {
			missing = append(missing, describePort(p))
			continue
		}
		if s := &sides[place[k]]; s.Rows.DType != p.DType || !slices.Equal(s.Shape(), p.Shape) {
			return nil, fmt.Errorf("the model's input %s is given rows of %s %v", describePort(p), s.Rows.DType, s.Shape())
		}
	}
	for _, s := range sides {
		if !slices.ContainsFunc(f.Others, func(p engine.Port) bool { return p.Name == s.Name }) {
			unknown = append(unknown, fmt.Sprintf("%q", s.Name))
		}
	}
	switch {
	case missing != nil:
		return nil, fmt.Errorf("the model takes more than %q, and nothing is given for its input %s", f.Input, strings.Join(missing, ", "))
	case unknown != nil:
		return nil, fmt.Errorf("the model has no input %s besides %q; it has %s", strings.Join(unknown, ", "), f.Input, describePorts(f.Others))
	}
	return place, nil
}

// describePort is an input for people: "box" (float32 [4]).
func describePort(p engine.Port) string { return fmt.Sprintf("%q (%s %v)", p.Name, p.DType, p.Shape) }

func describePorts(ports []engine.Port) string {
	var s []string
	for _, p := range ports {
		s = append(s, describePort(p))
	}
	if s == nil {
		return "no other"
	}
	return strings.Join(s, ", ")
}

// around is the place among Others of the input that a frame is over, -1 for the one
// that samples enter by, and the number of its dimensions.
func (f *Fit) around(name string) (place, dim int, err error) {
	if name == "" || name == f.Input {
		return -1, tensor.Count(f.Sample), nil
	}
	for k, p := range f.Others {
		if p.Name == name {
			if p.DType != tensor.Float32 {
				err = fmt.Errorf("a frame over the input %s: it must be float32", describePort(p))
			}
			return k, tensor.Count(p.Shape), err
		}
	}
	return 0, 0, fmt.Errorf("a frame over the input %q: the model has %q and %s", name, f.Input, describePorts(f.Others))
}

// FrameShape is the shape of one item of the input that a frame is over: of the sample
// for "".
func (p *Plan) FrameShape(input string) ([]int, error) {
	k, _, err := p.Fit.around(input)
	if err != nil || k < 0 {
		return p.Fit.Sample, err
	}
	return p.Fit.Others[k].Shape, nil
}
