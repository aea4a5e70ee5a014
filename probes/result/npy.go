package result

import (
	"encoding/binary"
	"fmt"
	"io"
	"reflect"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/internal/store"
)

// array writes one column as a .npy file, of shape (rows, width), or (rows,)
// for a column of scalars, and the others as JSON Lines in the same row order.
// Null rows of the array are zeros: the other columns say which they are.
type array struct {
	out    store.Draft
	items  *jsonl
	name   string // the column that becomes the array
	col    int
	dtype  tensor.DType
	width  int
	scalar bool
	rows   int
	buf    []byte
}

func openNpy(path string, o Options, add func(string) (store.Draft, error)) (encoder, error) {
	if o.Array == "" {
		return nil, fmt.Errorf("writing %s: a .npy file holds one column, and none was named", path)
	}
	out, err := add(path)
	if err != nil {
		return nil, err
	}
	items, err := add(ItemsPath(path))
	if err != nil {
		return nil, err
	}
	return &array{out: out, items: newJSONL(items), name: o.Array}, nil
}

func (a *array) begin(cols []Column) error {
	var names []string
	for _, c := range cols {
		names = append(names, c.Name)
	}
	if a.col = slices.Index(names, a.name); a.col < 0 {
		return fmt.Errorf("no column is named %q; there are %q", a.name, names)
	}
	c := cols[a.col]
	a.width, a.scalar = c.Width, c.Width == 0
	for dtype, values := range arrayTypes {
		if reflect.TypeOf(values) == reflect.TypeOf(c.Values) {
			a.dtype = dtype
		}
	}
	if a.dtype == tensor.Undefined {
		return fmt.Errorf("column %q holds %T; a .npy array holds numbers or booleans", c.Name, c.Values)
	}
	if err := a.header(); err != nil {
		return err
	}
	_, err := a.out.Seek(0, io.SeekEnd)
	return err
}

func (a *array) write(cols []Column, rows int) error {
	const step = 1 << 17 // values converted at a time
	values := cols[a.col].Values
	for lo, n := 0, rows*max(a.width, 1); lo < n; lo += step {
		var err error
		if a.buf, err = binary.Append(a.buf[:0], binary.LittleEndian, slice(values, lo, min(lo+step, n))); err != nil {
			return err
		}
		if _, err := a.out.Write(a.buf); err != nil {
			return err
		}
	}
	a.rows += rows
	return a.items.write(slices.Delete(slices.Clone(cols), a.col, a.col+1), rows)
}

// end writes the header with the number of rows. When nothing was ever written
// the array is uint8 of shape (0, 0).
func (a *array) end([]byte) error {
	if a.dtype == tensor.Undefined {
		a.dtype = tensor.Uint8
	}
	return a.header()
}

// header writes the header at the start of the file. Its length does not depend
// on the number of rows, so that end can write it again.
func (a *array) header() error {
	shape := []int{a.rows, a.width}
	if a.scalar {
		shape = shape[:1]
	}
	h, err := tensor.AppendNpyHeader(nil, a.dtype, shape...)
	if err != nil {
		return err
	}
	_, err = a.out.WriteAt(h, 0)
	return err
}
