package region

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/gorgonia"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes"
)

// net builds a random network of windows, moves and joins over maps [N,C,H,W].
type net struct {
	*rand.Rand
	g      *onnx.Graph
	signed bool // weights of both signs; else positive, without biases
	n      int
	log    string
}

// feature is a map in a net.
type feature struct {
	name    string
	c, h, w int
}

func (b *net) op(op string, attrs []*onnx.Attr, in ...string) string {
	b.n++
	out := fmt.Sprintf("v%d", b.n)
	b.g.Nodes = append(b.g.Nodes, &onnx.Node{Name: "n" + out, Op: op, Inputs: in, Outputs: []string{out}, Attrs: attrs})
	b.log += fmt.Sprint(" ", op)
	for _, a := range attrs {
		b.log += fmt.Sprint(" ", a.Name, a.Ints, a.Int, string(a.String))
	}
	return out
}

func (b *net) constant(t *tensor.Tensor) string {
	b.n++
	name := fmt.Sprintf("w%d", b.n)
	b.g.Initializers = append(b.g.Initializers, onnx.NewTensor(name, t))
	return name
}

func (b *net) ints(v ...int64) string { return b.constant(tensor.Of(v, len(v))) }

func (b *net) weight(shape ...int) string {
	v := make([]float32, tensor.Count(shape))
	for i := range v {
		if v[i] = 0.5 + b.Float32(); b.signed && b.IntN(2) == 0 {
			v[i] = -v[i]
		}
	}
	return b.constant(tensor.Of(v, shape...))
}

func list(name string, v ...int64) *onnx.Attr {
	return &onnx.Attr{Name: name, Type: onnx.AttrInts, Ints: v}
}

func number(name string, v int64) *onnx.Attr {
	return &onnx.Attr{Name: name, Type: onnx.AttrInt, Int: v}
}

func text(name, v string) *onnx.Attr {
	return &onnx.Attr{Name: name, Type: onnx.AttrString, String: []byte(v)}
}

func (b *net) some(n, low, high int) []int64 {
	v := make([]int64, n)
	for i := range v {
		v[i] = int64(low + b.IntN(high-low+1))
	}
	return v
}

// window is a random geometry; pads stay below the kernel.
func (b *net) window() (attrs []*onnx.Attr, k []int64) {
	k = b.some(2, 1, 4)
	pads := make([]int64, 4)
	for i := range pads {
		pads[i] = b.Int64N(k[i%2])
	}
	attrs = []*onnx.Attr{list("kernel_shape", k...), list("strides", b.some(2, 1, 3)...)}
	if auto := []string{"", "", "SAME_UPPER", "SAME_LOWER", "VALID"}[b.IntN(5)]; auto != "" {
		return append(attrs, text("auto_pad", auto)), k
	}
	return append(attrs, list("pads", pads...), list("dilations", b.some(2, 1, 2)...)), k
}

// grow makes a feature of x; its size is found by inference.
func (b *net) grow(x feature) string {
	switch b.IntN(16) {
	case 0, 1, 2:
		attrs, k := b.window()
		return b.op("Conv", attrs, x.name, b.weight(2, x.c, int(k[0]), int(k[1])))
	case 3: // a dilated one that keeps the size
		return b.op("Conv", []*onnx.Attr{list("dilations", 2, 3), list("pads", 2, 3, 2, 3)}, x.name, b.weight(2, x.c, 3, 3))
	case 4: // branches of a cross, as Inception joins them
		a := b.op("Conv", []*onnx.Attr{list("pads", 0, 2, 0, 2)}, x.name, b.weight(2, x.c, 1, 5))
		c := b.op("Conv", []*onnx.Attr{list("pads", 1, 0, 1, 0)}, x.name, b.weight(2, x.c, 3, 1))
		if b.IntN(2) == 0 {
			return b.op("Concat", []*onnx.Attr{number("axis", 1)}, a, c)
		}
		return b.op("Add", nil, a, c)
	case 5: // a residual block with a stride
		a := b.op("Conv", []*onnx.Attr{list("pads", 1, 1, 1, 1), list("strides", 2, 2)}, x.name, b.weight(2, x.c, 3, 3))
		a = b.op("Relu", nil, a)
		return b.op("Add", nil, b.op("Conv", []*onnx.Attr{list("strides", 2, 2)}, x.name, b.weight(2, x.c, 1, 1)), a)
	case 6:
		attrs, _ := b.window()
		if a := attrs[len(attrs)-1]; a.Name == "dilations" && b.IntN(2) == 0 {
			attrs = append(attrs, number("ceil_mode", 1))
		}
		return b.op("MaxPool", attrs, x.name)
	case 7:
		attrs, _ := b.window()
		if a := attrs[len(attrs)-1]; a.Name == "dilations" {
			attrs = attrs[:len(attrs)-1] // those of pooling came late
			attrs = append(attrs, number("ceil_mode", b.Int64N(2)), number("count_include_pad", b.Int64N(2)))
		} else {
			attrs = attrs[:len(attrs)-1] // the engine refuses some
		}
		return b.op("AveragePool", attrs, x.name)
	case 8:
		return b.op("ConvTranspose", []*onnx.Attr{list("strides", b.some(2, 1, 2)...), list("dilations", b.some(2, 1, 2)...), list("pads", b.some(4, 0, 1)...)},
			x.name, b.weight(x.c, 2, 2+b.IntN(2), 1+b.IntN(3)))
	case 9:
		mode := []string{"constant", "reflect", "edge"}[b.IntN(3)]
		return b.op("Pad", []*onnx.Attr{text("mode", mode)}, x.name, b.ints(0, 0, b.Int64N(3), b.Int64N(3), 0, 0, b.Int64N(2), b.Int64N(2)))
	case 10:
		mode := []string{"nearest", "linear"}[b.IntN(2)]
		return b.op("Resize", []*onnx.Attr{text("mode", mode), text("coordinate_transformation_mode", "half_pixel")}, x.name, "", b.constant(tensor.Of([]float32{1, 1, 2, 2}, 4)))
	case 11:
		return b.op("Slice", nil, x.name, b.ints(b.Int64N(2), 0), b.ints(1<<40, -1), b.ints(2, -1), b.ints(1+b.Int64N(2), 1))
	case 12: // to the last axis, as ConvNeXt does
		t := b.op("Transpose", []*onnx.Attr{list("perm", 0, 2, 3, 1)}, x.name)
		t = b.op("MatMul", nil, t, b.weight(x.c, 3))
		return b.op("Transpose", []*onnx.Attr{list("perm", 0, 3, 1, 2)}, t)
	case 13: // tokens and back, in 2 x 2 windows where they fit
		t := b.op("Transpose", []*onnx.Attr{list("perm", 0, 2, 1)}, b.op("Reshape", nil, x.name, b.ints(0, int64(x.c), -1)))
		t = b.op("Transpose", []*onnx.Attr{list("perm", 0, 2, 1)}, b.op("MatMul", nil, t, b.weight(x.c, 2)))
		return b.op("Reshape", nil, t, b.ints(0, 2, int64(x.h), int64(x.w)))
	case 14:
		if x.h%2 == 0 && x.w%2 == 0 {
			d := b.op("SpaceToDepth", []*onnx.Attr{number("blocksize", 2)}, x.name)
			return b.op("Conv", nil, d, b.weight(4, 4*x.c, 1, 1))
		}
		c := b.op("Conv", nil, x.name, b.weight(8, x.c, 1, 1))
		return b.op("DepthToSpace", []*onnx.Attr{number("blocksize", 2), text("mode", []string{"DCR", "CRD"}[b.IntN(2)])}, c)
	default: // shifted and rolled, as Swin does
		a := b.op("Slice", nil, x.name, b.ints(1), b.ints(1<<40), b.ints(3))
		return b.op("Concat", []*onnx.Attr{number("axis", 3)}, a, b.op("Slice", nil, x.name, b.ints(0), b.ints(1), b.ints(3)))
	}
}

// random makes a net whose activations are ReLUs after every few nodes.
func random(seed uint64, signed bool) (*onnx.Model, *net, feature) {
	b := &net{Rand: rand.New(rand.NewPCG(seed, 1)), g: &onnx.Graph{Name: "random"}, signed: signed}
	x := feature{"x", 2, 6 + b.IntN(7), 6 + b.IntN(7)}
	in := x
	b.g.Inputs = []*onnx.Value{onnx.NewValue("x", tensor.Float32, []onnx.Dim{{Size: -1, Param: "N"}, {Size: 2}, {Size: int64(x.h)}, {Size: int64(x.w)}})}
	m := &onnx.Model{IR: 9, Opsets: []onnx.Opset{{Version: 19}}, Graph: b.g}
	for range 1 + b.IntN(4) {
		nodes, inits := len(b.g.Nodes), len(b.g.Initializers)
		y := b.op("Relu", nil, b.grow(x))
		facts, err := m.Infer(map[string][]int64{"x": {1, 2, int64(in.h), int64(in.w)}})
		f := facts[y]
		if err != nil || !f.Known() || len(f.Shape) != 4 || f.Shape[2] < 2 || f.Shape[3] < 2 || f.Shape[2]*f.Shape[3] > 400 {
			b.g.Nodes, b.g.Initializers = b.g.Nodes[:nodes], b.g.Initializers[:inits]
			continue
		}
		x = feature{y, int(f.Shape[1]), int(f.Shape[2]), int(f.Shape[3])}
	}
	if x.name == "x" {
		x.name = b.op("Relu", nil, "x")
	}
	b.g.Outputs = []*onnx.Value{onnx.NewValue(x.name, tensor.Float32, nil)}
	return m, b, in
}

// seeds are the numbers that random tests begin with: few, or those from
// ONNXPROBE_SEEDS=FROM:TO.
func seeds(few uint64) (from, to uint64) {
	if _, err := fmt.Sscanf(os.Getenv("ONNXPROBE_SEEDS"), "%d:%d", &from, &to); err == nil {
		return from, to
	}
	return 0, few
}

// run gives the outputs of a plan's model by name.
func run(t *testing.T, p *probes.Plan, x *tensor.Tensor) map[string]*tensor.Tensor {
	t.Helper()
	s, err := gorgonia.Backend{}.Prepare(context.Background(), p.Model, engine.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	outs, err := s.Run(context.Background(), []*tensor.Tensor{x})
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]*tensor.Tensor{}
	for i, o := range s.Outputs() {
		named[o.Name] = outs[i]
	}
	return named
}

// units lists the units of one position.
func units(l *Layout, y, x int) (list []int) {
	m := newMask(l.H, l.W)
	m.Set(y, x)
	l.Select(m).runs(func(r stretch) {
		for k := range r.length {
			list = append(list, r.unit+k)
		}
	})
	return list
}

// With positive weights and no biases a unit answers to a picture of one pixel exactly
// when it depends on that pixel.
func TestFieldsAreWhatUnitsDependOn(t *testing.T) {
	ops := map[string]bool{}
	first, last := seeds(60)
	for seed := first; seed < last; seed++ {
		m, b, in := random(seed, false)
		p, err := probes.Attach(m, probes.AttachOptions{Probes: []probes.Probe{floats{}}})
		if err != nil {
			t.Fatalf("seed %d: %s: %v", seed, b.log, err)
		}
		layouts, err := Map(m, &p.Fit, p.Sites)
		if err != nil {
			t.Fatalf("seed %d: %s: %v", seed, b.log, err)
		}
		n := in.h * in.w
		hot := make([]float32, n*2*n)
		for i := range n {
			hot[i*2*n+i], hot[i*2*n+n+i] = 1, 1
		}
		out := run(t, p, tensor.Of(hot, n, 2, in.h, in.w))
		for i := range layouts {
			l, s := &layouts[i], &p.Sites[i]
			if l.Reason != "" || l.Global {
				t.Fatalf("seed %d: %s: site %s: reason %q, global %v", seed, b.log, s.Name, l.Reason, l.Global)
			}
			values := tensor.Data[float32](out["onnxprobe.value/"+s.Name])
			for y := range l.H {
				for x := range l.W {
					holdField(t, fmt.Sprintf("seed %d:%s: site %s at %d,%d", seed, b.log, s.Name, y, x), l, y, x, func(pixel int) bool {
						for _, u := range units(l, y, x) {
							if values[pixel*s.Units+u] != 0 {
								return true
							}
						}
						return false
					})
				}
			}
		}
		for _, n := range m.Graph.Nodes {
			ops[n.Op] = true
		}
		if t.Failed() {
			return
		}
	}
	for _, op := range []string{"Conv", "ConvTranspose", "MaxPool", "AveragePool", "Pad", "Resize", "Slice", "MatMul", "SpaceToDepth", "DepthToSpace", "Concat", "Add"} {
		if !ops[op] {
			t.Errorf("no network had %s", op)
		}
	}
}

// holdField compares a position's field with what answers, and holds the cell to be
// part of it.
func holdField(t *testing.T, at string, l *Layout, y, x int, depends func(pixel int) bool) {
	t.Helper()
	field, cell := l.Field(y, x), l.Cell(y, x)
	for r := range l.InputH {
		for c := range l.InputW {
			got, want := field.Has(r, c), depends(r*l.InputW+c)
			if got != want && !(got && l.Wide) {
				t.Errorf("%s: pixel %d,%d is in the field: got %v, want %v", at, r, c, got, want)
				return
			}
			if cell.Has(r, c) && !got {
				t.Errorf("%s: pixel %d,%d is in the cell and not in the field", at, r, c)
			}
		}
	}
	if (field.Count() > 0) != (cell.Count() > 0) {
		t.Errorf("%s: a field of %d pixels has a cell of %d", at, field.Count(), cell.Count())
	}
}

// Noise outside the fields of the units inside a region changes none of their bits,
// whichever rule says what is inside.
func TestNothingOutsideChangesABit(t *testing.T) {
	changed, regions := 0, 0
	first, last := seeds(20)
	for seed := first; seed < last; seed++ {
		m, b, in := random(seed, true)
		p, err := probes.Attach(m, probes.AttachOptions{})
		if err != nil {
			t.Fatal(err)
		}
		layouts, err := Map(m, &p.Fit, p.Sites)
		if err != nil {
			t.Fatal(err)
		}
		for i := range layouts {
			l := &layouts[i]
			mask := newMask(in.h, in.w)
			y0, x0 := b.IntN(in.h), b.IntN(in.w)
			for y := y0; y < min(y0+3, in.h); y++ {
				for x := x0; x < min(x0+3, in.w); x++ {
					mask.Set(y, x)
				}
			}
			for _, r := range []Rule{Nominal, Any, All} {
				inside, err := l.Positions(mask, r)
				if err != nil {
					t.Fatal(err)
				}
				reach := newMask(in.h, in.w)
				for y := range l.H {
					for x := range l.W {
						if inside.Has(y, x) {
							f := l.Field(y, x)
							met, within := false, true
							for k := range reach.rows {
								reach.rows[k].or(f.rows[k])
								met, within = met || f.rows[k].meets(mask.rows[k]), within && mask.rows[k].holds(f.rows[k])
							}
							if !met || r == All && !within {
								t.Errorf("seed %d: site %s at %d,%d is inside by %s and its field is not", seed, l.Site, y, x, r)
							}
						}
					}
				}
				x := make([]float32, 2*2*in.h*in.w)
				for k := range x[:len(x)/2] {
					x[k] = b.Float32()*2 - 1
					x[len(x)/2+k] = x[k]
					if at := k % (in.h * in.w); !reach.Has(at/in.w, at%in.w) {
						x[len(x)/2+k] = b.Float32()*20 - 10
					}
				}
				codes := tensor.Data[uint8](run(t, p, tensor.Of(x, 2, 2, in.h, in.w))["onnxprobe.code/"+l.Site])
				one, two := codes[:len(codes)/2], codes[len(codes)/2:]
				s := l.Select(inside)
				if n := s.Differ(one, two); n != 0 {
					t.Errorf("seed %d:%s: site %s: %d bits inside changed by %s", seed, b.log, l.Site, n, r)
				}
				changed += probes.Hamming(one, two)
				regions++
			}
		}
	}
	if changed == 0 {
		t.Errorf("in %d regions no bit outside changed: the noise does nothing", regions)
	}
}

// floats is a probe that gives the values before the activations.
type floats struct{ probes.Outputs }

func (floats) Attach(t *probes.Tap) error {
	t.Output("value", tensor.Float32, []int{t.Site.Units}, func() string { return t.Rows(t.Values()) })
	return nil
}
