//go:build linux || darwin || freebsd || netbsd || openbsd

package sink

import (
	"os"
	"syscall"
)

// lock waits until no other process holds dir, and holds it until dir is
// closed. Where the file system has no such locks it does nothing.
func lock(dir *os.File) { _ = syscall.Flock(int(dir.Fd()), syscall.LOCK_EX) }
