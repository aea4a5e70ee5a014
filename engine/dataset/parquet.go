package dataset

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	parquetgo "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/onnxprobe/onnxprobe/engine/dataset/parquet"
	"github.com/onnxprobe/onnxprobe/engine/internal/safe"
	"github.com/onnxprobe/onnxprobe/onnx"
)

// Parquet files with image files in a column: struct{bytes, path}, as Hugging
// Face writes them, or plain binary. parquet-go reads the footer and the schema;
// package parquet the pages, within limits and forward only.

func isParquetName(name string) bool { return strings.EqualFold(filepath.Ext(name), ".parquet") }

func looksParquet(fsys fs.FS, path string) bool {
	return isParquetName(path) || bytes.HasPrefix(firstBytes(fsys, path), []byte("PAR1"))
}

// pictureColumns and numberColumns are the usual names of columns.
var (
	pictureColumns = []string{"image", "img", "picture", "photo", "images", "image_bytes", "jpg", "jpeg", "png", "webp"}
	numberColumns  = []string{"label", "labels", "cls", "class", "class_id", "fine_label", "target", "y", "class_name"}
)

// rows is the samples of a Parquet file.
type rows struct {
	encoded
	file    *sharedFile
	groups  []format.RowGroup
	columns *parquet.Reader
	starts  []int // the first row of each group, and the number of all
	image   parquet.Leaf
	labels  labels
	misread map[int]error // of groups whose labels cannot be
	without []string      // why columns of labels were not taken
	paths   texts         // empty where no row has a path
}

const (
	// Rows without a picture take no room in a file; a file claims at most this many
	// for each of its bytes.
	rowsPerByte = 8
	maxPath     = 4096
	maxPaths    = 1 << 30
)

func openParquet(path string, o Options) ([]source, error) {
	return eachShared(o, path, isParquetName, newRows)
}

func newRows(file *sharedFile, o Options) (_ source, err error) {
	defer safe.Rescue(&err)
	s := &rows{file: file}
	s.part = part{path: file.path, format: "parquet", name: filepath.Base(file.path)}
	size := file.is.Size()
	f, err := parquet.Open(file, size)
	if err != nil {
		return nil, err
	}
	s.groups, s.starts = f.Metadata().RowGroups, []int{0}
	s.columns = parquet.NewReader(file, size, o.MaxUnpacked, s.groups)
	most := size * rowsPerByte
	n := int64(0)
	for i, g := range s.groups {
		if n += g.NumRows; g.NumRows < 0 || n > most || n > 1<<31 {
			return nil, fmt.Errorf("row group %d claims %d rows, which a file of %d bytes does not have", i, g.NumRows, size)
		}
		s.starts = append(s.starts, int(n))
	}
	picture, err := pictureColumn(f.Root(), o.Column)
	if err != nil {
		return nil, err
	}
	if s.image, err = parquet.LeafOf(picture); err != nil {
		return nil, err
	}
	for i, g := range s.groups {
		if s.image.Index >= len(g.Columns) {
			return nil, fmt.Errorf("row group %d has no column %q", i, s.image.Name)
		}
		if c := g.Columns[s.image.Index].MetaData.Codec; !slices.Contains(parquet.Codecs, c) {
			return nil, fmt.Errorf("column %q is compressed with %s, which is not read; want one of %v",
				s.image.Name, c, parquet.Codecs)
		}
	}
	s.where = func(i int) string { return fmt.Sprintf("%s[%d]", s.path, i) }
	s.root = func() string { return s.path }
	w := &window{all: o.shared, start: func() (cursor, error) { return &rowCursor{s: s, group: -1}, nil }}
	s.load = func(i int) ([]byte, error) {
		if err := s.misread[s.group(i)]; err != nil {
			return nil, err
		}
		return w.get(i)
	}
	if picture.Name() == "bytes" && picture != f.Root().Column("bytes") {
		s.readPaths(f.Root())
	}
	s.readLabels(f)
	if s.label = s.labels.at; s.labels.n == 0 {
		s.unlabelled = strings.Join(s.without, "; ")
	}
	return s, s.settle(o, int(n))
}

// pictureColumn is the column of image files: the one asked for, one of a usual
// name, or the only one that can be it.
func pictureColumn(root *parquetgo.Column, asked string) (*parquetgo.Column, error) {
	var names, all []string
	found := map[string]*parquetgo.Column{}
	for _, c := range root.Columns() {
		what := "group"
		if c.Leaf() {
			what = c.Type().String()
		}
		all = append(all, fmt.Sprintf("%s (%s)", c.Name(), what))
		if p := binaryOf(c); p != nil {
			names, found[c.Name()] = append(names, c.Name()), p
		}
	}
	if asked != "" {
		if found[asked] == nil {
			return nil, fmt.Errorf("column %q does not hold image files (binary, or struct of bytes and path); the columns are %s", asked, strings.Join(all, ", "))
		}
		return found[asked], nil
	}
	for _, name := range pictureColumns {
		if found[name] != nil {
			return found[name], nil
		}
	}
	if len(names) == 1 {
		return found[names[0]], nil
	}
	structs := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return found[n].Name() != "bytes" || found[n] == root.Column(n) })
	if len(structs) == 1 {
		return found[structs[0]], nil
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no column holds image files (binary, or struct of bytes and path); the columns are %s", strings.Join(all, ", "))
	}
	err := fmt.Errorf("several columns can hold the pictures, say which: %s", strings.Join(names, ", "))
	return nil, onnx.Remedy(err, "dataset.Options.Column")
}

// binaryOf is the leaf with the bytes of a column of image files; nil when it is
// none.
func binaryOf(c *parquetgo.Column) *parquetgo.Column {
	if c.Repeated() {
		return nil
	}
	if !c.Leaf() {
		if b := c.Column("bytes"); b != nil && b.Leaf() {
			return binaryOf(b)
		}
		return nil
	}
	t := c.Type()
	if t.Kind() != parquetgo.ByteArray || t.LogicalType() != nil || t.ConvertedType() != nil {
		return nil
	}
	return c
}

// each gives the values of a column in a row group; ok is false for a null.
func (s *rows) each(l parquet.Leaf, group int, do func(v parquet.Value, ok bool)) (err error) {
	defer safe.Rescue(&err)
	c, err := s.columns.Column(l, group)
	if err != nil {
		return err
	}
	for range s.groups[group].NumRows {
		v, ok, err := c.Next()
		if err != nil {
			return err
		}
		do(v, ok)
	}
	return nil
}

// readPaths keeps the pictures' paths, where the file has them; what cannot be
// read is not missed.
func (s *rows) readPaths(root *parquetgo.Column) {
	c := root.Column(strings.TrimSuffix(s.image.Name, ".bytes")).Column("path")
	if c == nil || !c.Leaf() {
		return
	}
	l, err := parquet.LeafOf(c)
	if err != nil || l.Physical != format.ByteArray {
		return
	}
	some := false
	for g := range s.groups {
		err := s.each(l, g, func(v parquet.Value, ok bool) {
			text := ""
			if ok && len(v.Bytes) <= maxPath && len(s.paths.b)+len(v.Bytes) <= maxPaths {
				text = string(v.Bytes)
			}
			some = some || text != ""
			_ = s.paths.add(text) // which are at most maxPaths bytes
		})
		for err != nil && s.paths.len() < s.starts[g+1] {
			_ = s.paths.add("")
		}
	}
	if !some {
		s.paths = texts{}
	}
}

// readLabels reads the column of labels, which are numbers with names in Hugging
// Face's metadata, or names.
func (s *rows) readLabels(f *parquetgo.File) {
	for _, name := range numberColumns {
		c := f.Root().Column(name)
		if c == nil {
			continue
		}
		if !c.Leaf() {
			s.without = append(s.without, fmt.Sprintf("column %q is a group of columns", name))
			continue
		}
		l, err := parquet.LeafOf(c)
		if err != nil {
			s.without = append(s.without, err.Error())
			continue
		}
		if l.Index == s.image.Index {
			continue
		}
		var words labelling
		for g := range s.groups {
			err := s.each(l, g, func(v parquet.Value, ok bool) {
				switch {
				case !ok:
					words.add("")
				case l.Physical == format.ByteArray:
					words.add(string(v.Bytes[:min(len(v.Bytes), maxClassName+1)]))
				case l.Physical == format.Boolean:
					words.add(strconv.FormatBool(v.Int != 0))
				case l.IsFloat():
					words.add(floatLabel(v.Float))
				default:
					words.number(v.Int)
				}
			})
			if err != nil {
				if s.misread == nil {
					s.misread = map[int]error{}
				}
				s.misread[g] = fmt.Errorf("its label, column %q: %w", l.Name, err)
				for words.len() < s.starts[g+1] {
					words.add("")
				}
			}
		}
		if s.labels, s.class = words.settle(); words.lost {
			s.without = append(s.without, fmt.Sprintf("column %q: %s", l.Name, words.why()))
			continue
		}
		if s.class == nil {
			s.class = classNames(f, name)
		}
		return
	}
}

// floatLabel is a label that is stored as a float: 3 of 3.0, and nothing of a NaN.
func floatLabel(v float64) string {
	if v != v {
		return ""
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// classNames is the names of a ClassLabel feature in the file's metadata.
func classNames(f *parquetgo.File, column string) []string {
	text, ok := f.Lookup("huggingface")
	if !ok {
		return nil
	}
	var m struct {
		Info struct {
			Features map[string]json.RawMessage `json:"features"`
		} `json:"info"`
	}
	var feature struct {
		Names []string `json:"names"`
	}
	if json.Unmarshal([]byte(text), &m) != nil || json.Unmarshal(m.Info.Features[column], &feature) != nil {
		return nil
	}
	if len(feature.Names) > maxClasses {
		return nil
	}
	for i, name := range feature.Names {
		feature.Names[i] = plain(name)
	}
	return feature.Names
}

// rowCursor reads the pictures of one row group after the other.
type rowCursor struct {
	s     *rows
	group int
	col   *parquet.Column
	err   error // of all that is left in this group
}

func (c *rowCursor) read(i int) ([]byte, error) {
	g := c.s.group(i)
	if g != c.group {
		c.group = g
		c.col, c.err = c.s.columns.Column(c.s.image, g)
	}
	if c.err != nil {
		return nil, c.err
	}
	var v parquet.Value
	var ok bool
	if c.err = c.col.SkipTo(i - c.s.starts[g]); c.err == nil {
		v, ok, c.err = c.col.Next()
	}
	switch {
	case c.err != nil:
		return nil, c.err
	case !ok && c.s.rowPath(i) != "":
		return nil, fmt.Errorf("the file holds no bytes for it, only the path %q", c.s.rowPath(i))
	case !ok:
		return nil, errors.New("the picture is null")
	case int64(len(v.Bytes)) > c.s.o.MaxFileBytes:
		return nil, fmt.Errorf("it has more than %d bytes, the limit for one image", c.s.o.MaxFileBytes)
	}
	return slices.Clone(v.Bytes), nil
}

func (c *rowCursor) close() {}

// group is the row group of a row.
func (s *rows) group(i int) int {
	g, ok := slices.BinarySearch(s.starts, i)
	for ok && g+1 < len(s.starts) && s.starts[g+1] == i { // groups without rows
		g++
	}
	if !ok {
		g--
	}
	return g
}

func (s *rows) rowPath(i int) string {
	if s.paths.len() == 0 {
		return ""
	}
	return s.paths.at(i)
}

func (s *rows) Item(i int) Item {
	it := s.part.Item(i)
	if p := s.rowPath(i); p != "" {
		it.Path = plain(p)
	}
	return it
}
