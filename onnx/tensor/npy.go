package tensor

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// ReadNpy reads an array in numpy's .npy format, versions 1 to 3, into native
// row-major order. Memory grows with the data that arrives, never with what
// the header claims. Bytes after the array are left unread. Object arrays,
// which are Python pickles, structured arrays, strings and complex numbers are
// an error.
func ReadNpy(r io.Reader) (*Tensor, error) { return readNpy(r, -1) }

// ReadNpyFile is ReadNpy on a file.
func ReadNpyFile(path string) (*Tensor, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	avail := int64(-1)
	if st, err := f.Stat(); err == nil && st.Mode().IsRegular() {
		avail = st.Size()
	}
	t, err := readNpy(bufio.NewReaderSize(f, 1<<16), avail)
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", path, err)
	}
	return t, nil
}

// readNpy reads an array of which no more than avail bytes can be there; -1
// when that is not known.
func readNpy(r io.Reader, avail int64) (*Tensor, error) {
	h, err := ReadNpyHeader(r)
	if err != nil {
		return nil, err
	}
	if need := h.DataBytes(); avail >= 0 && need > avail-h.Offset {
		return nil, fmt.Errorf("npy: the data is cut short: %s %v needs %d bytes, there are %d", h.DType, h.Shape, need, avail-h.Offset)
	}
	return h.read(r, avail >= 0)
}

// read takes the data that follows a header. Sure says that all of it is there.
func (h NpyHeader) read(r io.Reader, sure bool) (*Tensor, error) {
	t := &Tensor{DType: h.DType, Shape: h.Shape}
	var err error
	switch h.DType {
	case Float32:
		t.Data, err = readElements[float32](r, h, sure)
	case Float64:
		t.Data, err = readElements[float64](r, h, sure)
	case Uint8:
		t.Data, err = readElements[uint8](r, h, sure)
	case Int8:
		t.Data, err = readElements[int8](r, h, sure)
	case Uint16, Float16:
		t.Data, err = readElements[uint16](r, h, sure)
	case Int16:
		t.Data, err = readElements[int16](r, h, sure)
	case Uint32:
		t.Data, err = readElements[uint32](r, h, sure)
	case Int32:
		t.Data, err = readElements[int32](r, h, sure)
	case Uint64:
		t.Data, err = readElements[uint64](r, h, sure)
	case Int64:
		t.Data, err = readElements[int64](r, h, sure)
	case Bool:
		t.Data, err = readElements[bool](r, h, sure)
	}
	if err != nil {
		return nil, fmt.Errorf("npy: reading %s %v: %w", h.DType, h.Shape, err)
	}
	return t, nil
}

func readElements[T Element](r io.Reader, h NpyHeader, sure bool) ([]T, error) {
	const chunk = 1 << 16 // bytes
	n, order := h.count(), h.Order()
	size := TypeOf[T]().Bits() / 8
	buf := make([]byte, min(n, chunk/size)*size)
	start := len(buf) / max(size, 1)
	if sure {
		start = n
	}
	out := make([]T, 0, start)
	for len(out) < n {
		b := buf[:min(n-len(out), chunk/size)*size]
		if got, err := io.ReadFull(r, b); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return nil, fmt.Errorf("the data is cut short: got %d bytes of %d", len(out)*size+got, n*size)
			}
			return nil, err
		}
		at := len(out)
		out = slices.Grow(out, len(b)/size)[:at+len(b)/size]
		if _, err := binary.Decode(b, order, out[at:]); err != nil {
			return nil, err
		}
	}
	if h.Fortran && len(h.Shape) > 1 {
		return fromFortran(out, h.Shape), nil
	}
	return out, nil
}

// fromFortran turns column-major data round.
func fromFortran[T Element](src []T, shape []int) []T {
	dst := make([]T, len(src))
	stride := make([]int, len(shape))
	for i, s := 0, 1; i < len(shape); i++ {
		stride[i] = s
		s *= shape[i]
	}
	index, from := make([]int, len(shape)), 0
	for i := range dst {
		dst[i] = src[from]
		for axis := len(shape) - 1; axis >= 0; axis-- { // the next element in row-major order
			index[axis]++
			from += stride[axis]
			if index[axis] < shape[axis] {
				break
			}
			from -= index[axis] * stride[axis]
			index[axis] = 0
		}
	}
	return dst
}

// WriteNpy writes t in numpy's .npy format.
func WriteNpy(w io.Writer, t *Tensor) error {
	h, err := AppendNpyHeader(nil, t.DType, t.Shape...)
	if err != nil {
		return err
	}
	if _, err := w.Write(h); err != nil {
		return err
	}
	return binary.Write(w, binary.LittleEndian, t.Data)
}
