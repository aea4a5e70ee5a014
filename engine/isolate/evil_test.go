//go:build linux && (amd64 || arm64)

package isolate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/isolate"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// evil is a backend that does what a hostile model may make an engine do: when it prepares
// a model what its producer says, and in a run what the first element of x says.
type evil struct{}

func (evil) Name() string                   { return "evil" }
func (evil) Version() string                { return "1" }
func (evil) Available(engine.Options) error { return nil }

var sink [][]byte

func fill() {
	for {
		b := make([]byte, 64<<20)
		for i := range b {
			b[i] = 1
		}
		sink = append(sink, b)
	}
}

func raise(s syscall.Signal) {
	_ = unix.Tgkill(os.Getpid(), unix.Gettid(), s)
	time.Sleep(time.Second)
}

func (evil) Prepare(_ context.Context, m *onnx.Model, o engine.Options) (engine.Session, error) {
	switch m.Producer {
	case "nil":
		var p *int
		*p = 1
	case "SIGFPE":
		raise(syscall.SIGFPE)
	case "SIGABRT":
		raise(syscall.SIGABRT)
	case "exit":
		os.Exit(3)
	case "panic":
		panic("a defect")
	case "sleep":
		select {}
	case "alloc":
		fill()
	case "garbage":
		_, _ = syscall.Write(3, bytes.Repeat([]byte{0xff}, 100))
		select {}
	case "huge":
		_, _ = syscall.Write(3, []byte{0xff, 0xff, 0xff, 0xff, 'O', 0, 0, 0})
		select {}
	case "no JSON":
		_, _ = syscall.Write(3, []byte{1, 0, 0, 0, 'O', 0, 0, 0, '{'})
		select {}
	case "closed":
		_ = syscall.Close(3)
		select {}
	case "talk":
		for {
			_, _ = os.Stderr.Write(bytes.Repeat([]byte("talk "), 1<<16))
		}
	case "look":
		return nil, errors.New(look())
	case "unsupported":
		return nil, &engine.UnsupportedError{Backend: "evil", Nodes: m.Graph.Nodes[:1], Why: []string{"it is good"}}
	case "unavailable":
		return nil, &engine.UnavailableError{Backend: "evil", Reason: "it rests", Options: []string{"engine.Options.Library"}}
	case "remedy":
		return nil, fmt.Errorf("trying: %w", onnx.Remedy(errors.New("too good"), "engine.Options.Optimize"))
	}
	if name, ok := strings.CutPrefix(m.Producer, "escape "); ok {
		if err := escapes[name](); err != nil {
			return nil, err
		}
		return nil, errors.New("it came through")
	}
	return &evilSession{}, nil
}

// look tries what a worker is to be kept from, and says what came of each.
func look() string {
	var got []string
	try := func(what string, err error) { got = append(got, fmt.Sprintf("%s: %v", what, err)) }
	for _, path := range []string{"/etc/passwd", "/proc/1/environ", fmt.Sprintf("/proc/%d/environ", os.Getppid()), "/proc/self/environ",
		fmt.Sprintf("/proc/%d/mem", os.Getppid()), "/proc/self/mem"} {
		f, err := os.OpenFile(path, os.O_RDONLY, 0)
		if err == nil {
			f.Close()
		}
		try("read "+path, err)
	}
	for _, path := range []string{"/", "/root", "/tmp", "/proc"} {
		_, err := os.ReadDir(path)
		try("list "+path, err)
	}
	for _, dir := range []string{"/tmp", "/var/tmp", "/dev/shm", "."} {
		try("write "+dir, os.WriteFile(filepath.Join(dir, "onnxprobe-evil"), []byte{1}, 0o600))
	}
	try("remove", os.Remove("isolate_test.go.not"))
	try("mkdir", os.Mkdir("/tmp/onnxprobe-evil-dir", 0o700))
	_, err := net.DialTimeout("tcp", "127.0.0.1:22", time.Second)
	try("tcp", err)
	_, err = net.Dial("udp", "127.0.0.1:53")
	try("udp", err)
	_, err = net.Listen("unix", "@onnxprobe-evil")
	try("unix", err)
	try("exec", syscall.Exec("/bin/true", []string{"true"}, nil))
	_, err = syscall.ForkExec("/bin/true", []string{"true"}, nil)
	try("fork and exec", err)
	_, _, e := syscall.RawSyscall(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0)
	try("fork", e)
	for _, pid := range []int{os.Getppid(), 1, -1} {
		try(fmt.Sprint("kill ", pid), syscall.Kill(pid, 0))
	}
	try("tgkill", unix.Tgkill(os.Getppid(), os.Getppid(), 0))
	_, _, e = syscall.Syscall(syscall.SYS_PTRACE, 16, uintptr(os.Getppid()), 0)
	try("ptrace", e)
	_, err = unix.MemfdCreate("more", 0)
	try("memfd", err)
	try("limit", unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: 1 << 40, Max: 1 << 40}))
	try("limit of another", unix.Prlimit(os.Getppid(), unix.RLIMIT_CPU, &unix.Rlimit{Cur: 1, Max: 1}, nil))
	try("unshare", unix.Unshare(unix.CLONE_NEWUSER))
	try("mount", unix.Mount("none", "/mnt", "tmpfs", 0, ""))
	try("chroot", unix.Chroot("/tmp"))
	own, _ := os.Executable()
	try("chmod", os.Chmod(own, 0o700))
	try("chown", os.Chown(own, 0, 0))
	try("times", os.Chtimes(own, time.Now(), time.Now()))
	try("truncate", os.Truncate(own, 1))
	try("attribute", unix.Setxattr(own, "user.evil", []byte{1}, 0))
	try("link", os.Link(own, own+".evil"))
	try("rename", os.Rename(own, own+".evil"))
	try("setuid", unix.Setreuid(1000, 1000))
	try("outlive", unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0))
	_, err = unix.FcntlInt(3, unix.F_SETOWN, os.Getppid())
	try("own", err)
	_, err = unix.InotifyInit1(0)
	try("inotify", err)
	_, err = unix.FcntlInt(3, unix.F_GETFL, 0)
	try("allowed: flags", err)
	try("allowed: own limits", unix.Prlimit(0, unix.RLIMIT_DATA, nil, &unix.Rlimit{}))
	_, err = os.ReadFile("/proc/cpuinfo")
	try("allowed: read", err)
	return strings.Join(got, " | ")
}

// evilSession gives y = 2x, unless the first element of x says otherwise.
type evilSession struct{ note string }

var evilPort = []engine.Port{{Name: "x", DType: tensor.Float32, Shape: []int{-1}}}

func (*evilSession) Inputs() []engine.Port { return evilPort }
func (*evilSession) Outputs() []engine.Port {
	return []engine.Port{{Name: "y", DType: tensor.Float32, Shape: []int{-1}}}
}
func (*evilSession) Close() error                   { return nil }
func (s *evilSession) Note() string                 { return s.note }
func (*evilSession) OnCPU() []string                { return []string{"n (Relu)"} }
func (*evilSession) Share() (engine.Session, error) { return &evilSession{}, nil }

// What evilSession does.
const (
	crash = -1 - iota
	hang
	wait
	two
	grow
	panics
	other
	full
	smuggle
	slow
)

func (s *evilSession) Run(ctx context.Context, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	x := tensor.Data[float32](in[0])
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = 2 * v
	}
	out := []*tensor.Tensor{tensor.Of(y, len(y))}
	switch x[0] {
	case crash:
		raise(syscall.SIGFPE)
	case hang:
		select {}
	case wait:
		<-ctx.Done()
		return nil, ctx.Err()
	case two:
		return append(out, out...), nil
	case grow:
		fill()
	case slow:
		time.Sleep(2 * time.Second)
	case full:
		fillLifeline()
	case smuggle:
		sendStderr()
	case panics:
		panic("a defect")
	case other:
		return []*tensor.Tensor{tensor.Of([]float64{1}, 1)}, nil
	}
	s.note = fmt.Sprint("ran over ", len(x))
	return out, nil
}

func evilBackend(limits isolate.Limits) *isolate.Backend {
	return &isolate.Backend{Backend: evil{}, Product: "Evil", Limits: limits, Strict: isolate.Missing() == ""}
}

func evilModel(producer string) *onnx.Model {
	m := relu()
	m.Producer, m.Path = producer, "dir/m.onnx"
	return m
}

// Whatever an engine does while it prepares a model is an error, in time.
func TestEvilPrepare(t *testing.T) {
	limits := isolate.Limits{Memory: 512 << 20, Time: 3 * time.Second}
	for mode, want := range map[string]string{
		"nil": "Evil crashed with SIGSEGV", "SIGFPE": "Evil crashed with SIGFPE", "SIGABRT": "Evil crashed with SIGABRT",
		"exit": "Evil ended with exit status 3", "panic": "Evil ended with exit status 2: panic: a defect", "sleep": "Evil took longer than 3 s",
		"alloc": "Evil needed more than 512 MiB", "garbage": "Evil did not keep to the protocol of workers",
		"huge": "did not keep to the protocol", "no JSON": "did not keep to the protocol", "closed": "Evil does not answer", "talk": "Evil took longer than 3 s",
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			_, err := evilBackend(limits).Prepare(context.Background(), evilModel(mode), engine.Options{})
			var lost *engine.LostError
			if !errors.As(err, &lost) || !strings.Contains(err.Error(), "dir/m.onnx: ") || !strings.Contains(err.Error(), want) ||
				!strings.HasSuffix(err.Error(), "while it prepared the model") || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want %q", err, want)
			}
			if crashed := strings.Contains(want, "SIG"); lost != nil && lost.Crashed() != crashed {
				t.Errorf("crashed: %v", lost.Crashed())
			}
			if took := time.Since(start); took > limits.Time+10*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// A worker reaches nothing: every attempt is refused by the kernel, and what is allowed works.
func TestEvilLooksAround(t *testing.T) {
	if missing := isolate.Missing(); missing != "" {
		t.Skip(missing)
	}
	_, err := evilBackend(isolate.Limits{Memory: 512 << 20, Time: 20 * time.Second}).Prepare(context.Background(), evilModel("look"), engine.Options{})
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(err.Error(), " | ")
	if len(lines) < 45 {
		t.Errorf("it tried %d things", len(lines))
	}
	for _, line := range lines {
		what, came, _ := strings.Cut(line, ": ")
		refused := strings.HasSuffix(came, "permission denied") || strings.HasSuffix(came, "operation not permitted") ||
			what == "remove" && strings.HasSuffix(came, "no such file or directory")
		if refused == (what == "allowed") || what == "allowed" && !strings.HasSuffix(came, "<nil>") {
			t.Error(line)
		}
	}
	t.Log(err)
}

// Refusals and remedies come back as what they are.
func TestErrorsComeBack(t *testing.T) {
	try := func(mode string) error {
		_, err := evilBackend(isolate.Limits{Time: 20 * time.Second}).Prepare(context.Background(), evilModel(mode), engine.Options{})
		if err == nil {
			t.Fatalf("%s: no error", mode)
		}
		return err
	}
	var u *engine.UnsupportedError
	if err := try("unsupported"); !errors.As(err, &u) || len(u.Nodes) != 1 || u.Nodes[0].Name != "relu" || u.Why[0] != "it is good" {
		t.Errorf("unsupported: %v", err)
	}
	var a *engine.UnavailableError
	if err := try("unavailable"); !errors.As(err, &a) || a.Reason != "it rests" || len(a.Options) != 1 {
		t.Errorf("unavailable: %v", err)
	}
	var r *onnx.RemedyError
	if err := try("remedy"); !errors.As(err, &r) || err.Error() != "trying: too good" || r.Error() != "too good" || r.Options[0] != "engine.Options.Optimize" {
		t.Errorf("remedy: %v", err)
	}
}

func evilRun(ctx context.Context, s engine.Session, first float32) ([]*tensor.Tensor, error) {
	return s.Run(ctx, []*tensor.Tensor{tensor.Of([]float32{first, 7}, 2)})
}

// A worker that is lost in a run costs that run, and not its session or those that share it.
func TestLostInARun(t *testing.T) {
	before := children(t)
	b := evilBackend(isolate.Limits{Memory: 512 << 20, Time: 6 * time.Second})
	s, err := b.Prepare(context.Background(), evilModel(""), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	shared, err := s.(engine.Sharer).Share()
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	works := func(s engine.Session) {
		t.Helper()
		out, err := evilRun(ctx, s, 3)
		if err != nil || !slices.Equal(tensor.Data[float32](out[0]), []float32{6, 14}) {
			t.Fatalf("got %v, %v", out, err)
		}
		if note := s.(engine.Noter).Note(); note != "ran over 2" {
			t.Errorf("the note %q", note)
		}
	}
	if got := s.(engine.Placer).OnCPU(); !slices.Equal(got, []string{"n (Relu)"}) {
		t.Errorf("on the CPU: %q", got)
	}
	works(s)
	works(shared)
	if n := children(t) - before; n != 1 {
		t.Errorf("%d workers, want 1", n)
	}
	for first, want := range map[float32]string{crash: "dir/m.onnx: Evil crashed with SIGFPE while it ran the model",
		hang: "took longer than 6 s while it ran the model", two: "did not keep to the protocol", grow: "needed more than 512 MiB",
		panics: "ended with exit status 2: panic: a defect", other: "did not keep to the protocol"} {
		start := time.Now()
		_, err := evilRun(ctx, s, first)
		var lost *engine.LostError
		if !errors.As(err, &lost) || !strings.Contains(err.Error(), want) || time.Since(start) > 20*time.Second {
			t.Errorf("%v: got %v after %v, want %q", first, err, time.Since(start), want)
		}
		works(shared)
		works(s)
	}
	// A run that hears that it is cancelled leaves the worker alive; one that does not ends it.
	for _, first := range []float32{wait, hang} {
		ctx, cancel := context.WithCancel(ctx)
		time.AfterFunc(50*time.Millisecond, cancel)
		start := time.Now()
		if _, err := evilRun(ctx, s, first); !errors.Is(err, context.Canceled) || time.Since(start) > 5*time.Second {
			t.Errorf("cancelled: got %v after %v", err, time.Since(start))
		}
		works(s)
	}
	for _, s := range []engine.Session{s, shared, shared} {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := evilRun(ctx, s, 3); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("a run of a closed session: %v", err)
	}
	if n := children(t); n != before {
		t.Errorf("%d workers are left", n-before)
	}
}

// Sessions that share a worker run at once, and the end of one run is not that of another.
func TestSharedAtOnce(t *testing.T) {
	s, err := evilBackend(isolate.Limits{Time: 20 * time.Second}).Prepare(context.Background(), evilModel(""), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		if _, err := evilRun(ctx, s, wait); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	for range 4 {
		work.Go(func() {
			s, err := s.(engine.Sharer).Share()
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			for k := range 200 {
				out, err := evilRun(context.Background(), s, float32(k))
				if err != nil || tensor.Data[float32](out[0])[0] != float32(2*k) {
					t.Error(out, err)
					return
				}
			}
		})
	}
	time.Sleep(20 * time.Millisecond)
	cancel()
	work.Wait()
}

// A context ends the preparing of a model at once, however deep the engine is.
func TestPreparingIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(300*time.Millisecond, cancel)
	start := time.Now()
	_, err := evilBackend(isolate.Limits{}).Prepare(ctx, evilModel("sleep"), engine.Options{})
	if !errors.Is(err, context.Canceled) || time.Since(start) > 5*time.Second {
		t.Errorf("got %v after %v", err, time.Since(start))
	}
}

// children counts the processes whose parent this is, and that are not dead.
func children(t *testing.T) int {
	t.Helper()
	return len(childrenOf(os.Getpid()))
}

func childrenOf(parent int) (pids []int) {
	all, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range all {
		b, _ := os.ReadFile(path)
		_, after, _ := strings.Cut(string(b), ") ")
		if f := strings.Fields(after); len(f) > 1 && f[1] == fmt.Sprint(parent) && f[0] != "Z" {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			pids = append(pids, pid)
		}
	}
	return pids
}

// Models that come and go leave neither descriptors nor processes behind.
func TestNothingIsLeft(t *testing.T) {
	open := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	b := evilBackend(isolate.Limits{Memory: 512 << 20, Time: 20 * time.Second})
	cycle := func(mode string) {
		if s, err := b.Prepare(context.Background(), evilModel(mode), engine.Options{}); err == nil {
			_, _ = evilRun(context.Background(), s, 1)
			_, _ = evilRun(context.Background(), s, crash)
			s.Close()
		}
	}
	cycle("")
	files, processes := open(), children(t)
	for k := range 30 {
		cycle([]string{"", "SIGFPE", "garbage", "remedy"}[k%4])
	}
	if f, p := open(), children(t); f > files || p > processes {
		t.Errorf("%d descriptors and %d processes, before %d and %d", f, p, files, processes)
	}
}
