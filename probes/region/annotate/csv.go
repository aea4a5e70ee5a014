package annotate

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
)

// csvColumns are the names that a table's columns may have.
var csvColumns = struct{ path, label, id, score, width, height []string }{
	path:  []string{"path", "image", "image_path", "file_name", "filename", "file"},
	label: []string{"label", "class", "name"},
	id:    []string{"id", "region"},
	score: []string{"score", "confidence", "conf"},
	// Of the picture, which is then compared.
	width:  []string{"width", "image_width", "img_width"},
	height: []string{"height", "image_height", "img_height"},
}

// boxColumns are the names of the four columns of a box, by what they mean.
var boxColumns = []struct {
	meaning string
	names   [4]string
}{
	{"xyxy", [4]string{"x1", "y1", "x2", "y2"}}, {"xywh", [4]string{"x", "y", "w", "h"}},
	{"cxcywh", [4]string{"cx", "cy", "w", "h"}}, {"xyxy", [4]string{"x0", "y0", "x1", "y1"}},
	{"xyxy", [4]string{"xmin", "ymin", "xmax", "ymax"}},
}

// readCSV reads a table with a header: the columns path, x1, y1, x2, y2 (or x, y, w, h,
// or cx, cy, w, h) and perhaps label, id and
// score, in any order. An empty score is none.
func (s *Set) readCSV(r io.Reader, file string) error {
	text := bufio.NewReader(&shortLines{r: decodeText(r)})
	c := csv.NewReader(text)
	c.FieldsPerRecord, c.ReuseRecord = -1, true
	head, _ := text.Peek(4096)
	if first, _, _ := bytes.Cut(head, []byte("\n")); bytes.Contains(first, []byte("\t")) {
		c.Comma = '\t'
	}
	header, err := c.Read()
	if err == io.EOF {
		return errors.New("the file is empty")
	}
	if err != nil {
		return fmt.Errorf("reading the header: %w", err)
	}
	t, err := newTable(header, s.o.Boxes)
	if err != nil {
		return err
	}
	width := len(header)
	for {
		row, err := c.Read()
		if err == io.EOF {
			return nil
		}
		var broken *csv.ParseError
		switch {
		case errors.As(err, &broken):
			s.Faults.add(file, broken.StartLine, err)
			continue
		case err != nil:
			return err
		}
		line, _ := c.FieldPos(0)
		if err := s.csvRow(t, row, width, file, line); err != nil {
			s.Faults.add(file, line, err)
		}
	}
}

// table is where a CSV file's columns are; -1 is none.
type table struct {
	path, label, id, score, width, height int

	box     [4]int
	meaning string
}

func newTable(header []string, meaning string) (table, error) {
	names := make([]string, len(header))
	for i, h := range header {
		names[i] = strings.ToLower(strings.TrimSpace(h))
	}
	var twice error
	find := func(of []string) int {
		first := -1
		for i, n := range names {
			if slices.Contains(of, n) && first < 0 {
				first = i
			} else if slices.Contains(of, n) && twice == nil {
				twice = fmt.Errorf("the header got the columns %s and %s, which mean the same; rename or leave out all but one", names[first], n)
			}
		}
		return first
	}
	if f := foreignIn(foreignCSV, names); f != nil {
		return table{}, f
	}
	if _, err := numbers(header); err == nil && len(header) > 4 {
		return table{}, &noHeader
	}
	t := table{path: find(csvColumns.path), label: find(csvColumns.label), id: find(csvColumns.id), score: find(csvColumns.score),
		width: find(csvColumns.width), height: find(csvColumns.height)}
	if twice != nil {
		return t, twice
	}
	if t.path < 0 {
		return t, fmt.Errorf("the header got %q, want a column %s", header, strings.Join(csvColumns.path, " or "))
	}
	for _, c := range boxColumns {
		for i, n := range c.names {
			t.box[i] = slices.Index(names, n)
		}
		if !slices.Contains(t.box[:], -1) {
			t.meaning = c.meaning
			break
		}
	}
	if t.meaning == "" {
		return t, fmt.Errorf("the header got %q, want the columns x1, y1, x2, y2 or x, y, w, h or cx, cy, w, h", header)
	}
	if meaning != "" {
		t.meaning = meaning
	}
	return t, nil
}

func (s *Set) csvRow(t table, row []string, width int, file string, line int) error {
	if len(row) != width {
		return fmt.Errorf("got %d fields, want %d as in the header", len(row), width)
	}
	name := strings.TrimSpace(row[t.path])
	switch {
	case name == "":
		return errNoName
	case !utf8.ValidString(strings.Join(row, "")):
		return errNoUTF8
	}
	fields := make([]string, 4)
	for i, c := range t.box {
		fields[i] = row[c]
	}
	v, err := numbers(fields)
	if err != nil {
		return err
	}
	size, err := t.size(row)
	if err != nil {
		return err
	}
	m := s.boxMark(line, v, t.meaning)
	if t.label >= 0 {
		m.label = strings.Clone(row[t.label])
	}
	if t.id >= 0 {
		m.id = strings.Clone(row[t.id])
	}
	if t.score >= 0 && strings.TrimSpace(row[t.score]) != "" {
		score, err := numbers(row[t.score : t.score+1])
		if err != nil {
			return fmt.Errorf("the score: %w", err)
		}
		m.score, s.scored = &score[0], true
	}
	if err := checkBox(m.box); err != nil {
		return err
	}
	p := s.picture(strings.Clone(name), file, m.line)
	switch old := p.size; {
	case old == (picture.Size{}):
		p.size = size
	case size != (picture.Size{}) && size != old:
		return because(OtherSize, fmt.Errorf("picture %q: got a size of %d x %d (width x height), and %d x %d in a row before",
			name, size.W, size.H, old.W, old.H))
	}
	p.keep(m)
	return nil
}

// size is what a row says of its picture's, zero where it does not.
func (t table) size(row []string) (picture.Size, error) {
	if t.width < 0 || t.height < 0 || strings.TrimSpace(row[t.width]+row[t.height]) == "" {
		return picture.Size{}, nil
	}
	n, err := numbers([]string{row[t.width], row[t.height]})
	if err != nil || n[0] < 0 || n[1] < 0 || n[0] != math.Trunc(n[0]) || n[1] != math.Trunc(n[1]) || max(n[0], n[1]) > 1<<31 {
		return picture.Size{}, fmt.Errorf("got the picture's size %.40q x %.40q, want whole numbers", row[t.width], row[t.height])
	}
	if n[0] == 0 || n[1] == 0 { // which say nothing
		return picture.Size{}, nil
	}
	return picture.Size{W: int(n[0]), H: int(n[1])}, nil
}
