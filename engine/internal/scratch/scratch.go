// Package scratch makes a file for a while.
package scratch

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
)

// reserved are files made in advance, for a process that may make none later.
var reserved struct {
	sync.Mutex
	free []*os.File
}

// File is an empty file to write and read by its path until done. Under Linux it has no
// name of its own, so that a program killed meanwhile leaves nothing behind.
func File() (path string, done func(), err error) {
	if f := take(); f != nil {
		return open(f), func() { give(f) }, nil
	}
	dir, err := os.MkdirTemp("", "onnxprobe-")
	if err != nil {
		return "", nil, err
	}
	path = filepath.Join(dir, "scratch")
	f, err := os.Create(path)
	if err != nil {
		os.RemoveAll(dir)
		return "", nil, err
	}
	if _, err := os.Stat(open(f)); runtime.GOOS == "linux" && err == nil {
		os.RemoveAll(dir)
		return open(f), func() { f.Close() }, nil
	}
	f.Close()
	return path, func() { os.RemoveAll(dir) }, nil
}

func open(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }

// Keep makes f one of the files that File gives, each to one after the other.
func Keep(f *os.File) { give(f) }

func give(f *os.File) {
	reserved.Lock()
	defer reserved.Unlock()
	reserved.free = append(reserved.free, f)
}

func take() *os.File {
	reserved.Lock()
	defer reserved.Unlock()
	n := len(reserved.free)
	if n == 0 {
		return nil
	}
	f := reserved.free[n-1]
	reserved.free = reserved.free[:n-1]
	_ = f.Truncate(0) // not before: who had it may have it mapped still
	return f
}
