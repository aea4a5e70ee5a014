//go:build linux || darwin || freebsd || netbsd || openbsd

package store

import (
	"os"
	"syscall"
)

// nonblock keeps an open from waiting for the other end of a pipe.
const nonblock = syscall.O_NONBLOCK

// hold takes a file's lock, which lasts until the file is closed or its process
// ends, however it ends. It is asked of the system, not of github.com/gofrs/flock, which
// opens what it locks itself, by a path: a draft's lock is that of the very file it is
// written through, and ends with it, whatever has its name by then.
func hold(f *os.File) lock {
	switch syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) {
	case nil:
		return got
	case syscall.EWOULDBLOCK:
		return taken
	}
	return unknown
}

// await is hold that waits; it does nothing where the file system has no locks.
func await(f *os.File) { _ = syscall.Flock(int(f.Fd()), syscall.LOCK_EX) }
