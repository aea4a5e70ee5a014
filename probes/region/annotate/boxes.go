package annotate

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// readBoxes reads JSON Lines of pictures and their boxes: {"id" or "path" or "image":
// NAME, "boxes": [[x1, y1, x2, y2], ...] or the same numbers in one list, "labels":
// [...], "ids": [...], "scores": [...]}, the last three where there are some; a score of null
// is none.
func (s *Set) readBoxes(r io.Reader, file string) error {
	return eachLine(r, func(line int, text []byte) {
		var v struct {
			ID, Path, Image name
			Boxes           json.RawMessage
			Labels, IDs     []name
			Scores          []*number
		}
		err := unmarshal(text, &v)
		picture := cmp.Or(string(v.ID), string(v.Path), string(v.Image))
		var boxes [][]float64
		if err == nil {
			boxes, err = boxList(v.Boxes)
		}
		switch {
		case err != nil:
		case picture == "":
			err = errNoName
		case v.Labels != nil && len(v.Labels) != len(boxes), v.IDs != nil && len(v.IDs) != len(boxes),
			v.Scores != nil && len(v.Scores) != len(boxes):
			err = fmt.Errorf("got %d boxes, %d labels, %d ids and %d scores; want as many of each, or none",
				len(boxes), len(v.Labels), len(v.IDs), len(v.Scores))
		}
		if err != nil {
			s.Faults.add(file, line, err)
			return
		}
		for i, b := range boxes {
			if len(b) != 4 {
				s.Faults.add(file, line, fmt.Errorf("box %d got %d numbers, want 4", i, len(b)))
				continue
			}
			m := s.boxMark(line, b, s.o.Boxes)
			if v.Labels != nil {
				m.label = string(v.Labels[i])
			}
			if v.IDs != nil {
				m.id = string(v.IDs[i])
			}
			if v.Scores != nil && v.Scores[i] != nil {
				score := float64(*v.Scores[i])
				m.score, s.scored = &score, true
			}
			s.add(picture, file, m)
		}
	})
}

func boxList(raw json.RawMessage) ([][]float64, error) {
	var boxes [][]float64
	if len(raw) == 0 {
		return nil, errors.New("the row got no boxes")
	}
	if json.Unmarshal(raw, &boxes) == nil {
		return boxes, nil
	}
	boxes = nil
	var flat []float64
	if err := json.Unmarshal(raw, &flat); err != nil || len(flat)%4 != 0 {
		return nil, fmt.Errorf("got the boxes %.80s, want [[x1, y1, x2, y2], ...]", raw)
	}
	for i := 0; i < len(flat); i += 4 {
		boxes = append(boxes, flat[i:i+4])
	}
	return boxes, nil
}
