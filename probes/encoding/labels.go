package encoding

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/onnxprobe/onnxprobe/probes/text"
)

// Label is the class of an item: the number that a dataset gives it, with its name where it
// has one, or of a region a name alone.
type Label struct {
	// Number is NoNumber of a name alone.
	Number int64
	Name   string
}

// NoNumber is the Number of a Label that is a name.
const NoNumber = math.MinInt64

// numbered is a label without a name.
func numbered(n int64) Label { return Label{Number: n} }

// String is the name, or without one the number.
func (l Label) String() string {
	if l.Name != "" || l.Number == NoNumber {
		return l.Name
	}
	return strconv.FormatInt(l.Number, 10)
}

// MarshalJSON writes the number where there is one, as results have it, else the name.
func (l Label) MarshalJSON() ([]byte, error) {
	if l.Number == NoNumber {
		return json.Marshal(l.Name)
	}
	return json.Marshal(l.Number)
}

// classOf is the class of an item in JSON: its label as results have it, and the name of one
// that is a number.
type classOf struct {
	Label *Label `json:"label,omitempty"`
	Class string `json:"class,omitempty"`
}

// classOf is that of a row; it is empty where there is none.
func (c *Codes) classOf(row int) (of classOf) {
	if l, ok := c.Label(row); ok {
		return l.class()
	}
	return of
}

func (l Label) class() classOf {
	of := classOf{Label: &l}
	if l.Number != NoNumber {
		of.Class = l.Name
	}
	return of
}

// UnmarshalJSON reads what MarshalJSON writes.
func (l *Label) UnmarshalJSON(text []byte) error {
	*l = Label{Number: NoNumber}
	if len(text) > 0 && text[0] == '"' {
		return json.Unmarshal(text, &l.Name)
	}
	return json.Unmarshal(text, &l.Number)
}

// LabelCount is how many items have a label.
type LabelCount struct {
	classOf
	Items int `json:"items"`
}

// labelCounts are those of the labels of some rows, the most frequent first.
func (c *Codes) labelCounts(rows []int) (counts []LabelCount) {
	n := map[Label]int{}
	for _, row := range rows {
		if l, ok := c.Label(row); ok {
			n[l]++
		}
	}
	for l, items := range n {
		counts = append(counts, LabelCount{l.class(), items})
	}
	slices.SortFunc(counts, func(a, b LabelCount) int {
		return cmp.Or(cmp.Compare(b.Items, a.Items), a.Label.compare(*b.Label))
	})
	return counts
}

// labelsText is the first of some counts, most of them at the most.
func labelsText(counts []LabelCount, most int) string {
	var said []string
	for _, n := range counts[:min(most, len(counts))] {
		said = append(said, fmt.Sprintf("%s (%d)", text.Line(n.Label.String()), n.Items))
	}
	if more := len(counts) - most; more > 0 {
		said = append(said, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(said, ", ")
}

// compare orders labels by number, and names by the alphabet.
func (l Label) compare(o Label) int {
	return cmp.Or(cmp.Compare(l.Number, o.Number), strings.Compare(l.Name, o.Name))
}

// labels are those of rows, up to the last one that has one.
type labels struct {
	of    []int32 // place in all, -1 for none
	all   []Label
	place map[Label]int32
}

func (l *labels) at(row int) (Label, bool) {
	if row >= len(l.of) || l.of[row] < 0 {
		return Label{}, false
	}
	return l.all[l.of[row]], true
}

// put gives a row, later than any before, a label.
func (l *labels) put(row int, label Label) {
	if label == (Label{Number: NoNumber}) {
		return
	}
	for len(l.of) < row {
		l.of = append(l.of, -1)
	}
	if n := len(l.of); n > 0 && l.of[n-1] >= 0 && l.all[l.of[n-1]] == label { // as most are
		l.of = append(l.of, l.of[n-1])
		return
	}
	k, known := l.place[label]
	if !known {
		if l.place == nil {
			l.place = map[Label]int32{}
		}
		label.Name = strings.Clone(label.Name) // of a batch of rows
		k = int32(len(l.all))
		l.all, l.place[label] = append(l.all, label), k
	}
	l.of = append(l.of, k)
}

// Classes is how many different labels the items have.
func (c *Codes) Classes() int { return len(c.labels.all) }

// strange says that two sets have labels, and none in common.
func (c *Codes) strange(other *Codes) bool {
	for _, l := range other.labels.all {
		if _, both := c.labels.place[l]; both {
			return false
		}
	}
	return len(c.labels.all) > 0 && len(other.labels.all) > 0
}

// agreed is c with its labels as those of another set call them: by the same name, whatever
// its number, since two folders number their classes each for itself; and by the same number
// where one of the sets has no names. What the other does not have stays.
func (c *Codes) agreed(other *Codes) *Codes {
	names, numbers := map[string]Label{}, map[int64]Label{}
	for _, l := range other.labels.all {
		if l.Name != "" {
			names[l.Name] = l
		}
		numbers[l.Number] = l
	}
	all := slices.Clone(c.labels.all)
	for i, l := range all {
		same, named := names[l.Name]
		if !named && l.Number != NoNumber {
			if by, ok := numbers[l.Number]; ok && (by.Name == "" || l.Name == "") {
				same, named = by, true
			} else if ok { // another class there
				same, named = Label{NoNumber, l.Name}, true
			}
		}
		if named {
			all[i] = same
		}
	}
	as := *c
	as.labels.all = all
	return &as
}
