package dataset

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/engine/internal/safe"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/filetype"
)

// Format is a kind of source that Open reads.
type Format struct {
	Name, Doc string
	// looksFile tells a file of this kind; named tells one in a folder, by its name. It is
	// nil for files that stand for no folder, and for images.
	looksFile func(fsys fs.FS, path string) bool
	named     func(name string) bool
	open      func(path string, o Options) ([]source, error)
}

// Formats are the kinds of sources, in the order in which they are tried.
var Formats []Format

func init() { // openImages reads Formats
	Formats = []Format{
		{"npy", "NumPy .npy and .npz (x or images, with y or labels): uint8 arrays are pictures, others model inputs",
			looksNpy, isNpyName, openNpy},
		{"cifar10", "CIFAR-10 binary: .bin files of 1+3072 bytes a picture, or their folder",
			looksCifar(10), cifarKinds[10].files, openCifar(10)},
		{"cifar100", "CIFAR-100 binary: .bin files of 2+3072 bytes a picture, or their folder",
			looksCifar(100), cifarKinds[100].files, openCifar(100)},
		{"mnist", "MNIST's IDX files, plain or .gz: the images file, its labels found beside it, or their folder",
			looksIdx, isIdxImages, openIdx},
		{"webdataset", "WebDataset shards: .tar, .tar.gz, .tgz, .tar.zst, or their folder; members KEY.jpg and KEY.cls or KEY.json (label, cls)",
			looksTar, isTarName, openTar},
		{"parquet", "Parquet with image files in a column, as Hugging Face writes it (image, label): .parquet, or their folder",
			looksParquet, isParquetName, openParquet},
		{"list", "lists of image files: .csv and .tsv (path, label, class), .jsonl and .ndjson (path or file_name, label), .txt (a path a line)",
			looksListed, nil, openListed},
		{"images", "JPEG (MPO too), PNG, WebP, GIF, BMP, TIFF, PPM, PGM and PBM, of animations the first frame: files, or a folder whose sub-folders are the classes",
			looksImage, nil, openImages},
	}
}

// looksFolder tells a folder by the names in it; one with any image, or with nothing
// that is known, is one of images.
func (f *Format) looksFolder(names []string) bool {
	if f.named == nil {
		return f.Name == "images"
	}
	return slices.ContainsFunc(names, f.named) && !slices.ContainsFunc(names, picture.IsName)
}

// source is a dataset of one file or folder.
type source interface {
	Dataset
	classes() []string
	describe() Description
	// prefix is put before the IDs when there are several sources.
	prefix(string)
	// distinct reports that all samples have different IDs, which begin with a
	// string.
	distinct() (begin string, ok bool)
}

// part is what sources have in common.
type part struct {
	o            Options
	path, format string
	name, before string // of the IDs: the file's, and what tells several sources apart
	n            int
	label        func(i int) int // nil without
	class        []string
	renderer     *picture.Renderer // nil of model inputs
	unlabelled   string            // why there are no labels where some could be
}

func (p *part) prefix(s string)              { p.before = s }
func (p *part) classes() []string            { return p.class }
func (p *part) distinct() (string, bool)     { return plain(p.before+p.name) + "[", true }
func (p *part) Len() int                     { return p.n }
func (p *part) Shape() []int                 { return slices.Clone(p.renderer.Shape) }
func (p *part) rendering() *picture.Renderer { return p.renderer }
func (p *part) Item(i int) Item              { return p.item(fmt.Sprintf("%s%s[%d]", p.before, p.name, i), i) }

// item is that of a sample with an ID.
func (p *part) item(id string, i int) Item {
	it := Item{ID: plain(id), Path: p.path, Label: -1}
	if p.label != nil {
		it.Label = p.label(i)
	}
	if it.Label >= 0 && it.Label < len(p.class) {
		it.Class = p.class[it.Label]
	}
	return it
}

// readAt reads of a file that holds the samples.
func (p *part) readAt(r io.ReaderAt, b []byte, at int64) error {
	return patiently(p.o.FS, func() string { return p.path }, func() error { return safe.ReadAt(r, b, at) })
}

func (p *part) describe() Description {
	s := Source{Path: p.path, Format: p.format, Items: p.n, Unlabelled: p.unlabelled}
	if p.renderer != nil {
		s.Preprocess = &p.renderer.Pre
	}
	return Description{Sources: []Source{s}}
}

// Open makes a dataset of files and folders, one after the other: folders of
// images, image files, array files and the other Formats, glob patterns, ranges
// and alternatives in braces, and "-" for a list of these on o.Stdin. What is wrong with one picture shows when
// it is read; what is wrong with a source, or an empty dataset, is an error.
// Where image folders have different classes, labels count their sorted union.
//
// A fault of the machine while it looks is a *MachineError, whatever it was that could
// not be seen.
func Open(sources []string, o Options) (Dataset, error) {
	return watched(fmt.Sprintf("%q", sources), o, func(o Options) (Dataset, error) { return openAll(sources, o) })
}

// watched opens with the options settled; a fault of the machine that was seen meanwhile
// is the error.
func watched(what string, o Options, open func(o Options) (Dataset, error)) (Dataset, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("opening a dataset: %w", err)
	}
	ds, err := open(o)
	if lost := o.shared.fsys.Fault(); lost != nil {
		return nil, fmt.Errorf("opening dataset %s: %w", what, lost)
	}
	return ds, err
}

func openAll(sources []string, o Options) (Dataset, error) {
	format, err := formatNamed(o.Format)
	if err != nil {
		return nil, fmt.Errorf("opening a dataset: %w", err)
	}
	paths, err := expand(o.FS, sources, o.Stdin)
	if err != nil {
		return nil, err
	}
	first := o.Input == nil
	var parts []source
	var origins []Origin
	var left []Left
	for len(paths) > 0 {
		path, n := paths[0], 1
		f := format
		if f == nil {
			tell := func() error { f, err = formatOf(o.FS, path); return err }
			if picture.IsName(path) { // an item, whose fault does not end the others
				err = patiently(o.FS, func() string { return "" }, tell)
			} else {
				err = tell()
			}
			if err != nil {
				return nil, fmt.Errorf("opening dataset %q: %w", path, err)
			}
		}
		var got []source
		if f.Name == "images" && isFile(o.FS, path) {
			for n < len(paths) && isFile(o.FS, paths[n]) && (format != nil || picture.IsName(paths[n])) {
				n++
			}
			got, err = openImageFiles(paths[:n], o)
		} else {
			got, err = f.open(path, o)
		}
		if err != nil {
			if first && len(parts) > 0 {
				err = fmt.Errorf("beside %q, whose samples are %v: %w", parts[0].describe().Sources[0].Path, o.Input, err)
			}
			return nil, fmt.Errorf("opening dataset %q as %s: %w", path, f.Name, err)
		}
		if o.Input == nil {
			o.Input = got[0].Shape()
		}
		if isFolder(o.FS, path) {
			if l, some := leftOf(o.FS, path, f, format != nil, got); some {
				left = append(left, l)
			}
		}
		given, prefix := paths[:n:n], ""
		parts, paths = append(parts, got...), paths[n:]
		if len(paths) > 0 || len(parts) > len(got) { // IDs need their source before them
			before := strings.TrimSuffix(path, filepath.Base(path))
			if !isFile(o.FS, path) {
				before = filepath.Clean(path) + "/"
			}
			for _, s := range got {
				s.prefix(before)
			}
			prefix = before
		}
		for _, s := range got {
			from := Origin{Paths: []string{s.describe().Sources[0].Path}, Format: f.Name, Prefix: prefix, Items: s.Len()}
			if f.Name == "images" {
				from.Paths = given
			}
			origins = append(origins, from)
		}
	}
	ds := join(parts)
	ds.origins, ds.left = origins, left
	if ds.Len() == 0 {
		return nil, fmt.Errorf("opening dataset %q: it has no samples", sources)
	}
	return ds, nil
}

// Unused is an error where an option says something of sources of a kind, and ds was
// opened with it of none such.
func Unused(ds Dataset, o Options) error {
	have := func(formats ...string) bool {
		return slices.ContainsFunc(Origins(ds), func(from Origin) bool { return slices.Contains(formats, from.Format) })
	}
	archive := func(path string) bool { return strings.EqualFold(filepath.Ext(path), ".npz") }
	archives := slices.ContainsFunc(Origins(ds), func(from Origin) bool { return slices.ContainsFunc(from.Paths, archive) })
	switch {
	case o.Pixels != "" && !have("npy"):
		return onnx.Remedy(errors.New("it is said what the values of arrays are, and no source is an array"), "dataset.Options.Pixels="+o.Pixels)
	case o.Layout != "" && o.Layout != "auto" && !have("npy"):
		return onnx.Remedy(errors.New("it is said how the axes of arrays lie, and no source is an array"), "dataset.Options.Layout="+o.Layout)
	case o.Column != "" && !archives && !have("webdataset", "parquet", "list"):
		return onnx.Remedy(fmt.Errorf("the column %q is asked for, and no source has columns", o.Column), "dataset.Options.Column="+o.Column)
	case o.EXIF && !have("images", "webdataset", "parquet", "list"):
		return onnx.Remedy(errors.New("pictures are to be turned upright, and no source has image files"), "dataset.Options.EXIF")
	}
	return nil
}

func formatNamed(name string) (*Format, error) {
	if name == "" || name == "auto" {
		return nil, nil
	}
	if i := slices.IndexFunc(Formats, func(f Format) bool { return f.Name == name }); i >= 0 {
		return &Formats[i], nil
	}
	return nil, fmt.Errorf("format %q is not known, want one of auto, %s", name, formatNames())
}

func formatNames() string {
	var names []string
	for _, f := range Formats {
		names = append(names, f.Name)
	}
	return strings.Join(names, ", ")
}

func formatOf(fsys fs.FS, path string) (*Format, error) {
	st, err := fs.Stat(fsys, path)
	if err != nil {
		return nil, safe.Reason(err)
	}
	var names []string
	if st.IsDir() {
		entries, err := fs.ReadDir(fsys, path)
		if err != nil {
			return nil, safe.Reason(err)
		}
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), ".") {
				names = append(names, e.Name())
			}
		}
	}
	for i := range Formats {
		if f := &Formats[i]; st.IsDir() && f.looksFolder(names) || !st.IsDir() && f.looksFile(fsys, path) {
			return f, nil
		}
	}
	is := filetype.Type{}
	if st.Mode().IsRegular() { // a pipe may never open
		is = typeOf(fsys, path)
	}
	if is.Name != "" {
		err = fmt.Errorf("this is %s, and none of the formats of data knows it; give the format, one of %s", is.Name, formatNames())
		return nil, onnx.Remedy(err, "dataset.Options.Format")
	}
	err = fmt.Errorf("cannot tell its format by its name or first bytes; give the format, one of %s", formatNames())
	return nil, onnx.Remedy(err, "dataset.Options.Format")
}

// beside says what files are in the folder where a pattern matches none: names that differ by
// case, .jpg beside .JPEG.
func beside(fsys fs.FS, pattern string) string {
	dir := filepath.Dir(pattern)
	entries, err := fs.ReadDir(fsys, dir)
	if isGlob(dir) || err != nil {
		return ""
	}
	files := map[string]int{}
	for _, e := range entries {
		if e.Type().IsRegular() && !strings.HasPrefix(e.Name(), ".") {
			files[filepath.Ext(e.Name())]++
		}
	}
	var kinds []string
	for ext, n := range files {
		kinds = append(kinds, fmt.Sprintf("%d %s", n, cmp.Or(ext, "without an extension")))
	}
	slices.SortFunc(kinds, func(a, b string) int { // the most first
		var n, m int
		fmt.Sscan(a, &n)
		fmt.Sscan(b, &m)
		return cmp.Or(m-n, strings.Compare(a, b))
	})
	if kinds == nil {
		return fmt.Sprintf("; there is no file in %s", dir)
	}
	said := strings.Join(kinds[:min(6, len(kinds))], ", ")
	if n := len(kinds) - 6; n > 0 {
		said += fmt.Sprintf(" and files of %d more kinds", n)
	}
	return fmt.Sprintf("; in %s there are %s", dir, said)
}

// typeOf is the type of a file by its first bytes.
func typeOf(fsys fs.FS, path string) filetype.Type {
	f, err := fsys.Open(path)
	if err != nil {
		return filetype.Type{}
	}
	defer f.Close()
	b := make([]byte, filetype.Prefix)
	n, _ := io.ReadFull(f, b)
	return filetype.Of(b[:n])
}

// expand resolves braces, globs and the list on standard input.
func expand(fsys fs.FS, sources []string, stdin io.Reader) ([]string, error) {
	var paths []string
	for _, s := range sources {
		if s == "-" {
			listed, err := readList(stdin)
			if err != nil {
				return nil, fmt.Errorf("reading the list of paths from standard input: %w", err)
			}
			paths = append(paths, listed...)
			continue
		}
		names := []string{s}
		if !exists(fsys, s) {
			var err error
			if names, err = braces(s); err != nil {
				return nil, fmt.Errorf("opening dataset %w", err)
			}
		}
		var missing []string
		for _, name := range names {
			if exists(fsys, name) || len(names) == 1 && !isGlob(name) {
				paths = append(paths, name)
				continue
			}
			if !isGlob(name) {
				missing = append(missing, name)
				continue
			}
			found, err := fs.Glob(fsys, name)
			if err != nil {
				return nil, fmt.Errorf("opening dataset %q: %w", name, err)
			}
			if len(found) == 0 {
				return nil, fmt.Errorf("opening dataset %q: the pattern matches no file%s", name, beside(fsys, name))
			}
			paths = append(paths, found...)
		}
		if n := len(missing); n > 0 {
			shown := fmt.Sprintf("%q", missing[:min(n, 3)])
			if n > 3 {
				shown += " and more"
			}
			return nil, fmt.Errorf("opening dataset %q: %d of its %d files are missing: %s", s, n, len(names), shown)
		}
	}
	if len(paths) == 0 {
		return nil, errors.New("opening a dataset: no source is given; give a folder of images, image files, or array files")
	}
	return paths, nil
}

func isGlob(name string) bool { return strings.ContainsAny(name, "*?[") }

func readList(r io.Reader) ([]string, error) {
	if r == nil {
		return nil, errors.New("there is none")
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	sep := "\n"
	if bytes.IndexByte(b, 0) >= 0 {
		sep = "\x00"
	}
	var paths []string
	for line := range strings.SplitSeq(string(b), sep) {
		if sep == "\n" {
			line = strings.TrimSuffix(line, "\r")
		}
		if line != "" {
			paths = append(paths, line)
		}
	}
	return paths, nil
}
