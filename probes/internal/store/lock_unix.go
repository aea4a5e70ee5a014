//go:build linux || darwin || freebsd || netbsd || openbsd

package store

import (
	"os"
	"syscall"
)

// locks says that there are any.
const locks = true

// nonblock keeps an open from waiting for the other end of a pipe.
const nonblock = syscall.O_NONBLOCK

// hold takes a file's lock, which lasts until the file is closed or its process
// ends, however it ends. It is false where another holds it.
func hold(f *os.File) bool {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != syscall.EWOULDBLOCK
}

// await is hold that waits.
func await(f *os.File) { _ = syscall.Flock(int(f.Fd()), syscall.LOCK_EX) }
