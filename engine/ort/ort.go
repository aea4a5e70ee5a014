//go:build cgo

package ort

// #include "ortapi.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strings"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/ort/install"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Built says whether this build can run ONNX Runtime.
const Built = true

// Backend runs models on ONNX Runtime. All sessions of a process share one
// library.
type Backend struct{}

// Name is Name.
func (Backend) Name() string { return Name }

// Version is the release of the library in use or, before one is, of the first
// that can be.
func (Backend) Version() string {
	loaded.Lock()
	defer loaded.Unlock()
	if loaded.ok {
		return loaded.version
	}
	for _, c := range install.Find("") {
		if c.Fault == nil {
			return c.Version
		}
	}
	return ""
}

// Library is part of engine.Librarian. What Install put there needs no word.
func (Backend) Library() engine.Library {
	loaded.Lock()
	defer loaded.Unlock()
	from := loaded.from
	if from == install.FromInstall {
		from = ""
	}
	return engine.Library{Path: loaded.path, From: from, Passed: loaded.passed}
}

// Available loads the library.
func (Backend) Available(o engine.Options) error {
	if err := load(o.Library); err != nil {
		return err
	}
	if o.Device.Kind == "cuda" {
		return cudaAvailable()
	}
	return nil
}

// Prepare makes a session of m, which it copies: m may change afterwards. It
// never moves work to another device than the one asked for.
func (b Backend) Prepare(ctx context.Context, m *onnx.Model, o engine.Options) (engine.Session, error) {
	if err := b.Available(o); err != nil {
		return nil, err
	}
	defer o.Watch.Watch(Product, m.Path, "prepared the model")()
	f := sessionFiles{file: m.Path, own: m.Opset(engine.Domain) > 0, half: half(m)}
	if m.HasExternal() {
		f.dir = m.Dir
	}
	if worthFusing(m, o) {
		if s := fused(ctx, m, f, o); s != nil {
			return s, nil
		}
	}
	s, err := prepareLean(ctx, m, f, o)
	if err != nil {
		return nil, explain(offDevice(ctx, err, m, o), m)
	}
	return s, nil
}

// offDevice names the nodes for which a session would need the CPU as well: ONNX
// Runtime says no more than that there are some, unless it is allowed to go on.
func offDevice(ctx context.Context, err error, m *onnx.Model, o engine.Options) error {
	if !strings.Contains(err.Error(), "explicitly disabled") || o.Fallback {
		return err
	}
	o.CUDAGraph, o.Fallback = false, true
	s, again := (Backend{}).Prepare(ctx, m, o)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if again != nil {
		return err
	}
	defer s.Close()
	u := &engine.UnsupportedError{Backend: Name, Nodes: nodesOf(m.Graph, s.(*session).onCPU)}
	if u.Nodes == nil {
		return err
	}
	return fmt.Errorf("%w on %s: %w", u, o.Device, err)
}

// nodesOf finds nodes by name and operator, as session.assigned lists them. Those
// that ONNX Runtime made itself are left out.
func nodesOf(g *onnx.Graph, list []string) (nodes []*onnx.Node) {
	for _, n := range g.Nodes {
		if slices.Contains(list, fmt.Sprintf("%s (%s)", n.Name, n.Op)) {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// Packs is true on the CPU: the operator SignPack is part of this package.
func (Backend) Packs(o engine.Options) bool { return o.Device.Kind != "cuda" }

// weightsFile is what a model calls the file of its weights that lies in memory.
const weightsFile = "onnxprobe.weights"

// sessionFiles is what a session needs beside the model itself.
type sessionFiles struct {
	file string // the model's, for messages
	dir  string // of the model's external data; "" for none
	// weights are the bytes of weightsFile, outside Go's heap; nil for none.
	weights []byte
	save    string // where to write the optimised model; "" for nowhere
	own     bool   // the model has operators of ours
	half    bool   // the model has constants in float16
	// record keeps where the nodes run; see session.assigned.
	record bool
}

func half(m *onnx.Model) bool {
	return slices.ContainsFunc(m.Tensors(), func(t *onnx.Tensor) bool { return t.DType == tensor.Float16 })
}

// prepareLean makes a session of a model whose weights it leaves where they lie.
func prepareLean(ctx context.Context, m *onnx.Model, f sessionFiles, o engine.Options) (*session, error) {
	defer runtime.KeepAlive(m) // whose file holds the weights
	proto, weights, err := m.MarshalLean(weightsFile)
	if err != nil {
		return nil, fmt.Errorf("preparing the model for ort: %w", err)
	}
	f.weights = weights
	return prepare(ctx, proto, f, o)
}

// prepare makes a session of a serialized model.
func prepare(ctx context.Context, proto []byte, f sessionFiles, o engine.Options) (*session, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f.record = f.record || o.Fallback
	so, err := sessionOptions(f, o)
	if err != nil {
		return nil, fmt.Errorf("preparing the model for ort: %w", err)
	}
	defer so.Destroy()
	create := func() (*ort.DynamicAdvancedSession, error) {
		return ort.NewDynamicAdvancedSessionWithONNXData(proto, nil, nil, so)
	}
	if o.Device.Kind == "cuda" {
		inner := create
		create = func() (*ort.DynamicAdvancedSession, error) { return keepSignals(inner) }
	}
	finish, err := endingWith(ctx, so)
	if err != nil {
		return nil, fmt.Errorf("preparing the model for ort: %w", err)
	}
	defer finish() // before the options go
	das, err := create()
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		msg := strings.TrimPrefix(err.Error(), "Error creating C session: ")
		if strings.Contains(msg, "escapes model directory") {
			msg += "; ONNX Runtime follows no link out of the model's folder: copy the model and its data into one folder"
		}
		err = errors.New(msg)
		if strings.Contains(msg, "explicitly disabled") {
			err = onnx.Remedy(fmt.Errorf("%w; they can run there when that is allowed, and are listed then", err),
				"engine.Options.Fallback")
		}
		return nil, fmt.Errorf("preparing the model for ort: %w", remedied(err, o))
	}
	C.op_trim() // of the weights as they were before they were packed
	s, err := newSession(das)
	if err != nil {
		das.Destroy()
		return nil, fmt.Errorf("preparing the model for ort: %w", err)
	}
	s.place, s.net.opened, s.net.file = boundTo(o), o, f.file
	if o.Fallback {
		if s.onCPU, err = s.assigned("CPUExecutionProvider"); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

// endingWith lets the end of ctx end the making of a session with these options, between
// two steps of the optimiser. After finish nothing uses the options any more.
func endingWith(ctx context.Context, so *ort.SessionOptions) (finish func(), err error) {
	ptr, err := field(so, "o")
	if err != nil {
		return nil, err
	}
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		C.op_end_load(loaded.api, ptr)
	})
	return func() {
		if !stop() {
			<-done
		}
	}, nil
}

var levels = map[string]ort.GraphOptimizationLevel{
	"": ort.GraphOptimizationLevelEnableAll, "all": ort.GraphOptimizationLevelEnableAll,
	"extended": ort.GraphOptimizationLevelEnableExtended, "basic": ort.GraphOptimizationLevelEnableBasic,
	"none": ort.GraphOptimizationLevelDisableAll,
}

func sessionOptions(f sessionFiles, o engine.Options) (_ *ort.SessionOptions, err error) {
	level, ok := levels[o.Optimize]
	if !ok {
		return nil, fmt.Errorf("no level of optimisation is called %q; the choices are all, extended, basic and none", o.Optimize)
	}
	if o.Threads < 0 {
		return nil, fmt.Errorf("got %d threads; want 0 for the default, or more", o.Threads)
	}
	if err := o.CheckGPU(); err != nil {
		return nil, err
	}
	so, err := ort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			so.Destroy()
		}
	}()
	steps := []func() error{
		func() error { return so.SetGraphOptimizationLevel(level) },
		func() error { return so.SetIntraOpNumThreads(threads(o.Threads)) },
		func() error { return so.SetInterOpNumThreads(1) },
		func() error { return so.SetCpuMemArena(!o.NoArena) },
		func() error { return so.SetMemPattern(!o.NoArena) },
		// Threads may spin while a run goes on, not between runs, when the
		// processor belongs to the decoding of the next batch.
		func() error { return so.AddSessionConfigEntry("session.force_spinning_stop", "1") },
	}
	if f.dir != "" {
		steps = append(steps, func() error {
			return so.AddSessionConfigEntry("session.model_external_initializers_file_folder_path", f.dir)
		})
		if o.NoArena { // weights stay where they are mapped, and are not copied into the order of the kernels
			steps = append(steps, func() error { return so.AddSessionConfigEntry("session.disable_prepacking", "1") })
		}
	}
	if f.weights != nil {
		steps = append(steps, func() error { return addWeights(so, f.weights) })
	}
	if f.save != "" {
		steps = append(steps, func() error { return so.SetOptimizedModelFilePath(f.save) })
	}
	if f.record {
		steps = append(steps, func() error { return so.AddSessionConfigEntry("session.record_ep_graph_assignment_info", "1") })
	}
	if f.own {
		steps = append(steps, func() error { return addOwn(so) })
	}
	switch o.Device.Kind {
	case "", "cpu":
		if f.half {
			// ONNX Runtime 1.30 crashes while it puts some convolutions of float16 in
			// blocks of channels.
			steps = append(steps, func() error {
				return so.AddSessionConfigEntry("optimization.disable_specified_optimizers", "NchwcTransformer")
			})
		}
	case "cuda":
		steps = append(steps, func() error { return addCUDA(so, o) })
	default:
		return nil, fmt.Errorf("ort has no device %q; the devices are cpu, cuda and cuda:N", o.Device.Kind)
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return so, nil
}

// threads is how many ONNX Runtime may use. Its own default, 0, is every
// physical core, tied to them; where the process may not use the whole machine
// (a container's share, an affinity mask) it would start far too many.
func threads(asked int) int {
	if asked == 0 && runtime.GOMAXPROCS(0) < runtime.NumCPU() {
		return runtime.GOMAXPROCS(0)
	}
	return asked
}

// ONNX Runtime names only the first node it cannot run, in one of these ways:
// an operator without a kernel for these types, one it does not know in a
// domain it does not know, and one it does not know in a domain it does.
var (
	noKernel   = regexp.MustCompile(`Could not find an implementation for (\w+)\(\d+\) node with name '([^']*)'`)
	noDomain   = regexp.MustCompile(`([\w.\-]*):(\w+)\(-?\d+\) is not a registered function/op`)
	noOperator = regexp.MustCompile(`In Node, \("[^"]*", (\w+), "([^"]*)", -?\d+\).*No Op registered for`)
)

// explain finds in m the nodes that a session error is about. An error that
// names none is returned as it is.
func explain(err error, m *onnx.Model) error {
	var same func(n *onnx.Node) bool
	msg := err.Error()
	if g := noKernel.FindStringSubmatch(msg); g != nil {
		same = func(n *onnx.Node) bool { return n.Op == g[1] && n.Name == g[2] }
	} else if g := noDomain.FindStringSubmatch(msg); g != nil {
		same = func(n *onnx.Node) bool { return n.Op == g[2] && domain(n.Domain) == domain(g[1]) }
	} else if g := noOperator.FindStringSubmatch(msg); g != nil {
		same = func(n *onnx.Node) bool { return n.Op == g[1] && domain(n.Domain) == domain(g[2]) }
	} else {
		return err
	}
	var nodes []*onnx.Node
	var walk func(g *onnx.Graph)
	walk = func(g *onnx.Graph) {
		for _, n := range g.Nodes {
			if same(n) {
				nodes = append(nodes, n)
			}
			for _, sub := range n.Subgraphs() {
				walk(sub)
			}
		}
	}
	if m.Graph != nil {
		walk(m.Graph)
	}
	if nodes == nil {
		return err
	}
	return fmt.Errorf("%w: %w", &engine.UnsupportedError{Backend: Name, Nodes: nodes}, err)
}

func domain(d string) string {
	if d == "ai.onnx" {
		return ""
	}
	return d
}
