package dataset

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// imageList is image files, in a folder or on their own.
type imageList struct {
	path   string // the source
	root   string // what names are relative to; "" for files given one by one
	before string // the IDs' prefix
	names  []string
	labels []int32 // nil where no file has a class
	class  []string
	encoded
}

// openImages lists a folder as torchvision's ImageFolder does: its sub-folders,
// sorted, are the classes, and pictures may lie deeper. Pictures beside the
// class folders have no label. A folder without sub-folders has no classes.
// Names that begin with a dot are passed over.
func openImages(path string, o Options) ([]source, error) {
	l := &imageList{path: path, root: path}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, reason(err)
	}
	labelled := false
	var loose []string
	for _, e := range entries { // sorted by name
		name := e.Name()
		switch {
		case strings.HasPrefix(name, "."):
		case isFolder(filepath.Join(path, name)):
			found, err := walk(path, name)
			if err != nil {
				return nil, err
			}
			for _, f := range found {
				l.names, l.labels = append(l.names, f), append(l.labels, int32(len(l.class)))
			}
			l.class, labelled = append(l.class, name), labelled || len(found) > 0
		case isImageName(name):
			loose = append(loose, name)
		}
	}
	if !labelled {
		l.labels, l.class = nil, nil
	} else {
		l.labels = append(l.labels, slices.Repeat([]int32{-1}, len(loose))...)
	}
	if l.names = append(l.names, loose...); len(l.names) == 0 {
		return nil, errors.New("it holds no image: no file here or below is named .jpg, .jpeg, .png, .webp, .gif, .bmp or .tiff")
	}
	return l.ready(o)
}

// walk lists the image files below a folder of root, folder by folder in the
// order of their paths. Links are followed; a folder that several lead to is
// listed once, so there are no circles.
func walk(root, dir string) ([]string, error) {
	seen := map[string]bool{}
	files := map[string][]string{}
	var folders []string
	var visit func(folder string) error
	visit = func(folder string) error {
		full := filepath.Join(root, folder)
		real, err := filepath.EvalSymlinks(full)
		if err != nil {
			return fmt.Errorf("listing %q: %w", full, reason(err))
		}
		if seen[real] {
			return nil
		}
		seen[real] = true
		entries, err := os.ReadDir(full)
		if err != nil {
			return fmt.Errorf("listing %q: %w", full, reason(err))
		}
		folders = append(folders, folder)
		for _, e := range entries {
			name := filepath.Join(folder, e.Name())
			switch {
			case strings.HasPrefix(e.Name(), "."):
			case e.IsDir(), e.Type()&os.ModeSymlink != 0 && isFolder(filepath.Join(root, name)):
				if err := visit(name); err != nil {
					return err
				}
			case isImageName(e.Name()):
				files[folder] = append(files[folder], name)
			}
		}
		return nil
	}
	if real, err := filepath.EvalSymlinks(root); err == nil {
		seen[real] = true
	}
	if err := visit(dir); err != nil {
		return nil, err
	}
	slices.Sort(folders)
	var out []string
	for _, f := range folders {
		out = append(out, files[f]...)
	}
	return out, nil
}

func isFolder(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

// looksImage tells an image file by its name or its first bytes.
func looksImage(path string) bool {
	b := firstBytes(path)
	return isImageName(path) || slices.ContainsFunc(imageFormats, func(f imageFormat) bool { return hasMagic(b, f.magic) })
}

// firstBytes is how a regular file begins; empty where it cannot be read.
func firstBytes(path string) []byte {
	st, err := os.Stat(path)
	if err != nil || !st.Mode().IsRegular() {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	b := make([]byte, 16)
	n, _ := f.Read(b)
	return b[:n]
}

// openImageFiles makes one source of image files given one by one.
func openImageFiles(paths []string, o Options) ([]source, error) {
	l := &imageList{path: paths[0], names: paths}
	if len(paths) > 1 {
		l.path = fmt.Sprintf("%s and %d more files", paths[0], len(paths)-1)
	}
	return l.ready(o)
}

func (l *imageList) ready(o Options) ([]source, error) {
	l.where = l.file
	l.load = func(i int) ([]byte, error) { return readRegular(l.file(i), l.limits.bytes) }
	return []source{l}, l.settle(o, len(l.names))
}

func (l *imageList) file(i int) string {
	if l.root == "" {
		return l.names[i]
	}
	return filepath.Join(l.root, l.names[i])
}

func (l *imageList) prefix(s string)          { l.before = plain(s) }
func (l *imageList) classes() []string        { return l.class }
func (l *imageList) distinct() (string, bool) { return l.before, l.root != "" }

func (l *imageList) Item(i int) Item {
	it := Item{ID: plain(l.names[i]), Path: l.file(i), Label: -1}
	if l.root != "" {
		it.ID = l.before + it.ID
	}
	if l.labels != nil && l.labels[i] >= 0 {
		it.Label = int(l.labels[i])
		it.Class = l.class[it.Label]
	}
	return it
}

func (l *imageList) describe() Description {
	return Description{Sources: []Source{{Path: l.path, Format: "images", Items: len(l.names), Preprocess: &l.pre}}}
}
