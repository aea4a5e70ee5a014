package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/onnxprobe/onnxprobe/probes"
)

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
	p.Command, p.Sources, p.Shards, p.Names, p.naming = old.Command, old.Sources, old.Shards, old.Names, naming{}
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
		if a.Type().Field(i).Name == "Sites" {
			continue // whose tables the manifests have
		}
		if !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) && finger(a.Field(i).Interface()) != finger(b.Field(i).Interface()) {
			name, _, _ := strings.Cut(a.Type().Field(i).Tag.Get("json"), ",")
			what = append(what, fmt.Sprintf("%s (%s there, %s asked for)", name, short(a.Field(i)), short(b.Field(i))))
		}
	}
	sites, err := sitesDiffer(p.Manifest, q.Manifest)
	if err != nil {
		sites = err.Error()
	}
	if sites != "" {
		what = append(what, sites)
	}
	return what
}

// sitesDiffer says in what the sites of two plans differ, the first's being the one that
// is there; "" where they are the same.
func sitesDiffer(a, b *probes.Manifest) (string, error) {
	t, err := a.Table()
	if err != nil {
		return "", err
	}
	u, err := b.Table()
	if err != nil {
		return "", err
	}
	return t.Differences(u), nil
}

// same is nil when q asks for what p is.
func (p *Plan) same(q *Plan) error {
	what := p.differences(q)
	if p.Fingerprint == q.Fingerprint && what == nil {
		return nil
	}
	switch {
	case p.Fingerprint == q.Fingerprint:
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
