package annotate

import (
	"strings"
	"testing"
)

// A row has one answer, of the assistant's, and a box the label right before it; a row of
// which that cannot be told is counted, not guessed.
func TestAnswers(t *testing.T) {
	const box = "<box>[[0,0,999,999]]</box>"
	for _, c := range []struct{ row, want, fault string }{
		{`{"image": "a.jpg", "answer": "<ref>x</ref>` + box + `", "question": "?", "prediction": null}`, "x 0 0 0 200 100", ""},
		{`{"image": "a.jpg", "answer": "<ref>x</ref>` + box + `", "prediction": "` + box + `"}`, "", "an answer in answer and in prediction, want it in one"},
		{`{"image": "a.jpg", "text": "", "conversations": [{"from": "gpt", "value": "` + box + `"}]}`, "", "in text and in conversations"},
		{`{"image": "a.jpg", "output": "` + box + `"}`, "", `got the fields ["image" "output"], want the answer in answer, text`},
		{`{"image": "a.jpg", "messages": [{"role": "assistant", "content": "` + box + `"}]}`, "", `["image" "messages"]`},
		{`{"image": "a.jpg", "conversations": [{"from": "user", "value": "` + box + `"}, {"from": "system", "value": "` + box +
			`"}, {"from": "Human", "value": "` + box + `"}, {"from": "assistant", "value": "<ref>y</ref>` + box + `"}, {"from": "model", "value": "` + box + `"}]}`,
			"y 0 0 0 200 100;  1 0 0 200 100", ""},
		{`{"image": "a.jpg", "conversations": [{"from": "user", "value": "` + box + `"}]}`, "", "no turn from gpt"},
		{`{"image": "a.jpg", "conversations": [{"from": "judge", "value": "` + box + `"}]}`, "", `a turn from "judge"`},
		{"a.jpg\t<ref>a</ref> and <ref>b</ref>" + box, "b 0 0 0 200 100", ""},
		{"a.jpg\t<ref>a</ref> is " + box + " and <ref>b</ref> " + box, " 0 0 0 200 100; b 1 0 0 200 100", ""},
		{"a.jpg\t<Ref>a</Ref><BOX>[[0,0,999,999]]</BOX>", "a 0 0 0 200 100", ""},
		{"a.jpg\t<ref>a <ref>b</ref></ref>" + box, "", "another <ref> inside"},
		{"a.jpg\t<ref>a <ref>b</ref> and <ref>c</ref></ref>" + box, "", "another <ref> inside"},
		{"a.jpg\t<ref>a " + box, "", "no </ref>"},
	} {
		rs, faults, s := read(t, write(t, "x.txt", "b.jpg\t"+box+"\n"+c.row+"\n"), Options{Format: "medrega"})
		if got := describe(rs); got != c.want || (len(faults) == 0) != (c.fault == "") {
			t.Errorf("%s\n  got %s, %v, want %s", c.row, got, faults, c.want)
		} else if c.fault != "" && (!strings.Contains(faults[0].Error(), c.fault) || faults[0].Line != 2) {
			t.Errorf("%s\n  got %v, want %s", c.row, faults, c.fault)
		}
		for part, reason := range map[string]Reason{"in one": TwoAnswers, "got the fields": NoAnswer, "no turn": NoAnswer} {
			if strings.Contains(c.fault, part) && s.Faults.ByReason[reason] != 1 {
				t.Errorf("%s is counted by %v", c.row, s.Faults.ByReason)
			}
		}
	}
}
