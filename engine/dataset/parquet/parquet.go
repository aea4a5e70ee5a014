// Package parquet reads columns of Parquet files that may be hostile: forward only, one
// page and one dictionary in memory, and nothing is taken for what a file claims before
// the claim is checked. parquet-go reads the footer and the schema.
package parquet

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/onnxprobe/onnxprobe/engine/internal/safe"
)

const (
	maxFooter = 256 << 20
	// maxWindow, 128 MiB, is what zstd --long takes.
	maxWindow = 128 << 20
)

// Leaf is a column of values.
type Leaf struct {
	Index    int
	Name     string // its path, joined by dots
	Defined  int    // the definition level of a value that is not null
	Physical format.Type
}

// IsFloat reports whether Float of a Value has it.
func (l Leaf) IsFloat() bool {
	return l.Physical == format.Float || l.Physical == format.Double
}

// Value is a byte array, a whole number (of a Boolean 0 or 1) or a float, by the Leaf's
// Physical.
type Value struct {
	Bytes []byte
	Int   int64
	Float float64
}

// Reader reads the columns of a file.
type Reader struct {
	r           io.ReaderAt
	size, limit int64
	groups      []format.RowGroup
}

// NewReader reads the row groups of a file of size bytes. A page or a dictionary that
// unpacks to more than limit bytes is an error.
func NewReader(r io.ReaderAt, size, limit int64, groups []format.RowGroup) *Reader {
	return &Reader{r, size, limit, groups}
}

// Open checks the footer of a file of size bytes, which parquet-go trusts, and lets
// parquet-go read it.
func Open(f io.ReaderAt, size int64) (*parquet.File, error) {
	const ends = 12
	if size < ends {
		return nil, fmt.Errorf("it has %d bytes, too few for a Parquet file", size)
	}
	var end [8]byte
	if err := safe.ReadAt(f, end[:], size-8); err != nil {
		return nil, err
	}
	if string(end[4:]) != "PAR1" {
		return nil, fmt.Errorf("it ends with %q, want PAR1: it is encrypted, cut off or no Parquet file", end[4:])
	}
	n := int64(binary.LittleEndian.Uint32(end[:]))
	if n > size-ends || n > maxFooter {
		return nil, fmt.Errorf("its footer claims %d bytes of %d; at most %d are read", n, size, int64(maxFooter))
	}
	b := make([]byte, n)
	if err := safe.ReadAt(f, b, size-8-n); err != nil {
		return nil, err
	}
	if _, err := thriftSize(b); err != nil {
		return nil, fmt.Errorf("its footer: %w", err)
	}
	return parquet.OpenFile(f, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
}

// LeafOf is a column of the schema; lists, and values that are neither byte arrays nor
// numbers nor Booleans, are an error, and so are decimals.
func LeafOf(c *parquet.Column) (Leaf, error) {
	if c.MaxRepetitionLevel() > 0 {
		return Leaf{}, fmt.Errorf("column %q is a list, which is not read", strings.Join(c.Path(), "."))
	}
	l := Leaf{Index: c.Index(), Name: strings.Join(c.Path(), "."), Defined: c.MaxDefinitionLevel()}
	physical, ok := map[parquet.Kind]format.Type{parquet.ByteArray: format.ByteArray, parquet.Int32: format.Int32,
		parquet.Int64: format.Int64, parquet.Boolean: format.Boolean, parquet.Float: format.Float, parquet.Double: format.Double}[c.Type().Kind()]
	decimal := false
	if t := c.Type().LogicalType(); t != nil {
		_, decimal = t.Value.(*format.DecimalType)
	}
	if !ok || decimal {
		return Leaf{}, fmt.Errorf("column %q holds %s, which is not read", l.Name, c.Type())
	}
	l.Physical = physical
	return l, nil
}
