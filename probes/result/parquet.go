package result

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/snappy"
	"github.com/parquet-go/parquet-go/encoding"
	"github.com/parquet-go/parquet-go/encoding/thrift"

	"github.com/onnxprobe/onnxprobe/probes/internal/store"
)

const (
	// rowGroupBytes of values are held, compressed, before they go to the file. A
	// file has at most 32767 groups, so groups grow when there are many.
	rowGroupBytes, rowGroupBytesLate, lateGroup = 2 << 20, 64 << 20, 8192
	// pageBytes of a column's values are held until they are compressed, and so many
	// of all go there at a time: there are several columns, and what compresses takes
	// as much again.
	pageBytes = 128 << 10
	// manifestKey is where the manifest is in the file's own metadata.
	manifestKey = "onnxprobe.manifest"
	// schemaName is the name of the file's schema: its bytes are no texts.
	schemaName = "onnxprobe"
)

// maxFixed is the widest FIXED_LEN_BYTE_ARRAY that parquet-go writes and reads.
const maxFixed = encoding.MaxFixedLenByteArraySize

// table writes Parquet: every column optional, strings as UTF8, vectors as LIST,
// columns with parts as one column NAME.PART for each, and binary columns as
// FIXED_LEN_BYTE_ARRAY, or as BYTE_ARRAY when wider than maxFixed.
type table struct {
	out    store.Draft
	w      *parquet.GenericWriter[any]
	fields []field
	values []parquet.Value // reused
	row    int             // bytes of one row, about
	held   int             // bytes in the open row group
	groups int             // row groups written
}

// field is one column of the file: values [offset, offset+width) of each row of
// a Column.
type field struct {
	name          string
	col           int
	offset, width int
	kind          kind
	node          parquet.Node // of one value
	value         func(values any, i int) parquet.Value
}

type kind int

const (
	scalar kind = iota
	list
	bytesKind
)

func openParquet(path string, _ Options, add func(string) (store.Draft, error)) (encoder, error) {
	f, err := add(path)
	if err != nil {
		return nil, err
	}
	return &table{out: f}, nil
}

func (t *table) begin(cols []Column) error {
	t.fields = fieldsOf(cols)
	if len(t.fields) > parquet.MaxColumnIndex {
		return fmt.Errorf("%d columns, counting parts; a Parquet file here holds %d", len(t.fields), parquet.MaxColumnIndex)
	}
	root := ordered{Group: parquet.Group{}}
	options := []parquet.WriterOption{
		parquet.Compression(&snappy.Codec{}),
		parquet.PageBufferSize(pageBytes),
	}
	for _, f := range t.fields {
		if root.Group[f.name] != nil {
			return fmt.Errorf("two columns would be named %q: a part's column is NAME.PART", f.name)
		}
		node := f.node
		t.row += f.width * 8
		switch f.kind {
		case list:
			node = parquet.List(node)
		case bytesKind:
			if node = parquet.Leaf(parquet.FixedLenByteArrayType(min(f.width, maxFixed))); f.width > maxFixed {
				node = parquet.Encoded(parquet.Leaf(parquet.ByteArrayType), &parquet.Plain)
			}
			t.row += f.width - f.width*8
			// The bounds of a code are as long as the code, for every row group.
			options = append(options, parquet.SkipPageBounds(f.name), parquet.SkipPageStatistics(f.name))
		}
		node = parquet.Optional(node)
		root.Group[f.name] = node
		root.fields = append(root.fields, namedNode{node, f.name})
	}
	t.w = parquet.NewGenericWriter[any](t.out, append(options, parquet.NewSchema(schemaName, root))...)
	return nil
}

// fieldsOf spreads columns with parts.
func fieldsOf(cols []Column) (fields []field) {
	for i, c := range cols {
		name, parts := c.Name+".", c.Parts
		if parts == nil {
			name, parts = c.Name, []Part{{Width: max(c.Width, 1)}}
		}
		offset := 0
		for _, p := range parts {
			f := field{name: name + p.Name, col: i, offset: offset, width: p.Width, kind: list}
			switch {
			case isBinary(c):
				f.kind = bytesKind
			case c.Width == 0, c.Parts != nil && p.Width == 1:
				f.kind = scalar
			}
			f.node, f.value = typeOf(c.Values)
			fields, offset = append(fields, f), offset+p.Width
		}
	}
	return fields
}

// typeOf is how values of a slice's type are written.
func typeOf(values any) (parquet.Node, func(values any, i int) parquet.Value) {
	switch values.(type) {
	case []string:
		return parquet.Encoded(parquet.String(), &parquet.Plain), at(func(s string) parquet.Value {
			return parquet.ByteArrayValue([]byte(strings.ToValidUTF8(s, "\uFFFD")))
		})
	case []int64:
		return parquet.Int(64), at(parquet.Int64Value)
	case []int32:
		return parquet.Int(32), at(parquet.Int32Value)
	case []float64:
		return parquet.Leaf(parquet.DoubleType), at(parquet.DoubleValue)
	case []float32:
		return parquet.Leaf(parquet.FloatType), at(parquet.FloatValue)
	case []uint8:
		return parquet.Uint(8), at(func(v uint8) parquet.Value { return parquet.Int32Value(int32(v)) })
	default:
		return parquet.Leaf(parquet.BooleanType), at(parquet.BooleanValue)
	}
}

func at[T any](value func(T) parquet.Value) func(values any, i int) parquet.Value {
	return func(values any, i int) parquet.Value { return value(values.([]T)[i]) }
}

func (t *table) write(cols []Column, rows int) error {
	step := max(pageBytes/t.row, 1)
	for lo := 0; lo < rows; lo += step {
		hi := min(lo+step, rows)
		for leaf, f := range t.fields {
			t.values = t.values[:0]
			for row := lo; row < hi; row++ {
				t.appendRow(cols[f.col], f, leaf, row)
			}
			if _, err := t.w.ColumnWriters()[leaf].WriteRowValues(t.values); err != nil {
				return err
			}
			for _, v := range t.values {
				if t.held += 8; v.Kind() == parquet.ByteArray {
					t.held += len(v.ByteArray()) - 8
				}
			}
			clear(t.values) // they point into cols
		}
		limit := rowGroupBytes
		if t.groups > lateGroup {
			limit = rowGroupBytesLate
		}
		if t.held >= limit {
			t.groups++
			if err := t.w.Flush(); err != nil {
				return err
			}
			t.held = 0
		}
	}
	return nil
}

// appendRow appends one row's values with their repetition and definition
// levels: see "Nested Encoding" in the Parquet format's README.
func (t *table) appendRow(c Column, f field, leaf, row int) {
	lo := row*max(c.Width, 1) + f.offset
	switch {
	case c.Null != nil && c.Null[row]:
		t.values = append(t.values, parquet.NullValue().Level(0, 0, leaf))
	case f.kind == bytesKind:
		b := c.Values.([]uint8)[lo : lo+f.width]
		t.values = append(t.values, parquet.ByteArrayValue(b).Level(0, 1, leaf))
	case f.kind == scalar:
		t.values = append(t.values, f.value(c.Values, lo).Level(0, 1, leaf))
	default:
		for i := range f.width {
			t.values = append(t.values, f.value(c.Values, lo+i).Level(min(i, 1), 2, leaf))
		}
	}
}

func (t *table) end(manifest []byte) error {
	if t.w == nil { // nothing was written: a table without columns
		if err := t.begin(nil); err != nil {
			return err
		}
	}
	t.w.SetKeyValueMetadata(manifestKey, string(manifest))
	if err := t.w.Close(); err != nil {
		return err
	}
	return t.dropColumnIndexes()
}

// dropColumnIndexes writes the footer anew without references to the column
// indexes, which are optional. For binary pages without bounds parquet-go
// v0.32.0 leaves entries out or makes the bounds empty, and a reader that trusts
// them skips rows that match. Row groups keep their statistics.
func (t *table) dropColumnIndexes() error {
	meta := t.w.File().Metadata()
	for _, group := range meta.RowGroups {
		for i := range group.Columns {
			group.Columns[i].ColumnIndexOffset, group.Columns[i].ColumnIndexLength = 0, 0
		}
	}
	var footer bytes.Buffer
	if err := thrift.NewEncoder(new(thrift.CompactProtocol).NewWriter(&footer)).Encode(meta); err != nil {
		return err
	}
	var tail [8]byte // the old footer's length and the magic number
	at, err := t.out.Seek(-int64(len(tail)), io.SeekEnd)
	if err != nil {
		return err
	}
	if _, err := t.out.ReadAt(tail[:], at); err != nil {
		return err
	}
	at -= int64(binary.LittleEndian.Uint32(tail[:4]))
	binary.LittleEndian.PutUint32(tail[:4], uint32(footer.Len()))
	if err := t.out.Truncate(at); err != nil {
		return err
	}
	_, err = t.out.WriteAt(append(footer.Bytes(), tail[:]...), at)
	return err
}

// ordered is a group whose fields keep their order; parquet.Group sorts them.
type ordered struct {
	parquet.Group
	fields []parquet.Field
}

func (o ordered) Fields() []parquet.Field { return o.fields }

// namedNode is a field of ordered.
type namedNode struct {
	parquet.Node
	name string
}

func (n namedNode) Name() string { return n.name }

func (n namedNode) Value(row reflect.Value) reflect.Value {
	return row.MapIndex(reflect.ValueOf(n.name))
}
