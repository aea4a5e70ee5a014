package benchmarks

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// small makes a convolutional network for CIFAR-size pictures: 8 channels at half
// the size and 16 at a quarter, 3072 units, a code of 384 bytes.
func small(t *testing.T, path string) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	weights := func(shape ...int) *tensor.Tensor {
		w := make([]float32, tensor.Count(shape))
		for i := range w {
			w[i] = float32(rng.NormFloat64()) / 4
		}
		return tensor.Of(w, shape...)
	}
	m := &onnx.Model{IR: 8, Opsets: []onnx.Opset{{Version: 17}}, Graph: &onnx.Graph{Name: "small",
		Inputs: []*onnx.Value{onnx.NewValue("x", tensor.Float32, []onnx.Dim{{Size: -1, Param: "n"}, {Size: 3}, {Size: 32}, {Size: 32}})}}}
	m, err := rewrite.Apply(m, rewrite.Pass{Name: "build", Do: func(e *rewrite.Edit) error {
		layer := func(x string, in, out int) string {
			half := map[string]any{"strides": []int64{2, 2}, "pads": []int64{1, 1, 1, 1}}
			return e.Op("Relu", nil, e.Op("Conv", half, x, e.Const(weights(out, in, 3, 3))))
		}
		y := e.Op("Flatten", nil, layer(layer("x", 3, 8), 8, 16))
		y = e.Op("Gemm", nil, y, e.Const(weights(1024, 10)))
		e.Output(y, tensor.Float32, []onnx.Dim{{Size: -1, Param: "n"}, {Size: 10}})
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Save(path); err != nil {
		t.Fatal(err)
	}
}

// pictures writes n records of CIFAR-10's binary layout, of random pixels.
func pictures(t *testing.T, path string, n int) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, random, record := bufio.NewWriter(f), rand.NewChaCha8([32]byte{}), make([]byte, 3073)
	for i := range n {
		random.Read(record)
		record[0] = byte(i % 10)
		w.Write(record)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
}

// peak runs the program and returns the most memory it held, in bytes.
func peak(t *testing.T, program string, args ...string) int {
	t.Helper()
	c := exec.Command(program, args...)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("onnxprobe %v: %v\n%s", args, err, out)
	}
	child := int(c.ProcessState.SysUsage().(*syscall.Rusage).Maxrss) << 10
	// A child's figure starts with the mark of the process it was forked from. That one's own
	// figure would not do: it starts with the mark of go test.
	if own := mark("self"); child <= own {
		t.Fatalf("the test itself held %s, the program no more: the figure is not the program's", mb(own))
	}
	return child
}

// Memory does not grow with the number of items: ten times as many hold at most a
// tenth more. The allowance beside that is for when the collector happens to run.
func TestMemoryIsConstant(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program and runs it over 50,000 pictures")
	}
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	dir := t.TempDir()
	program, model := filepath.Join(dir, "onnxprobe"), filepath.Join(dir, "small.onnx")
	if out, err := exec.Command("go", "build", "-o", program, "../cmd/onnxprobe").CombinedOutput(); err != nil {
		t.Fatalf("building onnxprobe: %v\n%s", err, out)
	}
	small(t, model)
	few, many := filepath.Join(dir, "few.bin"), filepath.Join(dir, "many.bin")
	pictures(t, few, 5000)
	pictures(t, many, 50000)
	const slack = 4 << 20
	for _, c := range []struct {
		name      string
		few, many []string
		allowance int
	}{
		{"codes to npy", []string{"codes", few, "-o", "few.npy"}, []string{"codes", many, "-o", "many.npy"}, slack},
		{"codes to jsonl", []string{"codes", few, "-o", "few.jsonl"}, []string{"codes", many, "-o", "many.jsonl"}, slack},
		{"codes to parquet", []string{"codes", few, "-o", "few.parquet"}, []string{"codes", many, "-o", "many.parquet"}, slack},
		{"run to npy", []string{"run", few, "-o", "out.npy"}, []string{"run", many, "-o", "outs.npy"}, slack},
		{"complexity to npy", []string{"complexity", "--random", "500", "-o", "lc.npy"}, []string{"complexity", "--random", "5000", "-o", "lcs.npy"}, slack},
		{"complexity to parquet", []string{"complexity", "--random", "500", "-o", "lc.parquet"}, []string{"complexity", "--random", "5000", "-o", "lcs.parquet"}, slack},
	} {
		t.Run(c.name, func(t *testing.T) {
			measure := func(args []string) int {
				args = append([]string{args[0], model}, args[1:]...)
				if args[0] != "complexity" {
					args = append(args, "--preprocess", "cifar10")
				}
				for i, a := range args {
					if i > 0 && args[i-1] == "-o" {
						args[i] = filepath.Join(dir, a)
					}
				}
				return peak(t, program, args...)
			}
			a, b := measure(c.few), measure(c.many)
			t.Logf("peak resident memory %s, ten times the items %s: %+.1f %%", mb(a), mb(b), 100*(float64(b)/float64(a)-1))
			if b > a+a/10+c.allowance {
				t.Errorf("peak resident memory is %s, with ten times the items %s; allowed is a tenth and %s more", mb(a), mb(b), mb(c.allowance))
			}
		})
	}
}

func mb(n int) string { return fmt.Sprintf("%.1f MB", float64(n)/(1<<20)) }
