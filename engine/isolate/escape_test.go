//go:build linux && (amd64 || arm64)

package isolate_test

import (
	"context"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/isolate"
)

// escapes are what native code in a worker may try, beside what look does: each gives an
// error where it is refused, and does not come back where it should be ended for it.
var escapes = map[string]func() error{
	"descriptor": func() error { return unix.Sendmsg(3, []byte{0}, unix.UnixRights(2), nil, 0) },
	// Memory that is no process's once it is no longer looked at.
	"shared": func() error {
		const size = 64 << 20
		for range 48 {
			b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
			if err != nil {
				return err
			}
			for i := 0; i < size; i += 4096 {
				b[i] = 1
			}
			_ = unix.Madvise(b, unix.MADV_DONTNEED)
		}
		return nil
	},
	"stack": func() error {
		_, err := unix.Mmap(-1, 0, 1<<40, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_GROWSDOWN)
		return err
	},
	// The kernel's tables of memory that holds nothing.
	"tables": func() error {
		const size = 1 << 39
		b, err := unix.Mmap(-1, 0, size, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
		if err != nil {
			return err
		}
		_ = unix.Madvise(b, unix.MADV_NOHUGEPAGE)
		for i := 0; i < size; i += 2 << 20 {
			total += int(b[i])
		}
		return nil
	},
	"threads": func() error {
		for range 6000 {
			go func() {
				runtime.LockOSThread()
				_, _ = unix.Poll(nil, -1)
			}()
		}
		select {}
	},
	// What others of the same user have made.
	"message":   func() error { return call(unix.SYS_MSGCTL, 0, unix.IPC_RMID) },
	"semaphore": func() error { return call(unix.SYS_SEMCTL, 0x7fffffff, 0, unix.IPC_RMID) },
	"queue": func() error {
		name := []byte("onnxprobe-none\x00")
		return call(unix.SYS_MQ_UNLINK, uintptr(unsafe.Pointer(&name[0])))
	},
	"affinity": func() error { return unix.SchedSetaffinity(os.Getppid(), &unix.CPUSet{1}) },
	"lock":     func() error { return unix.Flock(3, unix.LOCK_EX|unix.LOCK_NB) },
	"lease": func() error {
		_, err := unix.FcntlInt(3, unix.F_SETLEASE, unix.F_RDLCK)
		return err
	},
	"pipe":   func() error { return unix.Pipe2(make([]int, 2), 0) },
	"buffer": func() error { return unix.SetsockoptInt(3, unix.SOL_SOCKET, unix.SO_SNDBUF, 1<<30) },
	"ruleset": func() error {
		return call(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	},
	"aio": func() error {
		var ctx uintptr
		return call(unix.SYS_IO_SETUP, 128, uintptr(unsafe.Pointer(&ctx)))
	},
}

var total int

func call(number uintptr, args ...uintptr) error {
	args = append(args, 0, 0, 0)
	if _, _, e := syscall.Syscall(number, args[0], args[1], args[2]); e != 0 {
		return e
	}
	return nil
}

// What native code in a worker tries is refused, or ends the worker, in time.
func TestEscapes(t *testing.T) {
	if missing := isolate.Missing(); missing != "" {
		t.Skip(missing)
	}
	ended := map[string]string{"tables": "needed more than 512 MiB", "threads": "started more than 4096 threads"}
	for name := range escapes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := "operation not permitted"
			if ended[name] != "" {
				want = ended[name]
			}
			done := make(chan error)
			go func() {
				limits := isolate.Limits{Memory: 512 << 20, Time: 20 * time.Second}
				if name == "threads" { // whose stacks are not to be what ends it
					limits.Memory = 1 << 40
				}
				_, err := evilBackend(limits).Prepare(context.Background(), evilModel("escape "+name), engine.Options{})
				done <- err
			}()
			select {
			case err := <-done:
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q", err, want)
				}
			case <-time.After(25 * time.Second):
				t.Error("the program is held")
			}
		})
	}
}

// A worker that fills the pipe on which it hears of cancelled runs is ended all the same,
// and so is one that leaves its standard error on its way in a socket that nobody reads.
func TestHeld(t *testing.T) {
	for first, want := range map[float32]string{full: "context canceled", smuggle: "ended with exit status 3"} {
		t.Run(want, func(t *testing.T) { held(t, first, want) })
	}
}

func held(t *testing.T, first float32, want string) {
	s, err := evilBackend(isolate.Limits{}).Prepare(context.Background(), evilModel(""), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(time.Second, cancel)
	done := make(chan error)
	go func() {
		_, err := evilRun(ctx, s, first)
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		s.Close()
	case <-time.After(5 * time.Second):
		t.Fatal("the program is held")
	}
}

// sendStderr sends standard error on the control socket, where it can, and ends.
func sendStderr() {
	_ = unix.Sendmsg(3, []byte{0}, unix.UnixRights(2), nil, 0)
	os.Exit(3)
}

// fillLifeline opens the pipe to write, fills it, and stops the whole process.
func fillLifeline() {
	fd, err := unix.Open("/proc/self/fd/4", unix.O_WRONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		panic(err)
	}
	for err == nil {
		_, err = unix.Write(fd, make([]byte, 4096))
	}
	_ = unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGSTOP)
	select {}
}
