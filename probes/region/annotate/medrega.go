package annotate

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/onnxprobe/onnxprobe/probes/region"
)

// readAnswers reads a language model's answers with regions in the text, as MedRegA
// (arXiv 2410.18387) and other InternVL models write them:
// <ref>label</ref><box>[[x1, y1, x2, y2], ...]</box>, whole numbers from 0 to 999, which
// is the picture's far edge. A line is PICTURE<tab>ANSWER, or a JSON object with a
// picture and an answer.
func (s *Set) readAnswers(r io.Reader, file string) error {
	return eachLine(r, func(line int, text []byte) {
		var a answer
		var err error
		if text[0] == '{' {
			err = json.Unmarshal(text, &a)
		} else {
			image, rest, ok := bytes.Cut(text, []byte("\t"))
			if a.Image, a.Answer = name(image), string(rest); !ok {
				err = errors.New("got no tab, want PICTURE<tab>ANSWER or a JSON object")
			}
		}
		picture := string(cmp.Or(a.Image, a.Path, a.ID))
		if err == nil && picture == "" {
			err = errNoName
		}
		if err != nil {
			s.Faults.add(file, line, err)
			return
		}
		marks, faults := parseAnswer(a.text(), s.o.Scale)
		for _, err := range faults {
			s.Faults.add(file, line, err)
		}
		for _, m := range marks {
			m.line = line
			s.add(picture, file, m)
		}
	})
}

// answer is a line of JSON Lines: who asked calls the two what they like.
type answer struct {
	Image, Path, ID                    name
	Answer, Text, Response, Prediction string
	Conversations                      []struct{ From, Value string }
}

func (a answer) text() string {
	if t := cmp.Or(a.Answer, a.Text, a.Response, a.Prediction); t != "" {
		return t
	}
	var all []string
	for _, c := range a.Conversations {
		if c.From != "human" && c.From != "system" {
			all = append(all, c.Value)
		}
	}
	return strings.Join(all, "\n")
}

// tagged is a label, where there is one, and its boxes.
var tagged = regexp.MustCompile(`(?s)(?:<ref>(.*?)</ref>\s*)?<box>(.*?)(</box>|<box>|<ref>|$)`)

// parseAnswer reads the regions in a language model's answer, in order. Coordinates are
// whole numbers from 0 to scale. The rest of the text is passed over. What is in a <box>
// and no list of boxes is a fault; the other boxes stay.
func parseAnswer(text string, scale int) (marks []mark, faults []error) {
	for _, t := range tagged.FindAllStringSubmatch(text, -1) {
		label := strings.TrimSpace(t[1])
		if t[3] != "</box>" {
			faults = append(faults, fmt.Errorf("%q: a <box> got no </box>", label))
			continue
		}
		var boxes []json.RawMessage
		if err := json.Unmarshal([]byte(t[2]), &boxes); err != nil {
			faults = append(faults, fmt.Errorf("%q: got %.80q, want [[x1, y1, x2, y2], ...]", label, t[2]))
			continue
		}
		for _, raw := range boxes {
			b, err := answerBox(raw, scale)
			if err != nil {
				faults = append(faults, fmt.Errorf("%q: %w", label, err))
				continue
			}
			marks = append(marks, mark{label: label, box: b, scale: float64(scale)})
		}
	}
	return marks, faults
}

func answerBox(raw json.RawMessage, scale int) (region.Box, error) {
	var v []int
	if err := json.Unmarshal(raw, &v); err != nil || len(v) != 4 {
		return region.Box{}, fmt.Errorf("got the box %.80s, want four whole numbers", raw)
	}
	for _, c := range v {
		if c < 0 || c > scale {
			return region.Box{}, fmt.Errorf("got the box %.80s, want coordinates from 0 to %d", raw, scale)
		}
	}
	b := region.Box{X0: float64(v[0]), Y0: float64(v[1]), X1: float64(v[2]), Y1: float64(v[3])}
	return b, checkBox(b)
}
