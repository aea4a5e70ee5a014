package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/probes"
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
}

func shardName(i int) string { return fmt.Sprintf("%05d", i) }

func (p *Plan) path(i int, suffix string) string {
	return filepath.Join(p.dir, shardName(i)+suffix)
}

func (p *Plan) dataPath(i int) string { return p.path(i, "."+p.Settings.Format) }

// ofShard are the names of the files and folders that belong to shards.
var ofShard = regexp.MustCompile(`^\.?([0-9]{5,})(_stats\.json|_failed\.json|_tries|\.(parquet|npy|jsonl|faiss|npy\.items\.jsonl))(\.[0-9a-f]{16}\.tmp)?$`)

// ofJob are those that belong to the whole.
var ofJob = regexp.MustCompile(`^\.?(plan\.json|plan-[0-9a-f]{16}\.names|manifest\.json|_SUCCESS|sketches\.faiss|frame\.npy)(\.[0-9a-f]{16}\.tmp)?$`)

// wipe removes what a job left in a folder, and nothing else.
func wipe(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	// Records first: without one, no shard counts as done.
	for _, records := range []bool{true, false} {
		for _, e := range entries {
			name := e.Name()
			m := ofShard.FindStringSubmatch(name)
			if m == nil && !ofJob.MatchString(name) || records != (m != nil && m[2] == "_stats.json" || name == successName) {
				continue
			}
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// unfinish takes back what Finish made.
func (p *Plan) unfinish() error {
	for _, name := range []string{successName, manifestName, faissName} {
		if err := os.Remove(filepath.Join(p.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Done is the record of a shard that is complete, else nil: the record is there,
// it is of this plan, and the files have the sizes it says.
func (p *Plan) Done(i int) *Record {
	b, err := os.ReadFile(p.path(i, "_stats.json"))
	if err != nil {
		return nil
	}
	r := &Record{}
	if json.Unmarshal(b, r) != nil || r.Shard != i || r.Fingerprint != p.fingerprint(i) || len(r.Files) == 0 {
		return nil
	}
	for _, f := range r.Files {
		st, err := os.Stat(filepath.Join(p.dir, filepath.Base(f.Name)))
		if err != nil || st.Size() != f.Bytes {
			return nil
		}
	}
	return r
}

// SetAside is what is known of a shard that is not tried any more, else nil.
func (p *Plan) SetAside(i int) *Aside {
	b, err := os.ReadFile(p.path(i, "_failed.json"))
	if err != nil {
		return nil
	}
	a := &Aside{}
	if json.Unmarshal(b, a) != nil || a.Fingerprint != p.fingerprint(i) {
		return nil
	}
	return a
}

// Retry makes a shard that was set aside one that is tried again.
func (p *Plan) Retry(i int) error {
	return errors.Join(os.RemoveAll(p.path(i, "_failed.json")), os.RemoveAll(p.path(i, "_tries")))
}

// try is one try of a shard, from before its first byte is read.
type try struct {
	file *os.File
	path string
}

// tries counts the tries of a shard that ended with their process, and those that
// go on.
func (p *Plan) tries(i int) (dead, alive int) {
	entries, _ := os.ReadDir(p.path(i, "_tries"))
	for _, e := range entries {
		f, err := os.OpenFile(filepath.Join(p.path(i, "_tries"), e.Name()), os.O_RDWR, 0)
		if err != nil {
			continue // it ended
		}
		if hold(f) {
			dead++
		} else {
			alive++
		}
		f.Close()
	}
	return dead, alive
}

func (p *Plan) begin(i int, worker string) (*try, error) {
	dir := p.path(i, "_tries")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	// It is locked before it gets its name, so that nobody takes it for dead.
	name := fmt.Sprintf("%016x", rand.Uint64())
	temp := filepath.Join(p.dir, "."+shardName(i)+"_tries."+name+".tmp")
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err
	}
	hold(f)
	fmt.Fprintln(f, worker)
	for range 3 {
		if err = os.Rename(temp, filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		err = os.MkdirAll(dir, 0o777) // another worker's try ended and took the empty folder along
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(temp))
	}
	return &try{f, filepath.Join(dir, name)}, nil
}

// end closes a try that did not take its process with it; blame leaves it to count
// against the shard.
func (t *try) end(blame bool) {
	if !blame {
		os.Remove(t.path)
		os.Remove(filepath.Dir(t.path)) // when it is empty
	}
	t.file.Close()
}

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
	to, err := sink.Create(p.dataPath(i), sink.Options{Array: p.Settings.array(), Force: true, Part: keep})
	if err != nil {
		return nil, outputError{err}
	}
	all := guarded{to}
	defer func() { all.Abort() }()
	if p.Settings.FAISS {
		index, err := newIndex(p.path(i, ".faiss"), p.Settings.Sketch, keep)
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
	b, err := json.MarshalIndent(r, "", " ")
	if err == nil {
		err = put(p.path(i, "_stats.json"), append(b, '\n'), false)
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
	b, err := json.MarshalIndent(a, "", " ")
	if err == nil {
		err = put(p.path(i, "_failed.json"), append(b, '\n'), false)
	}
	if err != nil {
		return nil, outputError{fmt.Errorf("setting shard %d aside: %w", i, err)}
	}
	return a, nil
}
