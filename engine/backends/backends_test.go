package backends

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/engine/ort/install"
	"github.com/onnxprobe/onnxprobe/onnx"
)

type backend struct {
	name   string
	absent bool
}

func (b backend) Name() string    { return b.name }
func (b backend) Version() string { return "" }
func (b backend) Available(engine.Options) error {
	if b.absent {
		return &engine.UnavailableError{Backend: b.name, Reason: "not today"}
	}
	return nil
}
func (b backend) Prepare(context.Context, *onnx.Model, engine.Options) (engine.Session, error) {
	return nil, nil
}

// able is a backend that gives derivatives.
type able struct{ backend }

func (able) Linearize(context.Context, *onnx.Model, string, []string, engine.Options) (engine.Linearization, error) {
	return nil, nil
}

func TestChoose(t *testing.T) {
	here := []engine.Backend{backend{"ort", false}, able{backend{"gorgonia", false}}, backend{"third", false}}
	away := []engine.Backend{backend{"ort", true}, able{backend{"gorgonia", false}}, backend{"third", false}}
	none := []engine.Backend{backend{"ort", true}, able{backend{"gorgonia", true}}}
	library, slow := engine.Options{Library: "lib.so"}, engine.Options{Optimize: "none"}
	for _, c := range []struct {
		why  string
		all  []engine.Backend
		r    Request
		want string
		says []string // of the error
	}{
		{"auto takes the first", here, Request{Name: Auto}, "ort", nil},
		{"no name is auto", here, Request{}, "ort", nil},
		{"auto passes over what is not available", away, Request{Name: Auto}, "gorgonia", nil},
		{"by name", here, Request{Name: "third"}, "third", nil},
		{"by name and not available", away, Request{Name: "ort"}, "", []string{"backend ort is not available"}},
		{"by no known name", here, Request{Name: "fourth"}, "", []string{`no backend is called "fourth"; the choices are auto and ort, gorgonia, third`}},
		{"derivatives of no known name", here, Request{Name: "fourth", Derivatives: true}, "", []string{`no backend is called "fourth"`}},
		{"none is available", none, Request{Name: Auto}, "", []string{"backend ort", "backend gorgonia"}},
		{"float64", here, Request{Float64: true}, "gorgonia", nil},
		{"float64 by name", here, Request{Name: "ort", Float64: true}, "ort", nil},
		{"a library is ONNX Runtime's", away, Request{Options: library}, "", []string{"backend ort is not available"}},
		{"a library is ONNX Runtime's, in float64 too", here, Request{Options: library, Float64: true}, "ort", nil},
		{"derivatives", here, Request{Derivatives: true}, "gorgonia", nil},
		{"derivatives in float64", here, Request{Derivatives: true, Float64: true}, "gorgonia", nil},
		{"derivatives by name", here, Request{Name: "gorgonia", Derivatives: true}, "gorgonia", nil},
		{"derivatives of one that has none", here, Request{Name: "ort", Derivatives: true}, "", []string{"the engine ort gives no derivatives; take gorgonia"}},
		{"derivatives with a library", here, Request{Options: library, Derivatives: true}, "", []string{"the engine ort gives no derivatives; take gorgonia"}},
		{"derivatives of none", here[:1], Request{Derivatives: true}, "", []string{"no engine of this build gives derivatives"}},
		{"an option of another", here, Request{Name: "gorgonia", Options: slow}, "", []string{"the engine gorgonia has no use for Optimize; leave it out, or take ort"}},
		{"an option of another, by auto", away, Request{Options: engine.Options{NoArena: true}}, "", []string{"no use for NoArena"}},
		{"a library of another", here, Request{Name: "gorgonia", Options: library}, "", []string{"no use for Library"}},
		{"options of ONNX Runtime's own", here, Request{Name: "ort", Options: slow}, "ort", nil},
	} {
		b, err := choose(c.all, c.r)
		if c.want != "" && (err != nil || b.Name() != c.want) {
			t.Errorf("%s: got %v, %v, want %s", c.why, b, err, c.want)
		}
		if c.want == "" && (err == nil || b != nil) {
			t.Errorf("%s: got %v, %v, want an error alone", c.why, b, err)
		}
		for _, s := range c.says {
			if err == nil || !strings.Contains(err.Error(), s) {
				t.Errorf("%s: got the error %v, want it to say %q", c.why, err, s)
			}
		}
	}
	if ort.Built {
		t.Setenv(install.EnvLibrary, "lib.so")
		if b, err := choose(away, Request{}); err == nil {
			t.Errorf("took %v for the library that the environment names", b)
		}
		for _, r := range []Request{{Float64: true}, {Derivatives: true}, {Name: "third"}} {
			if _, err := choose(away, r); err != nil {
				t.Errorf("%+v: %v, although it wants no ONNX Runtime", r, err)
			}
		}
	}
	_, err := choose(none, Request{})
	if u := new(engine.UnavailableError); !errors.As(err, &u) {
		t.Errorf("none available: got %v, want an UnavailableError", err)
	}
}

func TestDevices(t *testing.T) {
	if d, err := Devices("cpu,cpu"); err != nil || len(d) != 2 {
		t.Errorf("got %v, %v", d, err)
	}
	if d, err := Devices("cpu,cuda"); err == nil {
		t.Errorf("got %v of two kinds", d)
	}
}

func TestNames(t *testing.T) {
	names := Names()
	if names[0] != Auto || !slices.Contains(names, "ort") {
		t.Errorf("got %q", names)
	}
	slices.Sort(names)
	if len(slices.Compact(names)) != len(All)+1 {
		t.Errorf("two backends share a name: %q", names)
	}
}
