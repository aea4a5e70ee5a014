package annotate

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
)

// Format is one kind of annotations that Open reads.
type Format struct {
	Name string
	Doc  string
	open func(s *Set, path string) error
}

// Formats lists what Open reads.
var Formats = []Format{
	{"coco", "COCO JSON: boxes, polygons, run-length and panoptic masks, keypoints, and lists of results", rows(".json", (*Set).readCOCO)},
	{"yolo", "YOLO text files, a file a picture: class and box, polygon, turned box or box and points in fractions, confidence and track behind", openYOLO},
	{"csv", "table with a header: path, four box columns, label, id, score; comma or tab", rows(".csv", (*Set).readCSV)},
	{"voc", "Pascal VOC XML in any encoding, a file a picture", files(".xml", (*Set).readVOC)},
	{"medrega", "a language model's <ref>label</ref><box>[[x1, y1, x2, y2]]</box> in 0..999, as PICTURE<tab>ANSWER lines or JSON Lines",
		rows(".txt", (*Set).readAnswers)},
	{"boxes", "JSON Lines with a picture and its boxes, as a detector's run writes them",
		rows(".jsonl", (*Set).readBoxes)},
	{"labels", "label maps: PNG files named as the pictures, a value a region", files(".png", (*Set).readLabels)},
	{"bnhtrd", "the folder of BN-HTRd: YOLO boxes beside pictures of lines; the others are a region each, whose label is their text", openHandwriting},
}

// files opens a format by what reads one of its files: see eachFile.
func files(ext string, read func(s *Set, r io.Reader, file, name string) error) func(s *Set, path string) error {
	return func(s *Set, path string) error { return s.eachFile(path, ext, read) }
}

// rows is files of a format whose rows name their pictures.
func rows(ext string, read func(s *Set, r io.Reader, file string) error) func(s *Set, path string) error {
	return files(ext, func(s *Set, r io.Reader, file, _ string) error { return read(s, r, file) })
}

// byExtension is the format of a file by its extension, where that settles it.
var byExtension = map[string]string{".json": "coco", ".csv": "csv", ".tsv": "csv", ".xml": "voc", ".png": "labels"}

// byFolder are the formats of a folder by what its files are named, those that are told
// before others first: pictures, and notes of other kinds, may lie beside annotations, so PNG
// files are label maps only where nothing else is there.
var byFolder = []struct{ ext, format string }{{".xml", "voc"}, {".txt", "yolo"}, {".json", "coco"}, {".png", "labels"}}

func detect(disk disk, path, name string) (Format, error) {
	info, err := disk.Stat(path)
	if err != nil {
		return Format{}, err
	}
	if name == "" || name == "auto" {
		if info.IsDir() {
			name, err = detectFolder(disk, path)
		} else {
			name, err = detectFile(disk, path)
		}
		if err != nil {
			return Format{}, err
		}
	}
	names := make([]string, len(Formats))
	for i, f := range Formats {
		if f.Name == name {
			return f, nil
		}
		names[i] = f.Name
	}
	return Format{}, fmt.Errorf("format %q is not known; want auto, %s", name, strings.Join(names, ", "))
}

func detectFolder(disk disk, path string) (string, error) {
	if isBNHTRd(disk, path) {
		return "bnhtrd", nil
	}
	var found []string
	for _, f := range byFolder {
		files, _, err := disk.filesOf(path, f.ext)
		if err != nil {
			return "", err
		}
		files = slices.DeleteFunc(files, func(file string) bool {
			names, err := disk.isNames(file)
			return names || err != nil
		})
		first, beside := files[:min(len(files), 20)], len(found) > 0
		switch {
		case len(files) == 0, beside && !slices.ContainsFunc(first, disk.isYOLO),
			f.ext == ".json" && !slices.ContainsFunc(first, disk.isAnnotated):
			continue
		}
		found = append(found, f.format)
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", errors.New("the folder holds no annotations: no .xml (VOC), .txt (YOLO), .json (COCO) or .png file (label maps); say the format")
	}
	return "", fmt.Errorf("the folder holds files of %d formats (%s); say the format", len(found), strings.Join(found, ", "))
}

// isYOLO reports whether a text file holds rows of YOLO's.
func (d disk) isYOLO(file string) bool {
	format, err := detectFile(d, file)
	return err == nil && format == "yolo"
}

// isAnnotated reports whether a JSON file is COCO's or another tool's annotations.
func (d disk) isAnnotated(file string) bool {
	f, err := d.openRegular(file)
	if err != nil {
		return false
	}
	defer f.Close()
	s := newJSONStream(io.LimitReader(f, 64<<10))
	keys := s.firstKeys()
	return slices.Contains(keys, "annotations") || slices.Contains(keys, "image_id") || foreignIn(foreignJSON, withVIA(keys, s.head)) != nil
}

func detectFile(disk disk, path string) (string, error) {
	if name := byExtension[strings.ToLower(filepath.Ext(path))]; name != "" {
		return name, nil
	}
	f, err := disk.openRegular(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	head, _ := bufio.NewReaderSize(decodeText(f), 1<<16).Peek(1 << 16)
	return sniff(head)
}

// sniff tells the format of a file by how it begins.
func sniff(head []byte) (string, error) {
	head = bytes.TrimSpace(head)
	line, _, more := bytes.Cut(head, []byte("\n"))
	switch {
	case bytes.HasPrefix(head, []byte("\x89PNG")):
		return "labels", nil
	case bytes.HasPrefix(head, []byte("<")):
		return "voc", nil
	case bytes.HasPrefix(line, []byte("{")):
		if bytes.Contains(head, []byte("<box>")) {
			return "medrega", nil
		}
		if bytes.Contains(line, []byte(`"annotations"`)) || bytes.Contains(line, []byte(`"images"`)) || more && !bytes.HasSuffix(bytes.TrimSpace(line), []byte("}")) {
			return "coco", nil
		}
		if bytes.Contains(line, []byte(`"boxes"`)) {
			return "boxes", nil
		}
		return "medrega", nil
	case bytes.Contains(head, []byte("<box>")):
		return "medrega", nil
	}
	if fields := strings.Fields(string(line)); len(fields) >= 5 {
		if _, err := numbers(fields); err == nil {
			return "yolo", nil
		}
	}
	if bytes.ContainsAny(line, ",\t") {
		return "csv", nil
	}
	return "", errors.New("its format cannot be told by its name or its first line; say the format")
}

// disk is the file system that annotations lie in, which remembers what it could not tell.
type disk struct{ *dataset.Witness }

// filesOf is the files with an extension below a folder, as walk gives them, or the one
// file that path is; root is what their names are relative to.
func (d disk) filesOf(path, ext string) (files []string, root string, err error) {
	info, err := d.Stat(path)
	if err != nil {
		return nil, "", err
	}
	if !info.IsDir() {
		return []string{path}, filepath.Dir(path), nil
	}
	err = d.walk(path, func(file string, _ bool) error {
		if strings.EqualFold(filepath.Ext(file), ext) {
			files = append(files, file)
		}
		return nil
	})
	return files, path, err
}

// walk calls use with the regular files below a folder, folder by folder in the order of their
// names. Links are followed, and a folder that several lead to is gone through once, so there
// are no circles; a link that leads nowhere is broken.
func (d disk) walk(root string, use func(file string, broken bool) error) error {
	seen := map[string]bool{}
	var visit func(folder string) error
	visit = func(folder string) error {
		real, err := d.Real(folder)
		if err != nil || seen[real] {
			return err
		}
		seen[real] = true
		entries, err := fs.ReadDir(d, folder)
		for i := 0; err == nil && i < len(entries); i++ {
			name, kind, broken := filepath.Join(folder, entries[i].Name()), entries[i].Type(), false
			if kind&fs.ModeSymlink != 0 {
				if info, err := d.Stat(name); err != nil {
					broken = true
				} else {
					kind = info.Mode().Type()
				}
			}
			switch {
			case kind.IsDir():
				err = visit(name)
			case broken, kind.IsRegular():
				err = use(name, broken)
			}
		}
		return err
	}
	return visit(root)
}

// openRegular opens a file that is one: a pipe could wait for ever.
func (d disk) openRegular(path string) (fs.File, error) {
	info, err := d.Stat(path)
	if err != nil {
		if at, err2 := fs.Lstat(d, path); err2 == nil && at.Mode()&fs.ModeSymlink != 0 && dataset.FaultOf(err) != dataset.MachineFault {
			return nil, fmt.Errorf("%s is a link that cannot be followed: %v", path, err)
		}
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	return d.Open(path)
}

func relative(root, file string) string {
	if rel, err := filepath.Rel(root, file); err == nil {
		file = rel
	}
	return filepath.ToSlash(file)
}
