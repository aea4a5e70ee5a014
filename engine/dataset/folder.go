package dataset

import (
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/engine/internal/safe"
)

// imageList is image files, in a folder or on their own.
type imageList struct {
	encoded
	folder string // what names are relative to; "" for files given one by one
	names  texts
	labels labels // empty where no file has a class
	left   *leftFiles
}

func newImageList(path, folder string) *imageList {
	return &imageList{encoded: encoded{part: part{path: path, format: "images"}}, folder: folder, left: newLeft()}
}

// openImages lists a folder as torchvision's ImageFolder does: its sub-folders,
// sorted, are the classes, and pictures may lie deeper. Pictures beside the
// class folders have no label. A folder without sub-folders has no classes.
// Names that begin with a dot are passed over.
func openImages(path string, o Options) ([]source, error) {
	l := newImageList(path, path)
	entries, err := fs.ReadDir(o.FS, path)
	if err != nil {
		return nil, safe.Reason(err)
	}
	labelled := false
	var loose []string
	for _, e := range entries { // sorted by name
		name := e.Name()
		switch {
		case strings.HasPrefix(name, "."):
		case isFolder(o.FS, filepath.Join(path, name)):
			before := l.names.len()
			if err := walk(o.FS, path, name, &l.names, l.left); err != nil {
				return nil, err
			}
			found := l.names.len() - before
			for range found {
				l.labels.add(int32(len(l.class)))
			}
			l.class, labelled = append(l.class, name), labelled || found > 0
		case picture.IsName(name):
			loose = append(loose, name)
		default:
			l.left.leave(o.FS, filepath.Join(path, name))
		}
	}
	if !labelled {
		l.labels, l.class = labels{}, nil
	}
	for _, name := range loose {
		if labelled {
			l.labels.add(-1)
		}
		if err := l.names.add(name); err != nil {
			return nil, err
		}
	}
	if l.names.len() == 0 {
		return nil, l.left.holdsNone(path)
	}
	return l.ready(o)
}

// walk adds to out the image files below a folder of root, folder by folder in the
// order of their paths, and counts in left what is passed over. Links are followed; a
// folder that several lead to is listed once, so there are no circles.
func walk(fsys fs.FS, root, dir string, out *texts, left *leftFiles) error {
	seen := map[string]bool{}
	files := map[string]*texts{} // their base names
	var folders []string
	var visit func(folder string) error
	visit = func(folder string) error {
		full := filepath.Join(root, folder)
		real, err := realPath(fsys, full)
		if err != nil {
			return fmt.Errorf("listing %q: %w", full, safe.Reason(err))
		}
		if seen[real] {
			return nil
		}
		seen[real] = true
		entries, err := fs.ReadDir(fsys, full)
		if err != nil {
			return fmt.Errorf("listing %q: %w", full, safe.Reason(err))
		}
		folders, files[folder] = append(folders, folder), &texts{}
		for _, e := range entries {
			name := filepath.Join(folder, e.Name())
			switch {
			case strings.HasPrefix(e.Name(), "."):
			case e.IsDir(), e.Type()&fs.ModeSymlink != 0 && isFolder(fsys, filepath.Join(root, name)):
				if err := visit(name); err != nil {
					return err
				}
			case picture.IsName(e.Name()):
				if err := files[folder].add(e.Name()); err != nil {
					return err
				}
			default:
				left.leave(fsys, filepath.Join(root, name))
			}
		}
		return nil
	}
	if real, err := realPath(fsys, root); err == nil {
		seen[real] = true
	}
	if err := visit(dir); err != nil {
		return err
	}
	slices.Sort(folders)
	for _, f := range folders {
		for i := range files[f].len() {
			if err := out.add(f, string(filepath.Separator), files[f].at(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// looksImage tells an image file by its name or its first bytes; one of a kind that is not
// read too, whose error names it.
func looksImage(fsys fs.FS, path string) bool {
	b := firstBytes(fsys, path)
	return picture.IsName(path) || picture.Is(b) || picture.Unread(path) != nil || picture.UnreadAs(b) != nil
}

// openImageFiles makes one source of image files given one by one.
func openImageFiles(paths []string, o Options) ([]source, error) {
	l := newImageList(paths[0], "")
	if len(paths) > 1 {
		l.path = fmt.Sprintf("%s and %d more files", paths[0], len(paths)-1)
	}
	for _, p := range paths {
		if err := l.names.add(p); err != nil {
			return nil, err
		}
	}
	return l.ready(o)
}

// openImagesBelow makes a source of some of a folder's pictures, whose names are
// known: what openImages would make of the folder if it held no others.
func openImagesBelow(folder string, names []string, o Options) ([]source, error) {
	l := newImageList(folder, folder)
	classOf := func(name string) string {
		class, _, deep := strings.Cut(name, string(filepath.Separator))
		if !deep {
			return ""
		}
		return class
	}
	labels := map[string]int32{"": -1}
	for _, name := range names {
		labels[classOf(name)] = -1
	}
	for i, class := range slices.Sorted(maps.Keys(labels))[1:] { // after ""
		labels[class], l.class = int32(i), append(l.class, class)
	}
	for _, name := range names {
		if err := l.names.add(name); err != nil {
			return nil, err
		}
		if l.class != nil {
			l.labels.add(labels[classOf(name)])
		}
	}
	return l.ready(o)
}

func (l *imageList) ready(o Options) ([]source, error) {
	l.where, l.label = l.file, l.labels.at
	l.root = sync.OnceValue(func() string {
		if l.folder != "" {
			return l.folder
		}
		return common(l.names.len(), l.names.at)
	})
	l.load = func(i int) ([]byte, error) { return readRegular(o.FS, l.file(i), l.o.MaxFileBytes) }
	return []source{l}, l.settle(o, l.names.len())
}

func (l *imageList) file(i int) string {
	if l.folder == "" {
		return l.names.at(i)
	}
	return filepath.Join(l.folder, l.names.at(i))
}

func (l *imageList) distinct() (string, bool) { return plain(l.before), l.folder != "" }

func (l *imageList) Item(i int) Item {
	id := l.names.at(i)
	if l.folder != "" {
		id = l.before + id
	}
	it := l.item(id, i)
	it.Path = l.file(i)
	return it
}
