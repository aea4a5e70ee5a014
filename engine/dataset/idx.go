package dataset

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine/internal/safe"
)

func isIdxName(name string) bool {
	return strings.Contains(name, "idx") && strings.Contains(name, "ubyte") || strings.HasSuffix(strings.TrimSuffix(name, ".gz"), ".idx")
}

func isIdxImages(name string) bool { return isIdxName(name) && strings.Contains(name, "images") }

func looksIdx(fsys fs.FS, path string) bool {
	return isIdxName(filepath.Base(path)) || bytes.HasPrefix(firstBytes(fsys, path), []byte("\x00\x00\x08\x03"))
}

// openIdx opens images in the IDX format of http://yann.lecun.com/exdb/mnist.
func openIdx(path string, o Options) ([]source, error) {
	return eachFile(o, path, isIdxImages, func(file string) (source, error) {
		r, dims, at, err := readIdx(o.FS, file, o.MaxUnpacked)
		if err != nil {
			return nil, err
		}
		if len(dims) != 3 {
			hint := ""
			if len(dims) == 1 {
				hint = "; it holds labels: give the images file, which finds them by itself"
			}
			return nil, fmt.Errorf("it has %d axes, want 3: pictures, rows, columns%s", len(dims), hint)
		}
		s := &records{part: part{path: file, format: "mnist", n: dims[0]},
			r: r, offset: at, stride: int64(dims[1]) * int64(dims[2]), c: 1, h: dims[1], w: dims[2]}
		labels, err := idxLabels(o.FS, file, dims[0], o.MaxUnpacked)
		if err != nil {
			return nil, err
		}
		if labels != nil {
			s.label = func(i int) int { return int(labels[i]) }
		}
		return s.ready(o)
	})
}

// idxLabels reads the labels beside an images file; nil without them.
func idxLabels(fsys fs.FS, images string, n int, limit int64) ([]byte, error) {
	dir, name := filepath.Split(images)
	if !strings.Contains(name, "images") {
		return nil, nil
	}
	name = strings.TrimSuffix(strings.NewReplacer("images", "labels", "idx3", "idx1").Replace(name), ".gz")
	for _, ext := range []string{"", ".gz"} {
		path := filepath.Join(dir, name+ext)
		if !isFile(fsys, path) {
			continue
		}
		r, dims, at, err := readIdx(fsys, path, limit)
		if err == nil && (len(dims) != 1 || dims[0] != n) {
			err = fmt.Errorf("its shape is %v, want [%d], as many as there are pictures", dims, n)
		}
		labels := make([]byte, n)
		if err == nil {
			err = safe.ReadAt(r, labels, at)
		}
		if err != nil {
			return nil, fmt.Errorf("labels %q: %w", path, err)
		}
		return labels, nil
	}
	return nil, nil
}

// readIdx reads an IDX header: the sizes of the axes and where the bytes begin.
// Compressed files are unpacked into memory, plain ones stay on disk.
func readIdx(fsys fs.FS, path string, limit int64) (r io.ReaderAt, dims []int, at int64, err error) {
	f, size, err := openRegular(fsys, path)
	if err != nil {
		return nil, nil, 0, err
	}
	r = f
	if b := firstBytes(fsys, path); bytes.HasPrefix(b, []byte("\x1f\x8b")) {
		defer f.Close()
		z, err := gzip.NewReader(f)
		if err != nil {
			return nil, nil, 0, fmt.Errorf("unpacking: %w", err)
		}
		b, err := io.ReadAll(io.LimitReader(z, limit+1))
		if err != nil {
			return nil, nil, 0, fmt.Errorf("unpacking: %w", err)
		}
		if int64(len(b)) > limit {
			return nil, nil, 0, fmt.Errorf("it unpacks to more than %d bytes; unpack it with gunzip, then it is read in place", limit)
		}
		r, size = bytes.NewReader(b), int64(len(b))
	}
	dims, at, err = idxHeader(r, size)
	if err != nil && io.ReaderAt(f) == r {
		f.Close()
	}
	return r, dims, at, err
}

func idxHeader(r io.ReaderAt, size int64) (dims []int, at int64, err error) {
	var magic [4]byte
	if safe.ReadAt(r, magic[:], 0) != nil || magic[0] != 0 || magic[1] != 0 {
		return nil, 0, fmt.Errorf("it begins with %x, which is no IDX header: want 0000, a type and a number of axes", magic)
	}
	if magic[2] != 8 {
		return nil, 0, fmt.Errorf("IDX type 0x%02x is not supported, want 0x08, unsigned bytes", magic[2])
	}
	sizes := make([]byte, 4*int(magic[3]))
	if len(sizes) == 0 || len(sizes) > 4*8 || safe.ReadAt(r, sizes, 4) != nil {
		return nil, 0, fmt.Errorf("the IDX header of %d axes is cut short, or has not 1 to 8 axes", magic[3])
	}
	at = 4 + int64(len(sizes))
	left := size - at // bytes; dividing cannot overflow
	empty := false
	for i := 0; i < len(sizes); i += 4 {
		d := int64(binary.BigEndian.Uint32(sizes[i:]))
		dims = append(dims, int(d))
		if d == 0 {
			empty = true
			continue
		}
		left /= d
	}
	if empty {
		return nil, 0, errors.New("the IDX file is empty: one of its axes has size 0")
	}
	if left < 1 {
		return nil, 0, fmt.Errorf("it is cut short: shape %v needs more than the %d bytes that follow the header", dims, size-at)
	}
	return dims, at, nil
}
