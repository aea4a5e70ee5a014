package probes

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Prober is a plan made ready on an engine, at one batch size. It is used by one
// goroutine at a time.
type Prober struct {
	Plan *Plan
	// Batch is the number of samples of every run.
	Batch   int
	Backend engine.Backend
	Options engine.Options
	// Pack is how the session's model packs; PackAuto without probes.
	Pack Packing

	peers   []*Prober // the other sessions; see OpenOn
	unnamed bool      // it is there to overlap with another on the same device
	of      *Prober   // whose prepared model this session runs too; nil for its own
	session engine.Session
	also    []*gathered // what probes opened beside it
	request *Request    // nil unless Open gave it
	said    []string    // notes that were told
	// described says that manifests have what Run finds out of the data.
	described bool
}

// maxBatchBytes bounds the samples and codes of one run.
const maxBatchBytes = 1 << 30

// Open readies the plan on a backend. batch is the wanted number of samples of a
// run; a model whose batch is fixed has the last word. The session's outputs are
// checked against the plan: a probe that the engine optimised away is an error,
// never a silent gap. With PackAuto the session's model packs in the way that is
// fastest on the backend; its outputs are the plan's.
func (p *Plan) Open(ctx context.Context, b engine.Backend, o engine.Options, batch int) (*Prober, error) {
	r, err := p.open(ctx, b, o, batch)
	return r, engine.Named(p.source.Path, err)
}

func (p *Plan) open(ctx context.Context, b engine.Backend, o engine.Options, batch int) (*Prober, error) {
	if batch < 1 {
		return nil, fmt.Errorf("a batch of %d samples", batch)
	}
	if p.Fit.Batch > 0 {
		batch = p.Fit.Batch
	}
	per := 4*tensor.Count(p.Fit.Sample) + p.CodeBytes()
	for _, o := range p.Fit.Others {
		per += tensor.Count(o.Shape) * o.DType.Bits() / 8
	}
	if batch > maxBatchBytes/max(per, 1) {
		return nil, fmt.Errorf("a batch of %d samples: each takes %d bytes with its code, and a batch may take %d; give a smaller one", batch, per, maxBatchBytes)
	}
	if err := o.CheckRandom(p.source); err != nil {
		return nil, err
	}
	q := *p
	if p.options.Pack == PackAuto && len(p.Model.Graph.Outputs) > p.Own {
		q.options.Pack = packing(b, o)
		var err error
		if q.Model, err = q.rewrite(); err != nil {
			return nil, err
		}
	}
	s, err := engine.Prepare(ctx, b, q.Model, q.Fit.Shapes(int64(batch)), o)
	if err != nil {
		return nil, err
	}
	r := &Prober{Plan: p, Batch: batch, Backend: b, Options: o, Pack: q.options.Pack, session: s}
	if err := r.check(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if p.Fit.Folded != nil {
		if err := p.keepsItems(ctx, b, o); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	if p.Fit.Freed {
		same, err := r.sameAsSource(ctx)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		if !same {
			s.Close()
			return p.singly(ctx, b, o)
		}
	}
	return r, nil
}

// Close releases the session, and the others of OpenOn.
func (r *Prober) Close() error {
	err := r.session.Close()
	for _, p := range r.peers {
		err = errors.Join(err, p.Close())
	}
	for _, g := range r.also {
		err = errors.Join(err, g.r.Close())
	}
	r.also = nil
	return err
}

// OnCPU names the nodes that run on the CPU although the device is another; see
// engine.Placer.
func (r *Prober) OnCPU() []string {
	if p, ok := r.session.(engine.Placer); ok {
		return p.OnCPU()
	}
	return nil
}

// Notes are what sessions did otherwise than they were asked to, up to now; see
// engine.Noter. It is not called during a run.
func (r *Prober) Notes() (notes []string) {
	all := r.Sessions()
	for _, p := range r.Sessions() {
		for _, g := range p.also {
			all = append(all, g.r)
		}
	}
	for _, p := range all {
		if n, ok := p.session.(engine.Noter); ok && n.Note() != "" && !slices.Contains(notes, n.Note()) {
			notes = append(notes, n.Note())
		}
	}
	return notes
}

// Recycle gives the outputs of Infer back, so that a later one may be written into them.
// Neither they nor their data may be used afterwards. It may be called while another
// Infer goes on.
func (r *Prober) Recycle(out []*tensor.Tensor) {
	if s, ok := r.session.(engine.Recycler); ok {
		s.Recycle(out)
	}
}

// check compares the session's outputs with the plan's.
func (r *Prober) check() error {
	out := r.session.Outputs()
	want := r.Plan.Model.Graph.Outputs
	if len(out) != len(want) {
		return fmt.Errorf("the session has %d outputs, the probed model %d", len(out), len(want))
	}
	for i, v := range want {
		if out[i].Name != v.Name {
			return fmt.Errorf("output %d of the session is %q, the probed model's is %q", i, out[i].Name, v.Name)
		}
	}
	return nil
}

// singly attaches again for items one by one.
func (p *Plan) singly(ctx context.Context, b engine.Backend, o engine.Options) (*Prober, error) {
	q := *p
	f := p.Fit
	f.model, f.Freed, f.Batch = p.source, false, 1
	f.Note = "the export fixes the batch at 1 and gives other numbers for larger ones, so items run one by one"
	if err := f.fixed(p.source, q.Sites, 1); err != nil {
		return nil, err
	}
	q.Fit = f
	var err error
	if q.Model, err = q.rewrite(); err != nil {
		return nil, err
	}
	*p = q
	return p.Open(ctx, b, o, 1)
}

// sameAsSource runs two random samples through the model as exported, one by
// one, and through the rewritten one together.
func (r *Prober) sameAsSource(ctx context.Context) (bool, error) {
	src, err := engine.Prepare(ctx, r.Backend, r.Plan.source, r.Plan.Fit.Shapes(1), r.Options)
	if err != nil {
		return false, err
	}
	defer src.Close()
	n := tensor.Count(r.Plan.Fit.Sample)
	rng := rand.New(rand.NewPCG(1, 2))
	both := make([]float32, r.Batch*n)
	for i := range both {
		both[i] = rng.Float32()
	}
	in := tensor.Of(both, append([]int{r.Batch}, r.Plan.Fit.Sample...)...)
	got, err := r.Infer(ctx, in)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if lost := (*engine.LostError)(nil); errors.As(err, &lost) {
		return false, err
	}
	if err != nil {
		return false, nil // the rewritten model does not run: the exported one may
	}
	for k := range min(r.Batch, 3) {
		one := tensor.Of(both[k*n:(k+1)*n], append([]int{1}, r.Plan.Fit.Sample...)...)
		if one, err = convert(one, r.Plan.Fit.DType); err != nil {
			return false, err
		}
		want, err := src.Run(ctx, []*tensor.Tensor{one})
		if err != nil {
			return false, err
		}
		for j, w := range want {
			if !w.DType.IsFloat() {
				continue
			}
			a, b := w.Float64s(), got[j].Float64s()
			if len(a)*r.Batch != len(b) {
				return false, nil
			}
			if !nearly(a, b[k*len(a):(k+1)*len(a)]) {
				return false, nil
			}
		}
	}
	return true, nil
}

// nearly says whether two values are the same up to what rounding differs by between
// batches, which is far less.
func nearly(a, b []float64) bool {
	scale := 0.0
	for _, v := range a {
		scale = math.Max(scale, math.Abs(v))
	}
	for i, v := range a {
		if d := math.Abs(v - b[i]); !(d <= 1e-3*scale+1e-6) && !math.IsNaN(v) {
			return false
		}
	}
	return true
}

// evaluate runs the session; an error of the engine is a runError of the model.
func (r *Prober) evaluate(ctx context.Context, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	out, err := r.session.Run(ctx, in)
	if err != nil && ctx.Err() == nil {
		err = engine.Named(r.Plan.source.Path, &runError{err})
	}
	return out, err
}

// Infer evaluates a batch, float32 [Batch, Sample...], and returns the outputs of
// the probed model: the original's own, then one or more for each site. Every
// probe output is verified to have the size that the plan says. others are the
// batches of Plan.Fit.Others; floats are brought to the types they name. Of a Shared one
// the first row is what all items have, or it is given without a batch axis.
func (r *Prober) Infer(ctx context.Context, in *tensor.Tensor, others ...*tensor.Tensor) ([]*tensor.Tensor, error) {
	if want := r.Plan.Fit.Others; len(others) != len(want) {
		return nil, fmt.Errorf("the model takes %d inputs besides %q, got %d", len(want), r.Plan.Fit.Input, len(others))
	}
	x, err := convert(in, r.Plan.Fit.DType)
	if err != nil {
		return nil, err
	}
	if r.Plan.Fit.Unbatched {
		x = &tensor.Tensor{DType: x.DType, Shape: r.Plan.Fit.Sample, Data: x.Data}
	}
	given := make([]*tensor.Tensor, len(others), len(others)+1)
	for k, t := range others {
		if o := &r.Plan.Fit.Others[k]; o.Shared {
			if t.Len() > tensor.Count(o.Shape) {
				t = t.Rows(0, 1)
			}
			t = &tensor.Tensor{DType: t.DType, Shape: o.Shape, Data: t.Data}
		}
		if given[k], err = convert(t, r.Plan.Fit.Others[k].DType); err != nil {
			return nil, err
		}
	}
	out, err := r.evaluate(ctx, slices.Insert(given, r.Plan.Fit.place, x))
	if err != nil {
		return nil, err
	}
	if r.Plan.Fit.Unbatched {
		for i, t := range out[:min(r.Plan.Own, len(out))] {
			out[i] = &tensor.Tensor{DType: t.DType, Shape: append([]int{1}, t.Shape...), Data: t.Data}
		}
	}
	return out, r.complete(out)
}

// complete checks that all outputs are there, and those of the probes of the size
// that the plan says.
func (r *Prober) complete(out []*tensor.Tensor) error {
	decl := r.Plan.Model.Graph.Outputs
	if len(out) != len(decl) {
		return fmt.Errorf("the engine returned %d outputs, want %d", len(out), len(decl))
	}
	for i := r.Plan.Own; i < len(out); i++ {
		want := r.Batch
		if g := r.Plan.gather; g != nil && decl[i].DType == tensor.Uint8 {
			want = 2 * g.groups
		}
		for _, d := range decl[i].Shape[1:] {
			want *= int(d.Size)
		}
		if got := tensor.Count(out[i].Shape); got != want || out[i].DType != decl[i].DType {
			return onnx.Remedy(fmt.Errorf("probe output %q has %d elements of %s, want %d of %s; "+
				"try to optimize the graph less",
				decl[i].Name, got, out[i].DType, want, decl[i].DType), "engine.Options.Optimize=basic")
		}
	}
	return nil
}

// convert brings samples to the type a model takes. Pixels given as floats round
// to the nearest level.
func convert(t *tensor.Tensor, d tensor.DType) (*tensor.Tensor, error) {
	if t.DType == d {
		return t, nil
	}
	src, ok := t.Data.([]float32)
	if !ok { // floats of another width, beside samples
		for _, v := range t.Float64s() {
			src = append(src, float32(v))
		}
	}
	out, err := tensor.New(d, t.Shape...)
	if err != nil {
		return nil, err
	}
	switch dst := out.Data.(type) {
	case []float64:
		for i, v := range src {
			dst[i] = float64(v)
		}
	case []uint8:
		for i, v := range src {
			dst[i] = uint8(math.RoundToEven(float64(min(max(v, 0), 255))))
		}
	case []uint16:
		for i, v := range src {
			if d == tensor.Float16 {
				dst[i] = tensor.Float32ToHalf(v)
			} else {
				dst[i] = tensor.Float32ToBFloat(v)
			}
		}
	default:
		return nil, fmt.Errorf("the model takes %s, which samples cannot be converted to", d)
	}
	return out, nil
}

// probe is the outputs of a run that belong to one kind of probe, by site.
func (r *Prober) probe(out []*tensor.Tensor, kind string) []*tensor.Tensor {
	by := map[string]*tensor.Tensor{}
	for i := r.Plan.Own; i < len(out); i++ {
		by[r.Plan.Model.Graph.Outputs[i].Name] = out[i]
	}
	ts := make([]*tensor.Tensor, len(r.Plan.Sites))
	for i := range r.Plan.Sites {
		ts[i] = by[output(kind, &r.Plan.Sites[i])]
	}
	return ts
}

// codes writes the whole codes of a run's items one after the other to dst, which
// holds Batch times CodeBytes bytes.
func (r *Prober) codes(dst []byte, out []*tensor.Tensor, kind string) {
	width := r.Plan.CodeBytes()
	offset := 0
	for i, t := range r.probe(out, kind) {
		n := r.Plan.Sites[i].Bytes()
		if t == nil { // an arg-max is never below itself
			offset += n
			continue
		}
		src := tensor.Data[uint8](t)
		for k := range r.Batch {
			copy(dst[k*width+offset:], src[k*n:(k+1)*n])
		}
		offset += n
	}
}

// nan reports for each item whether the network came upon a NaN: in one of its
// own outputs, or where a node may hide it.
func (r *Prober) nan(out []*tensor.Tensor) []bool {
	bad := make([]bool, r.Batch)
	for i, t := range out {
		name := r.Plan.Model.Graph.Outputs[i].Name
		if i >= r.Plan.Own && !strings.HasPrefix(name, watched) {
			continue
		}
		if !t.DType.IsFloat() || len(t.Shape) == 0 || t.Shape[0] != r.Batch || tensor.Count(t.Shape) == 0 {
			continue
		}
		per := tensor.Count(t.Shape) / r.Batch
		if d, ok := t.Data.([]float32); ok {
			for i, v := range d {
				if v != v {
					bad[i/per] = true
				}
			}
			continue
		}
		for i, v := range t.Float64s() {
			if v != v {
				bad[i/per] = true
			}
		}
	}
	return bad
}
