package probes

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// stacked is the rows of an array as a dataset, in an order of its own.
func stacked(t *testing.T, x *tensor.Tensor, order []int) dataset.Dataset {
	t.Helper()
	var samples [][]float32
	var items []dataset.Item
	for _, k := range order {
		samples, items = append(samples, floatRow(x, k)), append(items, dataset.Item{ID: fmt.Sprint(k), Label: -1})
	}
	ds, err := dataset.Memory(x.Shape[1:], samples, items)
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

// sideOf is the rows of an array in an order.
func sideOf(name string, x *tensor.Tensor, order []int) dataset.Side {
	t, _ := tensor.New(x.DType, append([]int{len(order)}, x.Shape[1:]...)...)
	for i, k := range order {
		t.SetRow(i, x, k)
	}
	return dataset.Side{Name: name, Rows: t}
}

// A picture and its box, through a run: the codes are PyTorch's in any order and in
// batches of any size, and what cannot be used is a row with an error.
func TestCodesOfSeveralInputsAreThoseOfPyTorch(t *testing.T) {
	tested := 0
	eachRegionGolden(t, func(t *testing.T, g *golden, m *onnx.Model) {
		box := g.arrays["box"]
		if box == nil {
			return
		}
		tested++
		want, near := g.arrays["code"], tensor.Data[uint8](g.arrays["near"])
		width := want.Shape[1]
		for _, size := range []int{1, 2, 8} {
			order := []int{2, 0, 1, 1, 2, 0, 0}
			r := open(t, m, AttachOptions{}, size)
			boxes := sideOf("box", box, order)
			tensor.Data[float32](boxes.Rows)[4*3] = float32(math.NaN())
			boxes.Errs = make([]error, len(order))
			boxes.Errs[5] = errors.New("cut off")
			ds, err := dataset.Beside(stacked(t, g.arrays["input"], order), boxes)
			if err != nil {
				t.Fatal(err)
			}
			got := &memory{}
			sum, err := r.Write(context.Background(), ds, got, RunOptions{}, Digest{}, Code{})
			if err != nil || sum.Items != len(order) || sum.Failed != 2 {
				t.Fatalf("%+v, %v", sum, err)
			}
			code := got.cols["code"].Values.([]uint8)
			if ids := got.cols["id"].Values.([]string); strings.Join(ids, "") != "2011200" {
				t.Errorf("the items came as %v", ids)
			}
			for i, k := range order {
				if bad := i == 3 || i == 5; bad || got.cols["code"].Null[i] {
					if !bad || !got.cols["code"].Null[i] {
						t.Errorf("item %d is null: %v", i, !bad)
					}
					continue
				}
				for at := range 8 * width {
					if Bit(code, 8*i*width+at) != Bit(tensor.Data[uint8](want), 8*k*width+at) && !Bit(near, 8*k*width+at) {
						t.Fatalf("batch %d, item %d: bit %d differs", size, i, at)
					}
				}
			}
		}
	})
	if tested < 4 {
		t.Errorf("%d models with a box, want at least 4", tested)
	}
}

// What does not fit a model's other inputs is said before anything runs.
func TestRunBindsInputsByName(t *testing.T) {
	m, err := onnx.Load("../testdata/models/region/regionblip_dynamo.onnx")
	if err != nil {
		t.Fatal(err)
	}
	r := open(t, m, AttachOptions{}, 2)
	x, _ := tensor.New(tensor.Float32, 2, 3, 32, 32)
	box := func(name string, d tensor.DType, shape ...int) dataset.Side {
		rows, _ := tensor.New(d, shape...)
		return dataset.Side{Name: name, Rows: rows}
	}
	for want, sides := range map[string][]dataset.Side{
		`nothing is given for its input "box" (float32 [4])`:          nil,
		`nothing is given for its input "box"`:                        {box("boxes", tensor.Float32, 2, 4)},
		`no input "mask" besides "input"; it has "box" (float32 [4])`: {box("box", tensor.Float32, 2, 4), box("mask", tensor.Int64, 2, 1)},
		`is given rows of int64 [4]`:                                  {box("box", tensor.Int64, 2, 4)},
		`is given rows of float32 [2 2]`:                              {box("box", tensor.Float32, 2, 2, 2)},
	} {
		ds, err := dataset.Beside(stacked(t, x, []int{0, 1}), sides...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Write(context.Background(), ds, &memory{}, RunOptions{}, Digest{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if _, others, err := Inputs(m); err != nil || len(others) != 1 || others[0].Name != "box" {
		t.Errorf("the inputs are %v, %v", others, err)
	}
}

// Local complexity by vertices of the picture with its box, and of the box with its
// picture, against the codes of vertices that are run one by one.
func TestComplexityAroundEachInput(t *testing.T) {
	g, m := regionGolden(t, "regionblip_dynamo")
	const radius = 0.25
	order := []int{1, 0, 2, 1}
	ds, err := dataset.Beside(stacked(t, g.arrays["input"], order), sideOf("box", g.arrays["box"], order))
	if err != nil {
		t.Fatal(err)
	}
	one := open(t, m, AttachOptions{}, 1)
	code := func(x, box []float32) []byte {
		out, err := one.Infer(context.Background(), tensor.Of(x, 1, 3, 32, 32), tensor.Of(box, 1, 4))
		if err != nil {
			t.Fatal(err)
		}
		c := make([]byte, one.Plan.CodeBytes())
		one.codes(c, out, "code")
		return c
	}
	for _, around := range []string{"", "input", "box"} {
		dim := 3 * 32 * 32
		if around == "box" {
			dim = 4
		}
		frame, err := NewFrame(4, dim, 3)
		if err != nil {
			t.Fatal(err)
		}
		nb := Complexity{Frame: frame, Radii: []float64{radius}, Input: around}
		want := make([]int64, 3)
		for k := range want {
			x, box := floatRow(g.arrays["input"], k), floatRow(g.arrays["box"], k)
			some, all := make([]byte, one.Plan.CodeBytes()), slices.Repeat([]byte{0xff}, one.Plan.CodeBytes())
			for j := range nb.vertices() {
				vx, vb := slices.Clone(x), slices.Clone(box)
				if around == "box" {
					nb.vertex(vb, box, frame.scaled(radius), j)
				} else {
					nb.vertex(vx, x, frame.scaled(radius), j)
				}
				c := code(vx, vb)
				or(some, c)
				and(all, c)
			}
			want[k] = int64(Hamming(some, all)) // one knot a site, so a bit a unit
		}
		if slices.Max(want) == 0 {
			t.Errorf("around %q nothing changes", around)
		}
		for _, size := range []int{1, 3, 16} {
			got := &memory{}
			if _, err := open(t, m, AttachOptions{}, size).Write(context.Background(), ds, got, RunOptions{}, nb); err != nil {
				t.Fatal(err)
			}
			for i, k := range order {
				if n := got.ints("complexity")[i]; n != want[k] {
					t.Errorf("around %q in batches of %d, item %d: %d, want %d", around, size, k, n, want[k])
				}
			}
		}
	}
	frame, _ := NewFrame(2, 4, 1)
	for want, around := range map[string]string{"directions of 4 dimensions": "", `"input" and "box" (float32 [4])`: "bix"} {
		nb := Complexity{Frame: frame, Radii: []float64{1}, Input: around}
		if _, err := one.Write(context.Background(), ds, &memory{}, RunOptions{}, nb); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("around %q: %v, want %q", around, err, want)
		}
	}
}

// regionGolden is a model of testdata/models/region with its golden.
func regionGolden(t *testing.T, name string) (g *golden, m *onnx.Model) {
	t.Helper()
	eachRegionGolden(t, func(_ *testing.T, h *golden, n *onnx.Model) {
		if strings.HasSuffix(n.Path, name+".onnx") {
			g, m = h, n
		}
	})
	if m == nil {
		t.Fatalf("no golden of %s", name)
	}
	return g, m
}
