package dataset

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
)

// Left is what of a folder was not taken.
type Left struct {
	Folder string `json:"folder"`
	Format string `json:"format"` // that the folder was read as
	// Files counts the files of other Formats by extension; "/" counts the sub-folders of a
	// folder that is not one of images.
	Files map[string]int `json:"files,omitempty"`
	// Pictures are of kinds that are not read, sorted by these.
	Pictures []LeftPictures `json:"pictures,omitempty"`
}

// LeftPictures counts pictures of a kind that is not read.
type LeftPictures struct {
	Kind  string `json:"kind"` // such as "HEIC"
	Files int    `json:"files"`
	// Remedy is what makes pictures of them that are read.
	Remedy string `json:"remedy"`
}

// noExtension is the kind of pictures whose names do not say that they are pictures.
const noExtension = "pictures named without an extension"

// leftFiles counts what is passed over while a folder is listed.
type leftFiles struct {
	files    map[string]int
	pictures map[string]*LeftPictures
}

func newLeft() *leftFiles { return &leftFiles{map[string]int{}, map[string]*LeftPictures{}} }

// leave counts a file that is passed over, if it is a picture or of another format.
func (l *leftFiles) leave(fsys fs.FS, path string) {
	name := filepath.Base(path)
	switch k := picture.Unread(name); {
	case k != nil:
		l.picture(k.Name, fmt.Sprintf("convert them, for example with %q", k.Convert))
	case slices.ContainsFunc(Formats, func(f Format) bool { return f.named != nil && f.named(name) }):
		l.files[extension(name)]++
	case filepath.Ext(name) == "" && picture.Is(firstBytes(fsys, path)):
		l.picture(noExtension, "name them as what they are, such as IN.jpg")
	}
}

func (l *leftFiles) picture(kind, remedy string) {
	if l.pictures[kind] == nil {
		l.pictures[kind] = &LeftPictures{Kind: kind, Remedy: remedy}
	}
	l.pictures[kind].Files++
}

// of is what was left of a folder, and whether that is anything.
func (l *leftFiles) of(folder, format string) (Left, bool) {
	left := Left{Folder: folder, Format: format}
	if len(l.files) > 0 {
		left.Files = l.files
	}
	for _, kind := range slices.Sorted(maps.Keys(l.pictures)) {
		left.Pictures = append(left.Pictures, *l.pictures[kind])
	}
	return left, len(l.files)+len(l.pictures) > 0
}

// String says what was left out: "2 HEIC (convert them, ...), 3 .npy files".
func (l Left) String() string {
	var parts []string
	for _, p := range l.Pictures {
		parts = append(parts, fmt.Sprintf("%d %s (%s)", p.Files, p.Kind, p.Remedy))
	}
	for _, ext := range slices.Sorted(maps.Keys(l.Files)) {
		what := ext + " file"
		if ext == "/" {
			what = "folder"
		}
		if l.Files[ext] > 1 {
			what += "s"
		}
		parts = append(parts, fmt.Sprintf("%d %s", l.Files[ext], what))
	}
	return strings.Join(parts, ", ")
}

// leftOf counts what a folder holds besides its files of a format. Of one that was asked
// for by name, other formats are left out knowingly.
func leftOf(fsys fs.FS, folder string, f *Format, asked bool, got []source) (Left, bool) {
	l := newLeft()
	if images, ok := got[0].(*imageList); ok {
		l = images.left
	} else if entries, err := fs.ReadDir(fsys, folder); err == nil && f.named != nil {
		for _, e := range entries {
			switch name := e.Name(); {
			case strings.HasPrefix(name, "."), f.named(name):
			case isFolder(fsys, filepath.Join(folder, name)):
				l.files["/"]++
			default:
				l.leave(fsys, filepath.Join(folder, name))
			}
		}
	}
	if asked {
		clear(l.files)
	}
	return l.of(folder, f.Name)
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

// holdsNone is the error of a folder without a picture.
func (l *leftFiles) holdsNone(folder string) error {
	err := "it holds no image: no file here or below is named as one that is read (" + strings.Join(picture.Extensions(), ", ") + ")"
	if left, some := l.of(folder, "images"); some {
		err += "; it holds " + left.String()
	}
	return errors.New(err)
}
