package encoding

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

// Groups are the duplicates among the items of a set. As JSON they are the contract of the
// verb dedup.
type Groups struct {
	Codes *Codes
	// Radius is in how many bits duplicates may differ, and Members are the rows of each
	// group, those that are connected by steps of at most the radius.
	Radius  int
	Members [][]int
	// Nearest, Valley and Around say, where they were asked for, how far items are from their
	// nearest other ones, where that has a valley, and what groups there are at distances
	// beside Radius. They are nil where they were not.
	Nearest *Distances
	Valley  *Valley
	Around  []GroupCount
}

// GroupSummary counts Groups: the first part of the contract of dedup. Kept is how many
// items are left with one of each group.
type GroupSummary struct {
	Codes      string `json:"codes"`
	On         string `json:"on"`
	Bits       int    `json:"bits"`
	Radius     int    `json:"radius"`
	Items      int    `json:"items"`
	Failed     int    `json:"failed"`
	Groups     int    `json:"groups"`
	Grouped    int    `json:"grouped"`
	Largest    int    `json:"largest"`
	Duplicates int    `json:"duplicates"`
	Kept       int    `json:"kept"`
}

// Duplicates are the groups of rows within so many bits of another.
func Duplicates(ctx context.Context, c *Codes, radius int, o NearOptions) (*Groups, error) {
	members, err := nearGroups(ctx, c, radius, o)
	return &Groups{Codes: c, Radius: radius, Members: members}, err
}

// Summary counts the groups and their items.
func (g *Groups) Summary() GroupSummary {
	c := g.Codes
	s := GroupSummary{
		Codes: c.Name, On: c.On, Bits: c.Bits, Radius: g.Radius, Items: c.Len(), Failed: c.Failed, Groups: len(g.Members),
	}
	n := countOf(g.Radius, g.Members)
	s.Grouped, s.Largest = n.Grouped, n.Largest
	s.Duplicates = s.Grouped - s.Groups
	s.Kept = s.Items - s.Duplicates
	return s
}

// String says in one line what there is: items, groups, and what is left.
func (s GroupSummary) String() string {
	what := map[string]string{Sketch: "sketches", Code: "codes", Digest: "codes", Channels: "channel codes"}[s.On]
	like := "equal " + what
	if s.Radius > 0 {
		like = fmt.Sprintf("%s within %d of %d bits", what, s.Radius, s.Bits)
	}
	line := fmt.Sprintf("%s: %d in %s of %s; without %s %d %s left", text.Count(s.Items, "item"), s.Grouped,
		text.Count(s.Groups, "group"), like, text.Count(s.Duplicates, "duplicate"), s.Kept, text.Are(s.Kept))
	if s.Radius > 0 && s.Groups > 1 {
		line += fmt.Sprintf("; the largest group has %d", s.Largest)
	}
	if s.Failed > 0 {
		line += fmt.Sprintf("; %d more without a %s", s.Failed, strings.Replace(s.On, "channels", "channel code", 1))
	}
	return line
}

// member is a row of a group.
type member = placed[int]

// distance is that of an item from the first of its group.
func (g *Groups) distance(group, row int) int { return g.Codes.Distance(g.Members[group][0], row) }

// WriteTo writes a row for each item of each group, as the files of dedup hold them.
func (g *Groups) WriteTo(sink result.Sink) error {
	return batched(sink, g.Members, func(ms []member) []result.Column {
		return slices.Concat([]result.Column{
			columnOf("group", ms, func(m member) int64 { return int64(m.group) }),
			columnOf("size", ms, func(m member) int64 { return int64(len(g.Members[m.group])) }),
		}, itemColumns(g.Codes, ms, func(m member) int { return m.T }), []result.Column{
			columnOf("distance", ms, func(m member) int64 { return int64(g.distance(m.group, m.T)) }),
			columnOf("keep", ms, func(m member) bool { return m.place == 0 }),
		})
	})
}

// WriteKept lists the ids of the items to keep, one a line: the first of each group, and
// those that are in none.
func (g *Groups) WriteKept(w io.Writer) error {
	drop := make([]bool, g.Codes.Len())
	for _, rows := range g.Members {
		for _, row := range rows[1:] {
			drop[row] = true
		}
	}
	b := bufio.NewWriter(w)
	for i, d := range drop {
		if !d {
			fmt.Fprintln(b, g.Codes.ID(i))
		}
	}
	return b.Flush()
}

// Table is the first groups, most of them at the most, for a person to read, under a row
// of titles; of a large group it names the first items.
func (g *Groups) Table(most int) [][]string {
	const shown = 5
	head := []string{"GROUP", "SIZE", "ITEMS"}
	if len(g.Codes.labels.all) > 0 {
		head = []string{"GROUP", "SIZE", "LABELS", "ITEMS"}
	}
	rows := [][]string{head}
	for i, members := range g.Members[:min(most, len(g.Members))] {
		var ids []string
		for _, row := range members[:min(shown, len(members))] {
			ids = append(ids, g.Codes.ID(row))
		}
		if len(members) > shown {
			ids = append(ids, fmt.Sprintf("and %d more", len(members)-shown))
		}
		row := []string{fmt.Sprint(i), fmt.Sprint(len(members))}
		if len(head) > 3 {
			row = append(row, labelsText(g.Codes.labelCounts(members), shown))
		}
		rows = append(rows, append(row, strings.Join(ids, "  ")))
	}
	return rows
}

// MarshalJSON writes the contract of dedup: the summary, and the members of each group.
func (g *Groups) MarshalJSON() ([]byte, error) {
	type item struct {
		ID   string `json:"id"`
		Path string `json:"path,omitempty"`
		classOf
		Distance int `json:"distance"`
	}
	members := make([][]item, len(g.Members))
	for i, rows := range g.Members {
		for _, row := range rows {
			members[i] = append(members[i], item{g.Codes.ID(row), g.Codes.Path(row), g.Codes.classOf(row), g.distance(i, row)})
		}
	}
	return json.Marshal(struct {
		GroupSummary
		Nearest *Distances   `json:"nearest,omitempty"`
		Valley  *Valley      `json:"valley,omitempty"`
		Around  []GroupCount `json:"around,omitempty"`
		Members [][]item     `json:"members"`
	}{g.Summary(), g.Nearest, g.Valley, g.Around, members})
}
