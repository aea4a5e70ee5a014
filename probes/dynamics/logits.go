package dynamics

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
)

// LogitsFirst is a loader whose models have the value name, [N, classes], as their first
// output, before their own: that which accuracy, margins and attacks read. It may be an
// output or any value that a node makes, such as the logits before a Softmax. A model
// without such a value is an error that lists its outputs. An empty name changes nothing.
func LogitsFirst(load Loader, name string) Loader {
	if name == "" {
		return load
	}
	return func(path string) (*onnx.Model, error) {
		m, err := load(path)
		if err != nil {
			return nil, err
		}
		return rewrite.Apply(m, rewrite.Pass{Name: "logits first", Do: func(e *rewrite.Edit) error { return first(e, path, name) }})
	}
}

func first(e *rewrite.Edit, path, name string) error {
	outputs := e.Graph.Outputs
	at := slices.IndexFunc(outputs, func(v *onnx.Value) bool { return v.Name == name })
	if at < 0 {
		if len(outputs) == 0 || e.Graph.Index().Maker[name] == nil {
			text := fmt.Sprintf("%s has no value %q to take as logits; its outputs are %s", path, name, named(outputs))
			if before := SoftmaxOf(e.Model); before != "" {
				text += fmt.Sprintf(", and the Softmax of the first reads %q", before)
			}
			return errors.New(text)
		}
		// A value inside has no type of its own; logits have that of what is made of them.
		e.Output(name, outputs[0].DType, nil)
		outputs, at = e.Graph.Outputs, len(outputs)
	}
	logits := outputs[at]
	e.Graph.Outputs = slices.Insert(slices.Delete(slices.Clone(outputs), at, at+1), 0, logits)
	return nil
}

// SoftmaxOf is the value that the model's first output is the Softmax or LogSoftmax of, and
// "" where it is something else.
func SoftmaxOf(m *onnx.Model) string {
	if len(m.Graph.Outputs) == 0 {
		return ""
	}
	n := m.Graph.Index().Maker[m.Graph.Outputs[0].Name]
	if n == nil || n.Op != "Softmax" && n.Op != "LogSoftmax" || len(n.Inputs) == 0 {
		return ""
	}
	return n.Inputs[0]
}

func named(values []*onnx.Value) string {
	var names []string
	for _, v := range values {
		names = append(names, strconv.Quote(v.Name))
	}
	return strings.Join(names, ", ")
}
