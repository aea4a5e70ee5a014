package encoding

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

// Matches is what a search found. As JSON it is the contract of the verb search.
type Matches struct {
	Queries, Base *Codes
	// K is how many neighbors of a query were asked for, and Found are those of each
	// query, the nearest first.
	K     int
	Found [][]Neighbor
	// Radius is in how many bits a neighbor differs at the most; nil without a bound.
	Radius *int
}

// Within leaves out neighbors that differ in more bits.
func (m *Matches) Within(bits int) {
	m.Radius = &bits
	for i, ns := range m.Found {
		if n := slices.IndexFunc(ns, func(n Neighbor) bool { return int(n.Distance) > bits }); n >= 0 {
			m.Found[i] = ns[:n]
		}
	}
}

// Nearest is what Search finds. A set that is searched for its own items, base itself, finds
// their neighbors without themselves. Of digests, whose distances say nothing but that they
// are equal, it keeps the equal ones.
func Nearest(ctx context.Context, queries, base *Codes, k int, o SearchOptions) (*Matches, error) {
	if queries == base && o.Self == nil {
		o.Self = rowsFrom(0, base.Len())
	}
	found, err := Search(ctx, queries, base, k, o)
	if err != nil {
		return nil, err
	}
	if base.On == Digest {
		for i, ns := range found {
			if n := slices.IndexFunc(ns, func(n Neighbor) bool { return n.Distance > 0 }); n >= 0 {
				found[i] = ns[:n]
			}
		}
	}
	return &Matches{Queries: queries, Base: base, K: k, Found: found}, nil
}

// String says what was compared with what.
func (m *Matches) String() string {
	s := fmt.Sprintf("%s against %s, by Hamming distance on the %s of %s.", text.Count(m.Queries.Len(), "query"),
		text.Count(m.Base.Len(), "item"), m.Base.On, text.Count(m.Base.Bits, "bit"))
	if m.Base.estimates() {
		s += fmt.Sprintf(" Distances of whole codes (%d bits) are estimated from sketches; ± is one standard error.",
			m.Base.FullBits)
	}
	return s
}

// estimates says whether distances are those of samples of longer codes.
func (c *Codes) estimates() bool { return c.On == Sketch && c.FullBits > 0 }

// DistanceText is a distance of two codes of c in words, and of sketches that of the whole
// codes that it estimates. Where Bits is 0 it is not known of how many bits.
func (c *Codes) DistanceText(distance int) string {
	if c.Bits == 0 {
		return text.Count(distance, "bit")
	}
	s := fmt.Sprintf("%d of %d", distance, c.Bits)
	if c.estimates() {
		e, d := Estimate(distance, c.Bits, c.FullBits)
		s += fmt.Sprintf("; about %.0f ± %.0f of %d", e, d, c.FullBits)
	}
	return s
}

func (m *Matches) fraction(n Neighbor) float64 { return float64(n.Distance) / float64(m.Base.Bits) }

func (m *Matches) estimate(n Neighbor) (estimate, deviation float64) {
	return Estimate(int(n.Distance), m.Base.Bits, m.Base.FullBits)
}

// hit is a neighbor of a query.
type hit = placed[Neighbor]

// WriteTo writes a row for each neighbor of each query, as the files of search hold them.
func (m *Matches) WriteTo(sink result.Sink) error {
	return batched(sink, m.Found, func(hs []hit) []result.Column {
		cols := slices.Concat([]result.Column{
			columnOf("query", hs, func(h hit) string { return m.Queries.ID(h.group) }),
			columnOf("rank", hs, func(h hit) int64 { return int64(h.place + 1) }),
		}, itemColumns(m.Base, hs, func(h hit) int { return int(h.T.Row) }), []result.Column{
			columnOf("distance", hs, func(h hit) int64 { return int64(h.T.Distance) }),
			columnOf("fraction", hs, func(h hit) float64 { return m.fraction(h.T) }),
		})
		if m.Base.estimates() {
			cols = append(cols,
				columnOf("estimate", hs, func(h hit) float64 { e, _ := m.estimate(h.T); return e }),
				columnOf("estimate_se", hs, func(h hit) float64 { _, d := m.estimate(h.T); return d }))
		}
		return cols
	})
}

// Table is the neighbors of a query for a person to read, under a row of titles.
func (m *Matches) Table(query int) [][]string {
	rows := [][]string{{"RANK", "DISTANCE", "ID", "LABEL"}}
	if m.Base.estimates() {
		rows = [][]string{{"RANK", "DISTANCE", "CODE", "SE", "ID", "LABEL"}}
	}
	for i, n := range m.Found[query] {
		row := []string{fmt.Sprint(i + 1), fmt.Sprintf("%d/%d", n.Distance, m.Base.Bits)}
		if m.Base.estimates() {
			e, d := m.estimate(n)
			row = append(row, fmt.Sprintf("%.0f", e), fmt.Sprintf("%.0f", d))
		}
		label := ""
		if l, ok := m.Base.Label(int(n.Row)); ok {
			label = l.String()
		}
		rows = append(rows, append(row, m.Base.ID(int(n.Row)), label))
	}
	return rows
}

// MarshalJSON writes the contract of search: the codes, and each query with its neighbors.
func (m *Matches) MarshalJSON() ([]byte, error) {
	type neighbor struct {
		ID   string `json:"id"`
		Path string `json:"path,omitempty"`
		classOf
		Distance   int      `json:"distance"`
		Fraction   float64  `json:"fraction"`
		Estimate   *float64 `json:"estimate,omitempty"`
		EstimateSE *float64 `json:"estimate_se,omitempty"`
	}
	type query struct {
		ID        string     `json:"id"`
		Neighbors []neighbor `json:"neighbors"`
	}
	b := m.Base
	queries := make([]query, len(m.Found))
	for q, ns := range m.Found {
		queries[q] = query{m.Queries.ID(q), make([]neighbor, len(ns))}
		for i, n := range ns {
			row := int(n.Row)
			x := neighbor{ID: b.ID(row), Path: b.Path(row), classOf: b.classOf(row), Distance: int(n.Distance), Fraction: m.fraction(n)}
			if b.estimates() {
				e, d := m.estimate(n)
				x.Estimate, x.EstimateSE = &e, &d
			}
			queries[q].Neighbors[i] = x
		}
	}
	return json.Marshal(struct {
		Codes    string  `json:"codes"`
		On       string  `json:"on"`
		Bits     int     `json:"bits"`
		FullBits int     `json:"full_bits,omitempty"`
		Items    int     `json:"items"`
		Failed   int     `json:"failed"`
		K        int     `json:"k"`
		Radius   *int    `json:"radius,omitempty"`
		Queries  []query `json:"queries"`
	}{b.Name, b.On, b.Bits, b.FullBits, b.Len(), b.Failed, m.K, m.Radius, queries})
}

// UnknownItemError says that a set has no item of an id. Sample names some that it has.
type UnknownItemError struct{ ID, Set, Sample string }

func (e *UnknownItemError) Error() string {
	return fmt.Sprintf("%s has no item %q; it has %s", e.Set, e.ID, e.Sample)
}

// Lookup finds the rows of items by their ids, all of those that share one. It fails with
// an *UnknownItemError for an id that no item has, and says why an item has no code.
func (c *Codes) Lookup(ids ...string) (rows []int, err error) {
	for _, id := range ids {
		found := c.Rows(id)
		if found == nil {
			if why, failed := c.FailedWhy(id); failed {
				return nil, fmt.Errorf("the item %q of %s has no %s: %s", id, c.Name, c.On, why)
			}
			return nil, &UnknownItemError{id, c.Name, c.sample()}
		}
		rows = append(rows, found...)
	}
	return rows, nil
}

// sample is how many items there are, and the names of some.
func (c *Codes) sample() string {
	s := text.Count(c.Len(), "item")
	for i := range min(c.Len(), 3) {
		s += map[bool]string{true: ", such as ", false: ", "}[i == 0] + fmt.Sprintf("%q", c.ID(i))
	}
	if c.Len() > 3 {
		s += ", ..."
	}
	return s
}
