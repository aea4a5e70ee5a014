package probes

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// Outputs is the network's own outputs. Those that are not one row an item are left out.
type Outputs struct {
	uncoded
	// Top is the number of highest entries of the first output to name, "top" and
	// "score"; 0 names none.
	Top int
	// Softmax turns the first output into probabilities before that.
	Softmax bool
	// Labels names the entries of the first output, "prediction".
	Labels []string
	// Full writes the outputs themselves, one column each: as float32, or float64
	// where the model gives that.
	Full bool
	// Name, when not "", takes the first output alone, as a column of this name.
	Name string
}

// About is the probe's row in lists.
func (Outputs) About() About {
	return About{Name: "outputs", Doc: "what the network itself gives: all of it, or its highest entries (run)", Siteless: true}
}

// Start readies the probe for a session.
func (o Outputs) Start(context.Context, *Prober) (Maker, error) { return &outputMaker{o}, nil }

type outputMaker struct{ Outputs }

// Settings are what the manifest says of the probe.
func (o Outputs) Settings() map[string]any {
	return map[string]any{"top": o.Top, "softmax": o.Softmax}
}

// Columns are those of the outputs.
func (m *outputMaker) Columns(b *Batch) ([]result.Column, error) {
	var cols []result.Column
	first := true
	for i, t := range b.Outputs() {
		if len(t.Shape) == 0 || t.Shape[0] != b.size() || t.DType == tensor.String || t.Data == nil || m.Name != "" && !first {
			continue
		}
		all := t.Float64s()
		per := len(all) / b.size()
		if per == 0 {
			continue
		}
		v := all[:b.Len()*per]
		for k := range b.Len() {
			row := v[k*per : (k+1)*per]
			if b.Failed()[k] {
				clear(row)
			} else if first && m.Softmax {
				softmax(row)
			}
		}
		if first && m.Top > 0 {
			top, err := m.top(v, per, b)
			if err != nil {
				return nil, err
			}
			cols = append(cols, top...)
		}
		name := b.session.Plan.Model.Graph.Outputs[i].Name
		if m.Name != "" {
			name = m.Name
		}
		switch {
		case m.Full && t.DType == tensor.Float64:
			cols = append(cols, result.Column{Name: name, Values: v, Width: per, Null: b.Failed()})
		case m.Full:
			f := make([]float32, len(v))
			for k, x := range v {
				f[k] = float32(x)
			}
			cols = append(cols, result.Column{Name: name, Values: f, Width: per, Null: b.Failed()})
		}
		first = false
	}
	return cols, nil
}

func softmax(v []float64) {
	m, sum := slices.Max(v), 0.0
	for i := range v {
		v[i] = math.Exp(v[i] - m)
		sum += v[i]
	}
	for i := range v {
		v[i] /= sum
	}
}

func (o Outputs) top(v []float64, per int, b *Batch) ([]result.Column, error) {
	if o.Labels != nil && len(o.Labels) != per {
		return nil, fmt.Errorf("%d labels for an output of %d entries", len(o.Labels), per)
	}
	k := min(o.Top, per)
	index, score, label := make([]int64, 0, b.Len()*k), make([]float64, 0, b.Len()*k), make([]string, b.Len())
	order := make([]int, per)
	for i := range b.Len() {
		row := v[i*per : (i+1)*per]
		for j := range order {
			order[j] = j
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(row[b], row[a]) })
		for _, j := range order[:k] {
			index, score = append(index, int64(j)), append(score, row[j])
		}
		if o.Labels != nil && !b.Failed()[i] {
			label[i] = o.Labels[order[0]]
		}
	}
	cols := []result.Column{{Name: "top", Values: index, Width: k, Null: b.Failed()}, {Name: "score", Values: score, Width: k, Null: b.Failed()}}
	if o.Labels != nil {
		cols = append(cols, result.Column{Name: "prediction", Values: label, Null: b.Failed()})
	}
	return cols, nil
}
