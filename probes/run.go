package probes

import (
	"context"
	"errors"
	"runtime"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// RunOptions are common to everything that goes through a dataset.
type RunOptions struct {
	// Workers is the number of goroutines that read and preprocess; 0 takes one
	// for each core.
	Workers int
	// Progress is told how far the run is, after every batch.
	Progress func(Summary)
}

func (o RunOptions) workers() int {
	if o.Workers > 0 {
		return o.Workers
	}
	return runtime.GOMAXPROCS(0)
}

func (o RunOptions) progress(s Summary) {
	if o.Progress != nil {
		o.Progress(s)
	}
}

// Summary counts the items of a run.
type Summary struct {
	Items  int `json:"items"`
	Failed int `json:"failed"`
	// Errors holds the first few errors of items.
	Errors []string `json:"errors,omitempty"`
}

func (s *Summary) count(err error) {
	s.Items++
	if err != nil {
		if s.Failed++; len(s.Errors) < 10 {
			s.Errors = append(s.Errors, err.Error())
		}
	}
}

var errNaN = errors.New("the network returned NaN for this item, so it has no code")

// rows gathers the columns that every result has: what the item is and whether
// it could be read.
type rows struct {
	n                                int
	id, path, class, status, message []string
	label                            []int64
	failed                           []bool
	unlabelled                       []bool
}

func (r *rows) add(it dataset.Item, err error) {
	r.n++
	r.id, r.path, r.class = append(r.id, it.ID), append(r.path, it.Path), append(r.class, it.Class)
	r.label = append(r.label, int64(max(it.Label, 0)))
	r.unlabelled = append(r.unlabelled, it.Label < 0)
	status, message := "ok", ""
	if err != nil {
		status, message = "error", err.Error()
	}
	r.status, r.message = append(r.status, status), append(r.message, message)
	r.failed = append(r.failed, err != nil)
}

func (r *rows) reset() { *r = rows{} }

func (r *rows) columns() []Column {
	good := make([]bool, r.n)
	for i, f := range r.failed {
		good[i] = !f
	}
	return []Column{
		{Name: "id", Values: r.id},
		{Name: "path", Values: r.path},
		{Name: "label", Values: r.label, Null: r.unlabelled},
		{Name: "class", Values: r.class},
		{Name: "status", Values: r.status},
		{Name: "error", Values: r.message, Null: good},
	}
}

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
func (r *Prober) Codes(ctx context.Context, ds dataset.Dataset, sink Sink, o CodeOptions) (Summary, error) {
	p, width := r.Plan, r.Plan.CodeBytes()
	codes := make([]byte, r.Batch*width)
	var sketches []byte
	if o.Sketch != nil {
		sketches = make([]byte, r.Batch*o.Sketch.Bytes())
	}
	return r.each(ctx, ds, o.RunOptions, func(out []*tensor.Tensor, rows *rows) error {
		r.codes(codes, out, "code")
		cols := rows.columns()
		digests := make([]string, rows.n)
		for i := range rows.n {
			code := codes[i*width : (i+1)*width]
			if rows.failed[i] {
				clear(code)
				if o.Sketch != nil {
					clear(sketches[i*o.Sketch.Bytes() : (i+1)*o.Sketch.Bytes()])
				}
				continue
			}
			digests[i] = DigestOf(code).String()
			if o.Sketch != nil {
				o.Sketch.Of(sketches[i*o.Sketch.Bytes():(i+1)*o.Sketch.Bytes()], code)
			}
		}
		cols = append(cols, Column{Name: "digest", Values: digests, Null: rows.failed})
		if p.options.Fragile > 0 {
			counts := make([]int64, rows.n*len(p.Sites))
			total := make([]int64, rows.n)
			for s, t := range r.probe(out, "fragile") {
				if t == nil {
					continue
				}
				for i, v := range tensor.Data[float32](t)[:rows.n] {
					counts[i*len(p.Sites)+s] = int64(v)
					total[i] += int64(v)
				}
			}
			cols = append(cols, Column{Name: "fragile", Values: total, Null: rows.failed})
		}
		if o.Sketch != nil {
			cols = append(cols, Column{Name: "sketch", Values: sketches[:rows.n*o.Sketch.Bytes()], Width: o.Sketch.Bytes(), Null: rows.failed})
		}
		if o.Full || o.PerSite {
			c := Column{Name: "code", Values: codes[:rows.n*width], Width: width, Null: rows.failed}
			if o.PerSite {
				c.Parts = p.parts()
			}
			cols = append(cols, c)
		}
		return sink.Write(cols)
	})
}

// each runs a dataset batch by batch. Rows of items that failed are in the batch
// as zeros; use sees all of them, and must treat rows.failed.
func (r *Prober) each(ctx context.Context, ds dataset.Dataset, o RunOptions, use func([]*tensor.Tensor, *rows) error) (Summary, error) {
	var sum Summary
	for b, err := range dataset.Batches(ctx, ds, r.Batch, o.workers()) {
		if err != nil {
			return sum, err
		}
		out, err := r.Run(ctx, b.Input)
		if err != nil {
			return sum, err
		}
		nan := r.nan(out)
		rows := &rows{}
		for i := range b.N {
			err := b.Errs[i]
			if err == nil && nan[i] {
				err = errNaN
			}
			rows.add(b.Items[i], err)
			sum.count(err)
		}
		if err := use(out, rows); err != nil {
			return sum, err
		}
		o.progress(sum)
	}
	return sum, ctx.Err()
}
