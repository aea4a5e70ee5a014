//go:build cgo

package ort

import (
	"bytes"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// A session of a mapped file computes what one of a message that holds the weights
// does, and no such message is made.
func TestWeightsStayInTheFile(t *testing.T) {
	enginetest.Need(t, Backend{}, engine.Options{})
	const n, layers = 1024, 16
	rng := rand.New(rand.NewPCG(1, 2))
	w := make([]float32, n*n)
	var inits []*onnx.Tensor
	var nodes []*onnx.Node
	names := "xabcdefghijklmnopy"
	for i := range layers {
		for k := range w {
			w[k] = float32(rng.NormFloat64()) / 32
		}
		name := "w" + names[i:i+1]
		inits = append(inits, onnx.NewTensor(name, tensor.Of(w, n, n)))
		out := names[i+1 : i+2]
		if i == layers-1 {
			out = "y"
		}
		nodes = append(nodes, node("MatMul", name, names[i:i+1]+" "+name, out))
	}
	made := model([]*onnx.Value{value("x", tensor.Float32, 2, n)}, []*onnx.Value{value("y", tensor.Float32, 2, n)}, inits, nodes...)
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := made.Save(path); err != nil {
		t.Fatal(err)
	}
	x := tensor.Of(w[:2*n], 2, n)
	want := run(t, prepared(t, made, engine.Options{}), x)[0].Bytes()
	made, inits = nil, nil
	m, err := onnx.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if proto, weights, err := m.MarshalLean(weightsFile); err != nil || weights == nil || len(proto) > 1<<16 {
		t.Fatalf("the weights are not left in the file: %d bytes, %v", len(proto), err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s := prepared(t, m, engine.Options{})
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
		t.Errorf("a session of %d MB of weights took %d bytes of Go's memory", 4*n*n*layers>>20, took)
	}
	if !bytes.Equal(run(t, s, x)[0].Bytes(), want) {
		t.Error("a session of the mapped file gives other numbers")
	}
}

// Only a SignPack that a convolution's values can reach in blocks is worth the trial.
func TestReadsBlocks(t *testing.T) {
	pack := node(engine.SignPack, "p", "v", "code")
	pack.Domain = engine.Domain
	for _, c := range []struct {
		nodes []*onnx.Node
		want  bool
	}{
		{[]*onnx.Node{node("Conv", "c", "x w", "u"), node("Relu", "r", "u", "v")}, true},
		{[]*onnx.Node{node("Conv", "c", "x w", "u"), node("Add", "a", "x u", "v")}, true},
		{[]*onnx.Node{node("Conv", "c", "x w", "u"), node("Reshape", "s", "u z", "m"), node("Relu", "r", "m", "v")}, false},
		{[]*onnx.Node{node("Conv", "c", "x w", "u"), node("MatMul", "g", "x w", "m"), node("Relu", "r", "m", "v")}, false},
		{nil, false},
	} {
		if got := readsBlocks(&onnx.Graph{Nodes: append(c.nodes, pack)}); got != c.want {
			t.Errorf("%v: %v", c.nodes, got)
		}
	}
}
