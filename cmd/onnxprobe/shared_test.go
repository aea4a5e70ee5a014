package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes"
)

func onnxFiles(t *testing.T, root string, atLeast int) (files []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".onnx" {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) < atLeast {
		t.Fatalf("%d models in %s, want at least %d: %v", len(files), root, atLeast, err)
	}
	return files
}

// ending is how a command line ended.
type ending struct {
	code           int
	stdout, stderr string
	panicked       any
}

// attempt runs a command line, and gives up on it after the time given.
func attempt(limit time.Duration, args ...string) (ending, error) {
	done := make(chan ending, 1)
	go func() {
		var out, errs bytes.Buffer
		r := ending{code: -1}
		defer func() {
			if p := recover(); p != nil {
				r.panicked = fmt.Sprintf("%v\n%s", p, debug.Stack())
			}
			r.stdout, r.stderr = out.String(), errs.String()
			done <- r
		}()
		r.code = run(args, strings.NewReader(""), &out, &errs)
	}()
	select {
	case r := <-done:
		return r, nil
	case <-time.After(limit):
		return ending{}, fmt.Errorf("onnxprobe %s did not end in %v", strings.Join(args, " "), limit)
	}
}

// succeed runs a command line that has to succeed.
func succeed(t *testing.T, args ...string) ending {
	t.Helper()
	r, err := attempt(2*time.Minute, args...)
	if err != nil {
		t.Fatal(err)
	}
	if r.code != exitDone || r.panicked != nil {
		t.Fatalf("onnxprobe %s: exit code %d, %s%v", strings.Join(args, " "), r.code, r.stderr, r.panicked)
	}
	return r
}

// The logits of trained CIFAR-10 networks, from the command line to the .npy file:
// those that the manifest records, with the accuracy that it records. Why they may
// differ by rounding is said in probes, at the constant of that name.
func TestRunTrainedNetworks(t *testing.T) {
	root := enginetest.SharedData(t)
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	data := filepath.Join(root, "images/cifar10/cifar10_lossless_A100.bin")
	pictures, err := os.ReadFile(data)
	if err != nil {
		t.Fatal(err)
	}
	imagenet := []string{"--preprocess", "none", "--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225"}
	for _, c := range []struct {
		model string
		flags []string
		right int
	}{
		{"ak_resnet20_op13", imagenet, 94},
		{"ak_resnet20_bn_op11", imagenet, 94},
		{"ak_resnet56_op13", imagenet, 96},
		{"sri_resnet_a", []string{"--preprocess", "cifar10"}, 82},
		{"winml_ImageClassifier", []string{"--mean", "0.5,0.5,0.5", "--std", "0.5,0.5,0.5"}, 68},
	} {
		t.Run(c.model, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "logits.npy")
			args := append([]string{"run", filepath.Join(root, "models/cifar10", c.model+".onnx"), data, "-o", out}, c.flags...)
			succeed(t, args...)
			got, err := tensor.ReadNpyFile(out)
			if err != nil {
				t.Fatal(err)
			}
			ref, err := tensor.ReadNpyFile(filepath.Join(root, "ref", c.model+".onnx.lossless.logits.npy"))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got.Shape, []int{100, 10}) {
				t.Fatalf("logits of shape %v", got.Shape)
			}
			largest := 0.0
			for _, v := range ref.Float64s() {
				largest = max(largest, v, -v)
			}
			if err := enginetest.Equal([]*tensor.Tensor{got}, []*tensor.Tensor{ref}, 3e-5*largest); err != nil {
				t.Error(err)
			}
			right, logits := 0, tensor.Data[float32](got)
			for i := range 100 {
				row := logits[i*10 : (i+1)*10]
				if slices.Index(row, slices.Max(row)) == int(pictures[i*3073]) {
					right++
				}
			}
			if right != c.right {
				t.Errorf("%d of 100 are right, the manifest records %d", right, c.right)
			}
		})
	}
}

// ReLU and its like as operators: each of these nodes is one site, one unit for
// each element of what it makes.
var pointwise = []string{"Relu", "LeakyRelu", "PRelu", "ThresholdedRelu", "HardSwish", "HardSigmoid", "Clip", "Abs", "Elu", "Selu", "Celu", "Gelu", "Mish"}

// activations runs one sample through a network with every pointwise activation as
// an output, and counts them and their elements: the sites and units, counted
// without anything that finds sites.
func activations(t *testing.T, m *onnx.Model, sample []int) (nodes, elements int) {
	t.Helper()
	var input *onnx.Value
	consts := map[string]bool{}
	for _, c := range m.Graph.Initializers {
		consts[c.Name] = true
	}
	for _, v := range m.Graph.Inputs {
		if !consts[v.Name] {
			input = v
		}
	}
	open, err := rewrite.Apply(m, rewrite.Pass{Name: "open", Do: func(e *rewrite.Edit) error {
		e.Graph.Outputs = nil
		for _, n := range e.Graph.Nodes {
			if slices.Contains(pointwise, n.Op) {
				e.Output(n.Outputs[0], input.DType, nil)
			}
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := ort.Backend{}.Prepare(context.Background(), open, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	shape := append([]int{1}, sample...)
	if len(input.Shape) == len(sample) {
		shape = sample
	}
	x, err := tensor.New(input.DType, shape...)
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Run(context.Background(), []*tensor.Tensor{x})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range out {
		elements += tensor.Count(o.Shape)
	}
	return len(out), elements
}

// What inspect says of trained networks is true.
func TestInspectTrainedNetworks(t *testing.T) {
	root := enginetest.SharedData(t)
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	seen := 0
	for _, dir := range []string{"cifar10", "mnist", "imagenet", "vit", "detect", "tll", "acasxu", "misc", "transformer-structural"} {
		for _, file := range onnxFiles(t, filepath.Join(root, "models", dir), 1) {
			name, _ := filepath.Rel(filepath.Join(root, "models"), file)
			t.Run(name, func(t *testing.T) {
				seen++
				var in probes.Inspection
				if err := json.Unmarshal([]byte(succeed(t, "inspect", file, "--json", "--engines").stdout), &in); err != nil {
					t.Fatal(err)
				}
				m, err := onnx.Load(file)
				if err != nil {
					t.Fatal(err)
				}
				if len(in.Inputs) != 1 || len(in.Outputs) != len(m.Graph.Outputs) || in.Opset != m.Opset("") || in.Nodes != len(m.Graph.Nodes) {
					t.Errorf("%d inputs, %d outputs, opset %d, %d nodes", len(in.Inputs), len(in.Outputs), in.Opset, in.Nodes)
				}
				shape := in.Inputs[0].Shape
				vector := len(shape) == 1
				var sample []int
				for i, d := range shape {
					if n, ok := d.(float64); i > 0 || vector {
						if !ok {
							t.Fatalf("an input of shape %v", shape)
						}
						sample = append(sample, int(n))
					}
				}
				nodes, elements := activations(t, m, sample)
				if len(in.Sites) != nodes || in.Units != elements || nodes == 0 {
					t.Errorf("%d sites with %d units; run, the network has %d activations with %d values", len(in.Sites), in.Units, nodes, elements)
				}
				sum, bytes := 0, 0
				for _, s := range in.Sites {
					sum += s.Units
					bytes += (s.Units*len(s.Knots) + 7) / 8
					if s.Units != tensor.Count(s.Shape) || len(s.Knots) == 0 || s.Name == "" {
						t.Errorf("site %+v", s)
					}
				}
				if sum != in.Units || bytes != in.CodeBytes {
					t.Errorf("%d units in %d bytes, its sites have %d in %d", in.Units, in.CodeBytes, sum, bytes)
				}
				one, fixed := shape[0].(float64)
				says := strings.Contains(strings.Join(in.Notes, "\n"), "the batch at 1")
				if says != (fixed && one == 1 && !vector) {
					t.Errorf("an input of shape %v, notes %q", shape, in.Notes)
				}
				if vector != strings.Contains(strings.Join(in.Notes, "\n"), "no batch axis") {
					t.Errorf("an input of shape %v, notes %q", shape, in.Notes)
				}
				if len(in.Backends) == 0 || !in.Backends[0].Runs {
					t.Errorf("runs on %+v", in.Backends)
				}
			})
		}
	}
	if seen < 39 {
		t.Errorf("%d networks, want at least 39", seen)
	}
}

// Whatever the model, inspect ends: with a description, or with one message that
// says what is wrong with which file.
func TestInspectEverything(t *testing.T) {
	if testing.Short() {
		t.Skip("more than a thousand models")
	}
	root := enginetest.SharedData(t)
	files := onnxFiles(t, root, 1600)
	codes := map[int]int{}
	sites := 0
	var slowest time.Duration
	for _, file := range files {
		start := time.Now()
		r, err := attempt(20*time.Second, "inspect", file, "--json")
		if err != nil {
			t.Error(err)
			continue
		}
		slowest = max(slowest, time.Since(start))
		codes[r.code]++
		switch {
		case r.panicked != nil:
			t.Errorf("%s: panic: %v", file, r.panicked)
		case r.code == exitDone:
			var in probes.Inspection
			if err := json.Unmarshal([]byte(r.stdout), &in); err != nil {
				t.Errorf("%s: %v in %.200q", file, err, r.stdout)
			} else if in.Sites == nil || in.Inputs == nil || len(in.Sites) == 0 && len(in.Notes) == 0 || r.stderr != "" {
				t.Errorf("%s: %.500s%s", file, r.stdout, r.stderr)
			}
			if len(in.Sites) > 0 {
				sites++
			}
		case r.code == exitFailed:
			if !strings.HasPrefix(r.stderr, "onnxprobe: ") || !strings.Contains(r.stderr, filepath.Base(file)) || strings.Count(r.stderr, "\n") != 1 || r.stdout != "" {
				t.Errorf("%s: %q, %q on standard output", file, r.stderr, r.stdout)
			}
		default:
			t.Errorf("%s: exit code %d: %s", file, r.code, r.stderr)
		}
	}
	t.Logf("%d models, %d of them with sites; exit codes %v; the slowest took %v", len(files), sites, codes, slowest.Round(time.Millisecond))
	if sites < 125 {
		t.Errorf("%d models with sites", sites)
	}
}

// The file that attach writes is an ordinary model: run by itself it returns the
// codes that the codes verb writes, bit for bit.
func TestAttachedFilesGiveTheCodes(t *testing.T) {
	root := enginetest.SharedData(t)
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	ran := 0
	for _, file := range onnxFiles(t, filepath.Join(root, "models"), 40) {
		name, _ := filepath.Rel(filepath.Join(root, "models"), file)
		t.Run(name, func(t *testing.T) {
			m, err := onnx.Load(file)
			if err != nil {
				t.Skip(err)
			}
			probed := filepath.Join(t.TempDir(), "sub folder", "probed.onnx")
			r, err := attempt(time.Minute, "attach", file, "-o", probed, "--json", "--quiet")
			if err != nil {
				t.Fatal(err)
			}
			if r.code != exitDone {
				if !strings.Contains(r.stderr, "no activation") && !strings.Contains(r.stderr, "data to") && !strings.Contains(r.stderr, "takes int32") {
					t.Fatal(r.stderr)
				}
				t.Skip(r.stderr)
			}
			p, err := onnx.Load(probed)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := (ort.Backend{}).Prepare(context.Background(), m, engine.Options{}); err != nil {
				t.Skip(err)
			}
			s, err := ort.Backend{}.Prepare(context.Background(), p, engine.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			// One item at a time, so that models of any batch do the same.
			const n = 3
			in := s.Inputs()[0]
			shape := slices.Clone(in.Shape)
			sample := shape[1:]
			if len(shape) == 1 {
				sample = shape
			} else {
				shape[0] = 1
			}
			dim := tensor.Count(sample)
			rng := rand.New(rand.NewPCG(3, 4))
			x := make([]float32, n*dim)
			for i := range x {
				x[i] = rng.Float32()*2 - 1
			}
			var codes []uint8
			for i := range n {
				one := tensor.Of(x[i*dim:(i+1)*dim], shape...)
				if in.DType == tensor.Float16 {
					half := make([]uint16, dim)
					for k := range half {
						half[k] = tensor.Float32ToHalf(x[i*dim+k])
					}
					one = &tensor.Tensor{DType: tensor.Float16, Shape: shape, Data: half}
				}
				out, err := s.Run(context.Background(), []*tensor.Tensor{one})
				if err != nil {
					t.Fatal(err)
				}
				for k, o := range s.Outputs() {
					if strings.HasPrefix(o.Name, "onnxprobe.code/") {
						codes = append(codes, tensor.Data[uint8](out[k])...)
					}
				}
			}
			npy, res := filepath.Join(t.TempDir(), "x.npy"), filepath.Join(t.TempDir(), "codes.npy")
			w, err := os.Create(npy)
			if err == nil {
				err = tensor.WriteNpy(w, tensor.Of(x, append([]int{n}, sample...)...))
				w.Close()
			}
			if err != nil {
				t.Fatal(err)
			}
			succeed(t, "codes", file, npy, "-o", res, "--batch", "1", "--quiet")
			got, err := tensor.ReadNpyFile(res)
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Shape) != 2 || got.Shape[0] != n || !bytes.Equal(tensor.Data[uint8](got), codes) || len(codes) == 0 {
				t.Errorf("codes of shape %v are not those of the file that attach wrote, %d bytes", got.Shape, len(codes))
			}
			ran++
		})
	}
	if ran < 39 {
		t.Errorf("%d attached files run, want at least 39", ran)
	}
}
