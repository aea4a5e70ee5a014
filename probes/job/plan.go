// Package job runs one model over very many items: as shards of output that are
// made in any order, by any number of processes on any number of machines, and
// that come out byte for byte the same whatever happens to those. It is a package
// of its own because it knows about files that several processes share, which
// probes does not, and about probes, which probes/sink does not.
//
// A folder is the whole state of a job, so any scheduler can spread it:
//
//	plan.json         what is asked for, written once, before any work
//	NNNNN.parquet     the rows of shard NNNNN (or .jsonl; or .npy with .npy.items.jsonl)
//	NNNNN.faiss       its sketches, when an index is asked for
//	NNNNN_stats.json  its commit record, written last: the shard is done
//	NNNNN_tries/      a file for every try that has not ended; it is locked while the try lives
//	NNNNN_failed.json the shard is set aside: too many tries ended with their process
//	manifest.json     all of it, written by Finish, as is sketches.faiss
//	_SUCCESS          every shard is there and was verified
//
// The unit is one output shard. Doing it again is always right: a shard whose
// record is valid is passed over, and one that is not starts anew. Data files get
// their names whole, by rename, and the record follows them, so a process may be
// killed at any instant and several may work on one shard.
package job

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/region/annotate"
)

// Layout is the version of what a job writes. Another one makes other fingerprints.
const Layout = 1

// Settings are all that decides the bytes of a job's output, besides its inputs:
// what its fingerprint is made of. What engine runs it, when, and on how many
// machines is not among them, unless Strict is.
type Settings struct {
	Layout int `json:"layout"`
	// Model is the SHA-256 of the model and of its external data, sorted.
	Model     []string `json:"model"`
	Precision string   `json:"precision,omitempty"` // as asked for
	Sample    []int    `json:"sample"`
	Batch     int      `json:"batch"`
	// Globs, MaxPool and Gemm are probes.SiteOptions; Sites is what they choose,
	// NAME:UNITS:PLANES.
	Globs   []string `json:"site_globs,omitempty"`
	MaxPool bool     `json:"include_maxpool,omitempty"`
	Gemm    bool     `json:"include_gemm,omitempty"`
	Sites   []string `json:"sites"`
	// Sketch is the number of its bits, 0 for none, drawn with Seed.
	Sketch int    `json:"sketch"`
	Seed   uint64 `json:"seed"`
	// Code writes full codes, of the sites that CodeSites match when it is not nil.
	Code      bool     `json:"code,omitempty"`
	CodeSites []string `json:"code_sites,omitempty"`
	Channels  bool     `json:"channels,omitempty"`
	// ChannelShare is RowOptions.Share of regions.
	ChannelShare float64     `json:"channel_share,omitempty"`
	Logits       bool        `json:"logits,omitempty"`
	Complexity   *Complexity `json:"complexity,omitempty"`
	// Format is one of sink.Formats; FAISS adds an index of the sketches.
	Format string `json:"format"`
	FAISS  bool   `json:"faiss,omitempty"`
	Data   Data   `json:"data"`
	// Regions makes rows of regions, not of items.
	Regions *Regions `json:"regions,omitempty"`
	// Strict is the engine, where another is not to go on with the job.
	Strict *Engine `json:"engine,omitempty"`
}

// Complexity is the neighbourhood of local complexity. Its frame is frame.npy in
// the job's folder.
type Complexity struct {
	Radii  []float64 `json:"radii"`
	Frame  string    `json:"frame_sha256"`
	Sign3  bool      `json:"sign3,omitempty"`
	Centre bool      `json:"include_centre,omitempty"`
}

// Data is how inputs are read.
type Data struct {
	Layout     string              `json:"layout,omitempty"`
	Preprocess *dataset.Preprocess `json:"preprocess,omitempty"`
	Column     string              `json:"column,omitempty"`
	EXIF       bool                `json:"exif,omitempty"`
	MaxPixels  int64               `json:"max_pixels,omitempty"`
	// JPEG is the decoder, as another may give other pixels.
	JPEG string `json:"jpeg_decoder"`
	// Points says that inputs are points drawn at random, not files.
	Points *Points `json:"points,omitempty"`
	// IgnoreTime tells inputs by name and size alone.
	IgnoreTime bool `json:"ignore_mtime,omitempty"`
}

// Points are drawn uniformly from [Low, High) in every element.
type Points struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
	Seed uint64  `json:"seed"`
}

// Engine is what a shard was made with.
type Engine struct {
	Backend string `json:"backend"`
	Version string `json:"backend_version"`
	Device  string `json:"device"`
}

// EngineOf names a prober's engine.
func EngineOf(r *probes.Prober) Engine {
	return Engine{r.Backend.Name(), r.Backend.Version(), r.Devices()}
}

// Plan is a job: what is asked for, and how it is cut into shards.
type Plan struct {
	// Fingerprint is that of the settings and all inputs.
	Fingerprint string   `json:"fingerprint"`
	Tool        string   `json:"tool"`
	Command     []string `json:"command,omitempty"`
	// Model is the model's path; AllowLinks is how it was loaded.
	Model      string   `json:"model"`
	AllowLinks bool     `json:"allow_links,omitempty"`
	Settings   Settings `json:"settings"`
	// Regions is the path of the annotations.
	Regions   string `json:"regions,omitempty"`
	Items     int    `json:"items"`
	ShardSize int    `json:"shard_size"`
	// Classes names the labels.
	Classes []string `json:"classes,omitempty"`
	Sources []Source `json:"sources"`
	Shards  []Shard  `json:"shards"`
	// Names is the file, beside the plan, of the names of pictures.
	Names string `json:"names,omitempty"`
	// Manifest is what follows from the model.
	Manifest *probes.Manifest `json:"manifest"`

	dir    string
	naming naming
}

// Source is one of the inputs, as it was when the job was planned. Of pictures given
// one by one Paths is the first, of a folder of them it is empty.
type Source struct {
	dataset.Origin
	Bytes    int64  `json:"bytes,omitempty"`
	Modified string `json:"modified,omitempty"`
}

// Shard is what goes into one output shard.
type Shard struct {
	Items  int     `json:"items"`
	Pieces []Piece `json:"pieces"`
	// Again holds the IDs, by their place in the shard, of items given twice.
	Again map[int]string `json:"again,omitempty"`
	// Regions holds, by the place of the item, which pictures of the annotations it is.
	Regions map[int][]int `json:"regions,omitempty"`
	// Inputs is a digest of the items' names and of their files' names, sizes and
	// times.
	Inputs string `json:"inputs"`
}

// Piece is items From (inclusive) to To (exclusive) of a source.
type Piece struct {
	Source int `json:"source"`
	From   int `json:"from"`
	To     int `json:"to"`
	// At and End are where, in the file of names, those of pictures are.
	At  int64 `json:"at,omitempty"`
	End int64 `json:"end,omitempty"`
}

// Request is what New makes a plan of.
type Request struct {
	Model    *onnx.Model
	Probed   *probes.Plan
	Settings Settings // Layout, Model, Sample, Sites and Data.JPEG are filled in
	Data     dataset.Dataset
	// ShardSize is the number of items of a shard, Limit that of all if not 0.
	ShardSize, Limit int
	AllowLinks       bool
	Command          []string
	// Regions is the path of the annotations, and Matched those of Data, where
	// Settings.Regions asks for their rows.
	Regions string
	Matched *annotate.Matched
}

// New plans a job. The inputs are counted, not read.
func New(r Request) (*Plan, error) {
	sums, err := r.Model.Sum256()
	if err != nil {
		return nil, err
	}
	p := &Plan{Tool: probes.Version(), Command: r.Command, Model: r.Model.Path, AllowLinks: r.AllowLinks, ShardSize: r.ShardSize,
		Settings: r.Settings, Classes: dataset.Describe(r.Data).Classes}
	s := &p.Settings
	s.Data.JPEG = dataset.JPEGDecoder()
	s.Layout, s.Model, s.Sample = Layout, slices.Sorted(maps.Values(sums)), r.Data.Shape()
	for i := range r.Probed.Sites {
		site := &r.Probed.Sites[i]
		s.Sites = append(s.Sites, fmt.Sprintf("%s:%d:%d", site.Name, site.Units, site.Planes()))
	}
	if p.Manifest, err = r.Probed.NewManifest(r.Model); err != nil {
		return nil, err
	}
	p.Manifest.Verb, p.Manifest.Batch = "hash", s.Batch
	if err := p.add(r.Data, r.Limit); err != nil {
		return nil, err
	}
	if s.Regions != nil {
		p.Regions = r.Regions
		p.place(r.Matched)
	}
	return p, nil
}

// finger is the fingerprint of what marshals to JSON.
func finger(v ...any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("job: %v", err)) // plain structs of numbers and strings
	}
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// fingerprint is that of one shard: what its record must have.
func (p *Plan) fingerprint(i int) string {
	s := &p.Shards[i]
	if p.Settings.Regions != nil {
		return finger(p.Settings, i, s.Items, s.Inputs, s.Regions)
	}
	return finger(p.Settings, i, s.Items, s.Inputs)
}

// seal works out what follows from the rest.
func (p *Plan) seal() {
	p.Items = 0
	var all []any
	for i := range p.Shards {
		p.Items += p.Shards[i].Items
		all = append(all, p.fingerprint(i))
	}
	p.Fingerprint = finger(all...)
}

// Dir is the job's folder.
func (p *Plan) Dir() string { return p.dir }

// Mode says what becomes of a plan that is there already.
type Mode string

const (
	// Incremental goes on with a plan that equals the one asked for.
	Incremental Mode = "incremental"
	// Overwrite removes the job that is there.
	Overwrite Mode = "overwrite"
	// Extend appends the inputs that the plan does not have.
	Extend Mode = "extend"
)

// Modes are those that there are.
var Modes = []Mode{Incremental, Overwrite, Extend}

// DiffersError says that a folder holds another job than the one asked for.
type DiffersError struct {
	Dir  string
	What []string // that differ
}

func (e *DiffersError) Error() string {
	return fmt.Sprintf("%s holds the plan of another job; what differs: %s. Give another folder, or --mode overwrite to begin anew", e.Dir, strings.Join(e.What, ", "))
}

// Save writes the plan to dir, with the files that belong to it, unless dir holds
// an equal one. A plan that is not equal is a *DiffersError, unless mode is
// Overwrite: then the job that was there is removed.
func (p *Plan) Save(dir string, mode Mode, frame *probes.Frame) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("making the job's folder: %w", err)
	}
	p.dir = dir
	if mode == Overwrite {
		if err := wipe(dir); err != nil {
			return fmt.Errorf("removing the job in %s: %w", dir, err)
		}
	}
	if old, err := Load(dir); err == nil {
		return p.join(old)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if frame != nil {
		if err := writeFrame(dir, frame); err != nil {
			return err
		}
	}
	err := p.write(true)
	if errors.Is(err, fs.ErrExist) { // another planner was faster
		old, err := Load(dir)
		if err != nil {
			return err
		}
		p.dropNames(old)
		return p.join(old)
	}
	return err
}

// join makes of a plan the one that is there already, if it asks for the same.
func (p *Plan) join(old *Plan) error {
	if err := old.same(p); err != nil {
		return err
	}
	p.Sources, p.Shards, p.Names, p.naming = old.Sources, old.Shards, old.Names, naming{}
	return nil
}

func (p *Plan) write(first bool) error {
	if err := p.writeNames(); err != nil {
		return err
	}
	b, err := json.MarshalIndent(p, "", " ")
	if err == nil {
		err = put(filepath.Join(p.dir, planName), append(b, '\n'), first)
	}
	if err != nil {
		return fmt.Errorf("writing the plan: %w", err)
	}
	return nil
}

// SameSettings is nil when q asks for what p does, be it of other inputs, and else
// a *DiffersError.
func (p *Plan) SameSettings(q *Plan) error {
	if what := p.differences(q); what != nil {
		return &DiffersError{p.dir, what}
	}
	return nil
}

// differences are those of the settings.
func (p *Plan) differences(q *Plan) (what []string) {
	a, b := reflect.ValueOf(p.Settings), reflect.ValueOf(q.Settings)
	for i := range a.NumField() {
		if !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) && finger(a.Field(i).Interface()) != finger(b.Field(i).Interface()) {
			name, _, _ := strings.Cut(a.Type().Field(i).Tag.Get("json"), ",")
			what = append(what, fmt.Sprintf("%s (%s there, %s asked for)", name, short(a.Field(i)), short(b.Field(i))))
		}
	}
	return what
}

// same is nil when q asks for what p is.
func (p *Plan) same(q *Plan) error {
	if p.Fingerprint == q.Fingerprint {
		return nil
	}
	what := p.differences(q)
	switch {
	case p.Items != q.Items:
		what = append(what, fmt.Sprintf("inputs (%d items there, %d asked for; --mode extend adds new ones)", p.Items, q.Items))
	case len(p.Shards) != len(q.Shards):
		what = append(what, fmt.Sprintf("shards (%d there, %d asked for)", len(p.Shards), len(q.Shards)))
	default:
		n := 0
		for i := range p.Shards {
			if p.Shards[i].Inputs != q.Shards[i].Inputs {
				n++
			}
		}
		if n > 0 {
			what = append(what, fmt.Sprintf("inputs (names, sizes or times of files in %d of %d shards)", n, len(p.Shards)))
		}
	}
	return &DiffersError{p.dir, what}
}

func short(v reflect.Value) string {
	b, _ := json.Marshal(v.Interface())
	if len(b) > 60 {
		return string(b[:57]) + "..."
	}
	return string(b)
}

const (
	planName     = "plan.json"
	manifestName = "manifest.json"
	successName  = "_SUCCESS"
	faissName    = "sketches.faiss"
	frameName    = "frame.npy"
)

// Load reads the plan of the job in dir. Without one the error is fs.ErrNotExist.
func Load(dir string) (*Plan, error) {
	b, err := os.ReadFile(filepath.Join(dir, planName))
	if err != nil {
		return nil, fmt.Errorf("reading the plan: %w", err)
	}
	p := &Plan{}
	if err := json.Unmarshal(b, p); err != nil {
		return nil, fmt.Errorf("reading the plan %s: %w", filepath.Join(dir, planName), err)
	}
	p.dir = dir
	return p, p.check()
}

// check holds a plan against itself: it was read from a file.
func (p *Plan) check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("the plan in %s is not usable: "+format, append([]any{p.dir}, args...)...)
	}
	if p.Settings.Layout != Layout {
		return bad("it is of version %d, this program's is %d; run it with the program that made it, or plan anew", p.Settings.Layout, Layout)
	}
	if p.Manifest == nil || len(p.Shards) == 0 || p.Settings.Batch < 1 {
		return bad("it is not complete")
	}
	for i, s := range p.Shards {
		n := 0
		for _, c := range s.Pieces {
			if c.Source < 0 || c.Source >= len(p.Sources) || c.From < 0 || c.To <= c.From || c.To > p.Sources[c.Source].Items {
				return bad("shard %d has items %d to %d of source %d, which there are not", i, c.From, c.To, c.Source)
			}
			if listed := p.Sources[c.Source].Format == pictures; listed && (c.At < 0 || c.End-c.At < 2*int64(c.To-c.From) || c.End-c.At > maxNames) ||
				!listed && len(p.Sources[c.Source].Paths) == 0 && p.Settings.Data.Points == nil {
				return bad("shard %d does not say what its items are called", i)
			}
			n += c.To - c.From
		}
		if n != s.Items || n == 0 {
			return bad("shard %d has %d items in its pieces and says %d", i, n, s.Items)
		}
	}
	want := p.Fingerprint
	if p.seal(); p.Fingerprint != want {
		return bad("its fingerprint does not fit it: it was changed by hand, or made by another version of this program")
	}
	return nil
}

// Admit reports whether a model and an engine are those of the plan.
func (p *Plan) Admit(m *onnx.Model, r *probes.Prober) error {
	sums, err := m.Sum256()
	if err != nil {
		return err
	}
	if !slices.Equal(slices.Sorted(maps.Values(sums)), p.Settings.Model) {
		return fmt.Errorf("the model %s is not the one that the job in %s was planned for: its SHA-256 is another", m.Path, p.dir)
	}
	var sites []string
	for i := range r.Plan.Sites {
		s := &r.Plan.Sites[i]
		sites = append(sites, fmt.Sprintf("%s:%d:%d", s.Name, s.Units, s.Planes()))
	}
	if !slices.Equal(sites, p.Settings.Sites) {
		return fmt.Errorf("this program finds other sites in %s than the plan in %s has; run the job with the program that planned it (%s)", m.Path, p.dir, p.Tool)
	}
	if j := dataset.JPEGDecoder(); j != p.Settings.Data.JPEG {
		return fmt.Errorf("the job in %s was planned with the JPEG decoder %s, and this program's is %s: run it with the program that planned it", p.dir, p.Settings.Data.JPEG, j)
	}
	if s := p.Settings.Strict; s != nil && *s != EngineOf(r) {
		return fmt.Errorf("the job in %s is strict about its engine: it wants %v, and this is %v", p.dir, *s, EngineOf(r))
	}
	return nil
}

// Attach makes the probed model that the plan asks for.
func (p *Plan) Attach(m *onnx.Model) (*probes.Plan, error) {
	return p.Settings.Attach(m, p.Settings.Sample)
}

// Attach makes the probed model that the settings ask for.
func (s *Settings) Attach(m *onnx.Model, sample []int) (*probes.Plan, error) {
	return probes.Attach(m, probes.AttachOptions{Sample: sample, Sign3: s.Complexity != nil && s.Complexity.Sign3,
		Sites: probes.SiteOptions{Globs: s.Globs, MaxPool: s.MaxPool, Gemm: s.Gemm}})
}

// groups are the columns that the settings ask for.
func (p *Plan) groups(probed *probes.Plan) ([]probes.Group, error) {
	s := &p.Settings
	codes := probes.CodeColumns{Full: s.Code || s.Regions != nil, Sites: s.CodeSites}
	var err error
	if s.Sketch > 0 && s.Regions == nil {
		if codes.Sketch, err = probed.NewSketch(s.Sketch, s.Seed); err != nil {
			return nil, err
		}
	}
	groups := []probes.Group{codes}
	if s.Channels && s.Regions == nil {
		groups = append(groups, probes.ChannelColumns{})
	}
	if s.Complexity != nil {
		f, err := readFrame(p.dir)
		if err != nil {
			return nil, err
		}
		if f.SHA256() != s.Complexity.Frame {
			return nil, fmt.Errorf("%s is not the frame that the job was planned with", filepath.Join(p.dir, frameName))
		}
		groups = append(groups, probes.ComplexityColumns{Neighborhood: probes.Neighborhood{Frame: f, Radii: s.Complexity.Radii, Centre: s.Complexity.Centre}, Changed: s.Regions != nil})
	}
	if s.Logits {
		groups = append(groups, probes.OutputColumns{Name: "logits", OutputOptions: probes.OutputOptions{Full: true}})
	}
	return groups, nil
}

// array is the column that a .npy file holds.
func (s *Settings) array() string {
	if s.Regions != nil {
		return "channels"
	}
	if s.Code || s.CodeSites != nil {
		return "code"
	}
	return "sketch"
}

// Check reports settings that do not go together.
func (s *Settings) Check(probed *probes.Plan) error {
	if err := s.checkRegions(); err != nil {
		return err
	}
	if s.Format == "npy" && s.Regions != nil && !s.Channels {
		return errors.New("a .npy file of regions holds their channel codes, and they are not asked for")
	}
	if s.Format == "npy" && s.array() == "sketch" && s.Sketch == 0 {
		return errors.New("a .npy file holds the codes or the sketches, and neither is asked for")
	}
	if s.FAISS && (s.Sketch == 0 || s.Sketch%8 != 0) {
		return fmt.Errorf("a FAISS index holds sketches of a multiple of 8 bits, not of %d", s.Sketch)
	}
	if s.Sketch > 0 && s.Regions == nil {
		if _, err := probed.NewSketch(s.Sketch, s.Seed); err != nil {
			return err
		}
	}
	if s.CodeSites != nil {
		if err := probed.Match(s.CodeSites); err != nil {
			return err
		}
	}
	return nil
}

func writeFrame(dir string, f *probes.Frame) error {
	var b strings.Builder
	if err := tensor.WriteNpy(&b, f.Tensor()); err != nil {
		return err
	}
	if err := put(filepath.Join(dir, frameName), []byte(b.String()), false); err != nil {
		return fmt.Errorf("writing the frame: %w", err)
	}
	return nil
}

func readFrame(dir string) (*probes.Frame, error) {
	t, err := tensor.ReadNpyFile(filepath.Join(dir, frameName))
	if err != nil {
		return nil, fmt.Errorf("reading the frame: %w", err)
	}
	return probes.FrameOf(t)
}

// put writes a file whole, under a temporary name that then becomes path: in place
// of what is there, or with first only where nothing is (else fs.ErrExist).
func put(path string, b []byte, first bool) error {
	return putFrom(path, first, func(w io.Writer) error { _, err := w.Write(b); return err })
}

// putFrom is put of what write writes.
func putFrom(path string, first bool, write func(io.Writer) error) error {
	temp := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.%016x.tmp", filepath.Base(path), rand.Uint64()))
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	defer os.Remove(temp)
	err = write(f)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if first {
		if err = os.Link(temp, path); err == nil || errors.Is(err, fs.ErrExist) {
			return errors.Join(err, syncFolder(filepath.Dir(path)))
		}
		if _, err := os.Lstat(path); err == nil { // no links here
			return fs.ErrExist
		}
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes names survive a crash, where folders can be synced.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	_ = d.Sync()
	return d.Close()
}
