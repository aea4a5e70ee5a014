//go:build linux && (amd64 || arm64)

package isolate

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/internal/scratch"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Descriptors that a worker begins with.
const (
	controlFD  = 3
	lifelineFD = 4
)

// Main is the whole program in a worker process, and returns at once elsewhere. The program
// calls it before anything else, with the backends that it isolates, as they are by
// themselves.
func Main(backends ...engine.Backend) {
	if os.Getenv(marker) == "" {
		return
	}
	w := &worker{control: link{fd: controlFD}, backends: backends, sessions: map[uint32]*served{}}
	if err := w.serve(); err != nil && err != io.EOF {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitBroken)
	}
	os.Exit(0)
}

// exitBroken is how a worker ends to which the program does not speak as it should.
const exitBroken = 70

type worker struct {
	control  link
	backends []engine.Backend
	first    engine.Session // of the model, until it is joined
	model    engine.Session

	mu       sync.Mutex
	sessions map[uint32]*served
}

// closeOthers closes what the program inherited and has handed on.
func closeOthers() error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd <= lifelineFD {
			continue
		}
		// Those without a file behind are Go's own.
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && !strings.HasPrefix(to, "anon_inode:") {
			unix.Close(fd)
		}
	}
	return nil
}

func (w *worker) serve() error {
	if err := errors.Join(closeOthers(), early()); err != nil {
		return err
	}
	go w.live()
	if err := w.control.send(frameHello, nil); err != nil {
		return err
	}
	for {
		f, err := w.control.recv()
		if err != nil {
			return err
		}
		var r ready
		switch f.kind {
		case frameProbe, frameLoad:
			r, err = w.ask(f)
		case frameJoin:
			err = w.join(f)
		default:
			return errProtocol
		}
		if err != nil {
			err = fail(&w.control, err)
		} else {
			err = answer(&w.control, frameOK, r)
		}
		if err != nil {
			return err
		}
	}
}

func answer(l *link, kind byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return l.send(kind, b)
}

func fail(l *link, err error) error { return answer(l, frameFailed, failureOf(err)) }

// live ends the process with the program, also while a library is busy, and cancels runs.
func (w *worker) live() {
	line := os.NewFile(lifelineFD, "lifeline")
	var b [8]byte
	for {
		if _, err := io.ReadFull(line, b[:]); err != nil {
			os.Exit(0)
		}
		w.mu.Lock()
		s := w.sessions[binary.LittleEndian.Uint32(b[:])]
		w.mu.Unlock()
		if s != nil {
			s.stop(binary.LittleEndian.Uint32(b[4:]))
		}
	}
}

// ask says whether a backend is available, and readies a model on it.
func (w *worker) ask(f frame) (r ready, err error) {
	var q request
	if err := json.Unmarshal(f.body, &q); err != nil {
		return r, err
	}
	for _, b := range w.backends {
		if b.Name() != q.Backend {
			continue
		}
		if err := b.Available(q.Options); err != nil {
			return r, err
		}
		r.Version = b.Version()
		if l, ok := b.(engine.Librarian); ok {
			r.Library = l.Library()
		}
		if f.kind == frameLoad {
			err = w.load(b, q, f.fds, &r)
		}
		return r, err
	}
	return r, fmt.Errorf("the worker has no backend %q: the program is to give it to isolate.Main", q.Backend)
}

// load confines the process, then reads the model: in this order.
func (w *worker) load(b engine.Backend, q request, fds []int, r *ready) error {
	if len(fds) == 0 || w.model != nil {
		return errProtocol
	}
	proto, err := openSegment(fds[0], unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return fmt.Errorf("receiving the model: %w", err)
	}
	var weights *os.File
	if len(fds) > 1 {
		weights = os.NewFile(uintptr(fds[1]), "weights")
	}
	fd, err := unix.MemfdCreate("onnxprobe-scratch", unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	scratch.Keep(os.NewFile(uintptr(fd), "scratch"))
	if err := confine(q); err != nil {
		return err
	}
	m, err := onnx.Receive(proto.data, weights, q.Dir, onnx.LoadOptions{AllowLinks: q.Links})
	if err != nil {
		return fmt.Errorf("receiving the model: %w", err)
	}
	if w.model, err = b.Prepare(context.Background(), m, q.Options); err != nil {
		return err
	}
	w.first = w.model
	r.In, r.Out = w.model.Inputs(), w.model.Outputs()
	_, r.Shares = w.model.(engine.Sharer)
	if p, ok := w.model.(engine.Placer); ok {
		r.OnCPU = p.OnCPU()
	}
	return nil
}

// join begins another session, which has a socket and a goroutine of its own.
func (w *worker) join(f frame) error {
	if len(f.fds) != 1 || len(f.body) != 4 || w.model == nil {
		return errProtocol
	}
	s := &served{link: link{fd: f.fds[0]}, session: w.first}
	if w.first = nil; s.session == nil {
		m, ok := w.model.(engine.Sharer)
		if !ok {
			return errProtocol
		}
		var err error
		if s.session, err = m.Share(); err != nil {
			s.link.close()
			return err
		}
	}
	number := binary.LittleEndian.Uint32(f.body)
	w.mu.Lock()
	w.sessions[number] = s
	w.mu.Unlock()
	go func() {
		if err := s.serve(); err != nil && err != io.EOF {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(exitBroken)
		}
		// What the model was made with is kept for those that share it.
		if s.session != w.model {
			s.session.Close()
		}
		s.link.close()
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.sessions, number)
	}()
	return nil
}

// served is a session in the worker.
type served struct {
	link    link
	session engine.Session
	in, out *segment

	mu      sync.Mutex
	run     uint32             // that goes on, 0 for none
	stopped uint32             // the last run that is to be stopped
	cancel  context.CancelFunc // of the run that goes on
}

func (s *served) stop(run uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = max(s.stopped, run)
	if s.run != 0 && s.run <= s.stopped {
		s.cancel()
	}
}

func (s *served) begin(run uint32) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run, s.cancel = run, cancel; run <= s.stopped {
		cancel()
	}
	return ctx
}

func (s *served) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancel()
	s.run = 0
}

func (s *served) serve() error {
	for {
		f, err := s.link.recv()
		if err != nil {
			return err
		}
		if f.kind != frameRun {
			return errProtocol
		}
		if err := s.evaluate(f); err != nil {
			return err
		}
	}
}

func (s *served) evaluate(f frame) error {
	if len(f.fds) > 0 {
		s.in.close()
		var err error
		if s.in, err = openSegment(f.fds[0], unix.PROT_READ, unix.MAP_SHARED); err != nil {
			return err
		}
	}
	run, n := binary.Uvarint(f.body)
	if n <= 0 {
		return errProtocol
	}
	in, _, err := get(f.body[n:], s.in.bytes(), func(_ int, d tensor.DType, shape []int, b []byte) (*tensor.Tensor, error) {
		return alias(d, shape, b)
	})
	if err != nil {
		return err
	}
	out, err := s.session.Run(s.begin(uint32(run)), in)
	s.finish()
	if err != nil {
		return fail(&s.link, err)
	}
	if err := s.room(need(out)); err != nil {
		return err
	}
	body := put(nil, s.out.bytes(), out)
	if n, ok := s.session.(engine.Noter); ok {
		note := n.Note()
		body = append(body, note[:min(len(note), maxNote)]...)
	}
	err = s.link.send(frameOut, body)
	if r, ok := s.session.(engine.Recycler); ok {
		r.Recycle(out)
	}
	return err
}

// room gets an output segment of n bytes at least.
func (s *served) room(n int) error {
	if s.out != nil && len(s.out.data) >= n {
		return nil
	}
	if err := s.link.send(frameGrow, binary.LittleEndian.AppendUint64(nil, uint64(n))); err != nil {
		return err
	}
	f, err := s.link.recv()
	if err != nil {
		return err
	}
	if f.kind != frameSpace || len(f.fds) != 1 {
		return errProtocol
	}
	s.out.close()
	s.out, err = openSegment(f.fds[0], unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	return err
}
