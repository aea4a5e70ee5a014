package tensor

import (
	"archive/zip"
	"fmt"
	"io"
)

// Named is an array with its name in an archive.
type Named struct {
	Name  string
	Array *Tensor
}

// WriteNpz writes arrays as an .npz archive, in their order and without
// compression, as numpy.savez does. The same arrays give the same bytes. A name
// that is there twice is an error.
func WriteNpz(w io.Writer, arrays ...Named) error {
	z := zip.NewWriter(w)
	seen := map[string]bool{}
	for _, a := range arrays {
		if a.Name == "" || seen[a.Name] {
			return fmt.Errorf("npz: writing array %q: a name is neither empty nor there twice", a.Name)
		}
		seen[a.Name] = true
		f, err := z.CreateHeader(&zip.FileHeader{Name: a.Name + ".npy", Method: zip.Store})
		if err == nil {
			err = WriteNpy(f, a.Array)
		}
		if err != nil {
			return fmt.Errorf("npz: writing array %q: %w", a.Name, err)
		}
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("npz: %w", err)
	}
	return nil
}
