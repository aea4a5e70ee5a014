package dataset

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine/internal/safe"
)

// Local is the local disk as a file system: names are the machine's paths, relative
// to where the program runs or absolute.
var Local fs.FS = local{elsewhere{func(name string) string { return name }}}

type local struct{ elsewhere }

func (local) Glob(pattern string) ([]string, error) { return filepath.Glob(pattern) }

// file is a regular file that is read at any place, from many goroutines.
type file interface {
	fs.File
	io.ReaderAt
}

var errIrregular = errors.New("it is not a regular file")

// regular opens a file and gives its size. Pipes and devices, which may never open, are
// an error.
func regular(fsys fs.FS, name string) (fs.File, int64, error) {
	st, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, 0, safe.Reason(err)
	}
	if !st.Mode().IsRegular() {
		return nil, 0, errIrregular
	}
	f, err := fsys.Open(name)
	return f, st.Size(), safe.Reason(err)
}

// openRegular opens a file for reading in place.
func openRegular(fsys fs.FS, name string) (file, int64, error) {
	f, size, err := regular(fsys, name)
	if err == errIrregular {
		err = fmt.Errorf("%q is not a regular file", name)
	}
	if err != nil {
		return nil, 0, err
	}
	at, ok := f.(file)
	if !ok {
		f.Close()
		return nil, 0, fmt.Errorf("%q is in a file system whose files are no io.ReaderAt", name)
	}
	return at, size, nil
}

// readRegular reads a whole file of at most limit bytes.
func readRegular(fsys fs.FS, name string, limit int64) ([]byte, error) {
	f, size, err := regular(fsys, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	tooLarge := fmt.Errorf("it has more than %d bytes, the limit for one image", limit)
	if size > limit {
		return nil, tooLarge
	}
	b := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead))
	if _, err := b.ReadFrom(io.LimitReader(f, limit+1)); err != nil {
		return nil, safe.Reason(err)
	}
	if int64(b.Len()) > limit {
		return nil, tooLarge
	}
	return b.Bytes(), nil
}

// firstBytes is how a regular file begins; empty where it cannot be read.
func firstBytes(fsys fs.FS, name string) []byte {
	f, _, err := regular(fsys, name)
	if err != nil {
		return nil
	}
	defer f.Close()
	b := make([]byte, 16)
	n, _ := f.Read(b)
	return b[:n]
}

func isFile(fsys fs.FS, name string) bool {
	st, err := fs.Stat(fsys, name)
	return err == nil && !st.IsDir()
}

func isFolder(fsys fs.FS, name string) bool {
	st, err := fs.Stat(fsys, name)
	return err == nil && st.IsDir()
}

// exists says whether a name is that of a file or folder, or of a link that leads
// nowhere.
func exists(fsys fs.FS, name string) bool {
	_, err := fs.Lstat(fsys, name)
	return err == nil
}

// realPath is the path of a folder without links; by it circles are found.
func realPath(fsys fs.FS, name string) (string, error) {
	if l, ok := fsys.(interface{ Real(string) (string, error) }); ok {
		return l.Real(name)
	}
	return path.Clean(name), nil
}

// filesOf is name itself, or the files in the folder name that are of a kind.
func filesOf(fsys fs.FS, name string, is func(name string) bool) ([]string, error) {
	if isFile(fsys, name) {
		return []string{name}, nil
	}
	entries, err := fs.ReadDir(fsys, name)
	if err != nil {
		return nil, safe.Reason(err)
	}
	var out []string
	for _, e := range entries {
		if is(e.Name()) && !strings.HasPrefix(e.Name(), ".") && isFile(fsys, filepath.Join(name, e.Name())) {
			out = append(out, filepath.Join(name, e.Name()))
		}
	}
	if len(out) == 0 {
		return nil, errors.New("the folder holds no file of this format")
	}
	return out, nil
}

// Elsewhere is the local disk under other names: find gives the path of each.
func Elsewhere(find func(name string) string) fs.FS { return elsewhere{find} }

type elsewhere struct{ find func(string) string }

func (e elsewhere) Open(name string) (fs.File, error)          { return os.Open(e.find(name)) }
func (e elsewhere) Stat(name string) (fs.FileInfo, error)      { return os.Stat(e.find(name)) }
func (e elsewhere) Lstat(name string) (fs.FileInfo, error)     { return os.Lstat(e.find(name)) }
func (e elsewhere) ReadLink(name string) (string, error)       { return os.Readlink(e.find(name)) }
func (e elsewhere) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(e.find(name)) }
func (e elsewhere) Real(name string) (string, error)           { return filepath.EvalSymlinks(e.find(name)) }
