package dataset

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// The values of a Parquet column without lists, page by page
// (https://parquet.apache.org/docs/file-format/data-pages/). What a file claims
// is checked before memory is taken for it: a page and a dictionary are all that
// is held.

// value is a byte array, valid until the next page, or a whole number.
type value struct {
	b []byte
	n int64
}

// columnReader reads one column of a row group from its beginning.
type columnReader struct {
	r       io.ReaderAt
	at, end int64 // of the column's bytes that are left
	leaf    leaf
	codec   format.CompressionCodec
	limit   int64 // of an unpacked page
	rows    int64 // of the group
	row     int64 // that comes next
	dict    []value
	left    int64                  // values left in the page
	level   func() (uint64, error) // nil where nothing is null
	decode  func() (value, error)
}

func (s *rows) column(l leaf, group int) (*columnReader, error) {
	g := &s.groups[group]
	if l.index >= len(g.Columns) {
		return nil, fmt.Errorf("row group %d has no column %q", group, l.name)
	}
	m := &g.Columns[l.index].MetaData
	c := &columnReader{r: s.file, at: m.DataPageOffset, leaf: l, codec: m.Codec, limit: s.limit, rows: g.NumRows}
	if d := m.DictionaryPageOffset; d > 0 && d < c.at {
		c.at = d
	}
	size := s.file.is.size
	if m.Type != l.physical || c.at < 4 || c.at > size || m.TotalCompressedSize < 0 || m.TotalCompressedSize > size-c.at {
		return nil, fmt.Errorf("row group %d: column %q claims %d bytes at byte %d of a file of %d", group, l.name, m.TotalCompressedSize, c.at, size)
	}
	c.end = c.at + m.TotalCompressedSize
	return c, nil
}

// next is the next row's value; ok is false for a null.
func (c *columnReader) next() (v value, ok bool, err error) {
	for c.left == 0 {
		if err := c.page(c.row); err != nil {
			return v, false, fmt.Errorf("column %q, row %d of its group: %w", c.leaf.name, c.row, err)
		}
	}
	c.left--
	c.row++
	if c.level != nil {
		d, err := c.level()
		if err != nil {
			return v, false, fmt.Errorf("column %q, row %d of its group: %w", c.leaf.name, c.row-1, err)
		}
		if d != uint64(c.leaf.defined) {
			return v, false, nil
		}
	}
	if v, err = c.decode(); err != nil {
		return v, false, fmt.Errorf("column %q, row %d of its group: %w", c.leaf.name, c.row-1, err)
	}
	return v, true, nil
}

// skipTo makes row the next one; pages before it are not unpacked.
func (c *columnReader) skipTo(row int) error {
	for c.row < int64(row) {
		if c.left == 0 {
			if err := c.page(int64(row)); err != nil {
				return fmt.Errorf("column %q, row %d of its group: %w", c.leaf.name, c.row, err)
			}
			continue
		}
		if _, _, err := c.next(); err != nil {
			return err
		}
	}
	return nil
}

// page begins the next page with values, or passes over one that ends before row.
func (c *columnReader) page(row int64) error {
	if c.at >= c.end {
		return fmt.Errorf("the column ends after %d of %d rows", c.row, c.rows)
	}
	h, n, err := c.header()
	if err != nil {
		return err
	}
	c.at += n
	size := int64(h.CompressedPageSize)
	if size < 0 || size > c.end-c.at {
		return fmt.Errorf("a page claims %d bytes where %d are left", size, c.end-c.at)
	}
	if u := int64(h.UncompressedPageSize); u < 0 || u > c.limit {
		return fmt.Errorf("a page unpacks to %d bytes, the limit is %d", u, c.limit)
	}
	values := int64(0)
	switch h.Type {
	case format.DataPage:
		values = int64(h.DataPageHeader.V.NumValues)
	case format.DataPageV2:
		values = int64(h.DataPageHeaderV2.V.NumValues)
	case format.DictionaryPage:
	default: // an index page, say
		c.at += size
		return nil
	}
	if values < 0 || values > c.rows-c.row {
		return fmt.Errorf("a page claims %d values where %d rows are left", values, c.rows-c.row)
	}
	if h.Type != format.DictionaryPage && c.row+values <= row {
		c.at, c.row = c.at+size, c.row+values
		return nil
	}
	packed := make([]byte, size)
	if err := readAt(c.r, packed, c.at); err != nil {
		return err
	}
	c.at += size
	if h.Type == format.DictionaryPage {
		return c.dictionary(packed, &h)
	}
	c.level = nil
	var data []byte
	var encoding format.Encoding
	if h.Type == format.DataPage {
		encoding = h.DataPageHeader.V.Encoding
		if data, err = c.unpack(packed, int64(h.UncompressedPageSize)); err != nil {
			return err
		}
		if c.leaf.defined > 0 {
			if h.DataPageHeader.V.DefinitionLevelEncoding != format.RLE {
				return fmt.Errorf("definition levels in %s, which is not read", h.DataPageHeader.V.DefinitionLevelEncoding)
			}
			if len(data) < 4 {
				return io.ErrUnexpectedEOF
			}
			n := int64(binary.LittleEndian.Uint32(data))
			if n > int64(len(data)-4) {
				return fmt.Errorf("definition levels claim %d bytes of %d", n, len(data)-4)
			}
			c.level, data = hybrid(data[4:4+n], bits.Len(uint(c.leaf.defined))), data[4+n:]
		}
	} else {
		v := h.DataPageHeaderV2.V
		encoding = v.Encoding
		r, d := int64(v.RepetitionLevelsByteLength), int64(v.DefinitionLevelsByteLength)
		if r < 0 || d < 0 || r+d > size || r+d > int64(h.UncompressedPageSize) {
			return fmt.Errorf("levels claim %d bytes of %d", r+d, size)
		}
		if c.leaf.defined > 0 {
			c.level = hybrid(packed[r:r+d], bits.Len(uint(c.leaf.defined)))
		}
		if data = packed[r+d:]; !v.IsCompressed.Valid || v.IsCompressed.V { // compressed unless it says otherwise
			if data, err = c.unpack(data, int64(h.UncompressedPageSize)-r-d); err != nil {
				return err
			}
		}
	}
	c.left = values
	c.decode, err = c.decoder(encoding, data, values)
	return err
}

// header reads a page's header, whose size is not known, and gives its size.
func (c *columnReader) header() (h format.PageHeader, n int64, err error) {
	for room := int64(1 << 10); ; room *= 32 {
		b := make([]byte, min(room, c.end-c.at))
		if err := readAt(c.r, b, c.at); err != nil {
			return h, 0, err
		}
		size, err := thriftSize(b)
		if err == errThriftShort && int64(len(b)) == room && room < 32<<20 { // statistics can be long
			continue
		}
		if err == nil {
			err = thrift.Unmarshal(new(thrift.CompactProtocol), b[:size], &h)
		}
		if err != nil {
			return h, 0, fmt.Errorf("the header of a page: %w", err)
		}
		return h, int64(size), nil
	}
}

func (c *columnReader) dictionary(packed []byte, h *format.PageHeader) error {
	data, err := c.unpack(packed, int64(h.UncompressedPageSize))
	if err != nil {
		return fmt.Errorf("the dictionary: %w", err)
	}
	n := int64(h.DictionaryPageHeader.V.NumValues)
	if n < 0 || n > int64(len(data))/4 {
		return fmt.Errorf("the dictionary claims %d values in %d bytes", n, len(data))
	}
	next := c.plain(data)
	c.dict = make([]value, n)
	for i := range c.dict {
		if c.dict[i], err = next(); err != nil {
			return fmt.Errorf("the dictionary: %w", err)
		}
	}
	return nil
}

// codecs are the ways of compression that unpack undoes.
var codecs = []format.CompressionCodec{format.Uncompressed, format.Snappy, format.Gzip, format.Zstd}

// unpack gives the want bytes that a page holds.
func (c *columnReader) unpack(packed []byte, want int64) ([]byte, error) {
	var r io.Reader
	switch c.codec {
	case format.Uncompressed:
		return packed, nil
	case format.Snappy:
		// A copy of 64 bytes takes 3, so that no more than 22 come of one.
		if n, err := snappy.DecodedLen(packed); err != nil || int64(n) != want || want/22 > int64(len(packed)) {
			return nil, fmt.Errorf("snappy: %d bytes claim to unpack to %d, its header to %d (%v)", len(packed), n, want, err)
		}
		return snappy.Decode(nil, packed)
	case format.Gzip:
		z, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			return nil, err
		}
		r = z
	case format.Zstd:
		z, err := zstd.NewReader(bytes.NewReader(packed), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		r = z
	default:
		return nil, fmt.Errorf("it is compressed with %s, which is not read; want one of %v", c.codec, codecs)
	}
	b := bytes.NewBuffer(make([]byte, 0, min(want, int64(len(packed))*4)+bytes.MinRead))
	if _, err := b.ReadFrom(io.LimitReader(r, want+1)); err != nil {
		return nil, fmt.Errorf("unpacking a page: %w", err)
	}
	if int64(b.Len()) != want {
		return nil, fmt.Errorf("a page claims to unpack to %d bytes, and does not", want)
	}
	return b.Bytes(), nil
}

// decoder gives the values of a page one by one.
func (c *columnReader) decoder(e format.Encoding, data []byte, n int64) (func() (value, error), error) {
	switch e {
	case format.Plain:
		return c.plain(data), nil
	//lint:ignore SA1019 files of older writers have it
	case format.PlainDictionary, format.RLEDictionary:
		if len(data) == 0 { // all are null
			return c.plain(nil), nil
		}
		if data[0] > 32 {
			return nil, fmt.Errorf("indices of %d bits", data[0])
		}
		index := hybrid(data[1:], int(data[0]))
		return func() (value, error) {
			i, err := index()
			if err != nil {
				return value{}, err
			}
			if i >= uint64(len(c.dict)) {
				return value{}, fmt.Errorf("value %d of a dictionary of %d", i, len(c.dict))
			}
			return c.dict[i], nil
		}, nil
	case format.DeltaBinaryPacked:
		if c.leaf.physical != format.ByteArray {
			next, _, err := delta(data, n)
			return func() (value, error) {
				v, err := next()
				if c.leaf.physical == format.Int32 {
					v = int64(int32(v))
				}
				return value{n: v}, err
			}, err
		}
	case format.DeltaLengthByteArray:
		if c.leaf.physical == format.ByteArray {
			length, size, err := delta(data, n)
			if err != nil {
				return nil, err
			}
			rest := data[size:]
			return func() (value, error) {
				v, err := length()
				if err != nil {
					return value{}, err
				}
				if v < 0 || v > int64(len(rest)) {
					return value{}, fmt.Errorf("a value of %d bytes where %d are left", v, len(rest))
				}
				b := rest[:v:v]
				rest = rest[v:]
				return value{b: b}, nil
			}, nil
		}
	}
	return nil, fmt.Errorf("values in %s, which is not read here", e)
}

func (c *columnReader) plain(data []byte) func() (value, error) {
	return func() (v value, err error) {
		size := 4
		if c.leaf.physical == format.Int64 {
			size = 8
		}
		if len(data) < size {
			return v, io.ErrUnexpectedEOF
		}
		switch c.leaf.physical {
		case format.Int64:
			v.n = int64(binary.LittleEndian.Uint64(data))
		case format.Int32:
			v.n = int64(int32(binary.LittleEndian.Uint32(data)))
		default:
			n := int64(binary.LittleEndian.Uint32(data))
			if n > int64(len(data)-4) {
				return v, fmt.Errorf("a value of %d bytes where %d are left", n, len(data)-4)
			}
			v.b, size = data[4:4+n:4+n], 4+int(n)
		}
		data = data[size:]
		return v, nil
	}
}

// hybrid reads runs and bit-packed groups of numbers of some bits each, one by
// one: what runs claim takes no memory.
func hybrid(data []byte, width int) func() (uint64, error) {
	var run, packed, v uint64 // numbers left of each kind, and the run's
	bit := 0                  // of data, where the next packed number begins
	return func() (uint64, error) {
		for run == 0 && packed == 0 {
			data = data[(bit+7)/8:]
			bit = 0
			h, n := binary.Uvarint(data)
			if n <= 0 {
				return 0, io.ErrUnexpectedEOF
			}
			data = data[n:]
			if h&1 == 1 {
				packed = min(h>>1, 1<<40) * 8
				continue
			}
			run, v = h>>1, 0
			size := (width + 7) / 8
			if len(data) < size {
				return 0, io.ErrUnexpectedEOF
			}
			for i := range size {
				v |= uint64(data[i]) << (8 * i)
			}
			data = data[size:]
		}
		if run > 0 {
			run--
			return v, nil
		}
		packed--
		if bit+width > 8*len(data) {
			return 0, io.ErrUnexpectedEOF
		}
		x := uint64(0)
		for i := range width {
			x |= uint64(data[(bit+i)/8]>>((bit+i)%8)&1) << i
		}
		bit += width
		return x, nil
	}
}

// delta reads DELTA_BINARY_PACKED numbers one by one, and tells how many bytes
// of data these are.
func delta(data []byte, n int64) (func() (int64, error), int, error) {
	head := make([]uint64, 3) // the size of a block, its miniblocks, all numbers
	at := 0
	for i := range head {
		v, size := binary.Uvarint(data[at:])
		if size <= 0 {
			return nil, 0, io.ErrUnexpectedEOF
		}
		head[i], at = v, at+size
	}
	block, minis, total := head[0], head[1], head[2]
	if block == 0 || minis == 0 || block > 1<<20 || minis > block || block%minis != 0 || block/minis%32 != 0 || total > uint64(n) {
		return nil, 0, fmt.Errorf("delta encoding claims blocks of %d in %d parts, and %d values of %d", block, minis, total, n)
	}
	first, size := binary.Varint(data[at:])
	if size <= 0 {
		return nil, 0, io.ErrUnexpectedEOF
	}
	at += size
	reader := func() func() (int64, int, error) { // gives where it has come to, too
		at, left, v := at, total, first
		var least int64
		var widths []byte
		inMini, mini, bit := uint64(0), uint64(0), 0
		begun := false
		return func() (int64, int, error) {
			if left == 0 {
				return 0, at, io.ErrUnexpectedEOF
			}
			left--
			if !begun {
				begun = true
				return v, at, nil
			}
			if inMini == 0 {
				if mini == 0 {
					m, size := binary.Varint(data[at:])
					if size <= 0 || at+size+int(minis) > len(data) {
						return 0, at, io.ErrUnexpectedEOF
					}
					least, at = m, at+size
					widths, at = data[at:at+int(minis)], at+int(minis)
				}
				inMini = block / minis
				width := int(widths[mini])
				if width > 64 || at+width*int(inMini)/8 > len(data) {
					return 0, at, io.ErrUnexpectedEOF
				}
				bit, at = at*8, at+width*int(inMini)/8
				mini = (mini + 1) % minis
			}
			width := int(widths[(mini+minis-1)%minis])
			x := uint64(0)
			for i := range width {
				x |= uint64(data[(bit+i)/8]>>((bit+i)%8)&1) << i
			}
			bit += width
			inMini--
			v += least + int64(x)
			return v, at, nil
		}
	}
	end := at
	for next, i := reader(), uint64(0); i < total; i++ {
		var err error
		if _, end, err = next(); err != nil {
			return nil, 0, err
		}
	}
	next := reader()
	return func() (int64, error) { v, _, err := next(); return v, err }, end, nil
}

var errThriftShort = errors.New("it is cut off")

// thriftSize walks a struct in Thrift's compact protocol and gives its size.
// Decoders take memory for as many elements as a list claims to have, so claims
// that the bytes cannot hold are an error here.
func thriftSize(b []byte) (int, error) {
	t := thriftWalk{b: b}
	if err := t.structure(0); err != nil {
		return 0, err
	}
	// Every struct that Parquet has in lists takes some bytes.
	if t.structs > 4096+len(b)/4 {
		return 0, fmt.Errorf("it claims %d structures in %d bytes", t.structs, len(b))
	}
	return t.at, nil
}

type thriftWalk struct {
	b       []byte
	at      int
	structs int
}

func (t *thriftWalk) byte() (byte, error) {
	if t.at >= len(t.b) {
		return 0, errThriftShort
	}
	t.at++
	return t.b[t.at-1], nil
}

func (t *thriftWalk) varint() (uint64, error) {
	v, n := binary.Uvarint(t.b[t.at:])
	if n == 0 {
		return 0, errThriftShort
	}
	if n < 0 {
		return 0, errors.New("a number has more than 64 bits")
	}
	t.at += n
	return v, nil
}

func (t *thriftWalk) skip(n uint64) error {
	if n > uint64(len(t.b)-t.at) {
		return errThriftShort
	}
	t.at += int(n)
	return nil
}

func (t *thriftWalk) structure(depth int) error {
	for {
		h, err := t.byte()
		if err != nil {
			return err
		}
		if h&15 == 0 {
			return nil
		}
		if h>>4 == 0 {
			if _, err := t.varint(); err != nil {
				return err
			}
		}
		if err := t.value(h&15, false, depth); err != nil {
			return err
		}
	}
}

func (t *thriftWalk) value(kind byte, element bool, depth int) error {
	if depth > 32 {
		return errors.New("structures are nested too deeply")
	}
	switch kind {
	case 1, 2: // bool: in the field's header, but a byte in a list
		if element {
			return t.skip(1)
		}
		return nil
	case 3:
		return t.skip(1)
	case 4, 5, 6:
		_, err := t.varint()
		return err
	case 7:
		return t.skip(8)
	case 13: // UUID
		return t.skip(16)
	case 8:
		n, err := t.varint()
		if err != nil {
			return err
		}
		return t.skip(n)
	case 9, 10:
		h, err := t.byte()
		if err != nil {
			return err
		}
		n := uint64(h >> 4)
		if n == 15 {
			if n, err = t.varint(); err != nil {
				return err
			}
		}
		if n > uint64(len(t.b)-t.at) { // every element takes a byte
			return errThriftShort
		}
		for range n {
			if err := t.value(h&15, true, depth+1); err != nil {
				return err
			}
		}
		return nil
	case 11:
		n, err := t.varint()
		if err != nil || n == 0 {
			return err
		}
		kinds, err := t.byte()
		if err != nil {
			return err
		}
		if n > uint64(len(t.b)-t.at) {
			return errThriftShort
		}
		for range n {
			if err := t.value(kinds>>4, true, depth+1); err != nil {
				return err
			}
			if err := t.value(kinds&15, true, depth+1); err != nil {
				return err
			}
		}
		return nil
	case 12:
		t.structs++
		return t.structure(depth + 1)
	}
	return fmt.Errorf("type %d is none of Thrift's", kind)
}
