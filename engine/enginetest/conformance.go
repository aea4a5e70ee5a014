package enginetest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Tally is what came of a suite of cases.
type Tally struct {
	Passed []string
	// Fixed are those that were refused as they are, and passed with the inputs
	// after the first, or all of them, made constants: ONNX's own cases hand over
	// as inputs even the axes and shapes that a network has as constants.
	Fixed []string
	// Refused holds, by the operator that was refused, the cases that ended in an
	// *engine.UnsupportedError.
	Refused map[string][]string
	// Wrong are those that gave another result or another error, and Skipped those
	// that were not held against the backend, by the reason.
	Wrong   []string
	Skipped map[string][]string
	// Ran counts the passed cases that each operator occurs in.
	Ran map[string]int
}

// Add counts another tally in.
func (y *Tally) Add(o Tally) {
	y.Passed, y.Fixed, y.Wrong = append(y.Passed, o.Passed...), append(y.Fixed, o.Fixed...), append(y.Wrong, o.Wrong...)
	for op, cases := range o.Refused {
		put(&y.Refused, op, cases...)
	}
	for why, cases := range o.Skipped {
		put(&y.Skipped, why, cases...)
	}
	for op, n := range o.Ran {
		if y.Ran == nil {
			y.Ran = map[string]int{}
		}
		y.Ran[op] += n
	}
}

func put(m *map[string][]string, key string, v ...string) {
	if *m == nil {
		*m = map[string][]string{}
	}
	(*m)[key] = append((*m)[key], v...)
}

// String counts what there is, the operators refused last.
func (y Tally) String() string {
	total := func(m map[string][]string) (n int) {
		for _, cases := range m {
			n += len(cases)
		}
		return n
	}
	s := fmt.Sprintf("%d passed, %d more with "+
		"constants, %d refused, %d wrong, %d skipped", len(y.Passed), len(y.Fixed), total(y.Refused), len(y.Wrong), total(y.Skipped))
	for i, op := range slices.Sorted(maps.Keys(y.Refused)) {
		s += []string{", ", "; refused: "}[max(0, 1-i)] + fmt.Sprintf("%s %d", op, len(y.Refused[op]))
		if n := y.Ran[op]; n > 0 {
			s += fmt.Sprintf(" (of %d)", n+len(y.Refused[op]))
		}
	}
	return s
}

// Skips reads a list of cases that are wrong for a known reason: a line each, the
// suite and the case, a tab, the reason. A line that begins with # says something
// about the list.
func Skips(t testing.TB, path string) map[string]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	skips := map[string]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		name, why, ok := strings.Cut(line, "\t")
		if !ok || why == "" || skips[name] != "" {
			t.Fatalf("%s: the line %q; want suite/case, a tab and the reason, each case once", path, line)
		}
		skips[name] = why
	}
	return skips
}

// Conformance runs the cases that lie in dir, one folder a case, as the ONNX
// project lays them out, and fails the test for every wrong one. skips, by the
// name of dir and of the case, are to be wrong: one that is not fails the test, so
// that the list stays true. Cases on what is not a dense tensor of a type that
// package tensor holds are skipped. It skips the test where dir is missing.
func Conformance(t *testing.T, b engine.Backend, o engine.Options, dir string, skips map[string]string) Tally {
	Need(t, b, o)
	y, faults := tally(b, o, dir, skips)
	for _, f := range faults {
		t.Error(f)
	}
	if len(faults) == 0 && len(y.Passed) == 0 {
		t.Skipf("ONNX's cases are not at %s", dir)
	}
	return y
}

func tally(b engine.Backend, o engine.Options, dir string, skips map[string]string) (y Tally, faults []error) {
	suite := filepath.Base(dir)
	models, _ := filepath.Glob(filepath.Join(dir, "test_*", "model.onnx"))
	if len(models) == 0 {
		return y, nil
	}
	known := maps.Clone(skips)
	for _, path := range models {
		key := suite + "/" + filepath.Base(filepath.Dir(path))
		why := known[key]
		delete(known, key)
		m, err := conform(b, o, path, asGiven)
		var u *engine.UnsupportedError
		fixed := false
		for _, how := range []fixing{afterFirst, everything} {
			if errors.As(err, &u) {
				fixed = true
				m, err = conform(b, o, path, how)
			}
		}
		var odd notTensor
		switch {
		case errors.As(err, &odd):
			put(&y.Skipped, string(odd), key)
		case errors.As(err, &u):
			put(&y.Refused, refused(u), key)
		case err == nil:
			if fixed {
				y.Fixed = append(y.Fixed, key)
			} else {
				y.Passed = append(y.Passed, key)
			}
			y.Add(Tally{Ran: operators(m.Graph)})
		case why != "":
			put(&y.Skipped, why, key)
			continue
		default:
			y.Wrong = append(y.Wrong, key)
			faults = append(faults, fmt.Errorf("%s: %w", key, err))
		}
		if why != "" {
			faults = append(faults, fmt.Errorf("%s is listed (%s), and yet it is not wrong: got %v; take it off the list", key, why, err))
		}
	}
	for key := range known {
		if strings.HasPrefix(key, suite+"/") {
			faults = append(faults, fmt.Errorf("%s is listed, and there is no such case", key))
		}
	}
	return y, faults
}

// notTensor says why a case is none for this project.
type notTensor string

func (n notTensor) Error() string { return string(n) }

// refused names the operators of the error, sorted.
func refused(u *engine.UnsupportedError) string {
	var ops []string
	for _, n := range u.Nodes {
		ops = append(ops, n.Op)
	}
	slices.Sort(ops)
	return strings.Join(slices.Compact(ops), "+")
}

func operators(g *onnx.Graph) map[string]int {
	ops := map[string]int{}
	for _, n := range g.Nodes {
		ops[n.Op] = 1
		for _, sub := range n.Subgraphs() {
			maps.Copy(ops, operators(sub))
		}
	}
	return ops
}

// fixing says which inputs become constants.
type fixing int

const (
	asGiven fixing = iota
	afterFirst
	everything
)

// fix makes constants of inputs, with the values in; it returns the model and the
// inputs that remain.
func (how fixing) fix(m *onnx.Model, in []*tensor.Tensor) (*onnx.Model, []*tensor.Tensor) {
	keep := map[fixing]int{asGiven: len(in), afterFirst: 1}[how]
	if keep >= len(in) {
		return m, in
	}
	c, ix, i := m.Clone(), m.Graph.Index(), 0
	c.Graph.Inputs = nil
	for _, v := range m.Graph.Inputs {
		switch {
		case ix.Const[v.Name] != nil || i >= len(in): // it has a value already
			c.Graph.Inputs = append(c.Graph.Inputs, v)
			continue
		case i < keep:
			c.Graph.Inputs = append(c.Graph.Inputs, v)
		default:
			c.Graph.Initializers = append(c.Graph.Initializers, onnx.NewTensor(v.Name, in[i]))
		}
		i++
	}
	return c, in[:keep]
}

// conform runs one case on all its data.
func conform(b engine.Backend, o engine.Options, path string, how fixing) (m *onnx.Model, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	if m, err = onnx.Load(path); err != nil {
		return nil, notTensor("package onnx does not read it: " + brieferr(err)) // what loads is its own to test
	}
	for _, v := range slices.Concat(m.Graph.Inputs, m.Graph.Outputs) {
		if v.DType == tensor.Undefined {
			return m, notTensor("takes or gives a sequence or an optional value")
		}
		if _, err := tensor.New(v.DType, 0); err != nil {
			return m, notTensor("takes or gives " + v.DType.String())
		}
	}
	sets, err := filepath.Glob(filepath.Join(filepath.Dir(path), "test_data_set_*"))
	if err != nil || len(sets) == 0 {
		return m, notTensor("has no data")
	}
	for _, set := range sets {
		if err := conformOn(b, o, m, set, how); err != nil {
			return m, fmt.Errorf("%s: %w", filepath.Base(set), err)
		}
	}
	return m, nil
}

func conformOn(b engine.Backend, o engine.Options, m *onnx.Model, set string, how fixing) error {
	in, err := ReadTensors(filepath.Join(set, "input_%d.pb"))
	want, err2 := ReadTensors(filepath.Join(set, "output_%d.pb"))
	if err := errors.Join(err, err2); err != nil {
		return notTensor("package onnx does not read its data: " + brieferr(err))
	}
	m, in = how.fix(m, in)
	s, err := b.Prepare(context.Background(), m, o)
	if err != nil {
		return err
	}
	defer s.Close()
	got, err := s.Run(context.Background(), in)
	if err != nil {
		return err
	}
	return Equal(got, want, allowance(want))
}

// brieferr is the last part of an error, without names of files.
func brieferr(err error) string {
	parts := strings.Split(err.Error(), ": ")
	return parts[len(parts)-1]
}

// allowance is the difference that the specification leaves open: the order of
// sums and the last bits of the transcendental functions. Half precision rounds
// every step.
func allowance(want []*tensor.Tensor) float64 {
	within := 1e-5
	for _, w := range want {
		for _, v := range w.Float64s() {
			if w.DType.IsFloat() && math.Abs(v) < 1e30 {
				within = max(within, math.Abs(v)*1e-4)
			}
		}
		if w.DType == tensor.Float16 || w.DType == tensor.BFloat16 {
			within = max(within, 2e-2)
		}
	}
	return within
}

// ReadTensors reads the files pattern % 0, 1, ... as TensorProto messages, by
// way of a model file that holds each as its only constant.
func ReadTensors(pattern string) ([]*tensor.Tensor, error) {
	var out []*tensor.Tensor
	for i := 0; ; i++ {
		pb, err := os.ReadFile(fmt.Sprintf(pattern, i))
		if errors.Is(err, os.ErrNotExist) {
			return out, nil
		} else if err != nil {
			return nil, err
		}
		var graph, model []byte
		graph = protowire.AppendString(protowire.AppendTag(graph, 2, protowire.BytesType), "g")
		graph = protowire.AppendBytes(protowire.AppendTag(graph, 5, protowire.BytesType), append(pb, "\x42\x01x"...)) // named x
		model = protowire.AppendVarint(protowire.AppendTag(model, 1, protowire.VarintType), 8)
		model = protowire.AppendBytes(protowire.AppendTag(model, 7, protowire.BytesType), graph)
		model = protowire.AppendBytes(protowire.AppendTag(model, 8, protowire.BytesType), []byte{0x10, opset})
		v, err := constantOf(model)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
}

// constantOf is the one constant of a model, given as the bytes of its file.
func constantOf(model []byte) (*tensor.Tensor, error) {
	f, err := os.CreateTemp("", "onnxprobe-*.onnx")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(model)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	m, err := onnx.Load(f.Name())
	if err != nil {
		return nil, err
	}
	return m.Values(m.Graph.Initializers[0])
}
