package report

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/onnxprobe/onnxprobe/probes/result"
)

// maxValues bounds what of a table is held.
const maxValues = 50_000_000

// columns are those of a result file: numbers, NaN where there are none, and texts.
type columns struct {
	rows    int
	numbers map[string][]float64
	texts   map[string][]string
	order   []string
}

func (c *columns) has(name string) bool { return slices.Contains(c.order, name) }

// below are the names of the parts of a column, in their order.
func (c *columns) below(prefix string) (parts []string) {
	for _, n := range c.order {
		if part, ok := strings.CutPrefix(n, prefix+"."); ok {
			parts = append(parts, part)
		}
	}
	return parts
}

// text is a column as texts, whatever it holds.
func (c *columns) text(name string, row int) string {
	if t := c.texts[name]; row < len(t) {
		return t[row]
	}
	return strings.TrimPrefix(strconv.FormatFloat(c.number(name, row), 'g', -1, 64), "NaN")
}

// number is a value, NaN where there is none.
func (c *columns) number(name string, row int) float64 {
	if v := c.numbers[name]; row < len(v) {
		return v[row]
	}
	return math.NaN()
}

const maxColumns = 20_000

// readTable reads a result file; of its columns only those that are wanted, by the names of
// their parts.
func readTable(path string, want func(name string) bool) (*columns, error) {
	t, err := result.Open(path)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	c := &columns{numbers: map[string][]float64{}, texts: map[string][]string{}}
	some := map[string]bool{}
	for _, col := range t.Columns() {
		for _, p := range partsOf(col) {
			if _, texts := col.Values.([]string); !p.shown || !want(p.name) || len(c.order) == maxColumns {
				continue
			} else if texts {
				c.texts[p.name] = nil
			} else {
				c.numbers[p.name] = nil
			}
			c.order, some[col.Name] = append(c.order, p.name), true
		}
	}
	err = t.Read(func(name string) bool { return some[name] }, func(cols []result.Column) error {
		for _, col := range cols {
			c.add(col)
		}
		c.rows += reflect.ValueOf(cols[0].Values).Len() / max(cols[0].Width, 1)
		if int64(c.rows)*int64(len(c.order)) > maxValues {
			return fmt.Errorf("it has more than %d values", maxValues)
		}
		return nil
	})
	return c, err
}

// part is a piece of a column's row: shown is one of a single number or text.
type part struct {
	name  string
	at    int
	shown bool
}

func partsOf(c result.Column) (all []part) {
	_, octets := c.Values.([]uint8)
	if c.Parts == nil {
		return []part{{c.Name, 0, c.Width == 0}}
	}
	at := 0
	for _, p := range c.Parts {
		all = append(all, part{c.Name + "." + p.Name, at, p.Width == 1 && !octets})
		at += p.Width
	}
	return all
}

// add appends the rows of a column.
func (c *columns) add(col result.Column) {
	width := max(col.Width, 1)
	rows := reflect.ValueOf(col.Values).Len() / width
	null := func(row int) bool { return col.Null != nil && col.Null[row] }
	for _, p := range partsOf(col) {
		if v, ok := c.numbers[p.name]; ok {
			for row := range rows {
				x := math.NaN()
				if !null(row) {
					x = numberAt(col.Values, row*width+p.at)
				}
				v = append(v, x)
			}
			c.numbers[p.name] = v
		} else if v, ok := c.texts[p.name]; ok {
			texts := col.Values.([]string)
			for row := range rows {
				v = append(v, texts[row*width+p.at]) // "" where it is null
			}
			c.texts[p.name] = v
		}
	}
}

// numberAt is a value as a number, a truth value as 0 or 1.
func numberAt(values any, i int) float64 {
	switch v := values.(type) {
	case []float64:
		return v[i]
	case []float32:
		return float64(v[i])
	case []int64:
		return float64(v[i])
	case []int32:
		return float64(v[i])
	case []uint8:
		return float64(v[i])
	case []bool:
		if v[i] {
			return 1
		}
		return 0
	}
	return math.NaN()
}
