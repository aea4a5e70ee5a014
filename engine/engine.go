// Package engine says what a backend is: something that runs an ONNX model. It
// holds no implementation. Backends know nothing of probes; a probed model is
// an ordinary ONNX model to them.
package engine

import (
	"context"
	"fmt"
	"strings"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Backend runs models in one particular way.
type Backend interface {
	// Name is what --backend takes.
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
	// run; it never falls back to something else on its own.
	Prepare(m *onnx.Model, o Options) (Session, error)
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

// String is what ParseDevice reads.
func (d Device) String() string {
	if d.Kind == "cuda" {
		return fmt.Sprintf("cuda:%d", d.Index)
	}
	return "cpu"
}

// Options are the settings every backend understands. The zero value is the
// backend's default, on the CPU.
type Options struct {
	// Threads bounds the threads of one Run; 0 takes the backend's default, all
	// cores.
	Threads int
	// Device is where to run; the zero value is the CPU.
	Device Device
	// Library is the path of the native library, for a backend that has one;
	// "" looks in the usual places.
	Library string
	// NoArena gives memory back between runs instead of keeping it pooled:
	// slower, for machines short of memory.
	NoArena bool
	// Optimize is the level of graph optimisation: "" (all), "extended",
	// "basic" or "none". A lower level is a way to see whether fusion changes a
	// number.
	Optimize string
}

// UnavailableError says that a backend or device cannot be used on this
// machine, and what to do about it.
type UnavailableError struct {
	Backend string
	Reason  string // what is missing
	Remedy  string // how to provide it
}

func (e *UnavailableError) Error() string {
	s := fmt.Sprintf("backend %s is not available: %s", e.Backend, e.Reason)
	if e.Remedy != "" {
		s += "; " + e.Remedy
	}
	return s
}

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
