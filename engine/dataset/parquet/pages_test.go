package parquet

import (
	"bytes"
	"compress/gzip"
	"testing"
)

// The claims of one page after the other, made by hand.
func TestColumnPagesRefuse(t *testing.T) {
	for _, c := range []struct {
		what  string
		data  []byte
		width int
		want  []uint64
		bad   bool
	}{
		{"a run", []byte{6, 5}, 3, []uint64{5, 5, 5}, true},
		{"packed", []byte{3, 0b10001000, 0b11000110, 0b11111010}, 3, []uint64{0, 1, 2, 3, 4, 5, 6, 7}, true},
		{"no bits", []byte{4}, 0, []uint64{0, 0}, true},
		{"a run cut off", []byte{6}, 3, nil, true},
		{"packed cut off", []byte{3, 0b10001000}, 3, []uint64{0, 1}, true},
		{"a huge run", []byte{0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1}, 1, []uint64{1, 1, 1, 1}, false},
		{"an endless number", bytes.Repeat([]byte{0xff}, 20), 1, nil, true},
	} {
		next := hybrid(c.data, c.width)
		for i, w := range c.want {
			if v, err := next(); err != nil || v != w {
				t.Errorf("%s: number %d is %d, error %v; want %d", c.what, i, v, err, w)
			}
		}
		if _, err := next(); (err != nil) != c.bad {
			t.Errorf("%s: after its numbers, error %v", c.what, err)
		}
	}
	for what, b := range map[string][]byte{
		"a list that claims too much": {0x19, 0xfc, 0xff, 0xff, 0xff, 0x7f}, "nested lists": append(append([]byte{0x19}, bytes.Repeat([]byte{0x19}, 1<<16)...), 0),
		"nested structures": bytes.Repeat([]byte{0x1c}, 1<<16), "a long string": {0x18, 0xff, 0xff, 0xff, 0x7f}, "an unknown type": {0x1f, 0}, "structures of nothing": append([]byte{0x19, 0xfc, 0x80, 0x80, 4}, make([]byte, 1<<16)...), "nothing": nil,
	} {
		if n, err := thriftSize(b); err == nil {
			t.Errorf("%s: it has %d bytes and no error", what, n)
		}
	}
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := z.Write(make([]byte, 1<<20)); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	r := &Column{codec: 2, limit: 1 << 30}
	if _, err := r.unpack(bomb.Bytes(), 1<<20); err != nil {
		t.Error(err)
	}
	if _, err := r.unpack(bomb.Bytes(), 1000); err == nil {
		t.Error("a page that unpacks to more than it claims was taken")
	}
	r.codec = 1
	if _, err := r.unpack([]byte{0x80, 0x80, 0x80, 0x80, 4, 0}, 1<<30); err == nil {
		t.Error("a snappy block of 6 bytes that claims 1 GiB was taken")
	}
}
