// Package safe is how files that may hold anything are read: those that end early, and
// those over which a decoder panics.
package safe

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// ReadAt fills b with what lies at a place of a file, or says that the file has become
// too short.
func ReadAt(r io.ReaderAt, b []byte, at int64) error {
	n, err := r.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if err == io.EOF {
		return fmt.Errorf("the file is too short: got %d bytes of %d at byte %d", n, len(b), at)
	}
	return Reason(err)
}

// Reason drops the path that errors of package os repeat.
func Reason(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// Rescue, deferred, turns a panic, as decoders throw over files nobody thought of, into
// an error.
func Rescue(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("the decoder failed: %v", r)
	}
}
