package probes

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Inputs are the model's input that samples enter by, and what it takes besides: a
// box, a mask. Both are without constants; the shapes of the others are those of one
// item.
func Inputs(m *onnx.Model) (data *onnx.Value, beside []Input, err error) {
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
			missing = append(missing, p.String())
			continue
		}
		// Floats may be of another width: of a model that was widened or narrowed.
		s := &sides[place[k]]
		if s.Rows.DType != p.DType && !(s.Rows.DType.IsFloat() && p.DType.IsFloat()) || !slices.Equal(s.Shape(), p.Shape) {
			return nil, fmt.Errorf("the model's input %s is given rows of %s %v", p.String(), s.Rows.DType, s.Shape())
		}
		if p.Shared && !s.Shared {
			return nil, fmt.Errorf("the model's input %s has no batch axis, so all items share it, and it is given a row for each; give one value for all", p.String())
		}
	}
	for _, s := range sides {
		if !slices.ContainsFunc(f.Others, func(p Input) bool { return p.Name == s.Name }) {
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

// String is an input for people: "box" (float32 [4]).
func (p Input) String() string { return fmt.Sprintf("%q (%s %v)", p.Name, p.DType, p.Shape) }

// InputNamed is the one of a model's other inputs that has a name, "" for the only one. The
// error says which there are.
func InputNamed(others []Input, name string) (Input, error) {
	for _, p := range others {
		if p.Name == name || name == "" && len(others) == 1 {
			return p, nil
		}
	}
	all := describePorts(others)
	switch {
	case len(others) == 0:
		return Input{}, errors.New("the model has one input, which the data goes into")
	case name == "":
		return Input{}, fmt.Errorf("the model has several inputs besides its data; name one of %s", all)
	}
	return Input{}, fmt.Errorf("the model has no input %q besides its data; it has %s", name, all)
}

func describePorts(ports []Input) string {
	var s []string
	for _, p := range ports {
		s = append(s, p.String())
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
			if !p.DType.IsFloat() {
				err = fmt.Errorf("a frame over the input %s: its vertices need one of floats", p.String())
			}
			if p.Shared {
				err = fmt.Errorf("a frame over the input %s: it has no batch axis, so that the vertices of a batch would have one value", p.String())
			}
			return k, tensor.Count(p.Shape), err
		}
	}
	return 0, 0, fmt.Errorf("a frame over the input %q: the model has %q and %s", name, f.Input, describePorts(f.Others))
}

// rowsOf is the type in which the k-th of Others goes into batches of vertices. The one
// in the place moved, whose vertices they are, is float32 as samples are.
func (f *Fit) rowsOf(k, moved int) tensor.DType {
	if k == moved {
		return tensor.Float32
	}
	return f.Others[k].DType
}

// Arrange is n copies of one item of every input, in the model's order: x for the one
// that input names ("" the one that samples enter by), and for the others what held has
// by name, rows of [1, shape...]. Floats are brought to the types that the model takes.
func (p *Plan) Arrange(input string, x *tensor.Tensor, held map[string]*tensor.Tensor, n int) ([]*tensor.Tensor, error) {
	f := &p.Fit
	if input == "" {
		input = f.Input
	}
	var in []*tensor.Tensor
	add := func(name string, d tensor.DType, shape []int, bare bool) error {
		one := held[name]
		if name == input {
			one = x
		}
		if one == nil || one.Len() != tensor.Count(shape) {
			return fmt.Errorf("the model's input %q takes %v, and nothing of that shape is given", name, shape)
		}
		if one.DType != d && !(one.DType.IsFloat() && d.IsFloat()) {
			return fmt.Errorf("the model's input %q takes %s, and %s is given", name, d, one.DType)
		}
		one, err := convert(one, d)
		if err != nil {
			return err
		}
		flat := &tensor.Tensor{DType: d, Shape: append([]int{1}, shape...), Data: one.Data}
		if bare {
			flat.Shape = shape
			in = append(in, flat)
			return nil
		}
		t, err := tensor.New(d, append([]int{n}, shape...)...)
		if err != nil {
			return err
		}
		for i := range n {
			t.SetRow(i, flat, 0)
		}
		in = append(in, t)
		return nil
	}
	for k := range len(f.Others) + 1 {
		var err error
		switch {
		case k == f.place:
			err = add(f.Input, f.DType, f.Sample, f.Unbatched)
		case k < f.place:
			err = add(f.Others[k].Name, f.Others[k].DType, f.Others[k].Shape, f.Others[k].Shared)
		default:
			o := f.Others[k-1]
			err = add(o.Name, o.DType, o.Shape, o.Shared)
		}
		if err != nil {
			return nil, err
		}
	}
	return in, nil
}

// FrameShape is the shape of one item of the input that a frame is over, of a model whose
// samples have a shape: that shape for "".
func FrameShape(m *onnx.Model, input string, sample []int) ([]int, error) {
	v, ports, err := Inputs(m)
	if err != nil {
		return nil, err
	}
	f := Fit{Input: v.Name, Sample: sample, Others: ports}
	k, _, err := f.around(input)
	if err != nil || k < 0 {
		return sample, err
	}
	return ports[k].Shape, nil
}
