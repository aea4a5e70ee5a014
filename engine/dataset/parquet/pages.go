package parquet

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/onnxprobe/onnxprobe/engine/internal/safe"
)

// Column reads one column of a row group from its beginning, page by page
// (https://parquet.apache.org/docs/file-format/data-pages/).
type Column struct {
	r       io.ReaderAt
	at, end int64 // of the column's bytes that are left
	leaf    Leaf
	codec   format.CompressionCodec
	limit   int64 // of an unpacked page
	rows    int64 // of the group
	row     int64 // that comes next
	dict    []Value
	left    int64                  // values left in the page
	level   func() (uint64, error) // nil where nothing is null
	decode  func() (Value, error)
}

// Column is a column of a row group.
func (f *Reader) Column(l Leaf, group int) (*Column, error) {
	g := &f.groups[group]
	if l.Index >= len(g.Columns) {
		return nil, fmt.Errorf("row group %d has no column %q", group, l.Name)
	}
	m := &g.Columns[l.Index].MetaData
	c := &Column{r: f.r, at: m.DataPageOffset, leaf: l, codec: m.Codec, limit: f.limit, rows: g.NumRows}
	if d := m.DictionaryPageOffset; d > 0 && d < c.at {
		c.at = d
	}
	if m.Type != l.Physical || c.at < 4 || c.at > f.size || m.TotalCompressedSize < 0 || m.TotalCompressedSize > f.size-c.at {
		return nil, fmt.Errorf("row group %d: column %q claims %d bytes at byte %d of a file of %d", group, l.Name, m.TotalCompressedSize, c.at, f.size)
	}
	c.end = c.at + m.TotalCompressedSize
	return c, nil
}

// Next is the next row's value, valid until the next page; ok is false for a null.
func (c *Column) Next() (v Value, ok bool, err error) {
	for c.left == 0 {
		if err := c.page(c.row); err != nil {
			return v, false, c.fault(c.row, err)
		}
	}
	c.left--
	c.row++
	if c.level != nil {
		if d, err := c.level(); err != nil || d != uint64(c.leaf.Defined) {
			return v, false, c.fault(c.row-1, err)
		}
	}
	v, err = c.decode()
	return v, err == nil, c.fault(c.row-1, err)
}

// fault says where an error is; nil for none.
func (c *Column) fault(row int64, err error) error {
	if err != nil {
		err = fmt.Errorf("column %q, row %d of its group: %w", c.leaf.Name, row, err)
	}
	return err
}

// SkipTo makes row the next one; pages before it are not unpacked.
func (c *Column) SkipTo(row int) error {
	for c.row < int64(row) {
		if c.left == 0 {
			if err := c.page(int64(row)); err != nil {
				return c.fault(c.row, err)
			}
			continue
		}
		if _, _, err := c.Next(); err != nil {
			return err
		}
	}
	return nil
}

// page begins the next page with values, or passes over one that ends before row.
func (c *Column) page(row int64) error {
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
	if err := safe.ReadAt(c.r, packed, c.at); err != nil {
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
		if c.leaf.Defined > 0 {
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
			c.level, data = hybrid(data[4:4+n], bits.Len(uint(c.leaf.Defined))), data[4+n:]
		}
	} else {
		v := h.DataPageHeaderV2.V
		encoding = v.Encoding
		r, d := int64(v.RepetitionLevelsByteLength), int64(v.DefinitionLevelsByteLength)
		if r < 0 || d < 0 || r+d > size || r+d > int64(h.UncompressedPageSize) {
			return fmt.Errorf("levels claim %d bytes of %d", r+d, size)
		}
		if c.leaf.Defined > 0 {
			c.level = hybrid(packed[r:r+d], bits.Len(uint(c.leaf.Defined)))
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
func (c *Column) header() (h format.PageHeader, n int64, err error) {
	for room := int64(1 << 10); ; room *= 32 {
		b := make([]byte, min(room, c.end-c.at))
		if err := safe.ReadAt(c.r, b, c.at); err != nil {
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

func (c *Column) dictionary(packed []byte, h *format.PageHeader) error {
	data, err := c.unpack(packed, int64(h.UncompressedPageSize))
	if err != nil {
		return fmt.Errorf("the dictionary: %w", err)
	}
	n := int64(h.DictionaryPageHeader.V.NumValues)
	if n < 0 || n > int64(len(data))/int64(cmp.Or(c.size(), 4)) || c.leaf.Physical == format.Boolean { // which have none
		return fmt.Errorf("the dictionary claims %d values in %d bytes", n, len(data))
	}
	next := c.plain(data)
	c.dict = make([]Value, n)
	for i := range c.dict {
		if c.dict[i], err = next(); err != nil {
			return fmt.Errorf("the dictionary: %w", err)
		}
	}
	return nil
}

// Codecs are the ways of compression that are undone.
var Codecs = []format.CompressionCodec{format.Uncompressed, format.Snappy, format.Gzip, format.Zstd}

// unpack gives the want bytes that a page holds.
func (c *Column) unpack(packed []byte, want int64) ([]byte, error) {
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
		z, err := zstd.NewReader(bytes.NewReader(packed), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		r = z
	default:
		return nil, fmt.Errorf("it is compressed with %s, which is not read; want one of %v", c.codec, Codecs)
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
