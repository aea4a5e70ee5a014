package job

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
)

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
	if p.Settings.Data.Points != nil {
		origins = []dataset.Origin{{Format: points, Items: ds.Len()}}
	}
	if origins == nil {
		return errors.New("planning a job: its inputs must be files and folders")
	}
	var shard Shard
	var parts []portion
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
		if o.Format == pictures {
			folder, err := p.isFolder(o)
			if err != nil {
				return err
			}
			if folder {
				source.Folder, source.Paths = o.Paths[0], nil
			} else {
				source.Paths = o.Paths[:1]
			}
		} else if len(o.Paths) == 1 {
			st, err := os.Stat(p.find(o.Paths[0]))
			if dataset.FaultOf(err) >= dataset.MediumFault {
				return &dataset.MachineError{Err: err}
			}
			if err == nil && st.Mode().IsRegular() {
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
			d, err := dataset.Range(ds, start+from, start+to)
			if err != nil {
				return err
			}
			piece := Piece{Source: len(p.Sources) - 1, From: from, To: to}
			if o.Format == pictures {
				if piece.At, piece.End, err = p.name(fresh{ds, start + from, start + to, source.Folder}); err != nil {
					return err
				}
			}
			shard.Pieces, parts = append(shard.Pieces, piece), append(parts, portion{ds: d, file: fileOf(o)})
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
	p.Left = append(p.Left, dataset.Describe(ds).Left...)
	p.seal()
	return nil
}

// isFolder says whether a source is a folder of pictures.
func (p *Plan) isFolder(o dataset.Origin) (bool, error) {
	if len(o.Paths) > 1 {
		return false, nil
	}
	st, err := os.Stat(p.find(o.Paths[0]))
	if dataset.FaultOf(err) >= dataset.MediumFault {
		return false, &dataset.MachineError{Err: err}
	}
	return err == nil && st.IsDir(), nil
}

// grown is an error when a source that the job has holds files that it has not, and that
// are not given by their names.
func (p *Plan) grown(source string, have map[string]bool, fresh []string, o dataset.Options) error {
	ds, err := dataset.Open([]string{source}, o)
	if err != nil {
		return err
	}
	mine, err := p.pictures() // and those to come
	if err != nil {
		return err
	}
	for _, path := range fresh {
		mine[resolved(path)] = true
	}
	n, first := 0, ""
	for i := range ds.Len() {
		if path := ds.Item(i).Path; path != "" && !have[path] && !mine[resolved(path)] {
			if n++; n == 1 {
				first = path
			}
		}
	}
	if n > 0 {
		return fmt.Errorf("extending the job: it has %s, but not all that is there now; new items: %d, the first %s; "+
			"give the new files by their names", source, n, first)
	}
	return nil
}

// resolved is where a path leads from this folder.
func resolved(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return filepath.Clean(path)
}

// pictures are the paths, resolved, of the pictures of the job's folders.
func (p *Plan) pictures() (map[string]bool, error) {
	mine := map[string]bool{}
	for _, s := range p.Shards {
		for _, c := range s.Pieces {
			folder := p.Sources[c.Source].Folder
			if c.End == c.At || folder == "" {
				continue
			}
			names, err := p.names(c)
			if err != nil {
				return nil, err
			}
			for _, n := range names {
				mine[resolved(filepath.Join(folder, n))] = true
			}
		}
	}
	return mine, nil
}

// fromHere is paths that count from this folder as ones that count from where the plan was
// made.
func (p *Plan) fromHere(sources []string) ([]string, error) {
	here, err := os.Getwd()
	if err != nil || p.From == "" || here == p.From {
		return sources, err
	}
	var out []string
	for _, path := range sources {
		if !filepath.IsAbs(path) {
			if path, err = filepath.Rel(p.From, filepath.Join(here, path)); err != nil {
				return nil, fmt.Errorf("extending the job: %w", err)
			}
		}
		out = append(out, path)
	}
	return out, nil
}

// Extend appends to the plan what of the sources it does not have, reading them as
// the settings say, and saves it. It says how many items are new.
func (p *Plan) Extend(sources []string, format string) (int, error) {
	unlock, now, err := p.lock()
	if err != nil {
		return 0, err
	}
	defer unlock()
	if now.Fingerprint != p.Fingerprint { // another extended it since it was loaded
		if err := p.SameSettings(now); err != nil {
			return 0, err
		}
		*p = *now
	}
	if sources, err = p.fromHere(sources); err != nil {
		return 0, err
	}
	have := map[string]bool{}
	for _, s := range p.Sources {
		for _, path := range append(s.Paths, s.Folder) {
			have[path] = path != ""
		}
	}
	if err := p.addNames(have); err != nil {
		return 0, err
	}
	mine, err := p.pictures()
	if err != nil {
		return 0, err
	}
	// A folder of array files stands for the files that were in it, and one of pictures has
	// some of those that are given by their names.
	fresh := slices.DeleteFunc(slices.Clone(sources), func(path string) bool {
		return have[path] || have[strings.TrimSuffix(path, "/")] || mine[resolved(path)]
	})
	o := p.options(nil)
	o.Format = format
	for _, path := range sources {
		if slices.Contains(fresh, path) || mine[resolved(path)] {
			continue
		}
		if err := p.grown(path, have, fresh, o); err != nil {
			return 0, err
		}
	}
	if len(fresh) == 0 && p.Changed == nil {
		return 0, nil
	}
	if len(fresh) == 0 { // what can be used of it is what was extended: it is whole again
		return 0, p.write(false)
	}
	ds, err := dataset.Open(fresh, o)
	if err != nil {
		return 0, err
	}
	origins := dataset.Origins(ds)
	if r := p.Settings.Regions; r != nil && r.Method == nil {
		return 0, errors.New("extending the job: it is of regions, which were matched with the pictures when it was planned; plan anew")
	}
	if p.Settings.arrays() {
		return 0, errors.New("extending the job: rows of arrays go into the model beside its items, and there are none for new ones; plan anew")
	}
	if p.Settings.Data.Points != nil {
		return 0, errors.New("extending the job: it is of random points, which have no files to add to")
	}
	for _, or := range origins {
		for _, path := range or.Paths {
			if have[path] {
				return 0, fmt.Errorf("extending the job: %s is in it already; give the new files by their names", path)
			}
		}
	}
	if path := fresh[0]; len(fresh) == 1 && len(origins) == 1 && origins[0].Prefix == "" {
		st, err := os.Stat(p.find(path))
		if err != nil {
			return 0, err
		}
		switch {
		case st.IsDir():
			origins[0].Prefix = filepath.Clean(path) + "/"
		case origins[0].Format != "images":
			origins[0].Prefix = strings.TrimSuffix(path, filepath.Base(path))
		}
		p.Left = append(p.Left, dataset.Describe(ds).Left...) // which is not looked for again
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
