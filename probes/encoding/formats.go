package encoding

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"strings"

	"github.com/parquet-go/parquet-go"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/sink"
)

// rescue turns a panic in a decoder of hostile bytes into an error.
func rescue(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("the file is damaged: %v", p)
	}
}

// parquetFile is a table: columns that are not asked for are not read.
type parquetFile struct {
	f    *os.File
	file *parquet.File
	from *Origin
	at   map[string]int // index of flat columns
	// parts are the columns that make a kind of code: one, or one for each site.
	parts map[string][]int
	// logits is the column of the network's output, -1 where there is none.
	logits int
}

func openParquet(path string) (_ file, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	defer rescue(&err)
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Size() < 12 {
		return nil, fmt.Errorf("a Parquet file of %d bytes is cut short", st.Size())
	}
	p := &parquetFile{f: f, at: map[string]int{}, parts: map[string][]int{}, logits: -1}
	if p.file, err = parquet.OpenFile(f, st.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true)); err != nil {
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
		p.from, err = parseOrigin([]byte(text), path)
	} else {
		p.from, err = readOrigin(path)
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
	on, names := o.On, o.Names
	chunks := group.ColumnChunks()
	var open []*column
	defer func() {
		for _, c := range open {
			c.pages.Close()
		}
	}()
	get := func(i int) (*column, error) {
		if i >= len(chunks) {
			return nil, errors.New("it lacks columns that the file says it has")
		}
		c := &column{name: strings.Join(p.file.Schema().Columns()[i], "."), pages: chunks[i].Pages(), buf: make([]parquet.Value, 64)}
		open = append(open, c)
		return c, nil
	}
	var codes []*column
	for _, i := range p.columns(on) {
		c, err := get(i)
		if err != nil {
			return err
		}
		codes = append(codes, c)
	}
	var r record
	type text struct {
		column *column
		to     *[]byte
	}
	var texts []text
	wanted := []struct {
		name string
		to   *[]byte
		skip bool
	}{{"id", &r.id, false}, {"path", &r.path, names}, {"status", &r.status, false}, {"error", &r.message, false}, {"image", &r.image, names}}
	for _, w := range wanted {
		if i, ok := p.at[w.name]; ok && !w.skip {
			c, err := get(i)
			if err != nil {
				return err
			}
			texts = append(texts, text{c, w.to})
		}
	}
	var label *column
	if i, ok := p.at["label"]; ok && !names {
		c, err := get(i)
		if err != nil {
			return err
		}
		label = c
	}
	var logits *column
	if p.logits >= 0 && o.Logits {
		c, err := get(p.logits)
		if err != nil {
			return err
		}
		logits = c
	}
	var box []*column
	for _, name := range boxColumns {
		if i, ok := p.at[name]; ok && !names {
			c, err := get(i)
			if err != nil {
				return err
			}
			box = append(box, c)
		}
	}
	code := make([]byte, 0, 64)
	for row := range group.NumRows() {
		fail := func(err error) error {
			if err == io.EOF {
				err = errors.New("the column ends too early")
			}
			return fmt.Errorf("row %d: %w", row, err)
		}
		code, r.code = code[:0], nil
		whole := true
		for _, c := range codes {
			v, null, err := c.bytes()
			if err != nil {
				return fail(err)
			}
			whole = whole && !null
			code = append(code, v...)
		}
		if whole {
			r.code = code
		}
		for _, t := range texts {
			v, null, err := t.column.bytes()
			if err != nil {
				return fail(err)
			}
			if *t.to = v; null {
				*t.to = []byte{}
			}
		}
		r.label = noLabel
		if label != nil {
			v, err := label.next()
			if err != nil {
				return fail(err)
			}
			switch v.Kind() {
			case parquet.Int64:
				r.label = v.Int64()
			case parquet.Int32:
				r.label = int64(v.Int32())
			case parquet.ByteArray:
				r.class = v.ByteArray()
			}
		}
		r.predicted = noLabel
		if logits != nil {
			var err error
			if r.predicted, err = logits.largest(); err != nil {
				return fail(err)
			}
		}
		if r.box = ([4]float64{}); len(box) == len(boxColumns) {
			for i, c := range box {
				v, err := c.next()
				if err != nil {
					return fail(err)
				}
				if v.Kind() == parquet.Double {
					r.box[i] = v.Double()
				}
			}
		}
		if err := use(&r); err != nil {
			return err
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

// item is one row of JSON Lines.
type item struct {
	ID       *string         `json:"id"`
	Path     string          `json:"path"`
	Label    json.RawMessage `json:"label"` // a number, or of a region a name
	Status   string          `json:"status"`
	Error    string          `json:"error"`
	Digest   *string         `json:"digest"`
	Sketch   *string         `json:"sketch"`
	Code     json.RawMessage `json:"code"`
	Channels json.RawMessage `json:"channels"`
	Logits   json.RawMessage `json:"logits"`
	Image    string          `json:"image"`
	X0       float64         `json:"x0"`
	Y0       float64         `json:"y0"`
	X1       float64         `json:"x1"`
	Y1       float64         `json:"y1"`
}

// record fills r; code is decoded into buf, which is returned.
func (it *item) record(r *record, on string, buf []byte) ([]byte, error) {
	*r = record{path: []byte(it.Path), status: []byte(it.Status), message: []byte(it.Error), label: noLabel, predicted: noLabel,
		image: []byte(it.Image), box: [4]float64{it.X0, it.Y0, it.X1, it.Y1}}
	if it.ID != nil {
		r.id = append([]byte{}, *it.ID...)
	}
	var label *int64
	var class string
	if len(it.Label) > 0 && json.Unmarshal(it.Label, &label) != nil {
		if err := json.Unmarshal(it.Label, &class); err != nil {
			return buf, fmt.Errorf("a label that is neither a number nor a name: %w", err)
		}
		r.class = []byte(class)
	}
	if label != nil {
		r.label = *label
	}
	buf = buf[:0]
	var err error
	switch on {
	case "":
		return buf, nil
	case Digest:
		if it.Digest != nil {
			r.code = []byte(*it.Digest)
		}
		return buf, nil
	case Sketch:
		if it.Sketch == nil {
			return buf, nil
		}
		if buf, err = hex.AppendDecode(buf, []byte(*it.Sketch)); err != nil {
			return buf, fmt.Errorf("a sketch that is not hex: %w", err)
		}
	default:
		text := it.Code
		if on == Channels {
			text = it.Channels
		}
		if len(text) == 0 || string(text) == "null" {
			return buf, nil
		}
		if buf, err = parts(buf, text); err != nil {
			return buf, err
		}
	}
	r.code = buf
	return buf, nil
}

// parts decodes a code: hex, or an object whose values are the hex of its parts, in
// their order.
func parts(buf []byte, text json.RawMessage) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	first, err := d.Token()
	if err != nil {
		return buf, err
	}
	if s, ok := first.(string); ok {
		if buf, err = hex.AppendDecode(buf, []byte(s)); err != nil {
			return buf, fmt.Errorf("a code that is not hex: %w", err)
		}
		return buf, nil
	}
	if first != json.Delim('{') {
		return buf, fmt.Errorf("a code that is neither hex nor an object of its parts")
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return buf, err
		}
		part, err := d.Token()
		if err != nil {
			return buf, err
		}
		switch v := part.(type) {
		case string:
			if buf, err = hex.AppendDecode(buf, []byte(v)); err != nil {
				return buf, fmt.Errorf("the part %v of a code is not hex: %w", name, err)
			}
		default:
			return buf, fmt.Errorf("the part %v of a code is not hex", name)
		}
	}
	return buf, nil
}

// jsonlFile is JSON Lines.
type jsonlFile struct {
	path  string
	first map[string]json.RawMessage
	from  *Origin
}

func openJSONL(path string) (file, error) {
	j := &jsonlFile{path: path}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := json.NewDecoder(bufio.NewReader(f)).Decode(&j.first); err != nil && err != io.EOF {
		return nil, fmt.Errorf("line 1: %w", err)
	}
	j.from, err = readOrigin(path)
	return j, err
}

func (j *jsonlFile) close() error           { return nil }
func (j *jsonlFile) origin() *Origin        { return j.from }
func (j *jsonlFile) rows(string) (_, _ int) { return 0, 0 }
func (j *jsonlFile) has(on string) bool {
	_, ok := j.first[on]
	// A file without rows says nothing; it has what is asked for, of no item.
	return ok || j.first == nil
}

func (j *jsonlFile) read(o OpenOptions, use func(*record) error) error {
	f, err := os.Open(j.path)
	if err != nil {
		return err
	}
	defer f.Close()
	d := json.NewDecoder(bufio.NewReaderSize(f, 1<<18))
	var r record
	var buf []byte
	for line := 1; ; line++ {
		var it item
		if err := d.Decode(&it); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
		if buf, err = it.record(&r, o.On, buf); err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
		if o.Logits {
			if r.predicted, err = it.predicted(); err != nil {
				return fmt.Errorf("line %d: %w", line, err)
			}
		}
		if err := use(&r); err != nil {
			return err
		}
	}
}

// npyFile is an array of codes or sketches with the items beside it.
type npyFile struct {
	f     *os.File
	h     tensor.NpyHeader
	items *jsonlFile // nil when there is none
	from  *Origin
}

func openNpy(path string) (_ file, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	n := &npyFile{f: f}
	if n.h, err = tensor.ReadNpyHeader(bufio.NewReader(f)); err != nil {
		return nil, err
	}
	if n.h.DType != tensor.Uint8 || len(n.h.Shape) != 2 || n.h.Fortran {
		return nil, fmt.Errorf("it holds %v of shape %v; packed codes are uint8 of shape [items, bytes] in row-major order", n.h.DType, n.h.Shape)
	}
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if want := n.h.Offset + n.h.DataBytes(); st.Size() != want {
		return nil, fmt.Errorf("an array of shape %v makes a file of %d bytes, and it has %d", n.h.Shape, want, st.Size())
	}
	if n.h.Shape[0] > maxRows || n.h.Shape[1] > math.MaxInt32/8 || n.h.Shape[1] == 0 && n.h.Shape[0] > 0 {
		return nil, fmt.Errorf("an array of shape %v is no array of codes", n.h.Shape)
	}
	if n.from, err = readOrigin(path); err != nil {
		return nil, err
	}
	items, err := openJSONL(sink.ItemsPath(path))
	if err == nil {
		n.items = items.(*jsonlFile)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", sink.ItemsPath(path), err)
	}
	return n, nil
}

func (n *npyFile) close() error    { return n.f.Close() }
func (n *npyFile) origin() *Origin { return n.from }

func (n *npyFile) beside(on string) bool {
	return n.items != nil && n.items.first != nil && n.items.has(on)
}

// holds is what the array is: sketches, when they were asked for and are not
// beside it.
func (n *npyFile) holds() string {
	if n.beside("region") && !n.beside(Channels) {
		return Channels
	}
	if n.beside(Code) {
		return Sketch
	}
	if o := n.from; o != nil && o.Settings.Sketch > 0 && !n.beside(Sketch) && (o.Settings.Sketch+7)/8 == n.h.Shape[1] {
		return Sketch
	}
	return Code
}

func (n *npyFile) has(on string) bool { return on == n.holds() || n.beside(on) }

func (n *npyFile) rows(on string) (int, int) {
	if on == n.holds() {
		return n.h.Shape[0], n.h.Shape[1]
	}
	return n.h.Shape[0], 0
}

func (n *npyFile) read(o OpenOptions, use func(*record) error) error {
	rows, width := n.h.Shape[0], n.h.Shape[1]
	mine := o.On == n.holds()
	data := bufio.NewReaderSize(io.NewSectionReader(n.f, n.h.Offset, n.h.DataBytes()), 1<<18)
	code := make([]byte, width)
	next := func(r *record) error {
		if !mine {
			return nil
		}
		if _, err := io.ReadFull(data, code); err != nil {
			return err
		}
		r.code = code
		return nil
	}
	if n.items == nil {
		r := record{label: noLabel, predicted: noLabel}
		for i := range rows {
			if err := next(&r); err != nil {
				return fmt.Errorf("row %d: %w", i, err)
			}
			if err := use(&r); err != nil {
				return err
			}
		}
		return nil
	}
	if mine {
		o.On = "" // nothing of the items' own
	}
	seen := 0
	err := n.items.read(o, func(r *record) error {
		if seen++; seen > rows {
			return fmt.Errorf("the array has %d rows, and %s more", rows, sink.ItemsPath(n.f.Name()))
		}
		if err := next(r); err != nil {
			return fmt.Errorf("row %d: %w", seen-1, err)
		}
		return use(r)
	})
	if err == nil && seen < rows {
		err = fmt.Errorf("the array has %d rows, and %s has %d", rows, sink.ItemsPath(n.f.Name()), seen)
	}
	return err
}

// faissFile is an IndexBinaryFlat: codes without anything else.
type faissFile struct {
	f        *os.File
	n, width int
	from     *Origin
}

func openFaiss(path string) (_ file, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	n, width, err := readFaissHeader(f, st.Size())
	if err != nil {
		return nil, err
	}
	o, err := readOrigin(path)
	return &faissFile{f, n, width, o}, err
}

func (f *faissFile) close() error           { return f.f.Close() }
func (f *faissFile) origin() *Origin        { return f.from }
func (f *faissFile) rows(string) (int, int) { return f.n, f.width }

// has is what one takes the codes for: an index does not say what they are.
func (f *faissFile) has(on string) bool {
	sketches := f.from != nil && f.from.Settings.Sketch > 0 && (f.from.Settings.Sketch+7)/8 == f.width
	return on == Code && !sketches || on == Sketch && (sketches || f.from == nil)
}

func (f *faissFile) read(_ OpenOptions, use func(*record) error) error {
	r := record{label: noLabel, predicted: noLabel}
	return readFaissCodes(f.f, f.n, f.width, func(code []byte) error {
		r.code = code
		return use(&r)
	})
}
