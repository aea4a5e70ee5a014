//go:build unix

package main

import (
	"archive/tar"
	"flag"
	"fmt"
	"image"
	"image/color"
	encode "image/png"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine/isolate"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

type elsewhereRow struct {
	words, why string
	checked    bool
}

// elsewhere are the commands that this test does not run, by words in them, and why. Those
// with checked are run by make check, from the root of the repository.
var elsewhere = []elsewhereRow{
	{"make demo", "it fetches ONNX Runtime", true},
	{"make ", "it builds, tests or measures for minutes", false},
	{"go install", "it fetches", false},
	{"go test", "it is a test of its own", false},
	{"pip ", "it fetches", false},
	{"python -m venv", "what it makes is for pip", false},
	{"runtime install", "it fetches", false},
	{"cuda", "it needs a GPU", false},
	{"git ", "it fetches", false},
	{"python testdata/export/", "it needs PyTorch", false},
	{"python benchmarks/compare.py", "it needs PyTorch, and minutes", false},
	{"python benchmarks/dedup.py", "it takes half an hour", false},
	{"sha256sum ", "it is of files of a release", false},
	{"install -m ", "it is of files of a release", false},
	{"go run ./cmd/onnxprobe/release", "it builds", false},
}

// everyCommand, set to 1, has TestREADMEs run what make check can run too.
const everyCommand = "ONNXPROBE_EVERY_COMMAND"

// Every command of every README runs, and gives what is shown of it.
func TestREADMEs(t *testing.T) {
	needORT(t)
	python := findPython()
	why := map[string]int{}
	ran := 0
	for _, file := range readmes(t) {
		found, _ := blocks(slurp(t, "../../"+file))
		var todo []shown
		for _, b := range found {
			some, err := commandsOf(b)
			if err != nil {
				t.Errorf("%s: %v", file, err)
			}
			todo = append(todo, some...)
		}
		if len(todo) == 0 {
			continue
		}
		t.Run(file, func(t *testing.T) {
			s := newStage(t)
			for _, c := range todo {
				if strings.Contains(c.command, "--isolate") && (!isolate.Supported || isolate.Missing() != "") {
					why["--isolate: this system cannot do all that it promises"]++
					continue
				}
				i := slices.IndexFunc(elsewhere, func(e elsewhereRow) bool { return !c.python && strings.Contains(c.command, e.words) })
				switch {
				case c.python && python == "":
					why["python3 with numpy is not there"]++
				case i < 0:
					ran++
					s.try(t, c, python)
				case elsewhere[i].checked && os.Getenv(everyCommand) == "1":
					ran++
					(&stage{"../..", s.env}).try(t, c, python)
				default:
					why[elsewhere[i].words+": "+elsewhere[i].why]++
				}
			}
		})
	}
	t.Logf("%d commands ran; not run here: %v", ran, why)
	for _, e := range elsewhere {
		if strings.Contains(flag.Lookup("test.run").Value.String(), "/") {
			break // some pages alone
		}
		if os.Getenv(everyCommand) != "1" && why[e.words+": "+e.why] == 0 {
			t.Errorf("no README has a command with %q", e.words)
		}
	}
}

// stage is the folder in which the commands of one README run, in its order, so that later
// ones use what earlier ones wrote.
type stage struct {
	dir string
	env []string
}

// staged are the models of the README files: small ones that are shipped stand for them.
var staged = map[string]string{
	"model.onnx": "resnet_basic_dynamo", "resnet18.onnx": "resnet_basic_dynamo", "resnet50.onnx": "resnet_basic_torchscript",
	"mnist.onnx": "mlp_dynamo", "vit.onnx": "vit_dynamo", "regionblip.onnx": "region/regionblip_dynamo",
	"ckpts/step-100.onnx": "mlp_dynamo", "ckpts/step-200.onnx": "mlp_torchscript",
}

// stagedFlags are the flags of the README files that the small models need others for: they
// take pictures of 8 x 8, or of 32 x 32.
var stagedFlags = strings.NewReplacer("--preprocess imagenet", "--preprocess small.json",
	"--preprocess regionblip", "--preprocess regionblip --resize 32x32 --crop none")

// newStage makes a folder with testdata/, the models of staged, and
//
//	photos/cats, photos/dogs   five pictures each, 0.png to 4.png; coco.json has their regions
//	train/, test/              50 shipped digits each, in folders of their class
//	shards/00000.tar, …1.tar   WebDataset of ten digits each
//	pages/                     a page with lines; truth.json says where they are
//	detector.onnx, parser.onnx networks that give boxes and a map of two labels, in names.txt
func newStage(t *testing.T) *stage {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{dir: t.TempDir()}
	in := func(name string) string { return filepath.Join(s.dir, filepath.FromSlash(name)) }
	link := func(from, to string) {
		if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(from, to); err != nil {
			t.Fatal(err)
		}
	}
	bin := t.TempDir()
	link(self, filepath.Join(bin, "onnxprobe"))
	s.env = append(os.Environ(), asProgram+"=1", "PATH="+bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
	link(filepath.Join(root, "testdata"), in("testdata"))
	for name, model := range staged {
		link(filepath.Join(root, "testdata", "models", filepath.FromSlash(model)+".onnx"), in(name))
	}
	spill(t, in("small.json"), []byte(`{"resize": {"mode": "exact", "h": 8, "w": 8}, "channels": 1, "scale": 0.00392156862745098}`))
	spill(t, in("names.txt"), []byte("dark\nbright\n"))
	s.photos(t)
	s.digits(t)
	s.pages(t)
	link(twoBoxes(t), in("detector.onnx"))
	labels := &onnx.Graph{Name: "g", Inputs: []*onnx.Value{onnx.NewValue("x", tensor.Float32, []onnx.Dim{{Param: "n"}, {Size: 1}, {Param: "h"}, {Param: "w"}})},
		Nodes: []*onnx.Node{{Name: "minus", Op: "Neg", Inputs: []string{"x"}, Outputs: []string{"minus"}},
			{Name: "y", Op: "Concat", Inputs: []string{"minus", "x"}, Outputs: []string{"y"}, Attrs: []*onnx.Attr{{Name: "axis", Type: onnx.AttrInt, Int: 1}}}},
		Outputs: []*onnx.Value{onnx.NewValue("y", tensor.Float32, []onnx.Dim{{Param: "n"}, {Size: 2}, {Param: "h"}, {Param: "w"}})}}
	if err := (&onnx.Model{IR: 8, Opsets: []onnx.Opset{{Version: 13}}, Graph: labels}).Save(in("parser.onnx")); err != nil {
		t.Fatal(err)
	}
	return s
}

// photos draws photos/ and writes coco.json, three boxes a picture.
func (s *stage) photos(t *testing.T) {
	t.Helper()
	var images, boxes []string
	for i := range 10 {
		name := fmt.Sprintf("%s/%d.png", []string{"cats", "dogs"}[i/5], i%5)
		drawn(t, filepath.Join(s.dir, "photos", filepath.FromSlash(name)), 48, 32, func(x, y int) color.Color {
			return color.RGBA{uint8(x*5 + i*40), uint8(y*7 + x*i), uint8((x ^ y) * (3 + i)), 255}
		})
		images = append(images, fmt.Sprintf(`{"id": %d, "file_name": %q, "width": 48, "height": 32}`, i, name))
		for k, box := range []string{"0, 0, 48, 32", "0, 0, 24, 32", "24, 8, 20, 20"} {
			boxes = append(boxes, fmt.Sprintf(`{"id": %d, "image_id": %d, "category_id": %d, "bbox": [%s], "iscrowd": 0}`, 3*i+k, i, 1+k%2, box))
		}
	}
	spill(t, filepath.Join(s.dir, "coco.json"), fmt.Appendf(nil, `{"images": [%s], "annotations": [%s], "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]}`,
		strings.Join(images, ","), strings.Join(boxes, ",")))
}

// digits copies the shipped digits to train/ and test/, and some into shards/.
func (s *stage) digits(t *testing.T) {
	t.Helper()
	files, err := filepath.Glob(digits + "/*/*.png")
	if err != nil || len(files) != 100 {
		t.Fatalf("%d digits: %v", len(files), err)
	}
	for i, f := range files {
		class, name := filepath.Base(filepath.Dir(f)), filepath.Base(f)
		duplicate(t, f, filepath.Join(s.dir, []string{"train", "test"}[i%2], class, name))
	}
	for shard := range 2 {
		path := spill(t, filepath.Join(s.dir, "shards", fmt.Sprintf("%05d.tar", shard)), nil)
		out, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		w := tar.NewWriter(out)
		for _, f := range files[shard*10 : shard*10+10] {
			content := slurp(t, f)
			if err := w.WriteHeader(&tar.Header{Name: filepath.Base(f), Mode: 0o644, Size: int64(len(content))}); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write([]byte(content)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := out.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// pages draws a page of five lines, and writes where they are.
func (s *stage) pages(t *testing.T) {
	t.Helper()
	drawn(t, filepath.Join(s.dir, "pages", "1.png"), 400, 300, func(x, y int) color.Color {
		if x > 40 && x < 360 && y > 20 && y < 270 && y%50 > 25 && y%50 < 40 && (x/6)%4 != 0 {
			return color.Black
		}
		return color.White
	})
	if r := do("regions", filepath.Join(s.dir, "pages"), "--regions", "lines", "-o", filepath.Join(s.dir, "truth.json")); r.code != exitDone {
		t.Fatal(r.messages)
	}
}

func drawn(t *testing.T, path string, w, h int, at func(x, y int) color.Color) {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.Set(x, y, at(x, y))
		}
	}
	var b strings.Builder
	if err := encode.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	spill(t, path, []byte(b.String()))
}

// try runs one command and compares what it printed with what is shown.
func (s *stage) try(t *testing.T, c shown, python string) {
	t.Helper()
	cmd := exec.Command("sh", "-c", stagedFlags.Replace(c.command))
	if c.python {
		cmd = exec.Command(python, "-c", c.command)
	}
	cmd.Dir, cmd.Env = s.dir, s.env
	b, err := cmd.CombinedOutput()
	failing := slices.ContainsFunc(c.output, func(line string) bool { return strings.HasPrefix(line, "onnxprobe: ") })
	switch got := string(b); {
	case err == nil == failing:
		t.Errorf("line %d: %s: %v\n%s", c.line, c.command, err, got)
	case c.output != nil && !sameOutput(c.output, got):
		t.Errorf("line %d: %s prints\n%s", c.line, c.command, got)
	}
}

// findPython is a Python with numpy, "" where there is none.
func findPython() string {
	for _, python := range []string{os.Getenv("ONNXPROBE_PYTHON"), "python3", "python"} {
		if python != "" && exec.Command(python, "-c", "import numpy").Run() == nil {
			return python
		}
	}
	return ""
}
