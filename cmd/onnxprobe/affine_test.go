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
		if mf.Verb != "affine" || mf.Precision != "float64" || mf.Backend != "gorgonia" || mf.Settings["index"] != 3.0 || mf.Settings["item"] != a.Item || (mf.Dataset.IDs == "") != (item[0] != seven) {
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
	if text := stdoutOf(t, "affine", cnn, seven, "--preprocess", "mnist-01", "--index", "2"); !strings.Contains(text, "The item lies on a boundary") || !strings.Contains(text, "nothing to check") {
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
