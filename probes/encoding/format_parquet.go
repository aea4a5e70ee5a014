package encoding

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/parquet-go/parquet-go"
)

// parquetFile is a table: columns that are not asked for are not read.
type parquetFile struct {
	f    *os.File
	file *parquet.File
	from *Origin
	at   map[string]int // index of flat columns
	// parts are the columns that make a kind of code: one, or one for each site.
	parts map[string][]int
	// shard is which shard of a job it is, -1 for none.
	shard int
	// logits is the column of the network's output, -1 where there is none.
	logits int
}

func openParquet(path string) (file, error) { return opened(path, newParquet) }

func newParquet(f *os.File, size int64) (_ file, err error) {
	defer rescue(&err)
	if size < 12 {
		return nil, fmt.Errorf("a Parquet file of %d bytes is cut short", size)
	}
	p := &parquetFile{f: f, at: map[string]int{}, parts: map[string][]int{}, logits: -1, shard: -1}
	if p.file, err = parquet.OpenFile(f, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true)); err != nil {
		return nil, fmt.Errorf("no Parquet file that can be read: %w", err)
	}
	for _, name := range p.file.Schema().Columns() {
		leaf, ok := p.file.Schema().Lookup(name...)
		if ok && name[0] == "logits" && len(name) == 3 && leaf.MaxRepetitionLevel == 1 {
			p.logits = leaf.ColumnIndex
		}
		if !ok || len(name) != 1 || leaf.MaxRepetitionLevel > 0 {
			continue
		}
		p.at[name[0]] = leaf.ColumnIndex
		for _, kind := range []string{Code, Channels} {
			if strings.HasPrefix(name[0], kind+".") {
				p.parts[kind] = append(p.parts[kind], leaf.ColumnIndex)
			}
		}
	}
	for _, kind := range []string{Digest, Sketch, Code, Channels} {
		if whole, ok := p.at[kind]; ok {
			p.parts[kind] = []int{whole}
		}
	}
	if text, ok := p.file.Lookup(manifestKey); ok {
		var of struct {
			Shard       *int   `json:"shard"`
			Fingerprint string `json:"fingerprint"`
		}
		if json.Unmarshal([]byte(text), &of) == nil && of.Shard != nil && of.Fingerprint != "" {
			p.shard = *of.Shard
		}
		p.from, err = parseOrigin([]byte(text), f.Name())
	} else {
		p.from, err = readOrigin(f.Name())
	}
	return p, err
}

func (p *parquetFile) close() error    { return p.f.Close() }
func (p *parquetFile) origin() *Origin { return p.from }

func (p *parquetFile) has(on string) bool {
	_, ok := p.at[on]
	return ok || len(p.parts[on]) > 0
}

func (p *parquetFile) columns(on string) []int { return p.parts[on] }

func (p *parquetFile) rows(on string) (n, width int) {
	if on == Digest {
		width = 16
	} else {
		columns := p.file.Schema().Columns()
		for _, c := range p.columns(on) {
			leaf, _ := p.file.Schema().Lookup(columns[c]...)
			t := leaf.Node.Type()
			if t.Kind() != parquet.FixedLenByteArray {
				return 0, 0
			}
			width += t.Length()
		}
	}
	// A file cannot say that it has more rows than it has bits.
	st, err := p.f.Stat()
	if err != nil {
		return 0, 0
	}
	return int(min(max(p.file.NumRows(), 0), st.Size()*8, int64(maxRows))), width
}

func (p *parquetFile) read(o OpenOptions, use func(*record) error) (err error) {
	defer rescue(&err)
	for g, group := range p.file.RowGroups() {
		if err := p.group(group, o, use); err != nil {
			return fmt.Errorf("row group %d: %w", g, err)
		}
	}
	return nil
}

func (p *parquetFile) group(group parquet.RowGroup, o OpenOptions, use func(*record) error) error {
	g := &groupReader{names: p.file.Schema().Columns(), chunks: group.ColumnChunks()}
	defer g.close()
	if err := g.choose(p, o); err != nil {
		return err
	}
	for row := range group.NumRows() {
		if err := g.next(); err != nil {
			if err == io.EOF {
				err = errors.New("the column ends too early")
			}
			return fmt.Errorf("row %d: %w", row, err)
		}
		if err := use(&g.row); err != nil {
			return err
		}
	}
	return nil
}

// groupReader reads a row group record by record, of the columns that are wanted.
type groupReader struct {
	names  [][]string
	chunks []parquet.ColumnChunk
	open   []*column

	codes         []*column // which one after the other make a code
	texts         []textColumn
	label, logits *column // nil where they are not read
	box           []*column
	code          []byte
	row           record
}

// textColumn is a column with the field of the record that it fills.
type textColumn struct {
	*column
	to *[]byte
}

func (g *groupReader) close() {
	for _, c := range g.open {
		c.pages.Close()
	}
}

// get opens the column of an index.
func (g *groupReader) get(i int) (*column, error) {
	if i >= len(g.chunks) {
		return nil, errors.New("it lacks columns that the file says it has")
	}
	c := &column{name: strings.Join(g.names[i], "."), pages: g.chunks[i].Pages(), buf: make([]parquet.Value, 64)}
	g.open = append(g.open, c)
	return c, nil
}

// choose opens the columns that are wanted and there.
func (g *groupReader) choose(p *parquetFile, o OpenOptions) error {
	for _, i := range p.columns(o.On) {
		c, err := g.get(i)
		if err != nil {
			return err
		}
		g.codes = append(g.codes, c)
	}
	r := &g.row
	fields := []struct {
		name string
		skip bool
		to   *[]byte
	}{{"id", false, &r.id}, {"path", o.Names, &r.path}, {"status", false, &r.status}, {"error", false, &r.message}, {"image", o.Names, &r.image}}
	for _, f := range fields {
		if i, ok := p.at[f.name]; ok && !f.skip {
			c, err := g.get(i)
			if err != nil {
				return err
			}
			g.texts = append(g.texts, textColumn{c, f.to})
		}
	}
	var err error
	if i, ok := p.at["label"]; ok && !o.Names {
		if g.label, err = g.get(i); err != nil {
			return err
		}
	}
	if p.logits >= 0 && o.Logits {
		if g.logits, err = g.get(p.logits); err != nil {
			return err
		}
	}
	for _, name := range boxColumns {
		if i, ok := p.at[name]; ok && !o.Names {
			c, err := g.get(i)
			if err != nil {
				return err
			}
			g.box = append(g.box, c)
		}
	}
	return nil
}

// next fills row, whose bytes are good until the next call.
func (g *groupReader) next() error {
	r := &g.row
	g.code, r.code = g.code[:0], nil
	whole := true
	for _, c := range g.codes {
		v, null, err := c.bytes()
		if err != nil {
			return err
		}
		whole = whole && !null
		g.code = append(g.code, v...)
	}
	if whole {
		r.code = g.code
	}
	for _, t := range g.texts {
		v, null, err := t.bytes()
		if err != nil {
			return err
		}
		if *t.to = v; null {
			*t.to = []byte{}
		}
	}
	if err := g.nextLabel(); err != nil {
		return err
	}
	r.predicted = noLabel
	if g.logits != nil {
		var err error
		if r.predicted, err = g.logits.largest(); err != nil {
			return err
		}
	}
	return g.nextBox()
}

// nextLabel fills the label, a number or of a region a name.
func (g *groupReader) nextLabel() error {
	g.row.label = noLabel
	if g.label == nil {
		return nil
	}
	v, err := g.label.next()
	if err != nil {
		return err
	}
	switch v.Kind() {
	case parquet.Int64:
		g.row.label = v.Int64()
	case parquet.Int32:
		g.row.label = int64(v.Int32())
	case parquet.ByteArray:
		g.row.class = v.ByteArray()
	}
	return nil
}

func (g *groupReader) nextBox() error {
	g.row.box = [4]float64{}
	if len(g.box) < len(boxColumns) {
		return nil
	}
	for i, c := range g.box {
		v, err := c.next()
		if err != nil {
			return err
		}
		if v.Kind() == parquet.Double {
			g.row.box[i] = v.Double()
		}
	}
	return nil
}

// column reads one column chunk value by value.
type column struct {
	name   string
	pages  parquet.Pages
	page   parquet.Page
	values parquet.ValueReader
	buf    []parquet.Value
	at, n  int
	back   bool // the last value is given again
}

func (c *column) next() (parquet.Value, error) {
	if c.back {
		c.back = false
		return c.buf[c.at-1], nil
	}
	for c.at == c.n {
		if c.values == nil {
			page, err := c.pages.ReadPage()
			if err != nil {
				return parquet.Value{}, err
			}
			c.page, c.values = page, page.Values()
		}
		n, err := c.values.ReadValues(c.buf)
		c.at, c.n = 0, n
		if err == io.EOF {
			c.values = nil
		} else if err != nil {
			return parquet.Value{}, err
		} else if n == 0 {
			return parquet.Value{}, errors.New("a page gives no values")
		}
	}
	c.at++
	return c.buf[c.at-1], nil
}

func (c *column) bytes() (b []byte, null bool, err error) {
	v, err := c.next()
	switch {
	case err != nil:
		return nil, false, fmt.Errorf("column %s: %w", c.name, err)
	case v.IsNull():
		return nil, true, nil
	case v.Kind() != parquet.ByteArray && v.Kind() != parquet.FixedLenByteArray:
		return nil, false, fmt.Errorf("column %s holds %s; want bytes", c.name, v.Kind())
	}
	return v.ByteArray(), false, nil
}
