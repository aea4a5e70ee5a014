//go:build !unix

package onnx

import (
	"io"
	"io/fs"
	"os"
)

// Without mmap the file is read whole.
func mmap(f *os.File, size int64) ([]byte, func(), error) {
	b := make([]byte, size)
	_, err := io.ReadFull(f, b)
	return b, func() {}, err
}

func hardLinks(fs.FileInfo) uint64 { return 1 }

// nonblock keeps opening a pipe from waiting for its other end.
const nonblock = 0
