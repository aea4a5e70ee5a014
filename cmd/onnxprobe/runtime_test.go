package main

import (
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/engine/ort/install"
)

// Every verb that runs a model ends with exit code 4 where there is no GPU, with
// what is missing, and what to do about it, in its message.
func TestNoGPUForAnyVerb(t *testing.T) {
	needORT(t)
	cuda := engine.Options{Device: engine.Device{Kind: "cuda"}}
	if (ort.Backend{}).Available(cuda) == nil {
		t.Skip("CUDA is here")
	}
	dir := t.TempDir()
	job := filepath.Join(dir, "job")
	stdoutOf(t, "hash", "plan", resnet, digits+"/3", "--preprocess", "mnist-01", "-o", job)
	pictures := []string{resnet, digits + "/3", "--preprocess", "mnist-01"}
	verbs := map[string][]string{
		"affine":     {mlp, "--random", "1"},
		"bench":      {resnet},
		"codes":      with(pictures, "-o", "-"),
		"compare":    {resnet, "--random", "2"},
		"complexity": {resnet, "--random", "2", "-o", "-"},
		"dynamics":   with([]string{resnet, "--train", digits, "--test", digits}, "--preprocess", "mnist-01", "-o", filepath.Join(dir, "run")),
		"hash":       with(pictures, "-o", filepath.Join(dir, "out")),
		"phases":     with([]string{spill(t, filepath.Join(dir, "m.csv"), []byte("path,size\n"+absolute(t, resnet)+",1\n")), "--train", digits, "--test", digits}, "--preprocess", "mnist-01", "-o", filepath.Join(dir, "chart")),
		"hash run":   {job},
		"run":        {resnet, "--random", "2"},
		"regions":    {digits + "/3", "--regions", "boxes:" + resnet, "-o", "-", "--output-format", "csv"},
		// These run nothing: what they write may be for another machine.
		"hash plan": nil,
		"inspect":   nil,
		// It lists what is there and ends with 4 only then.
		"runtime list": {},
	}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			walk(sub)
		}
		name := strings.TrimPrefix(c.CommandPath(), "onnxprobe ")
		if c.Flags().Lookup("device") == nil {
			return
		}
		args, known := verbs[name]
		if !known {
			t.Errorf("%s takes --device and is not in this test", name)
		}
		delete(verbs, name)
		if args == nil {
			return
		}
		r := do(with(strings.Fields(name), with(args, "--device", "cuda")...)...)
		// What affine runs on has no GPU at all.
		want := []string{"backend ort is not available", "--device cpu"}
		if name == "affine" {
			want[0] = "has no device cuda"
		}
		for _, w := range want {
			if r.code != exitUnavailable || !strings.Contains(r.messages, w) {
				t.Errorf("%s: exit code %d, want %d, with a message of %q:\n%s", name, r.code, exitUnavailable, w, r.messages)
			}
		}
		if (r.stdout != "") != (name == "runtime list") {
			t.Errorf("%s wrote %q", name, r.stdout)
		}
	}
	walk(newRoot(nil, nil, nil))
	for name := range verbs {
		t.Errorf("no verb is called %s", name)
	}
}

func TestRuntimeList(t *testing.T) {
	needORT(t)
	library := ""
	for _, c := range ort.List() {
		if c.Fault == nil {
			library = c.Path
			break
		}
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv(install.EnvLibrary, library)
	r := do("runtime", "list", "--require", "cpu")
	if r.code != exitDone || !strings.Contains(r.stdout, install.EnvLibrary+"  "+library) || r.messages != "" {
		t.Errorf("with a library: exit code %d\n%s%s", r.code, r.stdout, r.messages)
	}
	var pieces []ort.Piece
	decode(t, stdoutOf(t, "runtime", "list", "--json"), &pieces)
	if len(pieces) == 0 || pieces[0].Name != "ONNX Runtime" || !pieces[0].Usable || pieces[0].Path != library {
		t.Errorf("as JSON: %+v", pieces)
	}
	for _, p := range pieces {
		if !p.Usable && (p.Why == "" || p.Remedy == "") {
			t.Errorf("it does not say why, or what to do: %+v", p)
		}
	}
	driver := func(p ort.Piece) bool { return p.Soname == "libcuda.so.1" }
	if runtime.GOOS == "linux" && !slices.ContainsFunc(pieces, driver) {
		t.Errorf("the driver is not listed: %+v", pieces)
	}
	t.Setenv(install.EnvLibrary, "/nonexistent.so")
	for args, code := range map[string]int{"": exitDone, "--device cpu": exitUnavailable, "--device cuda:1": exitUnavailable, "--device gpu": exitUsage} {
		r := do(with([]string{"runtime", "list"}, strings.Fields(args)...)...)
		if r.code != code || (code != exitUsage) != strings.Contains(r.stdout, "/nonexistent.so") || !strings.Contains(r.messages, "runtime install") && code != exitUsage {
			t.Errorf("%q without a library: exit code %d, want %d\n%s%s", args, r.code, code, r.stdout, r.messages)
		}
	}
}

func TestRuntimeInstallFlags(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	if r := do("runtime", "install", "--all-libraries"); r.code != exitUsage || !strings.Contains(r.messages, "--all-libraries goes with --cuda") {
		t.Errorf("--all alone: exit code %d\n%s", r.code, r.messages)
	}
	r := do("runtime", "install", "--cuda", "--client", "npm")
	if r.code != exitFailed || !strings.Contains(r.messages, "pip") && !strings.Contains(r.messages, "is pinned for") {
		t.Errorf("by npm: exit code %d\n%s", r.code, r.messages)
	}
}
