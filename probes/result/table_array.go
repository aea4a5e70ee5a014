package result

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// arrayTable is a .npy file with the items beside it, or the codes of a FAISS index.
type arrayTable struct {
	f      *os.File
	column Column // of the array
	offset int64  // where its data begins
	rows   int
	order  binary.ByteOrder
	items  *textTable // nil where there are none
}

// arrayTypes are the types of arrays that Columns hold.
var arrayTypes = map[tensor.DType]any{
	tensor.Uint8: []uint8(nil), tensor.Int32: []int32(nil), tensor.Int64: []int64(nil),
	tensor.Float32: []float32(nil), tensor.Float64: []float64(nil), tensor.Bool: []bool(nil),
}

func openArray(t *Table) error {
	a, size, err := openData(t)
	if err != nil {
		return err
	}
	h, err := tensor.ReadNpyHeader(bufio.NewReader(a.f))
	if err != nil {
		return err
	}
	values := arrayTypes[h.DType]
	if values == nil || len(h.Shape) == 0 || len(h.Shape) > 1 && h.Fortran {
		return fmt.Errorf("it holds %v of shape %v; results are numbers or truth values of shape [items, ...] in row-major order", h.DType, h.Shape)
	}
	if want := h.Offset + h.DataBytes(); size != want {
		return fmt.Errorf("an array of shape %v makes a file of %d bytes, and it has %d", h.Shape, want, size)
	}
	a.rows, a.offset, a.order = h.Shape[0], h.Offset, h.Order()
	a.column = Column{Name: ArrayColumn, Values: values}
	if len(h.Shape) > 1 {
		a.column.Width = tensor.Count(h.Shape[1:])
	}
	empty := len(h.Shape) > 1 && a.column.Width == 0
	if a.rows > maxRows || a.column.Width > maxRow || empty && a.rows > 0 {
		return fmt.Errorf("an array of shape %v is no array of items", h.Shape)
	}
	items, err := scanText(ItemsPath(t.path))
	if err == nil && items.rows != a.rows {
		err = fmt.Errorf("the array has %d rows, and %s has %d", a.rows, items.path, items.rows)
	}
	switch {
	case err == nil:
		a.items = items
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: %w", items.path, err)
	}
	return a.settle(t)
}

func openIndex(t *Table) error {
	a, size, err := openData(t)
	if err != nil {
		return err
	}
	n, width, err := readFaissHeader(a.f, size)
	if err != nil {
		return err
	}
	a.rows, a.offset, a.column = n, faissHeader, Column{Name: ArrayColumn, Width: width, Values: []uint8(nil)}
	return a.settle(t)
}

func openData(t *Table) (*arrayTable, int64, error) {
	f, err := os.Open(t.path)
	if err != nil {
		return nil, 0, err
	}
	a := &arrayTable{f: f, order: binary.LittleEndian}
	t.source = a
	st, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	return a, st.Size(), nil
}

func (a *arrayTable) settle(t *Table) error {
	t.rows = a.rows
	if a.items != nil {
		t.layout = append(t.layout, a.items.layout...)
	}
	for _, c := range t.layout {
		if c.Name == ArrayColumn {
			return fmt.Errorf("the items beside the array have a column %q too", ArrayColumn)
		}
	}
	if a.column.Width > 0 || len(t.layout) == 0 || a.rows > 0 {
		t.layout = append(t.layout, a.column)
	}
	return nil
}

func (a *arrayTable) close() error { return a.f.Close() }

func (a *arrayTable) read(places []int, use func([]Column) error) error {
	last := len(places) - 1
	if a.items != nil && places[last] < len(a.items.layout) {
		return a.items.read(places, use)
	}
	column, step, at := a.column, rowsOf(a.column), 0
	row := max(column.Width, 1) * int(reflect.TypeOf(column.Values).Elem().Size())
	data := bufio.NewReaderSize(io.NewSectionReader(a.f, a.offset, int64(a.rows)*int64(row)), 1<<18)
	raw := make([]byte, min(step, a.rows)*row)
	next := func(cols []Column, rows int) error {
		if at+rows > a.rows {
			return fmt.Errorf("the array has %d rows, and %s more", a.rows, a.items.path)
		}
		resized(&column, rows)
		if _, err := io.ReadFull(data, raw[:rows*row]); err != nil {
			return fmt.Errorf("row %d: %w", at, err)
		}
		if _, err := binary.Decode(raw[:rows*row], a.order, column.Values); err != nil {
			return err
		}
		at += rows
		return use(append(cols[:len(cols):len(cols)], column))
	}
	if last > 0 {
		return a.items.batches(places[:last], step, func(cols []Column) error { return next(cols, rowCount(cols[0])) })
	}
	for at < a.rows {
		if err := next(nil, min(step, a.rows-at)); err != nil {
			return err
		}
	}
	return nil
}

// rowCount is the number of a batch's rows, by one of its columns.
func rowCount(c Column) int {
	n, _ := length(c.Values)
	return n / max(c.Width, 1)
}
