package job

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"sync/atomic"
	"time"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
)

// InputError says that inputs are not what they were when the job was planned.
type InputError struct{ error }

func (e InputError) Unwrap() error { return e.error }

// options are those that the job's inputs are opened with.
func (p *Plan) options(reading *atomic.Int64) dataset.Options {
	d := p.Settings.Data
	return dataset.Options{Layout: d.Layout, Column: d.Column, Pixels: d.Pixels, Preprocess: d.Preprocess, Input: p.Settings.Sample,
		EXIF: d.EXIF, MaxPixels: d.MaxPixels, ReadTime: reading, FS: p.files()}
}

// lostOr is the error of a source at path that cannot be opened: the machine's, or that its
// folder cannot be reached, or else that it is not what it was.
func lostOr(path string, folder bool, err error) error {
	if dataset.FaultOf(err) >= dataset.MediumFault || path == "" {
		return err
	}
	if !folder {
		path = filepath.Dir(path)
	}
	if _, lost := os.Stat(path); lost != nil {
		return unreachable(path, lost)
	}
	return changed(err)
}

// opener opens the inputs of shards, and keeps the source that it opened last.
type opener struct {
	plan    *Plan
	options dataset.Options
	last    int
	ds      dataset.Dataset
}

func (o *opener) open(i int) (*data, error) {
	s := &o.plan.Shards[i]
	var parts []portion
	for _, c := range s.Pieces {
		src := o.plan.Sources[c.Source].Origin
		var ds dataset.Dataset
		var err error
		switch {
		case src.Format == pictures: // only those of the shard
			src.Items = c.To - c.From
			if src.Paths, err = o.plan.names(c); err != nil {
				return nil, ownError{err}
			}
			ds, err = src.Open(o.options)
		case src.Format == points && o.plan.Settings.Data.Points != nil:
			r := o.plan.Settings.Data.Points
			ds, err = dataset.Range(dataset.Random(src.Items, o.plan.Settings.Sample, r.Low, r.High, r.Seed), c.From, c.To)
		case o.ds != nil && o.last == c.Source:
			ds, err = dataset.Range(o.ds, c.From, c.To)
		default:
			if ds, err = src.Open(o.options); err == nil {
				o.ds, o.last = ds, c.Source
				ds, err = dataset.Range(ds, c.From, c.To)
			}
		}
		if err != nil {
			return nil, lostOr(o.plan.find(o.plan.Sources[c.Source].root()), src.Format == pictures, err)
		}
		parts = append(parts, portion{ds: ds, file: fileOf(src), root: o.plan.Sources[c.Source].root()})
	}
	d, err := newData(parts, o.plan.Classes, s.Again)
	if err != nil {
		return nil, changed(err)
	}
	return d, nil
}

// forget makes the next shard open its source anew.
func (o *opener) forget() { o.ds = nil }

// data is a shard's items, with the labels of the whole job.
type data struct {
	dataset.Dataset // the parts, one after the other
	parts           []portion
	starts          []int // the first item of each part, and the number of all
	again           map[int]string
}

// portion is the items of one source.
type portion struct {
	ds      dataset.Dataset
	file    string         // that holds all of them; "" where each has its own
	root    string         // without which there are none; "" where that is not known
	relabel map[string]int // the job's label of each class; nil where they agree
}

// fileOf is the file that holds all items of a source; "" where there is none.
func fileOf(o dataset.Origin) string {
	if o.Format == pictures || o.Format == "list" || len(o.Paths) == 0 {
		return ""
	}
	return o.Paths[0]
}

func newData(parts []portion, classes []string, again map[int]string) (*data, error) {
	d := &data{parts: parts, starts: []int{0}, again: again}
	var all []dataset.Dataset
	for i := range parts {
		p := &parts[i]
		all, d.starts = append(all, p.ds), append(d.starts, d.starts[i]+p.ds.Len())
		if own := dataset.Describe(p.ds).Classes; len(own) > 0 && !slices.Equal(own, classes) {
			p.relabel = map[string]int{}
			for k, c := range classes {
				p.relabel[c] = k
			}
		}
	}
	var err error
	d.Dataset, err = dataset.Concat(all...)
	return d, err
}

func (d *data) part(i int) (p *portion, at int) {
	if len(d.parts) == 1 { // as most have
		return &d.parts[0], i
	}
	k := sort.SearchInts(d.starts, i+1) - 1
	return &d.parts[k], i - d.starts[k]
}

func (d *data) Unwrap() dataset.Dataset { return d.Dataset }

func (d *data) Item(i int) dataset.Item {
	p, _ := d.part(i)
	it := d.Dataset.Item(i)
	if id, ok := d.again[i]; ok {
		it.ID = id
	}
	if p.relabel != nil && it.Class != "" {
		if k, ok := p.relabel[it.Class]; ok {
			it.Label = k
		}
	}
	return it
}

// file is where item i, which is it, lies; "" for one that is in no file.
func (d *data) file(i int, it dataset.Item) string {
	if p, _ := d.part(i); p.file != "" {
		return p.file
	}
	return it.Path
}

// digest is of the names of a shard's items, and of their files.
func (p *Plan) digest(d *data) (string, error) {
	h := sha256.New()
	last := ""
	for i := range d.Len() {
		it := d.Item(i)
		fmt.Fprintf(h, "%q %q %d %q\n", it.ID, it.Path, it.Label, it.Class)
		path := d.file(i, it)
		if path == last {
			continue
		}
		last = path
		st, err := os.Stat(p.find(path))
		if dataset.FaultOf(err) >= dataset.MediumFault {
			return "", &dataset.MachineError{Err: fmt.Errorf("looking at the inputs: %w", err)}
		}
		if err != nil {
			// A file that cannot be seen now is read as an error, as often as it is tried.
			fmt.Fprintf(h, "%v\n", errors.Unwrap(err))
			continue
		}
		fmt.Fprintf(h, "%d", st.Size())
		if !p.Settings.Data.IgnoreTime {
			fmt.Fprintf(h, " %d", st.ModTime().UnixNano())
		}
		fmt.Fprintln(h)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// unchanged is nil while the inputs of a shard are those that were planned.
func (p *Plan) unchanged(i int, d *data) error {
	got, err := p.digest(d)
	if err != nil || got == p.Shards[i].Inputs {
		return err
	}
	for k := range d.Len() {
		if path := d.file(k, d.Item(k)); path != "" {
			if _, err := os.Stat(p.find(path)); err != nil {
				if dataset.FaultOf(err) >= dataset.MediumFault {
					return &dataset.MachineError{Err: err}
				}
				if part, _ := d.part(k); part.root != "" {
					root := p.find(part.root)
					if _, lost := os.Stat(root); lost != nil {
						return unreachable(root, lost)
					}
				}
				var why *fs.PathError
				if errors.As(err, &why) {
					err = why.Err
				}
				return InputError{fmt.Errorf("its inputs are not what they were when the job was planned: %s: %w; put it back and run it again, or plan anew", path, err)}
			}
		}
	}
	return changed(p.newer(d))
}

// newer says which of the files of d, one of which has changed, has done so since
// the job was planned.
func (p *Plan) newer(d *data) error {
	if st, err := os.Stat(filepath.Join(p.dir, planName)); err == nil {
		for k := range d.Len() {
			if f, err := os.Stat(p.find(d.file(k, d.Item(k)))); err == nil && f.ModTime().After(st.ModTime()) {
				return fmt.Errorf("%s was changed at %s, after that", d.file(k, d.Item(k)), f.ModTime().Format(time.RFC3339))
			}
		}
	}
	if f := d.parts[0].file; f != "" && len(d.parts) == 1 {
		return fmt.Errorf("%s has another size or time", f)
	}
	return fmt.Errorf("items from %q on have files of other names, sizes or times", d.Item(0).ID)
}

func changed(err error) error {
	return InputError{fmt.Errorf("its inputs are not what they were when the job was planned: %w; put them back, "+
		"times of change and all, and run it again, or plan anew", err)}
}

// Describe says what goes into the job.
func (p *Plan) Describe() dataset.Description {
	d := dataset.Description{Items: p.Items, Shape: p.Settings.Sample, Classes: p.Classes, Left: p.Left}
	for _, s := range p.Sources {
		path := s.Folder
		switch r := p.Settings.Data.Points; {
		case r != nil:
			path = fmt.Sprintf("uniform in [%v, %v), seed %d", r.Low, r.High, r.Seed)
		case len(s.Paths) > 0 && s.Format == pictures && s.Items > 1:
			path = fmt.Sprintf("%s and %d more files", s.Paths[0], s.Items-1)
		case len(s.Paths) > 0:
			path = s.Paths[0]
		}
		of := dataset.Source{Path: path, Format: s.Format, Items: s.Items, Preprocess: p.Settings.Data.Preprocess}
		if s.Format == "npy" && p.Settings.Data.Pixels == dataset.PixelsNone { // which no preprocessing touches
			of.Preprocess = nil
		}
		d.Sources = append(d.Sources, of)
	}
	return d
}
