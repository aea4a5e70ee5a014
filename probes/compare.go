package probes

import (
	"context"
	"fmt"
	"math"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// Setting is one side of a comparison.
type Setting struct {
	Backend engine.Backend
	Options engine.Options
	Batch   int
	// Pack says how bits become bytes in the graph; PackAuto takes the fastest form
	// that the backend runs.
	Pack Packing
	// Host computes the codes outside the graph, from the float values before
	// the activations: the reference for the bits that the graph packs.
	Host bool
	// Double runs the model widened to float64, with the weights and knots of the
	// model as it is.
	Double bool
	// Half runs the model narrowed to float16.
	Half bool
}

// CompareOptions say how Compare goes about it.
type CompareOptions struct {
	RunOptions
	// Judge, when not nil, is a third setting that decides every bit on which the
	// two differ; with Double, and a Batch of 1, which wastes nothing on items
	// without flips.
	Judge *Setting
}

// SiteDiff says how two settings differ at one site.
type SiteDiff struct {
	Site string `json:"site"`
	// Bits is the number of bits compared, over all items, Flips how many differ.
	Bits  int64 `json:"bits"`
	Flips int64 `json:"flips"`
	// Items is the number of items with any flip here.
	Items int `json:"items"`
	// Margin is the largest distance to its knot among the values behind the
	// flipped bits, on the judge's side or else on side a, and Scale the largest
	// absolute value of the site over the items with flips: a flip of rounding has a
	// Margin far below Scale.
	Margin float64 `json:"margin"`
	Scale  float64 `json:"scale"`
	// ForA and ForB count the flips on which the judge's bit is that of side a and
	// of side b; a value exactly on its knot is not above it. nil without a judge.
	ForA *int64 `json:"for_a,omitempty"`
	ForB *int64 `json:"for_b,omitempty"`
}

// Diff is the result of a comparison.
type Diff struct {
	result.Summary
	Sites []SiteDiff `json:"sites"`
	// Regions is the number of items whose whole codes, hence digests, differ.
	Regions int `json:"regions"`
	// Outputs is the largest absolute difference between the model's own outputs
	// on the two sides.
	Outputs float64 `json:"outputs"`
	// Judge is the name of the judge's engine, "" without a judge; ForA and ForB add
	// up the sites'.
	Judge string `json:"judge,omitempty"`
	ForA  *int64 `json:"for_a,omitempty"`
	ForB  *int64 `json:"for_b,omitempty"`
}

// Compare runs a dataset through two settings and counts the bits that differ.
// With a judge it says for each of them which side is right, as far as the judge
// is to be trusted.
func Compare(ctx context.Context, m *onnx.Model, o AttachOptions, ds dataset.Dataset, a, b Setting, co CompareOptions) (*Diff, error) {
	sa, err := newSide(ctx, m, o, a)
	if err != nil {
		return nil, fmt.Errorf("side a: %w", err)
	}
	defer sa.close()
	sb, err := newSide(ctx, m, o, b)
	if err != nil {
		return nil, fmt.Errorf("side b: %w", err)
	}
	defer sb.close()
	plan := sa.plan()
	if err := sameSites(plan, sb.plan()); err != nil {
		return nil, fmt.Errorf("side b: %w", err)
	}
	d := &Diff{Sites: make([]SiteDiff, len(plan.Sites))}
	for i := range plan.Sites {
		d.Sites[i].Site = plan.Sites[i].Name
	}
	var judge *side
	if co.Judge != nil {
		j := *co.Judge
		// The bits follow from the values, which are needed for the margins anyway;
		// those of an arg-max only the graph gives.
		j.Host = !o.Sites.MaxPool
		if judge, err = newSide(ctx, m, o, j); err != nil {
			return nil, fmt.Errorf("the judge: %w", err)
		}
		defer judge.close()
		if err := sameSites(plan, judge.plan()); err != nil {
			return nil, fmt.Errorf("the judge: %w", err)
		}
		d.Judge, d.ForA, d.ForB = j.Backend.Name(), new(int64), new(int64)
		for i := range d.Sites {
			d.Sites[i].ForA, d.Sites[i].ForB = new(int64), new(int64)
		}
	}
	bound, err := plan.Fit.bind(dataset.Sides(ds))
	if err != nil {
		return nil, err
	}
	width := plan.CodeBytes()
	for batch, err := range dataset.Batches(ctx, ds, max(sa.batch(), sb.batch()), co.decoders()) {
		if err != nil {
			return nil, err
		}
		x := samplesOf(batch, bound)
		ca, oa, na, err := sa.codes(ctx, x)
		if err != nil {
			return nil, fmt.Errorf("side a: %w", lostAt(batch.Items, err))
		}
		cb, ob, nb, err := sb.codes(ctx, x)
		if err != nil {
			return nil, fmt.Errorf("side b: %w", lostAt(batch.Items, err))
		}
		var flipped []int
		for i := range x.n {
			err := batch.Errs[i]
			if err == nil && (na[i] || nb[i]) {
				err = errNaN
			}
			if d.Count(batch.Items[i].ID, co.worded(err)); err != nil {
				continue
			}
			d.Outputs = math.Max(d.Outputs, furthest(oa[i], ob[i]))
			at, any := i*width, false
			for s := range plan.Sites {
				site := &plan.Sites[s]
				k := Hamming(ca[at:at+site.Bytes()], cb[at:at+site.Bytes()])
				d.Sites[s].Bits += int64(site.Units * site.Planes())
				d.Sites[s].Flips += int64(k)
				if k > 0 {
					d.Sites[s].Items++
					any = true
				}
				at += site.Bytes()
			}
			if any {
				d.Regions++
				flipped = append(flipped, i)
			}
		}
		switch {
		case flipped == nil:
		case judge == nil:
			err = d.margins(ctx, sa, x, ca, cb)
		default:
			// The judge sees only what it has to decide.
			var ja, jb []byte
			for _, i := range flipped {
				ja, jb = append(ja, ca[i*width:(i+1)*width]...), append(jb, cb[i*width:(i+1)*width]...)
			}
			jx, err := x.pick(flipped)
			if err != nil {
				return nil, err
			}
			if err := d.judge(ctx, judge, jx, ja, jb); err != nil {
				return nil, err
			}
		}
		if err != nil {
			return nil, err
		}
		co.progress(d.Summary)
	}
	return d, ctx.Err()
}

// sameSites checks that the bits of two plans stand for the same units.
func sameSites(a, b *Plan) error {
	if len(a.Sites) != len(b.Sites) {
		return fmt.Errorf("it has %d sites, side a has %d", len(b.Sites), len(a.Sites))
	}
	for i := range a.Sites {
		s, t := &a.Sites[i], &b.Sites[i]
		if s.Name != t.Name || s.Units != t.Units || s.Planes() != t.Planes() {
			return fmt.Errorf("site %d is %q with %d units and %d "+
				"planes, on side a it is %q with %d and %d", i, t.Name, t.Units, t.Planes(), s.Name, s.Units, s.Planes())
		}
	}
	return nil
}

// judge decides the flipped bits of samples: which side's bit is the one that j
// finds. It finds the margins too.
func (d *Diff) judge(ctx context.Context, j *side, x samples, ca, cb []byte) error {
	plan, width := j.plan(), j.plan().CodeBytes()
	if j.code != nil {
		cj, _, _, err := j.codes(ctx, x)
		if err != nil {
			return fmt.Errorf("the judge: %w", err)
		}
		for i := range x.n {
			d.decide(plan, ca[i*width:], cb[i*width:], cj[i*width:])
		}
	}
	code := make([]byte, width)
	err := j.values(ctx, x, func(item, at int, vals []*tensor.Tensor) {
		a, b := ca[item*width:], cb[item*width:]
		if j.code == nil {
			clear(code)
			packValues(code, plan, vals, at)
			d.decide(plan, a, b, code)
		}
		d.measure(plan, at, vals, a, b)
	})
	if err != nil {
		return fmt.Errorf("the judge: %w", err)
	}
	return nil
}

// decide counts, for one item, the flipped bits for the side whose bit is j's.
func (d *Diff) decide(plan *Plan, a, b, j []byte) {
	at := 0
	for i := range plan.Sites {
		site := &plan.Sites[i]
		for p := 8 * at; p < 8*at+site.Units*site.Planes(); p++ {
			switch bit := Bit(a, p); {
			case bit == Bit(b, p):
			case bit == Bit(j, p):
				*d.Sites[i].ForA++
				*d.ForA++
			default:
				*d.Sites[i].ForB++
				*d.ForB++
			}
		}
		at += site.Bytes()
	}
}

// margins finds the values behind the flipped bits.
func (d *Diff) margins(ctx context.Context, s *side, x samples, ca, cb []byte) error {
	width := s.plan().CodeBytes()
	return s.values(ctx, x, func(item, at int, vals []*tensor.Tensor) {
		d.measure(s.plan(), at, vals, ca[item*width:], cb[item*width:])
	})
}

// measure finds the margins of one item, whose values are in place at.
func (d *Diff) measure(plan *Plan, at int, vals []*tensor.Tensor, ca, cb []byte) {
	offset := 0
	for i := range plan.Sites {
		site := &plan.Sites[i]
		a, b := ca[offset:offset+site.Bytes()], cb[offset:offset+site.Bytes()]
		offset += site.Bytes()
		if vals[i] == nil || Hamming(a, b) == 0 {
			continue
		}
		value := valuesAt(vals[i])
		for u := range site.Units {
			d.Sites[i].Scale = math.Max(d.Sites[i].Scale, math.Abs(value(at*valuesOf(site)+u)))
			for k := range site.Planes() {
				if p := k*site.Units + u; Bit(a, p) != Bit(b, p) {
					d.Sites[i].Margin = math.Max(d.Sites[i].Margin, math.Abs(above(site, value, at*valuesOf(site), k, u)))
				}
			}
		}
	}
}

func valuesAt(t *tensor.Tensor) func(int) float64 {
	if d, ok := t.Data.([]float64); ok {
		return func(i int) float64 { return d[i] }
	}
	d := tensor.Data[float32](t)
	return func(i int) float64 { return float64(d[i]) }
}

func furthest(a, b []float64) float64 {
	worst := 0.0
	for i := range min(len(a), len(b)) {
		if d := math.Abs(a[i] - b[i]); d > worst {
			worst = d
		}
	}
	return worst
}
