package job

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/encoding"
	"github.com/onnxprobe/onnxprobe/probes/sink"
)

// index is a sink of sketches: a FAISS index whose vector i is the sketch of row i,
// zero where it has none.
type index struct {
	f    *os.File
	path string
	bits int
	n    int
	keep func([]sink.File)
}

func newIndex(path string, bits int, keep func([]sink.File)) (*index, error) {
	f, err := create(path)
	if err != nil {
		return nil, err
	}
	x := &index{f: f, path: path, bits: bits, keep: keep}
	if _, err = f.Write(encoding.FaissHeader(bits/8, 0)); err != nil {
		return nil, errors.Join(err, x.Abort())
	}
	return x, nil
}

// create makes the temporary file that becomes path.
func create(path string) (*os.File, error) {
	temp := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.%016x.tmp", filepath.Base(path), rand.Uint64()))
	return os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
}

func (x *index) Write(cols []probes.Column) error {
	for _, c := range cols {
		if c.Name == "sketch" {
			v := c.Values.([]byte)
			x.n += len(v) / c.Width
			_, err := x.f.Write(v)
			return err
		}
	}
	return errors.New("there are no sketches to index")
}

func (x *index) Commit(any) error {
	_, err := x.f.WriteAt(encoding.FaissHeader(x.bits/8, x.n), 0)
	if err = errors.Join(err, x.f.Sync(), x.f.Close()); err != nil {
		return err
	}
	made, err := sink.Sum(x.f.Name())
	if err != nil {
		return err
	}
	made.Name = filepath.Base(x.path)
	x.keep([]sink.File{made})
	return os.Rename(x.f.Name(), x.path)
}

func (x *index) Abort() error {
	x.f.Close()
	os.Remove(x.f.Name()) // which is not there after Commit
	return nil
}

// index joins the shards' indexes to one, whose vector i is item i's; items of shards
// that were set aside are zero.
func (p *Plan) index(shards []made) error {
	bits := p.Settings.Sketch
	path := filepath.Join(p.dir, faissName)
	out, err := create(path)
	if err != nil {
		return err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	header := encoding.FaissHeader(bits/8, p.Items)
	if _, err := out.Write(header); err != nil {
		return err
	}
	for _, s := range shards {
		if _, err := out.Seek(int64(len(header))+int64(s.First)*int64(bits/8), io.SeekStart); err != nil {
			return err
		}
		if err := appendIndex(out, p.path(s.Shard, ".faiss"), bits, s.Items); err != nil {
			return err
		}
	}
	err = out.Truncate(int64(len(header)) + int64(p.Items)*int64(bits/8))
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return err
	}
	return os.Rename(out.Name(), path)
}

func appendIndex(out io.Writer, path string, bits, items int) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	header := encoding.FaissHeader(bits/8, items)
	got := make([]byte, len(header))
	if _, err := io.ReadFull(in, got); err != nil || string(got) != string(header) {
		return fmt.Errorf("%s is not the index of %d sketches of %d bits: %w", path, items, bits, err)
	}
	n, err := io.Copy(out, in)
	if err == nil && n != int64(items)*int64(bits/8) {
		err = fmt.Errorf("%s has %d bytes of sketches, want %d", path, n, items*(bits/8))
	}
	return err
}
