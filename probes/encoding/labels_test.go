package encoding

import (
	"encoding/json"
	"slices"
	"testing"
)

// labelsOf are the labels of rows, NoNumber for none.
func labelsOf(numbers ...int64) (l labels) {
	for i, n := range numbers {
		l.put(i, numbered(n))
	}
	return l
}

func numberedAll(numbers []int64) (all []Label) {
	for _, n := range numbers {
		all = append(all, numbered(n))
	}
	return all
}

func predictedAt(c *Codes, row int) int64 {
	n, _ := c.Predicted(row)
	return n
}

// Sets that number their classes otherwise agree by the names; a set without names agrees
// by number, and one without numbers by name.
func TestLabelsAgree(t *testing.T) {
	name := func(s string) Label { return Label{NoNumber, s} }
	set := func(all ...Label) *Codes {
		c, _ := NewCodes(1)
		for i, l := range all {
			_ = c.Append([]byte{1})
			c.labels.put(i, l)
		}
		return c
	}
	for what, c := range map[string]struct{ mine, other, want []Label }{
		"the same":        {[]Label{{0, "cat"}, {1, "dog"}}, []Label{{1, "dog"}, {0, "cat"}}, []Label{{0, "cat"}, {1, "dog"}}},
		"another folder":  {[]Label{{0, "dog"}, {1, "emu"}}, []Label{{0, "cat"}, {1, "dog"}}, []Label{{1, "dog"}, name("emu")}},
		"numbers alone":   {[]Label{{Number: 0}, {Number: 5}}, []Label{{0, "cat"}, {1, "dog"}}, []Label{{0, "cat"}, {Number: 5}}},
		"names there":     {[]Label{{0, "cat"}, {3, "emu"}}, []Label{{Number: 0}, {Number: 3}}, []Label{{Number: 0}, {Number: 3}}},
		"regions":         {[]Label{name("dog"), name("emu")}, []Label{{0, "cat"}, {1, "dog"}}, []Label{{1, "dog"}, name("emu")}},
		"both of regions": {[]Label{name("dog"), name("cat")}, []Label{name("cat"), name("dog")}, []Label{name("dog"), name("cat")}},
		"names, numbers":  {[]Label{name("dog"), name("0")}, []Label{{Number: 0}}, []Label{name("dog"), name("0")}},
	} {
		mine := set(c.mine...)
		got := mine.agreed(set(c.other...))
		for i, want := range c.want {
			if l, ok := got.Label(i); !ok || l != want {
				t.Errorf("%s: label %d is %+v, want %+v", what, i, l, want)
			}
			if strangers := what == "names, numbers"; set(c.other...).strange(got) != strangers {
				t.Errorf("%s: nothing in common is %v", what, !strangers)
			}
			if l, _ := mine.Label(i); l != c.mine[i] {
				t.Errorf("%s: the set itself was changed: %+v", what, l)
			}
		}
	}
}

// JSON has the number of a class, and the name of a region's.
func TestLabelsInJSON(t *testing.T) {
	for l, want := range map[Label]string{{3, "cat"}: "3", {Number: -1}: "-1", {NoNumber, `a "b"`}: `"a \"b\""`} {
		text, err := json.Marshal(l)
		var back Label
		if err != nil || string(text) != want || json.Unmarshal(text, &back) != nil || back.Number != l.Number || l.Number == NoNumber && back != l {
			t.Errorf("%+v is %s, and read %+v, %v", l, text, back, err)
		}
	}
	if err := json.Unmarshal([]byte("[1]"), new(Label)); err == nil {
		t.Error("a list is a label")
	}
}

// The smallest label wins: by number, and names by the alphabet, whichever came first.
func TestVotesOfNames(t *testing.T) {
	c, _ := NewCodes(1)
	for i, name := range []string{"rod", "cell", "cell", "", "rod"} {
		_ = c.Append([]byte{1})
		c.labels.put(i, Label{NoNumber, name})
	}
	rows, all := c.labelled()
	if !slices.Equal(rows, []int{0, 1, 2, 4}) {
		t.Errorf("rows %v have labels, want all but the fourth", rows)
	}
	votes := map[Label]int{}
	for _, l := range all {
		votes[l]++
	}
	if won, tied := winner(votes); won.String() != "cell" || !tied {
		t.Errorf("%v wins, tied %v", won, tied)
	}
	if names, of := classes(all); len(names) != 2 || names[0].Name != "cell" || !slices.Equal(of, []int{1, 0, 0, 1}) {
		t.Errorf("the classes are %v, %v", names, of)
	}
}
