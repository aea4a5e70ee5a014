package probes

import (
	"context"
	"fmt"
	"math"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// Fragile counts, for each item, the units whose value lies so near to a knot that
// rounding could put it on the other side, "fragile". A unit with a NaN counts.
type Fragile struct {
	// Within is the distance from the knot up to which a value is fragile; it is
	// positive and finite.
	Within float64
}

// About is the probe's row in lists.
func (Fragile) About() About {
	return About{Name: "fragile", Doc: "how many values lie within a stated distance of their knot"}
}

// Attach adds a count at every site whose bits are sides of values.
func (f Fragile) Attach(t *Tap) error {
	if !(f.Within > 0) || math.IsInf(f.Within, 0) {
		return fmt.Errorf("a distance of %g; it must be positive and finite", f.Within)
	}
	if t.Site.Winner() {
		return nil
	}
	t.Output("fragile", tensor.Float32, nil, func() string {
		near := ""
		for _, d := range t.Distances() {
			// Not greater, rather than less or equal: a NaN counts.
			in := t.Op("Not", nil, t.Op("Greater", nil, t.Op("Abs", nil, d), t.Number(f.Within)))
			if near == "" {
				near = in
			} else {
				near = t.Op("Or", nil, near, in)
			}
		}
		return t.Sum(t.Rows(t.Float(near)))
	})
	return nil
}

// Start readies the probe for a session.
func (f Fragile) Start(context.Context, *Prober) (Maker, error) { return f, nil }

// Columns is the column "fragile".
func (f Fragile) Columns(b *Batch) ([]result.Column, error) {
	total := make([]int64, b.Len())
	for _, t := range b.Site("fragile") {
		if t == nil {
			continue
		}
		for i, v := range tensor.Data[float32](t)[:b.Len()] {
			total[i] += int64(v)
		}
	}
	return []result.Column{{Name: "fragile", Values: total, Null: b.Failed()}}, nil
}

// Settings are what the manifest says of the probe.
func (f Fragile) Settings() map[string]any { return map[string]any{"fragile": f.Within} }
