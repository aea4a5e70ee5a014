package dataset

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"
)

// FaultKind says whose fault an error of reading or writing is.
type FaultKind int

const (
	// ItemFault is of what was read: it stays, however often it is read.
	ItemFault FaultKind = iota
	// NameFault is of a file's name or rights, and the item's while the rest of its
	// source can be reached.
	NameFault
	// MediumFault is of the disk below: the item's where it comes again and others are read.
	MediumFault
	// MachineFault passes, and says nothing of any item.
	MachineFault
)

// faultKinds is whose fault the errors of the system are. What is not here is taken for the
// medium's, which is decided by trying again.
var faultKinds = map[syscall.Errno]FaultKind{
	syscall.EMFILE:    MachineFault,
	syscall.ENFILE:    MachineFault,
	syscall.ENOMEM:    MachineFault,
	syscall.ESTALE:    MachineFault,
	syscall.ENOSPC:    MachineFault,
	syscall.EDQUOT:    MachineFault,
	syscall.EFBIG:     MachineFault,
	syscall.EROFS:     MachineFault,
	syscall.ETIMEDOUT: MachineFault,

	// Of network and user-space file systems.
	syscall.EAGAIN:       MachineFault,
	syscall.ENOBUFS:      MachineFault,
	syscall.ENOTCONN:     MachineFault,
	syscall.ECONNABORTED: MachineFault,
	syscall.ECONNREFUSED: MachineFault,
	syscall.ECONNRESET:   MachineFault,
	syscall.EHOSTDOWN:    MachineFault,
	syscall.EHOSTUNREACH: MachineFault,
	syscall.ENETDOWN:     MachineFault,
	syscall.ENETUNREACH:  MachineFault,
	syscall.ENODEV:       MachineFault,
	syscall.ENOLCK:       MachineFault,

	syscall.ENOENT:       NameFault,
	syscall.EACCES:       NameFault,
	syscall.EPERM:        NameFault,
	syscall.ELOOP:        NameFault,
	syscall.ENAMETOOLONG: NameFault,
	syscall.EISDIR:       NameFault,
	syscall.ENOTDIR:      NameFault,
	syscall.EINVAL:       NameFault, // a NUL in the name
	syscall.EILSEQ:       NameFault,
	syscall.ENXIO:        NameFault, // a socket

	syscall.EIO: MediumFault,
}

// FaultOf says whose fault an error is: the one place that decides it. An error that no
// system call made is the item's, but for one that says that it timed out.
func FaultOf(err error) FaultKind {
	var machine *MachineError
	var no syscall.Errno
	var late interface{ Timeout() bool }
	switch {
	case err == nil:
		return ItemFault
	case errors.As(err, &machine):
		return MachineFault
	case errors.As(err, &no) && known(no):
		return faultKinds[no]
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return NameFault
	case errors.As(err, &late) && late.Timeout():
		return MachineFault
	case errors.As(err, &no):
		return MediumFault
	}
	return ItemFault
}

func known(no syscall.Errno) bool { _, ok := faultKinds[no]; return ok }

// MachineError ends what met it: the fault is the machine's, so that the same may go well
// later and nothing is known of the item that was being read.
type MachineError struct{ Err error }

func (e *MachineError) Error() string {
	return e.Err.Error() + " (a fault of the machine, not of the item)"
}

func (e *MachineError) Unwrap() error { return e.Err }

// machine is err, as a *MachineError if it is one of the machine or the medium.
func machine(err error) error {
	var is *MachineError
	if k := FaultOf(err); k < MediumFault || errors.As(err, &is) {
		return err
	}
	return &MachineError{err}
}

// mediumError is of an item that could not be read however often it was tried.
type mediumError struct{ error }

func (e mediumError) Error() string { return e.error.Error() + ", in three tries" }
func (e mediumError) Unwrap() error { return e.error }

// ReadItem is read under the rules of the items of a dataset: an input/output error is
// tried three times, and what is not the item's fault is a *MachineError, as it is where
// the folder or file root, which others are read from too, cannot be reached.
func ReadItem(root string, read func() error) error {
	return patiently(Local, func() string { return root }, read)
}

// pauses are between the tries of an item.
var pauses = []time.Duration{20 * time.Millisecond, 300 * time.Millisecond}

// patiently reads an item of a source, again where that may help. It is a *MachineError
// unless the item itself is at fault: the source can still be reached at root, if that
// is not "".
func patiently(fsys fs.FS, root func() string, read func() error) (err error) {
	if w, ok := fsys.(*Witness); ok {
		defer w.pardon(w.seen(), &err)
	}
	err = read()
	for _, pause := range pauses {
		if FaultOf(err) != MediumFault {
			break
		}
		time.Sleep(pause)
		err = read()
	}
	switch k := FaultOf(err); k {
	case MachineFault:
		return machine(err)
	case NameFault, MediumFault:
		if at := root(); at != "" {
			if _, lost := fs.Stat(fsys, at); lost != nil {
				return &MachineError{fmt.Errorf("%w, and %s cannot be reached", err, at)}
			}
		}
		if k == MediumFault {
			return mediumError{err}
		}
	}
	return err
}

// common is the deepest folder that all of the names lie below; "" without one.
func common(names int, name func(i int) string) string {
	dir := ""
	for i := range names {
		d := filepath.Dir(name(i))
		if i == 0 {
			dir = d
		}
		for dir != d && !below(d, dir) {
			up := filepath.Dir(dir)
			if up == dir {
				return ""
			}
			dir = up
		}
	}
	return dir
}

func below(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// Witness is a file system that remembers the first fault of the machine or the medium,
// since much of what opens a source asks it questions whose answer is yes or no.
type Witness struct {
	fs.FS
	mu  sync.Mutex
	err error
}

// NewWitness is one over another file system, which has seen nothing.
func NewWitness(fsys fs.FS) *Witness {
	if w, ok := fsys.(*Witness); ok {
		fsys = w.FS
	}
	return &Witness{FS: fsys}
}

func (w *Witness) note(op, name string, err error) error {
	if FaultOf(err) >= MediumFault {
		w.mu.Lock()
		if w.err == nil {
			w.err = err
			var pe *fs.PathError
			if !errors.As(err, &pe) {
				w.err = &fs.PathError{Op: op, Path: name, Err: err}
			}
		}
		w.mu.Unlock()
	}
	return err
}

// Fault is what was seen, a *MachineError, and forgets it.
func (w *Witness) Fault() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	err := w.err
	w.err = nil
	return machine(err)
}

func (w *Witness) seen() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// pardon goes back to what was seen before an item was read, where what was seen since of
// the medium is the item's.
func (w *Witness) pardon(before error, err *error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if FaultOf(*err) != MachineFault && FaultOf(w.err) == MediumFault {
		w.err = before
	}
}

// Open opens a file of the other file system, whose reading is watched too.
func (w *Witness) Open(name string) (fs.File, error) {
	f, err := w.FS.Open(name)
	if err != nil {
		return nil, w.note("open", name, err)
	}
	seen := witnessed{f, name, w}
	if at, ok := f.(file); ok {
		return witnessedAt{seen, at}, nil
	}
	return seen, nil
}

// Stat is fs.Stat of the other file system.
func (w *Witness) Stat(name string) (fs.FileInfo, error) {
	st, err := fs.Stat(w.FS, name)
	return st, w.note("stat", name, err)
}

// Lstat is fs.Lstat of the other file system.
func (w *Witness) Lstat(name string) (fs.FileInfo, error) {
	st, err := fs.Lstat(w.FS, name)
	return st, w.note("lstat", name, err)
}

// ReadLink is fs.ReadLink of the other file system.
func (w *Witness) ReadLink(name string) (string, error) {
	to, err := fs.ReadLink(w.FS, name)
	return to, w.note("readlink", name, err)
}

// ReadDir is fs.ReadDir of the other file system.
func (w *Witness) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(w.FS, name)
	return entries, w.note("readdir", name, err)
}

// Glob is fs.Glob of the other file system.
func (w *Witness) Glob(pattern string) ([]string, error) {
	names, err := fs.Glob(w.FS, pattern)
	return names, w.note("glob", pattern, err)
}

// Real is the path of a folder without links; by it circles are found.
func (w *Witness) Real(name string) (string, error) {
	path, err := realPath(w.FS, name)
	return path, w.note("readlink", name, err)
}

// witnessed is a file of a witness, witnessedAt one that is read at any place.
type witnessed struct {
	fs.File
	name string
	w    *Witness
}

func (f witnessed) Read(b []byte) (int, error) {
	n, err := f.File.Read(b)
	return n, f.w.note("read", f.name, err)
}

func (f witnessed) Stat() (fs.FileInfo, error) {
	st, err := f.File.Stat()
	return st, f.w.note("stat", f.name, err)
}

type witnessedAt struct {
	witnessed
	at file
}

func (f witnessedAt) ReadAt(b []byte, at int64) (int, error) {
	n, err := f.at.ReadAt(b, at)
	return n, f.w.note("read", f.name, err)
}

// MachineTexts is what the faults of the machine and the medium say, sorted: by them the
// rows can be told that were made of such.
func MachineTexts() []string {
	var texts []string
	for no, kind := range faultKinds {
		if kind >= MediumFault {
			texts = append(texts, no.Error())
		}
	}
	slices.Sort(texts)
	return slices.Compact(texts)
}
