package encoding

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// npyFile is an array of codes or sketches with the items beside it.
type npyFile struct {
	f     *os.File
	h     tensor.NpyHeader
	items *jsonlFile // nil when there is none
	from  *Origin
}

func openNpy(path string) (file, error) { return opened(path, newNpy) }

func newNpy(f *os.File, size int64) (_ file, err error) {
	n := &npyFile{f: f}
	if n.h, err = tensor.ReadNpyHeader(bufio.NewReader(f)); err != nil {
		return nil, err
	}
	if n.h.DType != tensor.Uint8 || len(n.h.Shape) != 2 || n.h.Fortran {
		return nil, fmt.Errorf("it holds %v of shape %v; packed codes are uint8 of shape [items, bytes] in row-major order", n.h.DType, n.h.Shape)
	}
	if want := n.h.Offset + n.h.DataBytes(); size != want {
		return nil, fmt.Errorf("an array of shape %v makes a file of %d bytes, and it has %d", n.h.Shape, want, size)
	}
	if n.h.Shape[0] > maxRows || n.h.Shape[1] > math.MaxInt32/8 || n.h.Shape[1] == 0 && n.h.Shape[0] > 0 {
		return nil, fmt.Errorf("an array of shape %v is no array of codes", n.h.Shape)
	}
	if n.from, err = readOrigin(f.Name()); err != nil {
		return nil, err
	}
	beside := result.ItemsPath(f.Name())
	items, err := openJSONL(beside)
	if err == nil {
		n.items = items.(*jsonlFile)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", beside, err)
	}
	return n, nil
}

func (n *npyFile) close() error    { return n.f.Close() }
func (n *npyFile) origin() *Origin { return n.from }

func (n *npyFile) beside(on string) bool {
	return n.items != nil && n.items.first != nil && n.items.has(on)
}

// holds is what the array is: sketches, when they were asked for and are not
// beside it.
func (n *npyFile) holds() string {
	if n.beside("region") && !n.beside(Channels) {
		return Channels
	}
	if n.beside(Code) {
		return Sketch
	}
	if o := n.from; o != nil && o.Settings.Sketch > 0 && !n.beside(Sketch) && (o.Settings.Sketch+7)/8 == n.h.Shape[1] {
		return Sketch
	}
	return Code
}

func (n *npyFile) has(on string) bool { return on == n.holds() || n.beside(on) }

func (n *npyFile) rows(on string) (int, int) {
	if on == n.holds() {
		return n.h.Shape[0], n.h.Shape[1]
	}
	return n.h.Shape[0], 0
}

func (n *npyFile) read(o OpenOptions, use func(*record) error) error {
	rows, width := n.h.Shape[0], n.h.Shape[1]
	mine := o.On == n.holds()
	data := bufio.NewReaderSize(io.NewSectionReader(n.f, n.h.Offset, n.h.DataBytes()), 1<<18)
	code := make([]byte, width)
	next := func(r *record) error {
		if !mine {
			return nil
		}
		if _, err := io.ReadFull(data, code); err != nil {
			return err
		}
		r.code = code
		return nil
	}
	if n.items == nil {
		r := record{label: noLabel, predicted: noLabel}
		for i := range rows {
			if err := next(&r); err != nil {
				return fmt.Errorf("row %d: %w", i, err)
			}
			if err := use(&r); err != nil {
				return err
			}
		}
		return nil
	}
	if mine {
		o.On = "" // nothing of the items' own
	}
	seen := 0
	err := n.items.read(o, func(r *record) error {
		if seen++; seen > rows {
			return fmt.Errorf("the array has %d rows, and %s more", rows, result.ItemsPath(n.f.Name()))
		}
		if err := next(r); err != nil {
			return fmt.Errorf("row %d: %w", seen-1, err)
		}
		return use(r)
	})
	if err == nil && seen < rows {
		err = fmt.Errorf("the array has %d rows, and %s has %d", rows, result.ItemsPath(n.f.Name()), seen)
	}
	return err
}
