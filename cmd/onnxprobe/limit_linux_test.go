package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A file that cannot be written to its end is a failure, and no part of it is left, under
// its own name or another. The limit on the size of files stands for a full disk.
func TestFilesThatDoNotFit(t *testing.T) {
	needORT(t)
	dir := t.TempDir()
	abs := func(path string) string {
		t.Helper()
		p, err := filepath.Abs(path)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	model, pics, boxes := abs(resnet), abs(digits), boxed(t, 4)
	codes := filepath.Join(dir, "codes.parquet")
	stdoutOf(t, pictures("codes", resnet, digits, "--sketch", "64", "-o", codes)...)
	for name, args := range map[string][]string{
		"parquet":          pictures("codes", model, pics, "-o", "r.parquet"),
		"npy":              pictures("codes", model, pics, "-o", "r.npy"),
		"jsonl":            pictures("codes", model, pics, "-o", "r.jsonl"),
		"save-frame":       pictures("complexity", model, pics, "--save-frame", "frame.npy", "-o", "-"),
		"map":              pictures("complexity", model, pics, "--limit", "3", "--map", "maps", "-o", "-"),
		"map of agreement": pictures("codes", model, pics, "--limit", "4", "--regions", boxes, "--channels", "--region-agree", "0/0276.png#all", "--map", "maps", "-o", "-"),
		"attach":           {"attach", model, "-o", "r.onnx"},
		"affine npz":       {"affine", abs(mlp), "--random", "1", "-o", "r.npz"},
		"search":           {"search", codes, "--all", "-o", "r.parquet"},
		"search html":      {"search", codes, "--all", "--plot", "r.html"},
		"dedup keep":       {"dedup", codes, "--keep", "keep.txt"},
		"evaluate":         {"evaluate", codes, "-o", "r.json"},
		"evaluate plot":    {"evaluate", codes, "--plot", "r.svg"},
		"compare":          {"compare", model, "--random", "2", "-o", "r.parquet"},
		"report":           {"report", codes, "-o", "r.html"},
		"figures":          {"report", codes, "-o", "r.html", "--figures", "figures"},
		"regions":          {"regions", pics, "--regions", boxes, "-o", "r.json"},
		"regions yolo":     {"regions", pics, "--regions", boxes, "--output-format", "yolo", "-o", "labels"},
		"regions voc":      {"regions", pics, "--regions", boxes, "--output-format", "voc", "-o", "labels"},
		"regions draw":     {"regions", pics, "--regions", boxes, "--draw", "drawn"},
		"hash":             pictures("hash", model, pics, "-o", "job"),
		"demo":             {"demo", "--dir", "demo"},
	} {
		t.Run(name, func(t *testing.T) {
			to := t.TempDir()
			cmd, messages := limited(t, to, "60", args...)
			_ = cmd.Wait()
			said := messages.buf.String()
			if code := cmd.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(said, "file too large") || strings.Contains(said, "internal error") {
				t.Errorf("exit code %d, want 1 and the reason:\n%s", code, said)
			}
			err := filepath.WalkDir(to, func(path string, e fs.DirEntry, err error) error {
				if err != nil || e.IsDir() {
					return err
				}
				info, err := e.Info()
				if err == nil && (info.Size() >= 60 || strings.HasPrefix(e.Name(), ".")) {
					t.Errorf("it left %s, %d bytes", path, info.Size())
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"r.npy", "frame.npy", "r.html", "r.json", "r.onnx", "keep.txt", "labels", "r.npz", "r.parquet", "r.svg"} {
				if _, err := os.Lstat(filepath.Join(to, name)); err == nil {
					t.Errorf("it left %s", name)
				}
			}
		})
	}
}
