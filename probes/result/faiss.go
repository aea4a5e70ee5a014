package result

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
)

// faissMagic begins a file of FAISS's IndexBinaryFlat (faiss/impl/index_write.cpp).
const (
	faissMagic  = "IBxF"
	faissHeader = 4 + 4 + 4 + 8 + 1 + 4 + 8
)

// faissHead is what comes before the codes, little-endian.
type faissHead struct {
	Magic       [len(faissMagic)]byte
	Bits, Bytes int32 // of a code
	Codes       int64
	Trained     uint8
	Metric      int32  // 1 is L2
	All         uint64 // bytes that follow
}

// FaissHeader is how the file of an IndexBinaryFlat of n codes of width bytes
// begins; the codes follow it.
func FaissHeader(width, n int) []byte {
	h := faissHead{[4]byte([]byte(faissMagic)), int32(width * 8), int32(width), int64(n), 1, 1, uint64(n) * uint64(width)}
	b, _ := binary.Append(nil, binary.LittleEndian, h) // its size is fixed
	return b
}

// WriteFaiss writes n codes of width bytes each as a file that
// faiss.read_index_binary opens as an IndexBinaryFlat. Row i of the index is code i
// of rows; it keeps nothing of them. It is an error when rows gives other than n
// codes, or one of another width, or ends with an error of its own.
func WriteFaiss(w io.Writer, width, n int, rows iter.Seq2[[]byte, error]) error {
	if width < 1 || width > math.MaxInt32/8 || n < 0 {
		return fmt.Errorf("a FAISS index of %d codes of %d bytes; want codes of 1 to %d bytes", n, width, math.MaxInt32/8)
	}
	b := bufio.NewWriterSize(w, 1<<18)
	if _, err := b.Write(FaissHeader(width, n)); err != nil {
		return err
	}
	written := 0
	for code, err := range rows {
		switch {
		case err != nil:
			return err
		case len(code) != width:
			return fmt.Errorf("code %d of a FAISS index has %d bytes, the others have %d", written, len(code), width)
		case written == n:
			return fmt.Errorf("more than the %d codes that the FAISS index was to have", n)
		}
		if _, err := b.Write(code); err != nil {
			return err
		}
		written++
	}
	if written != n {
		return fmt.Errorf("%d codes for a FAISS index that was to have %d", written, n)
	}
	return b.Flush()
}

// readFaissHeader reads up to the codes. What it says of them is what the file of
// size bytes holds.
func readFaissHeader(r io.Reader, size int64) (n, width int, err error) {
	var h faissHead
	if err := binary.Read(r, binary.LittleEndian, &h); err != nil {
		return 0, 0, fmt.Errorf("a FAISS index of %d bytes is cut short in its header", size)
	}
	if magic := string(h.Magic[:]); magic != faissMagic {
		return 0, 0, fmt.Errorf("it begins with %q, and a FAISS IndexBinaryFlat with %q; other FAISS indexes are not read",
			magic, faissMagic)
	}
	bits, bytes, codes, all := int64(h.Bits), int64(h.Bytes), h.Codes, h.All
	switch {
	case bytes < 1 || bits != bytes*8:
		err = fmt.Errorf("it says that its codes have %d bits in %d bytes", bits, bytes)
	case codes < 0 || codes > maxRows:
		err = fmt.Errorf("it says that it has %d codes; up to %d are read", codes, maxRows)
	case all != uint64(codes)*uint64(bytes):
		err = fmt.Errorf("it says that its %d codes of %d bytes have %d bytes together", codes, bytes, all)
	case uint64(size-faissHeader) != all:
		err = fmt.Errorf("it has %d bytes; a FAISS index of %d codes of %d bytes has %d", size, codes, bytes, faissHeader+all)
	}
	return int(codes), int(bytes), err
}

// isFaiss says whether a file begins as an IndexBinaryFlat does.
func isFaiss(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var magic [len(faissMagic)]byte
	_, err = io.ReadFull(f, magic[:])
	return err == nil && string(magic[:]) == faissMagic
}
