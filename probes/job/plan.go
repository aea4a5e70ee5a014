// Package job runs one model over very many items: as shards of output that are
// made in any order, by any number of processes on any number of machines, and
// that come out byte for byte the same whatever happens to those. It knows
// about files that several processes share, which package probes does not.
//
// Any process plans a job: New, then Plan.Save to a folder. Workers, on any machines that
// reach the folder, Load the plan, open it on an engine (Plan.Open) and make shards
// (Worker.Run). Plan.Finish verifies what they made and writes the manifest.
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
//
// A fault of the machine is never a row (dataset.FaultOf decides): the shard is not done,
// and is made again by the next run. The plan and the records hold their own SHA-256
// and Verify holds every other file against them.
package job

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/internal/store"
	"github.com/onnxprobe/onnxprobe/probes/region/annotate"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// Plan is a job: what is asked for, and how it is cut into shards.
type Plan struct {
	// Fingerprint is that of the settings and all inputs.
	Fingerprint string   `json:"fingerprint"`
	Tool        string   `json:"tool"`
	Command     []string `json:"command,omitempty"`
	// Sum is the SHA-256 of the plan's file as it is without its sum. Plans of earlier versions have none.
	Sum string `json:"sum,omitempty"`
	// Model is the model's path as it was given; AllowLinks is how it was loaded.
	Model      string   `json:"model"`
	AllowLinks bool     `json:"allow_links,omitempty"`
	Settings   Settings `json:"settings"`
	// Arrays are the files of Settings.Inputs that have rows, by the input's name.
	Arrays map[string]string `json:"arrays,omitempty"`
	// Regions is the path of the annotations.
	Regions string `json:"regions,omitempty"`
	// Annotated is the digest of the pictures that they are of, which Shard.Regions numbers.
	Annotated string `json:"annotated_sha256,omitempty"`
	// LeftOut counts by reason what of them was left out when the job was planned; what is
	// found wrong later is a row with an error.
	LeftOut annotate.Counts `json:"regions_left_out,omitempty"`
	// Places are what paths count from, and LiesAt is where those that are relative or below the
	// plan's folder lie: relative to that folder where they are below it, else absolute. Rows
	// name files as they were given.
	store.Places
	LiesAt    map[string]string `json:"lies_at,omitempty"`
	Items     int               `json:"items"`
	ShardSize int               `json:"shard_size"`
	// Classes names the labels.
	Classes []string `json:"classes,omitempty"`
	Sources []Source `json:"sources"`
	// Left is what the folders held besides when they were listed.
	Left   []dataset.Left `json:"left_out,omitempty"`
	Shards []Shard        `json:"shards"`
	// Names is the file, beside the plan, of the names of pictures.
	Names string `json:"names,omitempty"`
	// Manifest is what follows from the model.
	Manifest *result.Manifest `json:"manifest"`

	// Changed says that the plan's file was changed since it was written, although it can
	// be used; Verify finds it.
	Changed error `json:"-"`

	dir    string
	at     store.Store
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

// check holds a plan against itself: it was read from a file.
func (p *Plan) check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("the plan in %s is not usable: "+format, append([]any{p.dir}, args...)...)
	}
	if p.Settings.Layout != Layout {
		return &VersionError{bad("it is of version %d, this program's is %d; run it with the program that made it, or plan anew", p.Settings.Layout, Layout)}
	}
	if p.Manifest == nil || len(p.Shards) == 0 || p.Settings.Batch < 1 {
		return bad("it is not complete")
	}
	if err := p.checkPlaces(); err != nil {
		return bad("%w", err)
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
		err := bad("its fingerprint does not fit it: it was changed by hand, or made by another version of this program")
		if p.Changed == nil {
			return &VersionError{err}
		}
		return err
	}
	return nil
}

// VersionError says that another version of this program made a plan, which may be right.
type VersionError struct{ error }

func (e *VersionError) Unwrap() error { return e.error }

// admit reports whether a model and an engine are those of the plan.
func (p *Plan) admit(m *onnx.Model, r *probes.Prober) error {
	sums, err := m.Sum256()
	if err != nil {
		return err
	}
	if !slices.Equal(slices.Sorted(maps.Values(sums)), p.Settings.Model) {
		return fmt.Errorf("the model %s is not the one that the job in %s was planned for: its SHA-256 is another", m.Path, p.dir)
	}
	planned, err := p.Manifest.Table()
	if err != nil {
		return err
	}
	found, err := result.TableOf(r.Plan.Sites)
	if err != nil {
		return err
	}
	if what := planned.Differences(found); what != "" {
		return fmt.Errorf("the plan in %s and this program differ in %s: run the job with the program that planned it "+
			"(%s), or plan it anew in another folder", p.dir, what, p.Tool)
	}
	if j := picture.JPEGDecoder; j != p.Settings.Data.JPEG {
		return fmt.Errorf("the job in %s was planned with the JPEG decoder %s, and this program's is %s: run it with "+
			"the program that planned it", p.dir, p.Settings.Data.JPEG, j)
	}
	if s := p.Settings.Strict; s != nil && *s != EngineOf(r) {
		return fmt.Errorf("the job in %s is strict about its engine: it wants %v, and this is %v", p.dir, *s, EngineOf(r))
	}
	return nil
}
