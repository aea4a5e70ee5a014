package probes_test

import (
	"context"
	"math"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// nearest is a probe of another package: how near an item comes to a boundary of its
// region at each site, the least distance of a value from a knot.
type nearest struct{}

func (nearest) About() probes.About {
	return probes.About{Name: "nearest", Doc: "least distance of a value from a knot, by site"}
}

func (nearest) Attach(t *probes.Tap) error {
	if t.Site.Winner() { // which has no knots
		return nil
	}
	t.Output("nearest", tensor.Float32, nil, func() string {
		var rows []string
		for _, d := range t.Distances() {
			rows = append(rows, t.Rows(t.Float(t.Op("Abs", nil, d))))
		}
		return t.Least(t.Op("Concat", map[string]any{"axis": 1}, rows...))
	})
	return nil
}

func (n nearest) Start(_ context.Context, r *probes.Prober) (probes.Maker, error) {
	return nearestMaker{r.Plan}, nil
}

type nearestMaker struct{ plan *probes.Plan }

func (m nearestMaker) Columns(b *probes.Batch) ([]result.Column, error) {
	c := result.Column{Name: "nearest", Null: b.Failed()}
	values := make([]float64, 0, b.Len()*len(m.plan.Sites))
	for i := range b.Len() {
		for _, t := range b.Site("nearest") {
			v := math.NaN()
			if t != nil && !b.Failed()[i] {
				v = t.Float64s()[i]
			}
			values = append(values, v)
		}
	}
	for _, s := range m.plan.Sites {
		c.Parts = append(c.Parts, result.Part{Name: s.Name, Width: 1})
	}
	c.Values, c.Width = values, len(m.plan.Sites)
	return []result.Column{c}, nil
}
