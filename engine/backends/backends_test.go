package backends

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
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

func TestFind(t *testing.T) {
	all := []engine.Backend{backend{"first", true}, backend{"second", false}, backend{"third", false}}
	for _, c := range []struct{ ask, want, err string }{
		{"auto", "second", ""}, {"", "second", ""}, {"third", "third", ""},
		{"first", "", "backend first is not available"},
		{"fourth", "", `no backend is called "fourth"; the choices are auto and first, second, third`},
	} {
		b, err := find(all, c.ask, engine.Options{})
		switch {
		case c.err == "" && (err != nil || b.Name() != c.want):
			t.Errorf("%q: got %v, %v, want %s", c.ask, b, err, c.want)
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%q: got %v, %v, want the error %q", c.ask, b, err, c.err)
		}
	}
	_, err := find([]engine.Backend{backend{"a", true}, backend{"b", true}}, "auto", engine.Options{})
	if u := new(engine.UnavailableError); !errors.As(err, &u) || !strings.Contains(err.Error(), "backend a") || !strings.Contains(err.Error(), "backend b") {
		t.Errorf("none available: got %v", err)
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
