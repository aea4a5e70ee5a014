// Package backends lists the engines that can run a model, and says which one is taken.
//
// Whoever imports it, or engine/gorgonia, has onnx-go in the program, which hands its Go
// types of ONNX's messages ("onnx.ModelProto" and so on, of a file onnx.proto3) to the
// registries of google.golang.org/protobuf. A program that has other types of these
// names, as protoc makes them of ONNX's onnx.proto, then panics when it starts:
// "onnx.ModelProto is already registered", or "has a name conflict over" it. There are two ways out:
//
//   - [ort.Backend] by itself. engine/ort, onnx and the packages of probes read ONNX
//     without generated types and register none.
//   - GOLANG_PROTOBUF_REGISTRATION_CONFLICT=warn (or ignore) in the environment, or the
//     same for the linker, -X google.golang.org/protobuf/reflect/protoregistry.conflictPolicy=warn.
//     The types that come first have the registries, and both packages still decode:
//     onnx-go looks nothing up there. That module promises neither name for ever.
package backends

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/gorgonia"
	"github.com/onnxprobe/onnxprobe/engine/isolate"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/engine/ort/install"
)

// All is every backend, the preferred first. To add one, add a line.
var All = []engine.Backend{
	ort.Backend{},
	gorgonia.Backend{},
}

// Auto is the name that leaves the choice to Choose.
const Auto = "auto"

// Float64 is the engine that Auto takes for models in float64: ONNX Runtime has no
// convolution of that type.
const Float64 = gorgonia.Name

// Names lists what Request.Name may be.
func Names() []string { return append([]string{Auto}, namesOf(All)...) }

func namesOf(all []engine.Backend) (names []string) {
	for _, b := range all {
		names = append(names, b.Name())
	}
	return names
}

// Request says what an engine is wanted for.
type Request struct {
	// Name is that of a backend; Auto or "" takes one by the rules of Choose.
	Name    string
	Options engine.Options
	// Float64 says that the model runs in float64.
	Float64 bool
	// Derivatives says that the backend must be an engine.Differentiator.
	Derivatives bool
	// Isolate says whether models run in processes of their own, within Limits.
	Isolate isolate.Mode
	Limits  isolate.Limits
}

// LightRun is how many multiply-adds of a run are few: they take a millisecond or two, of
// which a process of its own would cost a part worth knowing.
const LightRun = 100_000_000

// Apart is b in processes of their own, always.
func Apart(b engine.Backend, limits isolate.Limits) *isolate.Backend {
	product := map[string]string{ort.Name: ort.Product, gorgonia.Name: gorgonia.Product}[b.Name()]
	return &isolate.Backend{Backend: b, Product: product, Limits: limits}
}

// isolated is b as r asks for it.
func (r *Request) isolated(b engine.Backend) engine.Backend {
	w := Apart(b, r.Limits)
	switch {
	case r.Isolate == isolate.Yes:
		w.Strict = true
	case r.Isolate == isolate.Auto && isolate.Supported && b.Name() == ort.Name && r.Options.Device.Kind != "cuda":
		w.Light = LightRun
	default:
		return b
	}
	return w
}

// Choose takes the backend for a request. One that is asked for by name is never
// replaced by another: when it is not available the error is its
// *engine.UnavailableError. Auto takes
//
//   - ONNX Runtime where Options.Library is given, as if it had been asked for by name;
//   - else, for Float64, the engine of that name;
//   - else the first of All that gives Derivatives, where they are wanted, and is
//     available with these options; where none is, the error joins everyone's, one a line.
//     An ONNX Runtime that the environment names is not passed over (install.EnvLibrary).
//
// Then a *RequestError says that the backend gives no derivatives, or has no use for one
// of the options.
func Choose(r Request) (engine.Backend, error) { return choose(All, r) }

func choose(all []engine.Backend, r Request) (engine.Backend, error) {
	name := r.Name
	if name == Auto || name == "" {
		name = ""
		switch {
		case r.Options.Library != "":
			name = ort.Name
		case r.Float64:
			name = Float64
		}
	}
	if names := namesOf(all); name != "" && !slices.Contains(names, name) {
		return nil, fmt.Errorf("no backend is called %q; the choices are %s and %s", name, Auto, strings.Join(names, ", "))
	}
	var able []string
	var faults []error
	for _, b := range all {
		if _, ok := b.(engine.Differentiator); r.Derivatives && !ok {
			continue
		}
		able = append(able, b.Name())
		if name != "" && name != b.Name() {
			continue
		}
		if r.Derivatives && r.Isolate == isolate.Yes {
			faults = append(faults, &engine.UnavailableError{Backend: b.Name(), Reason: "it gives derivatives in the program itself, not in a process of its own",
				Remedy: "do without isolation where you trust the model", Options: []string{"isolate.No"}})
			continue
		}
		if !r.Derivatives {
			b = r.isolated(b)
		}
		if err := b.Available(r.Options); err != nil {
			named := b.Name() == ort.Name && ort.Built && os.Getenv(install.EnvLibrary) != ""
			if none := (*engine.UnavailableError)(nil); named || !errors.As(err, &none) {
				return nil, err // it is wanted, or is there and did not come up
			}
			faults = append(faults, err)
			continue
		}
		if err := suits(b, r.Options); err != nil {
			return nil, err
		}
		return b, nil
	}
	switch {
	case faults != nil:
		return nil, errors.Join(faults...)
	case able == nil:
		return nil, errors.New("no engine of this build gives derivatives")
	}
	return nil, &RequestError{Backend: name, Able: able}
}

// suits reports options that only ONNX Runtime has a use for, where b is another engine.
func suits(b engine.Backend, o engine.Options) error {
	if b.Name() == ort.Name {
		return nil
	}
	for _, given := range []struct {
		option string
		set    bool
	}{{"Library", o.Library != ""}, {"Optimize", o.Optimize != ""}, {"NoArena", o.NoArena}} {
		if given.set {
			return &RequestError{Backend: b.Name(), Option: given.option, Able: []string{ort.Name}}
		}
	}
	return nil
}

// RequestError says that a backend cannot do what a Request asks of it, and which can.
type RequestError struct {
	Backend string
	// Option is the field of engine.Options that the backend has no use for; "" says
	// that it gives no derivatives.
	Option string
	Able   []string
}

func (e *RequestError) Error() string {
	able := strings.Join(e.Able, " or ")
	if e.Option == "" {
		return fmt.Sprintf("the engine %s gives no derivatives; take %s", e.Backend, able)
	}
	return fmt.Sprintf("the engine %s has no use for %s; leave it out, or take %s", e.Backend, e.Option, able)
}

// Devices reads a list of devices as engine.ParseDevices does; "cuda:all" is every GPU
// that NVIDIA's driver shows.
func Devices(list string) ([]engine.Device, error) {
	return engine.ParseDevices(list, func() (int, error) {
		gpus, err := ort.GPUs()
		return len(gpus), err
	})
}
