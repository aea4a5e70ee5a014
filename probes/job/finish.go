package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/region"
	"github.com/onnxprobe/onnxprobe/probes/sink"
)

// Status is how far a job is.
type Status struct {
	Shards   int   `json:"shards"`
	Done     int   `json:"done"`
	Missing  []int `json:"missing"` // neither done nor set aside
	Running  []int `json:"running"` // of those, where a worker of this machine is
	Aside    []int `json:"set_aside"`
	Items    int   `json:"items"`
	Finished int   `json:"items_done"`
	Failed   int   `json:"items_failed"`
	// Regions counts the rows so far, where they are of regions.
	Regions *region.RowSummary `json:"regions,omitempty"`
	// Tiles is their number so far, where pictures are cut into them.
	Tiles int   `json:"tiles,omitempty"`
	Bytes int64 `json:"bytes"`
	// Seconds are summed over the shards, ItemsPerSecond is of one worker.
	Seconds        Seconds  `json:"seconds"`
	ItemsPerSecond float64  `json:"items_per_second"`
	Errors         []string `json:"errors,omitempty"`
	Success        bool     `json:"success"`
}

// Status looks at every shard's record.
func (p *Plan) Status() Status {
	s := Status{Shards: len(p.Shards), Items: p.Items, Missing: []int{}, Running: []int{}, Aside: []int{}}
	if p.Settings.Regions != nil {
		s.Regions = &region.RowSummary{}
	}
	for i := range p.Shards {
		r := p.Done(i)
		switch {
		case r != nil:
			s.Done++
			s.Finished, s.Failed, s.Bytes = s.Finished+r.Items, s.Failed+r.Failed, s.Bytes+r.Bytes()
			s.Seconds.add(r.Seconds)
			s.Tiles += r.Tiles
			if s.Regions != nil && r.Regions != nil {
				s.Regions.Add(*r.Regions)
			}
			s.Errors = append(s.Errors, r.Errors[:min(len(r.Errors), max(10-len(s.Errors), 0))]...)
		case p.SetAside(i) != nil:
			s.Aside = append(s.Aside, i)
		default:
			s.Missing = append(s.Missing, i)
			if _, alive := p.tries(i); alive > 0 {
				s.Running = append(s.Running, i)
			}
		}
	}
	if s.Seconds.Total > 0 {
		s.ItemsPerSecond = float64(s.Finished) / s.Seconds.Total
	}
	_, err := os.Stat(filepath.Join(p.dir, successName))
	s.Success = err == nil
	return s
}

// Mismatch is a file that is not what its record says.
type Mismatch struct {
	Shard int    `json:"shard"`
	File  string `json:"file"`
	Why   string `json:"why"`
}

// Verify reads every file of the shards that are done and holds it against its
// record. The record of a shard with a file that differs is removed, so that the
// next run makes it anew.
func (p *Plan) Verify(seen func(shard int)) ([]Mismatch, error) {
	var bad []Mismatch
	for i := range p.Shards {
		r := p.Done(i)
		if r == nil {
			continue
		}
		n := len(bad)
		for _, f := range r.Files {
			got, err := sink.Sum(filepath.Join(p.dir, filepath.Base(f.Name)))
			switch {
			case err != nil:
				bad = append(bad, Mismatch{i, f.Name, err.Error()})
			case got != f:
				bad = append(bad, Mismatch{i, f.Name, fmt.Sprintf("it has %d bytes with SHA-256 %.12s…, its record says %d with %.12s…", got.Bytes, got.SHA256, f.Bytes, f.SHA256)})
			}
		}
		if len(bad) > n {
			if err := errors.Join(p.unfinish(), os.Remove(p.path(i, "_stats.json"))); err != nil {
				return bad, fmt.Errorf("taking back the record of shard %d: %w", i, err)
			}
		}
		if seen != nil {
			seen(i)
		}
	}
	return bad, nil
}

// manifest is manifest.json, of a whole job: the same whatever machines made it, and
// however often they were stopped.
type manifest struct {
	*probes.Manifest
	Fingerprint string `json:"fingerprint"`
	// Engines are all that shards were made with.
	Engines  []Engine `json:"engines"`
	Settings Settings `json:"settings"`
	// Regions counts the rows, where they are of regions.
	Regions *region.RowSummary `json:"regions,omitempty"`
	Shards  []made             `json:"shards"`
	Aside   []Aside            `json:"set_aside,omitempty"`
}

type made struct {
	Shard  int         `json:"shard"`
	First  int         `json:"first_item"`
	Items  int         `json:"items"`
	Failed int         `json:"failed"`
	Files  []sink.File `json:"files"`
}

// IncompleteError says what keeps a job from being finished.
type IncompleteError struct {
	Missing, Aside []int
	Bad            []Mismatch
}

func (e *IncompleteError) Error() string {
	var errs []error
	if n := len(e.Missing); n > 0 {
		errs = append(errs, fmt.Errorf("%s not done: %v", shardsAre(n), some(e.Missing)))
	}
	for _, b := range e.Bad[:min(len(e.Bad), 5)] {
		errs = append(errs, fmt.Errorf("shard %d: %s: %s; the next run makes it anew", b.Shard, b.File, b.Why))
	}
	if n := len(e.Aside); n > 0 {
		errs = append(errs, fmt.Errorf("%s set aside: %v; onnxprobe hash run DIR --retry tries again, finish --allow-failed does without", shardsAre(n), some(e.Aside)))
	}
	return errors.Join(errs...).Error()
}

func some(v []int) string {
	if len(v) <= 10 {
		return fmt.Sprint(v)
	}
	return fmt.Sprintf("%v and %d more", v[:10], len(v)-10)
}

// Finish verifies every shard and then writes manifest.json, sketches.faiss where it
// is asked for, and _SUCCESS. What is not complete is an *IncompleteError; with
// allowAside, shards that are set aside are left out. Anyone may call it, at any
// time and again.
func (p *Plan) Finish(allowAside bool, seen func(shard int)) (Status, error) {
	bad, err := p.Verify(seen)
	if err != nil {
		return Status{}, err
	}
	s := p.Status()
	if len(s.Missing) > 0 || len(bad) > 0 || len(s.Aside) > 0 && !allowAside {
		return s, &IncompleteError{s.Missing, s.Aside, bad}
	}
	mf := *p.Manifest
	mf.Model, mf.Command, mf.Summary = p.Model, p.Command, probes.Summary{Items: s.Finished, Failed: s.Failed, Errors: s.Errors}
	mf.Dataset = probes.ManifestData{Description: p.Describe()}
	whole := manifest{Manifest: &mf, Fingerprint: p.Fingerprint, Settings: p.Settings, Regions: s.Regions}
	first := 0
	for i := range p.Shards {
		if r := p.Done(i); r != nil {
			whole.Shards = append(whole.Shards, made{i, first, r.Items, r.Failed, r.Files})
			if !slices.Contains(whole.Engines, r.Engine) {
				whole.Engines = append(whole.Engines, r.Engine)
			}
		} else if a := p.SetAside(i); a != nil {
			whole.Aside = append(whole.Aside, *a)
		} else {
			return s, &IncompleteError{Missing: []int{i}}
		}
		first += p.Shards[i].Items
	}
	if p.Settings.FAISS {
		if err := p.index(whole.Shards); err != nil {
			return s, fmt.Errorf("writing %s: %w", faissName, err)
		}
	}
	b, err := json.MarshalIndent(whole, "", " ")
	if err == nil {
		err = put(filepath.Join(p.dir, manifestName), append(b, '\n'), false)
	}
	if err == nil {
		err = put(filepath.Join(p.dir, successName), []byte(p.Fingerprint+"\n"), false)
	}
	if err != nil {
		return s, fmt.Errorf("finishing the job: %w", err)
	}
	s.Success = true
	return s, p.tidy()
}

// tidy removes what processes that were killed left behind.
func (p *Plan) tidy() error {
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		m := ofShard.FindStringSubmatch(e.Name())
		if m == nil {
			m = ofJob.FindStringSubmatch(e.Name())
		}
		old := strings.HasSuffix(e.Name(), namesSuffix) && e.Name() != p.Names // from before the job was extended
		if m != nil && (old || m[len(m)-1] != "") || len(m) > 3 && m[2] == "_tries" {
			errs = append(errs, os.RemoveAll(filepath.Join(p.dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// shards is "1 shard" or "2 shards", shardsAre with its verb.
func shards(n int) string {
	if n == 1 {
		return "1 shard"
	}
	return fmt.Sprintf("%d shards", n)
}

func shardsAre(n int) string {
	if n == 1 {
		return "1 shard is"
	}
	return shards(n) + " are"
}
