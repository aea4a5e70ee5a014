package engine_test

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Whatever makes a value that is too large is refused by the value's name, before
// anything is taken.
func TestCheckMemory(t *testing.T) {
	port := func(name string, dims ...int64) *onnx.Value {
		shape := []onnx.Dim{}
		for _, d := range dims {
			shape = append(shape, onnx.Dim{Size: d})
		}
		return onnx.NewValue(name, tensor.Float32, shape)
	}
	open := func(name string) *onnx.Value { return onnx.NewValue(name, tensor.Undefined, nil) }
	list := func(name string, v ...int64) *onnx.Tensor { return onnx.NewTensor(name, tensor.Of(v, len(v))) }
	number := func(name string, v int64) *onnx.Tensor { return onnx.NewTensor(name, tensor.Scalar(v)) }
	floats := func(name string, v ...float32) *onnx.Tensor {
		return onnx.NewTensor(name, tensor.Of(v, len(v)))
	}
	integer := func(name string, v int64) *onnx.Attr {
		return &onnx.Attr{Name: name, Type: onnx.AttrInt, Int: v}
	}
	model := func(x, y *onnx.Value, op, in string, consts []*onnx.Tensor, attrs ...*onnx.Attr) *onnx.Model {
		n := &onnx.Node{Name: "n", Op: op, Inputs: strings.Split(in, " "), Outputs: []string{"v"}, Attrs: attrs}
		end := &onnx.Node{Name: "end", Op: "Size", Inputs: []string{"v"}, Outputs: []string{"y"}}
		return &onnx.Model{IR: 8, Opsets: []onnx.Opset{{Version: 17}}, Graph: &onnx.Graph{Name: "g", Nodes: []*onnx.Node{n, end},
			Inputs: []*onnx.Value{x}, Outputs: []*onnx.Value{y}, Initializers: consts}}
	}
	consts := func(ts ...*onnx.Tensor) []*onnx.Tensor { return ts }
	image := port("x", 1, 3, 8, 8)
	two := model(port("x", -1, 1<<20), open("v"), "Relu", "x", nil)
	two.Graph.Outputs = append(two.Graph.Outputs, open("w"))
	two.Graph.Nodes[1] = &onnx.Node{Name: "m", Op: "Neg", Inputs: []string{"x"}, Outputs: []string{"w"}}
	const limit = 1 << 30
	for _, c := range []struct {
		name  string
		m     *onnx.Model
		batch int64  // of x, where it is not 0
		want  string // "" is taken
	}{
		{"ConstantOfShape", model(image, open("y"), "ConstantOfShape", "s", consts(list("s", 1<<20, 1<<20))), 0, "[1048576 1048576]"},
		{"Expand", model(port("x", 1), open("y"), "Expand", "x s", consts(list("s", 1<<20, 1<<20))), 0, "4398046511104 bytes (4 TiB)"},
		{"Tile", model(port("x", 1<<20), open("y"), "Tile", "x s", consts(list("s", 1<<20))), 0, "[1099511627776]"},
		{"Range", model(image, open("y"), "Range", "a b c", consts(number("a", 0), number("b", 1<<42), number("c", 1))), 0, "35184372088832 bytes (32 TiB)"},
		{"Range beyond any memory", model(image, open("y"), "Range", "a b c", consts(number("a", 0), number("b", math.MaxInt64), number("c", 1))), 0, "larger than any memory"},
		{"RoiAlign", model(image, open("y"), "RoiAlign", "x r i", consts(onnx.NewTensor("r", tensor.Of(make([]float32, 4), 1, 4)), list("i", 0)), integer("output_height", 1<<20), integer("output_width", 1<<20)), 0, "[1 3 1048576 1048576]"},
		{"Resize", model(image, open("y"), "Resize", "x  s", consts(floats("s", 1, 1, 4096, 4096))), 0, "[1 3 32768 32768]"},
		{"Resize to a size", model(image, open("y"), "Resize", "x   s", consts(list("s", 1, 3, 1<<20, 1<<20))), 0, "[1 3 1048576 1048576]"},
		{"Upsample", model(image, open("y"), "Upsample", "x s", consts(floats("s", 1, 1, 4096, 4096))), 0, "[1 3 32768 32768]"},
		{"Pad", model(image, open("y"), "Pad", "x s", consts(list("s", 0, 0, 1<<20, 1<<20, 0, 0, 0, 0))), 0, "[1 3 1048584 1048584]"},
		{"an axis beyond any memory", model(image, open("y"), "ConstantOfShape", "s", consts(list("s", 1<<50))), 0, "larger than any memory"},
		{"more than int64 holds", model(image, open("y"), "ConstantOfShape", "s", consts(list("s", 1<<40, 1<<40))), 0, "more than 8 EiB"},
		{"a declared output", model(image, port("v", 1<<20, 1<<20), "Frobnicate", "x", nil), 0, `the output "v" has the shape [1048576 1048576] of float32 and takes 4398046511104 bytes (4 TiB), and the limit is 1073741824 bytes (1 GiB)`},
		{"an input", model(port("x", 1<<20, 1<<20), open("y"), "Size", "x", nil), 0, `the input "x"`},
		{"a batch", model(port("x", -1, 1<<20), open("y"), "Relu", "x", nil), 257, `the input "x" has the shape [257 1048576]`},
		{"a batch that fits", model(port("x", -1, 1<<20), open("y"), "Relu", "x", nil), 256, ""},
		{"two outputs", two, 200, `the model's 2 outputs, of which "w" has the shape [200 1048576], take 1677721600 bytes (1.562 GiB) together`},
		{"two outputs that fit", two, 128, ""},
		{"nothing is known", model(port("x", -1, 1<<20), open("y"), "Relu", "x", nil), 0, ""},
		{"no elements", model(image, open("y"), "ConstantOfShape", "s", consts(list("s", 1<<40, 0))), 0, ""},
	} {
		var shapes map[string][]int64
		if c.batch > 0 {
			shapes = map[string][]int64{"x": {c.batch, 1 << 20}}
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := engine.Options{MaxMemory: limit}.CheckMemory(c.m, shapes)
		runtime.ReadMemStats(&after)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "a higher limit") && !strings.Contains(c.want, "any memory")):
			t.Errorf("%s: got %v, want %q and the flag", c.name, err, c.want)
		}
		if asked := after.TotalAlloc - before.TotalAlloc; asked > 1<<20 {
			t.Errorf("%s: it took %d bytes to find out", c.name, asked)
		}
		if err := (engine.Options{}).CheckMemory(c.m, shapes); err != nil {
			t.Errorf("%s, without a limit: %v", c.name, err)
		}
	}
	// A constant of the file takes nothing more, whatever the limit; what is made of it does.
	m := model(port("x", 1), open("y"), "Neg", "c", consts(list("c", make([]int64, 1000)...)))
	for limit, want := range map[int64]bool{8000: true, 7999: false} {
		if err := (engine.Options{MaxMemory: limit}).CheckMemory(m, nil); (err == nil) != want {
			t.Errorf("%d bytes for 8000: %v", limit, err)
		}
	}
	for bits, d := range map[int]tensor.DType{4: tensor.DType(22), 8: tensor.Uint8, 64: tensor.Float64} {
		if got, want := (onnx.Fact{DType: d, Shape: []int64{3}}).Bytes(), int64(3*bits+7)/8; got != want {
			t.Errorf("3 elements of %s: %d bytes, want %d", fmt.Sprint(d), got, want)
		}
	}
}

// plain is a backend that says what it was asked for, and sized one that wants shapes.
type plain struct{ asked *[]string }

func (plain) Name() string                   { return "plain" }
func (plain) Version() string                { return "1" }
func (plain) Available(engine.Options) error { return nil }
func (p plain) Prepare(context.Context, *onnx.Model, engine.Options) (engine.Session, error) {
	*p.asked = append(*p.asked, "plain")
	return nil, nil
}

type sized struct{ plain }

func (s sized) PrepareFor(_ context.Context, m *onnx.Model, inputs map[string][]int64, o engine.Options) (engine.Session, error) {
	*s.asked = append(*s.asked, fmt.Sprint("sized ", inputs, " ", m.IR, " ", o.Threads))
	return nil, nil
}

// Memory is asked after first, and a backend that wants the shapes has them.
func TestPrepare(t *testing.T) {
	x := onnx.NewValue("x", tensor.Float32, []onnx.Dim{{Size: -1}, {Size: 4}})
	m := &onnx.Model{IR: 8, Opsets: []onnx.Opset{{Version: 17}}, Graph: &onnx.Graph{Name: "g", Inputs: []*onnx.Value{x},
		Nodes: []*onnx.Node{{Op: "Relu", Inputs: []string{"x"}, Outputs: []string{"y"}}}, Outputs: []*onnx.Value{onnx.NewValue("y", tensor.Float32, nil)}}}
	o := engine.Options{Threads: 3, MaxMemory: 32}
	for rows, want := range map[int64]string{2: "[plain sized map[x:[2 4]] 8 3]", 3: "[]"} {
		var asked []string
		for _, b := range []engine.Backend{plain{&asked}, sized{plain{&asked}}} {
			_, err := engine.Prepare(t.Context(), b, m, map[string][]int64{"x": {rows, 4}}, o)
			if fits := rows == 2; (err == nil) != fits {
				t.Errorf("%d rows: %v", rows, err)
			}
		}
		if got := fmt.Sprint(asked); got != want {
			t.Errorf("%d rows: asked for %s, want %s", rows, got, want)
		}
	}
}

func TestParseBytes(t *testing.T) {
	for s, want := range map[string]int64{"1": 1, "8GiB": 8 << 30, "8g": 8 << 30, "500MB": 500e6, "1.5 KiB": 1536, "12B": 12, "": 0, "x": 0, "-1": 0, "0": 0, "nan": 0, "inf": 0, "1e300": 0, "GiB": 0, "2TiB": 2 << 40} {
		if n, err := engine.ParseBytes(s); (err == nil) != (want > 0) || n != want {
			t.Errorf("%q: %d, %v", s, n, err)
		}
	}
}

func TestParseBytesSaysWhatIsWrong(t *testing.T) {
	for s, want := range map[string]string{
		"": "is no size", "nan": "is no size", "8 pages": "is no size: write a number of bytes, or one with KB, MB, GB, TB, KiB",
		"0": "is 0 bytes: write 1 or more", "-5": "is -5 bytes", "-1e999": "is -Inf bytes", "0.5": "is 0.5 bytes",
		"99999999999GiB": "is more than any machine has: write less", "1e999": "is more than any machine has",
	} {
		if _, err := engine.ParseBytes(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", s, err, want)
		}
	}
}
