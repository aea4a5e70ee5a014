package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/internal/store"
	"github.com/onnxprobe/onnxprobe/probes/region"
	"github.com/onnxprobe/onnxprobe/probes/sink"
)

// Record is the commit record of a shard: what was made, and how.
type Record struct {
	Shard       int    `json:"shard"`
	Fingerprint string `json:"fingerprint"`
	Items       int    `json:"items"`
	Failed      int    `json:"failed"`
	// Errors are the first errors of items.
	Errors []string `json:"errors,omitempty"`
	// Regions counts the rows, where they are of regions.
	Regions *region.RowSummary `json:"regions,omitempty"`
	// Tiles is the number of tiles, where pictures are cut into them.
	Tiles int         `json:"tiles,omitempty"`
	Files []sink.File `json:"files"`
	Engine
	Batch   int     `json:"batch"`
	Seconds Seconds `json:"seconds"`
	Worker  string  `json:"worker"`
	Tool    string  `json:"tool"`
	Ended   string  `json:"ended"`
	// Sum is the SHA-256 of the record's file: see sealed.
	Sum string `json:"sum,omitempty"`
}

// Bytes is the size of the shard's files.
func (r *Record) Bytes() (n int64) {
	for _, f := range r.Files {
		n += f.Bytes
	}
	return n
}

// Seconds is where the time of a shard went. Read and Decode are summed over the
// goroutines that do it; Wait is how long the engine waited for them; the stages
// overlap.
type Seconds struct {
	Read   float64 `json:"read"`
	Decode float64 `json:"decode"`
	Wait   float64 `json:"wait"`
	Infer  float64 `json:"infer"`
	Write  float64 `json:"write"`
	Total  float64 `json:"total"`
}

func (s *Seconds) add(o Seconds) {
	s.Read, s.Decode, s.Wait = s.Read+o.Read, s.Decode+o.Decode, s.Wait+o.Wait
	s.Infer, s.Write, s.Total = s.Infer+o.Infer, s.Write+o.Write, s.Total+o.Total
}

// Aside says that a shard is not tried any more.
type Aside struct {
	Shard       int    `json:"shard"`
	Fingerprint string `json:"fingerprint"`
	Tries       int    `json:"tries"`
	Reason      string `json:"reason"`
	// Sum is the SHA-256 of the file: see sealed.
	Sum string `json:"sum,omitempty"`
}

func shardName(i int) string { return fmt.Sprintf("%05d", i) }

// The files of a shard are called by its number, with one of these behind it.
const (
	recordSuffix = "_stats.json"
	asideSuffix  = "_failed.json"
	triesSuffix  = "_tries"
	itemsSuffix  = ".npy.items.jsonl"
	indexSuffix  = ".faiss"
)

func (p *Plan) dataName(i int) string { return shardName(i) + "." + p.Settings.Format }

// dataNames are the files that a shard's record has.
func (p *Plan) dataNames(i int) []string {
	names := []string{p.dataName(i)}
	if p.Settings.Format == "npy" {
		names = append(names, shardName(i)+itemsSuffix)
	}
	if p.Settings.FAISS {
		names = append(names, shardName(i)+indexSuffix)
	}
	return names
}

// ofShard are the names of the files and folders that belong to shards.
var ofShard = regexp.MustCompile(`^([0-9]{5,})(_stats\.json|_failed\.json|_tries|\.(parquet|npy|jsonl|faiss|npy\.items\.jsonl))$`)

// ofJob are those that belong to the whole.
var ofJob = regexp.MustCompile(`^(plan\.json|plan-[0-9a-f]{16}\.names|manifest\.json|_SUCCESS|sketches\.faiss|frame\.npy)$`)

// wipe removes what a job left in a folder, and nothing else.
func wipe(at store.Store) error {
	entries, err := at.List("")
	if err != nil {
		return err
	}
	// Records first: without one, no shard counts as done.
	for _, records := range []bool{true, false} {
		for _, e := range entries {
			m := ofShard.FindStringSubmatch(e.Name)
			if !ours(e.Name) || records != (m != nil && m[2] == recordSuffix || e.Name == successName) {
				continue
			}
			if m != nil && m[2] == triesSuffix && !e.Regular {
				tries, err := at.List(e.Name + "/")
				if err != nil {
					return err
				}
				for _, t := range tries {
					if err := at.Delete(t.Name); err != nil {
						return err
					}
				}
				continue
			}
			if err := at.Delete(e.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// unfinish takes back what Finish made.
func (p *Plan) unfinish() error {
	for _, name := range []string{successName, manifestName, faissName} {
		if err := p.at.Delete(name); err != nil {
			return err
		}
	}
	return nil
}

// missing is nil for the error of a file that is not there, or that is no file.
func missing(err error) error {
	var odd *store.NotRegularError
	if errors.Is(err, fs.ErrNotExist) || errors.As(err, &odd) {
		return nil
	}
	return err
}

// record reads the record of a shard; why says what is wrong with it, and what there is
// of it is nil where there is none. An error is of the reading.
func (p *Plan) record(i int) (r *Record, why, err error) {
	b, err := p.at.Get(shardName(i) + recordSuffix)
	if err != nil {
		if lost := missing(err); lost != nil {
			return nil, nil, fmt.Errorf("reading the record of shard %d: %w", i, lost)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			why = err
		}
		return nil, why, nil
	}
	r = &Record{}
	switch err := json.Unmarshal(b, r); {
	case len(b) == 0:
		return r, errors.New("it is empty"), nil
	case err != nil:
		return r, fmt.Errorf("it is no record: %w", err), nil
	case r.Shard != i:
		return r, fmt.Errorf("it is the record of shard %d", r.Shard), nil
	case r.Fingerprint != p.fingerprint(i):
		return r, errors.New("it is of another plan: its fingerprint is another"), nil
	case r.Items != p.Shards[i].Items:
		return r, fmt.Errorf("it says %d items, the plan %d", r.Items, p.Shards[i].Items), nil
	}
	if err := checkSeal(b, &Record{}, r.Sum); err != nil {
		return r, err, nil
	}
	var names []string
	for _, f := range r.Files {
		names = append(names, f.Name)
	}
	if slices.Sort(names); !slices.Equal(names, slices.Sorted(slices.Values(p.dataNames(i)))) {
		return r, fmt.Errorf("it is of the files %q, and the plan's are %q", names, p.dataNames(i)), nil
	}
	return r, nil, nil
}

// Done is the record of a shard that is complete, else nil: the record is there,
// it is of this plan, and the files have the sizes it says. An error is of the reading.
func (p *Plan) Done(i int) (*Record, error) {
	r, why, err := p.record(i)
	if r == nil || why != nil || err != nil {
		return nil, err
	}
	for _, f := range r.Files {
		o, err := p.at.Open(f.Name)
		if err != nil {
			if err = missing(err); err != nil {
				err = fmt.Errorf("looking at shard %d: %w", i, err)
			}
			return nil, err
		}
		size := o.Size()
		if o.Close(); size != f.Bytes {
			return nil, nil
		}
	}
	return r, nil
}

// SetAside is what is known of a shard that is not tried any more, else nil.
func (p *Plan) SetAside(i int) (*Aside, error) {
	b, err := p.at.Get(shardName(i) + asideSuffix)
	if err != nil {
		return nil, missing(err)
	}
	a := &Aside{}
	if json.Unmarshal(b, a) != nil || a.Fingerprint != p.fingerprint(i) || checkSeal(b, &Aside{}, a.Sum) != nil {
		return nil, nil // of another job, or damaged
	}
	return a, nil
}

// Retry makes a shard that was set aside one that is tried again.
func (p *Plan) Retry(i int) error {
	a, err := p.SetAside(i)
	if err == nil && a != nil {
		err = p.at.Delete(shardName(i) + asideSuffix)
	}
	if h, ok := p.at.(store.Holder); ok && err == nil {
		err = h.Forget(shardName(i) + triesSuffix)
	}
	return err
}

// tries counts the tries of a shard that ended with their process, and those that
// go on.
func (p *Plan) tries(i int) (dead, alive int, err error) {
	h, ok := p.at.(store.Holder)
	if !ok {
		return 0, 0, nil
	}
	return h.Holds(shardName(i) + triesSuffix)
}

// begin marks a try of a shard, before its first byte is read.
func (p *Plan) begin(i int, worker string) (store.Held, error) {
	h, ok := p.at.(store.Holder)
	if !ok {
		return free{}, nil
	}
	return h.Hold(shardName(i)+triesSuffix, worker)
}

// free is a try where none can be marked.
type free struct{}

func (free) Release(bool) {}

// outputError is a fault in writing, which is no shard's.
type outputError struct{ error }

func (e outputError) Unwrap() error { return e.error }

// guarded marks a sink's errors.
type guarded []probes.Sink

func (g guarded) Write(cols []probes.Column) error {
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

// Within is the sample, for dataset.Wrapper.
func (t timed) Within(i int) (dataset.Dataset, int) { return t.Dataset, i }

// Sides is what lies beside the samples, as dataset.Multi has it.
func (t timed) Sides() []dataset.Side { return dataset.Sides(t.Dataset) }

// Geometry is that of the sample, for dataset.GeometryOf.
func (t timed) Geometry(i int) (picture.Geometry, error) { return dataset.GeometryOf(t.Dataset, i) }

// part is what a shard's file says of itself: nothing that could differ between two
// runs.
type part struct {
	*probes.Manifest
	Fingerprint string   `json:"fingerprint"`
	Shard       int      `json:"shard"`
	Settings    Settings `json:"settings"`
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
	var files []sink.File
	keep := func(f []sink.File) { files = append(files, f...) }
	to, err := sink.Create(p.dataName(i), sink.Options{Array: p.Settings.array(), Force: true, Part: keep, In: p.at})
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
	items, boxed, err := w.feed(i, ds, timed{cut, &w.sampled})
	if err != nil {
		return nil, err
	}
	var out probes.Sink = all
	if isNothing(items) {
		out = headings{all}
	}
	var rows *region.Rows
	if p.Settings.OfRegions() {
		if rows, err = w.located.rows(all, w.prober.Plan.Sites, &p.Shards[i], ds, items); err != nil {
			return nil, err
		}
		out = rows
	}
	var times probes.Times
	progress := func(s probes.Summary) {
		s.Items = s.Items * ds.Len() / items.Len() // what is planned are pictures
		w.progress(s)
	}
	o := probes.RunOptions{Workers: w.options.Workers, Progress: progress, Times: &times}
	sum, err := w.prober.Write(ctx, items, out, o, w.groups...)
	if err != nil {
		return nil, err
	}
	if isNothing(items) {
		sum = probes.Summary{}
	}
	// A picture that vanished while it was needed is not a bad picture.
	if err := p.unchanged(i, ds); err != nil {
		return nil, err
	}
	print := p.fingerprint(i)
	mf := *p.Manifest
	mf.Version, mf.Summary = "", probes.Summary{Items: sum.Items, Failed: sum.Failed}
	mf.Dataset = probes.ManifestData{Description: dataset.Description{Items: sum.Items, Shape: p.Settings.Sample}}
	about := part{&mf, print, i, p.Settings}
	if err := all.Commit(about); err != nil {
		return nil, err
	}
	tiles := 0
	if p.Settings.Tiles != nil {
		tiles = cut.Len()
	}
	if boxed != nil {
		boxed.Regions, boxed.Failed = sum.Items, sum.Failed
		sum.Failed = 0
	}
	sum.Items = ds.Len() // what is planned are pictures
	r := &Record{Shard: i, Fingerprint: print, Items: sum.Items, Failed: sum.Failed, Regions: boxed, Tiles: tiles, Errors: sum.Errors, Files: files, Engine: w.engine,
		Batch: w.prober.Batch, Worker: w.options.Name, Tool: probes.Version(), Ended: time.Now().UTC().Format(time.RFC3339)}
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

// setAside gives a shard up.
func (p *Plan) setAside(i, tries int) (*Aside, error) {
	a := &Aside{Shard: i, Fingerprint: p.fingerprint(i), Tries: tries,
		Reason: strconv.Itoa(tries) + " tries ended with their process, or with an error of the engine"}
	b, err := sealed(a, &a.Sum)
	if err == nil {
		err = store.PutBytes(p.at, shardName(i)+asideSuffix, false, b)
	}
	if err != nil {
		return nil, outputError{fmt.Errorf("setting shard %d aside: %w", i, err)}
	}
	return a, nil
}
