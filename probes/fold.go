package probes

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// lie is where the items of a fixed batch lie in a value.
type lie int

const (
	leads  lie = iota // the first axis is the batch
	folded            // it holds several rows of each item, those of one after the other
	whole             // the value does not depend on the items: each has all of it
)

// laid is a value that a site reads: where its items lie, and its shape with the batch in
// front, which is 1 of a whole one.
type laid struct {
	lie
	shape []int64
}

// follow finds what depends on the items of a batch.
func (f *Fit) follow(m *onnx.Model) map[string]bool {
	moved := map[string]bool{}
	ix := m.Graph.Index()
	todo := []string{f.Input}
	for _, p := range f.Others {
		if !p.Shared {
			todo = append(todo, p.Name)
		}
	}
	for len(todo) > 0 {
		name := todo[0]
		if todo = todo[1:]; moved[name] || name == "" {
			continue
		}
		moved[name] = true
		for _, n := range ix.Readers[name] {
			if !n.IsOp("Shape") && !n.IsOp("Size") {
				todo = append(todo, n.Outputs...)
			}
		}
	}
	return moved
}

// layOut says where the items of a batch of more than one lie in the values that a site
// reads, and notes in facts the shape that they have with the batch in front.
func (f *Fit) layOut(s *site.Site, facts map[string]onnx.Fact, moved map[string]bool, batch int64) (ok bool) {
	for _, name := range s.Reads() {
		x, several := facts[name], several(s)
		if at, done := f.lies[name]; done {
			if several && at.lie != leads {
				return false
			}
			continue
		}
		switch {
		case !moved[name] && !several:
			f.lies[name] = laid{whole, append([]int64{1}, x.Shape...)}
		case len(x.Shape) == 0 || x.Shape[0]%batch != 0:
			return false
		case x.Shape[0] == batch:
			f.lies[name] = laid{leads, x.Shape}
		case several:
			return false
		default:
			x.Shape = append([]int64{batch, x.Shape[0] / batch}, x.Shape[1:]...)
			f.lies[name], facts[name] = laid{folded, x.Shape}, x
		}
	}
	return true
}

// several says whether the code of a site is made of more than one value, or of more
// than one element for each unit: these are not laid out anew.
func several(s *site.Site) bool { return s.Winner() || s.Compared() != nil }

// FoldedNote says what is assumed of the sites that Folded names, "" where there are none.
func (f *Fit) FoldedNote() string {
	if len(f.Folded) == 0 {
		return ""
	}
	return fmt.Sprintf("the export fixes the batch at %d, and the first axis of %d site(s) holds several rows of "+
		"each item; that they lie item by item is checked on the engine before anything is run, and assumed where nothing is", f.Batch, len(f.Folded))
}

// Leads says whether the value that a site bends leads with the batch.
func (f *Fit) Leads(s *site.Site) bool { return f.lies[s.Reads()[0]].lie == leads }

// items is a value that a site reads with the items of the batch in front.
func (f *Fit) items(e *rewrite.Edit, name, x string) string {
	at := f.lies[name]
	if at.lie == leads {
		return x
	}
	ints := func(v []int64) string { return e.Const(tensor.Of(v, len(v))) }
	x = e.Op("Reshape", nil, x, ints(at.shape))
	if at.lie == whole {
		times := slices.Repeat([]int64{1}, len(at.shape))
		times[0] = int64(f.Batch)
		x = e.Op("Tile", nil, x, ints(times))
	}
	return x
}

// declareOne declares a batch of 1 for a model that gives the codes of one item, so
// that no runtime takes several.
func (f *Fit) declareOne(e *rewrite.Edit) error {
	facts, err := f.infer(e.Model, 1)
	if err != nil {
		return err
	}
	one := onnx.Dim{Size: 1}
	for _, v := range e.Graph.Inputs {
		own := v.Name == f.Input || slices.ContainsFunc(f.Others, func(p Input) bool { return p.Name == v.Name && !p.Shared })
		if own && len(v.Shape) > 0 {
			v.Shape[0] = one
		}
	}
	for _, v := range e.Graph.Outputs {
		if x := facts[v.Name]; len(v.Shape) > 0 && len(x.Shape) == len(v.Shape) && x.Shape[0] >= 0 {
			v.Shape[0] = onnx.Dim{Size: x.Shape[0]}
		}
	}
	return nil
}

// keepsItems verifies on the engine that the rows of folded sites lie item by item: what
// an item's rows hold changes with the item, and not with the others of its batch.
func (p *Plan) keepsItems(ctx context.Context, b engine.Backend, o engine.Options) (err error) {
	q := *p
	q.options, q.Sites = AttachOptions{Probes: []Probe{values{}}}, slices.DeleteFunc(slices.Clone(p.Sites),
		func(s site.Site) bool { return p.Fit.lies[s.Pre].lie != folded })
	if q.Model, err = q.rewrite(); err != nil {
		return err
	}
	s, err := engine.Prepare(ctx, b, q.Model, q.Fit.Shapes(int64(p.Fit.Batch)), o)
	if err != nil {
		return err
	}
	r := &Prober{Plan: &q, Batch: p.Fit.Batch, Backend: b, Options: o, session: s}
	defer func() { err = errors.Join(err, s.Close()) }()
	rng := rand.New(rand.NewPCG(1, 2))
	first, err := r.draw(rng)
	if err != nil {
		return err
	}
	second, err := r.draw(rng)
	if err != nil {
		return err
	}
	// Of the first batch, and of it with its even and with its odd items from the second.
	var values [3][]*tensor.Tensor
	all := make([]int, r.Batch)
	for i := range all {
		all[i] = i
	}
	for k := range values {
		in := make([]*tensor.Tensor, len(first))
		for j := range in {
			if in[j], err = rowsAt(first[j], all, r.Batch); err != nil {
				return err
			}
			for i := k - 1; i >= 0 && i < r.Batch; i += 2 {
				in[j].SetRow(i, second[j], i)
			}
		}
		out, err := r.Infer(ctx, in[0], in[1:]...)
		if err != nil {
			return fmt.Errorf("checking where the items of a batch of %d lie in %d site(s): %w", r.Batch, len(q.Sites), err)
		}
		values[k] = r.probe(out, "value")
	}
	var mixed, still []string
	for i := range q.Sites {
		changes, keeps := false, true
		for item := range r.Batch {
			v := func(k int) []float64 { return values[k][i].Rows(item, item+1).Float64s() }
			changes = changes || !nearly(v(0), v(1+item%2))
			keeps = keeps && nearly(v(0), v(2-item%2))
		}
		switch name := q.Sites[i].Name; {
		case !keeps:
			mixed = append(mixed, name)
		case !changes:
			still = append(still, name)
		}
	}
	const remedy, option = "choose others, or export the model with a free batch or one of 1", "site.Options.Globs"
	switch {
	case mixed != nil:
		return onnx.Remedy(fmt.Errorf("the export fixes the batch at %d, and at %d site(s) the rows of an item change "+
			"with the others of its batch, so that they do not lie item by item: %q; %s", r.Batch, len(mixed), mixed, remedy), option)
	case still != nil:
		return onnx.Remedy(fmt.Errorf("the export fixes the batch at %d, and whether rows lie item by item cannot be told "+
			"at %d site(s), which are the same for random items: %q; %s", r.Batch, len(still), still, remedy), option)
	}
	return nil
}

// draw is a random batch: the samples, and what lies beside them.
func (r *Prober) draw(rng *rand.Rand) (batch []*tensor.Tensor, err error) {
	f := &r.Plan.Fit
	for k := range len(f.Others) + 1 {
		d, shape := tensor.Float32, f.Sample
		if k > 0 {
			d, shape = f.Others[k-1].DType, f.Others[k-1].Shape
		}
		t, err := tensor.New(d, append([]int{r.Batch}, shape...)...)
		if err != nil {
			return nil, err
		}
		if d.IsFloat() {
			v := make([]float32, t.Len())
			for i := range v {
				if v[i] = float32(rng.NormFloat64()); k == 0 && f.DType == tensor.Uint8 {
					v[i] = float32(rng.IntN(256))
				}
			}
			if t, err = convert(tensor.Of(v, t.Shape...), d); err != nil {
				return nil, err
			}
		}
		batch = append(batch, t)
	}
	return batch, nil
}
