package sink

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// output is a file that is written under a temporary name in its folder. The
// temporary name is unique, so writers of one path do not meet before publish.
type output struct {
	*os.File
	path      string // the name it gets
	published bool
}

func newOutput(path string) (*output, error) {
	dir, base := filepath.Split(path)
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, fmt.Errorf("%s is a folder, not a file", path)
	}
	// Not os.CreateTemp: it makes files that only their owner can read.
	temp := filepath.Join(dir, fmt.Sprintf(".%s.%016x.tmp", base, rand.Uint64()))
	f, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err
	}
	return &output{File: f, path: path}, nil
}

// seal brings the bytes to the disk and closes the file.
func (o *output) seal() error { return errors.Join(o.Sync(), o.Close()) }

// publish gives a sealed file its name, in place of what had it.
func (o *output) publish() error {
	if err := os.Rename(o.Name(), o.path); err != nil {
		return err
	}
	o.published = true
	return nil
}

// discard removes the file, sealed or not, published or not.
func (o *output) discard() error {
	o.Close() // a sealed file is closed already; nothing of it is kept
	name := o.Name()
	if o.published {
		name = o.path
	}
	if err := os.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func mustNotExist(path string) error {
	switch _, err := os.Lstat(path); {
	case err == nil:
		return fmt.Errorf("%s exists; --force replaces it", path)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return nil
}
