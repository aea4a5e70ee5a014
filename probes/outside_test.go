package probes_test

import (
	"math"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/backends"
	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// columns keeps the columns of a run by name.
type columns map[string][]result.Column

func (c columns) Write(cols []result.Column) error {
	for _, x := range cols {
		c[x.Name] = append(c[x.Name], x)
	}
	return nil
}

func (columns) Commit(any) error { return nil }
func (columns) Abort() error     { return nil }

// A probe of another package is attached, run and written as those of this one: a value
// lies within a distance of a knot, as Fragile counts, exactly where the least distance
// is at most that.
func TestProbeFromOutside(t *testing.T) {
	for _, file := range []string{"mlp_dynamo", "cnn_torchscript_opset11", "resnet_basic_dynamo", "acts_dynamo", "mlp_half"} {
		m, err := onnx.Load("../testdata/models/" + file + ".onnx")
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range backends.All {
			if b.Available(engine.Options{}) != nil {
				continue
			}
			v, err := probes.DataInput(m)
			if err != nil {
				t.Fatal(err)
			}
			for _, within := range []float64{1e-4, 1e-3, 1e-2} {
				got := columns{}
				q := probes.Request{Model: m, Data: dataset.Random(9, probes.SampleShape(v), 0, 1, 3), Backend: b,
					Probes: []probes.Probe{nearest{}, probes.Fragile{Within: within}}, Batch: 4}
				if _, err := probes.Run(t.Context(), q, got); err != nil {
					t.Fatalf("%s on %s: %v", file, b.Name(), err)
				}
				near, items := 0, 0
				for k, c := range got["nearest"] {
					values := c.Values.([]float64)
					for i, n := range got["fragile"][k].Values.([]int64) {
						least := math.Inf(1)
						for _, d := range values[i*c.Width : (i+1)*c.Width] {
							least = min(least, d)
						}
						if items++; (least <= within) != (n > 0) {
							t.Errorf("%s on %s: the least distance is %g, and %d values lie within %g", file, b.Name(), least, n, within)
						}
						if n > 0 {
							near++
						}
					}
				}
				if items != 9 {
					t.Errorf("%s on %s: %d items", file, b.Name(), items)
				}
				t.Logf("%s on %s: %d of %d items within %g", file, b.Name(), near, items, within)
			}
		}
	}
}

// A probe that the plan was attached without is an error, not zeros.
func TestProbeThatWasNotAttached(t *testing.T) {
	m, err := onnx.Load("../testdata/models/mlp_dynamo.onnx")
	if err != nil {
		t.Fatal(err)
	}
	b, err := backends.Choose(backends.Request{})
	if err != nil {
		t.Fatal(err)
	}
	ds := dataset.Random(3, []int{1, 8, 8}, 0, 1, 0)
	r, err := probes.Open(t.Context(), probes.Request{Model: m, Data: ds, Backend: b, Probes: []probes.Probe{probes.Digest{}}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	frame, err := probes.NewFrame(2, 64, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []probes.Probe{nearest{}, probes.Fragile{Within: 1}, probes.Code{Below: true},
		probes.Complexity{Frame: frame, Radii: []float64{1}, Sign3: true}} {
		_, err := r.Write(t.Context(), ds, columns{}, probes.RunOptions{}, p)
		if err == nil || !strings.Contains(err.Error(), "attached without") {
			t.Errorf("%T: %v", p, err)
		}
	}
}

// What a run lacks is said before anything is opened.
func TestRunSaysWhatItLacks(t *testing.T) {
	m, err := onnx.Load("../testdata/models/mlp_dynamo.onnx")
	if err != nil {
		t.Fatal(err)
	}
	b, err := backends.Choose(backends.Request{})
	if err != nil {
		t.Fatal(err)
	}
	ds, digest := dataset.Random(1, []int{1, 8, 8}, 0, 1, 0), []probes.Probe{probes.Digest{}}
	for _, q := range []probes.Request{{}, {Model: m, Data: ds, Backend: b}, {Model: m, Data: ds, Probes: digest},
		{Data: ds, Backend: b, Probes: digest}, {Model: m, Backend: b, Probes: digest},
		{Model: m, Data: ds, Backend: b, Probes: []probes.Probe{probes.Digest{}, probes.Digest{}}},
		{Model: m, Data: ds, Backend: b, Probes: []probes.Probe{probes.Complexity{}}},
		{Model: m, Data: ds, Backend: b, Probes: []probes.Probe{probes.Fragile{}}}} {
		if _, err := probes.Run(t.Context(), q, result.Memory()); err == nil {
			t.Errorf("%v runs", q.Probes)
		}
	}
}
