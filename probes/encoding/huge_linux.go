package encoding

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// huge asks for large pages behind memory that has not been used yet. One query
// reads all codes once; without large pages a good part of the time goes into
// finding the small ones.
func huge(words []uint64) {
	const page = 2 << 20
	if cap(words)*8 < 2*page {
		return
	}
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), cap(words)*8)
	start := -uintptr(unsafe.Pointer(&b[0])) % page
	b = b[start:]
	_ = unix.Madvise(b[:len(b)/page*page], unix.MADV_HUGEPAGE) // a wish
}
