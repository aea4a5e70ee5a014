package benchmarks

import (
	"time"

	"golang.org/x/sys/unix"
)

func init() {
	threadTime = func() time.Duration {
		var t unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
			panic(err)
		}
		return time.Duration(t.Nano())
	}
}
