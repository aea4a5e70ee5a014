package annotate

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// csvWriter writes a table of boxes in pixels, a row a region.
type csvWriter struct{ *csv.Writer }

func newCSVWriter(w io.Writer) encoder {
	c := csvWriter{csv.NewWriter(w)}
	c.Writer.Write([]string{"path", "x1", "y1", "x2", "y2", "label", "id", "score"}) // Close reports errors
	return c
}

func (c csvWriter) write(p Picture) (lost Counts, err error) {
	for _, r := range p.Regions {
		row := []string{p.Name}
		for _, v := range numbersOf(r.Box, "xyxy") {
			row = append(row, strconv.FormatFloat(v, 'g', -1, 64))
		}
		score := ""
		if r.Score != nil {
			score = strconv.FormatFloat(*r.Score, 'g', -1, 64)
		}
		if err := c.Write(append(row, r.Label, r.ID, score)); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func (c csvWriter) close() error {
	c.Flush()
	return c.Error()
}

// lines writes JSON Lines, one a picture.
type lines struct {
	w  *bufio.Writer
	of func(Picture) (any, error)
}

func (l lines) write(p Picture) (lost Counts, err error) {
	v, err := l.of(p)
	if err != nil {
		return nil, fmt.Errorf("picture %q: %w", p.Name, err)
	}
	b, err := compact(v)
	if err != nil {
		return nil, err
	}
	_, err = l.w.Write(append(b, '\n'))
	return nil, err
}

func (l lines) close() error { return l.w.Flush() }

func newBoxesWriter(w io.Writer) encoder {
	return lines{bufio.NewWriter(w), func(p Picture) (any, error) {
		row := struct {
			Path   string       `json:"path"`
			Boxes  [][4]float64 `json:"boxes"`
			Labels []string     `json:"labels"`
			IDs    []string     `json:"ids"`
			Scores []*float64   `json:"scores,omitempty"` // null for none
		}{Path: p.Name, Boxes: [][4]float64{}, Labels: []string{}, IDs: []string{}}
		for _, r := range p.Regions {
			row.Boxes = append(row.Boxes, numbersOf(r.Box, "xyxy"))
			row.Labels, row.IDs = append(row.Labels, r.Label), append(row.IDs, r.ID)
			row.Scores = append(row.Scores, r.Score)
		}
		if !slices.ContainsFunc(row.Scores, func(s *float64) bool { return s != nil }) {
			row.Scores = nil
		}
		return row, nil
	}}
}

func newAnswerWriter(w io.Writer) encoder {
	return lines{bufio.NewWriter(w), func(p Picture) (any, error) {
		a, err := answerOf(p, 999)
		return struct {
			Image  string `json:"image"`
			Answer string `json:"answer"`
		}{p.Name, a}, err
	}}
}

// answerOf is the regions of a picture as MedRegA writes them, neighbouring ones of one
// label together, with coordinates rounded to whole numbers from 0 to scale. A box
// thinner than a step is made one step wide, since none is empty.
func answerOf(p Picture, scale int) (string, error) {
	var b strings.Builder
	for i, r := range p.Regions {
		label := strings.Join(strings.Fields(r.Label), " ")
		if strings.Contains(label, "ref>") || strings.Contains(label, "box>") {
			return "", fmt.Errorf("region %q: the label %q has the tags of the format in it", r.ID, r.Label)
		}
		if i == 0 || p.Regions[i-1].Label != r.Label {
			fmt.Fprintf(&b, "<ref>%s</ref><box>[", label)
		} else {
			b.WriteString(", ")
		}
		x0, x1 := steps(r.Box.X0, r.Box.X1, p.Size.W, scale)
		y0, y1 := steps(r.Box.Y0, r.Box.Y1, p.Size.H, scale)
		fmt.Fprintf(&b, "[%d, %d, %d, %d]", x0, y0, x1, y1)
		if i+1 == len(p.Regions) || p.Regions[i+1].Label != r.Label {
			b.WriteString("]</box>")
		}
	}
	return b.String(), nil
}

// steps are the two ends of an edge counted in parts of the picture's.
func steps(from, to float64, edge, scale int) (a, b int) {
	at := func(v float64) int {
		return int(min(max(math.Round(v/float64(edge)*float64(scale)), 0), float64(scale)))
	}
	if a, b = at(from), at(to); a == b {
		if a == scale {
			return a - 1, b
		}
		b++
	}
	return a, b
}
