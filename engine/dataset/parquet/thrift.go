package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
)

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
		return t.elements(n, depth, h&15)
	case 11:
		n, err := t.varint()
		if err != nil || n == 0 {
			return err
		}
		kinds, err := t.byte()
		if err != nil {
			return err
		}
		return t.elements(n, depth, kinds>>4, kinds&15)
	case 12:
		t.structs++
		return t.structure(depth + 1)
	}
	return fmt.Errorf("type %d is none of Thrift's", kind)
}

// elements walks n times values of some kinds, each of which takes a byte.
func (t *thriftWalk) elements(n uint64, depth int, kinds ...byte) error {
	if n > uint64(len(t.b)-t.at) {
		return errThriftShort
	}
	for range n {
		for _, k := range kinds {
			if err := t.value(k, true, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}
