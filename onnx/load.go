package onnx

import (
	"cmp"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// LoadOptions relax what Load insists on.
type LoadOptions struct {
	// AllowLinks accepts external data behind symbolic links that leave the
	// model's folder and hard links, as some model caches lay files out. Without
	// it a model file cannot make the program read anything outside its folder.
	AllowLinks bool
	// NoData accepts a model whose external data is not there, to look at its
	// structure.
	NoData bool
}

// Load reads a model file, checks it and sorts its nodes into an order they can
// run in. Weights stay in the file, which is memory-mapped: it must not be
// changed while the model is in use. Operators it does not know load as well;
// whether a model can run is the backend's to say.
func Load(path string) (*Model, error) { return LoadWith(path, LoadOptions{}) }

// LoadWith is Load with options.
func LoadWith(path string, o LoadOptions) (*Model, error) {
	m, err := load(path, o)
	if err != nil {
		return nil, fmt.Errorf("loading %q: %w", path, err)
	}
	return m, nil
}

func load(path string, o LoadOptions) (*Model, error) {
	// A pipe would make opening wait for a writer; mapFile refuses it.
	f, err := os.OpenFile(path, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, reason(err)
	}
	src, err := mapFile(f)
	if err != nil || src.file == nil {
		f.Close()
	}
	if err != nil {
		return nil, err
	}
	m, err := parse(src.data, src)
	runtime.KeepAlive(src)
	if err != nil {
		return nil, err
	}
	m.Path, m.Dir = path, filepath.Dir(path)
	m.files = &files{allowLinks: o.AllowLinks, model: src, open: map[string]*mapping{}, sums: m.checksums()}
	// Sort leaves nodes on a cycle out of order, which Check then reports.
	errs := []error{m.Graph.Sort()}
	for _, f := range m.Functions {
		errs = append(errs, f.Body.Sort())
	}
	if err := errors.Join(append(errs, m.Check(), m.checkExternal(o.NoData))...); err != nil {
		return nil, err
	}
	m.Graph.tellApart()
	return m, nil
}

// tellApart gives nodes of one name different ones. Names of nodes mean nothing to
// a model, but ONNX Runtime refuses two alike.
func (g *Graph) tellApart() {
	used := map[string]bool{}
	for _, n := range g.Nodes {
		used[n.Name] = true
	}
	seen := map[string]bool{}
	for _, n := range g.Nodes {
		for base, i := n.Name, 1; n.Name != "" && seen[n.Name]; i++ {
			if name := fmt.Sprintf("%s_%d", base, i); !used[name] {
				n.Name = name
			}
		}
		seen[n.Name], used[n.Name] = true, true
	}
}

// reason drops the path that os errors repeat.
func reason(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// mapping is a file's bytes. Whoever aliases them holds the mapping.
type mapping struct {
	data []byte
	file *os.File // that they are mapped from; nil where they were read
}

// Small files are read: a mapping costs more, and a reader of one gets a fault
// when the file shrinks.
const smallFile = 1 << 20

func mapFile(f *os.File) (*mapping, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, reason(err)
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("it is not a regular file but %s", kind(st.Mode()))
	}
	if st.Size() <= smallFile {
		b, err := io.ReadAll(io.LimitReader(f, smallFile))
		return &mapping{data: b}, err
	}
	b, unmap, err := mmap(f, st.Size())
	if err != nil {
		return nil, err
	}
	m := &mapping{b, f}
	runtime.AddCleanup(m, func(u func()) { u() }, unmap)
	return m, nil
}

func kind(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "a folder"
	case m&fs.ModeNamedPipe != 0:
		return "a pipe"
	case m&fs.ModeDevice != 0:
		return "a device"
	case m&fs.ModeSocket != 0:
		return "a socket"
	}
	return "a special file"
}

// External is where a tensor's data lies outside the model file.
type External struct {
	Location string // slash-separated, relative to the model's folder
	Offset   int64
	Length   int64 // -1 when not declared: what the tensor's type and shape need
	// Checksum is the SHA-1 of the whole file in hex, "" when not declared. The file is
	// held against it when its data is first used: by Values and Sum256, and by whatever
	// encodes the model for an engine or a file. Load, which only looks at the structure,
	// does not read the data.
	Checksum string
}

func parseExternal(ps []Prop) (*External, error) {
	e := &External{Length: -1}
	for _, p := range ps {
		var err error
		switch p.Key {
		case "location":
			e.Location = p.Value
		case "offset":
			e.Offset, err = parseSize(p.Value)
		case "length":
			e.Length, err = parseSize(p.Value)
		case "checksum":
			if b, err := hex.DecodeString(p.Value); err != nil || len(b) != sha1.Size {
				return nil, fmt.Errorf("external data: checksum %s is not a SHA-1 in hex, which has %d digits", quoted(p.Value), 2*sha1.Size)
			}
			e.Checksum = strings.ToLower(p.Value)
			continue
		default:
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("external data: %s %s is not a size: want decimal digits alone, below 2^63", p.Key, quoted(p.Value))
		}
	}
	return e, nil
}

// parseSize refuses the "+" that strconv accepts and ONNX Runtime does not.
func parseSize(s string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err
}

// quoted is a text of a file in quotes, the beginning of one that no person reads to the end.
func quoted(s string) string {
	const most = 120
	if len(s) <= most {
		return strconv.Quote(s)
	}
	return fmt.Sprintf("%q… (%d bytes)", strings.ToValidUTF8(s[:most], ""), len(s))
}

// maxLocation is the longest path that a system opens, PATH_MAX of Linux.
const maxLocation = 4096

// localPath is nil when a location stays inside the model's folder, judged by
// its text alone and by the rules of every system.
func localPath(loc string) error {
	switch {
	case loc == "":
		return errors.New("external data: no location")
	case len(loc) > maxLocation:
		return fmt.Errorf("external data: location %s is no file name, which has %d bytes at most", quoted(loc), maxLocation)
	case strings.ContainsRune(loc, 0):
		return fmt.Errorf("external data: location %s is not a file name", quoted(loc))
	case strings.Contains(loc, `\`), len(loc) > 1 && loc[1] == ':',
		!filepath.IsLocal(filepath.FromSlash(loc)), slices.Contains(strings.Split(loc, "/"), ".."):
		return fmt.Errorf("external data: location %s is not a plain path inside the model's folder; a model may only refer to data beside it", quoted(loc))
	}
	return nil
}

// files are the files of a model, shared by its clones.
type files struct {
	allowLinks bool
	model      *mapping // the model file itself
	mu         sync.Mutex
	open       map[string]*mapping
	sums       map[string][]string // what the model says of external files; see checksums
}

// openExternal opens a data file without ever leaving the model's folder.
func (m *Model) openExternal(loc string) (*os.File, fs.FileInfo, error) {
	if err := localPath(loc); err != nil {
		return nil, nil, err
	}
	fail := func(err error) (*os.File, fs.FileInfo, error) {
		return nil, nil, fmt.Errorf("external data %s in %q: %w", quoted(loc), m.Dir, reason(err))
	}
	path := filepath.FromSlash(loc)
	links := m.files != nil && m.files.allowLinks
	stat := func() (fs.FileInfo, error) { return os.Stat(filepath.Join(m.Dir, path)) }
	open := func() (*os.File, error) {
		return os.OpenFile(filepath.Join(m.Dir, path), os.O_RDONLY|nonblock, 0)
	}
	if !links {
		root, err := os.OpenRoot(cmp.Or(m.Dir, "."))
		if err != nil {
			return fail(err)
		}
		defer root.Close()
		stat = func() (fs.FileInfo, error) {
			st, err := root.Stat(path)
			if err != nil && throughLink(root, filepath.Clean(path)) {
				return nil, Remedy(fmt.Errorf("it is behind a symbolic link that does not resolve "+
					"inside the model's folder (%w); copy the file there, or allow links", reason(err)), "onnx.LoadOptions.AllowLinks")
			}
			return st, err
		}
		open = func() (*os.File, error) { return root.OpenFile(path, os.O_RDONLY|nonblock, 0) }
	}
	// Looked at before it is opened, because opening a device may do things, and
	// again after, because it may have been replaced.
	st, err := stat()
	if err != nil {
		return fail(err)
	}
	if !st.Mode().IsRegular() {
		return fail(fmt.Errorf("it is not a regular file but %s", kind(st.Mode())))
	}
	f, err := open()
	if err != nil {
		return fail(err)
	}
	if st, err = f.Stat(); err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("it is not a regular file but %s", kind(st.Mode()))
	}
	if err == nil && !links && hardLinks(st) > 1 {
		err = Remedy(errors.New("it has more than one hard link, so it may be a file from elsewhere; "+
			"copy it, or allow links"),
			"onnx.LoadOptions.AllowLinks")
	}
	if err != nil {
		f.Close()
		return fail(err)
	}
	return f, st, nil
}

// throughLink reports whether a clean path leads through a symbolic link. It steps into each
// folder: looked up from the root again and again, a path costs the square of its length.
func throughLink(root *os.Root, path string) bool {
	first, rest, more := strings.Cut(path, string(filepath.Separator))
	st, err := root.Lstat(first)
	if err != nil || st.Mode()&fs.ModeSymlink != 0 || !more {
		return err == nil && st.Mode()&fs.ModeSymlink != 0
	}
	sub, err := root.OpenRoot(first)
	if err != nil {
		return false
	}
	defer sub.Close()
	return throughLink(sub, rest)
}

// checkExternal verifies that every reference resolves inside the model's folder
// to bytes that exist.
func (m *Model) checkExternal(noData bool) error {
	var errs faults
	sizes := map[string]int64{}
	for _, t := range m.external() {
		loc := t.External.Location
		size, seen := sizes[loc]
		if !seen {
			size = -1
			if err := localPath(loc); err != nil {
				errs.addf("tensor %q: %w", t.Name, err)
			} else if f, st, err := m.openExternal(loc); err == nil {
				size = st.Size()
				f.Close()
			} else if !noData || !errors.Is(err, fs.ErrNotExist) {
				errs.addf("tensor %q: %w", t.Name, err)
			}
			sizes[loc] = size
		}
		want, err := t.size()
		if err != nil || size < 0 || want < 0 {
			continue // reported elsewhere
		}
		if t.External.Offset > size || want > size-t.External.Offset {
			errs.addf("tensor %q: its data is %d bytes from %d on of %s, which has %d", t.Name, want, t.External.Offset, quoted(loc), size)
		}
	}
	return errs.join()
}

// external lists the tensors whose data lies outside the model file.
func (m *Model) external() []*Tensor {
	ts := slices.Concat(m.Tensors(), m.hidden)
	for _, f := range m.Functions {
		ts = append(ts, f.tensors()...)
	}
	return slices.DeleteFunc(ts, func(t *Tensor) bool { return t.External == nil })
}

// HasExternal reports whether any constant lies outside the model file.
func (m *Model) HasExternal() bool { return len(m.external()) > 0 }

// ExternalFiles lists the locations of external data, sorted.
func (m *Model) ExternalFiles() []string {
	set := map[string]bool{}
	for _, t := range m.external() {
		set[t.External.Location] = true
	}
	return slices.Sorted(maps.Keys(set))
}

// mapped is an external data file's bytes, which the model keeps: whatever
// happens to the file's name later, all readers see the same data.
func (m *Model) mapped(loc string) (*mapping, error) {
	if m.files == nil {
		return nil, fmt.Errorf("the model was not loaded from a folder, so its external data %s cannot be found", quoted(loc))
	}
	m.files.mu.Lock()
	defer m.files.mu.Unlock()
	if mp := m.files.open[loc]; mp != nil {
		return mp, nil
	}
	f, _, err := m.openExternal(loc)
	if err != nil {
		return nil, err
	}
	mp, err := mapFile(f)
	f.Close()
	if err != nil {
		return nil, fmt.Errorf("external data %s: %w", quoted(loc), err)
	}
	if want := m.files.sums[loc]; len(want) > 0 {
		got := fmt.Sprintf("%x", sha1.Sum(mp.data))
		for _, w := range want {
			if got != w {
				return nil, fmt.Errorf("external data %s: its SHA-1 is %s, and the model wants %s: the file was changed or "+
					"is another model's; copy both again", quoted(loc), got, w)
			}
		}
	}
	m.files.open[loc] = mp
	return mp, nil
}

// checksums are those that the model gives of external files, by location.
func (m *Model) checksums() map[string][]string {
	sums := map[string][]string{}
	for _, t := range m.external() {
		if e := t.External; e.Checksum != "" && !slices.Contains(sums[e.Location], e.Checksum) {
			sums[e.Location] = append(sums[e.Location], e.Checksum)
		}
	}
	return sums
}

// verifyExternal holds the external files that the model still refers to against their
// checksums, for readers that open them by themselves. One that is not there has nothing
// that could be wrong.
func (m *Model) verifyExternal() error {
	if m.files == nil || len(m.files.sums) == 0 {
		return nil
	}
	var errs faults
	for _, loc := range m.ExternalFiles() {
		if len(m.files.sums[loc]) == 0 {
			continue
		}
		if _, err := m.mapped(loc); !errors.Is(err, fs.ErrNotExist) {
			errs.add(err)
		}
	}
	return errs.join()
}

// externalData is the bytes of an external tensor, aliasing a mapping that lives
// as long as the model.
func (m *Model) externalData(t *Tensor) ([]byte, error) {
	mp, err := m.mapped(t.External.Location)
	if err != nil {
		return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
	}
	want, err := t.size()
	if err != nil {
		return nil, err
	}
	if want < 0 || t.External.Offset > int64(len(mp.data)) || want > int64(len(mp.data))-t.External.Offset {
		return nil, fmt.Errorf("tensor %q: its data is not inside %s", t.Name, quoted(t.External.Location))
	}
	return mp.data[t.External.Offset:][:want], nil
}

// Sum256 is the SHA-256 of the model file and of each external data file, in hex
// by file name: the identity of a model. Replacing the weights leaves the model
// file's own sum unchanged, hence all of them. What is summed is what was loaded,
// even when the files have been replaced since; a clone has its original's sums.
func (m *Model) Sum256() (map[string]string, error) {
	if m.files == nil {
		return nil, errors.New("hashing the model: it was not read from a file")
	}
	sums := map[string]string{}
	for _, loc := range m.ExternalFiles() {
		mp, err := m.mapped(loc)
		if err != nil {
			return nil, fmt.Errorf("hashing the model: %w", err)
		}
		sums[loc] = mp.sum()
	}
	sums[filepath.Base(m.Path)] = m.files.model.sum()
	return sums, nil
}

func (mp *mapping) sum() string {
	defer runtime.KeepAlive(mp)
	return fmt.Sprintf("%x", sha256.Sum256(mp.data))
}
