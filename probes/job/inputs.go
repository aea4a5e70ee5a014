package job

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"sync/atomic"
	"time"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
)

// InputError says that inputs are not what they were when the job was planned.
type InputError struct{ error }

func (e InputError) Unwrap() error { return e.error }

// whole are the formats whose files are read from the start: a shard is made of
// whole files of them, so that no two workers read one.
var whole = []string{"webdataset", "tar", "parquet"}

// again tells an ID that the dataset changed because its own was taken.
var again = regexp.MustCompile(`#[0-9]+$`)

// add appends the items of ds to the plan as new shards, limit of them if not 0.
func (p *Plan) add(ds dataset.Dataset, limit int) error {
	if limit <= 0 || limit > ds.Len() {
		limit = ds.Len()
	}
	origins := dataset.Origins(ds)
	if origins == nil {
		return errors.New("planning a job: its inputs must be files and folders")
	}
	var shard Shard
	var parts []dataset.Dataset
	flush := func() error {
		if shard.Items == 0 {
			return nil
		}
		d, err := newData(parts, p.Classes, nil)
		if err != nil {
			return err
		}
		for i := range d.Len() {
			if id := d.Item(i).ID; again.MatchString(id) {
				if shard.Again == nil {
					shard.Again = map[int]string{}
				}
				shard.Again[i] = id
			}
		}
		if shard.Inputs, err = p.digest(d); err != nil {
			return err
		}
		p.Shards = append(p.Shards, shard)
		shard, parts = Shard{}, nil
		return nil
	}
	start := 0
	for _, o := range origins {
		if start >= limit {
			break
		}
		source := Source{Origin: o}
		if len(o.Paths) == 1 {
			if st, err := os.Stat(o.Paths[0]); err == nil && st.Mode().IsRegular() {
				source.Bytes, source.Modified = st.Size(), st.ModTime().UTC().Format(time.RFC3339Nano)
			}
		}
		p.Sources = append(p.Sources, source)
		n := min(o.Items, limit-start)
		for from := 0; from < n; {
			room := p.ShardSize - shard.Items
			if slices.Contains(whole, o.Format) {
				if n > room && shard.Items > 0 {
					if err := flush(); err != nil {
						return err
					}
				}
				room = n
			}
			to := min(from+room, n)
			part, err := dataset.Range(ds, start+from, start+to)
			if err != nil {
				return err
			}
			shard.Pieces, parts = append(shard.Pieces, Piece{len(p.Sources) - 1, from, to}), append(parts, part)
			shard.Items += to - from
			if from = to; shard.Items >= p.ShardSize {
				if err := flush(); err != nil {
					return err
				}
			}
		}
		start += o.Items
	}
	if err := flush(); err != nil {
		return err
	}
	p.seal()
	return nil
}

// Extend appends to the plan what of the sources it does not have, reading them as
// the settings say, and saves it. It says how many items are new.
func (p *Plan) Extend(sources []string, format string) (int, error) {
	have := map[string]bool{}
	for _, s := range p.Sources {
		for _, path := range s.Paths {
			have[path] = true
		}
	}
	// A folder of array files stands for the files that were in it.
	fresh := slices.DeleteFunc(slices.Clone(sources), func(path string) bool {
		return have[path] || have[strings.TrimSuffix(path, "/")]
	})
	if len(fresh) == 0 {
		return 0, nil
	}
	o := p.options(nil)
	o.Format = format
	ds, err := dataset.Open(fresh, o)
	if err != nil {
		return 0, err
	}
	origins := dataset.Origins(ds)
	for _, or := range origins {
		for _, path := range or.Paths {
			if have[path] {
				return 0, fmt.Errorf("extending the job: %s is in it already; give the new files by their names", path)
			}
		}
	}
	if path := fresh[0]; len(fresh) == 1 && len(origins) == 1 && origins[0].Prefix == "" {
		st, err := os.Stat(path)
		if err != nil {
			return 0, err
		}
		switch {
		case st.IsDir():
			origins[0].Prefix = filepath.Clean(path) + "/"
		case origins[0].Format != "images":
			origins[0].Prefix = strings.TrimSuffix(path, filepath.Base(path))
		}
		if ds, err = origins[0].Open(o); err != nil {
			return 0, err
		}
	}
	for _, c := range dataset.Describe(ds).Classes {
		if !slices.Contains(p.Classes, c) {
			p.Classes = append(p.Classes, c)
		}
	}
	before := p.Items
	if err := p.add(ds, 0); err != nil {
		return 0, err
	}
	if err := p.unfinish(); err != nil {
		return 0, err
	}
	return p.Items - before, p.write(false)
}

// options are those that the job's inputs are opened with.
func (p *Plan) options(reading *atomic.Int64) dataset.Options {
	d := p.Settings.Data
	return dataset.Options{Layout: d.Layout, Column: d.Column, Preprocess: d.Preprocess, Input: p.Settings.Sample, EXIF: d.EXIF, MaxPixels: d.MaxPixels, ReadTime: reading}
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
	var parts []dataset.Dataset
	for _, c := range s.Pieces {
		src := o.plan.Sources[c.Source].Origin
		var ds dataset.Dataset
		var err error
		switch {
		case len(src.Paths) > 1: // of a list of pictures, only those
			src.Paths, src.Items = src.Paths[c.From:c.To], c.To-c.From
			ds, err = src.Open(o.options)
		case o.ds != nil && o.last == c.Source:
			ds, err = dataset.Range(o.ds, c.From, c.To)
		default:
			if ds, err = src.Open(o.options); err == nil {
				o.ds, o.last = ds, c.Source
				ds, err = dataset.Range(ds, c.From, c.To)
			}
		}
		if err != nil {
			return nil, changed(err)
		}
		parts = append(parts, ds)
	}
	d, err := newData(parts, o.plan.Classes, s.Again)
	if err != nil {
		return nil, changed(err)
	}
	return d, nil
}

// data is a shard's items, with the labels of the whole job.
type data struct {
	parts   []dataset.Dataset
	starts  []int // the first item of each part, and the number of all
	relabel []map[string]int
	again   map[int]string
}

func newData(parts []dataset.Dataset, classes []string, again map[int]string) (*data, error) {
	d := &data{parts: parts, starts: []int{0}, again: again}
	for i, p := range parts {
		if !slices.Equal(p.Shape(), parts[0].Shape()) {
			return nil, fmt.Errorf("samples of shape %v beside samples of %v", p.Shape(), parts[0].Shape())
		}
		d.starts = append(d.starts, d.starts[i]+p.Len())
		var names map[string]int
		if own := dataset.Describe(p).Classes; len(own) > 0 && !slices.Equal(own, classes) {
			names = map[string]int{}
			for k, c := range classes {
				names[c] = k
			}
		}
		d.relabel = append(d.relabel, names)
	}
	return d, nil
}

func (d *data) part(i int) (p, at int) {
	p = sort.SearchInts(d.starts, i+1) - 1
	return p, i - d.starts[p]
}

func (d *data) Len() int     { return d.starts[len(d.starts)-1] }
func (d *data) Shape() []int { return d.parts[0].Shape() }

func (d *data) Item(i int) dataset.Item {
	p, at := d.part(i)
	it := d.parts[p].Item(at)
	if id, ok := d.again[i]; ok {
		it.ID = id
	}
	if d.relabel[p] != nil && it.Class != "" {
		if k, ok := d.relabel[p][it.Class]; ok {
			it.Label = k
		}
	}
	return it
}

func (d *data) Sample(i int, dst []float32) error {
	p, at := d.part(i)
	return d.parts[p].Sample(at, dst)
}

// digest is of the names of a shard's items, and of their files.
func (p *Plan) digest(d *data) (string, error) {
	h := sha256.New()
	last := ""
	for i := range d.Len() {
		it := d.Item(i)
		fmt.Fprintf(h, "%q %q %d %q\n", it.ID, it.Path, it.Label, it.Class)
		if it.Path == last {
			continue
		}
		st, err := os.Stat(it.Path)
		if err != nil {
			// A file that cannot be seen now is read as an error, as often as it is tried.
			fmt.Fprintf(h, "%v\n", errors.Unwrap(err))
			last = it.Path
			continue
		}
		fmt.Fprintf(h, "%d", st.Size())
		if !p.Settings.Data.IgnoreTime {
			fmt.Fprintf(h, " %d", st.ModTime().UnixNano())
		}
		fmt.Fprintln(h)
		last = it.Path
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
		if path := d.Item(k).Path; path != "" {
			if _, err := os.Stat(path); err != nil {
				return changed(err)
			}
		}
	}
	return changed(fmt.Errorf("items from %q on have files of other names, sizes or times", d.Item(0).ID))
}

func changed(err error) error {
	return InputError{fmt.Errorf("its inputs are not what they were when the job was planned: %w; put them back and run it again, or plan anew", err)}
}

// Describe says what goes into the job.
func (p *Plan) Describe() dataset.Description {
	d := dataset.Description{Items: p.Items, Shape: p.Settings.Sample, Classes: p.Classes}
	for _, s := range p.Sources {
		path := s.Paths[0]
		if len(s.Paths) > 1 {
			path = fmt.Sprintf("%s and %d more files", path, len(s.Paths)-1)
		}
		d.Sources = append(d.Sources, dataset.Source{Path: path, Format: s.Format, Items: s.Items, Preprocess: p.Settings.Data.Preprocess})
	}
	return d
}
