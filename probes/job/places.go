package job

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/probes/internal/store"
	"github.com/onnxprobe/onnxprobe/probes/region/predict"
)

// settlePlaces says what the paths of the plan count from, which is to be saved in dir.
func (p *Plan) settlePlaces(dir string) error {
	if p.From != "" {
		return nil
	}
	var err error
	if p.From, err = os.Getwd(); err != nil {
		return fmt.Errorf("planning a job: %w", err)
	}
	if p.Home, err = filepath.Abs(dir); err != nil {
		return fmt.Errorf("planning a job: %w", err)
	}
	return nil
}

// noteLies notes where paths lead that are relative, or that may move.
func (p *Plan) noteLies() {
	p.LiesAt = nil
	for _, path := range p.given() {
		if filepath.IsAbs(path) && !below(path, p.Home) {
			continue
		}
		if p.LiesAt == nil {
			p.LiesAt = map[string]string{}
		}
		p.LiesAt[path] = p.lies(path)
	}
}

// checkPlaces holds the places against each other.
func (p *Plan) checkPlaces() error {
	for path, at := range p.LiesAt {
		if p.From == "" || at != p.lies(path) {
			return fmt.Errorf("%s does not lie at %s, by the folder in which it was planned", path, at)
		}
	}
	return nil
}

// lies is a path as the plan keeps it, find where it leads now.
func (p *Plan) lies(path string) string { return p.Places.Lies(path) }
func (p *Plan) find(path string) string { return p.Places.Find(p.dir, path) }

// below says whether a path is dir or leads below it.
func below(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// ModelPath is where the model lies.
func (p *Plan) ModelPath() string { return p.find(p.Model) }

// RegionsPath is where the annotations lie, or the model that finds regions; "" where
// a method finds them.
func (p *Plan) RegionsPath() string { return p.find(p.regionsFile()) }

func (p *Plan) regionsFile() string {
	switch r := p.Settings.Regions; {
	case r == nil || r.Method != nil:
		return ""
	case r.Model != nil:
		_, path, _ := predict.Parse(p.Regions)
		return path
	}
	return p.Regions
}

// files is the file system that the plan's paths are names of.
func (p *Plan) files() fs.FS { return dataset.Elsewhere(p.find) }

// given is all paths of the plan, but those of pictures given one by one.
func (p *Plan) given() []string {
	paths := []string{p.Model}
	if path := p.regionsFile(); path != "" {
		paths = append(paths, path)
		if images := p.Settings.Regions.Options.Images; images != "" {
			paths = append(paths, images)
		}
	}
	for _, path := range p.Arrays {
		paths = append(paths, path)
	}
	for k := range p.Sources {
		if root := p.Sources[k].root(); root != "" {
			paths = append(paths, root)
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// root is the file or folder without which nothing of a source can be read; "" where
// there is none.
func (s *Source) root() string {
	switch {
	case s.Folder != "":
		return s.Folder
	case len(s.Paths) == 0:
		return ""
	case s.Format == pictures:
		return filepath.Dir(s.Paths[0])
	}
	return s.Paths[0]
}

// UnreachableError says that what the job reads is not where the plan says: running it again is
// of no use before it is.
type UnreachableError struct {
	Path string
	Err  error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("%s cannot be reached: %v; make it so on this machine, or plan the job anew", e.Path, e.Err)
}

// Reach is an *UnreachableError where the job can do nothing here: the model or all of its
// inputs cannot be reached. A fault of the machine is a *dataset.MachineError instead.
func (p *Plan) Reach() error {
	if err := p.reach(p.Model); err != nil {
		return err
	}
	var first error
	for k := range p.Sources {
		root := p.Sources[k].root()
		if root == "" {
			return nil
		}
		err := p.reach(root)
		if err == nil {
			return nil
		}
		if first == nil || dataset.FaultOf(err) == dataset.MachineFault {
			first = err
		}
	}
	return first
}

func (p *Plan) reach(path string) error {
	at := p.find(path)
	if _, err := os.Stat(at); err != nil {
		return unreachable(at, err)
	}
	return nil
}

// unreachable is the error of a file or folder without which there is nothing to read.
func unreachable(path string, err error) error {
	if dataset.FaultOf(err) >= dataset.MediumFault {
		return &dataset.MachineError{Err: err}
	}
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	return &UnreachableError{path, err}
}

// OccupiedError says that a folder holds other things than a job.
type OccupiedError struct {
	Dir    string
	Things []string
}

func (e *OccupiedError) Error() string {
	names, more := e.Things, ""
	if n := len(names); n > 3 {
		names, more = names[:3], fmt.Sprintf(" and %d more", n-3)
	}
	return fmt.Sprintf("%s holds other things than a job (%s%s); give a new folder, which is made, or an empty one", e.Dir, strings.Join(names, ", "), more)
}

// vacant is an *OccupiedError where the folder, which has no plan, holds anything but
// what is left of this job, or to be removed of any, and folders or a model that go into it.
func (p *Plan) vacant(mode Mode) error {
	entries, err := p.at.List("")
	if err != nil {
		return fmt.Errorf("looking into the job's folder: %w", err)
	}
	of, err := jobsIn(p.at, entries)
	if err != nil {
		return fmt.Errorf("looking into the job's folder: %w", err)
	}
	known := len(of) > 0 && mode == Overwrite || p.among(of)
	mine := func(e store.Entry) bool {
		m := ofShard.FindStringSubmatch(e.Name)
		switch {
		case store.Temporary.MatchString(e.Name):
			return true
		case !ours(e.Name):
			return e.Name == "lost+found" || strings.HasPrefix(e.Name, ".")
		case known, isNames(e.Name), m != nil && m[2] == triesSuffix && !e.Regular:
			return true
		case e.Name == frameName && p.Settings.Complexity != nil:
			why, err := p.checkFrame()
			return why == nil && err == nil
		}
		return false
	}
	own := map[string]bool{}
	input := func(path string) {
		if path = p.lies(path); !filepath.IsAbs(path) {
			top, _, deeper := strings.Cut(filepath.ToSlash(path), "/")
			if deeper || path == p.lies(p.Model) || isDir(filepath.Join(p.dir, path)) {
				own[top] = true
			}
		}
	}
	for _, path := range p.given() {
		input(path)
	}
	for _, f := range p.naming.fresh {
		if f.folder == "" {
			_ = f.each(func(name string) error { input(name); return nil })
		}
	}
	model := filepath.Base(p.Model)
	var other []string
	for _, e := range entries {
		switch name := e.Name; {
		case own[name], mine(e), own[model] && strings.HasPrefix(name, model): // its external data
		default:
			other = append(other, name)
		}
	}
	if len(other) == 0 {
		return nil
	}
	if _, err := p.at.Get(planName); !errors.Is(err, fs.ErrNotExist) {
		return err // another planner was faster, and these are its
	}
	return &OccupiedError{p.dir, other}
}

// among says whether some of what has such fingerprints is of this plan.
func (p *Plan) among(of map[string]bool) bool {
	if len(of) == 0 || of[p.Fingerprint] {
		return len(of) > 0
	}
	for i := range p.Shards {
		if of[p.fingerprint(i)] {
			return true
		}
	}
	return false
}

// isOf says whether the records that are there are of this plan.
func (p *Plan) isOf() (bool, error) {
	entries, err := p.at.List("")
	if err != nil {
		return false, fmt.Errorf("looking into the job's folder: %w", err)
	}
	of, err := jobsIn(p.at, entries)
	return p.among(of), err
}

// jobsIn is the fingerprints, of jobs and of shards, by which files can be told to be a
// job's, be it one whose plan is lost.
func jobsIn(at store.Store, entries []store.Entry) (map[string]bool, error) {
	of := map[string]bool{}
	for _, e := range entries {
		m := ofShard.FindStringSubmatch(e.Name)
		record := m != nil && m[2] == recordSuffix
		if !e.Regular || !record && e.Name != manifestName && e.Name != successName {
			continue
		}
		b, err := at.Get(e.Name)
		if err != nil {
			return nil, err
		}
		var said struct {
			Fingerprint string `json:"fingerprint"`
		}
		if e.Name == successName {
			said.Fingerprint = strings.TrimSuffix(string(b), "\n")
		} else if json.Unmarshal(b, &said) != nil {
			continue
		}
		if sum, err := hex.DecodeString(said.Fingerprint); err == nil && len(sum) == sha256.Size {
			of[said.Fingerprint] = true
		}
	}
	return of, nil
}

// isJob is an *OccupiedError where nothing but its name says that plan.json is a job's, and
// why says why it is none.
func (p *Plan) isJob(why error) error {
	b, err := p.at.Get(planName)
	if err != nil {
		return errors.Join(why, err)
	}
	entries, err := p.at.List("")
	if err != nil {
		return err
	}
	of, err := jobsIn(p.at, entries)
	if err != nil || len(of) > 0 || fingerprintField.Match(b) {
		return err
	}
	return &OccupiedError{p.dir, []string{planName}}
}

var fingerprintField = regexp.MustCompile(`"fingerprint": "[0-9a-f]{64}"`)

func isDir(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

// ours tells what a job writes, drafts included, by its name.
func ours(name string) bool {
	if m := store.Temporary.FindStringSubmatch(name); m != nil {
		name = m[1]
	}
	return ofShard.MatchString(name) || ofJob.MatchString(name)
}
