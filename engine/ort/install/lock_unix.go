//go:build !windows

package install

import (
	"errors"
	"os"
	"syscall"
)

// tryLock takes the lock on f without waiting and reports whether it did. The
// system drops it when f is closed or the process ends, however it ends.
func tryLock(f *os.File) (bool, error) {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}
