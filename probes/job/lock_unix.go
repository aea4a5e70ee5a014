//go:build linux || darwin || freebsd || netbsd || openbsd

package job

import (
	"os"
	"syscall"
)

// hold takes a file's lock, which lasts until the file is closed or its process
// ends, however it ends. It is false where another holds it.
func hold(f *os.File) bool {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != syscall.EWOULDBLOCK
}
