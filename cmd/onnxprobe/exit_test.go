package main

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// The exit codes are a contract with scripts; each message names what went wrong
// and what to do. $T is a fresh folder.
func TestExitCodes(t *testing.T) {
	needORT(t)
	codes := []string{"codes", resnet, digits, "--preprocess", "mnist-01", "-o", "$T/out.npy"}
	complexity := []string{"complexity", resnet, "--random", "2", "-o", "$T/out.npy"}
	compare := []string{"compare", resnet, "--random", "2"}
	affine := []string{"affine", mlp, "--random", "1"}
	for _, c := range []struct {
		name string
		args []string
		code int
		want string // in the messages
	}{
		{"nothing", nil, 0, ""},
		{"help", []string{"--help"}, 0, ""},
		{"unknown verb", []string{"nope"}, 2, `unknown verb "nope"; the verbs are demo, inspect, `},
		{"misspelt verb", []string{"inspec"}, 2, `unknown verb "inspec"; did you mean inspect?`},
		{"unknown sub-command", []string{"runtime", "instal"}, 2, `unknown verb "instal" of runtime; did you mean install?`},
		{"help of an unknown verb", []string{"help", "nope"}, 2, "there is about data, "},
		{"help of an unknown sub-command", []string{"help", "runtime", "nope"}, 2, "install"},
		{"completion for an unknown shell", []string{"completion", "tcsh"}, 2, "did you mean bash or fish or zsh?"},
		{"unknown flag", []string{"inspect", resnet, "--nope"}, 2, "unknown flag --nope; onnxprobe inspect --help-all has all"},
		{"flag of another verb", []string{"run", resnet, digits, "--sites", "relu"}, 2, "onnxprobe run has no flag --sites, which is of "},
		{"bad value", with(codes, "--limit", "many"), 2, "--limit"},
		{"unknown preset", []string{"codes", resnet, digits, "-o", "$T/a.npy", "--preprocess", "nope"}, 2, "mnist-01"},
		{"unknown backend", with(codes, "--backend", "nope"), 2, `--backend "nope" is not known; the choices are auto, ort`},
		{"unknown backend to inspect", []string{"inspect", resnet, "--backend", "nope"}, 2, "auto, ort"},
		{"no such site", with(codes, "--sites", "layer4*"), 2, `no site matches ["layer4*"]; this model has 9: ["relu"`},
		{"no such site to inspect", []string{"inspect", resnet, "--sites", "nope"}, 2, "this model has 9"},
		{"no such site to attach", []string{"attach", resnet, "-o", "$T/p.onnx", "--sites", "nope"}, 2, "this model has 9"},
		{"no such site to compare", with(compare, "--sites", "nope"), 2, "this model has 9"},
		{"malformed glob", with(codes, "--sites", "[a"), 2, `site pattern "[a"`},
		{"unknown list", []string{"list", "nope"}, 2, "activations, backends"},
		{"list of nothing", []string{"list"}, 2, "activations, backends"},
		{"unknown data format", with(codes, "--format", "nope"), 2, "cifar10"},
		{"unknown layout", with(codes, "--layout", "nope"), 2, "nchw"},
		{"unknown result format", []string{"codes", resnet, digits, "--preprocess", "mnist-01", "-o", "$T/a.txt"}, 2, ".parquet, .npy, .jsonl"},
		{"unknown device", with(codes, "--device", "gpu"), 2, "did you mean cuda? The choices are cpu, cuda"},
		{"unknown optimisation", with(codes, "--optimize", "max"), 2, "all, extended, basic, none"},
		{"negative threads", with(codes, "--threads", "-1"), 2, "--threads"},
		{"mean that is no number", with(codes, "--mean", "1,a"), 2, `"a" is not a number`},
		{"endless radius", with(complexity, "--radius", "inf"), 2, "finite"},
		{"no radius", with(complexity, "--radius", "0"), 2, "positive"},
		{"one radius twice", with(complexity, "--radius", "1,1"), 2, "twice"},
		{"more directions than dimensions", with(complexity, "--directions", "65"), 2, "between 1 and 64"},
		{"frame and directions", with(complexity, "--frame", "f.npy", "--directions", "3"), 2, "--directions"},
		{"range upside down", with(complexity, "--low", "1", "--high", "0"), 2, "not below"},
		{"endless range", with(complexity, "--high", "inf"), 2, "finite"},
		{"data and random points", []string{"complexity", resnet, digits, "--random", "1", "-o", "$T/a.npy"}, 2, "not both"},
		{"fragile within NaN", with(codes, "--fragile", "nan"), 2, "--fragile NaN"},
		{"attach within less than nothing", []string{"attach", resnet, "-o", "$T/p.onnx", "--fragile", "-1"}, 2, "--fragile -1"},
		{"sketch longer than the code", with(codes, "--sketch", "3201"), 2, "3200"},
		{"npy without code", with(codes, "--code=false"), 2, ".parquet or .jsonl"},
		{"no output", []string{"codes", resnet, digits, "--preprocess", "mnist-01"}, 2, "-o FILE.parquet"},
		{"no output of complexity", []string{"complexity", resnet, "--random", "2"}, 2, "-o -"},
		{"no output of attach", []string{"attach", resnet}, 2, "-o PROBED.onnx"},
		{"no data", []string{"codes", resnet, "-o", "$T/a.npy"}, 2, "onnxprobe codes --help"},
		{"no model", []string{"inspect"}, 2, "inspect takes one model"},
		{"two models", []string{"attach", resnet, cnn, "-o", "$T/p.onnx"}, 2, "attach takes one"},
		{"pictures without preprocessing", []string{"codes", resnet, digits, "-o", "$T/a.npy"}, 2, "--preprocess mnist, or a JSON file"},
		{"setting with an unknown key", with(compare, "-a", "ort,x=1"), 2, "the keys are device, threads, batch, optimize, precision, tf32, tune and codes"},
		{"setting with a bad number", with(compare, "-b", "ort,threads=a"), 2, "want a whole number, 0 or more"},
		{"setting with an empty batch", with(compare, "-b", "ort,batch=0"), 2, "1 or more"},
		{"setting with an unknown engine", with(compare, "-a", "nope"), 2, "auto, ort"},
		{"setting without an engine", with(compare, "-a", "optimize=none"), 2, "auto, ort"},
		{"empty setting", with(compare, "-a", ""), 2, "begins with an engine"},
		{"setting with an unknown level", with(compare, "-a", "ort,optimize=max"), 2, "all, extended, basic and none"},
		{"setting with an unknown device", with(compare, "-a", "ort,device=gpu"), 2, "cpu, cuda and cuda:N"},
		{"setting with unknown codes", with(compare, "-a", "ort,codes=disk"), 2, "on the host"},

		{"unknown precision", with(codes, "--precision", "float16"), 2, `--precision "float16" is not known; did you mean float32 or float64? The choices are float32, float64`},
		{"float32 of a float16 model", []string{"codes", data + "models/mlp_half.onnx", digits, "--preprocess", "mnist-01", "-o", "$T/a.npy", "--precision", "float32"}, 2, "is float16; leave --precision out"},
		{"unknown precision in a setting", with(compare, "-a", "ort,precision=half"), 2, "the precisions are float32 and float64"},
		{"judge in float32", with(compare, "--decide", "float32"), 2, `--decide "float32" is not known; did you mean float64?`},
		{"affine on an engine without derivatives", with(affine, "--backend", "ort"), 2, "the engine ort gives no derivatives; take --backend gorgonia"},
		{"affine with a library of that engine", with(affine, "--library", "/nope.so"), 2, "the engine ort gives no derivatives"},
		{"affine of many items", []string{"affine", resnet, digits, "--preprocess", "mnist-01"}, 2, "affine takes one item, and the data has 100; choose one with --index 0 to 99"},
		{"affine of an item that is not there", []string{"affine", resnet, digits, "--preprocess", "mnist-01", "--index", "100"}, 2, "the data has 100 items"},
		{"affine of a negative item", []string{"affine", resnet, digits, "--preprocess", "mnist-01", "--index", "-1"}, 2, "counted from 0"},
		{"affine of a row that is not there", with(affine, "--row", "10"), 2, "the output has no row 10; it has 10"},
		{"affine of a value that is not there", with(affine, "--value", "nope"), 2, "no node of the model makes a value of that name; the last that they make: [\"logits\""},
		{"affine of rows twice", with(affine, "--row", "1", "--all"), 2, "not both"},
		{"affine to an unknown format", with(affine, "-o", "$T/a.parquet"), 2, "use .npz, or .npy"},
		{"affine over its input", []string{"affine", mlp, "$T/x.npy", "--force", "-o", "$T/x.npy"}, 1, "no such file"},
		{"affine of no such site", with(affine, "--sites", "nope"), 2, "no site matches"},
		{"affine in another precision", with(affine, "--precision", "float16"), 2, "The choices are float32, float64"},
		{"affine of a float16 model as it is", []string{"affine", data + "models/mlp_half.onnx", "--random", "1", "--precision", "float32"}, 2, "leave --precision out"},
		{"affine of nothing", []string{"affine", mlp}, 2, "onnxprobe affine --help"},

		{"missing model", []string{"inspect", "$T/nope.onnx"}, 1, "no such file"},
		{"a folder for a model", []string{"inspect", "$T"}, 1, "loading"},
		{"not a model", []string{"codes", data + "images/README.md", digits, "--preprocess", "mnist-01", "-o", "$T/a.npy"}, 1, "not an ONNX model"},
		{"missing data", []string{"codes", resnet, "$T/nope", "--preprocess", "mnist-01", "-o", "$T/a.npy"}, 1, "no such file"},
		{"empty dataset", []string{"codes", resnet, "$T", "--preprocess", "mnist-01", "-o", "$T/a.npy"}, 1, "it holds no image"},
		{"pattern without files", []string{"codes", resnet, "$T/*.png", "--preprocess", "mnist-01", "-o", "$T/a.npy"}, 1, "matches no file"},
		{"empty list", []string{"codes", resnet, "-", "--preprocess", "mnist-01", "-o", "$T/a.npy"}, 1, "no source"},
		{"channels that the model lacks", []string{"codes", resnet, digits, "--preprocess", "imagenet", "-o", "$T/a.npy"}, 1, "a preprocessing for 1 channels, such as mnist (--preprocess NAME|FILE)"},
		{"batch beyond memory", with(codes, "--batch", "100000000"), 1, "give a smaller one"},
		{"folder that cannot be made", []string{"codes", resnet, digits, "--preprocess", "mnist-01", "-o", "/dev/null/a.npy"}, 1, "not a directory"},
		{"missing frame", with(complexity, "--frame", "$T/nope.npy"), 1, "reading the frame"},
		{"missing labels", []string{"run", resnet, "--random", "2", "--labels", "$T/nope.txt"}, 1, "reading labels"},
		{"install from nowhere", []string{"runtime", "install", "--from", "$T/nope.whl"}, 1, "nope.whl"},
		{"install by an unknown client", []string{"runtime", "install", "--client", "nope"}, 2, "pip, npm"},

		{"no GPU", with(codes, "--device", "cuda"), 4, "CUDA"},
		{"no GPU for complexity", with(complexity, "--device", "cuda:1"), 4, "--device cpu"},
		{"no GPU in a setting", with(compare, "-b", "ort,device=cuda"), 4, "-b ort,device=cuda: backend ort is not available"},
		{"no library", with(codes, "--library", "/nonexistent"), 4, "runtime install"},
		{"no library for run", []string{"run", resnet, "--random", "2", "--library", "/nonexistent"}, 4, "/nonexistent"},
		{"no library, by name", with(codes, "--library", "/nonexistent", "--backend", "ort"), 4, "/nonexistent"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			args := make([]string, len(c.args))
			for i, a := range c.args {
				args[i] = strings.ReplaceAll(a, "$T", dir)
			}
			r := do(args...)
			if r.code != c.code || !strings.Contains(r.messages, c.want) {
				t.Errorf("%q: exit code %d, want %d, with a message of %q:\n%s", args, r.code, c.code, c.want, r.messages)
			}
			if c.code != 0 && r.stdout != "" {
				t.Errorf("a failed run wrote to standard output: %q", r.stdout)
			}
			if strings.Contains(r.messages, "goroutine ") || c.code != 0 && !strings.Contains(r.messages, "onnxprobe: ") {
				t.Errorf("messages:\n%s", r.messages)
			}
			if left := list(t, dir); len(left) > 0 {
				t.Errorf("it left %q", left)
			}
		})
	}
}

func TestItemsThatCannotBeRead(t *testing.T) {
	needORT(t)
	dir := t.TempDir()
	var good []string
	for _, name := range []string{"0/0276.png", "3/0213.png", "9/1176.png"} {
		good = append(good, duplicate(t, digits+"/"+name, filepath.Join(dir, filepath.Base(name))))
	}
	codes := func(out string, data ...string) (outcome, []map[string]any) {
		r := do(with([]string{"codes", resnet, "--preprocess", "mnist-01", "-o", filepath.Join(dir, out)}, data...)...)
		return r, rows(t, slurp(t, filepath.Join(dir, out)))
	}
	_, want := codes("good.jsonl", good...)
	bad := spill(t, filepath.Join(dir, "bad.png"), []byte(slurp(t, good[0]))[:60])
	r, got := codes("some.jsonl", good[0], bad, good[1], good[2])
	if r.code != exitSomeFailed || !strings.Contains(r.messages, "1 of 4 items could not be used") || !strings.Contains(r.messages, "bad.png") {
		t.Errorf("exit code %d, want 3:\n%s", r.code, r.messages)
	}
	if len(got) != 4 || len(want) != 3 {
		t.Fatalf("%d rows and %d, want 4 and 3", len(got), len(want))
	}
	for i, k := range map[int]int{0: 0, 2: 1, 3: 2} {
		if got[i]["code"] != want[k]["code"] || got[i]["digest"] != want[k]["digest"] || got[i]["status"] != "ok" {
			t.Errorf("row %d is not what it is without the bad item", i)
		}
	}
	if b := got[1]; b["status"] != "error" || b["code"] != nil || b["digest"] != nil || !strings.Contains(b["error"].(string), "bad.png") {
		t.Errorf("the bad item's row: %v", b)
	}
	r, got = codes("none.jsonl", bad)
	if r.code != exitFailed || len(got) != 1 || got[0]["status"] != "error" || !strings.Contains(r.messages, "onnxprobe: none of 1 item could be used; the first: ") {
		t.Errorf("all items bad: exit code %d and rows %v, want 1 and an error\n%s", r.code, got, r.messages)
	}

	// A NaN in one sample of an array.
	x := make([]float32, 3*64)
	binary.Decode([]byte{0, 0, 0xc0, 0x7f}, binary.LittleEndian, x[70:71])
	in := saveArray(t, filepath.Join(dir, "x.npy"), tensor.Of(x, 3, 1, 8, 8))
	r = do("complexity", resnet, in, "-o", "-")
	if got := rows(t, r.stdout); r.code != exitSomeFailed || len(got) != 3 || got[1]["status"] != "error" || got[2]["status"] != "ok" {
		t.Errorf("a NaN: exit code %d, want 3 and an error in row 1: %v", r.code, got)
	}
	r = do("run", resnet, in)
	if r.code != exitSomeFailed || strings.Count(r.stdout, "\n") != 3 || !strings.Contains(r.stdout, "x.npy[1]  error: ") {
		t.Errorf("a NaN: run ends with %d and prints\n%s", r.code, r.stdout)
	}
	if r = do("compare", resnet, in); r.code != exitSomeFailed || !strings.Contains(r.stdout, "in 0 of 2 items") {
		t.Errorf("a NaN: compare ends with %d and prints\n%s", r.code, r.stdout)
	}
}

// Pictures of another size fail item by item, since some may fit; the remedy is
// in every row.
func TestWrongPictureSize(t *testing.T) {
	needORT(t)
	r := do("codes", resnet, digits+"/3", "--preprocess", "mnist-01", "--resize", "16", "-o", "-")
	if r.code != exitFailed || !strings.Contains(r.messages, "samples are 8 x 8; resize to 8x8") {
		t.Errorf("exit code %d, want 1 as none fits:\n%s", r.code, r.messages)
	}
}

// A file or folder that is not there is one exit code in every verb: 1.
func TestMissingFiles(t *testing.T) {
	needORT(t)
	dir := t.TempDir()
	nope := filepath.Join(dir, "nope.json")
	result := filepath.Join(dir, "codes.parquet")
	stdoutOf(t, "codes", mlp, digits, "--preprocess", "mnist-01", "-o", result, "--quiet")
	two := regionModels + "regionblip_dynamo.onnx"
	for _, args := range [][]string{
		{"inspect", nope}, {"attach", nope, "-o", "$O.onnx"}, {"bench", nope}, {"report", nope, "-o", "$O.html"},
		{"run", nope, digits}, {"run", mlp, nope}, {"run", mlp, "--random", "1", "--labels", nope},
		{"codes", nope, digits, "-o", "-"}, {"codes", mlp, nope, "-o", "-"}, {"codes", mlp, digits, "--preprocess", nope, "-o", "-"},
		{"codes", mlp, digits, "--preprocess", "mnist", "--regions", nope, "-o", "-"}, {"codes", two, "--random", "1", "--input", nope + ".npy", "-o", "-"},
		{"complexity", mlp, nope, "-o", "-"}, {"complexity", mlp, "--random", "1", "--frame", nope, "-o", "-"},
		{"compare", nope, digits}, {"compare", mlp, nope}, {"compare", two, "--random", "1", "--input", nope + ".npy"},
		{"affine", nope, digits}, {"affine", mlp, nope}, {"affine", two, "--random", "1", "--input", nope + ".npy"},
		{"hash", nope, digits, "-o", "$O"}, {"hash", mlp, nope, "-o", "$O"}, {"hash", mlp, digits, "--preprocess", nope, "-o", "$O"},
		{"hash", mlp, digits, "--preprocess", "mnist", "--regions", nope, "-o", "$O"}, {"hash", two, "--random", "1", "--input", nope + ".npy", "-o", "$O"},
		{"hash", "plan", mlp, nope, "-o", "$O"}, {"hash", "run", nope}, {"hash", "status", nope}, {"hash", "verify", nope}, {"hash", "finish", nope},
		{"search", nope, "--all"}, {"dedup", nope}, {"evaluate", nope}, {"evaluate", result, "--test", nope}, {"evaluate", result, "--churn", nope},
		{"dynamics", nope, "--train", digits, "--test", digits, "--preprocess", "mnist-01", "-o", "$O"}, {"dynamics", mlp, "--train", nope, "--test", nope, "-o", "$O"},
		{"phases", nope, "--train", digits, "--test", digits, "--preprocess", "mnist-01", "-o", "$O"},
		{"runtime", "install", "--from", nope},
	} {
		for i := range args {
			args[i] = strings.Replace(args[i], "$O", filepath.Join(dir, "out"), 1)
		}
		if r := do(args...); r.code != exitFailed || !strings.Contains(r.messages, "no such file") && !strings.Contains(r.messages, "nope") {
			t.Errorf("%q: exit code %d, want 1\n%s", args, r.code, r.messages)
		}
	}
}

// An existing result stays, and nothing is run to find that out.
func TestExistingResultsStay(t *testing.T) {
	needORT(t)
	for name, args := range map[string][]string{
		"a.npy":     {"codes", "/nonexistent.onnx", digits, "-o"},
		"a.parquet": {"complexity", "/nonexistent.onnx", "--random", "1", "-o"},
		"a.jsonl":   {"run", "/nonexistent.onnx", digits, "-o"},
		"a.onnx":    {"attach", resnet, "-o"},
	} {
		path := spill(t, filepath.Join(t.TempDir(), name), []byte("precious"))
		r := do(append(args, path)...)
		if r.code != exitUsage || !strings.Contains(r.messages, "exists; ") || !strings.Contains(r.messages, "--force") || slurp(t, path) != "precious" {
			t.Errorf("%s: exit code %d, file %.20q:\n%s", name, r.code, slurp(t, path), r.messages)
		}
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "new/folder/a.npy")
	args := []string{"codes", resnet, digits, "--preprocess", "mnist-01", "-o", path}
	stdoutOf(t, args...)
	first := slurp(t, path)
	if r := do(args...); r.code != exitUsage || slurp(t, path) != first {
		t.Errorf("a second run: exit code %d", r.code)
	}
	stdoutOf(t, with(args, "--force", "--sites", "relu")...)
	if slurp(t, path) == first {
		t.Error("--force left the old result")
	}
	frame := spill(t, filepath.Join(dir, "frame.npy"), []byte("precious"))
	if r := do("complexity", resnet, "--random", "1", "--save-frame", frame, "-o", "-"); r.code != exitUsage || slurp(t, frame) != "precious" {
		t.Errorf("--save-frame: exit code %d, file %.20q", r.code, slurp(t, frame))
	}
}

// No result may take the place of what it is made from, --force or not.
func TestInputsStay(t *testing.T) {
	needORT(t)
	dir := t.TempDir()
	x := saveArray(t, filepath.Join(dir, "x.npy"), tensor.Of(make([]float32, 128), 2, 1, 8, 8))
	model := duplicate(t, resnet, filepath.Join(dir, "m.onnx"))
	duplicate(t, data+"models/cnn_external.onnx", filepath.Join(dir, "cnn_external.onnx"))
	weights := duplicate(t, data+"models/cnn_external.onnx.data", filepath.Join(dir, "cnn_external.onnx.data"))
	hard := filepath.Join(dir, "hard.npy")
	if err := os.Link(x, hard); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		file string
		args []string
	}{
		{x, []string{"codes", model, x, "-o", x}},
		{x, []string{"codes", model, x, "-o", hard}},
		{x, []string{"complexity", model, x, "-o", "-", "--save-frame", x}},
		{model, []string{"attach", model, "-o", model}},
		{weights, []string{"attach", filepath.Join(dir, "cnn_external.onnx"), "-o", weights}},
	} {
		before := slurp(t, c.file)
		r := do(with(c.args, "--force")...)
		if r.code != exitUsage || slurp(t, c.file) != before || !strings.Contains(r.messages, "write it elsewhere") {
			t.Errorf("%q: exit code %d:\n%s", c.args, r.code, r.messages)
		}
	}
}
