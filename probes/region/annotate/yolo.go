package annotate

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/onnxprobe/onnxprobe/probes/region"
)

// classesFile holds the class names of a YOLO folder, one a line; yamlFiles are the
// names of what holds them for Ultralytics.
const classesFile = "classes.txt"

var yamlFiles = []string{"data.yaml", "data.yml"}

// yamlAbove is how many folders up data.yaml is looked for: labels lie in
// DATA/labels/train/ or DATA/train/labels/.
const yamlAbove = 2

// openYOLO reads the text files of YOLO: "class cx cy w h" in fractions of the
// picture, with a confidence behind it that is passed over, or "class x1 y1 x2 y2 x3
// y3 ...", a polygon.
func openYOLO(s *Set, path string) error {
	if s.o.Names == nil {
		if err := s.readNames(path); err != nil {
			return err
		}
	}
	return s.eachFile(path, ".txt", func(s *Set, r io.Reader, file, name string) error {
		if filepath.Base(file) == classesFile {
			return nil
		}
		return s.readYOLO(r, file, name)
	})
}

// readNames takes the names of a folder's classes where a file has them: classes.txt in
// the folder, or else data.yaml there or up to two folders above, the nearest one.
func (s *Set) readNames(path string) error {
	if info, err := s.disk.Stat(path); err == nil && !info.IsDir() {
		path = filepath.Dir(path)
	}
	dir, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if found, err := s.namesFrom(filepath.Join(dir, classesFile), listNames); found || err != nil {
		return err
	}
	for range yamlAbove + 1 {
		for _, name := range yamlFiles {
			if found, err := s.namesFrom(filepath.Join(dir, name), yamlNames); found || err != nil {
				return err
			}
		}
		dir = filepath.Dir(dir)
	}
	return nil
}

// namesFrom takes the names of a file, if it is there and has some.
func (s *Set) namesFrom(file string, read func(io.Reader) ([]string, error)) (found bool, err error) {
	f, err := s.disk.openRegular(file)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	names, err := read(f)
	if err != nil {
		return false, fmt.Errorf("the class names of %s: %w", file, err)
	}
	if names != nil {
		s.o.Names, s.NamesFile = names, file
	}
	return names != nil, nil
}

// listNames reads class names, one a line; the first stands for class 0.
func listNames(r io.Reader) ([]string, error) {
	var names []string
	sc := bufio.NewScanner(decodeText(r))
	for sc.Scan() {
		names = append(names, strings.TrimSpace(sc.Text()))
	}
	return names, sc.Err()
}

func (s *Set) readYOLO(r io.Reader, file, name string) error {
	return eachLine(r, func(line int, text []byte) {
		m, err := s.yoloRow(strings.Fields(string(text)))
		if err == nil {
			err = checkBox(m.box)
		}
		if err != nil {
			s.Faults.add(file, line, err)
			return
		}
		m.line = line
		p := s.picture(name, file, line)
		p.bare = true
		p.keep(m)
	})
}

func (s *Set) yoloRow(fields []string) (mark, error) {
	m := mark{scale: 1}
	n := len(fields)
	if n != 5 && n != 6 && (n < 7 || n%2 == 0) {
		return m, fmt.Errorf("got %d fields, want class and cx cy w h, or class and three points or more", n)
	}
	v, err := numbers(fields[1:])
	if err != nil {
		return m, err
	}
	for _, c := range v {
		if c < -0.5 || c > 1.5 {
			return m, fmt.Errorf("got the coordinate %g, want fractions of the picture from 0 to 1", c)
		}
	}
	if m.label, err = s.className(fields[0]); err != nil {
		return m, err
	}
	if n <= 6 {
		m.box = corners([4]float64(v[:4]), "cxcywh")
		return m, nil
	}
	p := polygons{outlines: [][]float64{v}, scale: 1}
	m.box, m.shape = p.bounds(), p
	return m, nil
}

// className is the name of a class by number, or its number.
func (s *Set) className(field string) (string, error) {
	k, err := strconv.Atoi(field)
	if err != nil || k < 0 {
		return "", fmt.Errorf("got class %.40q, want a number from 0 on", field)
	}
	if s.o.Names == nil {
		return field, nil
	}
	if k >= len(s.o.Names) {
		return "", fmt.Errorf("got class %d, want one of the %d named", k, len(s.o.Names))
	}
	return s.o.Names[k], nil
}

// yoloBox is a box in YOLO's fractions.
func yoloBox(b region.Box, w, h float64) [4]float64 {
	return numbersOf(region.Box{X0: b.X0 / w, Y0: b.Y0 / h, X1: b.X1 / w, Y1: b.Y1 / h}, "cxcywh")
}
