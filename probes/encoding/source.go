package encoding

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/probes/result"
)

// source is an open result file.
type source struct {
	*result.Table
	origin *Origin  // nil where no manifest gives one
	shard  int      // of a job, -1 for none
	array  []string // the kinds of codes that its array may be
}

// originMembers are those of a manifest that an origin is of.
var originMembers = []string{"model", "sha256", "sites", "sites_rule", "sites_hash", "code_bytes"}

// openFile opens a result file that may have codes.
func openFile(path string) (*source, error) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".csv", ".tsv":
		return nil, fmt.Errorf("extension %q is of no codes; they are read from .parquet, .npy, .jsonl, "+
			"FAISS IndexBinaryFlat, and folders of those", filepath.Ext(path))
	}
	t, err := result.Open(path)
	if err != nil {
		return nil, err
	}
	f := &source{Table: t, shard: -1}
	m, err := t.Manifest()
	var odd *result.MembersError
	if errors.As(err, &odd) && !slices.ContainsFunc(odd.Members, func(name string) bool { return slices.Contains(originMembers, name) }) {
		err = nil
	}
	if err == nil {
		f.origin, err = originOf(m)
	}
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	if m != nil && m.Shard != nil && m.Fingerprint != "" {
		f.shard = *m.Shard
	}
	return f, nil
}

// column is that of a name; ok is false where there is none.
func (f *source) column(name string) (c result.Column, ok bool) {
	i := slices.IndexFunc(f.Columns(), func(c result.Column) bool { return c.Name == name })
	if i < 0 {
		return c, false
	}
	return f.Columns()[i], true
}

// settle says what the array of the file is, if it has one: origin says it where the file
// itself has none.
func (f *source) settle(origin *Origin) error {
	c, ok := f.column(result.ArrayColumn)
	if !ok {
		return nil
	}
	if f.origin != nil {
		origin = f.origin
	}
	if _, octets := c.Values.([]uint8); f.Rows() > 0 && (!octets || c.Width < 1) {
		return fmt.Errorf("it holds %T of %d a row; packed codes are uint8 of shape [items, bytes] in row-major order",
			c.Values, max(c.Width, 1))
	}
	there := func(name string) bool { _, ok := f.column(name); return ok }
	sketches := origin != nil && origin.Settings.Sketch > 0 && (origin.Settings.Sketch+7)/8 == c.Width && !there(Sketch)
	switch npy := strings.EqualFold(filepath.Ext(f.Path()), ".npy"); {
	case npy && there("selection") && !there(Channels):
		f.array = []string{Channels}
	case npy && there(Code), sketches:
		f.array = []string{Sketch}
	case npy || origin != nil:
		f.array = []string{Code}
	default: // an index does not say what its codes are
		f.array = []string{Sketch, Code}
	}
	return nil
}

// has says whether the items have codes of a kind, or another column. A file without rows
// may say nothing; it has what is asked for, of no item.
func (f *source) has(name string) bool {
	_, ok := f.column(name)
	return ok || slices.Contains(f.array, name) || len(f.Columns()) == 0 && f.Rows() == 0
}

// named is the name of the column with the codes of a kind.
func (f *source) named(on string) string {
	if slices.Contains(f.array, on) {
		return result.ArrayColumn
	}
	return on
}

// size is the number of rows where it is known, else 0, and the length of a code.
func (f *source) size(on string) (n, width int) {
	c, _ := f.column(f.named(on))
	if width = c.Width; on == Digest {
		width = 16
	}
	_, isBytes := c.Values.([]uint8)
	if n = f.Rows(); n < 0 || width < 1 || on != Digest && !isBytes {
		return 0, 0
	}
	return n, width
}
