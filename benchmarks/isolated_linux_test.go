package benchmarks

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/isolate"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

func TestMain(m *testing.M) {
	isolate.Main(ort.Backend{})
	os.Exit(m.Run())
}

// TestIsolatedRatios sets ONNX Runtime in a process of its own beside ONNX Runtime in the
// program, the two taking turns, and holds what they give equal: inference with the codes of
// all sites, the same through the whole pipeline on two lanes, and whole commands. It prints
// the median of the turns' ratios and its 95 % bootstrap interval; it asserts no time.
//
//	ONNXPROBE_BENCH_ISOLATE=200 go test ./benchmarks -run TestIsolatedRatios -v -timeout 1h
func TestIsolatedRatios(t *testing.T) {
	turns, _ := strconv.Atoi(os.Getenv("ONNXPROBE_BENCH_ISOLATE"))
	if turns < 1 {
		t.Skip("set ONNXPROBE_BENCH_ISOLATE to the number of turns, such as 200")
	}
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	both := []engine.Backend{ort.Backend{}, &isolate.Backend{Backend: ort.Backend{}, Limits: isolate.Limits{Memory: 4 << 30, Time: time.Minute}}}
	models := packed
	if some := os.Getenv("ONNXPROBE_BENCH_ISOLATE_MODEL"); some != "" {
		models = slices.DeleteFunc(slices.Clone(models), func(c struct {
			model string
			batch int
		}) bool {
			return c.model != some
		})
	} else {
		models = models[:1]
	}
	for _, c := range models {
		t.Run(c.model, func(t *testing.T) {
			m := structure(t, c.model)
			plan, err := probes.Attach(m, probes.AttachOptions{})
			if err != nil {
				t.Fatal(err)
			}
			in := tensor.Of(noise(c.batch*tensor.Count(plan.Fit.Sample), 1), append([]int{c.batch}, plan.Fit.Sample...)...)
			var runs []func() []byte
			for _, b := range both {
				r, err := plan.Open(t.Context(), b, engine.Options{}, c.batch)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { r.Close() })
				runs = append(runs, func() (all []byte) {
					out, err := r.Infer(t.Context(), in)
					if err != nil {
						t.Fatal(err)
					}
					for _, o := range out {
						all = append(all, o.Bytes()...)
					}
					r.Recycle(out)
					return all
				})
			}
			takeTurns(t, turns, runs)
		})
		t.Run(c.model+" on two lanes", func(t *testing.T) {
			m := structure(t, c.model)
			lanes := []engine.Device{{Kind: "cpu"}, {Kind: "cpu"}}
			var runs []func() []byte
			for _, b := range both {
				plan, err := probes.Attach(m, probes.AttachOptions{})
				if err != nil {
					t.Fatal(err)
				}
				r, err := plan.OpenOn(t.Context(), b, engine.Options{Threads: 2}, lanes, c.batch)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { r.Close() })
				ds := dataset.Random(4*c.batch, plan.Fit.Sample, -1, 1, 1)
				runs = append(runs, func() []byte {
					var to digests
					if _, err := r.Write(t.Context(), ds, &to, probes.RunOptions{}, probes.Digest{}); err != nil {
						t.Fatal(err)
					}
					return to.Bytes()
				})
			}
			takeTurns(t, turns, runs)
		})
	}
	t.Run("a run of a small network", func(t *testing.T) {
		m, err := onnx.Load("../testdata/models/mlp_dynamo.onnx")
		if err != nil {
			t.Fatal(err)
		}
		plan, err := probes.Attach(m, probes.AttachOptions{})
		if err != nil {
			t.Fatal(err)
		}
		in := tensor.Of(noise(64*tensor.Count(plan.Fit.Sample), 1), append([]int{64}, plan.Fit.Sample...)...)
		var runs []func() []byte
		for _, b := range both {
			r, err := plan.Open(t.Context(), b, engine.Options{}, 64)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { r.Close() })
			runs = append(runs, func() []byte {
				for range 99 {
					out, err := r.Infer(t.Context(), in)
					if err != nil {
						t.Fatal(err)
					}
					r.Recycle(out)
				}
				out, err := r.Infer(t.Context(), in)
				if err != nil {
					t.Fatal(err)
				}
				return out[len(out)-1].Bytes()
			})
		}
		took := takeTurns(t, turns, runs)
		var more []time.Duration
		for k := range took[0] {
			more = append(more, (took[1][k]-took[0][k])/100)
		}
		t.Logf("a worker takes %v more a run (median of the pairs)", median(more).Round(time.Microsecond/10))
	})
	t.Run("start", func(t *testing.T) {
		dir := t.TempDir()
		program, model := build(t, dir), filepath.Join("..", "testdata", "models", "cnn_dynamo.onnx")
		var runs []func() []byte
		for _, how := range []string{"no", "yes"} {
			runs = append(runs, func() []byte {
				out, err := exec.Command(program, "codes", model, "--random", "2", "--backend", "ort", "--isolate="+how, "-o", "-", "--quiet").Output()
				if err != nil {
					t.Fatal(err)
				}
				return out
			})
		}
		took := takeTurns(t, min(turns, 50), runs)
		var more []time.Duration
		for k := range took[0] {
			more = append(more, took[1][k]-took[0][k])
		}
		t.Logf("a worker takes %v to start (median of the pairs)", median(more).Round(time.Millisecond/10))
	})
}

// digests is a sink that keeps what it is given as text.
type digests struct{ bytes.Buffer }

func (d *digests) Write(cols []result.Column) error {
	for _, c := range cols {
		fmt.Fprintln(&d.Buffer, c.Name, c.Values)
	}
	return nil
}

func (*digests) Commit(any) error { return nil }
func (*digests) Abort() error     { return nil }

// takeTurns runs each of two in turn, and prints how long the second took beside the first.
func takeTurns(t *testing.T, turns int, runs []func() []byte) (took [2][]time.Duration) {
	for k := range turns + 2 {
		var gave [2][]byte
		for j := range runs {
			i := (j + k) % len(runs)
			start := time.Now()
			gave[i] = runs[i]()
			if k >= 2 { // not warm before
				took[i] = append(took[i], time.Since(start))
			}
		}
		if !bytes.Equal(gave[0], gave[1]) || len(gave[0]) == 0 {
			t.Fatalf("turn %d: %d bytes and %d bytes that differ", k, len(gave[0]), len(gave[1]))
		}
	}
	ratios := make([]float64, turns)
	for k := range ratios {
		ratios[k] = took[1][k].Seconds() / took[0][k].Seconds()
	}
	middle := func(of func() float64) float64 {
		v := make([]float64, turns)
		for i := range v {
			v[i] = of()
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	rng := rand.New(rand.NewPCG(1, 2))
	again := make([]float64, 2000)
	for i := range again {
		again[i] = middle(func() float64 { return ratios[rng.IntN(turns)] })
	}
	slices.Sort(again)
	k := -1
	whole := middle(func() float64 { k++; return ratios[k] })
	t.Logf("%d turns: medians %v and %v, ratio %.4f, 95 %% interval %.4f to %.4f; bytes equal", turns,
		median(slices.Clone(took[0])).Round(10*time.Microsecond), median(slices.Clone(took[1])).Round(10*time.Microsecond),
		whole, again[len(again)/40], again[len(again)*39/40])
	return took
}
