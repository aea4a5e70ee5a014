package job

import (
	"errors"
	"fmt"
	"io"

	"github.com/onnxprobe/onnxprobe/probes/internal/store"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// index is a sink of sketches: a FAISS index whose vector i is the sketch of row i,
// zero where it has none.
type index struct {
	at   store.Store
	f    store.Draft
	name string
	bits int
	n    int
	keep func([]result.File)
}

func newIndex(at store.Store, name string, bits int, keep func([]result.File)) (*index, error) {
	f, err := at.Create(name, false)
	if err != nil {
		return nil, err
	}
	x := &index{at: at, f: f, name: name, bits: bits, keep: keep}
	if _, err = f.Write(result.FaissHeader(bits/8, 0)); err != nil {
		return nil, errors.Join(err, x.Abort())
	}
	return x, nil
}

func (x *index) Write(cols []result.Column) error {
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
	_, err := x.f.WriteAt(result.FaissHeader(x.bits/8, x.n), 0)
	if err = errors.Join(err, x.f.Seal()); err != nil {
		return err
	}
	made, err := result.SumDraft(x.f, x.name)
	if err != nil {
		return err
	}
	x.keep([]result.File{made})
	if err := x.at.Publish(x.f); err != nil {
		return err
	}
	x.f = nil
	return nil
}

func (x *index) Abort() error {
	if x.f == nil {
		return nil
	}
	return x.f.Discard()
}

// index joins the shards' indexes to one, whose vector i is item i's; items of shards
// that were set aside are zero.
func (p *Plan) index(shards []made) error {
	bits := p.Settings.Sketch
	out, err := p.at.Create(faissName, false)
	if err != nil {
		return err
	}
	defer func() {
		if out != nil {
			_ = out.Discard()
		}
	}()
	header := result.FaissHeader(bits/8, p.Items)
	if _, err := out.Write(header); err != nil {
		return err
	}
	for _, s := range shards {
		if _, err := out.Seek(int64(len(header))+int64(s.First)*int64(bits/8), io.SeekStart); err != nil {
			return err
		}
		in, err := p.sketches(s)
		if err != nil {
			return err
		}
		_, err = io.Copy(out, in)
		if err = errors.Join(err, in.Close()); err != nil {
			return err
		}
	}
	if err := out.Truncate(int64(len(header)) + int64(p.Items)*int64(bits/8)); err != nil {
		return err
	}
	if err := out.Seal(); err != nil {
		return err
	}
	err = p.at.Publish(out)
	if err == nil {
		out = nil
	}
	return err
}

// vectors is the sketches of a shard's index.
type vectors struct {
	*io.SectionReader
	io.Closer
}

// sketches opens the index of a shard behind its header.
func (p *Plan) sketches(s made) (vectors, error) {
	name, bits := shardName(s.Shard)+indexSuffix, p.Settings.Sketch
	in, err := p.at.Open(name)
	if err != nil {
		return vectors{}, err
	}
	header := result.FaissHeader(bits/8, s.Items)
	got := make([]byte, len(header))
	if _, err := in.ReadAt(got, 0); err != nil && err != io.EOF {
		return vectors{}, errors.Join(err, in.Close())
	}
	n := int64(s.Items) * int64(bits/8)
	if string(got) != string(header) || in.Size() != int64(len(header))+n {
		return vectors{}, errors.Join(fmt.Errorf("%s is not the index of %d sketches "+
			"of %d bits: it has %d bytes, want %d", name, s.Items, bits, in.Size(), int64(len(header))+n), in.Close())
	}
	return vectors{io.NewSectionReader(in, int64(len(header)), n), in}, nil
}
