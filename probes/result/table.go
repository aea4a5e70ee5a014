package result

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/onnx/filetype"
)

// Table is a result to be read: a file that Open opened, or what Memory keeps. It serves
// one goroutine.
type Table struct {
	path     string
	layout   []Column
	rows     int
	manifest func() (*Manifest, error)
	source   source
}

// source is where a table's rows come from.
type source interface {
	// read gives the rows of the columns whose places are given, in their order, until use
	// fails. Batches hold batchRows rows at the most and about batchBytes.
	read(places []int, use func([]Column) error) error
	close() error
}

const (
	batchRows  = 1024
	batchBytes = 1 << 20
	// maxRows is the most rows of a file: whoever reads counts them in 32 bits.
	maxRows = 1<<31 - 1
)

// ArrayColumn is what the array of a .npy file and the codes of a FAISS index are called as
// a column: these files do not say which column of the result it was.
const ArrayColumn = "array"

// readable are the formats that Open reads, by extension.
var readable = map[string]func(t *Table) error{
	".parquet": openParquetTable, ".npy": openArray, ".faiss": openIndex, ".index": openIndex,
	".jsonl": openText, ".ndjson": openText, ".csv": openText, ".tsv": openText,
}

// kinds are what files of an extension are, by filetype.
var kinds = map[string][]string{
	".parquet": {"a Parquet file"}, ".npy": {"a .npy array"}, ".faiss": {"a FAISS index"}, ".index": {"a FAISS index"},
	".jsonl": {"a JSON file", "a text file"}, ".ndjson": {"a JSON file", "a text file"}, ".csv": {"a text file"}, ".tsv": {"a text file"},
}

// Open opens a result by its extension: .parquet, .npy with the items beside it, .jsonl or
// .ndjson, .csv or .tsv, and a FAISS IndexBinaryFlat, which is known by its first bytes too.
// Every file is taken for hostile: one that is damaged is an error, here or in Read, and no
// row costs more memory than it has bytes. The caller closes the table.
func Open(path string) (*Table, error) {
	if err := regular(path); err != nil {
		return nil, err
	}
	ext := strings.ToLower(filepath.Ext(path))
	open := readable[ext]
	if open == nil && isFaiss(path) {
		open = openIndex
	}
	is := filetype.OfFile(path)
	if open == nil && is.Name != "" && is.Name != "a text file" {
		return nil, fmt.Errorf("this is %s, not a result; results are read from .parquet, .npy, .jsonl, .csv, .tsv, "+
			"FAISS IndexBinaryFlat, and codes from folders of those too", is.Name)
	}
	if open == nil {
		return nil, fmt.Errorf("extension %q names no format; results are read from .parquet, .npy, .jsonl, .csv, "+
			".tsv, FAISS IndexBinaryFlat, and codes from folders of those too", ext)
	}
	t := &Table{path: path, rows: -1, manifest: func() (*Manifest, error) { return manifestBeside(path) }}
	if err := open(t); err != nil {
		if want := kinds[ext]; want != nil && is.Name != "" && !slices.Contains(want, is.Name) {
			err = fmt.Errorf("this is %s, whatever its name says: %w", is.Name, err)
		}
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// regular is an error for what is no file: a pipe may never open, a device never end.
func regular(path string) error {
	st, err := os.Stat(path)
	if err == nil && !st.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	return err
}

// openRegular opens what is a file.
func openRegular(path string) (*os.File, error) {
	if err := regular(path); err != nil {
		return nil, err
	}
	return os.Open(path)
}

// manifestBeside is the manifest of a result file; nil where there is none.
func manifestBeside(path string) (*Manifest, error) {
	m, err := ReadManifest(ManifestPath(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return m, err
}

// Path is the file's, "" of one in memory.
func (t *Table) Path() string { return t.path }

// Columns are the table's, in their order, with an empty slice of their type for Values.
// The width of a list, and of bytes without a fixed length, is -1 where only the rows of a
// file say it; Read's batches have it. The slice is the table's.
func (t *Table) Columns() []Column { return t.layout }

// Rows is the number of rows, -1 where it is not known before they are read. It is what the
// file says, within what its size allows.
func (t *Table) Rows() int { return t.rows }

// Manifest is the result's, from the file itself or beside it; nil where there is none.
func (t *Table) Manifest() (*Manifest, error) { return t.manifest() }

// Close ends the reading of the file.
func (t *Table) Close() error {
	if t.source == nil {
		return nil
	}
	return t.source.close()
}

// Read gives all rows to use, batch by batch, of the columns whose names are wanted, nil for
// all of them: as a Sink takes them, so that t.Read(nil, sink.Write) copies a result. Of a
// Parquet file and of an array nothing else is read. The slices of a batch are good until
// use returns; strings may be kept. An error of use ends the reading and is returned as it
// is. Without a wanted column there is no batch.
func (t *Table) Read(want func(name string) bool, use func([]Column) error) error {
	var places []int
	for i, c := range t.layout {
		if want == nil || want(c.Name) {
			places = append(places, i)
		}
	}
	if places == nil {
		return nil
	}
	return t.source.read(places, use)
}

// rescue turns a panic in a decoder of hostile bytes into an error.
func rescue(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("the file is damaged: %v", p)
	}
}

// usesError is one of whoever uses the rows.
type usesError struct{ error }

// usersOwn is the error of whoever uses the rows where err comes of one.
func usersOwn(err error) error {
	if own := (usesError{}); errors.As(err, &own) {
		return own.error
	}
	return err
}

// rowsOf is how many rows of columns a batch holds, by about what they take in memory.
func rowsOf(cols ...Column) int {
	bytes := 1
	for _, c := range cols {
		size := 8
		switch c.Values.(type) {
		case []uint8, []bool:
			size = 1
		case []string:
			size = 64
		}
		bytes += max(c.Width, 1)*size + 1
	}
	return min(max(batchBytes/bytes, 1), batchRows)
}

// resized gives a column room for rows, all of them zero and none null.
func resized(c *Column, rows int) {
	n, v := rows*max(c.Width, 1), reflect.ValueOf(c.Values)
	if c.Null = nil; v.Cap() >= n {
		v = v.Slice(0, n)
		v.Clear()
	} else {
		v = reflect.MakeSlice(v.Type(), n, n)
	}
	c.Values = v.Interface()
}

// setNull marks a row of a column with rows of them.
func setNull(c *Column, row, rows int) {
	if c.Null == nil {
		c.Null = make([]bool, rows)
	}
	c.Null[row] = true
}

// rowsIn is a column's rows lo to hi.
func rowsIn(c Column, lo, hi int) Column {
	width := max(c.Width, 1)
	c.Values = slice(c.Values, lo*width, hi*width)
	if c.Null != nil {
		c.Null = c.Null[lo:hi]
	}
	return c
}

// holdsBytes names the columns of bytes, whose kind text and some programs' Parquet do not
// tell from that of texts.
func holdsBytes(name string) bool {
	return slices.Contains([]string{"code", "sketch", "channels", "changed"}, name)
}
