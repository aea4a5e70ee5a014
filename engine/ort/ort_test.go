//go:build cgo

package ort

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

const (
	cases  = "../../../shared/data/onnx-conformance/"
	models = "../../testdata/models/"
)

// noDouble are the cases in float64 that ONNX Runtime has no kernel for.
var noDouble = append(enginetest.Double("Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "AveragePool", "Conv", "ConvTranspose", "Cosh", "Elu", "Erf", "GlobalAveragePool", "GlobalMaxPool", "HardSigmoid",
	"Hardmax", "InstanceNormalization", "LRN", "Mean", "NonZero", "OneHot", "Resize", "Selu", "Sinh", "Softplus", "Softsign", "Tan", "ThresholdedRelu", "Upsample"),
	"clip of older opsets in float64")

func TestSuite(t *testing.T) { enginetest.Run(t, Backend{}, engine.Options{}, noDouble...) }

func TestSuiteOneThreadNoArena(t *testing.T) {
	enginetest.Run(t, Backend{}, engine.Options{Threads: 1, NoArena: true, Optimize: "none"}, noDouble...)
}

func TestSuiteCUDA(t *testing.T) {
	enginetest.Run(t, Backend{}, engine.Options{Device: engine.Device{Kind: "cuda"}}, noDouble...)
}

func TestConformance(t *testing.T) {
	skips := enginetest.Skips(t, "conformance.txt")
	for _, suite := range []string{"node-opset-latest-2026-08", "node-v1.9.0-opset14", "node-v1.5.0-opset10", "pytorch-converted", "pytorch-operator", "simple"} {
		t.Run(suite, func(t *testing.T) {
			t.Log(enginetest.Conformance(t, Backend{}, engine.Options{Threads: 1}, cases+suite, skips))
		})
	}
	t.Run("light", func(t *testing.T) { t.Log(enginetest.Light(t, Backend{}, engine.Options{Threads: 1}, cases+"light")) })
}

func TestModels(t *testing.T) {
	enginetest.Models(t, Backend{}, engine.Options{Threads: 1}, "../../testdata")
}

// What the optimiser of the graph fuses, it may not change.
func TestOptimizedAgrees(t *testing.T) {
	enginetest.Need(t, Backend{}, engine.Options{})
	all, none := enginetest.Runner{Backend: Backend{}, Options: engine.Options{Threads: 1}}, enginetest.Runner{Backend: Backend{}, Options: engine.Options{Threads: 1, Optimize: "none"}}
	for _, c := range enginetest.Ship(t, "../../testdata") {
		t.Run(c.Name, func(t *testing.T) {
			if c.Model.Graph.Inputs[0].DType == tensor.Float16 {
				t.Skip("half precision rounds every step, and fusion leaves out steps")
			}
			t.Log(enginetest.Agree(t, all, none, c.Model, []*tensor.Tensor{c.Batch()}, enginetest.Alike, 0), "values compared")
		})
	}
}

// model is a graph of the given nodes; inits are its constants.
func model(in, out []*onnx.Value, inits []*onnx.Tensor, nodes ...*onnx.Node) *onnx.Model {
	return &onnx.Model{IR: 8, Opsets: []onnx.Opset{{Version: 17}, {Domain: "com.example", Version: 1}},
		Graph: &onnx.Graph{Name: "g", Inputs: in, Outputs: out, Initializers: inits, Nodes: nodes}}
}

func value(name string, d tensor.DType, sizes ...int64) *onnx.Value {
	shape := []onnx.Dim{}
	for _, n := range sizes {
		shape = append(shape, onnx.Dim{Size: n})
	}
	return onnx.NewValue(name, d, shape)
}

func node(op, name, in, out string) *onnx.Node {
	return &onnx.Node{Name: name, Op: op, Inputs: strings.Fields(in), Outputs: strings.Fields(out)}
}

func prepared(t testing.TB, m *onnx.Model, o engine.Options) engine.Session {
	t.Helper()
	enginetest.Need(t, Backend{}, o)
	s, err := Backend{}.Prepare(context.Background(), m, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func run(t testing.TB, s engine.Session, in ...*tensor.Tensor) []*tensor.Tensor {
	t.Helper()
	out, err := s.Run(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// An output whose shape depends on the input's values cannot be remembered from
// the run before.
func TestShapeDependsOnValues(t *testing.T) {
	s := prepared(t, model([]*onnx.Value{value("x", tensor.Float32, 4)}, []*onnx.Value{onnx.NewValue("y", tensor.Int64, nil)}, nil,
		node("NonZero", "n", "x", "y")), engine.Options{})
	for i, c := range []struct {
		x    []float32
		want []int64
	}{{[]float32{1, 0, 0, 1}, []int64{0, 3}}, {[]float32{0, 1, 1, 1}, []int64{1, 2, 3}}, {make([]float32, 4), []int64{}}, {[]float32{0, 0, 2, 0}, []int64{2}}} {
		got := run(t, s, tensor.Of(c.x, 4))
		if err := enginetest.Equal(got, []*tensor.Tensor{tensor.Of(c.want, 1, len(c.want))}, 0); err != nil {
			t.Errorf("run %d: %v", i, err)
		}
	}
	// Known by now, so that no run is done twice.
	if got := s.(*session).expect([]*tensor.Tensor{tensor.Of(make([]float32, 4), 4)}); got[0] != nil {
		t.Errorf("the session expects the shape %v", got[0])
	}
}

// Shapes are remembered for inputs of the same shapes and for no others, and not
// where the caller could change them; otherwise runs would be done twice.
func TestShapesAreRemembered(t *testing.T) {
	s := prepared(t, model([]*onnx.Value{value("x", tensor.Float32, -1, 2)}, []*onnx.Value{onnx.NewValue("y", tensor.Float32, nil)}, nil,
		node("Relu", "r", "x", "y")), engine.Options{}).(*session)
	for _, n := range []int{2, 2, 5, 5, 1} {
		x := tensor.Of(make([]float32, n*2), n, 2)
		run(t, s, x)[0].Shape[0] = 99
		if s.depends[0] {
			t.Fatalf("after a batch of %d the shape is taken for one that depends on values", n)
		}
		if got := fmt.Sprint(s.expect([]*tensor.Tensor{x})); got != fmt.Sprintf("[[%d 2]]", n) {
			t.Errorf("after a batch of %d the session expects %s", n, got)
		}
	}
}

// A model may declare a shape that is not the one it makes.
func TestDeclaredShapeIsWrong(t *testing.T) {
	s := prepared(t, model([]*onnx.Value{value("x", tensor.Float32, 4), value("shape", tensor.Int64, 2)},
		[]*onnx.Value{value("y", tensor.Float32, 4, 1)}, nil, node("Reshape", "r", "x shape", "y")), engine.Options{})
	if got := s.Outputs()[0].Shape; fmt.Sprint(got) != "[4 1]" {
		t.Fatalf("the declared shape is %v; this test wants one that is wrong", got)
	}
	x := tensor.Of([]float32{1, 2, 3, 4}, 4)
	for range 3 {
		got := run(t, s, x, tensor.Of([]int64{2, 2}, 2))
		if err := enginetest.Equal(got, []*tensor.Tensor{tensor.Of([]float32{1, 2, 3, 4}, 2, 2)}, 0); err != nil {
			t.Error(err)
		}
	}
}

func TestExternalData(t *testing.T) {
	inside, err := onnx.Load(models + "cnn_dynamo.onnx")
	if err != nil {
		t.Fatal(err)
	}
	outside, err := onnx.Load(models + "cnn_external.onnx")
	if err != nil {
		t.Fatal(err)
	}
	if !outside.HasExternal() {
		t.Fatal("the test model has no external data")
	}
	a, b := prepared(t, inside, engine.Options{}), prepared(t, outside, engine.Options{})
	shape := a.Inputs()[0].Shape
	for i, d := range shape {
		if d < 0 {
			shape[i] = 2
		}
	}
	data := make([]float32, tensor.Count(shape))
	for i := range data {
		data[i] = float32(i%17) / 17
	}
	x := tensor.Of(data, shape...)
	if err := enginetest.Equal(run(t, b, x), run(t, a, x), 0); err != nil {
		t.Error(err)
	}
	// Weights that stay in their file go through other kernels, which round differently.
	if err := enginetest.Equal(run(t, prepared(t, outside, engine.Options{NoArena: true}), x), run(t, a, x), 1e-5); err != nil {
		t.Error(err)
	}
}

// Model caches lay files out as links, which ONNX Runtime does not follow.
func TestExternalDataBehindLinks(t *testing.T) {
	enginetest.Need(t, Backend{}, engine.Options{})
	dir := t.TempDir()
	for _, name := range []string{"cnn_external.onnx", "cnn_external.onnx.data"} {
		real, err := filepath.Abs(models + name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(real, filepath.Join(dir, name)); err != nil {
			t.Skip(err)
		}
	}
	m, err := onnx.LoadWith(filepath.Join(dir, "cnn_external.onnx"), onnx.LoadOptions{AllowLinks: true})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Backend{}.Prepare(context.Background(), m, engine.Options{})
	if err == nil {
		s.Close() // a release that follows them needs no remedy
	} else if !strings.Contains(err.Error(), "into one folder") {
		t.Errorf("the error has no remedy: %v", err)
	}
}

func TestUnsupported(t *testing.T) {
	enginetest.Need(t, Backend{}, engine.Options{})
	foreign := node("Mine", "theirs", "x", "y")
	foreign.Domain = "com.example"
	for _, c := range []struct {
		name string
		n    *onnx.Node
		d    tensor.DType
	}{
		{"an unknown operator", node("Nope", "mine", "x", "y"), tensor.Float32},
		{"another domain", foreign, tensor.Float32},
		{"no kernel for the type", node("Max", "typed", "x x", "y"), tensor.Int16},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Backend{}.Prepare(context.Background(), model([]*onnx.Value{value("x", c.d, 2)}, []*onnx.Value{onnx.NewValue("y", c.d, nil)}, nil, c.n), engine.Options{})
			u := new(engine.UnsupportedError)
			if !errors.As(err, &u) || len(u.Nodes) != 1 || u.Nodes[0] != c.n {
				t.Fatalf("got %v, want an UnsupportedError with the node %q", err, c.n.Name)
			}
		})
	}
	_, err := Backend{}.Prepare(context.Background(), model([]*onnx.Value{value("x", tensor.String, 2)}, []*onnx.Value{value("y", tensor.String, 2)}, nil, node("Identity", "i", "x", "y")), engine.Options{})
	if err == nil || !strings.Contains(err.Error(), `"x"`) || !strings.Contains(err.Error(), "string") {
		t.Errorf("a model of strings: got %v, want an error that names the input and its type", err)
	}
}

// Outputs given, outputs copied and failed runs must all give back what they
// took: a leak of one 1 MB output a run would show as 200 MB.
func TestMemoryIsFlat(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	s := prepared(t, model([]*onnx.Value{value("x", tensor.Float32, -1, 1024)},
		[]*onnx.Value{onnx.NewValue("y", tensor.Float32, nil), onnx.NewValue("z", tensor.Int64, nil)}, nil,
		node("Relu", "r", "x", "y"), node("NonZero", "n", "x", "z")), engine.Options{})
	x := make([]float32, 256*1024)
	once := func(i int) {
		for k := range x {
			x[k] = float32((k * i) % 3)
		}
		run(t, s, tensor.Of(x, 256, 1024))
		if _, err := s.Run(context.Background(), []*tensor.Tensor{tensor.Of(x[:5], 5)}); err == nil {
			t.Fatal("a wrong input passed")
		}
	}
	for i := range 20 {
		once(i)
	}
	before := rss(t)
	for i := range 200 {
		once(i)
	}
	if grown := rss(t) - before; grown > 64<<20 {
		t.Errorf("200 runs took %d MB more than 20", grown>>20)
	}
}

func rss(t *testing.T) int {
	runtime.GC()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// TestSlots compares the numbers in ortapi.h with the header that the binding
// brings.
func TestSlots(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/yalue/onnxruntime_go").Output()
	if err != nil {
		t.Skipf("go list: %v", err)
	}
	header, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "onnxruntime_c_api.h"))
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(header), "struct OrtApi {")
	body, _, _ = strings.Cut(body, "\n};")
	body = regexp.MustCompile(`(?s)/\*.*?\*/|//[^\n]*|(?m:^\s*#.*$)`).ReplaceAllString(body, "")
	slots := map[string]int{}
	for _, form := range []string{`ORT_API2_STATUS\((\w+)`, `ORT_CLASS_RELEASE\((\w+)`, `ORT_API_T\([^,]*, *(\w+)`, `\(ORT_API_CALL\s*\*\s*(\w+)\)`} {
		at := regexp.MustCompile(`^[\w*\s]*?` + form)
		for i, decl := range strings.Split(body, ";") {
			if g := at.FindStringSubmatch(decl); g != nil {
				slots[strings.TrimPrefix(form, `ORT_CLASS_`)[:3]+g[1]] = i
			}
		}
	}
	mine, err := os.ReadFile("ortapi.h")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, g := range regexp.MustCompile(`(?m)^  op_(\w+) = (\d+),`).FindAllStringSubmatch(string(mine), -1) {
		n++
		got := -1
		for _, key := range []string{"ORT" + g[1], "REL" + strings.TrimPrefix(g[1], "Release"), `\(O` + g[1]} {
			if i, ok := slots[key]; ok {
				got = i
				break
			}
		}
		if fmt.Sprint(got) != g[2] {
			t.Errorf("%s is slot %d in the header, %s in ortapi.h", g[1], got, g[2])
		}
	}
	if n < 25 {
		t.Errorf("found only %d slots in ortapi.h", n)
	}
}

// Late enough that ONNX Runtime is at it, which the case of the suite need not be.
func TestOptimizerIsCancelled(t *testing.T) {
	enginetest.Need(t, Backend{}, engine.Options{})
	enginetest.PreparingEnds(t, Backend{}, engine.Options{}, 3)
}
