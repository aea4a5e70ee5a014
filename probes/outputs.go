package probes

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// Plain is a plan without probes: the model as it is, for inference. sample is as
// in AttachOptions.
func Plain(m *onnx.Model, sample []int) (*Plan, error) {
	m, err := rewrite.Inline(m) // counted before, where an engine would try
	if err != nil {
		return nil, err
	}
	f, err := fit(m, nil, sample)
	if err != nil {
		return nil, err
	}
	return &Plan{Model: f.model, Own: len(m.Graph.Outputs), Fit: *f, source: m}, nil
}

// Locate is a plan without probes that knows the sites: their shapes, and how
// samples enter the model. Use it to read the values at the sites some other way.
func Locate(m *onnx.Model, o site.Options, sample []int) (*Plan, error) {
	m, err := rewrite.Plain(m)
	if err != nil {
		return nil, err
	}
	found, err := site.Find(m, o)
	if err != nil {
		return nil, err
	}
	f, err := fit(m, found.Sites, sample)
	if err != nil {
		return nil, err
	}
	return &Plan{Model: f.model, Own: len(m.Graph.Outputs), Sites: found.Sites, Unwatched: found.Unwatched, Fit: *f, source: m}, nil
}

// OutputOptions say what Outputs writes.
type OutputOptions struct {
	RunOptions
	// Top is the number of highest entries of the first output to name; 0 names
	// none.
	Top int
	// Softmax turns the first output into probabilities before that.
	Softmax bool
	// Labels names the entries of the first output.
	Labels []string
	// Full writes the outputs themselves, one column each: as float32, or float64
	// where the model gives that.
	Full bool
}

// Outputs runs plain inference and writes a row for every item, in order. Outputs
// that are not one row an item are left out.
func (r *Prober) Outputs(ctx context.Context, ds dataset.Dataset, sink result.Sink, o OutputOptions) (result.Summary, error) {
	return r.Write(ctx, ds, sink, o.RunOptions, OutputColumns{OutputOptions: o})
}

// OutputColumns are the columns made of the model's own outputs.
type OutputColumns struct {
	OutputOptions
	// Name, when not "", takes the first output alone, as a column of this name.
	Name string
}

type outputMaker struct {
	fromOutputs
	OutputColumns
	plan *Plan
}

func (o OutputColumns) start(_ context.Context, r *Prober) (maker, error) {
	return &outputMaker{OutputColumns: o, plan: r.Plan}, nil
}

func (m *outputMaker) columns(s *step, _ any) ([]result.Column, error) {
	var cols []result.Column
	rows, first := &s.rows, true
	for i, t := range s.out[:m.plan.Own] {
		if len(t.Shape) == 0 || t.Shape[0] != s.r.Batch || t.DType == tensor.String || t.Data == nil || m.Name != "" && !first {
			continue
		}
		all := t.Float64s()
		per := len(all) / s.r.Batch
		if per == 0 {
			continue
		}
		v := all[:rows.n*per]
		for k := range rows.n {
			row := v[k*per : (k+1)*per]
			if rows.failed[k] {
				clear(row)
			} else if first && m.Softmax {
				softmax(row)
			}
		}
		if first && m.Top > 0 {
			top, err := topColumns(v, per, rows, m.OutputOptions)
			if err != nil {
				return nil, err
			}
			cols = append(cols, top...)
		}
		name := m.plan.Model.Graph.Outputs[i].Name
		if m.Name != "" {
			name = m.Name
		}
		switch {
		case m.Full && t.DType == tensor.Float64:
			cols = append(cols, result.Column{Name: name, Values: v, Width: per, Null: rows.failed})
		case m.Full:
			f := make([]float32, len(v))
			for k, x := range v {
				f[k] = float32(x)
			}
			cols = append(cols, result.Column{Name: name, Values: f, Width: per, Null: rows.failed})
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

func topColumns(v []float64, per int, rows *rows, o OutputOptions) ([]result.Column, error) {
	if o.Labels != nil && len(o.Labels) != per {
		return nil, fmt.Errorf("%d labels for an output of %d entries", len(o.Labels), per)
	}
	k := min(o.Top, per)
	index, score, label := make([]int64, 0, rows.n*k), make([]float64, 0, rows.n*k), make([]string, rows.n)
	order := make([]int, per)
	for i := range rows.n {
		row := v[i*per : (i+1)*per]
		for j := range order {
			order[j] = j
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(row[b], row[a]) })
		for _, j := range order[:k] {
			index, score = append(index, int64(j)), append(score, row[j])
		}
		if o.Labels != nil && !rows.failed[i] {
			label[i] = o.Labels[order[0]]
		}
	}
	cols := []result.Column{{Name: "top", Values: index, Width: k, Null: rows.failed}, {Name: "score", Values: score, Width: k, Null: rows.failed}}
	if o.Labels != nil {
		cols = append(cols, result.Column{Name: "prediction", Values: label, Null: rows.failed})
	}
	return cols, nil
}
