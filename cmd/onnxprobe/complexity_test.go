package main

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// From PNG files and the frame that PyTorch was given to the counts that PyTorch
// gave. A count may be off by the units that lc_ambiguous found within rounding of
// their knot.
func TestComplexityIsThatOfPyTorch(t *testing.T) {
	needORT(t)
	for name, model := range map[string]string{"resnet_basic": resnet, "cnn": cnn} {
		g := readGolden(t, name)
		want, sign3, ambiguous := g.arrays["lc"].Float64s(), g.arrays["lc_sign3"].Float64s(), g.arrays["lc_ambiguous"].Float64s()
		radii := g.arrays["radii"].Float64s()
		items, sites := g.arrays["lc"].Shape[1], g.arrays["lc"].Shape[2]
		dir := t.TempDir()
		frame := saveArray(t, filepath.Join(dir, "frame.npy"), g.arrays["frame"])
		var flags []string
		for _, r := range radii {
			flags = append(flags, "--radius", strconv.FormatFloat(r, 'g', -1, 64))
		}
		for i, file := range []string{"lc.npy", "sign3.npy"} {
			args := with(pictures("complexity", model, g.paths()[:items]...), with(flags, "--frame", frame, "-o", filepath.Join(dir, file))...)
			if i == 1 {
				args, want = append(args, "--sign3"), sign3
			}
			stdoutOf(t, args...)
			got := readArray(t, filepath.Join(dir, file))
			if !slices.Equal(got.Shape, []int{items, len(radii) * sites}) || got.DType != tensor.Int64 {
				t.Fatalf("%s: %s %v, want int64 [items, radii x sites]", file, got.DType, got.Shape)
			}
			exact, off := 0, 0
			for item := range items {
				for r := range radii {
					for s := range sites {
						g := got.Float64s()[(item*len(radii)+r)*sites+s]
						k := (r*items+item)*sites + s // the golden has the radii outside
						if d := math.Abs(g - want[k]); d > ambiguous[k] {
							t.Errorf("%s, %s: item %d, radius %g, site %d: %v units, PyTorch %v, ambiguous %v", name, file, item, radii[r], s, g, want[k], ambiguous[k])
						} else if d > 0 {
							off++
						} else if g > 0 {
							exact++
						}
					}
				}
			}
			if exact < 40 || off > exact/50 {
				t.Errorf("%s, %s: %d counts are PyTorch's, %d off within rounding", name, file, exact, off)
			}
		}
	}
}

func complexityOf(t *testing.T, args ...string) []map[string]any {
	t.Helper()
	return rows(t, stdoutOf(t, with([]string{"complexity", mlp, "--random", "6", "--seed", "5", "-o", "-"}, args...)...))
}

// only is the value of the only key.
func only(t *testing.T, v any) float64 {
	t.Helper()
	by, _ := v.(map[string]any)
	for _, n := range by {
		if f, ok := n.(float64); ok && len(by) == 1 {
			return f
		}
	}
	t.Fatalf("%v, want one number, by the radius", v)
	return 0
}

// A row has the same shape for one radius as for several: what one radius gives is part of
// what several give.
func TestOneShapeOfComplexity(t *testing.T) {
	needORT(t)
	one, several := complexityOf(t, "--radius", "0.05"), complexityOf(t, "--radius", "0.05,0.5")
	for i := range one {
		for _, column := range []string{"complexity", "count", "fraction"} {
			a, b := one[i][column].(map[string]any), several[i][column].(map[string]any)
			if len(a) == 0 || len(b) != 2*len(a) {
				t.Errorf("item %d, %s: %d keys of one radius, %d of two", i, column, len(a), len(b))
			}
			for name, n := range a {
				if b[name] != n || !strings.HasSuffix(name, "0.05") {
					t.Errorf("item %d, %s: %q is %v of one radius, %v of two", i, column, name, n, b[name])
				}
			}
		}
	}
}

func TestFramesAreSavedAndRead(t *testing.T) {
	needORT(t)
	frame := filepath.Join(t.TempDir(), "frame.npy")
	out := filepath.Join(t.TempDir(), "lc.jsonl")
	stdoutOf(t, "complexity", mlp, "--random", "6", "--seed", "5", "--radius", "0.3", "--directions", "9", "--save-frame", frame, "-o", out)
	want := rows(t, slurp(t, out))
	raw := []byte(slurp(t, frame))
	sum := sha256.Sum256(raw[len(raw)-4*9*64:])
	if f, _ := settingsOf(t, readManifest(t, out))["frame"].(map[string]any); f["directions"] != 9.0 || f["sha256"] != hex.EncodeToString(sum[:]) {
		t.Errorf("the manifest has the frame %v, want 9 directions with SHA-256 %x", f, sum)
	}
	if f := readArray(t, frame); !slices.Equal(f.Shape, []int{9, 64}) {
		t.Fatalf("the frame has shape %v, want 9 directions of 64 dimensions", f.Shape)
	}
	got := complexityOf(t, "--radius", "0.3", "--frame", frame)
	if a, b := column(want, "complexity"), column(got, "complexity"); !reflect.DeepEqual(a, b) {
		t.Errorf("with the saved frame %v, want %v", b, a)
	}
	if a, b := column(want, "complexity"), column(complexityOf(t, "--radius", "0.3", "--directions", "20"), "complexity"); reflect.DeepEqual(a, b) {
		t.Error("another frame gives the same counts: this test sees nothing")
	}
	bent := saveArray(t, frame, tensor.Of(slices.Repeat([]float32{1}, 128), 2, 64))
	if r := do("complexity", mlp, "--random", "1", "-o", "-", "--frame", bent); r.code != exitFailed || !strings.Contains(r.messages, "not orthonormal") {
		t.Errorf("a frame that is none: exit code %d: %s", r.code, r.messages)
	}
	small := saveArray(t, frame, tensor.Of([]float32{1, 0, 0, 1}, 2, 2))
	if r := do("complexity", mlp, "--random", "1", "-o", "-", "--frame", small); r.code != exitFailed || !strings.Contains(r.messages, "have 64") {
		t.Errorf("a frame of another space: exit code %d: %s", r.code, r.messages)
	}
}

func TestComplexityFlags(t *testing.T) {
	needORT(t)
	// A larger sphere, or one more vertex, crosses at least the same knots.
	both := complexityOf(t, "--radius", "0.05,0.5")
	near, far := complexityOf(t, "--radius", "0.05"), complexityOf(t, "--radius", "0.5")
	centre := complexityOf(t, "--radius", "0.5", "--include-center")
	gemm := complexityOf(t, "--radius", "0.5", "--include-gemm")
	one := complexityOf(t, "--radius", "0.5", "--sites", inspectJSON(t, mlp).Sites[0].Name)
	grew := false
	for i := range both {
		n, f, c := only(t, near[i]["complexity"]), only(t, far[i]["complexity"]), only(t, centre[i]["complexity"])
		r := both[i]["complexity"].(map[string]any)
		if r["r0.05"] != n || r["r0.5"] != f || n >= f {
			t.Errorf("item %d: both radii %v, one by one %v and %v", i, r, n, f)
		}
		if c < f {
			t.Errorf("item %d: %v with the centre, %v without", i, c, f)
		}
		sum := 0.0
		count, fraction := far[i]["count"].(map[string]any), far[i]["fraction"].(map[string]any)
		for name, k := range count {
			sum += k.(float64)
			if q := fraction[name].(float64); (q == 0) != (k == 0.0) || q > 1 {
				t.Errorf("item %d, site %s: %v units are a fraction of %v", i, name, k, q)
			}
		}
		if sum != f || len(count) != len(inspectJSON(t, mlp).Sites) {
			t.Errorf("item %d: the sites' counts %v add up to %v, not %v", i, count, sum, f)
		}
		g := gemm[i]["count"].(map[string]any)
		grew = grew || only(t, gemm[i]["complexity"]) > f
		for name := range count {
			if g[name] != count[name] {
				t.Errorf("item %d: --include-gemm changes site %s", i, name)
			}
		}
		if len(g) != len(count)+1 {
			t.Errorf("item %d: %d sites with the linear layer, %d without", i, len(g), len(count))
		}
		for name, k := range one[i]["count"].(map[string]any) {
			if count[name] != k || len(one[i]["count"].(map[string]any)) != 1 {
				t.Errorf("item %d: --sites gives %v", i, one[i]["count"])
			}
		}
	}
	if !grew {
		t.Error("--include-gemm counts nothing")
	}
}

// Random points lie where they were asked for: a network that the range does not
// reach would give other counts.
func TestRandomRange(t *testing.T) {
	needORT(t)
	path := filepath.Join(t.TempDir(), "run.npy")
	spread := func(low, high string) float64 {
		stdoutOf(t, "run", mlp, "--random", "200", "--low", low, "--high", high, "-o", path, "--force")
		v := readArray(t, path).Float64s()
		return slices.Max(v) - slices.Min(v)
	}
	if a, b := spread("0", "1e-6"), spread("-100", "100"); !(b > 100*a) {
		t.Errorf("logits of points within 1e-6 spread by %g, within 100 by %g", a, b)
	}
}
