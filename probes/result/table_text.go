package result

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/parquet-go/jsonlite"
)

// textTable is JSON Lines, or a table of cells with the columns' names in its first row. It
// is read twice: what is in a column only all of its rows say.
type textTable struct {
	path   string
	comma  rune // parts the cells of a row; 0 of JSON Lines
	layout []Column
	rows   int
	shapes []shape
	at     map[string]int // of names, their place
	known  bool           // all columns are
}

// unnamed is what a column without a name is called.
const unnamed = "unnamed"

// maxLine bounds the bytes of a row, maxColumns the columns of a file of text.
const (
	maxLine    = 256 << 20
	maxColumns = 32767
)

var errMeanwhile = errors.New("it changed while it was read")

func openText(t *Table) (err error) {
	x, err := scanText(t.path)
	if err == nil {
		t.source, t.layout, t.rows = x, x.layout, x.rows
	}
	return err
}

// scanText finds the columns, and counts the rows.
func scanText(path string) (*textTable, error) {
	commas := map[string]rune{".csv": ',', ".tsv": '\t'}
	x := &textTable{path: path, comma: commas[strings.ToLower(filepath.Ext(path))], at: map[string]int{}}
	err := x.each(func(cells []string) error {
		if x.rows++; x.rows > maxRows {
			return fmt.Errorf("more than %d rows", maxRows)
		}
		for i, cell := range cells {
			if cell != "" {
				x.shapes[i].merge(shapeOf(cell, x.comma != 0, holdsBytes(x.layout[i].Name)))
			}
		}
		return nil
	})
	for i, s := range x.shapes {
		c := &x.layout[i]
		c.Width, c.Parts, c.Values = s.width, s.parts, s.of.values()
	}
	x.known = true
	return x, err
}

func (x *textTable) close() error { return nil }

// place is that of a column, a new one where the name is.
func (x *textTable) place(name string) (int, error) {
	if name == "" {
		name = unnamed
	}
	i, ok := x.at[name]
	switch {
	case ok:
		return i, nil
	case x.known:
		return 0, errMeanwhile
	case len(x.layout) == maxColumns:
		return 0, fmt.Errorf("more than %d columns", maxColumns)
	}
	i, name = len(x.layout), strings.Clone(name)
	x.at[name] = i
	x.layout, x.shapes = append(x.layout, Column{Name: name}), append(x.shapes, shape{})
	return i, nil
}

// each gives the cells of every row in the order of the columns, "" where there is no value.
func (x *textTable) each(use func(cells []string) error) error {
	f, err := openRegular(x.path)
	if err != nil {
		return err
	}
	defer f.Close()
	if x.comma != 0 {
		return x.records(f, use)
	}
	lines := bufio.NewScanner(f)
	lines.Buffer(make([]byte, 1<<16), maxLine)
	var cells []string
	row := 1
	for lines.Scan() {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		if cells, err = x.object(line, cells); err == nil {
			err = use(cells)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", row, err)
		}
		row++
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("line %d: it has more than %d bytes, or cannot be read: %w", row, maxLine, err)
	}
	return nil
}

// object gives the cells of a line, which only the first reading holds to what JSON is.
func (x *textTable) object(line []byte, cells []string) (_ []string, err error) {
	defer rescue(&err)
	if line[0] != '{' || !x.known && !json.Valid(line) {
		var v map[string]json.RawMessage
		if err := json.Unmarshal(line, &v); err != nil {
			return nil, err
		}
		return nil, errors.New("it is no JSON object")
	}
	clear(cells)
	// What is kept of the line is copied: its bytes are those of the next line too.
	err = members(unsafe.String(&line[0], len(line)), func(key, value string) error {
		name, err := unquoted(key)
		if err != nil {
			return err
		}
		i, err := x.place(name)
		if err != nil {
			return err
		}
		if value == "null" {
			value = ""
		}
		for len(cells) < len(x.layout) {
			cells = append(cells, "")
		}
		cells[i] = value
		return nil
	})
	return cells, err
}

// records is each of a table of cells.
func (x *textTable) records(f io.Reader, use func(cells []string) error) error {
	row := &io.LimitedReader{R: f}
	r := csv.NewReader(row)
	r.Comma, r.ReuseRecord = x.comma, true
	next := func() ([]string, error) {
		row.N = maxLine
		cells, err := r.Read()
		if row.N <= 0 {
			err = fmt.Errorf("a row of more than %d bytes", maxLine)
		}
		return cells, err
	}
	head, err := next()
	if err != nil {
		return fmt.Errorf("reading the names of the columns: %w", err)
	}
	for i, name := range head {
		if at, err := x.place(name); err != nil || at != i {
			return errors.Join(err, fmt.Errorf("column %d has the name %q of another", i+1, name))
		}
	}
	for n := 1; ; n++ {
		cells, err := next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := use(cells); err != nil {
			return fmt.Errorf("row %d: %w", n, err)
		}
	}
}

func (x *textTable) read(places []int, use func([]Column) error) error {
	return x.batches(places, batchRows, use)
}

// batches is read in batches of step rows at the most.
func (x *textTable) batches(places []int, step int, use func([]Column) error) error {
	cols := make([]Column, len(places))
	for k, i := range places {
		cols[k] = x.layout[i]
	}
	step = min(step, rowsOf(cols...))
	rows := 0
	flush := func() error {
		batch := make([]Column, len(cols))
		for k := range cols {
			batch[k] = rowsIn(cols[k], 0, rows)
		}
		rows = 0
		if err := use(batch); err != nil {
			return usesError{err}
		}
		return nil
	}
	err := x.each(func(cells []string) error {
		if rows == 0 {
			for k := range cols {
				resized(&cols[k], step)
			}
		}
		for k, i := range places {
			if i >= len(cells) || cells[i] == "" {
				setNull(&cols[k], rows, step)
			} else if err := x.set(&cols[k], i, rows, cells[i]); err != nil {
				return fmt.Errorf("%q: %w", cols[k].Name, err)
			}
		}
		if rows++; rows == step {
			return flush()
		}
		return nil
	})
	if err == nil && rows > 0 {
		err = flush()
	}
	return usersOwn(err)
}

// set writes the cell of column i to a row of c.
func (x *textTable) set(c *Column, i, row int, cell string) (err error) {
	defer rescue(&err)
	s := x.shapes[i]
	if s.width == 0 {
		return one(c, row, cell, x.comma == 0)
	}
	at, end := row*s.width, (row+1)*s.width
	put := func(_, v string) (err error) {
		n := 1
		if s.of == isHex {
			if v, err = unquoted(v); err != nil {
				return err
			}
			n = len(v) / 2
		}
		if at += n; at > end {
			return errMeanwhile
		}
		return one(c, at-n, v, true)
	}
	switch cell[0] {
	case '{':
		err = members(cell, func(key, v string) error {
			if v[0] == '[' {
				return members(v, put)
			}
			return put(key, v)
		})
	case '[':
		err = members(cell, put)
	default:
		err = put("", cell)
	}
	if err == nil && at != end {
		err = errMeanwhile
	}
	return err
}

// one writes one value, of bytes all.
func one(c *Column, at int, v string, inJSON bool) (err error) {
	switch to := c.Values.(type) {
	case []bool:
		to[at] = v == "true"
	case []int64:
		to[at], err = strconv.ParseInt(v, 10, 64)
	case []float64:
		if v == "null" {
			to[at] = math.NaN()
		} else if to[at], err = strconv.ParseFloat(v, 64); errors.Is(err, strconv.ErrRange) {
			err = nil // an infinity
		}
	case []uint8:
		_, err = hex.Decode(to[at:], []byte(v))
	case []string:
		if inJSON && v[0] == '"' {
			v, err = unquoted(v)
		}
		to[at] = strings.Clone(v) // a line is not kept for its texts
	}
	return err
}

// element is what a value of text is.
type element int

const (
	isNull element = iota
	isBool
	isWhole
	isReal
	isText
	isHex   // in hex
	isOther // kept as it is written
)

// values is the type of a column.
func (e element) values() any {
	switch e {
	case isBool:
		return []bool{}
	case isWhole:
		return []int64{}
	case isReal:
		return []float64{}
	case isHex:
		return []uint8{}
	}
	return []string{}
}

// and is what two values have in common.
func (e element) and(other element) element {
	switch {
	case e == isNull || e == other:
		return other
	case other == isNull:
		return e
	case min(e, other) == isWhole && max(e, other) == isReal:
		return isReal
	}
	return isOther
}

// shape is what the values of a column of text have in common.
type shape struct {
	of    element
	width int // of a list or of bytes, 0 of one value
	parts []Part
}

// merge makes of a column's shape that with one value more.
func (s *shape) merge(v shape) {
	if s.of == isNull {
		*s = v
		for i := range s.parts {
			s.parts[i].Name = strings.Clone(s.parts[i].Name)
		}
	}
	s.of = s.of.and(v.of)
	if s.of == isOther || s.width != v.width || !slices.Equal(s.parts, v.parts) {
		*s = shape{of: isOther}
	}
}

// shapeOf is that of a cell of a table, or of a value of JSON, of bytes where it is inHex.
func shapeOf(v string, cell, inHex bool) shape {
	e := elementOf(v, cell)
	if e == isText && inHex && !cell {
		if text, err := unquoted(v); err == nil && text != "" && len(text)%2 == 0 && strings.Trim(text, hexDigits) == "" {
			return shape{of: isHex, width: len(text) / 2}
		}
	}
	if e != isOther {
		return shape{of: e}
	}
	var s shape
	var names map[string]bool
	_ = members(v, func(key, v string) error {
		one := shape{of: elementOf(v, false)}
		if key != "" && v[0] != '{' {
			one = shapeOf(v, false, inHex)
		}
		width := max(one.width, 1)
		if key != "" {
			name, err := unquoted(key)
			if err != nil || names[name] || v[0] == '[' && width == 1 || len(names) == maxColumns {
				one.of = isOther
			}
			if names == nil {
				names = map[string]bool{}
			}
			names[name] = true
			s.parts = append(s.parts, Part{name, width})
		}
		if one.of == isNull { // it stands for no number
			one.of = isReal
		}
		if s.of, s.width = s.of.and(one.of), s.width+width; s.of == isOther {
			return errors.New("it is no list of one type")
		}
		return nil
	})
	if s.width == 0 || s.of == isOther {
		return shape{of: isOther}
	}
	return s
}

const hexDigits = "0123456789abcdefABCDEF"

// elementOf says what a value is, isOther of lists and objects.
func elementOf(v string, cell bool) element {
	if !cell {
		switch v[0] {
		case 'n':
			return isNull
		case 't', 'f':
			return isBool
		case '"':
			return isText
		case '[', '{':
			return isOther
		}
	}
	if !strings.ContainsAny(v, ".eE") && v != "-0" { // a zero with a sign
		if _, err := strconv.ParseInt(v, 10, 64); err == nil {
			return isWhole
		}
	}
	if cell {
		if _, err := strconv.ParseFloat(v, 64); err != nil {
			return isText
		}
	}
	return isReal
}

// unquoted is a string of JSON.
func unquoted(v string) (string, error) {
	if text := v[1 : len(v)-1]; !strings.Contains(text, `\`) && utf8.ValidString(text) {
		return text, nil
	}
	var s string
	err := json.Unmarshal([]byte(v), &s)
	return s, err
}

// members gives the values of a valid object, with their keys as they are written, or of a list.
func members(v string, use func(key, value string) error) error {
	rest, key := v[1:], ""
	next := func() string { // the next value, or the mark that is there
		all := ""
		for depth := 0; ; {
			token, ok := jsonlite.Tokenize(rest).Next()
			rest = rest[strings.Index(rest, token):] // past what is blank
			if all == "" {
				all = rest
			}
			rest = rest[len(token):]
			switch token {
			case "[", "{":
				depth++
			case "]", "}":
				depth--
			}
			if depth <= 0 || !ok {
				return all[:len(all)-len(rest)]
			}
		}
	}
	for {
		value := next()
		switch value {
		case "", "]", "}":
			return nil
		}
		if v[0] == '{' {
			key, _, value = value, next(), next()
		}
		if err := use(key, value); err != nil {
			return err
		}
		next() // a comma, or the end
	}
}
