package probes

import (
	"context"
	"slices"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// CodeOptions say what Codes writes for each item besides its digest.
type CodeOptions struct {
	RunOptions
	// Full writes the whole packed code, "code".
	Full bool
	// PerSite writes the code of each site as a part of its own.
	PerSite bool
	// Sketch, when not nil, writes the bits it samples, "sketch".
	Sketch *Sketch
}

// Codes writes a row for every item of a dataset, in order: digest, and what the
// options ask for; with AttachOptions.Fragile the number of fragile bits too. An
// item that cannot be read, or for which the network returns NaN, is a row with
// an error.
func (r *Prober) Codes(ctx context.Context, ds dataset.Dataset, sink result.Sink, o CodeOptions) (result.Summary, error) {
	return r.Write(ctx, ds, sink, o.RunOptions, CodeColumns{Full: o.Full, PerSite: o.PerSite, Sketch: o.Sketch})
}

// CodeColumns are the columns made of an item's code: its "digest"; "fragile" with
// AttachOptions.Fragile; "sketch"; and "code".
type CodeColumns struct {
	// Full writes the whole packed code, PerSite each site's code as a part of its
	// own.
	Full, PerSite bool
	// Sites, when not nil, writes the codes of the sites that match one of these
	// globs, as parts.
	Sites []string
	// Sketch, when not nil, writes the bits it samples.
	Sketch *Sketch
}

type codeMaker struct {
	fromOutputs
	CodeColumns
	plan  *Plan
	spans []span // the parts of the code that are written, nil for all of it
	width int
}

// span is a piece of the whole code.
type span struct {
	name       string
	from, size int
}

func (c CodeColumns) start(_ context.Context, r *Prober) (maker, error) {
	m := &codeMaker{CodeColumns: c, plan: r.Plan, width: r.Plan.CodeBytes()}
	if c.Sites == nil {
		return m, nil
	}
	chosen, err := site.Choose(r.Plan.Sites, c.Sites)
	if err != nil {
		return nil, err
	}
	offset := 0
	m.width = 0
	for i := range r.Plan.Sites {
		s := &r.Plan.Sites[i]
		if slices.ContainsFunc(chosen, func(c site.Site) bool { return c.Name == s.Name }) {
			m.spans, m.width = append(m.spans, span{s.Name, offset, s.Bytes()}), m.width+s.Bytes()
		}
		offset += s.Bytes()
	}
	return m, nil
}

func (m *codeMaker) columns(s *step, _ any) ([]result.Column, error) {
	p, rows, all, codes := m.plan, &s.rows, m.plan.CodeBytes(), s.codes()
	digests := make([]string, rows.n)
	for i := range rows.n {
		if !rows.failed[i] {
			digests[i] = DigestOf(codes[i*all : (i+1)*all]).String()
		}
	}
	cols := []result.Column{{Name: "digest", Values: digests, Null: rows.failed}}
	if p.options.Fragile > 0 {
		total := make([]int64, rows.n)
		for _, t := range s.r.probe(s.out, "fragile") {
			if t == nil {
				continue
			}
			for i, v := range tensor.Data[float32](t)[:rows.n] {
				total[i] += int64(v)
			}
		}
		cols = append(cols, result.Column{Name: "fragile", Values: total, Null: rows.failed})
	}
	if m.Sketch != nil {
		n := m.Sketch.Bytes()
		sketches := make([]byte, rows.n*n)
		for i := range rows.n {
			m.Sketch.Of(sketches[i*n:(i+1)*n], codes[i*all:(i+1)*all])
		}
		cols = append(cols, result.Column{Name: "sketch", Values: sketches, Width: n, Null: rows.failed})
	}
	switch {
	case m.spans != nil:
		c := result.Column{Name: "code", Width: m.width, Null: rows.failed}
		chosen := make([]byte, 0, rows.n*m.width)
		for i := range rows.n {
			for _, p := range m.spans {
				chosen = append(chosen, codes[i*all+p.from:][:p.size]...)
			}
		}
		for _, p := range m.spans {
			c.Parts = append(c.Parts, result.Part{Name: p.name, Width: p.size})
		}
		c.Values = chosen
		cols = append(cols, c)
	case m.Full || m.PerSite:
		c := result.Column{Name: "code", Values: codes, Width: all, Null: rows.failed}
		if m.PerSite {
			c.Parts = p.parts()
		}
		cols = append(cols, c)
	}
	return cols, nil
}

// Match is nil when each of the globs matches the name of a site of the plan, and
// else a *site.PatternError.
func (p *Plan) Match(globs []string) error {
	_, err := site.Choose(p.Sites, globs)
	return err
}

// Bits is the number of bits of a whole code, without padding.
func (p *Plan) Bits() int {
	n := 0
	for i := range p.Sites {
		n += p.Sites[i].Units * p.Sites[i].Planes()
	}
	return n
}
