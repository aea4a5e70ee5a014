// Package engine says what a backend is: something that runs an ONNX model. It
// holds no implementation. Backends know nothing of probes; a probed model is
// an ordinary ONNX model to them.
package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Backend runs models in one particular way. Several goroutines may use one.
type Backend interface {
	// Name is what users ask for it by.
	Name() string
	// Version is the version of the library behind the backend, or "" when it is
	// not available.
	Version() string
	// Available is nil when the backend can run here with these options, and
	// otherwise an *UnavailableError that says what is missing and how to
	// provide it.
	Available(Options) error
	// Prepare readies m. It returns an *UnavailableError when the backend or the
	// device cannot be had, and an *UnsupportedError naming every node it cannot
	// run; it never falls back to something else on its own. A cancelled context
	// ends it early, where the backend can, with the context's error; the session
	// does not depend on the context.
	Prepare(ctx context.Context, m *onnx.Model, o Options) (Session, error)
}

// Session is a model made ready to run. A Session is used by one goroutine at
// a time.
type Session interface {
	// Inputs and Outputs list the model's own, in its order. An unknown
	// dimension is -1.
	Inputs() []Port
	Outputs() []Port
	// Run evaluates the model. Inputs are in the model's order and are only
	// read; outputs are in the model's order and are the caller's to keep. A
	// cancelled context ends the run early with the context's error.
	Run(ctx context.Context, in []*tensor.Tensor) ([]*tensor.Tensor, error)
	// Close releases what the session holds.
	Close() error
}

// Port is one input or output of a session. In Shape an unknown dimension is -1;
// a nil Shape is an unknown rank, an empty one a scalar.
type Port struct {
	Name  string
	DType tensor.DType
	Shape []int
}

// Device is where a session runs: "cpu", or "cuda" with an index.
type Device struct {
	Kind  string
	Index int
}

// ParseDevice reads "cpu", "cuda" or "cuda:N".
func ParseDevice(s string) (Device, error) {
	kind, index, has := strings.Cut(s, ":")
	d := Device{Kind: kind}
	if has {
		if _, err := fmt.Sscanf(index, "%d", &d.Index); err != nil || d.Index < 0 || fmt.Sprint(d.Index) != index {
			return d, fmt.Errorf("reading device %q: %q is not a device number; write cpu, cuda or cuda:N", s, index)
		}
	}
	if kind != "cuda" && (kind != "cpu" || has) {
		return d, fmt.Errorf("reading device %q: the devices are cpu, cuda and cuda:N", s)
	}
	return d, nil
}

// MaxDevices bounds the list that ParseDevices reads.
const MaxDevices = 64

// ParseDevices reads devices of one kind separated by commas, each as ParseDevice does;
// "cuda:all" is as many as gpus counts, whose error it returns. A device may be repeated,
// for several runs there at once.
func ParseDevices(s string, gpus func() (int, error)) ([]Device, error) {
	if s == "cuda:all" {
		n, err := gpus()
		if err != nil {
			return nil, err
		}
		all := make([]Device, min(n, MaxDevices))
		for i := range all {
			all[i] = Device{"cuda", i}
		}
		return all, nil
	}
	var all []Device
	for part := range strings.SplitSeq(s, ",") {
		d, err := ParseDevice(part)
		switch {
		case err != nil:
			return nil, err
		case len(all) == MaxDevices:
			return nil, fmt.Errorf("reading devices: there are more than %d", MaxDevices)
		case len(all) > 0 && d.Kind != all[0].Kind:
			return nil, fmt.Errorf("reading devices %q: %s and %s are not of one kind, and round differently", s, all[0], d)
		}
		all = append(all, d)
	}
	return all, nil
}

// String is what ParseDevice reads.
func (d Device) String() string {
	if d.Kind == "cuda" {
		return fmt.Sprintf("cuda:%d", d.Index)
	}
	return "cpu"
}

// Options are the settings of a session. The zero value is the backend's default, on
// the CPU. What a backend cannot do is an error of Prepare; Library and NoArena are
// nothing to a backend without a library or an arena. The fields from AllowTF32 on are of
// the device cuda; each is an error on the CPU, see CheckGPU.
type Options struct {
	// Threads bounds the threads of one Run; 0 takes the backend's default, all
	// cores.
	Threads int
	// Device is where to run; the zero value is the CPU.
	Device Device
	// Library is the path of the native library, for a backend that has one;
	// "" looks in the usual places.
	Library string
	// NoArena gives memory back between runs instead of keeping it pooled, and leaves
	// external weights in their file, mapped, instead of copying them into the order
	// that kernels like: slower, for machines short of memory.
	NoArena bool
	// Optimize is the level of graph optimisation: "" (all), "extended",
	// "basic" or "none". A lower level is a way to see whether fusion changes a
	// number.
	Optimize string

	// AllowRandom runs a model that gives an item other numbers every time; see
	// CheckRandom. Backends do not ask.
	AllowRandom bool

	// MaxMemory bounds, in bytes, each value of a run whose shape is known before, and
	// its outputs together; 0 leaves them open. See CheckMemory. Backends do not ask.
	MaxMemory int64

	// Watch is told how long the engine takes in the program; nil is nothing.
	Watch *Watchdog `json:"-"`

	// AllowTF32 lets the GPU round the factors of products and convolutions to TF32,
	// 10 bits after the point: faster, and other bits than those of float32.
	AllowTF32 bool
	// Tune is how the algorithm of a convolution is chosen: "" or "heuristic" by a
	// rule, once for a shape; "default" takes the same one always; "exhaustive" tries
	// them all, which is the fastest afterwards and may choose, hence round,
	// differently each time.
	Tune string
	// MemoryLimit bounds, in bytes, the device memory that the session keeps for its
	// values and weights; 0 leaves it open. What the GPU's libraries take for
	// themselves comes on top.
	MemoryLimit int64
	// CUDAGraph records a run over inputs of one shape and replays it, which saves
	// the launching of its kernels. Every node must run on the GPU; runs over other
	// shapes are as without.
	CUDAGraph bool
	// Fallback lets nodes that the device has no kernel for run on the CPU; without
	// it they are an error. The session says which they are: see Placer.
	Fallback bool
}

// Tunes are the values of Options.Tune.
var Tunes = []string{"", "heuristic", "default", "exhaustive"}

// CheckGPU reports settings of a GPU that are wrong, and all of them where the
// device is not one.
func (o Options) CheckGPU() error {
	switch given := o.gpu(); {
	case o.Device.Kind != "cuda" && len(given) > 0:
		return fmt.Errorf("%s: only the device cuda has this, and the device is %s", strings.Join(given, ", "), o.Device)
	case !slices.Contains(Tunes, o.Tune):
		return fmt.Errorf("no way to tune is called %q; the choices are heuristic, default and exhaustive", o.Tune)
	case o.MemoryLimit < 0:
		return fmt.Errorf("got a limit of %d bytes of device memory; want 0 for none, or more", o.MemoryLimit)
	case o.CUDAGraph && o.Fallback:
		return errors.New("a CUDA graph holds nodes of the GPU alone, so none can be allowed on the CPU: take one of the two")
	}
	return nil
}

// gpu names the settings of a GPU that are not at their zero value.
func (o Options) gpu() (given []string) {
	for _, s := range []struct {
		name string
		set  bool
	}{{"TF32", o.AllowTF32}, {"a way to tune", o.Tune != ""}, {"a limit of device memory", o.MemoryLimit != 0},
		{"a CUDA graph", o.CUDAGraph}, {"nodes on the CPU", o.Fallback}} {
		if s.set {
			given = append(given, s.name)
		}
	}
	return given
}

// Sharer is a Session whose model several goroutines may run at once.
type Sharer interface {
	// Share is another session of the same prepared model. They hold one copy of its
	// weights between them, each run has memory for its own values, and the numbers are
	// those of one session. Each is closed by itself, in any order. It is an error
	// where runs must be one at a time, as those of a CUDA graph.
	Share() (Session, error)
}

// CheckRandom reports a model that draws random numbers, or is in training mode, unless
// AllowRandom allows it. Whoever makes numbers by it that should be an item's own asks
// before it is prepared.
func (o Options) CheckRandom(m *onnx.Model) error {
	if nodes := m.RandomNodes(); len(nodes) > 0 && !o.AllowRandom {
		err := fmt.Errorf("%s; export it for inference (model.eval() in PyTorch), or allow it", RandomNote(nodes))
		return onnx.Remedy(err, "engine.Options.AllowRandom")
	}
	return nil
}

// RandomNote says what onnx.Model.RandomNodes found, "" of none.
func RandomNote(nodes []*onnx.Node) string {
	if len(nodes) == 0 {
		return ""
	}
	var names []string
	for _, n := range nodes[:min(5, len(nodes))] {
		names = append(names, n.String())
	}
	if n := len(nodes) - len(names); n > 0 {
		names = append(names, fmt.Sprintf("and %d more", n))
	}
	return fmt.Sprintf("the model draws random numbers or is in training mode, so that an item has other numbers in every run: %s", strings.Join(names, ", "))
}

// Recycler is a Session that can write into outputs of runs before.
type Recycler interface {
	// Recycle gives the outputs of a Run back. Neither they nor their data may be used
	// afterwards. It may be called while another Run goes on, by another goroutine.
	Recycle(out []*tensor.Tensor)
}

// Noter is a Session that may do something otherwise than it was asked to.
type Noter interface {
	// Note says what, and why; "" is nothing so far. It is not called during a Run.
	Note() string
}

// Placer is a Session that can tell where its nodes run.
type Placer interface {
	// OnCPU names the nodes, each with its operator, that run on the CPU although
	// the session's device is another one; nil when there are none. Nodes have the
	// names that the backend's own optimisation left or gave them.
	OnCPU() []string
}

// Namer is a Backend that knows what devices are called.
type Namer interface {
	// DeviceName is the product's name of a device, such as "NVIDIA H100 80GB HBM3",
	// "" where it is not known.
	DeviceName(Device) string
}

// Library is a shared library that a backend has loaded.
type Library struct {
	Path string // absolute
	From string // the rule by which it was found; "" where it is as it should be and needs no word
	// Passed are those that the rules gave before it, each with why it was not taken.
	Passed []string
}

// Librarian is a Backend that loads a library.
type Librarian interface {
	// Library is the one in use, the zero value before one is.
	Library() Library
}

// UnavailableError says that a backend or device cannot be used on this
// machine, and what to do about it.
type UnavailableError struct {
	Backend string
	Reason  string // what is missing
	Remedy  string // how to provide it
	// Options are the names of what Remedy is about, as in an onnx.RemedyError.
	Options []string
}

func (e *UnavailableError) Error() string {
	s := fmt.Sprintf("backend %s is not available: %s", e.Backend, e.Reason)
	if e.Remedy != "" {
		s += "; " + e.Remedy
	}
	return s
}

// RemedyOptions is Options.
func (e *UnavailableError) RemedyOptions() []string { return e.Options }

// UnsupportedError lists every node that a backend cannot run.
type UnsupportedError struct {
	Backend string
	Nodes   []*onnx.Node
	// Why says for each node, by its place, what of it is not supported; "" or a
	// list that is too short say that it is the operator itself.
	Why []string
}

func (e *UnsupportedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "backend %s cannot run %d node(s):", e.Backend, len(e.Nodes))
	for i, n := range e.Nodes {
		if i == 20 {
			fmt.Fprintf(&b, " and %d more", len(e.Nodes)-i)
			break
		}
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, " %s", n)
		if i < len(e.Why) && e.Why[i] != "" {
			fmt.Fprintf(&b, " (%s)", e.Why[i])
		}
	}
	return b.String()
}
