package dataset

import (
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// Left is what of a folder was not taken, since it is of other kinds than the rest.
type Left struct {
	Folder string `json:"folder"`
	Format string `json:"format"` // that the folder was read as
	// Files counts the files of other Formats by extension; "/" counts the sub-folders of a
	// folder that is not one of images.
	Files leftFiles `json:"files"`
}

type leftFiles = map[string]int

// leave counts a file that a folder of images passes over, if it is of another kind.
func leave(left leftFiles, name string) {
	if slices.ContainsFunc(Formats, func(f Format) bool { return f.named != nil && f.named(name) }) {
		left[extension(name)]++
	}
}

// leftOf counts what a folder holds besides its files of a format that was told by
// their names.
func leftOf(fsys fs.FS, folder string, f *Format, got []source) leftFiles {
	if l, ok := got[0].(*imageList); ok {
		return l.left
	}
	entries, err := fs.ReadDir(fsys, folder)
	if err != nil || f.named == nil {
		return nil
	}
	left := leftFiles{}
	for _, e := range entries {
		switch name := e.Name(); {
		case strings.HasPrefix(name, "."), f.named(name):
		case isFolder(fsys, filepath.Join(folder, name)):
			left["/"]++
		default:
			leave(left, name)
		}
	}
	return left
}

// extension is that of a name, with the .tar before it; of a name without one, the name.
func extension(name string) string {
	ext := filepath.Ext(name)
	if ext == "" {
		return name
	}
	if inner := filepath.Ext(strings.TrimSuffix(name, ext)); strings.EqualFold(inner, ".tar") {
		ext = inner + ext
	}
	return strings.ToLower(ext)
}
