// Package result holds results: the columns of a run and the manifest that says how they came
// about. It writes them to files, Parquet, npy, JSON Lines and FAISS, reads these and CSV, and
// keeps them in memory. A result appears under its final name whole, with its manifest beside
// it, or not at all, and neither writing nor reading takes memory that grows with the rows.
package result

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes/internal/store"
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
	// In is where the result is made; the path is a name in it. nil is the local disk.
	In store.Store
}

// File is a complete file of a result.
type File struct {
	Name   string `json:"name"` // without its folder
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Sum reads a file of any name and says what is in it.
func Sum(f io.ReaderAt, name string) (File, error) {
	h := sha256.New()
	n, err := io.Copy(h, io.NewSectionReader(f, 0, math.MaxInt64))
	return File{name, n, hex.EncodeToString(h.Sum(nil))}, err
}

// SumDraft is Sum of a sealed draft, for the packages of this module.
func SumDraft(d store.Draft, name string) (File, error) {
	f, err := d.Open()
	if err != nil {
		return File{}, err
	}
	defer f.Close()
	return Sum(f, name)
}

// Format is one kind of result file, chosen by the extension "."+Name.
type Format struct {
	Name string
	Doc  string
	open func(path string, o Options, add func(path string) (store.Draft, error)) (encoder, error)
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
	begin(cols []Column) error
	// write appends rows of the same layout. It keeps nothing of cols.
	write(cols []Column, rows int) error
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
	return existsError(path)
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
func Create(path string, o Options) (Sink, error) {
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
	if err := s.at(o.In, path); err != nil {
		return nil, err
	}
	if s.enc, err = format.open(path, o, s.add); err != nil {
		return nil, errors.Join(err, s.discard())
	}
	return s, nil
}

// at settles where the result is made.
func (s *sink) at(in store.Store, path string) error {
	if s.in = in; in != nil {
		return nil
	}
	dir := filepath.Dir(path)
	s.in = store.Folder(dir)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("making the folder for %s: %w", path, err)
	}
	return nil
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
	in       store.Store
	files    []store.Draft // in the order they get their names; the data file first opened, last named
	names    []string      // of files
	layout   []Column
	begun    bool
	done     error // why no more calls are served; nil while open
}

var (
	errCommitted = errors.New("this result is already committed")
	errAborted   = errors.New("this result was aborted")
)

// add opens one more file of the result under a temporary name.
func (s *sink) add(path string) (store.Draft, error) {
	name := filepath.Base(path)
	f, err := s.in.Create(name, !s.force)
	if err != nil {
		return nil, existing(err)
	}
	s.files, s.names = append([]store.Draft{f}, s.files...), append([]string{name}, s.names...)
	return f, nil
}

// existing says what to do about a file that is there.
func existing(err error) error {
	var at *fs.PathError
	if errors.Is(err, fs.ErrExist) && errors.As(err, &at) {
		return existsError(at.Path)
	}
	return err
}

func existsError(path string) error {
	return onnx.Remedy(fmt.Errorf("%s exists; give another, or force it to be replaced", path), "result.Options.Force")
}

// Write appends rows; see Sink.
func (s *sink) Write(cols []Column) error {
	if s.done != nil {
		return fmt.Errorf("writing %s: %w", s.path, s.done)
	}
	return s.fail("writing", s.write(cols))
}

func (s *sink) write(cols []Column) error {
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

// Commit completes the result; see Sink.
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
	text, err := encodeManifest(manifest)
	if err != nil {
		return fmt.Errorf("encoding the manifest: %w", err)
	}
	if err := s.enc.end(text); err != nil {
		return err
	}
	if s.files == nil { // standard output
		return nil
	}
	if s.manifest != "" {
		s.force = true // one of a result that was removed may be there
		m, err := s.add(s.manifest)
		if err != nil {
			return err
		}
		if _, err := m.Write(text); err != nil {
			return err
		}
	}
	for _, f := range s.files {
		if err := f.Seal(); err != nil {
			return err
		}
	}
	if s.part != nil {
		var files []File
		for i, f := range slices.Backward(s.files) {
			d, err := SumDraft(f, s.names[i])
			if err != nil {
				return err
			}
			files = append(files, d)
		}
		s.part(files)
	}
	return existing(s.in.Publish(s.files...))
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
		errs = append(errs, f.Discard())
	}
	s.files = nil
	return errors.Join(errs...)
}

// Abandon removes what the results that this process is making have on the disk; none is
// completed after it. It is for the end of a process in the middle of its work; died says
// that the work is at fault, which counts as a try of a job's shards.
func Abandon(died bool) {
	abandonFolders()
	store.Abandon(died)
}

// Save writes one whole file with its manifest beside it, under the rules of
// Create: both appear complete, or not at all. write makes the file's bytes; the manifest is
// taken after it.
func Save(path string, force bool, manifest any, write func(io.Writer) error) error {
	s := &sink{path: path, manifest: ManifestPath(path), force: force}
	if err := s.at(nil, path); err != nil {
		return err
	}
	out, err := s.add(path)
	if err != nil {
		return err
	}
	if err := write(out); err != nil {
		return s.fail("completing", err)
	}
	s.enc = whole{}
	return s.Commit(manifest)
}

// whole is a file that is not made of columns and was written.
type whole struct{}

func (whole) begin([]Column) error      { return nil }
func (whole) write([]Column, int) error { return nil }
func (whole) end([]byte) error          { return nil }
