package job

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/probes/internal/store"
)

// The names of pictures are not in the plan but in a file beside it, one after the
// other and each followed by a NUL byte, so that a worker reads those of its own
// shards only, and that a picture that has vanished since can be named. The file is
// called by its content: two planners never write over each other's.

// pictures is the format of sources whose items are files of their own, points that
// of random ones.
const (
	pictures = "images"
	points   = "random"
)

const namesPrefix, namesSuffix = "plan-", ".names"

// naming is the file of names while a plan is made: what is not written yet.
type naming struct {
	sum   hash.Hash
	size  int64
	fresh []fresh
}

// fresh is items of a dataset whose names are to be written.
type fresh struct {
	ds       dataset.Dataset
	from, to int
	folder   string // that names are relative to
}

func (f fresh) each(do func(name string) error) error {
	for i := f.from; i < f.to; i++ {
		name := f.ds.Item(i).Path
		if f.folder != "" {
			var err error
			if name, err = filepath.Rel(f.folder, name); err != nil {
				return err
			}
		}
		if err := do(name); err != nil {
			return err
		}
	}
	return nil
}

// name says where in the file of names those of some items will be.
func (p *Plan) name(f fresh) (at, end int64, err error) {
	n := &p.naming
	if n.sum == nil {
		n.sum = sha256.New()
		if n.size, err = p.copyNames(n.sum); err != nil {
			return 0, 0, fmt.Errorf("reading the names of the plan: %w", err)
		}
	}
	at = n.size
	err = f.each(func(name string) error {
		n.size += int64(len(name)) + 1
		_, err := io.WriteString(n.sum, name+"\x00")
		return err
	})
	n.fresh = append(n.fresh, f)
	return at, n.size, err
}

// copyNames writes the names that are there.
func (p *Plan) copyNames(w io.Writer) (int64, error) {
	if p.Names == "" {
		return 0, nil
	}
	old, err := p.at.Open(p.Names)
	if err != nil {
		return 0, err
	}
	defer old.Close()
	return io.Copy(w, io.NewSectionReader(old, 0, old.Size()))
}

// namesFile is what the file of names is called by its content.
func namesFile(sum hash.Hash) string {
	return namesPrefix + hex.EncodeToString(sum.Sum(nil))[:16] + namesSuffix
}

// writeNames writes the file of names, if there are new ones.
func (p *Plan) writeNames() error {
	n := &p.naming
	if n.fresh == nil {
		return nil
	}
	name := namesFile(n.sum)
	err := store.Put(p.at, name, false, func(w io.Writer) error {
		b := bufio.NewWriterSize(w, 1<<16)
		if _, err := p.copyNames(b); err != nil {
			return err
		}
		for _, f := range n.fresh {
			if err := f.each(func(name string) error { _, err := b.WriteString(name + "\x00"); return err }); err != nil {
				return err
			}
		}
		return b.Flush()
	})
	if err != nil {
		return fmt.Errorf("writing the names of the plan: %w", err)
	}
	p.Names, p.naming = name, naming{}
	return nil
}

// dropNames removes the file of names of a plan that did not become the job's, which
// is keep.
func (p *Plan) dropNames(keep *Plan) {
	if p.Names != "" && p.Names != keep.Names {
		_ = p.at.Delete(p.Names)
	}
}

// maxNames bounds what is read of the names of one piece.
const maxNames = 4 << 30

// names are the names of the pictures of a piece.
func (p *Plan) names(c Piece) ([]string, error) {
	bad := func(err error) error {
		return fmt.Errorf("reading the names %s: %w", filepath.Join(p.dir, p.Names), err)
	}
	f, err := p.at.Open(p.Names)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = errors.New("the file is not there, and the plan is of no use without it; the command that made the plan writes it again")
		}
		return nil, bad(err)
	}
	defer f.Close()
	if f.Size() < c.End {
		return nil, bad(fmt.Errorf("it is shorter than the %d bytes that the plan says it has", c.End))
	}
	b := make([]byte, c.End-c.At)
	if _, err := f.ReadAt(b, c.At); err != nil {
		return nil, bad(err)
	}
	if n := bytes.Count(b, []byte{0}); n != c.To-c.From || b[len(b)-1] != 0 {
		return nil, bad(fmt.Errorf("bytes %d to %d hold %d names, want %d", c.At, c.End, n, c.To-c.From))
	}
	return strings.Split(string(b[:len(b)-1]), "\x00"), nil
}

// addNames adds the pictures that were given one by one.
func (p *Plan) addNames(have map[string]bool) error {
	for _, s := range p.Shards {
		for _, c := range s.Pieces {
			if c.End == c.At || p.Sources[c.Source].Folder != "" {
				continue
			}
			names, err := p.names(c)
			if err != nil {
				return err
			}
			for _, n := range names {
				have[n] = true
			}
		}
	}
	return nil
}
