//go:build linux && (amd64 || arm64)

package isolate

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"reflect"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// segment is memory that both processes map: one writes, the other reads.
type segment struct {
	file *os.File // its maker's; nil elsewhere
	data []byte
}

// newSegment makes one that can neither be cut nor grown any more: a peer that cut it would
// end whoever reads it.
func newSegment(size int) (*segment, error) {
	const unit = 1 << 16
	if size > math.MaxInt-unit {
		return nil, fmt.Errorf("sharing %d bytes: more than memory holds", size)
	}
	size = (max(size, 1) + unit - 1) &^ (unit - 1)
	fd, err := unix.MemfdCreate("onnxprobe-tensors", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("sharing %d bytes: %w", size, err)
	}
	s := &segment{file: os.NewFile(uintptr(fd), "tensors")}
	if err = unix.Ftruncate(fd, int64(size)); err == nil {
		const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
		if _, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err == nil {
			s.data, err = unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		}
	}
	if err != nil {
		s.close()
		return nil, fmt.Errorf("sharing %d bytes: %w", size, err)
	}
	return s, nil
}

// openSegment maps a descriptor, which it closes, whole. sharing is unix.MAP_SHARED, but
// where the file is inMemory's: older kernels share none that is sealed against writing.
func openSegment(fd, protection, sharing int) (*segment, error) {
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	b, err := unix.Mmap(fd, 0, int(st.Size), protection, sharing)
	return &segment{data: b}, err
}

// inMemory is a file of b that has no name, and that nobody can change.
func inMemory(name string, b []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	if _, err = f.Write(b); err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE|unix.F_SEAL_SEAL)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (s *segment) close() {
	if s == nil {
		return
	}
	if s.data != nil {
		_ = unix.Munmap(s.data)
	}
	if s.file != nil {
		s.file.Close()
	}
	*s = segment{}
}

// bytes is what s holds; nil of no segment.
func (s *segment) bytes() []byte {
	if s == nil {
		return nil
	}
	return s.data
}

// unaligned are the bits of a place that are 0 where a tensor begins.
const unaligned = 64 - 1

// bytesOf is t's memory.
func bytesOf(t *tensor.Tensor) []byte {
	v := reflect.ValueOf(t.Data)
	if v.Len() == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(v.UnsafePointer()), v.Len()*int(v.Type().Elem().Size()))
}

// need is how many bytes of a segment tensors take.
func need(ts []*tensor.Tensor) (n int) {
	for _, t := range ts {
		n += (len(bytesOf(t)) + unaligned) &^ unaligned
	}
	return n
}

// put writes tensors to a segment, and their types, shapes and places after b.
func put(b, segment []byte, ts []*tensor.Tensor) []byte {
	b = binary.AppendUvarint(b, uint64(len(ts)))
	at := 0
	for _, t := range ts {
		src := bytesOf(t)
		copy(segment[at:], src)
		b = binary.AppendUvarint(b, uint64(t.DType))
		b = binary.AppendUvarint(b, uint64(len(t.Shape)))
		for _, d := range t.Shape {
			b = binary.AppendUvarint(b, uint64(d))
		}
		b = binary.AppendUvarint(b, uint64(at))
		at += (len(src) + unaligned) &^ unaligned
	}
	return b
}

// Bounds on what a description of tensors may say.
const (
	maxTensors = 1 << 20
	maxRank    = 64
)

// get reads what put has written, of which nothing is believed, and gives what follows it.
// take is asked for each tensor, whose bytes lie in the segment.
func get(body, segment []byte, take func(i int, d tensor.DType, shape []int, b []byte) (*tensor.Tensor, error)) (
	ts []*tensor.Tensor, rest []byte, err error) {
	ok := true
	next := func() int {
		v, n := binary.Uvarint(body)
		if n <= 0 || v > math.MaxInt {
			ok = false
			return 0
		}
		body = body[n:]
		return int(v)
	}
	count := next()
	if count > maxTensors {
		return nil, nil, errProtocol
	}
	left := len(segment) // tensors that lie in one another would take more than it holds
	for i := 0; i < count && ok; i++ {
		d, rank := tensor.DType(next()), next()
		zero, err := tensor.New(d, 0)
		if !ok || rank > maxRank || err != nil {
			return nil, nil, errProtocol
		}
		size := int(reflect.TypeOf(zero.Data).Elem().Size())
		shape := make([]int, rank)
		for k := range shape {
			shape[k] = next()
		}
		if slices.Contains(shape, 0) {
			size = 0
		}
		for _, k := range shape {
			if size > 0 && k > len(segment)/size { // so that the product cannot wrap
				return nil, nil, errProtocol
			}
			size *= k
		}
		at := next()
		if !ok || at > len(segment) || size > len(segment)-at || size > left || at&unaligned != 0 {
			return nil, nil, errProtocol
		}
		left -= size
		t, err := take(i, d, shape, segment[at:at+size])
		if err != nil {
			return nil, nil, err
		}
		ts = append(ts, t)
	}
	if !ok {
		return nil, nil, errProtocol
	}
	return ts, body, nil
}

// alias is a tensor over foreign memory.
func alias(d tensor.DType, shape []int, b []byte) (*tensor.Tensor, error) {
	t, err := tensor.New(d, 0)
	if err != nil || len(b) == 0 {
		return &tensor.Tensor{DType: d, Shape: shape, Data: t.Data}, err
	}
	element := reflect.TypeOf(t.Data).Elem()
	data := reflect.SliceAt(element, unsafe.Pointer(unsafe.SliceData(b)), len(b)/int(element.Size()))
	return &tensor.Tensor{DType: d, Shape: shape, Data: data.Interface()}, nil
}
