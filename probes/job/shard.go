package job

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/internal/store"
	"github.com/onnxprobe/onnxprobe/probes/region"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// outputError is a fault in writing, which is no shard's.
type outputError struct{ error }

func (e outputError) Unwrap() error { return e.error }

// ownError is a fault in reading the job's own files, which is no shard's either.
type ownError struct{ error }

func (e ownError) Unwrap() error { return e.error }

// guarded marks a sink's errors.
type guarded []result.Sink

func (g guarded) Write(cols []result.Column) error {
	for _, s := range g {
		if err := s.Write(cols); err != nil {
			return outputError{err}
		}
	}
	return nil
}

func (g guarded) Commit(manifest any) error {
	for _, s := range g {
		if err := s.Commit(manifest); err != nil {
			return outputError{err}
		}
	}
	return nil
}

func (g guarded) Abort() error {
	var errs []error
	for _, s := range g {
		errs = append(errs, s.Abort())
	}
	return errors.Join(errs...)
}

// timed adds up how long samples took.
type timed struct {
	dataset.Dataset
	total *atomic.Int64
}

func (t timed) Sample(i int, dst []float32) error {
	start := time.Now()
	defer func() { t.total.Add(int64(time.Since(start))) }()
	return t.Dataset.Sample(i, dst)
}

func (t timed) Unwrap() dataset.Dataset { return t.Dataset }

// part is what a shard's file says of itself: nothing that could differ between two
// runs.
type part struct {
	*result.Manifest
	Fingerprint string   `json:"fingerprint"`
	Shard       int      `json:"shard"`
	Settings    Settings `json:"settings"`
}

// about is what shard i says of itself.
func (p *Plan) about(i int, print string, sum result.Summary, nothing bool) part {
	if nothing {
		sum = result.Summary{}
	}
	m := *p.Manifest
	m.Version, m.Summary = "", result.Summary{Items: sum.Items, Failed: sum.Failed}
	m.Dataset = &result.Data{Description: dataset.Description{Items: sum.Items, Shape: p.Settings.Sample}}
	return part{&m, print, i, p.Settings}
}

// make writes the files of shard i, and its record.
func (w *Worker) make(ctx context.Context, i int) (*Record, error) {
	p := w.plan
	start := time.Now()
	w.sampled.Store(0)
	w.reading.Store(0)
	ds, err := w.inputs.open(i)
	if err == nil {
		err = p.unchanged(i, ds)
	}
	if err != nil {
		return nil, err
	}
	var files []result.File
	keep := func(f []result.File) { files = append(files, f...) }
	to, err := result.Create(p.dataName(i), result.Options{Array: p.Settings.array(), Force: true, Part: keep, In: p.at})
	if err != nil {
		return nil, outputError{err}
	}
	all := guarded{to}
	defer func() { all.Abort() }()
	if p.Settings.FAISS {
		index, err := newIndex(p.at, shardName(i)+indexSuffix, p.Settings.Sketch, keep)
		if err != nil {
			return nil, outputError{err}
		}
		all = append(all, index)
	}
	cut, err := w.cut(ds)
	if err != nil {
		return nil, err
	}
	items, parts, err := w.feed(i, ds, timed{cut, &w.sampled})
	if err != nil {
		return nil, err
	}
	var out result.Sink = all
	var rows *region.Rows
	if parts != nil {
		rows = parts.Rows(all)
	} else if p.Settings.OfRegions() {
		if rows, err = w.rows(all, &p.Shards[i], ds, items); err != nil {
			return nil, err
		}
	}
	if rows != nil {
		out = rows
	}
	nothing := parts != nil && parts.Empty()
	var times probes.Times
	progress := func(s result.Summary) {
		s.Items = s.Items * ds.Len() / items.Len() // what is planned are pictures
		w.progress(s)
	}
	print := p.fingerprint(i)
	sum, err := w.prober.Run(ctx, items, out, probes.RunOptions{Decoders: w.options.Decoders, Progress: progress,
		Words: w.options.Words, Times: &times,
		Finish: func(m *result.Manifest) (any, error) {
			// A picture that vanished while it was needed is not a bad picture.
			if err := p.unchanged(i, ds); err != nil {
				return nil, err
			}
			if finished, err := p.finished(); err != nil {
				return nil, ownError{err}
			} else if finished { // which it is not while a shard is made again
				if err := p.unfinish(); err != nil {
					return nil, outputError{err}
				}
			}
			return p.about(i, print, m.Summary.(result.Summary), nothing), nil
		}})
	if err != nil {
		return nil, err
	}
	if nothing {
		sum = result.Summary{}
	}
	tiles := 0
	if p.Settings.Tiles != nil {
		tiles = cut.Len()
	}
	if parts != nil { // whose rows count what failed
		sum.Failed, sum.Errors = 0, nil
	}
	sum.Items = ds.Len() // what is planned are pictures
	r := &Record{Shard: i, Fingerprint: print, Items: sum.Items, Failed: sum.Failed, Tiles: tiles,
		Errors: sum.Errors, Warnings: sum.Warnings, Files: files, Engine: w.engine,
		Batch: w.prober.Batch, Worker: w.options.Name, Tool: result.Version(), Ended: time.Now().UTC().Format(time.RFC3339)}
	if rows != nil {
		s := rows.Summary()
		r.Regions, r.Errors = &s, append(r.Errors, s.Errors...)
		r.Errors = r.Errors[:min(len(r.Errors), 10)]
	}
	read := time.Duration(w.reading.Load()).Seconds()
	r.Seconds = Seconds{Read: read, Decode: time.Duration(w.sampled.Load()).Seconds() - read, Wait: times.Wait.Seconds(),
		Infer: times.Infer.Seconds(), Write: times.Write.Seconds(), Total: time.Since(start).Seconds()}
	b, err := sealed(r, &r.Sum)
	if err == nil {
		err = store.PutBytes(p.at, shardName(i)+recordSuffix, false, b)
	}
	if err != nil {
		return nil, outputError{fmt.Errorf("writing the record of shard %d: %w", i, err)}
	}
	return r, nil
}
