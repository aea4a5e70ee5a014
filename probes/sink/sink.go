// Package sink writes the columns of a run to files: Parquet, npy and JSON
// Lines. A result appears under its final name whole, with its manifest beside
// it, or not at all, and memory does not grow with the number of rows.
package sink

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/onnxprobe/onnxprobe/probes"
)

// Options says how Create makes a sink. The zero value writes to a file that
// must not exist.
type Options struct {
	// Array names the column that becomes the array of a .npy file. The other
	// formats ignore it.
	Array string
	// Force lets Commit replace an existing result.
	Force bool
	// Stdout is where the path "-" writes; nil means os.Stdout.
	Stdout io.Writer
	// Part, when not nil, makes the result a part of a larger one: no manifest is
	// written beside it, and Part is told of its files, whole and on the disk, just
	// before they get their names.
	Part func([]File)
}

// File is a complete file of a result.
type File struct {
	Name   string `json:"name"` // without its folder
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Sum reads a file and says what is in it.
func Sum(path string) (File, error) { return sum(path, filepath.Base(path)) }

func sum(path, name string) (File, error) {
	f, err := os.Open(path)
	if err != nil {
		return File{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return File{name, n, hex.EncodeToString(h.Sum(nil))}, err
}

// Format is one kind of result file, chosen by the extension "."+Name.
type Format struct {
	Name string
	Doc  string
	open func(path string, o Options, add func(path string) (*output, error)) (encoder, error)
}

// Formats lists what Create can write.
var Formats = []Format{
	{"parquet", "columnar table, snappy; a column with parts becomes NAME.PART columns; read by pandas, pyarrow, DuckDB, Spark", openParquet},
	{"npy", "one array [rows, width] for numpy.load, memory-mappable; the other columns go to FILE.items.jsonl", openNpy},
	{"jsonl", `JSON Lines, one object per row, binary columns as hex; "-" writes it to stdout`, openJSONL},
}

// ManifestPath is the name of the manifest that belongs to a result file.
func ManifestPath(path string) string { return path + ".manifest.json" }

// ItemsPath is the name of the JSON Lines file that holds the columns beside
// the array of a .npy file, in the same row order.
func ItemsPath(path string) string { return path + ".items.jsonl" }

// encoder turns checked batches into one format's bytes.
type encoder interface {
	// begin is given the first batch's columns for their layout; their values
	// come again in write. It is called once, and not at all when nothing is
	// ever written.
	begin(cols []probes.Column) error
	// write appends rows of the same layout. It keeps nothing of cols.
	write(cols []probes.Column, rows int) error
	// end completes the bytes; manifest is JSON.
	end(manifest []byte) error
}

// Check reports what Create would find wrong with path by its name: an extension
// that says no format, or, unless force is set, a result that exists.
func Check(path string, force bool) error {
	if path == "-" {
		return nil
	}
	if _, err := formatOf(path); err != nil || force {
		return err
	}
	if _, err := os.Lstat(path); err != nil {
		return nil // whatever is wrong is Create's to say
	}
	return mustNotExist(path)
}

// Create opens a sink that writes to path, in the format of its extension, and
// makes the folders above it. The path "-" streams JSON Lines to o.Stdout as
// rows come: such a result cannot be taken back and has no manifest.
//
// A result that exists is an error unless o.Force is set. After an error from
// Write or Commit the sink has removed what it wrote, and every later call but
// Abort returns that error. A process that is killed can leave a hidden
// temporary file, ".NAME.*.tmp", in the result's folder. A sink serves one
// goroutine; two sinks may write to one path, and the first to commit wins, or
// with Force the last.
func Create(path string, o Options) (probes.Sink, error) {
	s := &sink{force: o.Force, part: o.Part}
	if path == "-" {
		if o.Stdout == nil {
			o.Stdout = os.Stdout
		}
		s.path, s.enc = "standard output", newJSONL(o.Stdout)
		return s, nil
	}
	format, err := formatOf(path)
	if err != nil {
		return nil, err
	}
	s.path = path
	if s.part == nil {
		s.manifest = ManifestPath(path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, fmt.Errorf("making the folder for %s: %w", path, err)
	}
	if s.enc, err = format.open(path, o, s.add); err != nil {
		return nil, errors.Join(err, s.discard())
	}
	return s, nil
}

func formatOf(path string) (Format, error) {
	ext := strings.ToLower(filepath.Ext(path))
	var known []string
	for _, f := range Formats {
		if ext == "."+f.Name {
			return f, nil
		}
		known = append(known, "."+f.Name)
	}
	return Format{}, fmt.Errorf(`writing %q: extension %q names no format; use one of %s, or "-" for JSON Lines on standard output`,
		path, ext, strings.Join(known, ", "))
}

// sink does what the formats have in common: it checks batches, and makes
// files appear together.
type sink struct {
	path     string // for messages
	manifest string // "" when the result has no manifest
	force    bool
	part     func([]File)
	enc      encoder
	files    []*output // in the order they get their names; the data file first opened, last named
	layout   []probes.Column
	begun    bool
	done     error // why no more calls are served; nil while open
}

var (
	errCommitted = errors.New("this result is already committed")
	errAborted   = errors.New("this result was aborted")
)

// add opens one more file of the result under a temporary name.
func (s *sink) add(path string) (*output, error) {
	if !s.force {
		if err := mustNotExist(path); err != nil {
			return nil, err
		}
	}
	f, err := newOutput(path)
	if err != nil {
		return nil, err
	}
	s.files = append([]*output{f}, s.files...)
	return f, nil
}

func (s *sink) Write(cols []probes.Column) error {
	if s.done != nil {
		return fmt.Errorf("writing %s: %w", s.path, s.done)
	}
	return s.fail("writing", s.write(cols))
}

func (s *sink) write(cols []probes.Column) error {
	rows, err := check(cols)
	if err != nil {
		return err
	}
	if !s.begun {
		s.begun, s.layout = true, layoutOf(cols)
		if err := s.enc.begin(s.layout); err != nil {
			return err
		}
	} else if err := sameLayout(s.layout, cols); err != nil {
		return err
	}
	return s.enc.write(cols, rows)
}

func (s *sink) Commit(manifest any) error {
	if s.done != nil {
		return fmt.Errorf("completing %s: %w", s.path, s.done)
	}
	if err := s.fail("completing", s.commit(manifest)); err != nil {
		return err
	}
	s.done = errCommitted
	return nil
}

func (s *sink) commit(manifest any) error {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(manifest); err != nil {
		return fmt.Errorf("encoding the manifest: %w", err)
	}
	if err := s.enc.end(text.Bytes()); err != nil {
		return err
	}
	if s.files == nil { // standard output
		return nil
	}
	data := s.files
	if s.manifest != "" {
		m, err := newOutput(s.manifest)
		if err != nil {
			return err
		}
		s.files = append([]*output{m}, data...)
		if _, err := m.Write(text.Bytes()); err != nil {
			return err
		}
	}
	for _, f := range s.files {
		if err := f.seal(); err != nil {
			return err
		}
	}
	if s.part != nil {
		var files []File
		for _, f := range slices.Backward(data) {
			d, err := sum(f.Name(), filepath.Base(f.path))
			if err != nil {
				return err
			}
			files = append(files, d)
		}
		s.part(files)
	}
	return s.publish(data)
}

// publishing is held while files get their names: a result of several files
// must not mix with another's that is committed to the same path.
var publishing sync.Mutex

// publish names all files, when those in data may be replaced or are new.
func (s *sink) publish(data []*output) error {
	publishing.Lock()
	defer publishing.Unlock()
	dir, err := os.Open(filepath.Dir(s.path))
	if err != nil {
		return err
	}
	defer dir.Close()
	lock(dir)
	if !s.force {
		for _, f := range data {
			if err := mustNotExist(f.path); err != nil {
				return err
			}
		}
	}
	for _, f := range s.files {
		if err := f.publish(); err != nil {
			return err
		}
	}
	// Makes the names survive a crash. Not every system can sync a folder.
	_ = dir.Sync()
	return nil
}

func (s *sink) Abort() error {
	if s.done != nil {
		return nil
	}
	s.done = errAborted
	return s.discard()
}

// fail closes the sink when err is not nil.
func (s *sink) fail(doing string, err error) error {
	if err == nil {
		return nil
	}
	s.done = err
	return fmt.Errorf("%s %s: %w", doing, s.path, errors.Join(err, s.discard()))
}

func (s *sink) discard() error {
	var errs []error
	for _, f := range s.files {
		errs = append(errs, f.discard())
	}
	s.files = nil
	return errors.Join(errs...)
}

// Save writes one whole file with its manifest beside it, under the rules of
// Create: both appear complete, or not at all. write makes the file's bytes.
func Save(path string, force bool, manifest any, write func(io.Writer) error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return fmt.Errorf("making the folder for %s: %w", path, err)
	}
	s := &sink{path: path, manifest: ManifestPath(path), force: force}
	out, err := s.add(path)
	if err != nil {
		return err
	}
	s.enc = whole{out, write}
	return s.Commit(manifest)
}

// whole is a file that is not made of columns.
type whole struct {
	out   *output
	bytes func(io.Writer) error
}

func (w whole) begin([]probes.Column) error      { return nil }
func (w whole) write([]probes.Column, int) error { return nil }
func (w whole) end([]byte) error                 { return w.bytes(w.out) }
