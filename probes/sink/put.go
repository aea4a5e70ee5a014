package sink

import (
	"errors"
	"io"
)

// Put writes one file that has no manifest, in place of what is there: whole under its
// name, or not at all. write makes the file's bytes. Unlike Save it does not wait for
// the disk, as whoever writes many pictures would do for each.
func Put(path string, write func(io.Writer) error) error {
	out, err := newOutput(path)
	if err != nil {
		return err
	}
	if err = errors.Join(write(out), out.Close()); err == nil {
		err = out.publish()
	}
	if err != nil {
		return errors.Join(err, out.discard())
	}
	return nil
}
