package encoding

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// record is one row of a result file. Its contents are valid until the next row.
type record struct {
	id, path, status, message []byte
	label                     int64
	predicted                 int64  // by the network; noLabel where that is not known
	code                      []byte // nil when the item has none
	image, class              []byte // of a region: its picture's ID, and its label
	box                       [4]float64
}

// file is an open result file.
type file interface {
	// has says whether the file's items have codes of a kind, or another column.
	has(on string) bool
	// origin is what its manifest says, nil when there is none.
	origin() *Origin
	// rows is their number when it is known, else 0; width that of a code.
	rows(on string) (n, width int)
	// read gives every row to use; o.On says which of the codes, "" none.
	read(o OpenOptions, use func(*record) error) error
	close() error
}

// openFile opens a result file by its extension, or for what its first bytes say.
func openFile(path string) (file, error) {
	if err := regular(path); err != nil {
		return nil, err
	}
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".parquet":
		return openParquet(path)
	case ".npy":
		return openNpy(path)
	case ".jsonl", ".ndjson":
		return openJSONL(path)
	default:
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		magic := make([]byte, len(faissMagic))
		if n, _ := f.Read(magic); string(magic[:n]) == faissMagic || ext == ".faiss" || ext == ".index" {
			return openFaiss(path)
		}
		return nil, fmt.Errorf("extension %q names no format; codes are read from .parquet, .npy, .jsonl, FAISS IndexBinaryFlat, and folders of those", ext)
	}
}

// regular is an error for what is no file: a pipe may never open, a device never end.
func regular(path string) error {
	st, err := os.Stat(path)
	if err == nil && !st.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	return err
}

// readWhole reads a regular file.
func readWhole(path string) ([]byte, error) {
	if err := regular(path); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// opened opens the file at path and hands it with its size to begin, whose file is to
// close it. Where begin fails it is closed here.
func opened(path string, begin func(f *os.File, size int64) (file, error)) (file, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil {
		var made file
		if made, err = begin(f, st.Size()); err == nil {
			return made, nil
		}
	}
	f.Close()
	return nil, err
}

// rescue turns a panic in a decoder of hostile bytes into an error.
func rescue(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("the file is damaged: %v", p)
	}
}
