package dataset

import (
	"fmt"
	"io"
)

// Origin is a source of a dataset with what opens it again by itself, in another
// process or for some of its items. It marshals to JSON.
type Origin struct {
	// Paths is one file or folder, or the files of a list of images.
	Paths []string `json:"paths,omitempty"`
	// Folder, where it is not empty, is what Paths are below: some of its pictures,
	// as a folder of which opening lists nothing.
	Folder string `json:"folder,omitempty"`
	Format string `json:"format"`
	// Prefix stands before the IDs, because there are several sources.
	Prefix string `json:"prefix,omitempty"`
	Items  int    `json:"items"`
}

// Origins are the sources of a dataset that Open made, in order; their items
// follow each other in the dataset. Files of a folder of array files are sources
// of their own. Of a dataset that wraps another there are none: opening them again
// would not give its items.
func Origins(ds Dataset) []Origin {
	if j, ok := ds.(*joined); ok {
		return j.origins
	}
	return nil
}

// Open opens the source by itself, as it was opened before but that labels count
// its own classes. It is an error when the number of its items has changed, and a
// *MachineError as with Open.
func (s Origin) Open(o Options) (Dataset, error) {
	return watched(fmt.Sprintf("%q as %s", s.Paths, s.Format), o, s.open)
}

func (s Origin) open(o Options) (Dataset, error) {
	f, err := formatNamed(s.Format)
	if err != nil {
		return nil, fmt.Errorf("opening a dataset again: %w", err)
	}
	if f == nil || len(s.Paths) == 0 {
		return nil, fmt.Errorf("opening a dataset again: its format is %q and it has %d paths", s.Format, len(s.Paths))
	}
	var got []source
	switch {
	case s.Folder != "":
		got, err = openImagesBelow(s.Folder, s.Paths, o)
	case len(s.Paths) > 1, f.Name == "images" && !isFolder(o.FS, s.Paths[0]):
		got, err = openImageFiles(s.Paths, o)
	default:
		got, err = f.open(s.Paths[0], o)
	}
	if err != nil {
		return nil, fmt.Errorf("opening dataset %q as %s: %w", s.Paths[0], s.Format, err)
	}
	for _, p := range got {
		if s.Prefix != "" {
			p.prefix(s.Prefix)
		}
	}
	ds := join(got)
	ds.origins = []Origin{s}
	if ds.Len() != s.Items {
		return nil, fmt.Errorf("opening dataset %q: it has %d items, and had %d before", s.Paths[0], ds.Len(), s.Items)
	}
	return ds, nil
}

// Expand is the files and folders that Open would open, one by one: globs and the
// list "-" become what they stand for. It looks at the local disk.
func Expand(sources []string, stdin io.Reader) ([]string, error) {
	w := NewWitness(Local)
	paths, err := expand(w, sources, stdin)
	if lost := w.Fault(); lost != nil {
		return nil, fmt.Errorf("looking for %q: %w", sources, lost)
	}
	return paths, err
}
