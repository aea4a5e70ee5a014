package result

import (
	"fmt"
	"reflect"
	"slices"
)

// length is the number of values a column's slice holds, and whether its type
// is one a Column may have.
func length(values any) (n int, ok bool) {
	switch values.(type) {
	case []string, []int64, []int32, []float64, []float32, []uint8, []bool:
		return reflect.ValueOf(values).Len(), true
	}
	return 0, false
}

// isBinary reports whether a column's rows are bytes rather than numbers.
func isBinary(c Column) bool {
	_, ok := c.Values.([]uint8)
	return ok && c.Width > 0
}

// check returns the number of rows in a batch, or what is wrong with it.
func check(cols []Column) (rows int, err error) {
	if len(cols) == 0 {
		return 0, fmt.Errorf("a batch needs at least one column")
	}
	seen := map[string]bool{}
	for i, c := range cols {
		n, ok := length(c.Values)
		width := max(c.Width, 1)
		switch {
		case c.Name == "":
			return 0, fmt.Errorf("column %d has no name", i)
		case seen[c.Name]:
			return 0, fmt.Errorf("two columns are named %q", c.Name)
		case !ok:
			return 0, fmt.Errorf("column %q holds %T; want []string, []int64, []int32, []float64, []float32, []uint8 or []bool", c.Name, c.Values)
		case c.Width < 0:
			return 0, fmt.Errorf("column %q has width %d", c.Name, c.Width)
		case n%width != 0:
			return 0, fmt.Errorf("column %q holds %d values, which is no multiple of its width %d", c.Name, n, width)
		case i > 0 && n/width != rows:
			return 0, fmt.Errorf("column %q has %d rows, column %q has %d", c.Name, n/width, cols[0].Name, rows)
		case c.Null != nil && len(c.Null) != n/width:
			return 0, fmt.Errorf("column %q has %d rows and %d null marks", c.Name, n/width, len(c.Null))
		}
		if err := checkParts(c); err != nil {
			return 0, err
		}
		rows, seen[c.Name] = n/width, true
	}
	return rows, nil
}

func checkParts(c Column) error {
	if c.Parts == nil {
		return nil
	}
	sum, seen := 0, map[string]bool{}
	for _, p := range c.Parts {
		if p.Width <= 0 {
			return fmt.Errorf("part %q of column %q has width %d", p.Name, c.Name, p.Width)
		}
		if seen[p.Name] {
			return fmt.Errorf("column %q has two parts named %q", c.Name, p.Name)
		}
		sum, seen[p.Name] = sum+p.Width, true
	}
	if sum != c.Width {
		return fmt.Errorf("the parts of column %q have %d values together, its width is %d", c.Name, sum, c.Width)
	}
	return nil
}

// layoutOf copies what stays the same from batch to batch; Values is an empty
// slice of its type.
func layoutOf(cols []Column) []Column {
	out := make([]Column, len(cols))
	for i, c := range cols {
		out[i] = Column{Name: c.Name, Width: c.Width, Parts: slices.Clone(c.Parts), Values: reflect.Zero(reflect.TypeOf(c.Values)).Interface()}
	}
	return out
}

func sameLayout(want, got []Column) error {
	if len(want) != len(got) {
		return fmt.Errorf("this batch has %d columns, the first had %d", len(got), len(want))
	}
	for i, w := range want {
		g := got[i]
		text := func(c Column) string { return fmt.Sprintf("%q %T width %d", c.Name, c.Values, c.Width) }
		if text(w) != text(g) {
			return fmt.Errorf("column %d is %s in this batch, and was %s in the first", i, text(g), text(w))
		}
		if !slices.Equal(w.Parts, g.Parts) {
			return fmt.Errorf("column %q has other parts than in the first batch", g.Name)
		}
	}
	return nil
}

// slice is values[lo:hi], with no room behind it.
func slice(values any, lo, hi int) any { return reflect.ValueOf(values).Slice3(lo, hi, hi).Interface() }
