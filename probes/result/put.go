package result

import (
	"errors"
	"io"
	"path/filepath"

	"github.com/onnxprobe/onnxprobe/probes/internal/store"
)

// Put writes one file that has no manifest, in place of what is there: whole under its
// name, or not at all. write makes the file's bytes. Unlike Save it does not wait for
// the disk, as whoever writes many pictures would do for each.
func Put(path string, write func(io.Writer) error) error {
	in := store.Folder(filepath.Dir(path))
	out, err := in.Create(filepath.Base(path), false)
	if err != nil {
		return err
	}
	if err = write(out); err == nil {
		err = in.Publish(out)
	}
	if err != nil {
		return errors.Join(err, out.Discard())
	}
	return nil
}
