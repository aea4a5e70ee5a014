package onnx

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Large initializers of a mapped file are referred to where they lie in it; what is
// small or made in memory, and whole models that are not mapped, stay as they were.
func TestMarshalLean(t *testing.T) {
	big := make([]float32, 1<<18+3)
	for i := range big {
		big[i] = float32(i)
	}
	m := small(value("x", 2), node("Relu", "x", "y")).with(NewTensor("odd", tensor.Of([]uint8{1, 2, 3}, 3)),
		NewTensor("big", tensor.Of(big, 1, len(big))), NewTensor("tail", tensor.Of(big[:2048], 2048)))
	same := func(m *Model) {
		t.Helper()
		proto, file, err := m.MarshalLean("w")
		if err != nil || file != nil || !bytes.Equal(proto, marshal(t, m)) {
			t.Errorf("%d bytes and %d of a file, %v; want those of Marshal", len(proto), len(file), err)
		}
	}
	same(m)
	dir := t.TempDir()
	path := filepath.Join(dir, "m.onnx")
	if err := m.Save(path); err != nil {
		t.Fatal(err)
	}
	loaded, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	loaded.Graph.Initializers = append(loaded.Graph.Initializers, NewTensor("new", tensor.Of(big[:2048], 2048)))
	proto, file, err := loaded.MarshalLean("w")
	if err != nil || len(proto) > 1<<14 || file == nil {
		t.Fatalf("%d bytes and %d of a file, %v", len(proto), len(file), err)
	}
	// Any reader of external data finds the values again.
	write(t, filepath.Join(dir, "w"), file)
	again, err := Load(write(t, filepath.Join(dir, "lean.onnx"), proto))
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range again.Graph.Initializers {
		was := loaded.Graph.Initializers[i]
		a, errA := again.Values(w)
		b, errB := loaded.Values(was)
		if errA != nil || errB != nil || w.Name != was.Name || a.DType != b.DType || !bytes.Equal(a.Bytes(), b.Bytes()) || len(w.Dims) != len(was.Dims) {
			t.Errorf("%s: other values, %v, %v", was.Name, errA, errB)
		}
		if outside := w.Name == "big" || w.Name == "tail"; (w.External != nil) != outside {
			t.Errorf("%s lies outside: %v", w.Name, !outside)
		}
	}
	if !bytes.Equal(marshal(t, loaded), marshal(t, loaded.Clone())) || loaded.HasExternal() {
		t.Error("the model itself changed")
	}
	same(again) // it has external data
	if err := small(value("x", 2), node("Relu", "x", "y")).Save(path); err != nil {
		t.Fatal(err)
	}
	if m, err = Load(path); err != nil {
		t.Fatal(err)
	}
	same(m) // which was read, not mapped
	if _, _, err := (&Model{}).MarshalLean("w"); err == nil {
		t.Error("a model without a graph is no error")
	}
}
