package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Flags of ONNX Runtime's are refused with the other engine, not ignored.
func TestForeignFlags(t *testing.T) {
	for _, verb := range [][]string{{"codes", mlp, "--random", "1", "-o", "-", "--backend", "gorgonia"}, {"affine", mlp, "--random", "1"}} {
		for _, flag := range [][]string{{"--optimize", "none"}, {"--no-arena"}, {"--library", "x.so"}} {
			r := do(with(verb, flag...)...)
			want := flag[0] + " is ONNX Runtime's"
			if verb[0] == "affine" && flag[0] == "--library" { // which asks for that engine
				want = "gives no derivatives"
			}
			if r.code != exitUsage || !strings.Contains(r.messages, want) {
				t.Errorf("%s %s: exit code %d, want 2 with %q\n%s", verb[0], flag[0], r.code, want, r.messages)
			}
		}
	}
}

// An array of float64 is rounded to float32, and that is said, by the manifest too.
func TestRoundedInputs(t *testing.T) {
	dir := t.TempDir()
	for name, v := range map[string]*tensor.Tensor{"double": tensor.Of(make([]float64, 64), 1, 1, 8, 8), "single": tensor.Of(make([]float32, 64), 1, 1, 8, 8)} {
		path := filepath.Join(dir, name+".npy")
		var b strings.Builder
		if err := tensor.WriteNpy(&b, v); err != nil {
			t.Fatal(err)
		}
		spill(t, path, []byte(b.String()))
		out := filepath.Join(dir, name+".jsonl")
		r := do("codes", mlp, path, "--backend", "gorgonia", "--precision", "float64", "-o", out)
		m := slurp(t, out+".manifest.json")
		double := name == "double"
		if r.code != exitDone || strings.Contains(r.messages, "holds float64, which is rounded to float32") != double || strings.Contains(m, `"rounded_from": "float64"`) != double {
			t.Errorf("%s: exit code %d\n%s\n%s", name, r.code, r.messages, m)
		}
	}
}

// A manifest says of a 16-bit model that it is one.
func TestPrecisionOfHalf(t *testing.T) {
	needORT(t)
	for name, want := range map[string]string{"mlp_fp16": "float16 as the model has it, widened to float32 at its sites, TF32 off", "mlp_dynamo": "float32, TF32 off"} {
		out := filepath.Join(t.TempDir(), "codes.jsonl")
		if r := do("codes", filepath.Join(data, "models", name+".onnx"), "--random", "1", "--backend", "ort", "-o", out); r.code != exitDone {
			t.Fatalf("%s: %s", name, r.messages)
		}
		if m := readManifest(t, out); m.Precision != want {
			t.Errorf("%s: precision %q, want %q", name, m.Precision, want)
		}
	}
}
