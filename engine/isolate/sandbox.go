//go:build linux && (amd64 || arm64)

package isolate

import (
	"fmt"
	"strings"
	"unsafe"

	"github.com/landlock-lsm/go-landlock/landlock"
	"golang.org/x/sys/unix"

	"github.com/onnxprobe/onnxprobe/engine"
)

// overhead is what a worker may have beside its limit: Go's heap and the library.
const overhead = 256 << 20

// early is what holds before anything is received.
func early() error {
	// Others of the same user can neither trace the process nor read its memory.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("hiding the process: %w", err)
	}
	for _, s := range []unix.Signal{unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE, unix.SIGILL, unix.SIGABRT, unix.SIGTRAP} {
		// The default action: the kernel tells the parent the signal, which no text of the
		// worker's can forge. Go would print and exit with 2.
		var action [4]uint64 // handler, flags, restorer, mask
		if _, _, e := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0); e != 0 {
			return fmt.Errorf("leaving signals to the kernel: %w", e)
		}
	}
	return limit(unix.RLIMIT_CORE, 0)
}

// limit sets a limit, or keeps a lower one that the program has.
func limit(what int, n uint64) error {
	var now unix.Rlimit
	if err := unix.Getrlimit(what, &now); err == nil {
		n = min(n, now.Max)
	}
	if err := unix.Setrlimit(what, &unix.Rlimit{Cur: n, Max: n}); err != nil {
		return fmt.Errorf("limiting the process: %w", err)
	}
	return nil
}

// confine gives up what no run needs: from here on the process may read the request's files
// and open, write, connect to, start and signal nothing.
func confine(q request) error {
	limits := map[int]uint64{unix.RLIMIT_NOFILE: 256}
	if q.Memory > 0 {
		// Not RLIMIT_AS: address space that is only reserved costs nothing, and Go and
		// the C library reserve much.
		limits[unix.RLIMIT_DATA], limits[unix.RLIMIT_FSIZE] = uint64(q.Memory)+overhead, uint64(q.Memory)
	}
	for what, n := range limits {
		if err := limit(what, n); err != nil {
			return err
		}
	}
	if landlockVersion() > 0 {
		if err := landlock.V7.BestEffort().Restrict(rules(q.Files)...); err != nil {
			return fmt.Errorf("restricting the process by landlock: %w", err)
		}
	}
	if hasSeccomp() {
		if err := filter(); err != nil {
			return fmt.Errorf("restricting the process by seccomp: %w", err)
		}
	}
	return nil
}

// rules are the files that may be read: those given, and what the engine's library and the C
// library look up of the machine.
func rules(files []string) []landlock.Rule {
	all := []landlock.Rule{
		landlock.ROFiles("/proc/cpuinfo", "/proc/meminfo", "/proc/self/maps", "/dev/null", "/dev/urandom").IgnoreIfMissing(),
		landlock.RODirs("/sys/devices/system/cpu", "/sys/devices/system/node").IgnoreIfMissing(),
	}
	if len(files) > 0 {
		all = append(all, landlock.ROFiles(files...).IgnoreIfMissing())
	}
	return all
}

// landlockVersion is that of the kernel's interface, 0 where there is none.
func landlockVersion() int {
	n, _, e := unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if e != 0 {
		return 0
	}
	return int(n)
}

// hasSeccomp says whether the kernel takes filters that answer with an error.
func hasSeccomp() bool {
	action := uint32(unix.SECCOMP_RET_ERRNO)
	_, _, e := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action)))
	return e == 0
}

// Missing says what does not keep workers from files, network and other processes here
// although it could; "" where all does.
func Missing() string {
	var all []string
	if landlockVersion() == 0 {
		all = append(all, "landlock, which bounds the files that a process reaches (Linux 5.13 and later, where it is switched on)")
	}
	if !hasSeccomp() {
		all = append(all, "seccomp, which bounds what a process asks of the kernel (Linux 4.14 and later)")
	}
	if all == nil {
		return ""
	}
	return "this kernel has no " + strings.Join(all, ", and no ")
}

// Holds lists what keeps a worker of b from harm here.
func (b *Backend) Holds() []string {
	all := []string{"a process of its own"}
	if b.Limits.Memory > 0 {
		all = append(all, "at most "+engine.Bytes(b.Limits.Memory))
	}
	if b.Limits.Time > 0 {
		all = append(all, fmt.Sprintf("%v to prepare the model and for each run", b.Limits.Time))
	}
	if v := landlockVersion(); v > 0 {
		all = append(all, fmt.Sprintf("landlock %d", v))
	}
	if hasSeccomp() {
		all = append(all, "seccomp")
	}
	return all
}
