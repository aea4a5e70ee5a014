package probes

import (
	"context"
	"fmt"
	"math"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
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
	Summary
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
	width, dim := plan.CodeBytes(), tensor.Count(plan.Fit.Sample)
	for batch, err := range dataset.Batches(ctx, ds, max(sa.batch(), sb.batch()), co.workers()) {
		if err != nil {
			return nil, err
		}
		n := batch.N
		x := tensor.Data[float32](batch.Input)
		ca, oa, na, err := sa.codes(ctx, x, n)
		if err != nil {
			return nil, fmt.Errorf("side a: %w", err)
		}
		cb, ob, nb, err := sb.codes(ctx, x, n)
		if err != nil {
			return nil, fmt.Errorf("side b: %w", err)
		}
		var flipped []int
		for i := range n {
			err := batch.Errs[i]
			if err == nil && (na[i] || nb[i]) {
				err = errNaN
			}
			if d.count(err); err != nil {
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
			err = d.margins(ctx, sa, x, n, ca, cb)
		default:
			// The judge sees only what it has to decide.
			var jx []float32
			var ja, jb []byte
			for _, i := range flipped {
				jx = append(jx, x[i*dim:(i+1)*dim]...)
				ja, jb = append(ja, ca[i*width:(i+1)*width]...), append(jb, cb[i*width:(i+1)*width]...)
			}
			err = d.judge(ctx, judge, jx, len(flipped), ja, jb)
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
			return fmt.Errorf("site %d is %q with %d units and %d planes, on side a it is %q with %d and %d", i, t.Name, t.Units, t.Planes(), s.Name, s.Units, s.Planes())
		}
	}
	return nil
}

// judge decides the flipped bits of n samples: which side's bit is the one that j
// finds. It finds the margins too.
func (d *Diff) judge(ctx context.Context, j *side, x []float32, n int, ca, cb []byte) error {
	plan, width := j.plan(), j.plan().CodeBytes()
	if j.code != nil {
		cj, _, _, err := j.codes(ctx, x, n)
		if err != nil {
			return fmt.Errorf("the judge: %w", err)
		}
		for i := range n {
			d.decide(plan, ca[i*width:], cb[i*width:], cj[i*width:])
		}
	}
	code := make([]byte, width)
	err := j.values(ctx, x, n, func(item, at int, vals []*tensor.Tensor) {
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
func (d *Diff) margins(ctx context.Context, s *side, x []float32, n int, ca, cb []byte) error {
	width := s.plan().CodeBytes()
	return s.values(ctx, x, n, func(item, at int, vals []*tensor.Tensor) {
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
			v := value(at*site.Units + u)
			d.Sites[i].Scale = math.Max(d.Sites[i].Scale, math.Abs(v))
			for k, knot := range site.Knots {
				if p := k*site.Units + u; Bit(a, p) != Bit(b, p) {
					d.Sites[i].Margin = math.Max(d.Sites[i].Margin, math.Abs(v-knot))
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

// side is one setting made ready.
type side struct {
	setting Setting
	code    *Prober // nil when the host packs
	value   *Prober // made when first needed
	m       *onnx.Model
	o       AttachOptions
}

func newSide(ctx context.Context, m *onnx.Model, o AttachOptions, s Setting) (*side, error) {
	if s.Double {
		var err error
		if m, err = rewrite.Widen(m); err != nil {
			return nil, err
		}
	}
	if s.Half {
		var err error
		if m, err = rewrite.Narrow(m); err != nil {
			return nil, err
		}
	}
	if s.Pack != PackAuto {
		o.Pack = s.Pack
	}
	sd := &side{setting: s, m: m, o: o}
	if s.Host {
		if o.Sites.MaxPool {
			return nil, fmt.Errorf("codes computed outside the graph do not cover the arg-max of MaxPool")
		}
		return sd, sd.needValues(ctx)
	}
	plan, err := Attach(m, o)
	if err != nil {
		return nil, err
	}
	sd.code, err = plan.Open(ctx, s.Backend, s.Options, s.Batch)
	return sd, err
}

func (s *side) needValues(ctx context.Context) error {
	if s.value != nil {
		return nil
	}
	o := s.o
	o.Values = true
	plan, err := Attach(s.m, o)
	if err != nil {
		return err
	}
	s.value, err = plan.Open(ctx, s.setting.Backend, s.setting.Options, s.setting.Batch)
	return err
}

func (s *side) close() {
	for _, r := range []*Prober{s.code, s.value} {
		if r != nil {
			r.Close()
		}
	}
}

func (s *side) prober() *Prober {
	if s.code != nil {
		return s.code
	}
	return s.value
}

func (s *side) plan() *Plan { return s.prober().Plan }
func (s *side) batch() int  { return s.prober().Batch }

// runs puts n samples through a prober in its batches.
func runs(ctx context.Context, r *Prober, x []float32, n int, use func(first, count int, out []*tensor.Tensor)) error {
	dim := tensor.Count(r.Plan.Fit.Sample)
	in := make([]float32, r.Batch*dim)
	for first := 0; first < n; first += r.Batch {
		k := min(r.Batch, n-first)
		clear(in[copy(in, x[first*dim:(first+k)*dim]):])
		out, err := r.Run(ctx, tensor.Of(in, append([]int{r.Batch}, r.Plan.Fit.Sample...)...))
		if err != nil {
			return err
		}
		use(first, k, out)
	}
	return nil
}

// codes returns the whole codes of n samples and, for each, the model's own
// outputs, and whether the network came upon a NaN, so that it has no code.
func (s *side) codes(ctx context.Context, x []float32, n int) (codes []byte, own [][]float64, nan []bool, err error) {
	r, width := s.prober(), s.plan().CodeBytes()
	codes, own, nan = make([]byte, n*width), make([][]float64, n), make([]bool, n)
	buf := make([]byte, r.Batch*width)
	err = runs(ctx, r, x, n, func(first, count int, out []*tensor.Tensor) {
		copy(nan[first:first+count], r.nan(out))
		if s.code != nil {
			r.codes(buf, out, "code")
		} else {
			clear(buf)
			for i := range count {
				packValues(buf[i*width:(i+1)*width], r.Plan, r.probe(out, "value"), i)
			}
		}
		copy(codes[first*width:], buf[:count*width])
		for _, t := range out[:r.Plan.Own] {
			if len(t.Shape) == 0 || t.Shape[0] != r.Batch || !t.DType.IsFloat() {
				continue
			}
			v := t.Float64s()
			per := len(v) / r.Batch
			for i := range count {
				own[first+i] = append(own[first+i], v[i*per:(i+1)*per]...)
			}
		}
	})
	return codes, own, nan, err
}

// values hands each sample's values before the activations to use, with the
// sample's place in the tensors.
func (s *side) values(ctx context.Context, x []float32, n int, use func(item, at int, vals []*tensor.Tensor)) error {
	if err := s.needValues(ctx); err != nil {
		return err
	}
	return runs(ctx, s.value, x, n, func(first, count int, out []*tensor.Tensor) {
		vals := s.value.probe(out, "value")
		for i := range count {
			use(first+i, i, vals)
		}
	})
}

// packValues packs the code of one item on the host.
func packValues(dst []byte, p *Plan, vals []*tensor.Tensor, item int) {
	offset := 0
	for s := range p.Sites {
		site := &p.Sites[s]
		if vals[s] != nil {
			value := valuesAt(vals[s])
			for k, knot := range site.Knots {
				for u := range site.Units {
					if value(item*site.Units+u) > knot {
						b := k*site.Units + u
						dst[offset+b/8] |= 1 << (7 - b%8)
					}
				}
			}
		}
		offset += site.Bytes()
	}
}
