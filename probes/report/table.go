package report

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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

func newColumns() *columns {
	return &columns{numbers: map[string][]float64{}, texts: map[string][]string{}}
}

func (c *columns) has(names ...string) bool {
	for _, n := range names {
		if !slices.Contains(c.order, n) {
			return false
		}
	}
	return true
}

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
	if t, ok := c.texts[name]; ok && row < len(t) {
		return t[row]
	}
	if v, ok := c.numbers[name]; ok && row < len(v) && !math.IsNaN(v[row]) {
		return strconv.FormatFloat(v[row], 'g', -1, 64)
	}
	return ""
}

// number is a value, NaN where there is none.
func (c *columns) number(name string, row int) float64 {
	if v, ok := c.numbers[name]; ok && row < len(v) {
		return v[row]
	}
	return math.NaN()
}

func (c *columns) room() error {
	if int64(c.rows+1)*int64(len(c.order)+1) > maxValues {
		return fmt.Errorf("it has more than %d values", maxValues)
	}
	return nil
}

// put sets a value of the row being read, and fills up a column that begins late.
func (c *columns) put(name string, v any) {
	row := c.rows
	_, numeric := c.numbers[name]
	_, textual := c.texts[name]
	known := numeric || textual
	if !known && len(c.order) >= maxColumns {
		return
	}
	switch v := v.(type) {
	case float64:
		if textual {
			return
		}
		for len(c.numbers[name]) < row {
			c.numbers[name] = append(c.numbers[name], math.NaN())
		}
		c.numbers[name] = append(c.numbers[name][:row], v)
	case bool:
		c.put(name, map[bool]float64{true: 1}[v])
		return
	case string:
		if numeric {
			return
		}
		for len(c.texts[name]) < row {
			c.texts[name] = append(c.texts[name], "")
		}
		c.texts[name] = append(c.texts[name][:row], v)
	default:
		return
	}
	if !known {
		c.order = append(c.order, name)
	}
}

const maxColumns = 20_000

// readTable reads a result file; of its columns only those that are wanted. limit bounds
// the rows, 0 is no bound. Every file is taken for hostile.
func readTable(path string, want func(name string) bool, limit int) (*columns, error) {
	var c *columns
	var err error
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".parquet":
		c, err = readParquet(path, want, limit)
	case ".jsonl", ".ndjson":
		c, err = readLines(path, want, limit)
	case ".csv", ".tsv":
		c, err = readCSV(path, ext, want, limit)
	default:
		return nil, fmt.Errorf("tables are read from .parquet, .jsonl, .csv and .tsv, and this is %q", ext)
	}
	if err != nil {
		return nil, err
	}
	for n, v := range c.numbers {
		for len(v) < c.rows {
			v = append(v, math.NaN())
		}
		c.numbers[n] = v
	}
	for n, v := range c.texts {
		for len(v) < c.rows {
			v = append(v, "")
		}
		c.texts[n] = v
	}
	return c, nil
}

func readLines(path string, want func(string) bool, limit int) (*columns, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c := newColumns()
	d := json.NewDecoder(bufio.NewReaderSize(f, 1<<18))
	for limit == 0 || c.rows < limit {
		row, err := object(d, 2)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", c.rows+1, err)
		}
		for _, m := range row {
			if want(m.key) {
				c.put(m.key, m.value)
			}
		}
		if err := c.room(); err != nil {
			return nil, err
		}
		c.rows++
	}
	return c, nil
}

// member is a value of a JSON object, or as OUTER.INNER of one inside it.
type member struct {
	key   string
	value any
}

// object reads one object, and those inside it as deep as is said; its order is kept.
func object(d *json.Decoder, deep int) (all []member, err error) {
	if t, err := d.Token(); err != nil {
		return nil, err
	} else if t != json.Delim('{') {
		return nil, fmt.Errorf("it is no JSON object")
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, err
		}
		name, _ := key.(string)
		if raw[0] == '{' && deep > 1 {
			inner, err := object(json.NewDecoder(bytes.NewReader(raw)), deep-1)
			if err != nil {
				return nil, err
			}
			for _, m := range inner {
				all = append(all, member{name + "." + m.key, m.value})
			}
			continue
		}
		var v any
		if err := json.Unmarshal(raw, &v); err != nil {
			return nil, err
		}
		all = append(all, member{name, v})
	}
	_, err = d.Token()
	return all, err
}

func readCSV(path, ext string, want func(string) bool, limit int) (*columns, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := csv.NewReader(bufio.NewReaderSize(f, 1<<18))
	if ext == ".tsv" {
		r.Comma = '\t'
	}
	head, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("reading the names of the columns: %w", err)
	}
	head = slices.Clone(head)
	c := newColumns()
	numeric := map[string]bool{}
	for limit == 0 || c.rows < limit {
		cells, err := r.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		for i, cell := range cells {
			if !want(head[i]) {
				continue
			}
			v, err := strconv.ParseFloat(cell, 64)
			known, seen := numeric[head[i]]
			switch {
			case cell == "": // none
			case err == nil && (known || !seen):
				numeric[head[i]] = true
				c.put(head[i], v)
			default:
				if known {
					return nil, fmt.Errorf("row %d: %q in the column %q, whose values before it are numbers", c.rows+1, name(cell, 40), head[i])
				}
				numeric[head[i]] = false
				c.put(head[i], strings.Clone(cell))
			}
		}
		if err := c.room(); err != nil {
			return nil, err
		}
		c.rows++
	}
	for _, h := range head { // those without a value too
		if want(h) && !slices.Contains(c.order, h) {
			c.texts[h], c.order = nil, append(c.order, h)
		}
	}
	return c, nil
}
