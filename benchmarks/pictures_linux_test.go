package benchmarks

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// tiny makes a network for pictures of 224 x 224 that takes next to no memory itself.
func tiny(t *testing.T, path string) {
	t.Helper()
	m := &onnx.Model{IR: 8, Opsets: []onnx.Opset{{Version: 17}}, Graph: &onnx.Graph{Name: "tiny",
		Inputs: []*onnx.Value{onnx.NewValue("x", tensor.Float32, []onnx.Dim{{Size: -1, Param: "n"}, {Size: 3}, {Size: 224}, {Size: 224}})}}}
	m, err := rewrite.Apply(m, rewrite.Pass{Name: "build", Do: func(e *rewrite.Edit) error {
		y := e.Op("Relu", nil, e.Op("GlobalAveragePool", nil, "x"))
		e.Output(y, tensor.Float32, []onnx.Dim{{Size: -1, Param: "n"}, {Size: 3}, {Size: 1}, {Size: 1}})
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Save(path); err != nil {
		t.Fatal(err)
	}
}

// No picture, however large or hostile, takes the program a gigabyte at default flags: it
// is read, or refused before. The table says of each kind the largest file that is read and
// what it takes, and what the next larger takes, which is refused, and is told.
func TestPictureMemory(t *testing.T) {
	root := os.Getenv("ONNXPROBE_PICTURES_LARGE")
	if root == "" {
		t.Skip("ONNXPROBE_PICTURES_LARGE is not set: a folder that testdata/export/pictures.py --large made")
	}
	const most = 1e9
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	dir := t.TempDir()
	program, model := build(t, dir), filepath.Join(dir, "tiny.onnx")
	tiny(t, model)
	kinds, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	fmt.Fprintln(&table, "| kind | of all pixels that may be read | peak, MB | seconds | refused | peak, MB | seconds | message |\n|---|---|---|---|---|---|---|---|")
	for _, kind := range kinds {
		files, _ := filepath.Glob(filepath.Join(root, kind.Name(), "*"))
		slices.Sort(files)
		read, refused := "", ""
		for _, file := range slices.Backward(files) { // the largest first
			share := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
			c := exec.Command(program, "codes", model, file, "--preprocess", "imagenet", "-o", filepath.Join(dir, "out.jsonl"), "--force")
			start := time.Now()
			out, err := c.CombinedOutput()
			took := time.Since(start).Seconds()
			held := float64(c.ProcessState.SysUsage().(*syscall.Rusage).Maxrss) * 1024
			if held > most {
				t.Errorf("%s at %s takes %.0f MB", kind.Name(), share, held/1e6)
			}
			cell := fmt.Sprintf("%s | %.0f | %.1f", share, held/1e6, took)
			if err == nil {
				read = cell
				break
			}
			refused = cell + " | " + said(out, filepath.Base(file))
		}
		fmt.Fprintf(&table, "| %s | %s | %s |\n", kind.Name(), cmp.Or(read, "- | - | -"), cmp.Or(refused, "- | - | - | -"))
	}
	t.Log("\n" + table.String())
}

// said is what a program's last message tells of a file.
func said(out []byte, name string) string {
	text := strings.TrimSpace(string(out))
	if at := strings.LastIndex(text, name+`": `); at >= 0 {
		text = text[at+len(name)+3:]
	}
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// A folder of pictures of all kinds goes through hash with a row for each, and what it
// leaves out is counted by kind in messages and in the manifest.
func TestHashPicturesOfAllKinds(t *testing.T) {
	root := os.Getenv("ONNXPROBE_PICTURES_FOLDER")
	if root == "" {
		t.Skip("ONNXPROBE_PICTURES_FOLDER is not set: a folder that testdata/export/pictures.py made, and again with --left-out")
	}
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	dir := t.TempDir()
	program, model, job := build(t, dir), filepath.Join(dir, "tiny.onnx"), filepath.Join(dir, "job")
	tiny(t, model)
	c := exec.Command(program, "hash", model, root, "--preprocess", "imagenet", "-o", job, "--output-format", "jsonl")
	messages, err := c.CombinedOutput()
	if code := c.ProcessState.ExitCode(); code != 0 && code != 3 {
		t.Fatalf("%v\n%s", err, messages)
	}
	t.Logf("\n%s", messages)

	kinds := map[string]string{".heic": "HEIC", ".avif": "AVIF", ".jp2": "JPEG 2000", ".jxl": "JPEG XL", ".dng": "camera raw"}
	wanted, left := map[string]bool{}, map[string]int{}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if kind := kinds[filepath.Ext(path)]; kind != "" {
			left[kind]++
		} else if err == nil && !d.IsDir() && d.Name() != "index.jsonl" {
			wanted[path] = true
		}
		return err
	})
	if err != nil || len(wanted) == 0 || len(left) != len(kinds) {
		t.Fatalf("%s has %d pictures and of other kinds %v: %v", root, len(wanted), left, err)
	}
	rows, counts := jobRows(t, job), map[string]int{}
	for _, r := range rows {
		if !wanted[r.Path] {
			t.Errorf("%s has two rows, or is no picture", r.Path)
		}
		delete(wanted, r.Path)
		if counts[r.Status]++; r.Warning != "" {
			counts["with a warning"]++
		}
	}
	t.Logf("%d rows, %v; left out %v", len(rows), counts, left)
	for path := range wanted {
		t.Errorf("%s has no row", path)
	}
	said := leftOut(t, filepath.Join(job, "manifest.json"))
	if !maps.Equal(said, left) {
		t.Errorf("the manifest says that %v were left out, there are %v", said, left)
	}
	for kind, n := range left {
		if !strings.Contains(string(messages), fmt.Sprintf("%d %s", n, kind)) {
			t.Errorf("no message says that %d %s were left out", n, kind)
		}
	}
}

type jobRow struct{ Path, Status, Warning string }

// jobRows reads the rows of a job that wrote JSON Lines.
func jobRows(t *testing.T, job string) (rows []jobRow) {
	t.Helper()
	shards, _ := filepath.Glob(filepath.Join(job, "*.jsonl"))
	for _, shard := range shards {
		b, err := os.ReadFile(shard)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(b) {
			var r jobRow
			if err := json.Unmarshal(line, &r); err != nil {
				t.Fatal(err)
			}
			rows = append(rows, r)
		}
	}
	return rows
}

// leftOut counts by kind what a manifest says was left out.
func leftOut(t *testing.T, manifest string) map[string]int {
	t.Helper()
	b, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Dataset struct {
			LeftOut []struct {
				Pictures []struct {
					Kind  string
					Files int
				}
			} `json:"left_out"`
		}
	}
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, l := range m.Dataset.LeftOut {
		for _, p := range l.Pictures {
			counts[p.Kind] += p.Files
		}
	}
	return counts
}
