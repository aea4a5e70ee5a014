package annotate

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes/region"
)

// classesFile holds the class names of a YOLO folder, one a line, as do those of Darknet and
// Roboflow; yamlFiles are the names of what holds them for Ultralytics.
const classesFile = "classes.txt"

var (
	namesFiles = []string{classesFile, "obj.names", "_darknet.labels"}
	yamlFiles  = []string{"data.yaml", "data.yml"}
)

// namesAbove is how many folders up such files are looked for: labels lie in
// DATA/labels/train/ or DATA/train/labels/.
const namesAbove = 2

// openYOLO reads the text files of YOLO, whose numbers are fractions of the picture: boxes,
// "class cx cy w h"; polygons and turned boxes, "class x1 y1 x2 y2 x3 y3 ..."; and boxes with
// points, "class cx cy w h px1 py1 ...", of two numbers or with visibility of three. Behind
// each there may be a confidence, the number of a track, or both. Which of them the rows are
// settleYOLO finds out.
func openYOLO(s *Set, path string) error {
	if err := s.readNames(path); err != nil {
		return err
	}
	err := s.eachFile(path, ".txt", func(s *Set, r io.Reader, file, name string) error {
		if names, err := s.disk.isNames(file); names || err != nil {
			return err
		}
		return s.readYOLO(r, file, name)
	})
	if err == nil {
		err = s.settleYOLO()
	}
	return err
}

// readNames takes what files say of a folder's classes and points, there or up to two folders
// above, of each the nearest.
func (s *Set) readNames(path string) error {
	info, err := s.disk.Stat(path)
	folder := err == nil && info.IsDir()
	if err == nil && !folder {
		path = filepath.Dir(path)
	}
	dir, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	named, described := s.o.Names != nil, s.o.task.task != ""
	if named && described {
		return nil
	}
	for range namesAbove + 1 {
		for _, name := range slices.Concat(namesFiles, yamlFiles) {
			yaml := slices.Contains(yamlFiles, name)
			if named && (described || !yaml) {
				continue
			}
			d, err := s.described(filepath.Join(dir, name), yaml)
			if err != nil {
				return err
			}
			if d == nil {
				continue
			}
			if d.unnamed != nil && !named {
				return fmt.Errorf("the class names of %s: %w", filepath.Join(dir, name), d.unnamed)
			}
			if d.names != nil && !named {
				s.o.Names, s.NamesFile, named = d.names, filepath.Join(dir, name), true
			}
			if !yaml || described || d.names == nil && d.points == [2]int{} {
				continue
			}
			s.yolo.described, described = true, true
			if s.yolo.points = d.points; d.points != [2]int{} {
				s.pointsFile = filepath.Join(dir, name)
			}
		}
		dir = filepath.Dir(dir)
	}
	if !folder || s.o.Names != nil && s.NamesFile == "" {
		return nil
	}
	return s.namesBelow(path)
}

// namesBelow takes the class names of files below a folder, which must be those found before
// and all the same.
func (s *Set) namesBelow(folder string) error {
	return s.disk.walk(folder, func(file string, _ bool) error {
		if !slices.Contains(namesFiles, filepath.Base(file)) {
			return nil
		}
		d, err := s.described(file, false)
		switch {
		case err != nil || d == nil || len(d.names) == 0:
			return err
		case s.o.Names == nil:
			s.o.Names, s.NamesFile = d.names, file
		case !slices.Equal(s.o.Names, d.names):
			return onnx.Remedy(fmt.Errorf("the class names of %s and of %s are not the same; read their folders one by one, or say the names",
				s.NamesFile, file), "annotate.Options.Names")
		}
		return nil
	})
}

// isNames reports whether a file is named as the list of classes and does not hold rows of
// labels, those of a picture of that name. It is an error where it could be both.
func (d disk) isNames(file string) (bool, error) {
	if filepath.Base(file) != classesFile {
		return false, nil
	}
	f, err := d.openRegular(file)
	if err != nil {
		return false, err
	}
	defer f.Close()
	rows, others := 0, 0
	err = eachLine(f, func(_ int, text []byte) {
		fields := strings.Fields(string(text))
		if _, err := numbers(fields); err == nil && len(fields) >= 5 {
			rows++
		} else {
			others++
		}
	})
	if err == nil && rows > 0 && others > 0 {
		err = fmt.Errorf("%s has %d rows of labels and %d other lines; want class names alone, or the labels of a picture alone", file, rows, others)
	}
	return rows == 0, err
}

// described is what a file says of the data, nil where it is not there.
func (s *Set) described(file string, yaml bool) (*yamlData, error) {
	if names, err := s.disk.isNames(file); err == nil && !names && filepath.Base(file) == classesFile {
		return nil, nil
	} else if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	f, err := s.disk.openRegular(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	d := &yamlData{}
	if yaml {
		d, err = readYAML(f)
	} else {
		d.names, err = listNames(f)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return d, nil
}

// listNames reads class names, one a line; the first stands for class 0.
func listNames(r io.Reader) ([]string, error) {
	var names []string
	sc := bufio.NewScanner(decodeText(r))
	for sc.Scan() {
		if names = append(names, strings.TrimSpace(sc.Text())); !utf8.Valid(sc.Bytes()) {
			return nil, fmt.Errorf("line %d: %w", len(names), errNoUTF8)
		}
	}
	return names, sc.Err()
}

// yoloRows are the rows of YOLO's files until it is known how to read them.
type yoloRows struct {
	rows []yoloRow
	// points are kpt_shape of data.yaml, zero where that does not say; described says that
	// there is one.
	points    [2]int
	described bool
}

// yoloRow is a row: what is behind the class.
type yoloRow struct {
	picture, line int
	label         string
	v             []float64
}

func (s *Set) readYOLO(r io.Reader, file, name string) error {
	picture, list := -1, false
	return eachLine(r, func(line int, text []byte) {
		if list = list || picture < 0 && isPicture(string(text)); list {
			if picture < 0 {
				picture = 0
				s.note(PictureList)
			}
			return
		}
		row, err := s.yoloRow(strings.Fields(string(text)))
		if err != nil {
			s.Faults.add(file, line, err)
			return
		}
		if picture < 0 {
			s.picture(name, file, line).bare = true
			picture = s.index[name]
		}
		row.picture, row.line = picture, line
		s.yolo.rows = append(s.yolo.rows, row)
	})
}

func (s *Set) yoloRow(fields []string) (row yoloRow, err error) {
	if f := foreignRow(fields); f != nil {
		return row, f
	}
	if n := len(fields); n < 5 {
		return row, fmt.Errorf("got %d fields, want class and cx cy w h, or class and three points or more", n)
	}
	if row.v, err = numbers(fields[1:]); err != nil {
		return row, err
	}
	row.label, err = s.className(fields[0])
	return row, err
}

// foreignRow is what a row is of that is none of YOLO's, or nil.
func foreignRow(fields []string) *foreign {
	word := func(i int) bool {
		_, err := numbers(fields[i : i+1])
		return err != nil
	}
	switch n := len(fields); {
	case n >= 15 && n <= 16 && word(0) && !word(1):
		return &foreign{name: "KITTI", convert: "write COCO or YOLO of it"}
	case n >= 9 && n <= 10 && !word(0) && !word(7) && word(8), n == 1 && strings.HasPrefix(fields[0], "imagesource:"):
		return &foreign{name: "DOTA", convert: "write YOLO's OBB of it with convert_dota_to_yolo_obb of ultralytics"}
	case n == 1 && strings.Count(fields[0], ",") >= 6:
		return &noHeader
	}
	return nil
}

var noHeader = foreign{name: "MOT, or a table without a header", convert: "write its columns' names in the first line and read it as a table"}

// className is the name of a class by number, or its number.
func (s *Set) className(field string) (string, error) {
	v, err := strconv.ParseFloat(field, 64)
	if err != nil || v < 0 || v != math.Trunc(v) || v > 1<<31 {
		return "", fmt.Errorf("got class %.40q, want a number from 0 on", field)
	}
	k := int(v)
	if s.o.Names == nil {
		return strconv.Itoa(k), nil
	}
	if k >= len(s.o.Names) {
		return "", because(NoClass, fmt.Errorf("got class %d, want one of the %d named", k, len(s.o.Names)))
	}
	return s.o.Names[k], nil
}

// yoloBox is a box in YOLO's fractions.
func yoloBox(b region.Box, w, h float64) [4]float64 {
	return numbersOf(region.Box{X0: b.X0 / w, Y0: b.Y0 / h, X1: b.X1 / w, Y1: b.Y1 / h}, "cxcywh")
}
