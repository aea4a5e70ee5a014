package tensor

import (
	"archive/zip"
	"fmt"
	"io"
	"os"
	"strings"
)

// DefaultNpzLimit is how many bytes of arrays ReadNpz unpacks unless told.
const DefaultNpzLimit = 1 << 30

// ReadNpz reads all arrays of an .npz archive, by their names in it without
// ".npy". Together they may unpack to limit bytes (0: DefaultNpzLimit), so
// that a small file cannot fill the memory; more is an error. Members that are
// not arrays are passed over.
func ReadNpz(r io.ReaderAt, size, limit int64) (map[string]*Tensor, error) {
	if limit <= 0 {
		limit = DefaultNpzLimit
	}
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("npz: it is not a zip archive: %w", err)
	}
	out, left := map[string]*Tensor{}, limit
	for _, f := range z.File {
		name, isArray := strings.CutSuffix(f.Name, ".npy")
		if !isArray {
			continue
		}
		if out[name] != nil {
			return nil, fmt.Errorf("npz: array %q is there twice", name)
		}
		t, used, err := ReadNpzMember(f, left)
		if err != nil {
			return nil, err
		}
		out[name], left = t, left-used
	}
	return out, nil
}

// A member over smallMember bytes may have at most maxInflation times its size in the
// archive: data has not so little in it.
const (
	smallMember  = 16 << 20
	maxInflation = 200
)

// ReadNpzMember reads one array of an .npz archive, and says how many bytes of
// memory it takes, which are at most limit.
func ReadNpzMember(f *zip.File, limit int64) (t *Tensor, used int64, err error) {
	rc, err := f.Open()
	if err != nil {
		return nil, 0, fmt.Errorf("npz: opening array %q: %w", f.Name, err)
	}
	defer rc.Close()
	h, err := ReadNpyHeader(rc)
	if err == nil && h.DataBytes() > limit {
		err = fmt.Errorf("%s %v unpacks to %d bytes, over the limit of %d that are left; save it as .npy, which need not be unpacked",
			h.DType, h.Shape, h.DataBytes(), limit)
	}
	if n := int64(f.CompressedSize64); err == nil && h.DataBytes() > max(smallMember, n*maxInflation) {
		err = fmt.Errorf("%d bytes inflate to %d, more than %d times as many; save it as .npy, which need not be unpacked", n, h.DataBytes(), maxInflation)
	}
	if err == nil {
		t, err = h.read(rc, true)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("npz: array %q: %w", f.Name, err)
	}
	return t, h.DataBytes(), nil
}

// ReadNpzFile is ReadNpz on a file, with the default limit.
func ReadNpzFile(path string) (map[string]*Tensor, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	m, err := ReadNpz(f, st.Size(), 0)
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", path, err)
	}
	return m, nil
}
