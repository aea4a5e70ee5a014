//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onnxprobe/onnxprobe/engine/isolate"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

func needWorkers(t *testing.T) {
	t.Helper()
	needORT(t)
	if !isolate.Supported {
		t.Skip("this system has no workers")
	}
	if missing := isolate.Missing(); missing != "" {
		t.Skip(missing)
	}
}

// pair is a model of x [N, 2] with nodes and constants; what it gives is y.
func pair(t *testing.T, path string, constants []*onnx.Tensor, nodes ...*onnx.Node) string {
	t.Helper()
	m := &onnx.Model{IR: 8, Opsets: []onnx.Opset{{Version: 17}}, Graph: &onnx.Graph{Name: "net", Initializers: constants, Nodes: nodes,
		Inputs:  []*onnx.Value{onnx.NewValue("x", tensor.Float32, []onnx.Dim{{Size: -1, Param: "N"}, {Size: 2}})},
		Outputs: []*onnx.Value{onnx.NewValue("y", tensor.Float32, nil)}}}
	if err := m.Save(path); err != nil {
		t.Fatal(err)
	}
	return path
}

func step(op, out string, in ...string) *onnx.Node {
	return &onnx.Node{Name: out, Op: op, Inputs: in, Outputs: []string{out}}
}

func cast(out, in string, to tensor.DType) *onnx.Node {
	n := step("Cast", out, in)
	n.Attrs = []*onnx.Attr{{Name: "to", Type: onnx.AttrInt, Int: int64(to)}}
	return n
}

// dividing is a model that divides the least int64 by an item's elements less 2, so that 1
// crashes ONNX Runtime while it runs.
func dividing(t *testing.T, path string) string {
	constants := []*onnx.Tensor{onnx.NewTensor("least", tensor.Of([]int64{-1 << 63}, 1)), onnx.NewTensor("two", tensor.Of([]int64{2}, 1))}
	return pair(t, path, constants, step("Relu", "r", "x"), cast("whole", "x", tensor.Int64), step("Sub", "by", "whole", "two"), step("Div", "d", "least", "by"),
		cast("f", "d", tensor.Float32), step("Add", "y", "r", "f"))
}

// negated is a model whose constant divisor, -1, no check before the engine sees.
func negated(t *testing.T, path string) string {
	constants := []*onnx.Tensor{onnx.NewTensor("least", tensor.Of([]int64{-1 << 63}, 1)), onnx.NewTensor("one", tensor.Of([]int64{1}, 1))}
	return pair(t, path, constants, step("Neg", "minus", "one"), step("Div", "d", "least", "minus"), cast("f", "d", tensor.Float32),
		step("Relu", "r", "x"), step("Add", "y", "r", "f"))
}

// endless is a model that loops for about ever.
func endless(t *testing.T, path string) string {
	dims := []onnx.Dim{{Size: -1, Param: "N"}, {Size: 2}}
	body := &onnx.Graph{Name: "body",
		Inputs: []*onnx.Value{onnx.NewValue("i", tensor.Int64, []onnx.Dim{}), onnx.NewValue("go", tensor.Bool, []onnx.Dim{}),
			onnx.NewValue("v", tensor.Float32, dims)},
		Outputs: []*onnx.Value{onnx.NewValue("goes", tensor.Bool, []onnx.Dim{}), onnx.NewValue("w", tensor.Float32, dims)},
		Nodes:   []*onnx.Node{step("Identity", "goes", "go"), step("Neg", "w", "v")}}
	loop := step("Loop", "l", "trips", "", "x")
	loop.Attrs = []*onnx.Attr{{Name: "body", Type: onnx.AttrGraph, Graph: body}}
	return pair(t, path, []*onnx.Tensor{onnx.NewTensor("trips", tensor.Of([]int64{1 << 50}))}, loop, step("Relu", "r", "x"), step("Add", "y", "r", "l"))
}

// growing is a model that asks for more memory than it declares.
func growing(t *testing.T, path string) string {
	// The shape comes from the data, so that nobody knows it before.
	top := step("ReduceMax", "top", "whole")
	top.Attrs = []*onnx.Attr{{Name: "keepdims", Type: onnx.AttrInt}}
	return pair(t, path, []*onnx.Tensor{onnx.NewTensor("many", tensor.Of([]int64{60000, 60000}, 2)), onnx.NewTensor("first", tensor.Of([]int64{0}, 1))},
		cast("whole", "x", tensor.Int64), top, step("Mul", "none", "top", "first"), step("Add", "shape", "many", "none"),
		step("Expand", "e", "x0", "shape"), step("ReduceSum", "s", "e"), step("Relu", "r", "x"), step("Add", "y", "r", "s"),
		step("ReduceSum", "x0", "x"))
}

// A model file that would end, hold or fill the program is one line and exit code 1.
func TestHostileModelsAreIsolated(t *testing.T) {
	needWorkers(t)
	dir := t.TempDir()
	crash, hang, grow := negated(t, filepath.Join(dir, "crash.onnx")), endless(t, filepath.Join(dir, "hang.onnx")), growing(t, filepath.Join(dir, "grow.onnx"))
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"run", crash, "--random", "2", "--isolate"}, crash + ": ONNX Runtime crashed with SIGFPE while it prepared the model"},
		{[]string{"run", crash, "--random", "2"}, crash + ": ONNX Runtime crashed with SIGFPE while it prepared the model"}, // it is not plain
		{[]string{"run", hang, "--random", "2", "--isolate", "--timeout", "1s"}, hang + ": ONNX Runtime took longer than 1 s (--timeout) while it ran the model"},
		{[]string{"run", hang, "--random", "2", "--timeout", "500ms"}, hang + ": ONNX Runtime took longer than 0.5 s (--timeout) while it ran the model"},
		{[]string{"run", grow, "--random", "2", "--isolate=yes", "--max-memory", "1GiB"}, grow + ": ONNX Runtime needed more than 1 GiB (--max-memory)"},
	} {
		start := time.Now()
		r := do(append(c.args, "--quiet")...)
		if r.code != exitFailed || !strings.Contains(r.messages, c.want) || strings.Count(r.messages, "\n") != 1 || time.Since(start) > 20*time.Second {
			t.Errorf("%q ends with %d after %v, want 1 and %q:\n%s", c.args, r.code, time.Since(start), c.want, r.messages)
		}
	}
	// inspect only says so, of each engine.
	if r := do("inspect", crash, "--engines", "--quiet"); r.code != 0 || !strings.Contains(r.stdout, "ONNX Runtime crashed with SIGFPE") || !strings.Contains(r.stdout, "gorgonia") {
		t.Errorf("inspect ends with %d: %s%s", r.code, r.stdout, r.messages)
	}
}

// An item at which the engine crashes is a row; the others have the codes they have without it.
func TestItemThatCrashesTheEngine(t *testing.T) {
	needWorkers(t)
	dir := t.TempDir()
	model := dividing(t, filepath.Join(dir, "m.onnx"))
	x := make([]float32, 40)
	for i := range x {
		x[i] = float32(i + 3)
	}
	sound := saveArray(t, filepath.Join(dir, "sound.npy"), tensor.Of(slices.Clone(x), 20, 2))
	x[2*7+1], x[2*13] = 1, 1
	bad := saveArray(t, filepath.Join(dir, "bad.npy"), tensor.Of(x, 20, 2))
	want := codesOf(t, "codes", model, sound, "--batch", "8")
	for _, how := range [][]string{{"--isolate"}, {"--device", "cpu,cpu", "--threads", "2"}} {
		r := do(append([]string{"codes", model, bad, "--batch", "8", "-o", "-"}, how...)...)
		got := rows(t, r.stdout)
		if r.code != exitSomeFailed || len(got) != 20 {
			t.Fatalf("%q: exit code %d, %d rows: %s", how, r.code, len(got), r.messages)
		}
		for i, row := range got {
			if crashed := i == 7 || i == 13; crashed && row["error"] != "crashed the engine with SIGFPE" || !crashed && row["code"] != want[i]["code"] {
				t.Errorf("%q: row %d: %v", how, i, row)
			}
		}
	}
	if r := do("compare", model, bad, "--isolate", "-a", "ort,batch=8", "-b", "ort,batch=8,optimize=none"); r.code != exitFailed || !strings.Contains(r.messages, "side a: items bad.npy[0] to bad.npy[7]: ") {
		t.Errorf("compare ends with %d: %s", r.code, r.messages)
	}
	job := filepath.Join(dir, "job")
	if r := do("hash", model, bad, "--batch", "8", "-o", job, "--isolate"); r.code != exitSomeFailed {
		t.Errorf("hash ends with %d: %s", r.code, r.messages)
	}
}

// A batch that crashes the engine only as a whole is an error, and sets its shard aside; the
// other shards are whole.
func TestBatchThatCrashesTogether(t *testing.T) {
	needWorkers(t)
	dir := t.TempDir()
	constants := []*onnx.Tensor{onnx.NewTensor("least", tensor.Of([]int64{-1 << 63}, 1)), onnx.NewTensor("sum", tensor.Of([]int64{41}, 1)),
		onnx.NewTensor("axes", tensor.Of([]int64{0}, 1))}
	model := pair(t, filepath.Join(dir, "m.onnx"), constants, step("Relu", "r", "x"), cast("whole", "x", tensor.Int64), step("ReduceSum", "all", "whole", "axes"),
		step("Sub", "by", "all", "sum"), step("Div", "d", "least", "by"), cast("f", "d", tensor.Float32), step("Add", "y", "r", "f"))
	x := make([]float32, 64)
	for i := range x {
		x[i] = float32(i % 3)
		if i/2 >= 8 && i/2 < 16 { // the second batch
			x[i] = 5
		}
	}
	items := saveArray(t, filepath.Join(dir, "x.npy"), tensor.Of(x, 32, 2))
	const want = "crash the engine together and not alone: "
	if r := do("codes", model, items, "--batch", "8", "-o", "-", "--isolate"); r.code != exitFailed || !strings.Contains(r.messages, want) || !strings.Contains(r.messages, "x.npy[8]") {
		t.Errorf("codes ends with %d: %s", r.code, r.messages)
	}
	job := filepath.Join(dir, "job")
	var r outcome
	for range 6 {
		if r = do("hash", model, items, "--batch", "8", "--shard-size", "8", "-o", job, "--isolate"); r.code == exitSomeFailed {
			break
		}
		t.Logf("%d: %s", r.code, r.messages)
	}
	if status := do("hash", "status", job); r.code != exitSomeFailed || !strings.Contains(status.stdout+status.messages, want) {
		t.Errorf("hash ends with %d: %s\n%s", r.code, r.messages, status.stdout)
	}
}

// Both ways give the same bytes, on one lane and on two that share a worker.
func TestIsolatedResultsAreTheSame(t *testing.T) {
	needWorkers(t)
	for _, args := range [][]string{
		pictures("codes", resnet, digits, "--limit", "20", "--sketch", "64", "--fragile", "1e-4"),
		pictures("complexity", resnet, digits, "--limit", "5", "--directions", "4"),
		pictures("codes", resnet, digits, "--limit", "20", "--device", "cpu,cpu", "--threads", "2"),
		{"codes", vit, "--random", "5", "--backend", "gorgonia"}, {"run", data + "models/cnn_external.onnx", "--random", "5"},
		{"run", data + "models/mlp_half.onnx", "--random", "5"}, {"codes", mlp, "--random", "5", "--precision", "float64"},
	} {
		args = append(args, "-o", "-", "--quiet")
		want := stdoutOf(t, append(args, "--isolate=no")...)
		if got := stdoutOf(t, append(args, "--isolate")...); got != want {
			t.Errorf("%q: other bytes", args)
		}
	}
}

// What was asked for and does not hold is said, or is an error.
func TestIsolationIsSaid(t *testing.T) {
	needWorkers(t)
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--isolate"}, 0, "isolation: a process of its own, at most 4 GiB, 1m0s"},
		{[]string{"--isolate=yes", "--max-memory", "512MiB", "--timeout", "20s"}, 0, "at most 512 MiB, 20s"},
		{[]string{"--isolate", "--timeout", "0"}, 0, "at most 4 GiB, landlock"},
		{[]string{"--isolate", "--device", "cuda"}, exitUnavailable, "it cannot be isolated: a GPU's driver"},
		{[]string{"--isolate=maybe"}, exitUsage, `--isolate "maybe" is not known; the choices are auto, yes, no`},
		{[]string{"--isolate", "yes"}, exitUsage, `"yes" is no file; give --isolate its choice after an equals sign: --isolate=yes`},
		{[]string{"--timeout", "20"}, exitUsage, `--timeout "20"; write a time such as 20s`},
		{[]string{"--isolate", "--timeout", "0s"}, 0, "at most 4 GiB, landlock"},
		{[]string{"--timeout="}, exitUsage, "--timeout is empty; give it a value, or leave it out"},
		{[]string{"--max-memory", ""}, exitUsage, "--max-memory is empty"},
		{[]string{"--timeout", "-1s"}, exitUsage, `--timeout "-1s"`},
		{[]string{"--isolate=no", "--max-memory", "1GiB"}, 0, "and not the whole of what ort takes"},
		{[]string{"--backend", "gorgonia", "--max-memory", "1GiB"}, 0, "and not the whole of what gorgonia takes"},
	} {
		r := do(append([]string{"codes", mlp, "--random", "3", "-o", "-"}, c.args...)...)
		if r.code != c.code || !strings.Contains(r.messages, c.want) {
			t.Errorf("%q: exit code %d, want %d and %q: %s", c.args, r.code, c.code, c.want, r.messages)
		}
	}
	if r := do("affine", mlp, "--random", "1", "--isolate"); r.code != exitUnavailable || !strings.Contains(r.messages, "--isolate=no") {
		t.Errorf("affine: exit code %d: %s", r.code, r.messages)
	}
}

// Without a worker --timeout ends the program, whatever the engine does, and nothing half
// done is left.
func TestTimeoutInTheProgram(t *testing.T) {
	needORT(t)
	dir := t.TempDir()
	model := endless(t, filepath.Join(dir, "m.onnx"))
	cmd, messages := limited(t, dir, "1000000000", "run", model, "--random", "2", "--isolate=no", "--timeout", "1s", "-o", "r.jsonl")
	start := time.Now()
	_ = cmd.Wait()
	said := messages.buf.String()
	if code := cmd.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(said, fmt.Sprintf("%s: ONNX Runtime took longer than 1 s (--timeout) while it ran the model", model)) {
		t.Errorf("exit code %d: %s", code, said)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// What the shell takes from the program it takes from its worker too, and is what is said.
func TestLimitsOfTheShell(t *testing.T) {
	needWorkers(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	model := endless(t, filepath.Join(t.TempDir(), "m.onnx"))
	for limit, want := range map[string]string{
		"-t 1":  model + ": ONNX Runtime used up the processor time that the program was given (ulimit) while it ran the model",
		"-n 14": "starting a worker process: ",
	} {
		cmd := exec.Command("sh", "-c", "ulimit "+limit+`; exec "$0" run "$1" --random 2 --isolate -o -`, self, model)
		cmd.Env = append(os.Environ(), asProgram+"=1")
		said, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(string(said), want) {
			t.Errorf("ulimit %s: exit code %d, want %q: %s", limit, code, want, said)
		}
	}
}

// A shard at which --timeout ends the program is set aside after three times, as one is at
// which it was killed.
func TestTimeoutIsATry(t *testing.T) {
	needORT(t)
	dir := t.TempDir()
	model := endless(t, filepath.Join(dir, "m.onnx"))
	codes, said := []int{}, ""
	for range 4 {
		cmd, messages := limited(t, dir, "1000000000", "hash", model, "--random", "10", "--isolate=no", "--timeout", "300ms", "-o", "job")
		_ = cmd.Wait()
		codes, said = append(codes, cmd.ProcessState.ExitCode()), messages.buf.String()
	}
	left, err := os.ReadDir(filepath.Join(dir, "job"))
	if err != nil || !slices.Equal(codes[:3], []int{exitFailed, exitFailed, exitFailed}) || !slices.ContainsFunc(left, func(e os.DirEntry) bool {
		return e.Name() == "00000_failed.json"
	}) {
		t.Errorf("exit codes %d, left %v, %v: %s", codes, left, err, said)
	}
}

// Where no engine runs, a flag of its limits is an error; inspect says what holds of trials.
func TestLimitsAreNotIgnored(t *testing.T) {
	needWorkers(t)
	for _, flag := range []string{"--isolate", "--timeout=9s"} {
		name, _, _ := strings.Cut(flag, "=")
		for _, line := range [][]string{{"hash", "plan", mlp, "--random", "20", "-o", filepath.Join(t.TempDir(), "job")},
			{"regions", digits, "--regions", "slic:4"}} {
			if r := do(append(line, flag)...); r.code != exitUsage || !strings.Contains(r.messages, name+" is of an engine") {
				t.Errorf("%v %s: exit %d, %s", line, flag, r.code, r.messages)
			}
		}
	}
	if r := do("run", mlp, "--random", "1", "--isolate="); r.code != exitUsage || !strings.Contains(r.messages, "the choices are auto, yes, no") {
		t.Errorf("no mode: exit %d, %s", r.code, r.messages)
	}
	if r := do("inspect", mlp, "--engines", "--isolate"); r.code != 0 || !strings.Contains(r.messages, "isolation: a process of its own, at most 4 GiB") {
		t.Errorf("inspect: exit %d, %s", r.code, r.messages)
	}
}

// A model of regions that crashes at every picture leaves nothing: regions writes no file, and
// a job ends as codes does, with the regions that failed counted.
func TestModelOfRegionsThatAlwaysCrashes(t *testing.T) {
	needWorkers(t)
	dir := t.TempDir()
	constants := []*onnx.Tensor{onnx.NewTensor("least", tensor.Of([]int64{-1 << 63}, 1)), onnx.NewTensor("zero", tensor.Of([]int64{0}, 1)),
		onnx.NewTensor("one", tensor.Of([]int64{1}, 1))}
	m := &onnx.Model{IR: 8, Opsets: []onnx.Opset{{Version: 17}}, Graph: &onnx.Graph{Name: "net", Initializers: constants,
		Nodes: []*onnx.Node{cast("whole", "x", tensor.Int64), step("Mul", "none", "whole", "zero"), step("Sub", "by", "none", "one"),
			step("Div", "y", "least", "by")},
		Inputs:  []*onnx.Value{onnx.NewValue("x", tensor.Float32, []onnx.Dim{{Size: 1}, {Size: 1}, {Size: 8}, {Size: 8}})},
		Outputs: []*onnx.Value{onnx.NewValue("y", tensor.Int64, nil)}}}
	model := filepath.Join(dir, "crash.onnx")
	if err := m.Save(model); err != nil {
		t.Fatal(err)
	}
	found := []string{"--regions", "labels:" + model, "--region-preprocess", "mnist-01", "--limit", "2"}
	file := filepath.Join(dir, "found.json")
	crashed := model + ": ONNX Runtime crashed with SIGFPE while it ran the model"
	r := do(with([]string{"regions", digits, "-o", file}, found...)...)
	if _, err := os.Stat(file); r.code != exitFailed || err == nil || !strings.Contains(r.messages, "none of 2 pictures could be used") || !strings.Contains(r.messages, crashed) {
		t.Errorf("regions ends with %d, the file: %v\n%s", r.code, err, r.messages)
	}
	for _, form := range []string{"jsonl", "npy"} {
		job := filepath.Join(dir, form)
		args := []string{"hash", resnet, digits, "--preprocess", "mnist-01", "--output-format", form, "--channels", "-o", job}
		r = do(with(args, found...)...)
		if r.code != exitFailed || !strings.Contains(r.messages, "; 2 of 2 regions failed, ") || !strings.Contains(r.messages, "none of 2 regions could be used: ") ||
			!strings.Contains(r.messages, crashed) {
			t.Errorf("hash of %s ends with %d\n%s", form, r.code, r.messages)
		}
		if done, _ := filepath.Glob(filepath.Join(job, "*."+form)); (len(done) > 0) != (form == "jsonl") {
			t.Errorf("hash of %s leaves %q", form, done)
		}
	}
	if r := do("hash", "finish", filepath.Join(dir, "jsonl")); r.code != exitFailed {
		t.Errorf("hash finish ends with %d\n%s", r.code, r.messages)
	}
}

// What holds of both sides of a comparison is said once.
func TestIsolationIsSaidOnce(t *testing.T) {
	needWorkers(t)
	r := do("compare", resnet, digits, "--preprocess", "mnist-01", "--limit", "2", "--isolate", "-a", "ort", "-b", "ort,optimize=none")
	if r.code != exitDone || strings.Count(r.messages, "isolation: ") != 1 {
		t.Errorf("compare ends with %d, and says what holds other than once:\n%s", r.code, r.messages)
	}
}

// What is wrong with a model names its file once, whoever finds it.
func TestErrorsNameTheModel(t *testing.T) {
	needWorkers(t)
	dir := t.TempDir()
	zero := []*onnx.Tensor{onnx.NewTensor("zero", tensor.Of([]int64{0}, 1))}
	divides := pair(t, filepath.Join(dir, "divides.onnx"), zero, cast("whole", "x", tensor.Int64), step("Mul", "none", "whole", "zero"),
		step("Div", "d", "whole", "none"), cast("f", "d", tensor.Float32), step("Relu", "y", "f"))
	misfit := pair(t, filepath.Join(dir, "misfit.onnx"), []*onnx.Tensor{onnx.NewTensor("three", tensor.Of(make([]float32, 3), 3))},
		step("Add", "a", "x", "three"), step("Relu", "y", "a"))
	linear := pair(t, filepath.Join(dir, "linear.onnx"), nil, step("Neg", "y", "x"))
	for _, c := range []struct {
		model, want string
		args        []string
	}{
		{divides, "running a model on ort: ", []string{"run", divides, "--random", "2", "-o", "-"}},
		{divides, "running a model on ort: ", []string{"codes", divides, "--random", "2", "-o", "-", "--isolate"}},
		{misfit, "inferring shapes: ", []string{"codes", misfit, "--random", "2", "-o", "-"}},
		{linear, "the model has no activation ", []string{"codes", linear, "--random", "2", "-o", "-"}},
		{divides, "a batch of 200000000 samples: each takes ", []string{"run", divides, "--random", "2", "-o", "-", "--batch", "200000000"}},
		{divides, "the input \"x\" has the shape ", []string{"run", divides, "--random", "2", "-o", "-", "--batch", "2000", "--max-memory", "1KB"}},
	} {
		r := do(append(c.args, "--quiet")...)
		if r.code != exitFailed || !strings.Contains(r.messages, c.model+": "+c.want) || strings.Count(r.messages, c.model) != 1 {
			t.Errorf("%q ends with %d, want %q after the model once:\n%s", c.args, r.code, c.want, r.messages)
		}
	}
}
