package job

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"reflect"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/probes/internal/store"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// checkSum holds a file against its size and SHA-256.
func (p *Plan) checkSum(f result.File) (why, err error) {
	in, why, err := p.openFor(f.Name)
	if in == nil {
		return why, err
	}
	defer in.Close()
	got, err := result.Sum(in, f.Name)
	if err == nil && got != f {
		why = fmt.Errorf("it has %d bytes with SHA-256 %.12s…, its record says %d with %.12s…", got.Bytes, got.SHA256, f.Bytes, f.SHA256)
	}
	return why, err
}

// openFor opens a file that should be there.
func (p *Plan) openFor(name string) (in store.File, why, err error) {
	in, err = p.at.Open(name)
	switch {
	case err == nil:
		return in, nil, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, errors.New("it is missing"), nil
	case missing(err) == nil:
		return nil, err, nil
	}
	return nil, nil, err
}

// checkNames says what is wrong with the file of names, whose name is of its content.
func (p *Plan) checkNames() (why, err error) {
	if p.Names == "" {
		return nil, nil
	}
	in, why, err := p.openFor(p.Names)
	if in == nil {
		return why, err
	}
	defer in.Close()
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(in, 0, in.Size())); err != nil {
		return nil, err
	}
	if namesFile(h) != p.Names {
		return errors.New("its content is another than what it is called by"), nil
	}
	return nil, nil
}

func isNames(name string) bool {
	return strings.HasPrefix(name, namesPrefix) && strings.HasSuffix(name, namesSuffix)
}

// checkFrame says what is wrong with the frame.
func (p *Plan) checkFrame() (why, err error) {
	if p.Settings.Complexity == nil {
		return nil, nil
	}
	b, err := p.at.Get(frameName)
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("it is missing"), nil
	}
	if err != nil {
		return err, missing(err)
	}
	f, err := p.readFrame()
	if dataset.FaultOf(err) >= dataset.MediumFault {
		return nil, err
	}
	if err != nil {
		return err, nil
	}
	var want bytes.Buffer
	if err := f.WriteNpy(&want); err != nil {
		return nil, err
	}
	if !bytes.Equal(b, want.Bytes()) {
		return errors.New("it was changed since it was written"), nil
	}
	return nil, nil
}

// follows says why the bytes of a manifest are not those that follow from the records, or
// with earlier those that an earlier version, whose manifests say less, would have made.
func follows(b []byte, want manifest, earlier bool) (why, err error) {
	w, err := want.bytes()
	if err != nil || bytes.Equal(b, w) {
		return nil, err
	}
	var is, should any
	if err := json.Unmarshal(b, &is); err != nil {
		return fmt.Errorf("it is no manifest: %w", err), nil
	}
	if err := json.Unmarshal(w, &should); err != nil {
		return nil, err
	}
	if !earlier || reflect.DeepEqual(is, should) || !within(is, should) {
		return errors.New("it does not say what follows from the plan and the records"), nil
	}
	return nil, nil
}

// within says whether all that JSON says another does too.
func within(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		for k, v := range a {
			if of, has := b[k]; !ok || !has || !within(v, of) {
				return false
			}
		}
		return ok
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !within(a[i], b[i]) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(a, b)
}

// checkIndex holds the index of all sketches against those of the shards.
func (p *Plan) checkIndex(in store.File, shards []made) (why, err error) {
	width := int64(p.Settings.Sketch / 8)
	header := result.FaissHeader(int(width), p.Items)
	if n := int64(len(header)) + int64(p.Items)*width; in.Size() != n {
		return fmt.Errorf("it has %d bytes, want %d", in.Size(), n), nil
	}
	r := io.NewSectionReader(in, 0, in.Size())
	if same, err := equal(r, bytes.NewReader(header)); !same || err != nil {
		return errors.New("its header is another"), err
	}
	at := 0
	for _, s := range shards {
		if same, err := equal(r, io.LimitReader(zeros{}, int64(s.First-at)*width)); !same || err != nil {
			return fmt.Errorf("it has sketches before item %d, where there are none", s.First), err
		}
		of, err := p.sketches(s)
		if err != nil {
			if missing(err) == nil || dataset.FaultOf(err) == dataset.ItemFault {
				return nil, nil // a finding of the shard
			}
			return nil, err
		}
		same, err := equal(r, of)
		of.Close()
		if !same || err != nil {
			return fmt.Errorf("its sketches from item %d on are not those of shard %d", s.First, s.Shard), err
		}
		at = s.First + s.Items
	}
	same, err := equal(r, io.LimitReader(zeros{}, int64(p.Items-at)*width))
	if !same {
		why = fmt.Errorf("it has sketches from item %d on, where there are none", at)
	}
	return why, err
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// equal says whether what comes next of a is all of b.
func equal(a, b io.Reader) (bool, error) {
	var x, y [1 << 15]byte
	for {
		n, err := io.ReadFull(b, y[:])
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return false, err
		}
		if m, lost := io.ReadFull(a, x[:n]); m < n {
			if lost == io.EOF || lost == io.ErrUnexpectedEOF {
				return false, nil
			}
			return false, lost
		}
		if !bytes.Equal(x[:n], y[:n]) {
			return false, nil
		}
		if err != nil {
			return true, nil
		}
	}
}
