// Package isolate runs a backend in a process of its own. A model that crashes the engine,
// holds it for ever or asks for all memory then costs an error, an *engine.LostError, and
// not the program; and what takes the engine over finds itself in a process that may read
// the model's files and write, connect to and start nothing.
//
// The process is the program itself, started again: the first statement of its main, and of
// TestMain where tests isolate, is
//
//	isolate.Main(backends.All...)
//
// which returns at once unless the process is such a worker.
//
// Memory, time and the end with the program hold on Linux, amd64 and arm64; what a worker
// may reach is bounded by landlock and seccomp, where the kernel has them. On other systems
// there is no isolation, and Available says so.
package isolate

import (
	"cmp"
	"context"
	"errors"
	"syscall"
	"time"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
)

// Mode says whether models are run in processes of their own.
type Mode string

// The modes.
const (
	// No, and the zero value, runs them in the program.
	No Mode = "no"
	// Auto isolates what is worth it, where the system can, as far as it can.
	Auto Mode = "auto"
	// Yes isolates all, and wholly: where that cannot be, it is an
	// *engine.UnavailableError.
	Yes Mode = "yes"
)

// Modes are their names.
var Modes = []string{string(Auto), string(Yes), string(No)}

// Limits bound one worker process, which each prepared model has, however many sessions
// share it. 0 is no limit.
type Limits struct {
	// Memory is how many bytes it may have beside the library and the model's file.
	Memory int64
	// Time is how long it may prepare a model, and how long one run may take.
	Time time.Duration
}

// Backend is another backend in worker processes. Its name and its numbers are the other's.
// A model is known there by what it was when it was loaded, whatever became of its file,
// but for external data, which is read when it is prepared.
//
// A session whose worker was lost starts another one when it is run again. Sessions that
// Share made have one worker together. A *Backend may be used by several goroutines.
type Backend struct {
	engine.Backend
	// Product is what messages call the other backend; "" is its name.
	Product string
	Limits  Limits
	// Strict makes it an *engine.UnavailableError where a worker cannot be kept from files,
	// network and other processes. Otherwise what holds, holds.
	Strict bool
	// Light is a number of multiply-adds. A model all of whose operators are plain, and a
	// run of which takes fewer, is prepared in the program itself: there a run that takes a
	// tenth of a millisecond costs no more for isolation. 0 isolates all.
	Light int64

	workers // what the system has of them
}

// Packs is part of engine.Packer.
func (b *Backend) Packs(o engine.Options) bool {
	p, ok := b.Backend.(engine.Packer)
	return ok && p.Packs(o)
}

// DeviceName is part of engine.Namer.
func (b *Backend) DeviceName(d engine.Device) string {
	if n, ok := b.Backend.(engine.Namer); ok {
		return n.DeviceName(d)
	}
	return ""
}

// Version is the other's.
func (b *Backend) Version() string { return cmp.Or(b.version(), b.Backend.Version()) }

// Library is part of engine.Librarian.
func (b *Backend) Library() engine.Library {
	if l := b.library().Library; l.Path != "" {
		return l
	}
	if l, ok := b.Backend.(engine.Librarian); ok {
		return l.Library()
	}
	return engine.Library{}
}

// Available says whether the other backend can run, and, where it is to be isolated
// always, whether it can in a worker.
func (b *Backend) Available(o engine.Options) error {
	if b.Light > 0 {
		return b.Backend.Available(o)
	}
	return b.available(o)
}

// Prepare is PrepareFor with the shapes that m declares.
func (b *Backend) Prepare(ctx context.Context, m *onnx.Model, o engine.Options) (engine.Session, error) {
	return b.PrepareFor(ctx, m, nil, o)
}

// PrepareFor readies m in a worker, or in the program where it is Light with inputs of
// these shapes. A cancelled context ends the worker at once.
func (b *Backend) PrepareFor(ctx context.Context, m *onnx.Model, inputs map[string][]int64, o engine.Options) (engine.Session, error) {
	if b.Light > 0 && b.light(m, inputs) {
		return b.Backend.Prepare(ctx, m, o)
	}
	return b.prepare(ctx, m, o)
}

func (b *Backend) light(m *onnx.Model, inputs map[string][]int64) bool {
	n, known := m.MultiplyAdds(inputs, engine.Domain+"."+engine.SignPack)
	return known && n < b.Light
}

// product is what messages call the other backend.
func (b *Backend) product() string { return cmp.Or(b.Product, b.Name()) }

// unavailable says why there is no worker.
func (b *Backend) unavailable(reason string) error {
	return &engine.UnavailableError{Backend: b.Name(), Reason: "it cannot be isolated: " + reason,
		Remedy: "do without isolation where you trust the model", Options: []string{"isolate.No"}}
}

// cannot is err, for which there is no worker: want of descriptors, threads or memory passes,
// and anything else is the system's way.
func (b *Backend) cannot(err error) error {
	for _, want := range []error{syscall.EMFILE, syscall.ENFILE, syscall.EAGAIN, syscall.ENOMEM} {
		if errors.Is(err, want) {
			return err
		}
	}
	return b.unavailable(err.Error())
}
