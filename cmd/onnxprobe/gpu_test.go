package main

import (
	"strings"
	"testing"
)

// Settings of a GPU are wrong usage without one, and faults in them with one, before
// anything is looked for.
func TestGPUFlags(t *testing.T) {
	codes := []string{"codes", mlp, "--random", "1", "-o", "-"}
	for _, c := range []struct {
		args []string
		says string
	}{
		{with(codes, "--allow-tf32"), "TF32: only the device cuda has this"},
		{with(codes, "--tune", "exhaustive"), "tune: only the device cuda"},
		{with(codes, "--device-memory", "8GiB"), "memory: only the device cuda"},
		{with(codes, "--cuda-graph"), "CUDA graph: only the device cuda"},
		{with(codes, "--allow-cpu-nodes", "--device", "cpu"), "nodes on the CPU: only the device cuda"},
		{with(codes, "--device", "cuda", "--tune", "guess"), "heuristic, default, exhaustive"},
		{with(codes, "--device", "cuda", "--device-memory", "much"), `--device-memory "much"`},
		{with(codes, "--device", "cuda", "--cuda-graph", "--allow-cpu-nodes"), "take one of the two"},
		{[]string{"complexity", mlp, "--random", "1", "-o", "-", "--allow-tf32"}, "TF32: only"},
		{[]string{"compare", mlp, "--random", "1", "-b", "ort,tf32=on"}, "TF32: only"},
		{[]string{"compare", mlp, "--random", "1", "-b", "ort,tf32=maybe"}, "TF32 is on or off"},
		{[]string{"compare", mlp, "--random", "1", "-b", "ort,device=cuda:0,tune=bad"}, "heuristic, default and exhaustive"},
		{[]string{"compare", mlp, "--random", "1", "--allow-tf32"}, "TF32: only"},
		{[]string{"compare", mlp, "--random", "1", "--device-b", "gpu"}, "the devices are cpu, cuda and cuda:N"},
	} {
		if r := do(c.args...); r.code != exitUsage || !strings.Contains(r.messages, c.says) {
			t.Errorf("%q: %d, %s", c.args, r.code, r.messages)
		}
	}
}

// The sides of a comparison take what is given for both where it concerns them.
func TestSidesOnDevices(t *testing.T) {
	base := engineFlags{device: "cpu", isolate: "auto", gpuFlags: gpuFlags{tf32: true, memory: "1GB"}}
	for _, c := range []struct {
		device, spec string
		on           string
		tf32         bool
		memory       string
		tune         string
		half         bool
	}{
		{"", "ort", "cpu", false, "", "", false},
		{"cuda:1", "ort", "cuda:1", true, "1GB", "", false},
		{"cuda:1", "ort,tf32=off,tune=default", "cuda:1", false, "1GB", "default", false},
		{"", "ort,device=cuda:0,precision=float16", "cuda:0", true, "1GB", "", true},
		{"cuda:1", "ort,device=cpu", "cpu", false, "", "", false},
	} {
		s, err := setting("-a", c.spec, base.on(c.device))
		if err != nil || s.device != c.on || s.tf32 != c.tf32 || s.memory != c.memory || s.tune != c.tune || s.half != c.half {
			t.Errorf("%q on %q: %+v, %v", c.spec, c.device, s, err)
		}
	}
}

// One side in float16: both sides have all sites, and some bits differ.
func TestCompareFloat16(t *testing.T) {
	needORT(t)
	out := stdoutOf(t, "compare", resnet, "--random", "8", "-a", "ort", "-b", "ort,precision=float16")
	if !strings.Contains(out, "bits differ") || strings.Contains(out, "\n0 of") {
		t.Error(out)
	}
	if r := do("compare", resnet, "--random", "1", "--device-a", "cpu", "--device-b", "cuda:7", "--json"); r.code != exitUnavailable && r.code != exitFailed { // there are no eight GPUs
		t.Errorf("%d: %s", r.code, r.messages)
	}
}
