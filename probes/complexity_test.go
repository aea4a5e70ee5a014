package probes

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// points is a dataset in memory, whose items have the IDs a, b and so on; a nil sample
// cannot be read.
func points(shape []int, x [][]float32) dataset.Dataset {
	items := make([]dataset.Item, len(x))
	for i := range items {
		items[i] = dataset.Item{ID: string(rune('a' + i)), Path: "memory", Label: -1}
	}
	ds, err := dataset.Memory(shape, x, items)
	if err != nil {
		panic(err)
	}
	return ds
}

// pointsOf is the first n items of an array [items, ...].
func pointsOf(t *tensor.Tensor, n int) (ds dataset.Dataset) {
	var x [][]float32
	for i := range n {
		x = append(x, floatRow(t, i))
	}
	return points(t.Shape[1:], x)
}

// memory is a sink that keeps what it gets.
type memory struct {
	rows int
	cols map[string]result.Column
}

func (m *memory) Write(cols []result.Column) error {
	if m.cols == nil {
		m.cols = map[string]result.Column{}
	}
	for _, c := range cols {
		k := m.cols[c.Name]
		k.Name, k.Width, k.Parts = c.Name, c.Width, c.Parts
		k.Null = append(k.Null, c.Null...)
		switch v := c.Values.(type) {
		case []string:
			m.rows += len(v) * b2i(c.Name == "id")
			old, _ := k.Values.([]string)
			k.Values = append(old, v...)
		case []int64:
			old, _ := k.Values.([]int64)
			k.Values = append(old, v...)
		case []float64:
			old, _ := k.Values.([]float64)
			k.Values = append(old, v...)
		case []uint8:
			old, _ := k.Values.([]uint8)
			k.Values = append(old, v...)
		}
		m.cols[c.Name] = k
	}
	return nil
}
func (m *memory) Commit(any) error { return nil }
func (m *memory) Abort() error     { return nil }

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (m *memory) ints(name string) []int64 { return m.cols[name].Values.([]int64) }

func complexity(t *testing.T, r *Prober, ds dataset.Dataset, nb Complexity) (*memory, result.Summary) {
	t.Helper()
	m := &memory{}
	sum, err := r.Write(context.Background(), ds, m, RunOptions{}, nb)
	if err != nil {
		t.Fatal(err)
	}
	return m, sum
}

// Local complexity of PyTorch, for the frame it stored, agrees in every site to
// within the units that have a value near a knot at some vertex; both with a
// two-valued and with the authors' three-valued sign.
func TestComplexityIsThatOfPyTorch(t *testing.T) {
	eachEngine(t, func(t *testing.T, g *golden, m *onnx.Model, b engine.Backend) {
		frame, err := FrameOf(g.arrays["frame"])
		if err != nil {
			t.Fatal(err)
		}
		for _, sign3 := range []bool{false, true} {
			want := g.arrays[map[bool]string{false: "lc", true: "lc_sign3"}[sign3]]
			ambiguous := tensor.Data[int64](g.arrays["lc_ambiguous"])
			radii, n, sites := want.Shape[0], want.Shape[1], want.Shape[2]
			r := openOn(t, b, m, AttachOptions{Probes: []Probe{Code{Below: sign3}}}, 11) // does not divide the vertices
			nb := Complexity{Frame: frame, Radii: []float64{0.01, 0.1, 0.5}, Sign3: sign3}
			if radii != len(nb.Radii) {
				t.Fatalf("the golden has %d radii, want %d", radii, len(nb.Radii))
			}
			got, _ := complexity(t, r, pointsOf(g.arrays["input"], n), nb)
			counts, wants := got.ints("count"), tensor.Data[int64](want)
			off, sum := 0, int64(0)
			for i := range n {
				for ri := range radii {
					total := int64(0)
					for s := range sites {
						a, at := counts[(i*radii+ri)*sites+s], (ri*n+i)*sites+s
						total += a
						sum += wants[at]
						if d := a - wants[at]; d < -ambiguous[at] || d > ambiguous[at] {
							t.Fatalf("sign3 %v, radius %g, point %d, site %s: %d units change, PyTorch counts %d and %d near a knot",
								sign3, nb.Radii[ri], i, r.Plan.Sites[s].Name, a, wants[at], ambiguous[at])
						} else if d != 0 {
							off++
						}
						if f := got.cols["fraction"].Values.([]float64)[(i*radii+ri)*sites+s]; f != float64(a)/float64(r.Plan.Sites[s].Units) {
							t.Fatalf("a fraction of %g for %d units of %d", f, a, r.Plan.Sites[s].Units)
						}
					}
					if c := got.ints("complexity")[i*radii+ri]; c != total {
						t.Fatalf("a total of %d, the sites add up to %d", c, total)
					}
				}
			}
			if sum == 0 {
				t.Error("PyTorch's counts are all zero: the golden tests nothing")
			}
			t.Logf("sign3 %v: %d of %d counts differ, within the ambiguous units", sign3, off, len(counts))
		}
	})
}

// network makes a model of one input of d floats from a function that adds its
// nodes and returns the output.
func network(t *testing.T, d int, build func(e *rewrite.Edit, x string) string) *onnx.Model {
	t.Helper()
	m := &onnx.Model{IR: 8, Opsets: []onnx.Opset{{Version: 17}}, Graph: &onnx.Graph{Name: "test",
		Inputs: []*onnx.Value{onnx.NewValue("x", tensor.Float32, []onnx.Dim{{Size: -1, Param: "n"}, {Size: int64(d)}})}}}
	m, err := rewrite.Apply(m, rewrite.Pass{Name: "build", Do: func(e *rewrite.Edit) error {
		e.Output(build(e, "x"), tensor.Float32, nil)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// layer adds x W + b with a Relu; w is [in, out].
func layer(e *rewrite.Edit, x string, w []float32, b []float32) string {
	return e.Op("Relu", nil, e.Op("Gemm", nil, x, e.Const(tensor.Of(w, len(w)/len(b), len(b))), e.Const(tensor.Of(b, len(b)))))
}

// The hand cases of two directions, the unit vectors, radius 1, x = 0 and one
// neuron of weight (1, 0).
func TestComplexityHandCases(t *testing.T) {
	frame, err := FrameOf(tensor.Of([]float32{1, 0, 0, 1}, 2, 2))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		bias          float32
		sign3, centre bool
		want          int64
	}{
		{0.5, false, false, 1}, {1.5, false, false, 0}, {1, false, false, 1}, {-1, false, false, 0},
		{0.5, true, false, 1}, {1.5, true, false, 0}, {1, true, false, 1}, {-1, true, false, 1},
		{0.5, false, true, 1}, {-1, true, true, 1},
	} {
		m := network(t, 2, func(e *rewrite.Edit, x string) string { return layer(e, x, []float32{1, 0}, []float32{c.bias}) })
		r := open(t, m, AttachOptions{Probes: []Probe{Code{Below: c.sign3}}}, 3)
		got, _ := complexity(t, r, points([]int{2}, [][]float32{{0, 0}}), Complexity{Frame: frame, Radii: []float64{1}, Center: c.centre, Sign3: c.sign3})
		if n := got.ints("complexity")[0]; n != c.want {
			t.Errorf("bias %g, sign3 %v, centre %v: complexity %d, want %d", c.bias, c.sign3, c.centre, n, c.want)
		}
	}
	// A bump that only the centre sees: relu(1 - |x| - |y| ...) is on at 0 alone.
	m := network(t, 2, func(e *rewrite.Edit, x string) string {
		h := layer(e, x, []float32{1, -1, 0, 0, 0, 0, 1, -1}, []float32{0, 0, 0, 0})
		return layer(e, h, []float32{-1, -1, -1, -1}, []float32{0.5})
	})
	for _, c := range []struct {
		centre bool
		want   int64
	}{{false, 0}, {true, 1}} {
		r := open(t, m, AttachOptions{}, 4)
		got, _ := complexity(t, r, points([]int{2}, [][]float32{{0, 0}}), Complexity{Frame: frame, Radii: []float64{1}, Center: c.centre})
		if n := got.ints("count")[1]; n != c.want {
			t.Errorf("centre %v: the bump counts %d, want %d", c.centre, n, c.want)
		}
	}
}

// In the first layer no forward pass is needed: the hyperplane of w.x + b meets
// the cross-polytope exactly when |w.x + b| <= r max_p |w.q_p|.
func TestComplexityFirstLayerOracle(t *testing.T) {
	const d, units, n = 37, 101, 9
	rng := rand.New(rand.NewPCG(3, 4))
	normal := func(k int) []float32 {
		v := make([]float32, k)
		for i := range v {
			v[i] = float32(rng.NormFloat64())
		}
		return v
	}
	w, b := normal(d*units), normal(units)
	m := network(t, d, func(e *rewrite.Edit, x string) string { return layer(e, x, w, b) })
	frame, err := NewFrame(7, d, 5)
	if err != nil {
		t.Fatal(err)
	}
	var x [][]float32
	for range n {
		x = append(x, normal(d))
	}
	radii := []float64{0.1, 1, 4}
	r := open(t, m, AttachOptions{}, 8)
	got, _ := complexity(t, r, points([]int{d}, x), Complexity{Frame: frame, Radii: radii})
	counted := int64(0)
	for i, x := range x {
		for ri, radius := range radii {
			want, slack := int64(0), int64(0)
			for u := range units {
				z, reach := float64(b[u]), 0.0
				for k := range d {
					z += float64(w[k*units+u]) * float64(x[k])
				}
				for q := range frame.Directions {
					dot := 0.0
					for k := range d {
						dot += float64(w[k*units+u]) * float64(frame.Data[q*d+k])
					}
					reach = math.Max(reach, math.Abs(dot))
				}
				if math.Abs(z) < radius*reach {
					want++
				}
				if math.Abs(math.Abs(z)-radius*reach) < 1e-5 {
					slack++
				}
			}
			counted += want
			if c := got.ints("count")[i*len(radii)+ri]; c < want-slack || c > want+slack {
				t.Errorf("point %d, radius %g: %d units, the oracle says %d", i, radius, c, want)
			}
		}
	}
	if counted == 0 {
		t.Error("the oracle counts nothing")
	}
}

// A bad item is one row with an error, in its place, and the others keep theirs;
// a batch that does not divide the vertices changes nothing.
func TestComplexityRowsKeepTheirPlace(t *testing.T) {
	m := network(t, 2, func(e *rewrite.Edit, x string) string {
		return layer(e, x, []float32{1, 0, 0, 1}, []float32{0, 0})
	})
	frame, err := NewFrame(2, 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	x := [][]float32{{0, 9}, nil, {9, 9}, {float32(math.NaN()), 0}, {0, 0}, nil}
	var first []int64
	for _, batch := range []int{1, 3, 4, 100} {
		r := open(t, m, AttachOptions{}, batch)
		got, sum := complexity(t, r, points([]int{2}, x), Complexity{Frame: frame, Radii: []float64{1, 2}})
		if sum.Items != 6 || sum.Failed != 3 {
			t.Fatalf("batch %d: %d items, %d failed; want 6 and 3", batch, sum.Items, sum.Failed)
		}
		if ids := got.cols["id"].Values.([]string); !slices.Equal(ids, []string{"a", "b", "c", "d", "e", "f"}) {
			t.Fatalf("batch %d: rows %q", batch, ids)
		}
		if null := got.cols["complexity"].Null; !slices.Equal(null, []bool{false, true, false, true, false, true}) {
			t.Fatalf("batch %d: nulls %v", batch, null)
		}
		c := got.ints("complexity")
		if want := []int64{1, 1, 0, 0, 0, 0, 0, 0, 2, 2, 0, 0}; !slices.Equal(c, want) {
			t.Fatalf("batch %d: complexity %v, want %v", batch, c, want)
		}
		if first == nil {
			first = c
		}
	}
}

// Windows whose arg-max changes count too, with either sign convention.
func TestComplexityOfMaxPool(t *testing.T) {
	m := network(t, 4, func(e *rewrite.Edit, x string) string {
		x = e.Op("Reshape", nil, e.Op("Relu", nil, x), e.Const(tensor.Of([]int64{-1, 1, 2, 2}, 4)))
		return e.Op("MaxPool", map[string]any{"kernel_shape": []int64{2, 2}}, x)
	})
	frame, err := FrameOf(tensor.Of([]float32{1, 0, 0, 0, 0, 1, 0, 0}, 2, 4))
	if err != nil {
		t.Fatal(err)
	}
	for _, sign3 := range []bool{false, true} {
		r := open(t, m, AttachOptions{Probes: []Probe{Code{Below: sign3}}, Sites: site.Options{MaxPool: true}}, 3)
		got, _ := complexity(t, r, points([]int{4}, [][]float32{{5, 5, 4, 4}, {9, 5, 4, 4}}), Complexity{Frame: frame, Radii: []float64{1}, Sign3: sign3})
		if n := got.ints("count"); !slices.Equal(n, []int64{0, 1, 0, 0}) {
			t.Errorf("sign3 %v: counts %v, want the first item's window alone", sign3, n)
		}
	}
}

func TestFrames(t *testing.T) {
	f, err := NewFrame(20, 300, 7)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := FrameOf(f.Tensor()); err != nil {
		t.Errorf("a new frame is refused: %v", err)
	}
	again, _ := NewFrame(20, 300, 7)
	other, _ := NewFrame(20, 300, 8)
	if !slices.Equal(f.Data, again.Data) || slices.Equal(f.Data, other.Data) {
		t.Error("a frame depends on its seed, and on nothing else")
	}
	if _, err := NewFrame(3, 3, 1); err != nil {
		t.Errorf("a full frame: %v", err)
	}
	for _, c := range []struct {
		frame *tensor.Tensor
		want  string
	}{
		{tensor.Of([]float32{1, 0, 1, 0}, 2, 2), "not orthonormal"},
		{tensor.Of([]float32{2, 0, 0, 2}, 2, 2), "not orthonormal"},
		{tensor.Of([]float32{float32(math.NaN()), 0}, 1, 2), "not orthonormal"},
		{tensor.Of([]int64{1, 0}, 1, 2), "array of floats"},
		{tensor.Of([]float32{1}, 1), "array of floats"},
	} {
		if _, err := FrameOf(c.frame); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("frame %v: %v, want %q", c.frame.Data, err, c.want)
		}
	}
	if _, err := NewFrame(4, 3, 1); err == nil || !strings.Contains(err.Error(), "between 1 and 3") {
		t.Errorf("4 directions in 3 dimensions: %v", err)
	}
}

// A frame within some elements is orthonormal and zero elsewhere; within all it is itself.
func TestFrameWithin(t *testing.T) {
	f, err := NewFrame(3, 10, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{3, 5, 10} {
		inside := make([]bool, 10)
		for i := range n {
			inside[(i*7)%10] = true
		}
		g, err := f.Within(inside)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			for j := range 3 {
				dot := 0.0
				for k := range 10 {
					dot += float64(g.Data[i*10+k]) * float64(g.Data[j*10+k])
				}
				if want := map[bool]float64{true: 1}[i == j]; math.Abs(dot-want) > 1e-6 {
					t.Errorf("%d elements: directions %d and %d have product %v", n, i, j, dot)
				}
			}
		}
		for k, v := range g.Data {
			if !inside[k%10] && v != 0 || n == 10 && math.Abs(float64(v-f.Data[k])) > 1e-6 {
				t.Errorf("%d elements: value %d is %v, of the frame %v", n, k, v, f.Data[k])
			}
		}
	}
	for _, inside := range [][]bool{make([]bool, 9), make([]bool, 10), {true, true, 9: false}} {
		if _, err := f.Within(inside); err == nil {
			t.Errorf("%v gives no error", inside)
		}
	}
}
