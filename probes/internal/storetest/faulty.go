// Package storetest is a store that fails where it is told to.
package storetest

import (
	"io/fs"
	"sync"
	"syscall"

	"github.com/onnxprobe/onnxprobe/probes/internal/store"
)

// Faulty is a store over another whose calls fail where it is told to: for tests of what
// stands on a store.
type Faulty struct {
	store.Store
	mu    sync.Mutex
	calls []string
	at    int // the call that fails, counted from 1; 0 for none
	to    int // the last of them
	err   syscall.Errno
}

// Fail makes calls from to to (both included, counted from 1) end with an error of the
// system, and begins to count.
func (f *Faulty) Fail(from, to int, err syscall.Errno) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls, f.at, f.to, f.err = nil, from, to, err
}

// Calls are those since Fail, as OPERATION NAME.
func (f *Faulty) Calls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

func (f *Faulty) call(op, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, op+" "+name)
	if n := len(f.calls); f.at > 0 && n >= f.at && n <= f.to {
		return &fs.PathError{Op: op, Path: name, Err: f.err}
	}
	return nil
}

func (f *Faulty) Get(name string) ([]byte, error) {
	if err := f.call("get", name); err != nil {
		return nil, err
	}
	return f.Store.Get(name)
}

func (f *Faulty) Open(name string) (store.File, error) {
	if err := f.call("open", name); err != nil {
		return nil, err
	}
	in, err := f.Store.Open(name)
	if err != nil {
		return nil, err
	}
	return faultyFile{in, name, f}, nil
}

func (f *Faulty) Create(name string, absent bool) (store.Draft, error) {
	if err := f.call("create", name); err != nil {
		return nil, err
	}
	d, err := f.Store.Create(name, absent)
	if err != nil {
		return nil, err
	}
	return &faultyDraft{d, name, f}, nil
}

func (f *Faulty) Publish(drafts ...store.Draft) error {
	var real []store.Draft
	for _, d := range drafts {
		d := d.(*faultyDraft)
		if err := f.call("publish", d.name); err != nil {
			return err
		}
		real = append(real, d.Draft)
	}
	return f.Store.Publish(real...)
}

func (f *Faulty) List(prefix string) ([]store.Entry, error) {
	if err := f.call("list", prefix); err != nil {
		return nil, err
	}
	return f.Store.List(prefix)
}

func (f *Faulty) Delete(name string) error {
	if err := f.call("delete", name); err != nil {
		return err
	}
	return f.Store.Delete(name)
}

func (f *Faulty) Hold(name, text string) (store.Held, error) {
	if err := f.call("hold", name); err != nil {
		return nil, err
	}
	return f.Store.(store.Holder).Hold(name, text)
}

func (f *Faulty) Holds(name string) (left, held int, err error) {
	if err := f.call("holds", name); err != nil {
		return 0, 0, err
	}
	return f.Store.(store.Holder).Holds(name)
}

func (f *Faulty) Forget(name string) error {
	if err := f.call("forget", name); err != nil {
		return err
	}
	return f.Store.(store.Holder).Forget(name)
}

func (f *Faulty) Lock(name string) (unlock func(), err error) {
	if err := f.call("lock", name); err != nil {
		return nil, err
	}
	return f.Store.(store.Holder).Lock(name)
}

func (f *Faulty) Sweep(mine func(string) bool) error {
	if err := f.call("sweep", ""); err != nil {
		return err
	}
	return f.Store.(store.Holder).Sweep(mine)
}

type faultyFile struct {
	store.File
	name string
	f    *Faulty
}

func (f faultyFile) ReadAt(b []byte, at int64) (int, error) {
	if err := f.f.call("read", f.name); err != nil {
		return 0, err
	}
	return f.File.ReadAt(b, at)
}

type faultyDraft struct {
	store.Draft
	name string
	f    *Faulty
}

func (d *faultyDraft) Write(b []byte) (int, error) {
	if err := d.f.call("write", d.name); err != nil {
		return 0, err
	}
	return d.Draft.Write(b)
}

func (d *faultyDraft) WriteAt(b []byte, at int64) (int, error) {
	if err := d.f.call("write", d.name); err != nil {
		return 0, err
	}
	return d.Draft.WriteAt(b, at)
}

func (d *faultyDraft) ReadAt(b []byte, at int64) (int, error) {
	if err := d.f.call("read", d.name); err != nil {
		return 0, err
	}
	return d.Draft.ReadAt(b, at)
}

func (d *faultyDraft) Truncate(size int64) error {
	if err := d.f.call("truncate", d.name); err != nil {
		return err
	}
	return d.Draft.Truncate(size)
}

func (d *faultyDraft) Seal() error {
	if err := d.f.call("seal", d.name); err != nil {
		return err
	}
	return d.Draft.Seal()
}

func (d *faultyDraft) Open() (store.File, error) {
	if err := d.f.call("open", d.name); err != nil {
		return nil, err
	}
	in, err := d.Draft.Open()
	if err != nil {
		return nil, err
	}
	return faultyFile{in, d.name, d.f}, nil
}
