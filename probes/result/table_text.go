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
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
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

func openText(t *Table) error {
	commas := map[string]rune{".csv": ',', ".tsv": '\t'}
	x := &textTable{path: t.path, comma: commas[strings.ToLower(filepath.Ext(t.path))]}
	t.source = x
	if err := x.scan(); err != nil {
		return err
	}
	t.layout, t.rows = x.layout, x.rows
	return nil
}

func (x *textTable) close() error { return nil }

// scan finds the columns, and counts the rows.
func (x *textTable) scan() error {
	x.at = map[string]int{}
	err := x.each(func(row int, i int, value []byte) error {
		x.shapes[i].merge(x.shapeOf(i, value))
		return nil
	}, func(row int) error {
		if x.rows = row + 1; x.rows > maxRows {
			return fmt.Errorf("more than %d rows", maxRows)
		}
		return nil
	})
	for i := range x.layout {
		x.shapes[i].column(&x.layout[i])
	}
	x.known = true
	return err
}

// place is that of a column, a new one where the name is.
func (x *textTable) place(name []byte) (int, error) {
	if len(name) == 0 {
		name = []byte(unnamed)
	}
	if i, ok := x.at[string(name)]; ok {
		return i, nil
	}
	if x.known {
		return 0, errMeanwhile
	}
	if len(x.layout) == maxColumns {
		return 0, fmt.Errorf("more than %d columns", maxColumns)
	}
	i := len(x.layout)
	x.at[string(name)] = i
	x.layout, x.shapes = append(x.layout, Column{Name: string(name)}), append(x.shapes, shape{})
	return i, nil
}

func (x *textTable) shapeOf(i int, value []byte) shape {
	if x.comma != 0 {
		return shapeOfCell(value)
	}
	return shapeOf(value, holdsBytes(x.layout[i].Name))
}

// each gives every value with the place of its column, and tells the end of every row.
func (x *textTable) each(value func(row, i int, value []byte) error, end func(row int) error) error {
	if err := regular(x.path); err != nil {
		return err
	}
	f, err := os.Open(x.path)
	if err != nil {
		return err
	}
	defer f.Close()
	if x.comma != 0 {
		return x.cells(f, value, end)
	}
	r := bufio.NewReaderSize(f, 1<<18)
	var line []byte
	for row := 0; ; {
		more, err := r.ReadSlice('\n')
		if line = append(line, more...); err == bufio.ErrBufferFull && len(line) <= maxLine {
			continue
		}
		if err != nil && err != io.EOF {
			return fmt.Errorf("line %d: it has more than %d bytes, or cannot be read: %w", row+1, maxLine, err)
		}
		if text := bytes.TrimSpace(line); len(text) > 0 {
			if err := x.object(text, row, value); err != nil {
				return fmt.Errorf("line %d: %w", row+1, err)
			}
			if err := end(row); err != nil {
				return err
			}
			row++
		}
		if line = line[:0]; err == io.EOF {
			return nil
		}
	}
}

// object gives the values of a row, which only the first reading holds to what JSON is.
func (x *textTable) object(line []byte, row int, value func(row, i int, value []byte) error) (err error) {
	defer rescue(&err)
	if line[0] != '{' || !x.known && !json.Valid(line) {
		var v map[string]json.RawMessage
		if err := json.Unmarshal(line, &v); err != nil {
			return err
		}
		return errors.New("it is no JSON object")
	}
	return members(line, func(key, v []byte) error {
		name, err := unquoted(key)
		if err != nil {
			return err
		}
		i, err := x.place([]byte(name))
		if err != nil {
			return err
		}
		return value(row, i, v)
	})
}

// leash ends a reader that runs on without an end of a row.
type leash struct {
	r     io.Reader
	n, to int64
}

func (l *leash) Read(b []byte) (int, error) {
	if l.n > l.to {
		return 0, fmt.Errorf("a row of more than %d bytes", maxLine)
	}
	n, err := l.r.Read(b)
	l.n += int64(n)
	return n, err
}

// cells is each of a table of cells.
func (x *textTable) cells(f io.Reader, value func(row, i int, value []byte) error, end func(row int) error) error {
	l := &leash{r: f, to: maxLine}
	r := csv.NewReader(l)
	r.Comma, r.ReuseRecord = x.comma, true
	head, err := r.Read()
	if err != nil {
		return fmt.Errorf("reading the names of the columns: %w", err)
	}
	for i, name := range head {
		if at, err := x.place([]byte(name)); err != nil || at != i {
			return errors.Join(err, fmt.Errorf("column %d has the name %q of another", i+1, name))
		}
	}
	for row := 0; ; row++ {
		l.to = r.InputOffset() + maxLine
		cells, err := r.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		for i, cell := range cells {
			if err := value(row, i, []byte(cell)); err != nil {
				return fmt.Errorf("row %d: %w", row+1, err)
			}
		}
		if err := end(row); err != nil {
			return err
		}
	}
}

func (x *textTable) read(places []int, use func([]Column) error) error {
	return x.batches(places, batchRows, use)
}

// batches is read in batches of step rows at the most.
func (x *textTable) batches(places []int, step int, use func([]Column) error) error {
	cols, wanted := make([]Column, len(places)), make([]int, len(x.layout))
	for i := range wanted {
		wanted[i] = -1
	}
	for k, i := range places {
		cols[k], wanted[i] = x.layout[i], k
	}
	step = min(step, rowsOf(cols...))
	seen := make([]int, len(cols)) // the row of the value last set, from 1
	begin, rows := 0, 0
	flush := func() error {
		if rows == 0 {
			return nil
		}
		batch := make([]Column, len(cols))
		for k := range cols {
			batch[k] = rowsIn(cols[k], 0, rows)
		}
		if err := use(batch); err != nil {
			return usesError{err}
		}
		begin, rows = begin+rows, 0
		return nil
	}
	err := x.each(func(row, i int, value []byte) error {
		if row == begin && rows == 0 {
			x.start(cols, seen, step)
		}
		rows = row - begin + 1
		if i >= len(wanted) || wanted[i] < 0 {
			return nil
		}
		k := wanted[i]
		seen[k] = row + 1
		if len(value) == 0 || x.comma == 0 && value[0] == 'n' { // null
			setNull(&cols[k], row-begin, step)
			return nil
		}
		if err := x.shapes[i].set(&cols[k], row-begin, value); err != nil {
			return fmt.Errorf("%q: %w", cols[k].Name, err)
		}
		return nil
	}, func(row int) error {
		if row == begin && rows == 0 { // of a row without values
			x.start(cols, seen, step)
		}
		rows = row - begin + 1
		for k := range cols {
			if seen[k] != row+1 {
				setNull(&cols[k], row-begin, step)
			}
		}
		if rows == step {
			return flush()
		}
		return nil
	})
	if err == nil {
		err = flush()
	}
	if other, ok := err.(usesError); ok {
		return other.error
	}
	return err
}

func (x *textTable) start(cols []Column, seen []int, step int) {
	for k := range cols {
		resized(&cols[k], step)
	}
	clear(seen)
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

// shape is what the values of a column of text have in common.
type shape struct {
	of    element
	width int // of a list or of bytes, 0 of one value
	parts []Part
	cell  bool // of a table of cells
}

// merge makes of a column's shape that with one value more.
func (s *shape) merge(v shape) {
	switch {
	case v.of == isNull:
		return
	case s.of == isNull:
		*s = v
		return
	case s.width != v.width || !slices.Equal(s.parts, v.parts):
		*s = shape{of: isOther, cell: v.cell}
		return
	}
	if s.of = joined(s.of, v.of); s.of == isOther {
		*s = shape{of: isOther, cell: v.cell}
	}
}

func joined(a, b element) element {
	switch {
	case a == b:
		return a
	case min(a, b) == isWhole && max(a, b) == isReal:
		return isReal
	}
	return isOther
}

// column settles a Column's type.
func (s *shape) column(c *Column) {
	c.Width, c.Parts = s.width, s.parts
	switch s.of {
	case isBool:
		c.Values = []bool{}
	case isWhole:
		c.Values = []int64{}
	case isReal:
		c.Values = []float64{}
	case isHex:
		c.Values = []uint8{}
	default:
		c.Values = []string{}
	}
}

// elementOf says what a value of JSON is, isOther of lists and objects.
func elementOf(v []byte) element {
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
	return numberOf(v)
}

func numberOf(v []byte) element {
	if bytes.ContainsAny(v, ".eE") || string(v) == "-0" { // a zero with a sign
		return isReal
	}
	if len(v) > 18 {
		if _, err := strconv.ParseInt(string(v), 10, 64); err != nil {
			return isReal
		}
	}
	return isWhole
}

func shapeOfCell(cell []byte) shape {
	if len(cell) == 0 {
		return shape{}
	}
	if _, err := strconv.ParseInt(string(cell), 10, 64); err == nil && string(cell) != "-0" {
		return shape{of: isWhole, cell: true}
	}
	if _, err := strconv.ParseFloat(string(cell), 64); err == nil {
		return shape{of: isReal, cell: true}
	}
	return shape{of: isText, cell: true}
}

// shapeOf is that of a value of JSON, in a column of bytes where the name says so.
func shapeOf(v []byte, inHex bool) shape {
	switch e := elementOf(v); {
	case e == isText && inHex:
		if n, ok := hexOf(v); ok {
			return shape{of: isHex, width: n}
		}
		return shape{of: isText}
	case e != isOther:
		return shape{of: e}
	case v[0] == '[':
		n, e := listOf(v)
		if n == 0 || e == isOther {
			return shape{of: isOther}
		}
		return shape{of: e, width: n}
	}
	s := shape{of: isNull}
	_ = members(v, func(key, v []byte) error {
		name, err := unquoted(key)
		part, e := Part{name, 1}, elementOf(v)
		switch {
		case e == isText && inHex:
			n, ok := hexOf(v)
			if part.Width, e = n, isHex; !ok {
				e = isOther
			}
		case e == isNull:
			e = isReal
		case v[0] == '[':
			part.Width, e = listOf(v)
			if part.Width < 2 {
				e = isOther
			}
		}
		if err != nil || slices.ContainsFunc(s.parts, func(p Part) bool { return p.Name == name }) {
			e = isOther
		}
		if s.of != isNull {
			e = joined(s.of, e)
		}
		s.of, s.parts, s.width = e, append(s.parts, part), s.width+part.Width
		return nil
	})
	if s.of == isOther || s.parts == nil {
		return shape{of: isOther}
	}
	return s
}

// listOf is the number of a list's values, and what they are; null stands for no number.
func listOf(v []byte) (n int, of element) {
	_ = members(v, func(_, v []byte) error {
		e := elementOf(v)
		if e == isNull {
			e = isReal
		}
		if n++; n > 1 {
			e = joined(of, e)
		}
		of = e
		return nil
	})
	return n, of
}

// hexOf is the number of bytes that a string of JSON is the hex of.
func hexOf(v []byte) (n int, ok bool) {
	if v = v[1 : len(v)-1]; len(v) == 0 || len(v)%2 != 0 {
		return 0, false
	}
	for _, b := range v {
		if (b < '0' || b > '9') && (b|' ' < 'a' || b|' ' > 'f') {
			return 0, false
		}
	}
	return len(v) / 2, true
}

var errMeanwhile = errors.New("it changed while it was read")

// set writes a value, which is there, to a row of a column.
func (s *shape) set(c *Column, row int, v []byte) error {
	at := row * max(s.width, 1)
	if s.width == 0 {
		return s.one(c, at, v)
	}
	end := at + s.width
	put := func(_, v []byte) error {
		if at == end {
			return errMeanwhile
		}
		at++
		return s.one(c, at-1, v)
	}
	hexed := func(_, v []byte) error {
		n, ok := hexOf(v)
		if !ok || at+n > end {
			return errMeanwhile
		}
		_, err := hex.Decode(c.Values.([]uint8)[at:at+n], v[1:len(v)-1])
		at += n
		return err
	}
	var err error
	switch {
	case s.of == isHex && s.parts == nil:
		err = hexed(nil, v)
	case s.of == isHex:
		err = members(v, hexed)
	default:
		err = members(v, func(key, v []byte) error {
			if v[0] == '[' {
				return members(v, put)
			}
			return put(key, v)
		})
	}
	if err == nil && at != end {
		err = errMeanwhile
	}
	return err
}

// one writes one value, which is no bytes.
func (s *shape) one(c *Column, at int, v []byte) (err error) {
	switch to := c.Values.(type) {
	case []bool:
		to[at] = string(v) == "true"
	case []int64:
		to[at], err = strconv.ParseInt(string(v), 10, 64)
	case []float64:
		if string(v) == "null" {
			to[at] = math.NaN()
			return nil
		}
		if to[at], err = strconv.ParseFloat(string(v), 64); errors.Is(err, strconv.ErrRange) {
			err = nil // an infinity
		}
	case []string:
		to[at] = string(v)
		if !s.cell && v[0] == '"' {
			to[at], err = unquoted(v)
		}
	}
	return err
}

// unquoted is a string of JSON.
func unquoted(v []byte) (string, error) {
	if text := v[1 : len(v)-1]; !bytes.Contains(text, []byte{'\\'}) && utf8.Valid(text) {
		return string(text), nil
	}
	var s string
	err := json.Unmarshal(v, &s)
	return s, err
}

// members gives the values of a valid object, with their keys, or of a list.
func members(v []byte, use func(key, value []byte) error) error {
	object := v[0] == '{'
	for at := 1; ; {
		at += blank(v[at:])
		if at >= len(v)-1 {
			return nil
		}
		var key []byte
		if object {
			n := extent(v[at:])
			key = v[at : at+n]
			at += n
			at += blank(v[at:]) + 1 // the colon
			at += blank(v[at:])
		}
		n := extent(v[at:])
		if err := use(key, v[at:at+n]); err != nil {
			return err
		}
		at += n
		at += blank(v[at:]) + 1 // the comma, or the end
	}
}

func blank(v []byte) (n int) {
	for n < len(v) && (v[n] == ' ' || v[n] == '\t' || v[n] == '\n' || v[n] == '\r') {
		n++
	}
	return n
}

// extent is the length of the value that v, which is valid, begins with.
func extent(v []byte) int {
	depth := 0
	for i := 0; i < len(v); i++ {
		switch v[i] {
		case '"':
			for i++; v[i] != '"'; i++ {
				if v[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return i + 1
			}
		case '[', '{':
			depth++
		case ']', '}':
			if depth--; depth < 0 {
				return i
			} else if depth == 0 {
				return i + 1
			}
		case ',', ':', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
		}
	}
	return len(v)
}
