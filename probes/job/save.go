package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/internal/store"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// Mode says what becomes of a plan that is there already.
type Mode string

// The modes.
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
	// grows says that the job asked for has more inputs.
	grows bool
}

func (e *DiffersError) Error() string {
	return fmt.Sprintf("%s holds the plan of another job; what differs: %s. "+
		"Give another folder, or overwrite it to begin anew",
		e.Dir, strings.Join(e.What, ", "))
}

// RemedyOptions is as in an onnx.RemedyError.
func (e *DiffersError) RemedyOptions() []string {
	if e.grows {
		return []string{"job.Overwrite", "job.Extend"}
	}
	return []string{"job.Overwrite"}
}

// Save writes the plan to dir, with the files that belong to it, unless dir holds
// an equal one; then what is missing or damaged of those files is written again. A plan
// that is not equal is a *DiffersError, unless mode is Overwrite: then the job that was
// there is removed. A folder without a plan that holds other things is an *OccupiedError.
func (p *Plan) Save(dir string, mode Mode, frame *probes.Frame) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("making the job's folder: %w", err)
	}
	return p.saveIn(store.Folder(dir), mode, frame)
}

func (p *Plan) saveIn(at store.Store, mode Mode, frame *probes.Frame) error {
	p.dir, p.at = at.String(), at
	if err := p.settlePlaces(p.dir); err != nil {
		return err
	}
	old, err := loadIn(at)
	if errors.Is(err, fs.ErrNotExist) {
		if err := p.vacant(mode); err != nil {
			return err
		}
	}
	if mode == Overwrite && (errors.Is(err, fs.ErrNotExist) || dataset.FaultOf(err) == dataset.ItemFault) {
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // a plan that cannot be read, or another program's
			if err := p.isJob(err); err != nil {
				return err
			}
		}
		if err := wipe(at); err != nil {
			return fmt.Errorf("removing the job in %s: %w", p.dir, err)
		}
		old, err = nil, fs.ErrNotExist
	}
	if err == nil {
		return p.join(old, frame)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return p.restore(err, frame)
	}
	if frame != nil {
		if err := writeFrame(at, frame); err != nil {
			return err
		}
	}
	err = p.write(true)
	if errors.Is(err, fs.ErrExist) { // another planner was faster
		old, err := loadIn(at)
		if err != nil {
			return err
		}
		p.dropNames(old)
		return p.join(old, frame)
	}
	return err
}

// join makes of a plan the one that is there already, if it asks for the same. Of one that
// was changed since it was written this one takes the place.
func (p *Plan) join(old *Plan, frame *probes.Frame) error {
	if was, is := old.Settings.Complexity, p.Settings.Complexity; was != nil && is != nil && len(was.Radii) == 1 && is.ByRadius && !was.ByRadius {
		earlier := *is // whose columns are those of an earlier version: a finished job is one all the same
		earlier.ByRadius = false
		p.Settings.Complexity = &earlier
		p.seal()
	}
	if err := old.same(p); err != nil {
		return err
	}
	if old.Changed == nil {
		if err := p.mend(old, frame); err != nil {
			return err
		}
		p.Command, p.Sources, p.Shards, p.Manifest = old.Command, old.Sources, old.Shards, old.Manifest
		p.Left = old.Left
		p.Names, p.naming = old.Names, naming{}
		var lost *UnreachableError
		if err := old.Reach(); !errors.As(err, &lost) {
			p.Places, p.LiesAt, p.Sum = old.Places, old.LiesAt, old.Sum
			return nil
		}
		// It was moved, and its inputs are where this command found them.
	} else if err := p.mendFrame(frame); err != nil {
		return err
	}
	unlock, now, err := p.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if now.Fingerprint != p.Fingerprint {
		return errMeanwhile(p.dir)
	}
	return p.write(false)
}

// restore writes the plan in place of a file that is none any more, as why says, where
// the records that are there are of this plan; else it is why.
func (p *Plan) restore(why error, frame *probes.Frame) error {
	var other *VersionError
	if errors.As(why, &other) || dataset.FaultOf(why) > dataset.ItemFault {
		return why
	}
	known, err := p.isOf()
	if err != nil {
		return err
	}
	if !known {
		return why
	}
	if h, ok := p.at.(store.Holder); ok {
		unlock, err := h.Lock(planName)
		if err != nil {
			return fmt.Errorf("taking the lock of the plan: %w", err)
		}
		defer unlock()
	}
	if err := p.mendFrame(frame); err != nil {
		return err
	}
	return p.write(false)
}

// mendFrame writes the frame again where it is not what it was.
func (p *Plan) mendFrame(frame *probes.Frame) error {
	why, err := p.checkFrame()
	if why != nil && frame != nil {
		err = writeFrame(p.at, frame)
	}
	return err
}

// mend writes again what belongs to the plan that is there, old, and is not whole.
func (p *Plan) mend(old *Plan, frame *probes.Frame) error {
	why, err := old.checkNames()
	if err != nil {
		return err
	}
	if why != nil {
		if err := p.writeNames(); err != nil {
			return err
		}
		if p.Names != old.Names {
			_ = p.at.Delete(p.Names)
			return fmt.Errorf("%s of the job in %s: %w, and what it held cannot be told from the inputs; plan the job anew in another folder", old.Names, p.dir, why)
		}
	}
	return p.mendFrame(frame)
}

func (p *Plan) write(first bool) error {
	if err := p.writeNames(); err != nil {
		return err
	}
	p.noteLies()
	b, err := sealed(p, &p.Sum)
	if err == nil {
		err = store.PutBytes(p.at, planName, first, b)
	}
	if err != nil {
		return fmt.Errorf("writing the plan: %w", err)
	}
	p.Changed = nil
	return nil
}

// SameSettings is nil when q asks for what p does, be it of other inputs, and else
// a *DiffersError.
func (p *Plan) SameSettings(q *Plan) error {
	if what := p.differences(q); what != nil {
		return &DiffersError{Dir: p.dir, What: what}
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
			there, asked := apart(short(a.Field(i)), short(b.Field(i)))
			what = append(what, fmt.Sprintf("%s (%s there, %s asked for)", name, there, asked))
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
func sitesDiffer(a, b *result.Manifest) (string, error) {
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
		hint := ""
		if p.Items < q.Items {
			hint = "; extending the job adds new ones, files by their names"
		}
		what = append(what, fmt.Sprintf("inputs (%d items there, %d asked for%s)", p.Items, q.Items, hint))
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
	return &DiffersError{p.dir, what, p.Fingerprint != q.Fingerprint && p.Items < q.Items}
}

func short(v reflect.Value) string {
	b, _ := json.Marshal(v.Interface())
	return string(b)
}

// apart is what of two texts is shown, so that where they differ is.
func apart(a, b string) (string, string) {
	same := 0
	for same < min(len(a), len(b)) && a[same] == b[same] {
		same++
	}
	from := max(same-20, 0)
	cut := func(s string) string {
		if len(s) <= 60 {
			return s
		}
		if from > 0 {
			s = "..." + s[from:]
		}
		if len(s) > 60 {
			s = s[:57] + "..."
		}
		return s
	}
	return cut(a), cut(b)
}

const (
	planName     = "plan.json"
	manifestName = "manifest.json"
	successName  = "_SUCCESS"
	faissName    = "sketches.faiss"
	frameName    = "frame.npy"
)

// Load reads the plan of the job in dir. Without one the error is fs.ErrNotExist.
func Load(dir string) (*Plan, error) { return loadIn(store.Folder(dir)) }

func loadIn(at store.Store) (*Plan, error) {
	b, err := at.Get(planName)
	if err != nil {
		return nil, fmt.Errorf("reading the plan: %w", err)
	}
	return parsePlan(at, b)
}

// DamagedError says that the file of the plan is not what was written.
type DamagedError struct {
	Dir string
	Err error
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("the plan in %s is not usable: %v; %s", e.Dir, e.Err, planAgain)
}

func (e *DamagedError) Unwrap() error { return e.Err }

// RemedyOptions is as in an onnx.RemedyError.
func (e *DamagedError) RemedyOptions() []string { return []string{"job.Overwrite"} }

func parsePlan(at store.Store, b []byte) (*Plan, error) {
	p := &Plan{}
	if err := json.Unmarshal(b, p); err != nil {
		return nil, &DamagedError{at.String(), err}
	}
	if p.Manifest != nil { // as it was written, should it be written again
		var s result.Summary
		if err := p.Manifest.Summed(&s); err != nil {
			return nil, &DamagedError{at.String(), err}
		}
		p.Manifest.Summary = s
	}
	p.dir, p.at = at.String(), at
	p.Changed = checkSeal(b, &Plan{}, p.Sum)
	return p, p.check()
}
