package parquet

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/parquet-go/parquet-go/format"
)

// The encodings of values in Parquet pages
// (https://parquet.apache.org/docs/file-format/data-pages/encodings/), read one value
// at a time: what runs claim takes no memory.

// decoder gives the values of a page one by one.
func (c *Column) decoder(e format.Encoding, data []byte, n int64) (func() (Value, error), error) {
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
		return func() (Value, error) {
			i, err := index()
			if err != nil {
				return Value{}, err
			}
			if i >= uint64(len(c.dict)) {
				return Value{}, fmt.Errorf("value %d of a dictionary of %d", i, len(c.dict))
			}
			return c.dict[i], nil
		}, nil
	case format.RLE:
		if c.leaf.Physical == format.Boolean {
			if len(data) < 4 {
				return c.plain(nil), nil
			}
			bit := hybrid(data[4:], 1) // after their length
			return func() (Value, error) {
				v, err := bit()
				return Value{Int: int64(v)}, err
			}, nil
		}
	case format.ByteStreamSplit:
		if size := c.size(); size > 0 {
			return c.split(data, len(data)/size), nil
		}
	case format.DeltaBinaryPacked:
		if c.leaf.Physical == format.Int32 || c.leaf.Physical == format.Int64 {
			next, _, err := delta(data, n)
			return func() (Value, error) {
				v, err := next()
				if c.leaf.Physical == format.Int32 {
					v = int64(int32(v))
				}
				return Value{Int: v}, err
			}, err
		}
	case format.DeltaLengthByteArray:
		if c.leaf.Physical == format.ByteArray {
			length, size, err := delta(data, n)
			if err != nil {
				return nil, err
			}
			rest := data[size:]
			return func() (Value, error) {
				v, err := length()
				if err != nil {
					return Value{}, err
				}
				if v < 0 || v > int64(len(rest)) {
					return Value{}, fmt.Errorf("a value of %d bytes where %d are left", v, len(rest))
				}
				b := rest[:v:v]
				rest = rest[v:]
				return Value{Bytes: b}, nil
			}, nil
		}
	}
	return nil, fmt.Errorf("values in %s, which is not read here", e)
}

// size is the bytes of a number, 0 of what has no such size.
func (c *Column) size() int {
	switch c.leaf.Physical {
	case format.Int32, format.Float:
		return 4
	case format.Int64, format.Double:
		return 8
	}
	return 0
}

// number is that of size bytes.
func (c *Column) number(b []byte) Value {
	switch c.leaf.Physical {
	case format.Int32:
		return Value{Int: int64(int32(binary.LittleEndian.Uint32(b)))}
	case format.Float:
		return Value{Float: float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))}
	case format.Double:
		return Value{Float: math.Float64frombits(binary.LittleEndian.Uint64(b))}
	}
	return Value{Int: int64(binary.LittleEndian.Uint64(b))}
}

func (c *Column) plain(data []byte) func() (Value, error) {
	if c.leaf.Physical == format.Boolean {
		bit := 0
		return func() (v Value, err error) {
			if bit >= 8*len(data) {
				return v, io.ErrUnexpectedEOF
			}
			bit++
			return Value{Int: int64(packedAt(data, bit-1, 1))}, nil
		}
	}
	size := c.size()
	return func() (v Value, err error) {
		if len(data) < cmp.Or(size, 4) {
			return v, io.ErrUnexpectedEOF
		}
		if size > 0 {
			v, data = c.number(data), data[size:]
			return v, nil
		}
		n := int64(binary.LittleEndian.Uint32(data))
		if n > int64(len(data)-4) {
			return v, fmt.Errorf("a value of %d bytes where %d are left", n, len(data)-4)
		}
		v.Bytes, data = data[4:4+n:4+n], data[4+n:]
		return v, nil
	}
}

// split reads n numbers whose first bytes come first, then their second ones, and so on.
func (c *Column) split(data []byte, n int) func() (Value, error) {
	at := 0
	return func() (v Value, err error) {
		if at >= n {
			return v, io.ErrUnexpectedEOF
		}
		var b [8]byte
		for k := range c.size() {
			b[k] = data[k*n+at]
		}
		at++
		return c.number(b[:]), nil
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
		bit += width
		return packedAt(data, bit-width, width), nil
	}
}

// packedAt is the number of some bits that begins at a bit of data.
func packedAt(data []byte, bit, width int) (x uint64) {
	for i := range width {
		x |= uint64(data[(bit+i)/8]>>((bit+i)%8)&1) << i
	}
	return x
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
	d := deltas{data: data, at: at + size, left: total, v: first, block: block, minis: minis}
	walk := d
	for range total {
		if _, err := walk.next(); err != nil {
			return nil, 0, err
		}
	}
	return d.next, walk.at, nil
}

// deltas reads numbers that are stored as the differences between them.
type deltas struct {
	data         []byte
	at           int    // where the next block or miniblock begins
	left         uint64 // numbers
	v            int64  // the first, then the last one read
	begun        bool
	block, minis uint64

	least        int64  // of the block's differences
	widths       []byte // of the numbers of each miniblock
	mini, inMini uint64 // the next miniblock, and the numbers left in this one
	width, bit   int    // of this one's numbers, and where the next begins
}

func (d *deltas) next() (int64, error) {
	if d.left == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	d.left--
	if !d.begun {
		d.begun = true
		return d.v, nil
	}
	if d.inMini == 0 {
		if d.mini == 0 {
			m, size := binary.Varint(d.data[d.at:])
			if size <= 0 || d.at+size+int(d.minis) > len(d.data) {
				return 0, io.ErrUnexpectedEOF
			}
			d.least, d.at = m, d.at+size+int(d.minis)
			d.widths = d.data[d.at-int(d.minis) : d.at]
		}
		d.inMini, d.width, d.bit = d.block/d.minis, int(d.widths[d.mini]), d.at*8
		size := d.width * int(d.inMini) / 8
		if d.width > 64 || d.at+size > len(d.data) {
			return 0, io.ErrUnexpectedEOF
		}
		d.at, d.mini = d.at+size, (d.mini+1)%d.minis
	}
	d.v += d.least + int64(packedAt(d.data, d.bit, d.width))
	d.bit += d.width
	d.inMini--
	return d.v, nil
}
