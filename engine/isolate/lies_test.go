//go:build linux && (amd64 || arm64)

package isolate

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// inside says whether b lies in whole.
func inside(b, whole []byte) bool {
	if len(b) == 0 {
		return true
	}
	first, begin := uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(unsafe.SliceData(whole)))
	return first >= begin && first+uintptr(len(b)) <= begin+uintptr(len(whole))
}

// Whatever a description of tensors says, none lies outside the segment, and none has
// another size than its shape.
func FuzzDescription(f *testing.F) {
	good := []*tensor.Tensor{tensor.Of([]float32{1, 2, 3}, 3), tensor.Of([]uint8{}, 0, 7), tensor.Of([]int64{5}, 1, 1)}
	segment := make([]byte, 1<<10)
	f.Add(put(nil, segment, good))
	f.Add(put(nil, segment, nil))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Add([]byte{1, 1, 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 2, 4, 0})
	f.Add([]byte{1, 1, 2, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40, 4, 0})
	f.Fuzz(func(t *testing.T, body []byte) {
		ts, rest, err := get(body, segment, func(i int, d tensor.DType, shape []int, b []byte) (*tensor.Tensor, error) {
			if !inside(b, segment) {
				t.Fatalf("tensor %d: bytes outside the segment", i)
			}
			return alias(d, shape, b)
		})
		if err != nil {
			return
		}
		for i, u := range ts {
			if n := tensor.Count(u.Shape); n != u.Len() || len(bytesOf(u)) > len(segment) {
				t.Fatalf("tensor %d: shape %v, %d elements", i, u.Shape, u.Len())
			}
		}
		if again, more, err := get(append(put(nil, make([]byte, need(ts)), ts), rest...), segment[:min(need(ts), len(segment))], keep); err == nil {
			if len(again) != len(ts) || len(more) != len(rest) {
				t.Fatal("what was read is written otherwise")
			}
		}
	})
}

func keep(_ int, d tensor.DType, shape []int, b []byte) (*tensor.Tensor, error) {
	return alias(d, shape, b)
}

// A worker may say anything at any time: the program takes what is sound and gives the run
// up otherwise. It takes no descriptor, keeps none, and reads nothing outside the segments.
func FuzzWorkerLies(f *testing.F) {
	frame := func(kind byte, body ...byte) []byte {
		return append(binary.LittleEndian.AppendUint32(nil, uint32(len(body))), append([]byte{kind, 0, 0, 0}, body...)...)
	}
	answer := put(nil, make([]byte, 64), []*tensor.Tensor{tensor.Of([]float32{1, 2}, 2)})
	f.Add(frame(frameGrow, 64, 0, 0, 0, 0, 0, 0, 0), frame(frameOut, answer...))
	f.Add(frame(frameGrow, 64, 0, 0, 0, 0, 0, 0, 0), frame(frameOut, append(answer, "a note"...)...))
	f.Add(frame(frameOut, answer...), []byte{})
	f.Add(frame(frameGrow, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), []byte{})
	f.Add(frame(frameFailed, []byte(`{"Text":"no","Nodes":[["a","b"]],"Remedies":[{"Text":"x","Options":["y"]}]}`)...), []byte{})
	f.Add(frame(frameFailed, []byte(`{"Text":"no","Unavailable":null,"Cancelled":true}`)...), []byte{1, 2, 3})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 'T', 9, 0, 0}, []byte{})
	f.Add([]byte{4, 0, 0, 0, 'T', 1, 0, 0, 1, 2, 3, 4}, []byte{})
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		f.Skip(err)
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		ours, theirs, err := pair()
		if err != nil {
			t.Fatal(err)
		}
		_, lifeline, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer lifeline.Close()
		exited := make(chan struct{})
		close(exited)
		p := &process{limits: Limits{Memory: 1 << 20}, lifeline: lifeline, exited: exited, state: dead.ProcessState}
		ports := []engine.Port{{Name: "x", DType: tensor.Float32, Shape: []int{-1}}}
		s := &session{ready: ready{In: ports, Out: ports}, p: p, link: link{fd: ours}, n: &network{b: &Backend{}}}
		s.spare.Keep(1)
		defer s.leave()
		go func() {
			liar := link{fd: theirs}
			defer liar.close()
			said := append(append([]byte{}, first...), second...)
			for len(said) > 0 {
				n, err := unix.SendmsgN(theirs, said, nil, nil, unix.MSG_NOSIGNAL)
				if err != nil {
					return
				}
				said = said[n:]
			}
			_ = unix.Shutdown(theirs, unix.SHUT_WR)
			for {
				f, err := liar.recv()
				f.close()
				if err != nil {
					return
				}
			}
		}()
		out, err := s.evaluate(context.Background(), []*tensor.Tensor{tensor.Of([]float32{1, 2}, 2)})
		if err == nil && (len(out) != 1 || out[0].DType != tensor.Float32 || out[0].Len() != tensor.Count(out[0].Shape)) {
			t.Fatalf("it was believed: %v", out)
		}
	})
}

// A frame's descriptors are those that came, or none.
func TestFrames(t *testing.T) {
	a, b, err := pair()
	if err != nil {
		t.Fatal(err)
	}
	from, to := link{fd: a}, link{fd: b}
	defer from.close()
	defer to.close()
	file, err := inMemory("test", []byte("content"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	large := make([]byte, 1<<20)
	large[len(large)-1] = 7
	go func() {
		_ = from.send('X', nil)
		_ = from.send('Y', large, int(file.Fd()))
		_ = from.send('Z', []byte{1}, int(file.Fd()), int(file.Fd()))
	}()
	for _, want := range []struct {
		kind    byte
		n, came int
	}{{'X', 0, 0}, {'Y', len(large), 1}, {'Z', 1, 2}} {
		f, err := to.recv()
		if err != nil || f.kind != want.kind || len(f.body) != want.n || len(f.fds) != want.came {
			t.Fatalf("got %c, %d bytes, %d descriptors, %v; want %v", f.kind, len(f.body), len(f.fds), err, want)
		}
		f.close()
	}
	if err := from.send('X', make([]byte, maxFrame+1)); err == nil {
		t.Error("a frame beyond the bound was sent")
	}
}

// A segment can be neither cut nor grown by whoever has its descriptor.
func TestSegmentsAreSealed(t *testing.T) {
	s, err := newSegment(100)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for _, n := range []int64{0, 1, 1 << 30} {
		if err := unix.Ftruncate(int(s.file.Fd()), n); err == nil {
			t.Errorf("it was given %d bytes", n)
		}
	}
	if _, err := newSegment(1 << 62); err == nil {
		t.Error("a segment of 4 EiB")
	}
	f, err := inMemory("test", []byte("content"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("c"), 0); err == nil {
		t.Error("the model was written to")
	}
	if err := f.Truncate(1 << 20); err == nil {
		t.Error("the model has grown")
	}
}

// A worker is given no second segment that is not larger than its first.
func TestGrowingHasAnEnd(t *testing.T) {
	s := &session{p: &process{limits: Limits{Memory: 1 << 30}, exited: make(chan struct{})}, link: link{fd: -1}}
	close(s.p.exited)
	ask := func(n uint64) int {
		_, err := s.grow(binary.LittleEndian.AppendUint64(nil, n))
		if errors.Is(err, errProtocol) {
			return 0
		}
		return len(s.out.bytes())
	}
	defer s.leave()
	for _, want := range []struct {
		n    uint64
		size int
	}{{1 << 20, 1 << 20}, {1 << 20, 0}, {1, 0}, {1<<20 + 1, 1 << 21}, {1 << 30, 1 << 30}, {1<<30 + 1, 0}} {
		if got := ask(want.n); got != want.size {
			t.Errorf("asked for %d bytes: got %d, want %d", want.n, got, want.size)
		}
	}
}

// A refusal of as many nodes as a frame holds is looked up in a large model in no time.
func TestManyRefusedNodes(t *testing.T) {
	g := &onnx.Graph{}
	for k := range 20_000 {
		g.Nodes = append(g.Nodes, &onnx.Node{Name: "n", Op: strconv.Itoa(k)})
	}
	start := time.Now()
	err := named(&remote{nodes: make([][2]string, 500_000)}, "evil", &onnx.Model{Graph: g})
	if took := time.Since(start); err == nil || took > 10*time.Second {
		t.Errorf("%v after %v", err, took)
	}
}

// What a worker says of its session is held against the model.
func TestPortsAreChecked(t *testing.T) {
	value := func(name string) *onnx.Value { return onnx.NewValue(name, tensor.Float32, nil) }
	m := &onnx.Model{Graph: &onnx.Graph{Inputs: []*onnx.Value{value("x"), value("w")}, Outputs: []*onnx.Value{value("y")}}}
	port := func(name string, shape ...int) engine.Port {
		return engine.Port{Name: name, DType: tensor.Float32, Shape: shape}
	}
	good := ready{In: []engine.Port{port("x", -1, 4)}, Out: []engine.Port{port("y")}}
	if err := good.check(names(m.Graph.Inputs), names(m.Graph.Outputs)); err != nil {
		t.Error(err)
	}
	text := port("y")
	text.DType = tensor.String
	for _, r := range []ready{
		{}, {Out: []engine.Port{port("z")}}, {Out: []engine.Port{port("y"), port("y")}}, {Out: []engine.Port{port("y", -2)}}, {Out: []engine.Port{text}},
		{Out: []engine.Port{port("y", make([]int, maxRank+1)...)}}, {In: []engine.Port{port("v")}, Out: good.Out},
		{In: []engine.Port{port("x"), port("x")}, Out: good.Out},
	} {
		if err := r.check(names(m.Graph.Inputs), names(m.Graph.Outputs)); err == nil {
			t.Errorf("believed: %+v", r)
		}
	}
}
