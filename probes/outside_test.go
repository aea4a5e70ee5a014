package probes_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/backends"
	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
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

// outsider is a probe that does what its functions say.
type outsider struct {
	attach func(*probes.Tap) error
	start  func() probes.Maker
}

func (outsider) About() probes.About { return probes.About{Name: "outsider"} }

func (o outsider) Attach(t *probes.Tap) error {
	if o.attach == nil {
		t.Code()
		return nil
	}
	return o.attach(t)
}

func (o outsider) Start(context.Context, *probes.Prober) (probes.Maker, error) {
	if o.start == nil {
		return nil, nil
	}
	return o.start(), nil
}

// aborted counts how often a sink was aborted.
type aborted struct {
	columns
	n *int
}

func (a aborted) Abort() error { *a.n++; return nil }

// mlp is a network, data for it and an engine.
func mlp(t *testing.T) probes.Request {
	t.Helper()
	m, err := onnx.Load("../testdata/models/mlp_dynamo.onnx")
	if err != nil {
		t.Fatal(err)
	}
	b, err := backends.Choose(backends.Request{})
	if err != nil {
		t.Fatal(err)
	}
	return probes.Request{Model: m, Data: dataset.Random(10, []int{1, 8, 8}, 0, 1, 0), Backend: b, Batch: 4}
}

// What a probe of another package does wrong is an error that names it, never a crash, and
// the sink is aborted.
func TestProbeDoesWrong(t *testing.T) {
	twice := func(t *probes.Tap) error {
		for range 2 {
			t.Output("mine", tensor.Float32, nil, func() string { return t.Sum(t.Rows(t.Float(t.Values()))) })
		}
		return nil
	}
	for want, p := range map[string]probes.Probe{
		"a bug in Attach":          outsider{attach: func(*probes.Tap) error { panic("a bug in Attach") }},
		"a bug in Start":           outsider{start: func() probes.Maker { panic("a bug in Start") }},
		"invalid memory":           outsider{},
		"made a node in Attach":    outsider{attach: func(t *probes.Tap) error { t.Values(); return nil }},
		"the probe outsider to":    outsider{attach: twice},
		"kind \"nearest\" already": outsider{attach: nearest{}.Attach},
		"kind \"code\" already": outsider{attach: func(t *probes.Tap) error {
			t.Output("code", tensor.Uint8, nil, func() string { return "" })
			return nil
		}},
		"probe outsider to site relu2: internal error: a bug in value": outsider{attach: func(t *probes.Tap) error {
			t.Output("mine", tensor.Uint8, nil, func() string { panic("a bug in value") })
			return nil
		}},
		"nothing makes the output": outsider{attach: func(t *probes.Tap) error { t.Output("mine", tensor.Uint8, nil, nil); return nil }},
		"a bug in Columns":         outsider{start: func() probes.Maker { return &runner{bug: "Columns"} }},
		"a bug in Run":             outsider{start: func() probes.Maker { return &runner{bug: "Run"} }},
		"ended in Finish: a bug":   nil,
	} {
		q, n := mlp(t), 0
		q.Probes = []probes.Probe{nearest{}, p}
		if p == nil {
			q.Probes, q.Finish = q.Probes[:1], func(*result.Manifest) (any, error) { panic("ended in Finish: a bug") }
		}
		_, err := probes.Run(t.Context(), q, aborted{columns{}, &n})
		if err == nil || !strings.Contains(err.Error(), want) || n == 0 {
			t.Errorf("%s: %v, aborted %d times", want, err, n)
		}
	}
}

// runner is a probe of another package that looks at the batch before the items run on.
type runner struct {
	bug   string
	seen  []int
	t     *testing.T
	codes bool // there are
}

func (r *runner) Items() int { return 4 }

func (r *runner) Run(_ context.Context, b *probes.Batch) (any, error) {
	if r.bug == "Run" {
		panic("a bug in Run")
	}
	if r.t != nil {
		in, failed := b.Input(), b.Failed()
		if len(b.Items()) != b.Len() || len(failed) != b.Len() || in == nil || in.Shape[0] < b.Len() {
			r.t.Errorf("in Run a batch of %d has %d items, marks %d failed, and the input %v", b.Len(), len(b.Items()), len(failed), in)
		}
		if r.codes != (b.Codes() != nil) || r.codes != (len(b.Outputs()) != 0) {
			r.t.Errorf("codes of items that went through a network: %v", !r.codes)
		}
	}
	b.Fail(0, errors.New("not this one"))
	if r.t != nil {
		if failed := b.Failed(); len(failed) != b.Len() || !failed[0] {
			r.t.Errorf("after Fail %v of %d failed", failed, b.Len())
		}
		if codes := b.Codes(); r.codes != (len(codes) == b.Len()*b.CodeBytes()) {
			r.t.Errorf("%d bytes of codes of %d items", len(codes), b.Len())
		}
	}
	return b.Len(), nil
}

func (r *runner) Columns(b *probes.Batch) ([]result.Column, error) {
	if r.bug == "Columns" {
		panic("a bug in Columns")
	}
	if r.t != nil && (b.Ran() != b.Len() || !b.Failed()[0] || b.Input() != nil) {
		r.t.Errorf("in Columns a batch of %d gives %v, failed %v", b.Len(), b.Ran(), b.Failed())
	}
	r.seen = append(r.seen, b.Len())
	return nil, nil
}

// In Runner.Run a batch is the one at hand, not what is left of the one before.
func TestBatchOfARunner(t *testing.T) {
	for _, codes := range []bool{false, true} {
		q := mlp(t)
		r := &runner{t: t, codes: codes}
		q.Probes = []probes.Probe{outsider{start: func() probes.Maker { return r }}}
		if codes {
			q.Probes = append(q.Probes, probes.Digest{})
		}
		sum, err := probes.Run(t.Context(), q, columns{})
		if err != nil || sum.Items != 10 || sum.Failed != 3 || !slices.Equal(r.seen, []int{4, 4, 2}) {
			t.Errorf("%+v, %v, batches of %d", sum, err, r.seen)
		}
	}
}

// The order of probes is that of columns; the manifest says of each the same in any.
func TestOrderOfProbes(t *testing.T) {
	list := []probes.Probe{probes.Digest{}, probes.Sketch{Bits: 8, Seed: 5}, probes.Fragile{Within: 0.5}}
	for range 2 {
		q := mlp(t)
		q.Probes = list
		q.Finish = func(m *result.Manifest) (any, error) {
			if s := m.Settings.(map[string]any); s["sketch"] != 8 || s["fragile"] != 0.5 || s["seed"] != uint64(5) {
				t.Errorf("settings %v", s)
			}
			return m, nil
		}
		if _, err := probes.Run(t.Context(), q, columns{}); err != nil {
			t.Error(err)
		}
		slices.Reverse(list)
	}
}
