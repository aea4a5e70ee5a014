package benchmarks

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/job"
)

// build makes the program in dir.
func build(t *testing.T, dir string) string {
	t.Helper()
	program := filepath.Join(dir, "onnxprobe")
	if out, err := exec.Command("go", "build", "-o", program, "../cmd/onnxprobe").CombinedOutput(); err != nil {
		t.Fatalf("building onnxprobe: %v\n%s", err, out)
	}
	return program
}

// repeated fills dir with n pictures, which are links to those given.
func repeated(t *testing.T, dir, ext string, n int, pictures [][]byte) {
	t.Helper()
	first := func(i int) string { return filepath.Join(dir, fmt.Sprintf("%05d%s", i, ext)) }
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		var err error
		if i < len(pictures) {
			err = os.WriteFile(first(i), pictures[i], 0o666)
		} else {
			err = os.Link(first(i%len(pictures)), first(i))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// scene is a picture that compresses as photographs do: areas, edges and grain.
func scene(seed uint64, w, h int) *image.RGBA {
	r := rand.New(rand.NewPCG(seed, 1))
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	base := color.RGBA{uint8(r.IntN(256)), uint8(r.IntN(256)), uint8(r.IntN(256)), 255}
	for y := range h {
		for x := range w {
			grain := r.IntN(24)
			m.SetRGBA(x, y, color.RGBA{base.R + uint8(x*80/w+grain), base.G + uint8(y*80/h+grain), base.B + uint8((x+y)*60/(w+h)+grain), 255})
		}
	}
	for range 60 {
		c := color.RGBA{uint8(r.IntN(256)), uint8(r.IntN(256)), uint8(r.IntN(256)), 255}
		x, y, d := r.IntN(w), r.IntN(h), 4+r.IntN(h/6)
		for dy := range d {
			for dx := range d - dy {
				m.SetRGBA((x+dx)%w, (y+dy)%h, c)
			}
		}
	}
	return m
}

// The batch job's memory does not grow with the number of items, one shard or many.
func TestHashMemoryIsConstant(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program and runs it over 20,000 pictures")
	}
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	dir := t.TempDir()
	program, model := build(t, dir), filepath.Join(dir, "small.onnx")
	small(t, model)
	var some [][]byte
	for i := range 10 {
		var b bytes.Buffer
		if err := png.Encode(&b, scene(uint64(i), 32, 32)); err != nil {
			t.Fatal(err)
		}
		some = append(some, b.Bytes())
	}
	few, many := filepath.Join(dir, "few"), filepath.Join(dir, "many")
	repeated(t, few, ".png", 1000, some)
	repeated(t, many, ".png", 20000, some)
	for name, more := range map[string][]string{
		"one shard": {"--shard-size", "20000"}, "many shards": {"--shard-size", "1000"}, "codes": {"--shard-size", "20000", "--code", "--channels", "--logits", "--faiss"},
	} {
		t.Run(name, func(t *testing.T) {
			measure := func(in string) int {
				args := append([]string{"hash", model, in, "--preprocess", "cifar10", "--mode", "overwrite", "-o", filepath.Join(dir, "job")}, more...)
				return peak(t, program, args...)
			}
			a, b := measure(few), measure(many)
			t.Logf("peak resident memory %s for 1,000 items, %s for 20,000: %+.1f %%", mb(a), mb(b), 100*(float64(b)/float64(a)-1))
			// The names of 20,000 files take some of the allowance.
			if b > a+a/10+8<<20 {
				t.Errorf("peak resident memory is %s for 1,000 items and %s for 20,000; allowed is a tenth and 8 MB more", mb(a), mb(b))
			}
		})
	}
}

// TestHashThroughput prints images a second of the whole job beside those of inference
// alone, on ResNet-18 of torchvision's structure with random weights and pictures of
// 500 x 375. It asserts nothing: a time is no test. The processor's seconds say what
// the machine would do that has nothing else to do: where all cores are busy, their
// ratio is that of the rates.
func TestHashThroughput(t *testing.T) {
	if os.Getenv("ONNXPROBE_BENCH_HASH") == "" {
		t.Skip("set ONNXPROBE_BENCH_HASH to the number of pictures, such as 400")
	}
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	n := 0
	if _, err := fmt.Sscan(os.Getenv("ONNXPROBE_BENCH_HASH"), &n); err != nil || n < 1 {
		t.Fatalf("ONNXPROBE_BENCH_HASH=%q: want a number", os.Getenv("ONNXPROBE_BENCH_HASH"))
	}
	dir := t.TempDir()
	program, model := build(t, dir), filepath.Join(dir, "resnet18.onnx")
	b, err := os.ReadFile("../testdata/models/structure/resnet18_dynamo.onnx")
	if err == nil {
		err = os.WriteFile(model, b, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	var weights bytes.Buffer
	random := rand.New(rand.NewPCG(1, 2))
	w := make([]float32, 47<<18)
	for i := range w {
		w[i] = float32(random.NormFloat64()) / 50
	}
	if err := tensor.WriteNpy(&weights, tensor.Of(w, len(w))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "weights-not-shipped.data"), weights.Bytes()[128:], 0o666); err != nil {
		t.Fatal(err)
	}
	var some [][]byte
	for i := range 20 {
		var b bytes.Buffer
		if err := jpeg.Encode(&b, scene(uint64(i), 500, 375), &jpeg.Options{Quality: 90}); err != nil {
			t.Fatal(err)
		}
		some = append(some, b.Bytes())
	}
	t.Logf("pictures of %d kB, %d of them", len(some[0])/1000, n)
	repeated(t, filepath.Join(dir, "in"), ".jpg", n, some)

	m, err := onnx.Load(model)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := probes.Attach(m, probes.AttachOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := plan.Open(context.Background(), ort.Backend{}, engine.Options{}, batch)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	x := make([]float32, batch*3*224*224)
	for i := range x {
		x[i] = random.Float32()*4 - 2
	}
	cpu := func(who int) float64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			t.Fatal(err)
		}
		return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
	}
	alone := func() (rate, cost float64) {
		start, runs, before := time.Now(), max(n/batch/4, 2), cpu(syscall.RUSAGE_SELF)
		for range runs {
			if _, err := r.Infer(context.Background(), tensor.Of(x, batch, 3, 224, 224)); err != nil {
				t.Fatal(err)
			}
		}
		return float64(runs*batch) / time.Since(start).Seconds(), (cpu(syscall.RUSAGE_SELF) - before) / float64(runs*batch)
	}
	whole := func() (job.Status, float64) {
		out := filepath.Join(dir, "job")
		args := []string{"hash", model, filepath.Join(dir, "in"), "--preprocess", "imagenet", "--mode", "overwrite", "-o", out}
		before := cpu(syscall.RUSAGE_CHILDREN)
		if msg, err := exec.Command(program, args...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, msg)
		}
		cost := (cpu(syscall.RUSAGE_CHILDREN) - before) / float64(n)
		msg, err := exec.Command(program, "hash", "status", out, "--json").Output()
		var s job.Status
		if err == nil {
			err = json.Unmarshal(msg, &s)
		}
		if err != nil {
			t.Fatal(err)
		}
		return s, cost
	}
	alone()
	for range 3 {
		a, costA := alone()
		s, cost := whole()
		c, costC := alone()
		e, base, d := (a+c)/2, (costA+costC)/2, s.Seconds
		t.Logf("processor's milliseconds an image: alone %.1f, the job with its start %.1f: %.3f", 1000*base, 1000*cost, base/cost)
		t.Logf("alone %.1f images/s, the job %.1f: %.3f; seconds %.1f: reading %.2f and decoding %.1f of two cores, inference %.1f, waiting %.2f, writing %.2f",
			e, s.ItemsPerSecond, s.ItemsPerSecond/e, d.Total, d.Read, d.Decode, d.Infer, d.Wait, d.Write)
	}
}
