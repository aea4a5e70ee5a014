package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine/backends"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

func decode(t testing.TB, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v in %.200s", err, text)
	}
}

func inspectJSON(t testing.TB, args ...string) probes.Inspection {
	t.Helper()
	var in probes.Inspection
	decode(t, stdoutOf(t, with([]string{"inspect", "--json"}, args...)...), &in)
	return in
}

// The keys are a contract with scripts, so they are spelled out here.
func TestInspectContract(t *testing.T) {
	var in struct {
		Inputs, Outputs []struct {
			Name, DType string
			Shape       []any
		}
		Opset, Units int
		Sites        []map[string]any
	}
	decode(t, stdoutOf(t, "inspect", resnet, "--json"), &in)
	if in.Opset != 20 || in.Units != 3200 || len(in.Sites) != 9 {
		t.Errorf("opset %d, %d units, %d sites", in.Opset, in.Units, len(in.Sites))
	}
	if got := fmt.Sprint(in.Inputs, in.Outputs); got != "[{input float32 [batch 1 8 8]}] [{logits float32 [batch 10]}]" {
		t.Errorf("inputs and outputs: %s", got)
	}
	s := in.Sites[5]
	for _, key := range []string{"name", "op", "units", "shape", "knots", "smooth"} {
		if _, ok := s[key]; !ok {
			t.Errorf("a site has no %q: %v", key, s)
		}
	}
	if got := fmt.Sprintln(s["name"], s["op"], s["units"], s["shape"], s["knots"], s["smooth"]); got != "layer2.0.relu Relu 224 [14 4 4] [0] false\n" {
		t.Errorf("site 5: %s", got)
	}
	for _, key := range []string{"inputs", "outputs", "sites", "notes", "backends", "operators"} {
		var all map[string]any
		decode(t, stdoutOf(t, "inspect", data+"models/cnn_dynamo.onnx", "--json"), &all)
		if _, ok := all[key].([]any); !ok {
			t.Errorf("%q is %v, not a list", key, all[key])
		}
	}
}

// Names in models and data neither begin lines of their own nor reach the terminal.
func TestNamesFromFilesStayOnTheirLine(t *testing.T) {
	const evil = "\x1b[31mevil\nonnxprobe: ok"
	open := []onnx.Dim{{Param: evil}, {Size: 4}}
	node := func(op, in, out string) *onnx.Node {
		return &onnx.Node{Name: out + evil, Op: op, Inputs: []string{in}, Outputs: []string{out}}
	}
	m := &onnx.Model{IR: 8, Producer: evil, Opsets: []onnx.Opset{{Version: 17}}, Graph: &onnx.Graph{Name: "g",
		Inputs: []*onnx.Value{onnx.NewValue("x"+evil, tensor.Float32, open)}, Outputs: []*onnx.Value{onnx.NewValue("y"+evil, tensor.Float32, open)}}}
	lines := func(what, printed string, most int) {
		if n := strings.Count(printed, "\n"); n > most || strings.Contains(printed, "\x1b") || strings.Contains(printed, "\nonnxprobe: ok") {
			t.Errorf("%s: %d lines, want %d at most:\n%q", what, n, most, printed)
		}
	}
	for what, nodes := range map[string][]*onnx.Node{
		"no site":  {node("Strange", "x"+evil, "y"+evil)},
		"a site":   {node("Strange", "x"+evil, "h"), node("Relu", "h", "y"+evil)},
		"a smooth": {node("Sin", "x"+evil, "h"), node("Relu", "h", "y"+evil)},
	} {
		m.Graph.Nodes = nodes
		path := filepath.Join(t.TempDir(), "m.onnx")
		if err := m.Save(path); err != nil {
			t.Fatal(err)
		}
		lines(what, stdoutOf(t, "inspect", path), 15)
	}
	var b strings.Builder
	p := printer{w: bufio.NewWriter(&b), labels: []string{evil}}
	column := func(name string, width int, values any) result.Column {
		return result.Column{Name: name, Width: width, Values: values}
	}
	if err := p.Write([]result.Column{column("id", 0, []string{evil, evil}), column("status", 0, []string{"ok", "error"}), column("error", 0, []string{"", "red \x1b[31m"}),
		column("top", 1, []int64{0, 0}), column("score", 1, []float64{1, 0})}); err != nil {
		t.Fatal(err)
	}
	lines("run", b.String(), 2)
}

func TestInspect(t *testing.T) {
	text := stdoutOf(t, "inspect", resnet)
	for _, want := range []string{"input   input float32 [batch x 1 x 8 x 8]", "layer2.0.relu_1  Relu        14 x 4 x 4  224    0\n", "9 sites, 3,200 units, a code of 400 bytes"} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q:\n%s", want, text)
		}
	}
	if text = stdoutOf(t, "inspect", vit); !strings.Contains(text, "(sign code)") || !strings.Contains(text, "note: ") {
		t.Errorf("smooth activations are not called so:\n%s", text)
	}
	var names []string
	for _, s := range inspectJSON(t, resnet, "--sites", "layer1.*").Sites {
		names = append(names, s.Name)
	}
	if want := []string{"layer1.0.relu", "layer1.0.relu_1", "layer1.1.relu", "layer1.1.relu_1"}; !slices.Equal(names, want) {
		t.Errorf("sites %q, want %q", names, want)
	}
	if a, b := len(inspectJSON(t, cnn).Sites), len(inspectJSON(t, cnn, "--include-maxpool").Sites); b <= a {
		t.Errorf("%d sites, with max-pooling %d", a, b)
	}
	if a, b := inspectJSON(t, mlp), inspectJSON(t, mlp, "--include-gemm"); len(b.Sites) != len(a.Sites)+1 || b.Units != a.Units+10 {
		t.Errorf("%d sites of %d units, with the last layer %d of %d", len(a.Sites), a.Units, len(b.Sites), b.Units)
	}
	// What runs it is said of the sites chosen.
	for _, c := range []struct {
		args []string
		runs bool
	}{{nil, true}, {[]string{"--include-gemm"}, true}, {[]string{"--include-maxpool"}, true}} {
		if b := inspectJSON(t, with([]string{cnn, "--engines", "--backend", "gorgonia"}, c.args...)...).Backends[0]; b.Runs != c.runs || b.Plain == c.runs {
			t.Errorf("%q: gorgonia %+v", c.args, b)
		}
	}
	// What cannot run here is said, not an error: the model can still be read.
	in := inspectJSON(t, resnet, "--engines", "--backend", "ort", "--library", "/nonexistent")
	if len(in.Backends) != 1 || in.Backends[0].Runs || !strings.Contains(in.Backends[0].Why, "/nonexistent") {
		t.Errorf("backends: %+v", in.Backends)
	}
}

// Engines are opened when that is asked for, and otherwise listed as not tried.
func TestInspectTriesNoEngine(t *testing.T) {
	var names []string
	for _, b := range inspectJSON(t, resnet).Backends {
		if names = append(names, b.Name); b != (probes.Trial{Name: b.Name}) {
			t.Errorf("it tried %+v", b)
		}
	}
	if want := backends.Names()[1:]; !slices.Equal(names, want) {
		t.Errorf("it lists %q, want %q", names, want)
	}
	if text := stdoutOf(t, "inspect", resnet); !strings.Contains(text, "\ngorgonia: not tried; --engines\n") {
		t.Errorf("it does not say that no engine was tried:\n%s", text)
	}
	if b := inspectJSON(t, resnet, "--engines", "--backend", "gorgonia").Backends; len(b) != 1 || !b[0].Tried || !b[0].Runs || b[0].Version == "" {
		t.Errorf("with --engines: %+v", b)
	}
	for _, args := range [][]string{{"--backend", "gorgonia"}, {"--backend", "auto"}, {"--threads", "2"}, {"--library", "l.so"}, {"--optimize", "none"}, {"--no-arena"}, {"--device", "cpu"}} {
		want := args[0] + " goes with --engines"
		if r := do(with([]string{"inspect", resnet}, args...)...); r.code != exitUsage || !strings.Contains(r.messages, want) || r.stdout != "" {
			t.Errorf("%q ends with %d, want %d and %q: %s", args, r.code, exitUsage, want, r.messages)
		}
	}
}

func TestListsAndHelp(t *testing.T) {
	for name := range lists {
		var es []entry
		decode(t, stdoutOf(t, "list", name, "--json"), &es)
		text := stdoutOf(t, "list", name)
		if len(es) == 0 || strings.Count(text, "\n") != len(es) {
			t.Errorf("list %s: %d entries and\n%s", name, len(es), text)
		}
		for _, e := range es {
			if e.Name == "" || e.Doc == "" || !strings.Contains(text, e.Name) {
				t.Errorf("list %s: entry %+v", name, e)
			}
		}
	}
	root := newRoot(nil, nil, nil)
	for _, c := range append(root.Commands(), root) {
		path := strings.Fields(c.CommandPath())[1:]
		help := stdoutOf(t, append(path, "--help")...)
		if c.Name() != "completion" && c.Name() != "help" && !strings.Contains(help, "Examples:") {
			t.Errorf("%s --help has no example", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			if c.Name() == "runtime" && !strings.Contains(stdoutOf(t, c.Name(), sub.Name(), "--help"), "Examples:") {
				t.Errorf("%s --help has no example", sub.CommandPath())
			}
		}
		if len(path) > 0 && c.Name() != "regions" && stdoutOf(t, append([]string{"help"}, path...)...) != help {
			t.Errorf("help %s and %s --help differ", path, path)
		}
	}
	if alone := stdoutOf(t); alone != stdoutOf(t, "--help") || !strings.Contains(alone, "Look:") {
		t.Errorf("without arguments it prints\n%s", alone)
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if script := stdoutOf(t, "completion", shell); !strings.Contains(script, "onnxprobe") {
			t.Errorf("completion %s: %.100s", shell, script)
		}
	}
	if got := stdoutOf(t, "__complete", "list", "ac"); !strings.HasPrefix(got, "activations\n") {
		t.Errorf("list ac completes to %q", got)
	}
	if v := stdoutOf(t, "--version"); !strings.HasPrefix(v, "onnxprobe version ") || len(strings.Fields(v)) != 3 {
		t.Errorf("--version prints %q", v)
	}
	var libraries []struct{ Path, Version string }
	decode(t, stdoutOf(t, "runtime", "list", "--json"), &libraries)
	if text := stdoutOf(t, "runtime", "list"); strings.Count(text, "\n") != len(libraries)+1 {
		t.Errorf("runtime list prints %d libraries as\n%s", len(libraries), text)
	}
}

func TestQuietAndNotes(t *testing.T) {
	needORT(t)
	args := pictures("codes", resnet, digits+"/3", "-o", "-")
	loud, quiet := do(args...), do(with(args, "--quiet")...)
	if quiet.messages != "" || quiet.stdout != loud.stdout || quiet.code != 0 {
		t.Errorf("--quiet ends with %d and says %q", quiet.code, quiet.messages)
	}
	if !strings.HasPrefix(loud.messages, "engine: ort ") || !strings.Contains(loud.messages, "10 items in ") || strings.Contains(loud.messages, "\r") {
		t.Errorf("messages, which are no terminal's: %q", loud.messages)
	}
	if r := do(with(args, "--backend", "ort")...); strings.Contains(r.messages, "engine:") {
		t.Errorf("an engine asked for by name is announced: %q", r.messages)
	}
}

func TestDemo(t *testing.T) {
	needORT(t)
	dir := t.TempDir()
	for range 2 { // a second demo in the same folder works too
		text := stdoutOf(t, "demo", "--dir", dir)
		for _, want := range []string{"The 100 pictures fall in 100 linear regions.", "smallest  ", "median  ", "largest  ", "change their side around ",
			", 0 differ.", "What to try next:", "onnxprobe attach YOUR_MODEL.onnx"} {
			if !strings.Contains(text, want) {
				t.Errorf("it does not say %q:\n%s", want, text)
			}
		}
		if strings.Contains(text, "$ onnxprobe codes "+dir) {
			t.Error("the commands show the demo's folder again and again")
		}
	}
	if m := readManifest(t, filepath.Join(dir, "codes.npy")); m.Kind != "codes" || m.Command[1] != "codes" {
		t.Errorf("the manifest's command is %q", m.Command)
	}
}
