package dataset

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// Parquet files with image files in a column: struct{bytes, path}, as Hugging
// Face writes them, or plain binary. parquet-go reads the footer and the schema;
// pages are read here (pages.go), within limits and forward only.

func isParquetName(name string) bool { return strings.EqualFold(filepath.Ext(name), ".parquet") }

func looksParquet(fsys fs.FS, path string) bool {
	return isParquetName(path) || hasMagic(firstBytes(fsys, path), "PAR1")
}

func openParquets(path string, o Options) ([]source, error) {
	return eachFile(o, path, isParquetName, func(file string) (source, error) {
		s, err := openParquet(file, o)
		if err != nil {
			return nil, err
		}
		if o.Input == nil {
			o.Input = s.Shape()
		}
		return s, nil
	})
}

// pictureColumns and numberColumns are the usual names of columns.
var (
	pictureColumns = []string{"image", "img", "picture", "photo", "images", "image_bytes", "jpg", "jpeg", "png", "webp"}
	numberColumns  = []string{"label", "labels", "cls", "class", "class_id", "fine_label", "target", "y", "class_name"}
)

// rows is the samples of a Parquet file.
type rows struct {
	file         *sharedFile
	name, before string
	groups       []format.RowGroup
	starts       []int // the first row of each group, and the number of all
	image        leaf
	labels       []int32
	class        []string
	unlabelled   map[int]error // of groups whose labels cannot be read
	paths        []byte
	pathEnds     []uint32 // nil where no row has a path
	limit        int64
	encoded
}

// leaf is a column of values.
type leaf struct {
	index    int
	name     string
	defined  int // the definition level of a value that is not null
	physical format.Type
}

const (
	maxFooter = 256 << 20
	// Rows without a picture take no room in a file; a file claims at most this many
	// for each of its bytes.
	rowsPerByte = 8
	maxPath     = 4096
	maxPaths    = 1 << 30
)

func openParquet(file string, o Options) (source, error) {
	f, err := o.shared.file(file)
	if err != nil {
		return nil, err
	}
	s := &rows{file: f, name: filepath.Base(file), limit: o.MaxUnpacked}
	if err := s.open(o); err != nil {
		f.forget()
		return nil, err
	}
	return s, nil
}

func (s *rows) open(o Options) (err error) {
	defer rescue(&err)
	f, err := openFooter(s.file)
	if err != nil {
		return err
	}
	s.groups, s.starts = f.Metadata().RowGroups, []int{0}
	most := s.file.is.size * rowsPerByte
	n := int64(0)
	for i, g := range s.groups {
		if n += g.NumRows; g.NumRows < 0 || n > most || n > 1<<31 {
			return fmt.Errorf("row group %d claims %d rows, which a file of %d bytes does not have", i, g.NumRows, s.file.is.size)
		}
		s.starts = append(s.starts, int(n))
	}
	picture, err := pictureColumn(f.Root(), o.Column)
	if err != nil {
		return err
	}
	if s.image, err = leafOf(picture); err != nil {
		return err
	}
	for i, g := range s.groups {
		if s.image.index >= len(g.Columns) {
			return fmt.Errorf("row group %d has no column %q", i, s.image.name)
		}
		if c := g.Columns[s.image.index].MetaData.Codec; !slices.Contains(codecs, c) {
			return fmt.Errorf("column %q is compressed with %s, which is not read; want one of %v", s.image.name, c, codecs)
		}
	}
	s.limits = o.limits()
	s.where = func(i int) string { return fmt.Sprintf("%s[%d]", s.file.path, i) }
	w := &window{all: o.shared, start: func() (cursor, error) { return &rowCursor{s: s, group: -1}, nil }}
	s.load = func(i int) ([]byte, error) {
		if err := s.unlabelled[s.group(i)]; err != nil {
			return nil, err
		}
		return w.get(i)
	}
	if picture.Name() == "bytes" && picture != f.Root().Column("bytes") {
		s.readPaths(f.Root())
	}
	s.readLabels(f)
	return s.settle(o, int(n))
}

// openFooter checks a Parquet file's footer, which parquet-go trusts, and lets
// parquet-go read it.
func openFooter(f *sharedFile) (*parquet.File, error) {
	const ends = 12
	if f.is.size < ends {
		return nil, fmt.Errorf("it has %d bytes, too few for a Parquet file", f.is.size)
	}
	var end [8]byte
	if err := readAt(f, end[:], f.is.size-8); err != nil {
		return nil, err
	}
	if string(end[4:]) != "PAR1" {
		return nil, fmt.Errorf("it ends with %q, want PAR1: it is encrypted, cut off or no Parquet file", end[4:])
	}
	n := int64(binary.LittleEndian.Uint32(end[:]))
	if n > f.is.size-ends || n > maxFooter {
		return nil, fmt.Errorf("its footer claims %d bytes of %d; at most %d are read", n, f.is.size, int64(maxFooter))
	}
	b := make([]byte, n)
	if err := readAt(f, b, f.is.size-8-n); err != nil {
		return nil, err
	}
	if _, err := thriftSize(b); err != nil {
		return nil, fmt.Errorf("its footer: %w", err)
	}
	return parquet.OpenFile(f, f.is.size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
}

// pictureColumn is the column of image files: the one asked for, one of a usual
// name, or the only one that can be it.
func pictureColumn(root *parquet.Column, asked string) (*parquet.Column, error) {
	var names, all []string
	found := map[string]*parquet.Column{}
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
	return nil, fmt.Errorf("several columns can hold the pictures, say which with --column: %s", strings.Join(names, ", "))
}

// binaryOf is the leaf with the bytes of a column of image files; nil when it is
// none.
func binaryOf(c *parquet.Column) *parquet.Column {
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
	if t.Kind() != parquet.ByteArray || t.LogicalType() != nil || t.ConvertedType() != nil {
		return nil
	}
	return c
}

func leafOf(c *parquet.Column) (leaf, error) {
	if c.MaxRepetitionLevel() > 0 {
		return leaf{}, fmt.Errorf("column %q is a list, which is not read", strings.Join(c.Path(), "."))
	}
	l := leaf{index: c.Index(), name: strings.Join(c.Path(), "."), defined: c.MaxDefinitionLevel()}
	switch c.Type().Kind() {
	case parquet.ByteArray:
		l.physical = format.ByteArray
	case parquet.Int32:
		l.physical = format.Int32
	case parquet.Int64:
		l.physical = format.Int64
	default:
		return leaf{}, fmt.Errorf("column %q holds %s, which is not read", l.name, c.Type())
	}
	return l, nil
}

// each gives the values of a column in a row group; ok is false for a null.
func (s *rows) each(l leaf, group int, do func(v value, ok bool)) (err error) {
	defer rescue(&err)
	c, err := s.column(l, group)
	if err != nil {
		return err
	}
	for range s.groups[group].NumRows {
		v, ok, err := c.next()
		if err != nil {
			return err
		}
		do(v, ok)
	}
	return nil
}

// readPaths keeps the pictures' paths, where the file has them; what cannot be
// read is not missed.
func (s *rows) readPaths(root *parquet.Column) {
	c := root.Column(strings.TrimSuffix(s.image.name, ".bytes")).Column("path")
	if c == nil || !c.Leaf() {
		return
	}
	l, err := leafOf(c)
	if err != nil || l.physical != format.ByteArray {
		return
	}
	for g := range s.groups {
		err := s.each(l, g, func(v value, ok bool) {
			if ok && len(v.b) <= maxPath && len(s.paths)+len(v.b) <= maxPaths {
				s.paths = append(s.paths, v.b...)
			}
			s.pathEnds = append(s.pathEnds, uint32(len(s.paths)))
		})
		for err != nil && len(s.pathEnds) < s.starts[g+1] {
			s.pathEnds = append(s.pathEnds, uint32(len(s.paths)))
		}
	}
	if len(s.paths) == 0 {
		s.pathEnds = nil
	}
}

// readLabels reads the column of labels, which are numbers with names in Hugging
// Face's metadata, or names.
func (s *rows) readLabels(f *parquet.File) {
	for _, name := range numberColumns {
		c := f.Root().Column(name)
		if c == nil || !c.Leaf() {
			continue
		}
		l, err := leafOf(c)
		if err != nil || l.index == s.image.index {
			continue
		}
		var words labelling
		for g := range s.groups {
			err := s.each(l, g, func(v value, ok bool) {
				switch {
				case !ok:
					words.add("")
				case l.physical == format.ByteArray:
					words.add(string(v.b[:min(len(v.b), maxClassName+1)]))
				default:
					words.number(v.n)
				}
			})
			if err != nil {
				if s.unlabelled == nil {
					s.unlabelled = map[int]error{}
				}
				s.unlabelled[g] = fmt.Errorf("its label, column %q: %w", l.name, err)
				for words.len() < s.starts[g+1] {
					words.add("")
				}
			}
		}
		s.labels, s.class = words.settle()
		if s.class == nil {
			s.class = classNames(f, name)
		}
		return
	}
}

// classNames is the names of a ClassLabel feature in the file's metadata.
func classNames(f *parquet.File, column string) []string {
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
	col   *columnReader
	err   error // of all that is left in this group
}

func (c *rowCursor) read(i int) ([]byte, error) {
	g := c.s.group(i)
	if g != c.group {
		c.group = g
		c.col, c.err = c.s.column(c.s.image, g)
	}
	if c.err != nil {
		return nil, c.err
	}
	var v value
	var ok bool
	if c.err = c.col.skipTo(i - c.s.starts[g]); c.err == nil {
		v, ok, c.err = c.col.next()
	}
	switch {
	case c.err != nil:
		return nil, c.err
	case !ok && c.s.path(i) != "":
		return nil, fmt.Errorf("the file holds no bytes for it, only the path %q", c.s.path(i))
	case !ok:
		return nil, errors.New("the picture is null")
	case int64(len(v.b)) > c.s.limits.bytes:
		return nil, fmt.Errorf("it has more than %d bytes, the limit for one image", c.s.limits.bytes)
	}
	return slices.Clone(v.b), nil
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

func (s *rows) path(i int) string {
	if s.pathEnds == nil {
		return ""
	}
	from := uint32(0)
	if i > 0 {
		from = s.pathEnds[i-1]
	}
	return string(s.paths[from:s.pathEnds[i]])
}

func (s *rows) prefix(p string)          { s.before = p }
func (s *rows) classes() []string        { return s.class }
func (s *rows) distinct() (string, bool) { return plain(s.before+s.name) + "[", true }

func (s *rows) Item(i int) Item {
	it := Item{ID: fmt.Sprintf("%s[%d]", plain(s.before+s.name), i), Path: s.file.path, Label: -1}
	if p := s.path(i); p != "" {
		it.Path = plain(p)
	}
	if s.labels != nil && s.labels[i] >= 0 {
		it.Label = int(s.labels[i])
		if it.Label < len(s.class) {
			it.Class = s.class[it.Label]
		}
	}
	return it
}

func (s *rows) describe() Description {
	return Description{Sources: []Source{{Path: s.file.path, Format: "parquet", Items: s.n, Preprocess: &s.pre}}}
}
