// Package store is what results and batch jobs ask of the place where their files lie:
// little enough for a folder and for an object store. Files appear whole, under their
// names, or not at all; making a file exclusively, renaming and linking are done here
// alone.
package store

import (
	"fmt"
	"io"
	"io/fs"
)

// Store holds files by name. Names are relative and separated by slashes; a folder is
// there as long as a file is in it. Errors are those of package os, and name the file.
type Store interface {
	// Get is the whole of a file.
	Get(name string) ([]byte, error)
	// Open opens a file to be read at any place.
	Open(name string) (File, error)
	// Create begins a file, which nobody sees before Publish. With absent nothing may have
	// its name, then and when it is published: that is fs.ErrExist.
	Create(name string, absent bool) (Draft, error)
	// Publish gives drafts of this store their names, in place of what has them, one
	// after the other; those that were sealed last, should the machine end. Where one may not
	// have its name, none gets its.
	Publish(drafts ...Draft) error
	// List is the names that begin with a prefix, sorted, with what they are. It goes into
	// the folder that the prefix names and into none below it.
	List(prefix string) ([]Entry, error)
	// Delete removes a file, if it is there; what is none is a *NotRegularError and stays.
	Delete(name string) error
	// String names the store in messages.
	String() string
}

// File is a file that is read.
type File interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// Draft is a file that is being made.
type Draft interface {
	io.Writer
	io.WriterAt
	io.ReaderAt
	io.Seeker
	Truncate(size int64) error
	// Seal brings the bytes to the disk: nothing is written after it.
	Seal() error
	// Open opens what was sealed.
	Open() (File, error)
	// Discard removes the draft, or where it was published the file. It does nothing the
	// second time.
	Discard() error
}

// Entry is one file, or a folder where files were expected.
type Entry struct {
	Name string
	Size int64
	// Regular is false for folders, pipes, devices, and links to those.
	Regular bool
}

// Put makes a file of what write writes.
func Put(s Store, name string, absent bool, write func(io.Writer) error) error {
	d, err := s.Create(name, absent)
	if err != nil {
		return err
	}
	if err = write(d); err == nil {
		if err = d.Seal(); err == nil {
			if err = s.Publish(d); err == nil {
				return nil
			}
		}
	}
	_ = d.Discard()
	return err
}

// PutBytes is Put of some bytes.
func PutBytes(s Store, name string, absent bool, b []byte) error {
	return Put(s, name, absent, func(w io.Writer) error { _, err := w.Write(b); return err })
}

// Holder is a store that can tell whether a process which marked a file still lives.
type Holder interface {
	// Hold makes a file below the name that is held until it is released, or the process
	// ends. What is in it is for people.
	Hold(name, text string) (Held, error)
	// Holds counts the files below the name: those whose process ended, or that were
	// released to stay, and those that are held.
	Holds(name string) (left, held int, err error)
	// Forget removes those below the name that are not held.
	Forget(name string) error
	// Lock waits until no other process has the lock of a file that is there, and takes it.
	// It is of the file that has the name when it is taken, and lasts until unlock.
	Lock(name string) (unlock func(), err error)
	// Sweep removes the drafts whose process ended, of the files that mine knows.
	Sweep(mine func(name string) bool) error
}

// Held is a mark of this process.
type Held interface {
	// Release ends it; with stay the file remains, as if the process had ended.
	Release(stay bool)
}

// NotRegularError says that a pipe, a device or a folder has the name of a file.
type NotRegularError struct {
	Path string
	Mode fs.FileMode
}

func (e *NotRegularError) Error() string {
	what := "a device"
	switch {
	case e.Mode.IsDir():
		what = "a folder"
	case e.Mode&fs.ModeSymlink != 0:
		what = "a link that leads nowhere"
	case e.Mode&fs.ModeNamedPipe != 0:
		what = "a pipe"
	case e.Mode&fs.ModeSocket != 0:
		what = "a socket"
	}
	return fmt.Sprintf("%s is %s, not a file; move it away", e.Path, what)
}
