package report

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/probes/result"
)

const (
	maxRest     = 200  // columns in a summary
	maxDistinct = 1000 // values that are told apart
	maxNamed    = 5    // values that are named
)

// identity are the columns that say which item a row is of, and are no findings.
var identity = []string{"id", "path", "class"}

// restOf adds a table of the columns that no figure uses: what they hold, in short. The
// values of bytes, which can be very many, are not read.
func (r *shown) restOf(t *result.Table) error {
	var all []*summed
	by := map[string]*summed{}
	for _, c := range t.Columns() {
		if slices.Contains(identity, c.Name) || r.used[c.Name] || slices.ContainsFunc(partsOf(c), func(p part) bool { return r.used[p.name] }) {
			continue
		}
		if len(all) == maxRest {
			r.note("Of the columns that no figure shows, the first %d are in the table.", maxRest)
			break
		}
		s := &summed{Column: c, least: math.Inf(1), largest: math.Inf(-1), distinct: map[string]bool{}}
		all = append(all, s)
		if _, octets := s.Values.([]uint8); !octets || s.Width == 0 {
			by[s.Name] = s
		}
	}
	if all == nil {
		return nil
	}
	err := t.Read(func(name string) bool { return by[name] != nil }, func(cols []result.Column) error {
		for _, c := range cols {
			by[c.Name].add(c)
		}
		return nil
	})
	if err != nil {
		return err
	}
	var rows [][]string
	for _, s := range all {
		rows = append(rows, s.row(by[s.Name] != nil, t.Rows()))
	}
	r.table("Columns that no figure shows", []string{"column", "holds", "rows", "without a value",
		"smallest", "mean", "largest", "distinct values"}, rows...)
	return nil
}

// summed is a column with what its values are in short.
type summed struct {
	result.Column         // its layout
	rows, nulls, n        int
	least, largest, total float64
	distinct              map[string]bool // of texts, up to maxDistinct
}

func (s *summed) add(c result.Column) {
	width := max(c.Width, 1)
	s.Width = c.Width
	for row := range reflect.ValueOf(c.Values).Len() / width {
		if s.rows++; c.Null != nil && c.Null[row] {
			s.nulls++
			continue
		}
		for i := row * width; i < (row+1)*width; i++ {
			if texts, ok := c.Values.([]string); ok {
				if len(s.distinct) <= maxDistinct {
					s.distinct[name(texts[i], 200)] = true
				}
			} else if v := numberAt(c.Values, i); finite(v) {
				s.n, s.total, s.least, s.largest = s.n+1, s.total+v, min(s.least, v), max(s.largest, v)
			}
		}
	}
}

// row is the column's row in a summary; read is false where its values were not read.
func (s *summed) row(read bool, rows int) []string {
	kind := "numbers"
	switch s.Values.(type) {
	case []string:
		kind = "texts"
	case []bool:
		kind = "truth values"
	}
	switch {
	case !read:
		kind = fmt.Sprintf("%d bytes", s.Width)
	case s.Parts != nil:
		kind += fmt.Sprintf(" in %d parts", len(s.Parts))
	case s.Width > 0:
		kind += fmt.Sprintf(", %d a row", s.Width)
	}
	cells := []string{name(s.Name, 80), kind, fmt.Sprint(rows), "", "", "", "", ""}
	if !read {
		return cells
	}
	cells[2], cells[3] = fmt.Sprint(s.rows), fmt.Sprint(s.nulls)
	if s.n > 0 {
		cells[4], cells[5], cells[6] = num(s.least), num(s.total/float64(s.n)), num(s.largest)
	}
	switch n := len(s.distinct); {
	case n > maxDistinct:
		cells[7] = fmt.Sprintf("more than %d", maxDistinct)
	case n > maxNamed:
		cells[7] = fmt.Sprint(n)
	case n > 0:
		var all []string
		for v := range s.distinct {
			all = append(all, name(v, 40))
		}
		slices.Sort(all)
		cells[7] = fmt.Sprintf("%d: %s", n, strings.Join(all, ", "))
	}
	return cells
}
