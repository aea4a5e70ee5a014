package result

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"reflect"
	"strings"

	"github.com/parquet-go/parquet-go"
)

// parquetTable is a Parquet file.
type parquetTable struct {
	f      *os.File
	file   *parquet.File
	layout []Column
	leaves [][]leaf // of each column
}

// leaf is a column of the file: all of a Column, or a part of it.
type leaf struct {
	name   string
	index  int
	levels int  // the definition level of a value that is there
	list   bool // whose rows have their own lengths
	holes  bool // its lists may hold nulls
	width  int  // of a row, -1 where only the rows say it
	offset int  // of a part in a row of the Column
	values any  // an empty slice
	bytes  bool
}

func openParquetTable(t *Table) (err error) {
	defer rescue(&err)
	f, err := os.Open(t.path)
	if err != nil {
		return err
	}
	p := &parquetTable{f: f}
	t.source = p
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if st.Size() < 12 {
		return fmt.Errorf("a Parquet file of %d bytes is cut short", st.Size())
	}
	p.file, err = parquet.OpenFile(f, st.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return fmt.Errorf("no Parquet file that can be read: %w", err)
	}
	if err := p.columns(); err != nil {
		return err
	}
	t.layout = p.layout
	// A file cannot say that it has more rows than it has bits.
	t.rows = int(min(max(p.file.NumRows(), 0), st.Size()*8, maxRows))
	if text, ok := p.file.Lookup(manifestKey); ok {
		t.manifest = func() (*Manifest, error) { return parseManifest([]byte(text), t.path) }
	}
	return nil
}

func (p *parquetTable) close() error { return p.f.Close() }

// columns makes Columns of the file's: neighbors NAME.PART of one type become parts of one.
func (p *parquetTable) columns() error {
	schema := p.file.Schema()
	var all []leaf
	whole := map[string]bool{}
	for _, path := range schema.Columns() {
		at, ok := schema.Lookup(path...)
		if !ok || at.MaxRepetitionLevel > 1 {
			continue
		}
		if l, ok := leafAt(schema.Name(), path, at); ok {
			if whole[l.name] {
				return fmt.Errorf("two columns are named %q", l.name)
			}
			all, whole[l.name] = append(all, l), true
		}
	}
	taken := map[string]bool{}
	for i := 0; i < len(all); {
		l := all[i]
		c, n := Column{Name: l.name, Values: l.values, Width: l.width}, 1
		base, _, _ := strings.Cut(l.name, ".")
		if base != "" && isPart(l) && !whole[base] && !taken[base] {
			for i+n < len(all) && strings.HasPrefix(all[i+n].name, base+".") && l.alike(all[i+n]) {
				n++
			}
			c.Name, c.Width = base, 0
			for k := range all[i : i+n] {
				part := &all[i+k]
				if !part.list && !part.bytes {
					part.width = 1
				}
				c.Parts = append(c.Parts, Part{strings.TrimPrefix(part.name, base+"."), part.width})
			}
		}
		taken[c.Name] = true
		p.layout, p.leaves = append(p.layout, c), append(p.leaves, all[i:i+n])
		p.place(len(p.layout) - 1)
		i += n
	}
	return nil
}

// alike says of two columns that they can be parts of one.
func (l leaf) alike(m leaf) bool {
	return reflect.TypeOf(l.values) == reflect.TypeOf(m.values) && l.bytes == m.bytes
}

// isPart says whether a column with a dot in its name is one of a Column's parts.
func isPart(l leaf) bool {
	_, text := l.values.([]string)
	return !text && strings.Contains(l.name, ".")
}

// place works out the widths and offsets of a Column's parts.
func (p *parquetTable) place(i int) {
	c, leaves := &p.layout[i], p.leaves[i]
	if c.Parts == nil {
		c.Width = leaves[0].width
		return
	}
	c.Width = 0
	for k := range leaves {
		c.Parts[k].Width, leaves[k].offset = leaves[k].width, c.Width
		if leaves[k].width < 0 {
			c.Width = -1
			return
		}
		c.Width += leaves[k].width
	}
}

// leafAt is what can be read of a column of a schema; ok is false of what cannot.
func leafAt(schema string, path []string, at parquet.LeafColumn) (l leaf, ok bool) {
	l = leaf{name: path[0], index: at.ColumnIndex, levels: at.MaxDefinitionLevel,
		holes: at.Node.Optional(), list: at.MaxRepetitionLevel == 1}
	if !l.list {
		l.name = strings.Join(path, ".")
	} else {
		l.width = -1
	}
	of := at.Node.Type()
	if l.name == "" {
		l.name = unnamed
	}
	base, _, _ := strings.Cut(l.name, ".")
	switch of.Kind() {
	case parquet.Boolean:
		l.values = []bool(nil)
	case parquet.Int32:
		if l.values = []int32(nil); of.LogicalType() != nil && of.String() == parquet.Uint(8).Type().String() {
			l.values = []uint8(nil)
		}
	case parquet.Int64:
		l.values = []int64(nil)
	case parquet.Float:
		l.values = []float32(nil)
	case parquet.Double:
		l.values = []float64(nil)
	case parquet.FixedLenByteArray:
		l.values, l.bytes, l.width = []uint8(nil), true, of.Length()
		return l, !l.list && l.width > 0
	case parquet.ByteArray:
		l.values = []string(nil)
		if of.LogicalType() == nil && !l.list && (holdsBytes(base) || schema == schemaName) {
			l.values, l.bytes, l.width = []uint8(nil), true, -1
		}
	default:
		return l, false
	}
	return l, true
}

func (p *parquetTable) read(places []int, use func([]Column) error) error {
	for _, i := range places {
		if err := p.widths(i); err != nil {
			return err
		}
	}
	cols := make([]cursor, len(places))
	each := make([]Column, len(places))
	for k, i := range places {
		leaves := p.leaves[i]
		cols[k] = cursor{Column: layoutOf(p.layout[i : i+1])[0], leaves: leaves, open: make([]values, len(leaves))}
		each[k] = cols[k].Column
	}
	step := rowsOf(each...)
	for g, group := range p.file.RowGroups() {
		if err := p.group(group, cols, each, step, use); err != nil {
			return usersOwn(fmt.Errorf("row group %d: %w", g, err))
		}
	}
	return nil
}

// group reads a row group in batches of step rows at the most; batch is reused.
func (p *parquetTable) group(group parquet.RowGroup, cols []cursor, batch []Column, step int,
	use func([]Column) error) error {
	defer func() {
		for i := range cols {
			cols[i].end()
		}
	}()
	if err := begin(group, cols); err != nil {
		return err
	}
	for at, all := int64(0), group.NumRows(); at < all; {
		rows, err := fill(cols, batch, int(min(int64(step), all-at)))
		if err != nil {
			return fmt.Errorf("row %d: %w", at, err)
		}
		if err := use(batch); err != nil {
			return usesError{err}
		}
		at += int64(rows)
	}
	return beyond(cols)
}

// beyond is an error where the last row of a group has more than was read of it.
func beyond(cols []cursor) (err error) {
	defer rescue(&err)
	for i := range cols {
		for k := range cols[i].open {
			l := &cols[i].open[k]
			if !l.list {
				continue
			}
			if v, err := l.next(); err == nil && v.RepetitionLevel() > 0 {
				return fmt.Errorf("column %s: a list of more values than those before it", l.name)
			}
		}
	}
	return nil
}

func begin(group parquet.RowGroup, cols []cursor) (err error) {
	defer rescue(&err)
	chunks := group.ColumnChunks()
	for i := range cols {
		for k, l := range cols[i].leaves {
			if l.index >= len(chunks) {
				return errors.New("it lacks columns that the file says it has")
			}
			cols[i].open[k] = values{leaf: l, pages: chunks[l.index].Pages()}
		}
	}
	return nil
}

// fill makes the next batch of n rows, or fewer where texts are long.
func fill(cols []cursor, batch []Column, n int) (rows int, err error) {
	defer rescue(&err)
	rows = n
	for i := range cols {
		c := &cols[i]
		if c.at == c.have {
			if err := c.fill(n); err != nil {
				return 0, err
			}
		}
		rows = min(rows, c.have-c.at)
	}
	for i := range cols {
		c := &cols[i]
		batch[i] = rowsIn(c.Column, c.at, c.at+rows)
		c.at += rows
	}
	return rows, nil
}

// widths finds how wide the rows of a column are where the file does not say it: as wide as
// the first that is there.
func (p *parquetTable) widths(i int) error {
	for k := range p.leaves[i] {
		l := &p.leaves[i][k]
		if l.width >= 0 {
			continue
		}
		for g, group := range p.file.RowGroups() {
			n, err := firstWidth(group, *l)
			if err != nil {
				return fmt.Errorf("row group %d: %w", g, err)
			}
			if l.width = n; n > 0 {
				break
			}
		}
		l.width = max(l.width, 1)
	}
	p.place(i)
	return nil
}

func firstWidth(group parquet.RowGroup, l leaf) (n int, err error) {
	defer rescue(&err)
	one := []cursor{{leaves: []leaf{l}, open: make([]values, 1)}}
	defer one[0].end()
	if err := begin(group, one); err != nil {
		return 0, err
	}
	v := &one[0].open[0]
	for {
		x, err := v.next()
		switch {
		case err == io.EOF:
			return n, nil
		case err != nil:
			return 0, err
		case n > 0 && x.RepetitionLevel() == 0:
			return n, nil
		case l.bytes && !x.IsNull():
			b, err := v.of(x)
			return len(b), err
		case l.list && v.there(x):
			if n++; n > maxList {
				return 0, fmt.Errorf("column %s has lists of more than %d values", l.name, maxList)
			}
		}
	}
}

// maxList bounds the values of a list, and maxRow those of a row.
const maxList, maxRow = 1 << 24, 1 << 28

// cursor reads one Column.
type cursor struct {
	Column
	leaves   []leaf
	open     []values
	at, have int // rows given, and rows there
	text     int // bytes of the last batch of texts
	ends     []int
}

func (c *cursor) end() {
	for i := range c.open {
		if c.open[i].pages != nil {
			c.open[i].pages.Close()
		}
		c.open[i] = values{}
	}
	c.at, c.have = 0, 0
}

// fill reads n rows, of texts perhaps fewer.
func (c *cursor) fill(n int) (err error) {
	c.at, c.have = 0, 0
	if c.Values, err = c.room(n); err != nil {
		return err
	}
	for k := range c.open {
		l := &c.open[k]
		read := n
		switch into := c.Values.(type) {
		case []string:
			read, err = c.texts(l, n, into)
		case []uint8:
			if l.bytes {
				err = c.bytes(l, n, into)
			} else {
				err = numbers(c, l, n, into, func(v *parquet.Value) uint8 { return uint8(v.Int32()) })
			}
		case []int32:
			err = numbers(c, l, n, into, (*parquet.Value).Int32)
		case []int64:
			err = numbers(c, l, n, into, (*parquet.Value).Int64)
		case []float32:
			err = numbers(c, l, n, into, (*parquet.Value).Float)
		case []float64:
			err = numbers(c, l, n, into, (*parquet.Value).Double)
		case []bool:
			err = numbers(c, l, n, into, (*parquet.Value).Boolean)
		}
		if err == io.EOF {
			err = errors.New("the column ends too early")
		}
		if err != nil {
			return fmt.Errorf("column %s: %w", l.name, err)
		}
		c.have = read
	}
	return nil
}

// room is the slice that n rows are read into; its values are all to be set or zeroed.
func (c *cursor) room(n int) (any, error) {
	c.Null = nil
	if c.Width > maxRow {
		return nil, fmt.Errorf("rows of %d values", c.Width)
	}
	need := n * max(c.Width, 1)
	if have, _ := length(c.Values); have < need {
		return reflect.MakeSlice(reflect.TypeOf(c.Values), need, need).Interface(), nil
	}
	return c.Values, nil
}

func numbers[T any](c *cursor, l *values, n int, into []T, get func(*parquet.Value) T) error {
	stride := max(c.Width, 1)
	for row := range n {
		v, err := l.next()
		if err != nil {
			return err
		}
		to := into[row*stride+l.offset:]
		switch {
		case l.list && l.there(v):
			err = listRow(l, v, to[:l.width], get)
		case v.IsNull():
			clear(to[:max(l.width, 1)])
			setNull(&c.Column, row, n)
		default:
			to[0] = get(v)
		}
		if err != nil {
			return fmt.Errorf("row %d of a batch: %w", row, err)
		}
	}
	return nil
}

// listRow reads a row of a column of lists, whose first value is there.
func listRow[T any](l *values, v *parquet.Value, to []T, get func(*parquet.Value) T) (err error) {
	for i := range to {
		if i > 0 {
			if v, err = l.next(); err != nil {
				return err
			}
		}
		if (i > 0) != (v.RepetitionLevel() > 0) || !l.there(v) {
			return fmt.Errorf("a list of another length than %d, which those before it have", len(to))
		}
		if v.IsNull() {
			if to[i], err = none[T](); err != nil {
				return err
			}
			continue
		}
		to[i] = get(v)
	}
	return nil
}

// none stands for a null in a list of numbers.
func none[T any]() (v T, err error) {
	switch p := any(&v).(type) {
	case *float64:
		*p = math.NaN()
	case *float32:
		*p = float32(math.NaN())
	default:
		err = errors.New("a null within a list")
	}
	return v, err
}

// bytes reads n rows of bytes.
func (c *cursor) bytes(l *values, n int, into []uint8) error {
	for row := range n {
		v, err := l.next()
		if err != nil {
			return err
		}
		to := into[row*c.Width+l.offset:][:l.width]
		if v.IsNull() {
			clear(to)
			setNull(&c.Column, row, n)
			continue
		}
		b, err := l.of(v)
		if err != nil {
			return err
		}
		if len(b) != l.width {
			return fmt.Errorf("%d bytes; those before it have %d", len(b), l.width)
		}
		copy(to, b)
	}
	return nil
}

// texts reads up to n rows of texts: those of a batch lie in one string.
func (c *cursor) texts(l *values, n int, into []string) (rows int, err error) {
	stride := max(c.Width, 1)
	var text strings.Builder
	text.Grow(c.text) // as the batch before it
	c.ends = c.ends[:0]
	add := func(v *parquet.Value) {
		b, fault := l.of(v)
		if fault != nil {
			err = fault
		}
		text.Write(b)
		c.ends = append(c.ends, text.Len())
	}
	for ; rows < n && text.Len() < batchBytes && err == nil; rows++ {
		v, fault := l.next()
		switch {
		case fault != nil:
			return 0, fault
		case l.list && l.there(v):
			fault = listRow(l, v, into[:stride], func(v *parquet.Value) string { add(v); return "" })
			if fault != nil {
				return 0, fault
			}
		case v.IsNull():
			setNull(&c.Column, rows, n)
			for range stride {
				c.ends = append(c.ends, text.Len())
			}
		default:
			add(v)
		}
	}
	c.text = text.Len()
	all, from := text.String(), 0
	for i, to := range c.ends {
		into[i], from = all[from:to], to
	}
	return rows, err
}

// values reads the values of a leaf in a row group.
type values struct {
	leaf
	pages parquet.Pages
	page  parquet.ValueReader
	buf   []parquet.Value
	at, n int
}

// next is the next value, good until it is asked for again.
func (l *values) next() (*parquet.Value, error) {
	for l.at == l.n {
		if l.page == nil {
			page, err := l.pages.ReadPage()
			if err != nil {
				return nil, err
			}
			l.page = page.Values()
		}
		if l.buf == nil {
			l.buf = make([]parquet.Value, 64)
		}
		n, err := l.page.ReadValues(l.buf)
		l.at, l.n = 0, n
		switch {
		case err == io.EOF:
			l.page = nil
		case err != nil:
			return nil, err
		case n == 0:
			return nil, errors.New("a page gives no values")
		}
	}
	l.at++
	return &l.buf[l.at-1], nil
}

// there says of a value that it is an element of a list, be it null.
func (l *values) there(v *parquet.Value) bool {
	return !v.IsNull() || l.holes && v.DefinitionLevel() == l.levels-1
}

// of are the bytes of a value.
func (l *values) of(v *parquet.Value) ([]byte, error) {
	if k := v.Kind(); k != parquet.ByteArray && k != parquet.FixedLenByteArray {
		return nil, fmt.Errorf("it holds %s; want bytes", k)
	}
	return v.ByteArray(), nil
}
