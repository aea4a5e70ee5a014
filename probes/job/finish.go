package job

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/onnxprobe/onnxprobe/probes/internal/store"
	"github.com/onnxprobe/onnxprobe/probes/region"
	"github.com/onnxprobe/onnxprobe/probes/region/annotate"
	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

// Status is how far a job is.
type Status struct {
	Shards  int   `json:"shards"`
	Done    int   `json:"done"`
	Missing []int `json:"missing"` // neither done nor set aside
	Running []int `json:"running"` // of those, where a worker of this machine is
	Aside   []int `json:"set_aside"`
	// AsideErrors are what shards that are set aside ended with, of those that say so.
	AsideErrors []string `json:"set_aside_errors,omitempty"`
	Items       int      `json:"items"`
	Finished    int      `json:"items_done"`
	Failed      int      `json:"items_failed"`
	// Regions counts the rows so far, where they are of regions.
	Regions *region.RowSummary `json:"regions,omitempty"`
	// Tiles is their number so far, where pictures are cut into them.
	Tiles int   `json:"tiles,omitempty"`
	Bytes int64 `json:"bytes"`
	// Seconds are summed over the shards, ItemsPerSecond is of one worker.
	Seconds        Seconds  `json:"seconds"`
	ItemsPerSecond float64  `json:"items_per_second"`
	Errors         []string `json:"errors,omitempty"`
	// Warnings are of items that were read all the same.
	Warnings result.Warnings `json:"warnings,omitempty"`
	Success  bool            `json:"success"`
}

// Status looks at every shard's record. An error is of the looking.
func (p *Plan) Status() (Status, error) {
	s := Status{Shards: len(p.Shards), Items: p.Items, Missing: []int{}, Running: []int{}, Aside: []int{}}
	if p.Settings.Regions != nil {
		s.Regions = &region.RowSummary{}
	}
	for i := range p.Shards {
		r, err := p.Done(i)
		if err != nil {
			return s, err
		}
		if r != nil {
			s.add(i, r)
			continue
		}
		aside, err := p.SetAside(i)
		if err != nil {
			return s, err
		}
		if aside != nil {
			if s.Aside = append(s.Aside, i); aside.Error != "" {
				s.AsideErrors = append(s.AsideErrors, fmt.Sprintf("shard %d: %s", i, aside.Error))
			}
			continue
		}
		s.Missing = append(s.Missing, i)
		if _, alive, err := p.tries(i); err != nil {
			return s, err
		} else if alive > 0 {
			s.Running = append(s.Running, i)
		}
	}
	if s.Seconds.Total > 0 {
		s.ItemsPerSecond = float64(s.Finished) / s.Seconds.Total
	}
	var err error
	s.Success, err = p.finished()
	return s, err
}

// Print writes how far the job is, for people.
func (s *Status) Print(w io.Writer) {
	rows := [][]string{
		{"shards done", fmt.Sprintf("%d of %d", s.Done, s.Shards)},
		{"missing", text.Numbered(s.Missing)},
		{"of these, running here", text.Numbered(s.Running)},
		{"set aside", text.Numbered(s.Aside)},
		{"items", fmt.Sprintf("%d of %d, %d failed", s.Finished, s.Items, s.Failed)},
		{"written", text.Size(s.Bytes)},
	}
	if s.Tiles > 0 {
		rows = append(rows, []string{"tiles", text.Grouped(int64(s.Tiles))})
	}
	if r := s.Regions; r != nil {
		rows = append(rows, []string{"regions", fmt.Sprintf("%d of %s, %d failed; %s without", r.Regions,
			text.Count(r.Pictures, "picture"), r.Failed, text.Count(r.Without, "picture"))})
	}
	if s.ItemsPerSecond > 0 {
		t := s.Seconds
		rows = append(rows, []string{"rate", fmt.Sprintf("%.4g items a second and worker", s.ItemsPerSecond)},
			[]string{"seconds", fmt.Sprintf("%.1f: reading %.1f, decoding %.1f, "+
				"inference %.1f, waiting for items %.1f, writing %.1f", t.Total, t.Read, t.Decode, t.Infer, t.Wait, t.Write)})
	}
	done := "no"
	if s.Success {
		done = "yes"
	}
	text.Table(w, append(rows, []string{"finished", done}))
	for _, all := range [][]string{s.AsideErrors, s.Errors} {
		for _, e := range all[:min(3, len(all))] {
			fmt.Fprintln(w, "  "+text.Message(e))
		}
	}
	for _, said := range s.Warnings {
		fmt.Fprintln(w, "  "+text.Message(said.String()))
	}
}

// add counts a shard that is done.
func (s *Status) add(i int, r *Record) {
	s.Done++
	s.Finished, s.Failed, s.Bytes = s.Finished+r.Items, s.Failed+r.Failed, s.Bytes+r.Bytes()
	s.Seconds.add(r.Seconds)
	s.Tiles += r.Tiles
	if s.Regions != nil && r.Regions != nil {
		s.Regions.Add(*r.Regions)
	}
	s.Errors = append(s.Errors, r.Errors[:min(len(r.Errors), max(10-len(s.Errors), 0))]...)
	s.Warnings.Join(r.Warnings)
}

// success is what _SUCCESS holds.
func (p *Plan) success() string { return p.Fingerprint + "\n" }

// finished says whether the job is finished: one with _SUCCESS of another content is not.
func (p *Plan) finished() (bool, error) {
	b, err := p.at.Get(successName)
	if err != nil {
		return false, missing(err)
	}
	return string(b) == p.success(), nil
}

// manifest is manifest.json, of a whole job: the same whatever machines made it, and
// however often they were stopped.
type manifest struct {
	*result.Manifest
	Fingerprint string `json:"fingerprint"`
	// Engines are all that shards were made with.
	Engines  []Engine `json:"engines"`
	Settings Settings `json:"settings"`
	// Regions counts the rows, where they are of regions; LeftOut is the plan's and what the
	// shards found.
	Regions *region.RowSummary `json:"regions,omitempty"`
	LeftOut annotate.Counts    `json:"regions_left_out,omitempty"`
	Shards  []made             `json:"shards"`
	Aside   []Aside            `json:"set_aside,omitempty"`
}

func (m *manifest) bytes() ([]byte, error) {
	b, err := json.MarshalIndent(m, "", " ")
	return append(b, '\n'), err
}

type made struct {
	Shard  int           `json:"shard"`
	First  int           `json:"first_item"`
	Items  int           `json:"items"`
	Failed int           `json:"failed"`
	Files  []result.File `json:"files"`
}

// whole is the manifest of the job as its records say; lacks are the shards that have none.
func (p *Plan) whole() (w manifest, lacks []int, err error) {
	var s Status
	if p.Settings.Regions != nil {
		s.Regions = &region.RowSummary{}
	}
	first := 0
	for i := range p.Shards {
		r, err := p.Done(i)
		if err != nil {
			return w, nil, err
		}
		a, err := p.SetAside(i)
		if err != nil {
			return w, nil, err
		}
		switch {
		case r != nil:
			s.add(i, r)
			w.Shards = append(w.Shards, made{i, first, r.Items, r.Failed, r.Files})
			if !slices.Contains(w.Engines, r.Engine) {
				w.Engines = append(w.Engines, r.Engine)
			}
		case a != nil:
			a.Error = "" // which has names of one machine
			w.Aside = append(w.Aside, *a)
		default:
			lacks = append(lacks, i)
		}
		first += p.Shards[i].Items
	}
	mf := *p.Manifest
	mf.Model, mf.Command = p.Model, p.Command
	mf.Summary = result.Summary{Items: s.Finished, Failed: s.Failed, Errors: s.Errors, Warnings: s.Warnings}
	mf.Dataset = &result.Data{Description: p.Describe()}
	w.Manifest, w.Fingerprint, w.Settings, w.Regions = &mf, p.Fingerprint, p.Settings, s.Regions
	if w.LeftOut = p.LeftOut; w.Regions != nil {
		w.LeftOut = annotate.Counts(nil).Add(p.LeftOut).Add(w.Regions.LeftOut)
	}
	return w, lacks, nil
}

// IncompleteError says what keeps a job from being finished.
type IncompleteError struct {
	Missing, Aside []int
	Bad            []Mismatch
}

func (e *IncompleteError) Error() string {
	var errs []error
	if n := len(e.Missing); n > 0 {
		errs = append(errs, fmt.Errorf("%s not done: %v; hash run makes them", shardsAre(n), some(e.Missing)))
	}
	for _, b := range e.Bad[:min(len(e.Bad), 5)] {
		errs = append(errs, errors.New(b.String()))
	}
	if n := len(e.Bad); n > 5 {
		errs = append(errs, fmt.Errorf("and %d more files are not what they were", n-5))
	}
	if n := len(e.Aside); n > 0 {
		errs = append(errs, fmt.Errorf("%s set aside: %v; a run that retries tries again, or finish without them",
			shardsAre(n), some(e.Aside)))
	}
	return errors.Join(errs...).Error()
}

// RemedyOptions is as in an onnx.RemedyError.
func (e *IncompleteError) RemedyOptions() []string {
	if len(e.Aside) == 0 {
		return nil
	}
	return []string{optionRetry, "job.Plan.Finish"}
}

// optionRetry is the name of the option that tries again what was set aside.
const optionRetry = "job.WorkerOptions.Retry"

func some(v []int) string {
	if len(v) <= 10 {
		return fmt.Sprint(v)
	}
	return fmt.Sprintf("%v and %d more", v[:10], len(v)-10)
}

// AllFailedError says that not one item of a job could be used, or not one region where rows
// are of these.
type AllFailedError struct {
	result.Summary
	what string
}

func (e *AllFailedError) Error() string {
	s := fmt.Sprintf("none of %s could be used", text.Count(e.Items, e.what))
	if len(e.Errors) > 0 {
		s += ": " + e.Errors[0]
	}
	return s
}

// AllFailed is an *AllFailedError where not one of the items that are done could be used, or
// not one of their regions where rows are of these; else nil.
func (s *Status) AllFailed() error {
	e := &AllFailedError{result.Summary{Items: s.Finished, Failed: s.Failed, Errors: s.Errors}, "item"}
	if r := s.Regions; r != nil && r.Regions > 0 {
		e.Items, e.Failed, e.what = r.Regions, r.Failed, "region"
	}
	if e.Failed == 0 || e.Failed < e.Items {
		return nil
	}
	return e
}

// Finish verifies all that the workers wrote and then writes manifest.json,
// sketches.faiss where it is asked for, and _SUCCESS. What is not complete is an
// *IncompleteError; with allowAside, shards that are set aside are left out. A job of
// arrays that hold nothing, for AllFailed, is an *AllFailedError: its shards are
// removed. Anyone may call it, at any time and again.
func (p *Plan) Finish(allowAside bool, seen func(shard int)) (Status, error) {
	v, err := p.verify(false, seen)
	if err != nil && len(v.Findings) > 0 {
		return Status{}, fmt.Errorf("%w; and %w", &IncompleteError{Bad: v.Findings}, err)
	}
	if err != nil {
		return Status{}, err
	}
	s, err := p.Status()
	if err != nil {
		return s, err
	}
	if len(s.Missing) > 0 || len(v.Findings) > 0 || len(s.Aside) > 0 && !allowAside {
		return s, &IncompleteError{s.Missing, s.Aside, v.Findings}
	}
	if none := s.AllFailed(); none != nil && p.Settings.Format == "npy" {
		return s, cmp.Or(p.dropShards(), none)
	}
	unlock, now, err := p.lock()
	if err != nil {
		return s, err
	}
	defer unlock()
	if now.Fingerprint != p.Fingerprint {
		return s, errMeanwhile(p.dir)
	}
	whole, lacks, err := p.whole()
	if err != nil {
		return s, err
	}
	if len(lacks) > 0 {
		return s, &IncompleteError{Missing: lacks}
	}
	if p.Settings.FAISS {
		if err := p.index(whole.Shards); err != nil {
			return s, fmt.Errorf("writing %s: %w", faissName, err)
		}
	}
	b, err := whole.bytes()
	if err == nil {
		err = store.PutBytes(p.at, manifestName, false, b)
	}
	if err == nil {
		err = store.PutBytes(p.at, successName, false, []byte(p.success()))
	}
	if err != nil {
		return s, fmt.Errorf("finishing the job: %w", err)
	}
	s.Success = true
	return s, p.tidy()
}

func errMeanwhile(dir string) error {
	return fmt.Errorf("the job in %s was extended or planned anew meanwhile; the same command again goes on with what it is now", dir)
}

// lock keeps others from extending or finishing the job until unlock, and gives the plan
// as it is now.
func (p *Plan) lock() (unlock func(), now *Plan, err error) {
	unlock = func() {}
	if h, ok := p.at.(store.Holder); ok {
		if unlock, err = h.Lock(planName); err != nil {
			return nil, nil, fmt.Errorf("taking the lock of the plan: %w", err)
		}
	}
	if now, err = loadIn(p.at); err != nil {
		unlock()
		return nil, nil, err
	}
	return unlock, now, nil
}

// dropShards removes all shards, records first.
func (p *Plan) dropShards() error {
	for i := range p.Shards {
		for _, name := range append([]string{shardName(i) + recordSuffix}, p.dataNames(i)...) {
			if err := p.at.Delete(name); err != nil {
				return fmt.Errorf("removing shard %d, in which nothing could be read: %w", i, err)
			}
		}
	}
	return nil
}

// tidy removes what processes that were killed left behind.
func (p *Plan) tidy() error {
	entries, err := p.at.List("")
	if err != nil {
		return err
	}
	h, _ := p.at.(store.Holder)
	var errs []error
	for _, e := range entries {
		m := ofShard.FindStringSubmatch(e.Name)
		switch {
		case m != nil && m[2] == triesSuffix && !e.Regular && h != nil:
			errs = append(errs, h.Forget(e.Name))
		case isNames(e.Name) && e.Name != p.Names: // from before the job was extended
			errs = append(errs, p.at.Delete(e.Name))
		}
	}
	if h != nil {
		errs = append(errs, h.Sweep(ours))
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
