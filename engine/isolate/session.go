//go:build linux && (amd64 || arm64)

package isolate

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/internal/spare"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// workers is what a Backend knows of its workers.
type workers struct {
	mu     sync.Mutex
	idle   *process // that has the library loaded, for the next model
	loaded ready    // version and path of the library, once one was
}

func (w *workers) version() string { return w.library().Version }

func (w *workers) library() ready {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.loaded
}

// idleFor is how long a worker waits for a model.
const idleFor = 10 * time.Second

// available starts a worker that loads the library, and waits for a model.
func (b *Backend) available(o engine.Options) error {
	if err := b.possible(o); err != nil {
		return err
	}
	body, err := json.Marshal(request{Backend: b.Name(), Options: o})
	if err != nil {
		return err
	}
	p, err := b.start()
	if err != nil {
		return b.cannot(err)
	}
	r, err := p.ask(context.Background(), engine.LostError{Engine: b.product(), Doing: "loaded its library"}, frameProbe, body)
	if err != nil {
		p.end()
		return err
	}
	b.mu.Lock()
	before := b.idle
	b.idle, b.loaded = p, r
	b.mu.Unlock()
	if before != nil {
		before.end()
	}
	time.AfterFunc(idleFor, func() {
		if b.take(p) == p {
			p.end()
		}
	})
	return nil
}

// take is the idle worker: that one, or any for nil. It is nil where there is none.
func (b *Backend) take(that *process) *process {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.idle; that == nil || that == p {
		b.idle = nil
		return p
	}
	return nil
}

// possible says whether a worker can do what it is wanted for.
func (b *Backend) possible(o engine.Options) error {
	if o.Device.Kind == "cuda" {
		return b.unavailable("a GPU's driver needs files and calls that a worker is kept from")
	}
	if missing := Missing(); b.Strict && missing != "" {
		return b.unavailable(missing)
	}
	return nil
}

// network is a prepared model: what a worker needs to prepare it, and the worker that has.
type network struct {
	b       *Backend
	in, out []string         // names of the model's inputs and outputs
	about   engine.LostError // what is said of a worker that is lost
	request []byte
	proto   *os.File
	weights *os.File // nil, or the model's file
	beside  []string // paths of external data
	stamp   string   // of that, when it was read first

	mu    sync.Mutex
	p     *process
	ready ready
	users int    // sessions that are not closed
	last  uint32 // number of a session
}

func (b *Backend) prepare(ctx context.Context, m *onnx.Model, o engine.Options) (engine.Session, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := b.possible(o); err != nil {
		return nil, err
	}
	proto, weights, err := m.Send()
	if err != nil {
		return nil, fmt.Errorf("preparing the model for %s: %w", b.Name(), err)
	}
	n := &network{b: b, in: names(m.Graph.Inputs), out: names(m.Graph.Outputs), weights: weights,
		about: engine.LostError{Engine: b.product(), Model: m.Path}}
	q := request{Backend: b.Name(), Options: o, Memory: b.Limits.Memory, Links: m.AllowsLinks()}
	if m.HasExternal() {
		if q.Dir, err = filepath.Abs(m.Dir); err != nil {
			return nil, fmt.Errorf("preparing the model for %s: %w", b.Name(), err)
		}
		q.Files = resolved(q.Dir, m.ExternalFiles())
		n.beside, n.stamp = q.Files, stampOf(q.Files)
	}
	if n.request, err = json.Marshal(q); err != nil {
		return nil, err
	}
	if n.proto, err = inMemory("onnxprobe-model", proto); err != nil {
		return nil, b.cannot(fmt.Errorf("sharing the model with a worker process: %w", err))
	}
	s, err := n.session(ctx)
	if err != nil {
		n.proto.Close()
		return nil, named(err, b.Name(), m)
	}
	if n.ready.Shares {
		return sharer{s}, nil
	}
	return s, nil
}

func names(values []*onnx.Value) (all []string) {
	for _, v := range values {
		all = append(all, v.Name)
	}
	return all
}

// resolved are the names of files in dir, and what links among them lead to.
func resolved(dir string, names []string) (paths []string) {
	for _, name := range names {
		p := filepath.Join(dir, filepath.FromSlash(name))
		paths = append(paths, p)
		if real, err := filepath.EvalSymlinks(p); err == nil && real != p {
			paths = append(paths, real)
		}
	}
	return paths
}

// stampOf tells files from others that have their names later.
func stampOf(paths []string) string {
	var b strings.Builder
	for _, p := range paths {
		var st unix.Stat_t
		err := unix.Stat(p, &st)
		fmt.Fprintln(&b, p, err, st.Dev, st.Ino, st.Size, st.Mtim)
	}
	return b.String()
}

// unchanged reports external data that is not what it was at first: a worker that follows
// another would have other weights.
func (n *network) unchanged() error {
	if stampOf(n.beside) == n.stamp {
		return nil
	}
	lost := n.doing("prepared the model")
	lost.Why = errors.New("found other external data than at first, which changed meanwhile,")
	return &lost
}

func (n *network) doing(what string) engine.LostError {
	e := n.about
	e.Doing = what
	return e
}

// live is the worker, started once more where it was lost. n.mu is held.
func (n *network) live(ctx context.Context) (*process, error) {
	if n.p != nil && n.p.alive() {
		return n.p, nil
	}
	if n.p != nil {
		n.p.end()
		n.p = nil
	}
	if err := n.unchanged(); err != nil {
		return nil, err
	}
	p := n.b.take(nil)
	if p != nil && !p.alive() {
		p.end()
		p = nil
	}
	if p == nil {
		var err error
		if p, err = n.b.start(); err != nil {
			return nil, n.b.cannot(err)
		}
	}
	fds := []int{int(n.proto.Fd())}
	if n.weights != nil {
		fds = append(fds, int(n.weights.Fd()))
	}
	r, err := p.ask(ctx, n.doing("prepared the model"), frameLoad, n.request, fds...)
	if err == nil && r.check(n.in, n.out) != nil {
		err = p.lost(ctx, errProtocol, n.doing("prepared the model"))
	}
	if err == nil {
		err = n.unchanged()
	}
	if err != nil {
		p.end()
		return nil, err
	}
	n.p, n.ready = p, r
	return p, nil
}

// join gives s a socket of the worker, where it has none yet or another was lost.
func (n *network) join(ctx context.Context, s *session) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	p, err := n.live(ctx)
	if err != nil || p == s.p {
		return err
	}
	s.leave()
	ours, theirs, err := pair()
	if err != nil {
		return fmt.Errorf("running a model: %w", err)
	}
	n.last++
	_, err = p.ask(ctx, n.doing("prepared the model"), frameJoin, binary.LittleEndian.AppendUint32(nil, n.last), theirs)
	unix.Close(theirs)
	if err != nil {
		unix.Close(ours)
		return err
	}
	s.p, s.link, s.number, s.run = p, link{fd: ours}, n.last, 0
	return nil
}

// session is one more session of n.
func (n *network) session(ctx context.Context) (*session, error) {
	s := &session{n: n, link: link{fd: -1}}
	if err := n.join(ctx, s); err != nil {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.users == 0 && n.p != nil {
			n.p.end()
			n.p = nil
		}
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.users++
	s.ready = n.ready
	s.spare.Keep(len(s.Out))
	return s, nil
}

// session is a session of a network. Inputs and outputs go through two segments.
type session struct {
	ready
	n       *network // nil after Close
	p       *process // that the link leads to
	link    link
	number  uint32
	run     uint32
	in, out *segment
	note    string
	spare   spare.Outputs
}

// Inputs and Outputs are part of engine.Session.
func (s *session) Inputs() []engine.Port  { return clone(s.In) }
func (s *session) Outputs() []engine.Port { return clone(s.Out) }

func clone(ports []engine.Port) []engine.Port {
	out := slices.Clone(ports)
	for i := range out {
		out[i].Shape = slices.Clone(out[i].Shape)
	}
	return out
}

// OnCPU is part of engine.Placer, and Note of engine.Noter.
func (s *session) OnCPU() []string { return s.ready.OnCPU }
func (s *session) Note() string    { return s.note }

// sharer is a session of a backend whose sessions are engine.Sharers.
type sharer struct{ *session }

// Share is part of engine.Sharer: the session that it gives has the same worker, which
// holds one copy of the weights.
func (s sharer) Share() (engine.Session, error) {
	if s.n == nil {
		return nil, errors.New("sharing a model: the session is closed")
	}
	t, err := s.n.session(context.Background())
	if err != nil {
		return nil, err
	}
	return sharer{t}, nil
}

// leave gives up what belongs to one worker.
func (s *session) leave() {
	s.link.close()
	s.in.close()
	s.out.close()
	s.in, s.out, s.p = nil, nil, nil
}

// Close ends the worker after its last session. A second Close does nothing.
func (s *session) Close() error {
	if s.n == nil {
		return nil
	}
	s.leave()
	n := s.n
	s.n = nil
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.users--; n.users == 0 {
		if n.p != nil {
			n.p.end()
		}
		return n.proto.Close()
	}
	return nil
}

// Run is part of engine.Session. A worker that is lost meanwhile is an *engine.LostError;
// the next Run starts another.
func (s *session) Run(ctx context.Context, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	if s.n == nil {
		return nil, errors.New("running a model: the session is closed")
	}
	if err := engine.CheckInputs(s.In, in); err != nil {
		return nil, fmt.Errorf("running a model on %s: %w", s.n.b.Name(), err)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := s.n.join(ctx, s); err != nil {
		return nil, err
	}
	return s.evaluate(ctx, in)
}

// evaluate runs the model in the worker.
func (s *session) evaluate(ctx context.Context, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	doing := s.n.doing("ran the model")
	fds, err := s.room(need(in))
	if err != nil {
		return nil, err
	}
	s.run++
	done := s.p.guard(ctx, cancellation(s.number, s.run))
	body := put(binary.AppendUvarint(nil, uint64(s.run)), s.in.bytes(), in)
	f, err := s.p.exchange(&s.link, frameRun, body, fds...)
	if err == nil && f.kind == frameGrow {
		f, err = s.grow(f.body)
	}
	done()
	switch {
	case err != nil:
		return nil, s.p.lost(ctx, err, doing)
	case f.kind == frameFailed:
		return nil, s.p.failed(ctx, f.body, doing)
	case f.kind != frameOut:
		return nil, s.p.lost(ctx, errProtocol, doing)
	}
	out, note, err := get(f.body, s.out.bytes(), s.take)
	if err == nil && (len(out) != len(s.Out) || len(note) > maxNote) {
		err = errProtocol
	}
	if errors.Is(err, errProtocol) {
		err = s.p.lost(ctx, err, doing)
	}
	if err != nil {
		return nil, err
	}
	s.note = printable(string(note))
	return out, nil
}

// maxNote is the longest note that is taken.
const maxNote = 1 << 12

// room makes the input segment large enough, and gives its descriptor where it is new.
func (s *session) room(n int) (fds []int, err error) {
	if s.in != nil && len(s.in.data) >= n {
		return nil, nil
	}
	s.in.close()
	if s.in, err = newSegment(n); err != nil {
		s.in = nil
		return nil, err
	}
	return []int{int(s.in.file.Fd())}, nil
}

// grow gives the worker an output segment of the size that it asks for.
func (s *session) grow(body []byte) (frame, error) {
	if len(body) != 8 {
		return frame{}, errProtocol
	}
	n, had := binary.LittleEndian.Uint64(body), uint64(len(s.out.bytes()))
	if s.out != nil && n <= had {
		return frame{}, errProtocol
	}
	if most := s.p.limits.Memory; most > 0 && n > uint64(most) || n > 1<<62 {
		s.p.kill(s.p.limits.tooMuch())
		return frame{}, errProtocol
	}
	// Twice as much at least, so that all that a worker was ever given, and may have kept, is
	// less than twice the last: what no one has written to takes no memory.
	n = max(n, 2*had)
	s.out.close()
	var err error
	if s.out, err = newSegment(int(n)); err != nil {
		s.out = nil
		s.p.kill(err)
		return frame{}, errProtocol
	}
	return s.p.exchange(&s.link, frameSpace, nil, int(s.out.file.Fd()))
}

// take copies one output: nothing that the worker does later changes it.
func (s *session) take(i int, d tensor.DType, shape []int, b []byte) (*tensor.Tensor, error) {
	if i >= len(s.Out) || d != s.Out[i].DType {
		return nil, errProtocol
	}
	t, err := s.spare.Take(i, d, shape)
	if err != nil {
		return nil, fmt.Errorf("running a model: output %q: %w", s.Out[i].Name, err)
	}
	dst := bytesOf(t)
	if copy(dst, b) != len(dst) || len(dst) != len(b) {
		return nil, errProtocol
	}
	if d == tensor.Bool {
		for k, v := range dst { // Go has no other truth than 1
			dst[k] = min(v, 1)
		}
	}
	return t, nil
}

// Recycle is part of engine.Recycler.
func (s *session) Recycle(out []*tensor.Tensor) { s.spare.Give(out) }
