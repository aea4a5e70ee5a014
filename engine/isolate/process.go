//go:build linux && (amd64 || arm64)

package isolate

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unicode"

	"golang.org/x/sys/unix"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
)

// Supported says whether this system has workers.
const Supported = true

// marker in a process's environment makes Main a worker, and keeps a program that does not
// call Main from starting itself for ever.
const marker = "ONNXPROBE_WORKER"

// process is a worker.
type process struct {
	limits Limits
	// control is used by one goroutine at a time: whoever starts the process, then the
	// network that it belongs to.
	control link
	child   *os.Process
	// lifeline is a pipe: the worker ends with it; what is written to it cancels a run.
	lifeline *os.File
	exited   chan struct{}
	state    *os.ProcessState // once it exited
	said     beginning
	why      atomic.Pointer[error] // it was killed for
}

// start starts a worker.
func (b *Backend) start() (*process, error) {
	if os.Getenv(marker) != "" {
		return nil, errors.New("starting a worker process: this is one; the program is to call isolate.Main first of all")
	}
	ours, theirs, err := pair()
	if err != nil {
		return nil, fmt.Errorf("starting a worker process: %w", err)
	}
	control := os.NewFile(uintptr(theirs), "control")
	defer control.Close()
	read, write, err := os.Pipe()
	if err != nil {
		unix.Close(ours)
		return nil, fmt.Errorf("starting a worker process: %w", err)
	}
	defer read.Close()
	p := &process{limits: b.Limits, control: link{fd: ours}, lifeline: write, exited: make(chan struct{})}
	cmd := &exec.Cmd{
		Path:       "/proc/self/exe", // not its name: the file may have been replaced
		Args:       []string{os.Args[0], "(" + b.Name() + " worker)"},
		Env:        environment(),
		ExtraFiles: []*os.File{control, read},
		Stderr:     &p.said,
		// A group of its own: a terminal's Ctrl-C is the program's to hand on.
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
		WaitDelay:   time.Second, // for whatever else has its standard error
	}
	started := make(chan error)
	go func() {
		// The death that Pdeathsig means is that of the thread that started the process.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
			p.state = cmd.ProcessState
			close(p.exited)
		}
	}()
	if err := <-started; err != nil {
		p.control.close()
		write.Close()
		return nil, fmt.Errorf("starting a worker process: %w", err)
	}
	p.child = cmd.Process
	control.Close() // so that it is the worker's alone, and its end is heard
	if err := p.greeted(); err != nil {
		p.end()
		if strings.HasPrefix(p.said.String(), "runtime") { // Go's, which got no thread
			err = fmt.Errorf("starting a worker process: %w", syscall.EAGAIN)
		}
		return nil, fmt.Errorf("%w%s", err, p.said.line())
	}
	if p.limits.Memory > 0 {
		go p.watch()
	}
	return p, nil
}

// greeting is how long a worker has to say that it is one.
const greeting = 10 * time.Second

// greeted waits for that: a program that does not call Main does something else.
func (p *process) greeted() error {
	none := errors.New("the program, started again as a worker, did not become one: it is to call isolate.Main first of all in main")
	defer engine.AfterRunning(greeting, func() { p.kill(none) })()
	f, err := p.control.recv()
	f.close()
	if err != nil || f.kind != frameHello {
		return none
	}
	return nil
}

// kept are the variables that a worker is told of the program's environment: those by which
// an engine's library is found, and how many threads it may have.
var kept = []string{"HOME", "XDG_CACHE_HOME", "LD_LIBRARY_PATH", "ONNXPROBE_ORT_LIBRARY", "GOMAXPROCS", "GOCOVERDIR", "OMP_NUM_THREADS"}

func environment() (env []string) {
	for _, k := range kept {
		if v, ok := os.LookupEnv(k); ok {
			env = append(env, k+"="+v)
		}
	}
	// The C library's memory lies in huge pages where there are any: 0 to 3 % less time on
	// nine networks. The program itself is left as the user has it.
	return append(env, marker+"=1", "GOTRACEBACK=none", "GOGC=50", "GLIBC_TUNABLES=glibc.malloc.hugetlb=1")
}

// alive says whether the worker is there, and was not killed.
func (p *process) alive() bool { return !p.gone() && p.why.Load() == nil }

// gone says whether the worker has exited.
func (p *process) gone() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// kill ends the worker; the first reason is what is said.
func (p *process) kill(why error) {
	p.why.CompareAndSwap(nil, &why)
	if !p.gone() {
		_ = p.child.Kill()
	}
}

var (
	errClosed      = errors.New("was closed")
	errInterrupted = errors.New("was interrupted")
)

// end ends the worker and gives back what it holds.
func (p *process) end() {
	p.kill(errClosed)
	<-p.exited
	p.control.close()
	p.lifeline.Close()
}

// watch ends a worker that has more memory than it may: RLIMIT_DATA does not count what it
// shares.
func (p *process) watch() {
	t := time.NewTicker(50 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-p.exited:
			return
		case <-t.C:
			bytes, threads := held(p.child.Pid)
			switch {
			case bytes > p.limits.Memory+overhead:
				p.kill(p.limits.tooMuch())
			case threads > maxThreads:
				p.kill(fmt.Errorf("started more than %d threads", maxThreads))
			}
		}
	}
}

// maxThreads is how many threads a worker may have: the system has no endless number.
const maxThreads = 4096

// held is the memory of a process that is not a file's, with the kernel's tables of it, in
// bytes, and how many threads it has.
func held(pid int) (bytes, threads int64) {
	b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	for line := range strings.Lines(string(b)) {
		name, value, _ := strings.Cut(line, ":")
		n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		switch name {
		case "RssAnon", "RssShmem", "VmPTE":
			bytes += n << 10
		case "Threads":
			threads = n
		}
	}
	return bytes, threads
}

// inherited is a limit that the program has, and its workers too.
func inherited(what int) uint64 {
	var now unix.Rlimit
	if err := unix.Getrlimit(what, &now); err != nil {
		return unix.RLIM_INFINITY
	}
	return now.Cur
}

// outOfTime says whether a worker that exited had the processor time that it was given; the
// kernel counts it in other steps.
func (p *process) outOfTime() bool {
	return (p.state.UserTime() + p.state.SystemTime()).Seconds() >= float64(inherited(unix.RLIMIT_CPU))-.5
}

func (l Limits) tooMuch() error {
	for _, what := range []int{unix.RLIMIT_AS, unix.RLIMIT_DATA} {
		if n := inherited(what); n < uint64(l.Memory) || l.Memory <= 0 && n != unix.RLIM_INFINITY {
			return errors.New("needed more memory than the program was given (ulimit)")
		}
	}
	if l.Memory <= 0 {
		return errors.New("needed more memory than there is")
	}
	return onnx.Remedy(fmt.Errorf("needed more than %s", engine.Bytes(l.Memory)), "isolate.Limits.Memory")
}

// grace is how long a run may take to hear that it is cancelled.
const grace = 500 * time.Millisecond

// guard ends the worker at its limit of time, and when ctx is done: after it was asked to
// stop the run of a session, where it is one, and had time to. Once done has returned it
// ends it no more: what the worker does next is not what took too long.
func (p *process) guard(ctx context.Context, run []byte) (done func()) {
	expire := func() {}
	if p.limits.Time > 0 {
		expire = engine.AfterRunning(p.limits.Time, func() { p.kill(engine.TookLonger(p.limits.Time)) })
	}
	over, ended := make(chan struct{}), make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		if run != nil {
			_ = p.lifeline.SetWriteDeadline(time.Now().Add(grace)) // it may have filled the pipe
			_, _ = p.lifeline.Write(run)
			select {
			case <-over:
				return
			case <-time.After(grace):
			}
		}
		p.kill(errInterrupted)
	})
	return func() {
		close(over)
		if !stop() {
			<-ended
		}
		expire()
	}
}

// cancellation names a run on the lifeline.
func cancellation(session, run uint32) []byte {
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, session), run)
}

// exchange sends a frame and gives the answer.
func (p *process) exchange(l *link, kind byte, body []byte, fds ...int) (frame, error) {
	if err := l.send(kind, body, fds...); err != nil {
		return frame{}, err
	}
	f, err := l.recv()
	if len(f.fds) > 0 { // a worker has none to give
		f.close()
		err = errProtocol
	}
	return f, err
}

// ask asks on the control socket. doing is what the worker does meanwhile.
func (p *process) ask(ctx context.Context, doing engine.LostError, kind byte, body []byte, fds ...int) (ready, error) {
	var r ready
	if err := ctx.Err(); err != nil {
		return r, err
	}
	done := p.guard(ctx, nil)
	f, err := p.exchange(&p.control, kind, body, fds...)
	done()
	if why := p.why.Load(); err == nil && why != nil { // it answered just before
		err = *why
	}
	if err != nil {
		return r, p.lost(ctx, err, doing)
	}
	switch f.kind {
	case frameOK:
		if json.Unmarshal(f.body, &r) == nil {
			return r, nil
		}
	case frameFailed:
		return r, p.failed(ctx, f.body, doing)
	}
	return r, p.lost(ctx, errProtocol, doing)
}

// lost says why the worker is no more, or ends it where it says what it should not. doing
// is what is known already.
func (p *process) lost(ctx context.Context, err error, doing engine.LostError) error {
	if errors.Is(err, errProtocol) {
		p.kill(errProtocol)
	}
	select {
	case <-p.exited:
	case <-time.After(time.Second):
		p.kill(errors.New("does not answer"))
		<-p.exited
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	status, _ := p.state.Sys().(syscall.WaitStatus)
	switch why := p.why.Load(); {
	case why != nil:
		doing.Why = *why
	case wantsMemory(p.said.String()):
		doing.Why = p.limits.tooMuch()
	case status.Signaled() && status.Signal() == syscall.SIGKILL && p.outOfTime():
		doing.Why = errors.New("used up the processor time that the program was given (ulimit)")
	case status.Signaled() && status.Signal() == syscall.SIGKILL:
		doing.Why = errors.New("was killed (SIGKILL), most likely by the system for want of memory,")
	case status.Signaled():
		doing.Signal = cmp.Or(unix.SignalName(status.Signal()), status.Signal().String())
	default:
		doing.Why = fmt.Errorf("ended with exit status %d%s", status.ExitStatus(), p.said.line())
	}
	return &doing
}

// wantsMemory says whether a text is of a program that got no memory.
func wantsMemory(said string) bool {
	for _, s := range []string{"bad_alloc", "out of memory", "cannot allocate memory", "Cannot allocate memory", "Failed to allocate memory"} {
		if strings.Contains(said, s) {
			return true
		}
	}
	return false
}

// beginning keeps the beginning of what a worker says on standard error.
type beginning struct {
	mu   sync.Mutex
	text []byte
}

func (t *beginning) Write(b []byte) (int, error) {
	const most = 8192
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b[:min(len(b), most-len(t.text))]...)
	return len(b), nil
}

func (t *beginning) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}

// line is the first line after a colon, "" of nothing.
func (t *beginning) line() string {
	first, _, _ := strings.Cut(strings.TrimSpace(t.String()), "\n")
	if first == "" {
		return ""
	}
	return ": " + printable(first[:min(len(first), 200)])
}

// printable is a text of a worker's as one line, without what would do something to a
// terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsPrint(r):
			return r
		case unicode.IsSpace(r):
			return ' '
		}
		return '?'
	}, s)
}
