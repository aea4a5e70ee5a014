package dataset

import (
	"encoding/binary"
	"slices"
)

// samples is a tar file's samples, in some ten bytes each: what is alike in
// neighbours, most of a key and of an offset, is left out. perBlock of them are
// coded one after the other, and to read one is to read those before it.
type samples struct {
	n      int
	blocks [][]byte
	open   []byte // the last block, while it is not full
	bytes  int64  // of all blocks
	// last is the sample added last, which the next is coded against.
	last tarItem
	key  []byte
}

const perBlock = 16

func (s *samples) len() int { return s.n }

func (s *samples) add(key string, it tarItem) {
	if s.n%perBlock == 0 {
		s.close()
		s.last, s.key = tarItem{}, s.key[:0]
	}
	before := len(s.open)
	same := 0
	for same < min(len(key), len(s.key)) && key[same] == s.key[same] {
		same++
	}
	b := append(s.open, byte(it.fault))
	b = binary.AppendUvarint(b, uint64(same))
	b = binary.AppendUvarint(b, uint64(len(key)-same))
	b = append(b, key[same:]...)
	if it.fault == tarGood { // the others have no bytes
		b = binary.AppendUvarint(b, uint64(it.at-s.last.at-s.last.size))
		b = binary.AppendUvarint(b, uint64(it.size))
		s.last = it
	}
	s.open, s.key = b, append(s.key[:same], key[same:]...)
	s.n, s.bytes = s.n+1, s.bytes+int64(len(b)-before)
}

// close ends the block that is being filled.
func (s *samples) close() {
	if len(s.open) > 0 {
		s.blocks, s.open = append(s.blocks, slices.Clone(s.open)), s.open[:0]
	}
}

// settle gives back the memory that only adding takes.
func (s *samples) settle() {
	s.close()
	s.open, s.key, s.last = nil, nil, tarItem{}
}

// at is sample i.
func (s *samples) at(i int) tarItem {
	r := blockReader{b: s.blocks[i/perBlock]}
	for range i % perBlock {
		r.next()
	}
	r.next()
	return r.tarItem
}

func (s *samples) keyAt(i int) string {
	var room [128]byte
	key, r := room[:0], blockReader{b: s.blocks[i/perBlock]}
	for range i%perBlock + 1 {
		r.next()
		key = append(key[:r.same], r.more...)
	}
	return string(key)
}

// each gives the keys of all samples, in memory that is used again.
func (s *samples) each(do func(i int, key []byte)) {
	var key []byte
	var r blockReader
	for i := range s.n {
		if i%perBlock == 0 {
			r = blockReader{b: s.blocks[i/perBlock]}
		}
		r.next()
		key = append(key[:r.same], r.more...)
		do(i, key)
	}
}

// blockReader reads a block's samples in order.
type blockReader struct {
	b []byte
	// The sample that was read: its key is same bytes of the one before and more.
	tarItem
	same uint
	more []byte
	end  int64 // of the last bytes of a sample
}

func (r *blockReader) next() {
	fault, b := tarFault(r.b[0]), r.b[1:]
	same, b := uvarint(b)
	more, b := uvarint(b)
	r.same, r.more, b = uint(same), b[:more], b[more:]
	r.tarItem = tarItem{fault: fault}
	if fault == tarGood {
		var gap, size uint64
		gap, b = uvarint(b)
		size, b = uvarint(b)
		r.at, r.size = r.end+int64(gap), int64(size)
		r.end = r.at + r.size
	}
	r.b = b
}

func uvarint(b []byte) (uint64, []byte) {
	if v := b[0]; v < 0x80 {
		return uint64(v), b[1:]
	}
	if v := b[1]; v < 0x80 {
		return uint64(b[0]&0x7f) | uint64(v)<<7, b[2:]
	}
	v, n := binary.Uvarint(b)
	return v, b[n:]
}
