package annotate

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// csvColumns are the names that a table's columns may have.
var csvColumns = struct{ path, label, id, score []string }{
	path:  []string{"path", "image", "image_path", "file_name", "filename", "file"},
	label: []string{"label", "class", "name"},
	id:    []string{"id", "region"},
	score: []string{"score", "confidence", "conf"},
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
	path, label, id, score int
	box                    [4]int
	meaning                string
}

func newTable(header []string, meaning string) (table, error) {
	names := make([]string, len(header))
	for i, h := range header {
		names[i] = strings.ToLower(strings.TrimSpace(h))
	}
	find := func(of []string) int {
		return slices.IndexFunc(names, func(n string) bool { return slices.Contains(of, n) })
	}
	if f := foreignIn(foreignCSV, names); f != nil {
		return table{}, f
	}
	t := table{path: find(csvColumns.path), label: find(csvColumns.label), id: find(csvColumns.id), score: find(csvColumns.score)}
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
	s.add(strings.Clone(name), file, m)
	return nil
}
