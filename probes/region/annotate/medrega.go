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
		picture, said, err := answered(text)
		if err == nil && picture == "" {
			err = errNoName
		}
		if err != nil {
			s.Faults.add(file, line, err)
			return
		}
		marks, faults := parseAnswer(said, s.o.Scale)
		for _, err := range faults {
			s.Faults.add(file, line, err)
		}
		for _, m := range marks {
			m.line = line
			s.add(picture, file, m)
		}
	})
}

// answered is the picture and the answer of a line.
func answered(line []byte) (picture, said string, err error) {
	if line[0] != '{' {
		picture, rest, ok := bytes.Cut(line, []byte("\t"))
		if !ok {
			return "", "", errors.New("got no tab, want PICTURE<tab>ANSWER or a JSON object")
		}
		return string(picture), string(rest), nil
	}
	var a answer
	if err := unmarshal(line, &a); err != nil {
		return "", "", err
	}
	said, err = a.said(line)
	return string(cmp.Or(a.Image, a.Path, a.ID)), said, err
}

// answer is a line of JSON Lines: who asked calls the two what they like.
type answer struct {
	Image, Path, ID                    name
	Answer, Text, Response, Prediction *string
	Conversations                      []turn
}

type turn struct{ From, Value string }

// said is the one answer of a row, whose text is raw: two would make truth of a prediction.
func (a answer) said(raw []byte) (string, error) {
	var fields, all []string
	for _, f := range []struct {
		key  string
		text *string
	}{{"answer", a.Answer}, {"text", a.Text}, {"response", a.Response}, {"prediction", a.Prediction}} {
		if f.text != nil {
			fields, all = append(fields, f.key), append(all, *f.text)
		}
	}
	if a.Conversations != nil {
		fields = append(fields, "conversations")
		for _, t := range a.Conversations {
			switch strings.ToLower(t.From) {
			case "gpt", "assistant", "model":
				all = append(all, t.Value)
			case "human", "user", "system":
			default:
				return "", fmt.Errorf("conversations got a turn from %.40q, want gpt, assistant or model; or human, user or system, which are passed over", t.From)
			}
		}
	}
	switch {
	case len(fields) > 1:
		return "", because(TwoAnswers, fmt.Errorf("got an answer in %s, want it in one; keep that which is meant", strings.Join(fields, " and in ")))
	case len(fields) == 0:
		return "", because(NoAnswer, fmt.Errorf("got the fields %s, want the answer in answer, text, response, prediction or conversations",
			firstWords(keysOf(raw), 8)))
	case len(all) == 0:
		return "", because(NoAnswer, errors.New("conversations got no turn from gpt, assistant or model"))
	}
	return strings.Join(all, "\n"), nil
}

// tags are those of labels and boxes.
var tags = regexp.MustCompile(`(?i)</?(?:ref|box)>`)

// parseAnswer reads the regions in a language model's answer, in order: boxes, each with the
// label right before it, where there is one. Coordinates are whole numbers from 0 to scale.
// The rest of the text is passed over. What is in a <box> and no list of boxes, and a box
// whose label cannot be told, is a fault; the other boxes stay.
func parseAnswer(text string, scale int) (marks []mark, faults []error) {
	all := tags.FindAllStringIndex(text, -1)
	tag := func(i int) string {
		if i == len(all) {
			return ""
		}
		return strings.ToLower(text[all[i][0]:all[i][1]])
	}
	label, opened, closed := "", -1, -1 // closed is where the label ends
	nested := false
	for i, at := range all {
		switch tag(i) {
		case "<ref>":
			nested, opened = opened >= 0, at[1]
		case "</ref>":
			if opened >= 0 {
				label = strings.TrimSpace(text[opened:at[0]])
			} else {
				nested = true
			}
			opened, closed = -1, at[1]
		case "<box>":
			var err error
			if closed < 0 || strings.TrimSpace(text[closed:at[0]]) != "" {
				label = ""
			}
			switch {
			case opened >= 0:
				err = fmt.Errorf("%.80q: a <ref> got no </ref> before its box", text[opened:at[0]])
			case nested && label != "":
				err = fmt.Errorf("%q: a <ref> got another <ref> inside, so the label of its box cannot be told", label)
			case tag(i+1) != "</box>":
				err = fmt.Errorf("%q: a <box> got no </box>", label)
			default:
				found, bad := boxesIn(text[at[1]:all[i+1][0]], label, scale)
				marks, faults = append(marks, found...), append(faults, bad...)
			}
			if err != nil {
				faults = append(faults, err)
			}
			label, opened, closed, nested = "", -1, -1, false
		}
	}
	return marks, faults
}

// boxesIn are the regions that a <box> holds.
func boxesIn(text, label string, scale int) (marks []mark, faults []error) {
	var boxes []json.RawMessage
	if err := json.Unmarshal([]byte(text), &boxes); err != nil {
		return nil, []error{fmt.Errorf("%q: got %.80q, want [[x1, y1, x2, y2], ...]", label, text)}
	}
	for _, raw := range boxes {
		b, err := answerBox(raw, scale)
		if err != nil {
			faults = append(faults, fmt.Errorf("%q: %w", label, err))
			continue
		}
		marks = append(marks, mark{label: label, box: b, scale: float64(scale)})
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
