package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine/ort"
)

// Several devices give the bytes of one, and say so in the manifest and the records.
func TestSeveralDevices(t *testing.T) {
	needORT(t)
	for _, args := range [][]string{
		{"codes", mlp, "--random", "100", "--batch", "8", "-o", "-"},
		{"complexity", mlp, "--random", "30", "--batch", "8", "-o", "-"},
		{"run", mlp, "--random", "50", "--batch", "4", "-o", "-"},
		{"codes", resnet, "--random", "12", "--batch", "2", "-o", "-"},
	} {
		one := stdoutOf(t, args...)
		if two := stdoutOf(t, with(args, "--device", "cpu,cpu")...); two != one || one == "" {
			t.Errorf("%q gives other bytes on two sessions", args)
		}
	}
	file := filepath.Join(t.TempDir(), "codes.npy")
	stdoutOf(t, "codes", mlp, "--random", "10", "--device", "cpu,cpu", "-o", file)
	if b, err := os.ReadFile(file + ".manifest.json"); err != nil || !strings.Contains(string(b), `"device": "cpu,cpu"`) {
		t.Errorf("the manifest does not name the devices: %v, %.400s", err, b)
	}
	if out := stdoutOf(t, "bench", mlp, "--device", "cpu,cpu", "--batches", "2", "--seconds", "0.01", "--json"); !strings.Contains(out, `"device": "cpu,cpu"`) {
		t.Errorf("bench does not name the devices:\n%s", out)
	}
	dirs := [2]string{filepath.Join(t.TempDir(), "one"), filepath.Join(t.TempDir(), "two")}
	for i, device := range []string{"cpu", "cpu,cpu,cpu"} {
		stdoutOf(t, "hash", mlp, "--random", "100", "--shard-size", "30", "--batch", "4", "--device", device, "-o", dirs[i])
		if b, err := os.ReadFile(filepath.Join(dirs[i], "00000_stats.json")); err != nil || !strings.Contains(string(b), `"`+device+`"`) {
			t.Errorf("the record does not name %s: %v, %s", device, err, b)
		}
	}
	files, err := filepath.Glob(filepath.Join(dirs[0], "*.parquet"))
	if err != nil || len(files) != 4 {
		t.Fatalf("shards %q, %v", files, err)
	}
	for _, f := range files {
		a, errA := os.ReadFile(f)
		b, errB := os.ReadFile(filepath.Join(dirs[1], filepath.Base(f)))
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s is other bytes on three sessions: %v, %v", f, errA, errB)
		}
	}
}

func TestDevicesWrong(t *testing.T) {
	codes := []string{"codes", mlp, "--random", "1", "-o", "-", "--device"}
	for _, c := range []struct {
		args []string
		says string
	}{
		{with(codes, "cpu,cuda:0"), "not of one kind"},
		{with(codes, "cpu,"), `reading device ""`},
		{with(codes, strings.Repeat("cpu,", 64)+"cpu"), "more than 64"},
		{[]string{"inspect", mlp, "--device", "cpu,cpu"}, "takes one device"},
		{[]string{"inspect", mlp, "--device", "cuda:all"}, "takes one device"},
	} {
		if r := do(c.args...); r.code != exitUsage || !strings.Contains(r.messages, c.says) {
			t.Errorf("%q: %d, %s", c.args, r.code, r.messages)
		}
	}
	if _, err := ort.GPUs(); err != nil {
		if r := do(with(codes, "cuda:0,cuda:0")...); r.code != exitUnavailable || !strings.Contains(r.messages, "runtime list --require cuda") {
			t.Errorf("two runs on no GPU: %d, %s", r.code, r.messages)
		}
		if r := do(with(codes, "cuda:all")...); r.code != exitUnavailable || !strings.Contains(r.messages, err.Error()) {
			t.Errorf("all of no GPUs: %d, %s", r.code, r.messages)
		}
	}
}
