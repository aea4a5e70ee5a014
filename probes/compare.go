package probes

import (
	"context"
	"fmt"
	"math"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Setting is one side of a comparison.
type Setting struct {
	Backend engine.Backend
	Options engine.Options
	Batch   int
	// Host computes the codes outside the graph, from the float values before
	// the activations: the reference for the bits that the graph packs.
	Host bool
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
	// flipped bits, on side a, and Scale the largest absolute value of the site
	// over the items with flips: a flip of rounding has a Margin far below Scale.
	Margin float64 `json:"margin"`
	Scale  float64 `json:"scale"`
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
}

// Compare runs a dataset through two settings and counts the bits that differ.
func Compare(ctx context.Context, m *onnx.Model, o AttachOptions, ds dataset.Dataset, a, b Setting, ro RunOptions) (*Diff, error) {
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
	d := &Diff{Sites: make([]SiteDiff, len(plan.Sites))}
	for i := range plan.Sites {
		d.Sites[i].Site = plan.Sites[i].Name
	}
	width := plan.CodeBytes()
	for batch, err := range dataset.Batches(ctx, ds, max(sa.batch(), sb.batch()), ro.workers()) {
		if err != nil {
			return nil, err
		}
		n := batch.N
		x := tensor.Data[float32](batch.Input)
		ca, oa, err := sa.codes(ctx, x, n)
		if err != nil {
			return nil, fmt.Errorf("side a: %w", err)
		}
		cb, ob, err := sb.codes(ctx, x, n)
		if err != nil {
			return nil, fmt.Errorf("side b: %w", err)
		}
		flipped := false
		for i := range n {
			d.count(batch.Errs[i])
			if batch.Errs[i] != nil {
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
				flipped = true
			}
		}
		if flipped {
			if err := d.margins(ctx, sa, x, n, ca, cb); err != nil {
				return nil, err
			}
		}
		ro.progress(d.Summary)
	}
	return d, ctx.Err()
}

// margins finds the values behind the flipped bits.
func (d *Diff) margins(ctx context.Context, s *side, x []float32, n int, ca, cb []byte) error {
	plan, width := s.plan(), s.plan().CodeBytes()
	return s.values(ctx, x, n, func(item, at int, vals []*tensor.Tensor) {
		offset := item * width
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
	})
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
// outputs.
func (s *side) codes(ctx context.Context, x []float32, n int) ([]byte, [][]float64, error) {
	r, width := s.prober(), s.plan().CodeBytes()
	codes, own := make([]byte, n*width), make([][]float64, n)
	buf := make([]byte, r.Batch*width)
	err := runs(ctx, r, x, n, func(first, count int, out []*tensor.Tensor) {
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
	return codes, own, err
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
