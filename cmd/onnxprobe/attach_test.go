package main

import (
	"context"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// outputsOf runs a model file as any user of ONNX Runtime would, without what
// this program knows of probes.
func outputsOf(t *testing.T, path string, in ...*tensor.Tensor) (names []string, by map[string]*tensor.Tensor) {
	t.Helper()
	m, err := onnx.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ort.Backend{}.Prepare(context.Background(), m, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out, err := s.Run(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	by = map[string]*tensor.Tensor{}
	for i, p := range s.Outputs() {
		names = append(names, p.Name)
		by[p.Name] = out[i]
	}
	return names, by
}

// digitsArray writes the golden's inputs of a network as a .npy file.
func digitsArray(t *testing.T, name string) (string, *tensor.Tensor) {
	in := readGolden(t, name).arrays["input"]
	return saveArray(t, filepath.Join(t.TempDir(), "x.npy"), in), in
}

func TestAttachedModelGivesTheSameCodes(t *testing.T) {
	needORT(t)
	path, in := digitsArray(t, "resnet_basic")
	dir := t.TempDir()
	// The fixed export too: its batch of 1 is free in the probed model.
	for _, model := range []string{resnet, data + "models/resnet_basic_torchscript_fixed.onnx", data + "models/acts_dynamo.onnx"} {
		probed := filepath.Join(dir, "sub", filepath.Base(model))
		said := stdoutOf(t, "attach", model, "-o", probed)
		if !strings.Contains(said, probed) || !strings.Contains(said, " sites, ") {
			t.Errorf("attach prints %q", said)
		}
		names, out := outputsOf(t, probed, in)
		own, want := outputsOf(t, resnet, in)
		if model == resnet {
			if names[0] != own[0] || !slices.Equal(out[own[0]].Float64s(), want[own[0]].Float64s()) {
				t.Errorf("the first output is %q, want the model's own %q, unchanged", names[0], own[0])
			}
		}
		sites := inspectJSON(t, model).Sites
		codes := slices.DeleteFunc(slices.Clone(names[1:]), func(name string) bool { return strings.HasPrefix(name, "onnxprobe.nan/") })
		if len(codes) != len(sites) {
			t.Errorf("%s: %d outputs for %d sites", model, len(codes), len(sites))
		}
		for i, r := range codesOf(t, "codes", model, path) {
			var code []byte
			for _, s := range sites {
				n := s.Bytes()
				code = append(code, tensor.Data[uint8](out["onnxprobe.code/"+s.Name])[i*n:(i+1)*n]...)
			}
			if hex.EncodeToString(code) != r["code"] {
				t.Fatalf("%s: item %d has another code than the codes verb gives", model, i)
			}
		}
	}
}

func TestAttachSign3AndFragile(t *testing.T) {
	needORT(t)
	_, in := digitsArray(t, "resnet_basic")
	probed := filepath.Join(t.TempDir(), "p.onnx")
	stdoutOf(t, "attach", resnet, "-o", probed, "--sites", "layer1.*", "--sign3", "--fragile", "1e9")
	names, out := outputsOf(t, probed, in)
	if len(names) != 1+3*4 {
		t.Errorf("outputs %q, want the model's own and three for each of 4 sites", names)
	}
	for _, site := range []string{"layer1.0.relu", "layer1.1.relu_1"} {
		code, below := tensor.Data[uint8](out["onnxprobe.code/"+site]), tensor.Data[uint8](out["onnxprobe.below/"+site])
		some := false
		for i := range code {
			if code[i]&below[i] != 0 {
				t.Fatalf("%s: a value lies both above and below its knot", site)
			}
			some = some || below[i] != 0
		}
		if !some {
			t.Errorf("%s: nothing lies below its knot", site)
		}
		if n := out["onnxprobe.fragile/"+site].Float64s(); len(n) != 16 || n[0] != 512 {
			t.Errorf("%s: %v units lie within 1e9 of a knot, want all 512", site, n)
		}
	}
	if r := do("attach", probed, "-o", probed+"2"); r.code != exitFailed || !strings.Contains(r.messages, "probed already") {
		t.Errorf("attaching twice: exit code %d: %s", r.code, r.messages)
	}
}

// Weights outside the model file stay where they are.
func TestAttachExternalData(t *testing.T) {
	needORT(t)
	_, in := digitsArray(t, "cnn")
	dir := t.TempDir()
	model := duplicate(t, data+"models/cnn_external.onnx", filepath.Join(dir, "cnn_external.onnx"))
	weights := duplicate(t, data+"models/cnn_external.onnx.data", filepath.Join(dir, "cnn_external.onnx.data"))
	before := slurp(t, weights)
	beside := filepath.Join(dir, "probed.onnx")
	stdoutOf(t, "attach", model, "-o", beside)
	_, got := outputsOf(t, beside, in)
	_, want := outputsOf(t, cnn, in)
	for name, w := range want {
		if !slices.Equal(got[name].Float64s(), w.Float64s()) {
			t.Errorf("output %q differs from that of the model with its weights inside", name)
		}
	}
	if slurp(t, weights) != before {
		t.Error("attach changed the weights")
	}
	if info, err := os.Stat(beside); err != nil || info.Size() > int64(len(before)) {
		t.Errorf("the probed model has %d bytes (error %v): the weights of %d are in it", info.Size(), err, len(before))
	}
	elsewhere := filepath.Join(t.TempDir(), "probed.onnx")
	r := do("attach", model, "-o", elsewhere)
	if r.code != exitFailed || !strings.Contains(r.messages, "cnn_external.onnx.data") || !strings.Contains(r.messages, "save it there, or copy that data first") {
		t.Errorf("into another folder: exit code %d: %s", r.code, r.messages)
	}
	if left := list(t, filepath.Dir(elsewhere)); len(left) > 0 {
		t.Errorf("it left %q", left)
	}
	os.Remove(weights)
	if r := do("attach", model, "-o", beside, "--force"); r.code != exitFailed || !strings.Contains(r.messages, "cnn_external.onnx.data") {
		t.Errorf("without its weights: exit code %d: %s", r.code, r.messages)
	}
}

func TestAttachSaysWhatItMade(t *testing.T) {
	probed := filepath.Join(t.TempDir(), "p.onnx")
	var got struct {
		Model string
		Sites []struct{ Name string }
		Units int
		Bytes int `json:"code_bytes"`
	}
	decode(t, stdoutOf(t, "attach", resnet, "-o", probed, "--json"), &got)
	if got.Model != probed || len(got.Sites) != 9 || got.Units != 3200 || got.Bytes != 400 {
		t.Errorf("--json says %+v", got)
	}
}
