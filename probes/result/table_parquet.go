package result

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
)

// parquetTable is a Parquet file.
type parquetTable struct {
	f      *os.File
	file   *parquet.File
	layout []Column
	leaves [][]*leaf // of each column
}

// leaf is a column of the file: all of a Column, or a part of it.
type leaf struct {
	name   string
	index  int
	levels int  // the definition level of a value that is there
	list   bool // whose rows have their own lengths
	holes  bool // its lists may hold nulls
	bytes  bool
	width  int // of a row, -1 where only the rows say it
	offset int // of a part in a row of the Column
	values any // an empty slice
	col    int // of those that are read, the place of the Column
	// read reads the rows lo to hi of a batch of n rows into a Column, or fewer where texts
	// are long, and says where it ended.
	read  func(l *leaf, c *Column, lo, hi, n int) (int, error)
	texts strings.Builder // where texts lie
	held  int             // bytes of the texts that were read last

	pages parquet.Pages // of the row group that is read
	page  parquet.ValueReader
	buf   []parquet.Value
	at, n int // in buf
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
	var all []*leaf
	whole := map[string]bool{}
	for _, path := range schema.Columns() {
		at, ok := schema.Lookup(path...)
		if !ok || at.MaxRepetitionLevel > 1 {
			continue
		}
		if l := leafAt(schema.Name(), path, at); l != nil {
			if whole[l.name] {
				return fmt.Errorf("two columns are named %q", l.name)
			}
			all, whole[l.name] = append(all, l), true
		}
	}
	taken := map[string]bool{}
	for n := 1; len(all) > 0; all, n = all[n:], 1 {
		c := Column{Name: all[0].name, Values: all[0].values}
		base, _, dot := strings.Cut(c.Name, ".")
		alike := func(l *leaf) bool {
			return reflect.TypeOf(l.values) == reflect.TypeOf(c.Values) && l.bytes == all[0].bytes
		}
		if _, text := c.Values.([]string); dot && base != "" && !text && !whole[base] && !taken[base] {
			c.Name = base
			for n < len(all) && strings.HasPrefix(all[n].name, base+".") && alike(all[n]) {
				n++
			}
			for _, part := range all[:n] {
				if part.width == 0 {
					part.width = 1
				}
				c.Parts = append(c.Parts, Part{Name: part.name[len(base)+1:]})
			}
		}
		taken[c.Name] = true
		p.layout, p.leaves = append(p.layout, c), append(p.leaves, all[:n])
		p.place(len(p.layout) - 1)
	}
	return nil
}

// place works out the widths and offsets of a Column's parts.
func (p *parquetTable) place(i int) {
	c, known := &p.layout[i], true
	c.Width = 0
	for k, l := range p.leaves[i] {
		l.offset = c.Width
		c.Width += l.width
		known = known && l.width >= 0
		if c.Parts != nil {
			c.Parts[k].Width = l.width
		}
	}
	if !known {
		c.Width = -1
	}
}

// leafAt is what can be read of a column of a schema; nil of what cannot.
func leafAt(schema string, path []string, at parquet.LeafColumn) *leaf {
	l := &leaf{name: path[0], index: at.ColumnIndex, levels: at.MaxDefinitionLevel,
		list: at.MaxRepetitionLevel == 1, holes: at.MaxRepetitionLevel == 1 && at.Node.Optional()}
	if !l.list {
		l.name = strings.Join(path, ".")
	} else {
		l.width = -1
	}
	if l.name == "" {
		l.name = unnamed
	}
	of := at.Node.Type()
	base, _, _ := strings.Cut(l.name, ".")
	switch of.Kind() {
	case parquet.Boolean:
		read(l, func(_ *leaf, to []bool, v *parquet.Value) error { to[0] = v.Boolean(); return nil })
	case parquet.Int32:
		if of.LogicalType() != nil && of.String() == parquet.Uint(8).Type().String() {
			read(l, func(_ *leaf, to []uint8, v *parquet.Value) error { to[0] = uint8(v.Int32()); return nil })
		} else {
			read(l, func(_ *leaf, to []int32, v *parquet.Value) error { to[0] = v.Int32(); return nil })
		}
	case parquet.Int64:
		read(l, func(_ *leaf, to []int64, v *parquet.Value) error { to[0] = v.Int64(); return nil })
	case parquet.Float:
		read(l, func(_ *leaf, to []float32, v *parquet.Value) error { to[0] = v.Float(); return nil })
	case parquet.Double:
		read(l, func(_ *leaf, to []float64, v *parquet.Value) error { to[0] = v.Double(); return nil })
	case parquet.FixedLenByteArray:
		if l.width = of.Length(); l.list || l.width <= 0 {
			return nil
		}
		l.bytes = true
		read(l, (*leaf).bytesOf)
	case parquet.ByteArray:
		if of.LogicalType() == nil && !l.list && (holdsBytes(base) || schema == schemaName) {
			l.width, l.bytes = -1, true
			read(l, (*leaf).bytesOf)
		} else {
			read(l, (*leaf).textOf)
		}
	default:
		return nil
	}
	return l
}

// read makes of a leaf one whose rows hold what set sets.
func read[T any](l *leaf, set func(l *leaf, to []T, v *parquet.Value) error) {
	l.values = []T(nil)
	l.read = func(l *leaf, c *Column, lo, hi, n int) (row int, err error) {
		values, stride, width := c.Values.([]T), max(c.Width, 1), max(l.width, 1)
		for row = lo; row < hi && l.held < batchBytes; row++ {
			if l.at == l.n {
				if err := l.more(); err != nil {
					return row, err
				}
			}
			v := &l.buf[l.at]
			l.at++
			to := values[row*stride+l.offset:][:width]
			switch {
			case v.IsNull() && !l.there(v):
				setNull(c, row, n)
			case l.list:
				err = readList(l, v, to, set)
			default:
				err = set(l, to, v)
			}
			if err != nil {
				return row, fmt.Errorf("row %d of a batch: %w", row, err)
			}
		}
		return row, nil
	}
}

// readList reads a row of a column of lists, whose first value is there.
func readList[T any](l *leaf, v *parquet.Value, to []T, set func(*leaf, []T, *parquet.Value) error) (err error) {
	for i := range to {
		if i > 0 {
			if v, err = l.next(); err != nil {
				return err
			}
		}
		switch {
		case (i > 0) != (v.RepetitionLevel() > 0) || v.IsNull() && !l.there(v):
			return fmt.Errorf("a list of another length than %d, which those before it have", len(to))
		case v.IsNull():
			err = noNumber(&to[i])
		default:
			err = set(l, to[i:], v)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// noNumber stands for a null in a list of numbers.
func noNumber(v any) error {
	switch v := v.(type) {
	case *float64:
		*v = math.NaN()
	case *float32:
		*v = float32(math.NaN())
	default:
		return errors.New("a null within a list")
	}
	return nil
}

// held are the bytes of a value.
func held(v *parquet.Value) ([]byte, error) {
	if k := v.Kind(); k != parquet.ByteArray && k != parquet.FixedLenByteArray {
		return nil, fmt.Errorf("it holds %s; want bytes", k)
	}
	return v.ByteArray(), nil
}

func (l *leaf) bytesOf(to []uint8, v *parquet.Value) error {
	b, err := held(v)
	if err == nil && len(b) != l.width {
		err = fmt.Errorf("%d bytes; those before it have %d", len(b), l.width)
	}
	copy(to, b)
	return err
}

func (l *leaf) textOf(to []string, v *parquet.Value) error {
	b, err := held(v)
	if l.texts.Cap()-l.texts.Len() < len(b) {
		l.texts.Reset()
		l.texts.Grow(max(len(b), 1<<16))
	}
	at := l.texts.Len()
	l.texts.Write(b)
	to[0] = l.texts.String()[at:]
	l.held += len(b)
	return err
}

// next is the next value, good until it is asked for again.
func (l *leaf) next() (*parquet.Value, error) {
	if l.at == l.n {
		if err := l.more(); err != nil {
			return nil, err
		}
	}
	l.at++
	return &l.buf[l.at-1], nil
}

// more gets the next values.
func (l *leaf) more() error {
	for l.at == l.n {
		if l.page == nil {
			page, err := l.pages.ReadPage()
			if err != nil {
				return err
			}
			l.page = page.Values()
		}
		if l.buf == nil {
			l.buf = make([]parquet.Value, 128)
		}
		n, err := l.page.ReadValues(l.buf)
		l.at, l.n = 0, n
		switch {
		case err == io.EOF:
			l.page = nil
		case err != nil:
			return err
		case n == 0:
			return errors.New("a page gives no values")
		}
	}
	return nil
}

// there says of a value that it is one, or a null that is an element of a list.
func (l *leaf) there(v *parquet.Value) bool {
	return !v.IsNull() || l.holes && v.DefinitionLevel() == l.levels-1
}

// begin reads a row group from its beginning.
func (l *leaf) begin(group parquet.RowGroup) (err error) {
	defer rescue(&err)
	chunks := group.ColumnChunks()
	if l.index >= len(chunks) {
		return errors.New("it lacks columns that the file says it has")
	}
	l.pages = chunks[l.index].Pages()
	return nil
}

func (l *leaf) end() {
	if l.pages != nil {
		l.pages.Close()
	}
	l.pages, l.page = nil, nil
	l.at, l.n = 0, 0
}

// maxList bounds the values of a list, and maxRow those of a row.
const maxList, maxRow = 1 << 24, 1 << 28

// widths finds how wide the rows of a column are where the file does not say it: as wide as
// the first that is there.
func (p *parquetTable) widths(i int) error {
	for _, l := range p.leaves[i] {
		if l.width >= 0 {
			continue
		}
		n := 0
		for g, group := range p.file.RowGroups() {
			var err error
			if n, err = l.firstWidth(group); err != nil {
				return fmt.Errorf("row group %d: column %s: %w", g, l.name, err)
			}
			if n > 0 {
				break
			}
		}
		l.width = max(n, 1)
	}
	if p.place(i); p.layout[i].Width > maxRow {
		return fmt.Errorf("column %s: rows of %d values", p.layout[i].Name, p.layout[i].Width)
	}
	return nil
}

func (l *leaf) firstWidth(group parquet.RowGroup) (n int, err error) {
	defer rescue(&err)
	defer l.end()
	if err := l.begin(group); err != nil {
		return 0, err
	}
	for {
		v, err := l.next()
		switch {
		case err == io.EOF:
			return n, nil
		case err != nil:
			return 0, err
		case n > 0 && v.RepetitionLevel() == 0:
			return n, nil
		case l.bytes && !v.IsNull():
			b, err := held(v)
			return len(b), err
		case l.list && l.there(v):
			if n++; n > maxList {
				return 0, fmt.Errorf("lists of more than %d values", maxList)
			}
		}
	}
}

func (p *parquetTable) read(places []int, use func([]Column) error) error {
	cols := make([]Column, len(places))
	var texts, others []*leaf
	for k, i := range places {
		if err := p.widths(i); err != nil {
			return err
		}
		cols[k] = layoutOf(p.layout[i : i+1])[0]
		for _, of := range p.leaves[i] {
			own := *of // another reading may go on meanwhile
			l := &own
			if l.col = k; reflect.TypeOf(l.values) == reflect.TypeFor[[]string]() {
				texts = append(texts, l)
			} else {
				others = append(others, l)
			}
		}
	}
	for g, group := range p.file.RowGroups() {
		if err := readGroup(group, cols, texts, others, use); err != nil {
			return usersOwn(fmt.Errorf("row group %d: %w", g, err))
		}
	}
	return nil
}

// readGroup reads a row group in batches.
func readGroup(group parquet.RowGroup, cols []Column, texts, others []*leaf, use func([]Column) error) error {
	leaves := slices.Concat(texts, others)
	for _, l := range leaves {
		defer l.end()
		if err := l.begin(group); err != nil {
			return err
		}
	}
	batch, step := make([]Column, len(cols)), int64(rowsOf(cols...))
	for at, all := int64(0), group.NumRows(); at < all; {
		rows, err := fill(cols, texts, others, int(min(step, all-at)))
		if err != nil {
			return fmt.Errorf("row %d: %w", at, err)
		}
		for k, c := range cols {
			batch[k] = rowsIn(c, 0, rows)
		}
		if err := use(batch); err != nil {
			return usesError{err}
		}
		at += int64(rows)
	}
	return beyond(leaves)
}

// fill reads n rows, or fewer where texts are long: these come first, several row by row.
func fill(cols []Column, texts, others []*leaf, n int) (rows int, err error) {
	defer rescue(&err)
	for k := range cols {
		resized(&cols[k], n)
	}
	step, held := n, 0
	if len(texts) > 1 {
		step = 1
	}
	for end := 0; len(texts) > 0 && rows < n && held < batchBytes; rows = end {
		for _, l := range texts {
			if end, err = l.rows(cols, rows, rows+step, n); err != nil {
				return 0, err
			}
			held += l.held
		}
	}
	if texts == nil {
		rows = n
	}
	for _, l := range others {
		if _, err := l.rows(cols, 0, rows, n); err != nil {
			return 0, err
		}
	}
	return rows, nil
}

func (l *leaf) rows(cols []Column, lo, hi, n int) (int, error) {
	l.held = 0
	end, err := l.read(l, &cols[l.col], lo, hi, n)
	if err == io.EOF {
		err = errors.New("it ends too early")
	}
	if err != nil {
		return 0, fmt.Errorf("column %s: %w", l.name, err)
	}
	return end, nil
}

// beyond is an error where the last row of a group has more than was read of it.
func beyond(leaves []*leaf) (err error) {
	defer rescue(&err)
	for _, l := range leaves {
		if l.list {
			if v, err := l.next(); err == nil && v.RepetitionLevel() > 0 {
				return fmt.Errorf("column %s: a list of more values than those before it", l.name)
			}
		}
	}
	return nil
}
