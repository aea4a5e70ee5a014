package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

// With --precision float64 auto takes the pure-Go engine, says so, and records it;
// the codes are those of float32 but for bits within rounding.
func TestPrecision(t *testing.T) {
	dir := t.TempDir()
	wide := filepath.Join(dir, "wide.npy")
	r := do(pictures("codes", resnet, seven, "-o", wide, "--precision", "float64")...)
	if r.code != exitDone || !strings.Contains(r.messages, "engine: gorgonia") || !strings.Contains(r.messages, "in float64") {
		t.Fatalf("%d: %s", r.code, r.messages)
	}
	if m := readManifest(t, wide); m.Precision != "float64" || m.Backend != "gorgonia" || m.SHA256[filepath.Base(resnet)] == "" {
		t.Errorf("manifest %+v", m)
	}
	single := filepath.Join(dir, "single.npy")
	stdoutOf(t, pictures("codes", resnet, seven, "-o", single, "--precision", "float32", "--backend", "gorgonia")...)
	if m := readManifest(t, single); m.Precision != "float32, TF32 off" {
		t.Errorf("precision %q", m.Precision)
	}
	a, b := readArray(t, wide).Data.([]uint8), readArray(t, single).Data.([]uint8)
	if n := probes.Hamming(a, b); n > len(a)*8/10000 {
		t.Errorf("%d of %d bits differ", n, len(a)*8)
	}
	for _, args := range [][]string{
		{"complexity", mlp, "--random", "2", "-o", filepath.Join(dir, "lc.npy")},
		{"run", mlp, "--random", "2", "-o", filepath.Join(dir, "y.npy")},
	} {
		stdoutOf(t, with(args, "--precision", "float64")...)
		if m := readManifest(t, args[len(args)-1]); m.Precision != "float64" {
			t.Errorf("%s: precision %q", args[0], m.Precision)
		}
	}
}

// ONNX Runtime has no convolution in float64; what it says comes with the way out.
func TestRefusedInFloat64(t *testing.T) {
	needORT(t)
	for _, args := range [][]string{
		pictures("run", resnet, seven, "--backend", "ort", "--precision", "float64"),
		pictures("compare", resnet, seven, "-a", "ort,precision=float64", "-b", "gorgonia"),
	} {
		if r := do(args...); r.code != exitFailed || !strings.Contains(r.messages, "Conv") || !strings.HasSuffix(r.messages, "; for float64 try the engine gorgonia\n") {
			t.Errorf("%q: %d, %s", args, r.code, r.messages)
		}
	}
}

// swallows is a model whose float32 arithmetic loses what its input adds to a
// large number, so that its bits are 0 although the values are above 0.
func swallows(t *testing.T) string {
	t.Helper()
	m := &onnx.Model{IR: 8, Opsets: []onnx.Opset{{Version: 17}}, Graph: &onnx.Graph{Name: "test",
		Inputs: []*onnx.Value{onnx.NewValue("x", tensor.Float32, []onnx.Dim{{Size: -1, Param: "n"}, {Size: 3}})}}}
	m, err := rewrite.Apply(m, rewrite.Pass{Name: "build", Do: func(e *rewrite.Edit) error {
		big := e.Const(tensor.Scalar(float32(1 << 27)))
		e.Output(e.Op("Relu", nil, e.Op("Sub", nil, e.Op("Add", nil, "x", big), big)), tensor.Float32, nil)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "swallows.onnx")
	if err := m.Save(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// Every flip is decided for one side or the other, site by site and in total, and
// in words; a side in float64 is right wherever it is asked.
func TestCompareJudges(t *testing.T) {
	needORT(t)
	planted := swallows(t)
	// 1, 2 and 0.5 are lost in float32; 64 survives; -1 and 0 are above 0 neither way.
	x := saveArray(t, filepath.Join(t.TempDir(), "x.npy"), tensor.Of([]float32{1, 64, -1, 64, 64, 64, 0, 0.5, 2}, 3, 3))
	for _, c := range []struct {
		name        string
		args        []string
		a, b        string
		flips       int64 // -1: as rounding has it
		right       string
		most, items float64
	}{
		{"planted, float64 is b", []string{planted, x}, "ort", "gorgonia,precision=float64", 3, "b", 2, 3},
		{"planted, float64 is a", []string{planted, x}, "gorgonia,precision=float64,codes=host", "ort", 3, "a", 2, 3},
		{"planted, both in float32", []string{planted, x}, "ort", "gorgonia", 0, "", 0, 3},
		{"two engines", []string{resnet, "--random", "40", "--low", "-300", "--high", "300", "--include-maxpool"}, "ort", "gorgonia", -1, "", 0, 40},
		{"real pictures", pictures("compare", resnet, digits)[1:], "ort", "gorgonia,precision=float64", -1, "b", 0, 100},
	} {
		args := with(with([]string{"compare"}, c.args...), "-a", c.a, "-b", c.b, "--decide", "float64")
		var d probes.Diff
		decode(t, stdoutOf(t, with(args, "--json")...), &d)
		var flips, forA, forB int64
		for _, s := range d.Sites {
			flips, forA, forB = flips+s.Flips, forA+*s.ForA, forB+*s.ForB
			if s.Flips != *s.ForA+*s.ForB {
				t.Errorf("%s: site %s: %d flips, %d for a and %d for b", c.name, s.Site, s.Flips, *s.ForA, *s.ForB)
			}
			if c.flips < 0 && s.Flips > 0 && !(s.Margin <= 1e-5*s.Scale) || c.flips >= 0 && s.Margin != c.most {
				t.Errorf("%s: site %s: a margin of %g of %g", c.name, s.Site, s.Margin, s.Scale)
			}
		}
		if d.Judge != "gorgonia" || forA != *d.ForA || forB != *d.ForB || float64(d.Items) != c.items || c.flips >= 0 && flips != c.flips {
			t.Errorf("%s: judge %q, %d flips in %d items, %d and %d, the sites' are %d and %d", c.name, d.Judge, flips, d.Items, *d.ForA, *d.ForB, forA, forB)
		}
		if c.right == "b" && forA > 0 || c.right == "a" && forB > 0 {
			t.Errorf("%s: %d for a and %d for b", c.name, forA, forB)
		}
		said := stdoutOf(t, args...)
		if last := fmt.Sprintf("\nfloat64 decides %s for a (%s) and %s for b (%s)\n", text.Grouped(forA), c.a, text.Grouped(forB), c.b); !strings.HasSuffix(said, last) || !strings.Contains(said, "FOR A  FOR B") {
			t.Errorf("%s: it does not end with %q:\n%s", c.name, last, said)
		}
	}
	if plain := stdoutOf(t, "compare", resnet, "--random", "2"); strings.Contains(plain, "FOR A") || strings.Contains(plain, "decides") {
		t.Errorf("without a judge:\n%s", plain)
	}
}
