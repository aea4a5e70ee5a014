package main

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/partition"
)

// seven is one of the shipped pictures.
const seven = digits + "/7"

func affineJSON(t *testing.T, args ...string) (r struct {
	Model, Item, File string
	partition.Affine
}) {
	t.Helper()
	decode(t, stdoutOf(t, with([]string{"affine"}, with(args, "--json")...)...), &r)
	return r
}

// outputOf is the model's first output in float64 at an input.
func outputOf(t *testing.T, model string, x *tensor.Tensor) []float64 {
	t.Helper()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "x.npy"), filepath.Join(dir, "y.npy")
	saveArray(t, in, x)
	stdoutOf(t, "run", model, in, "-o", out, "--precision", "float64", "--backend", "gorgonia")
	return readArray(t, out).Float64s()
}

// The map of a picture's region, from the command line to the file and back: it
// gives the network's own outputs at the picture, as run finds them.
func TestAffineMap(t *testing.T) {
	shape := []int{1, 8, 8}
	picture := []string{seven, "--preprocess", "mnist-01", "--index", "3"}
	for model, item := range map[string][]string{mlp: picture, resnet: picture, cnn: {"--random", "8", "--seed", "2", "--index", "3"}} {
		dir := t.TempDir()
		path := filepath.Join(dir, "map.npz")
		a := affineJSON(t, append([]string{model}, with(item, "--all", "-o", path)...)...)
		if len(a.Rows) != 10 || a.File != path || strings.HasSuffix(a.Item, ".png") != (item[0] == seven) {
			t.Errorf("%s: rows %v of item %q in %q", model, a.Rows, a.Item, a.File)
		}
		if a.Check == nil || !a.Check.Exact || a.Check.Error > 1e-12 || len(a.Bent) > 0 || len(a.Unwatched) > 0 {
			t.Errorf("%s: check %+v, bent %q, unwatched %q", model, a.Check, a.Bent, a.Unwatched)
		}
		for _, s := range a.Check.Sides {
			if s.Changed != 0 || s.Beyond == nil || s.Beyond.Crossed == 0 {
				t.Errorf("%s: %+v, beyond %+v", model, s, s.Beyond)
			}
		}
		z, err := tensor.ReadNpzFile(path)
		if err != nil {
			t.Fatal(err)
		}
		w, x, bias, value := z["weight"], z["input"], z["bias"].Float64s(), z["value"].Float64s()
		if !slices.Equal(w.Shape, append([]int{10}, shape...)) || w.DType != tensor.Float64 || !slices.Equal(x.Shape, shape) || len(bias) != 10 || z["row"].DType != tensor.Int64 {
			t.Fatalf("%s: weight %s %v, input %v", model, w.DType, w.Shape, x.Shape)
		}
		in, dim := x.Float64s(), tensor.Count(shape)
		single := make([]float32, dim)
		for i, v := range in {
			single[i] = float32(v)
		}
		y := outputOf(t, model, tensor.Of(single, append([]int{1}, shape...)...))
		for k := range 10 {
			sum := bias[k]
			for i, v := range w.Float64s()[k*dim : (k+1)*dim] {
				sum += v * in[i]
			}
			if math.Abs(sum-y[k]) > 1e-12*max(1, math.Abs(y[k])) || math.Abs(value[k]-sum) > 1e-12*max(1, math.Abs(sum)) {
				t.Errorf("%s: row %d gives %g, its value is %g, the network's %g", model, k, sum, value[k], y[k])
			}
		}
		mf := readManifest(t, path)
		if mf.Kind != "affine" || mf.Precision != "float64" || mf.Backend != "gorgonia" || settingsOf(t, mf)["index"] != 3.0 || settingsOf(t, mf)["item"] != a.Item || (mf.Dataset.IDs == "") != (item[0] != seven) {
			t.Errorf("%s: manifest %+v", model, mf)
		}
		if names := list(t, dir); !slices.Equal(names, []string{"map.npz", "map.npz.manifest.json"}) {
			t.Errorf("the folder holds %q", names)
		}
	}
}

func TestAffineFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "w.npy")
	args := []string{"affine", mlp, "--random", "1", "--seed", "4", "--row", "3", "--row", "1", "-o", path}
	text := stdoutOf(t, args...)
	w := readArray(t, path)
	if !slices.Equal(w.Shape, []int{2, 1, 8, 8}) || w.DType != tensor.Float64 {
		t.Errorf("%s %v", w.DType, w.Shape)
	}
	a := affineJSON(t, mlp, "--random", "1", "--seed", "4", "--row", "3", "--row", "1")
	if !slices.Equal(a.Rows, []int{3, 1}) || a.Along != 3 {
		t.Errorf("rows %v along %d", a.Rows, a.Along)
	}
	norm := 0.0
	for _, v := range w.Float64s()[:64] {
		norm = math.Hypot(norm, v)
	}
	if math.Abs(norm-a.Norm[0]) > 1e-12*norm {
		t.Errorf("norm %g, want %g", a.Norm[0], norm)
	}
	for _, want := range []string{"ROW  VALUE", "row 3 of", "SITE", fmt.Sprintf("%.6g", a.Ahead.Distance), "Exact: inside the region the map is the network"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if r := do(args...); r.code != exitUsage || !strings.Contains(r.messages, "--force replaces it") {
		t.Errorf("a second run: %d, %s", r.code, r.messages)
	}
	stdoutOf(t, with(args, "--force")...)
	x := saveArray(t, filepath.Join(dir, "x.npy"), tensor.Of(make([]float32, 64), 1, 1, 8, 8))
	before := slurp(t, x)
	if r := do("affine", mlp, x, "--force", "-o", x); r.code != exitUsage || slurp(t, x) != before {
		t.Errorf("over its input: %d, %s", r.code, r.messages)
	}
	if r := do("affine", mlp, x); r.code != exitDone {
		t.Errorf("one item needs no --index: %s", r.messages)
	}
}

// A network with smooth activations has a tangent, and the sites that bend it are
// named; a float32 model can be run as it is.
func TestAffineSaysWhatItIs(t *testing.T) {
	a := affineJSON(t, vit, "--random", "1")
	if a.Check.Exact || len(a.Bent) == 0 || !strings.Contains(strings.Join(a.Bent, " "), "(Gelu)") || !strings.Contains(strings.Join(a.Bent, " "), "Softmax") {
		t.Errorf("check %+v, bent %q", a.Check, a.Bent)
	}
	if text := stdoutOf(t, "affine", vit, "--random", "1"); !strings.Contains(text, "Not exact: the network is not piecewise linear") {
		t.Errorf("it says\n%s", text)
	}
	a = affineJSON(t, mlp, "--random", "1", "--precision", "float32")
	if a.Check == nil || !a.Check.Exact || a.Check.Tolerance != partition.Float32Tolerance || a.Check.Error == 0 {
		t.Errorf("in float32: %+v", a.Check)
	}
	// The black of this picture ties the elements of windows.
	if text := stdoutOf(t, "affine", cnn, seven, "--preprocess", "mnist-01", "--index", "2"); !strings.Contains(text, "the item lies on a boundary") || !strings.Contains(text, "nothing to check") {
		t.Errorf("it says\n%s", text)
	}
	all, one := affineJSON(t, resnet, "--random", "1"), affineJSON(t, resnet, "--random", "1", "--sites", "layer2*")
	if len(one.Sites) == 0 || len(one.Sites) >= len(all.Sites) || one.Ahead.Distance != all.Ahead.Distance {
		t.Errorf("%d sites of %d, nearest %v and %v", len(one.Sites), len(all.Sites), one.Ahead, all.Ahead)
	}
	for _, s := range one.Sites {
		if !strings.HasPrefix(s.Site, "layer2") {
			t.Errorf("site %q", s.Site)
		}
	}
}

// Every way in which a map can be worth more or less is said in words.
func TestAffineInWords(t *testing.T) {
	d := []float64{1}
	sites := []partition.Distance{{Site: "relu", Ahead: &partition.Crossing{Distance: 2, Index: []int{0, 3}}}}
	beyond := func(changed, tied, crossed int) *partition.Beyond {
		return &partition.Beyond{At: 3, Error: 0.25, Changed: changed, Tied: tied, Crossed: crossed, Bend: 0.5}
	}
	check := func(exact bool, sides ...partition.Side) *partition.Check {
		return &partition.Check{Exact: exact, Tolerance: 1e-9, Error: 0.125, Sides: sides}
	}
	ahead := func(changed int, b *partition.Beyond) partition.Side {
		return partition.Side{Side: "ahead", At: 1, Error: 1e-15, Changed: changed, Beyond: b}
	}
	for _, c := range []struct {
		name         string
		a            partition.Affine
		want, absent []string
	}{
		{"exact", partition.Affine{Direction: d, Sites: sites, Check: check(true, ahead(0, beyond(1, 1, 1)))},
			[]string{"row 1 of \"y\", the largest, grows", "relu  2      [0 3]  none", "ahead, half way  1         1e-15             0\n", "ahead, beyond    3         0.25        0.5   1, as predicted\n", "Exact: inside"},
			[]string{"knot", "Not exact", "not looked for"}},
		{"not the largest", partition.Affine{Largest: 2, Direction: d, Sites: sites, Check: check(true, ahead(0, nil))},
			[]string{"row 1 of \"y\" grows", "ahead, no boundary  1 "}, []string{"largest, grows"}},
		{"tied units", partition.Affine{Direction: d, Sites: sites, Check: check(true, ahead(0, beyond(3, 2, 2)))}, []string{"3, with 2 of 2 predicted"}, nil},
		{"hidden by rounding", partition.Affine{Direction: d, Sites: sites, Check: check(true, ahead(0, beyond(0, 1, 0)))}, []string{"0, with 0 of 1 predicted", "The boundary ahead was not seen to be crossed"}, nil},
		{"a nearer boundary", partition.Affine{Direction: d, Sites: sites, Check: check(false, ahead(2, beyond(1, 1, 1)))},
			[]string{"2 units changed before the boundary ahead", "Not exact: inside the region the map and the network differ by 0.12, more than the 1e-09"}, nil},
		{"overflow", partition.Affine{Direction: d, Sites: sites, Check: check(false, partition.Side{Side: "behind", At: 1, Error: math.MaxFloat64})}, []string{"behind, no boundary  1         infinite"}, []string{"e+308"}},
		{"bent", partition.Affine{Direction: d, Sites: sites, Bent: []string{"act (Gelu)"}, Check: check(false, ahead(0, nil))}, []string{"not piecewise linear, so this is its tangent. What bends: act (Gelu)."}, []string{"more than the"}},
		{"bent everywhere", partition.Affine{Direction: d, Sites: sites, Bent: slices.Repeat([]string{"act"}, 11), Check: check(false, ahead(0, nil))}, []string{"act, act and 3 more."}, nil},
		{"unwatched", partition.Affine{Direction: d, Sites: sites, Unwatched: []string{"Max \"m\""}, Check: check(true, ahead(0, nil))}, []string{"not looked for, since they are no sites: Max \"m\"."}, nil},
		{"a unit on its knot", partition.Affine{Direction: d, Sites: sites, OnKnot: 1}, []string{"1 unit is exactly on a knot", "nothing to check"}, []string{"Exact"}},
		{"units on their knots", partition.Affine{Direction: d, Sites: sites, OnKnot: 5, Check: check(true, ahead(0, nil))}, []string{"5 units are exactly on a knot", "Exact"}, nil},
		{"no site", partition.Affine{Direction: d, Check: check(true, ahead(0, nil))}, []string{"The network has no site", "Exact"}, []string{"SITE"}},
		{"no direction", partition.Affine{Sites: sites}, []string{"The weight of row 1 of \"y\" is 0", "Choose another with --row."}, []string{"xact", "SITE", "distance 0", "POINT"}},
		{"no direction, bent", partition.Affine{Sites: sites, Bent: []string{"Mul \"m\""}}, []string{"The weight of row 1", "Not exact: the network is not piecewise linear"}, nil},
	} {
		a := c.a
		a.Output, a.Rows, a.Along, a.Value, a.Norm, a.Bias = "y", []int{1}, 1, d, d, d
		if a.Largest == 0 {
			a.Largest = 1
		}
		var b strings.Builder
		a.Print(&b, "--row")
		for _, w := range c.want {
			if !strings.Contains(b.String(), w) {
				t.Errorf("%s: no %q in\n%s", c.name, w, b.String())
			}
		}
		for _, w := range c.absent {
			if strings.Contains(b.String(), w) {
				t.Errorf("%s: %q in\n%s", c.name, w, b.String())
			}
		}
	}
}
