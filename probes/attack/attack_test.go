package attack

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/engine/gorgonia"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// pytorch is what testdata/export/attack.py found.
type pytorch struct {
	Model, Norm      string
	Epsilon, Step    float64
	Iterations       int
	Start            bool
	Clean, Attacked  []int
	Accuracy, Robust float64
	Loss             []float64
	AttackedLoss     []float64 `json:"attacked_loss"`
}

func load(t *testing.T, name string) *onnx.Model {
	t.Helper()
	m, err := onnx.Load("../../testdata/models/" + name + ".onnx")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// digits are the shipped pictures, scaled as the options say.
func digits(t *testing.T, o Options) (x []float32, labels []int) {
	t.Helper()
	p, err := picture.ParsePreprocess("mnist-01")
	if err != nil {
		t.Fatal(err)
	}
	ds, err := dataset.Open([]string{"../../testdata/images/digits"}, dataset.Options{Preprocess: &p, Input: []int{1, 8, 8}})
	if err != nil {
		t.Fatal(err)
	}
	x = make([]float32, ds.Len()*64)
	for i := range ds.Len() {
		if err := ds.Sample(i, x[i*64:(i+1)*64]); err != nil {
			t.Fatal(err)
		}
		labels = append(labels, ds.Item(i).Label)
	}
	return x, labels
}

// run attacks all digits in batches of 32.
func run(t *testing.T, m *onnx.Model, o Options, x []float32, labels []int) ([]Outcome, []float32) {
	t.Helper()
	const batch = 32
	a, err := Open(context.Background(), m, gorgonia.Backend{}, engine.Options{}, nil, batch, o)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	var all []Outcome
	moved := slices.Clone(x)
	for at := 0; at < len(labels); at += batch {
		n := min(batch, len(labels)-at)
		in := make([]float32, batch*64)
		copy(in, x[at*64:(at+n)*64])
		out, err := a.Attack(t.Context(), tensor.Of(in, batch, 1, 8, 8), labels[at:at+n], at)
		if err != nil {
			t.Fatal(err)
		}
		copy(moved[at*64:(at+n)*64], in)
		all = append(all, out...)
	}
	return all, moved
}

func TestAttackIsPyTorchs(t *testing.T) {
	var cases []pytorch
	b, err := os.ReadFile("../../testdata/golden/attack.json")
	if err == nil {
		err = json.Unmarshal(b, &cases)
	}
	if err != nil || len(cases) == 0 {
		t.Fatal(err)
	}
	for _, c := range cases {
		o := Options{Norm: c.Norm, Epsilon: c.Epsilon, Step: c.Step, Iterations: c.Iterations, Start: c.Start}
		x, labels := digits(t, o)
		got, moved := run(t, load(t, c.Model), o, x, labels)
		right, robust, differ := 0, 0, 0
		for i, r := range got {
			if r.Class == labels[i] {
				right++
			}
			if r.Attacked == labels[i] {
				robust++
			}
			if r.Class != c.Clean[i] {
				t.Errorf("%s: item %d is %d, want %d", c.Model, i, r.Class, c.Clean[i])
			}
			if math.Abs(r.Loss-c.Loss[i]) > 1e-5*max(1, c.Loss[i]) {
				t.Errorf("%s: item %d has loss %v, want %v", c.Model, i, r.Loss, c.Loss[i])
			}
			// A gradient that rounds to the other sign of nothing leads elsewhere.
			if !c.Start && (r.Attacked != c.Attacked[i] || math.Abs(r.AttackedLoss-c.AttackedLoss[i]) > 1e-3*max(1, c.AttackedLoss[i])) {
				differ++
			}
		}
		n := float64(len(labels))
		t.Logf("%s %s start %v: %v, robust %v (PyTorch %v); %d items differ", c.Model, c.Norm, c.Start, float64(right)/n, float64(robust)/n, c.Robust, differ)
		slack := 0.01
		if c.Start { // of 100 items, begun at other points
			slack = 0.04
		}
		if float64(right)/n != c.Accuracy || math.Abs(float64(robust)/n-c.Robust) > slack+1e-9 || differ > 2 {
			t.Errorf("%+v: accuracy %v, robust %v, %d differ", o, float64(right)/n, float64(robust)/n, differ)
		}
		for i := 0; i < len(x); i += 64 {
			far, square := 0.0, 0.0
			for j := i; j < i+64; j++ {
				d := float64(moved[j]) - float64(x[j])
				far, square = max(far, math.Abs(d)), square+d*d
				if moved[j] < 0 || moved[j] > 1 {
					t.Fatalf("item %d leaves the range of pictures: %v", i/64, moved[j])
				}
			}
			if c.Norm == L2 {
				far = math.Sqrt(square)
			}
			if far > c.Epsilon+1e-6 {
				t.Fatalf("item %d moved by %v, of %v allowed", i/64, far, c.Epsilon)
			}
		}
	}
}

// In units of the picture an attack is the same whatever the input's scale.
func TestAttackInOtherUnits(t *testing.T) {
	o := Options{Norm: Linf, Epsilon: 0.1, Step: 0.05, Iterations: 3}
	for _, norm := range []string{Linf, L2} {
		o.Norm = norm
		now := []float64{0.5, 0.2}
		for _, scale := range []float64{1, 4, -2} {
			a := &Attacker{options: o, scale: []float64{scale, scale}, shift: []float64{0.3, 0.3}}
			x, data := slices.Clone(now), make([]float32, 2)
			// The loss falls with the first pixel and rises with the second, by half as much.
			a.move(x, []float32{float32(-2 / scale), float32(1 / scale)})
			a.back(x, now, data)
			want := []float64{0.45, 0.25}
			if norm == L2 {
				want = []float64{0.5 - 0.05*2/math.Sqrt(5), 0.2 + 0.05/math.Sqrt(5)}
			}
			for i := range want {
				if math.Abs(x[i]-want[i]) > 1e-7 || math.Abs(float64(data[i])-(want[i]*scale+0.3)) > 1e-6 {
					t.Errorf("%s, scale %g: %v, as inputs %v; want %v", norm, scale, x, data, want)
				}
			}
		}
	}
}

func TestAttackFaults(t *testing.T) {
	good := Options{Norm: Linf, Epsilon: 0.1, Step: 0.1, Iterations: 1}
	m := load(t, "mlp_torchscript")
	for want, change := range map[string]func(*Options){
		"norm":              func(o *Options) { o.Norm = "l1" },
		"epsilon":           func(o *Options) { o.Epsilon = math.NaN() },
		"step":              func(o *Options) { o.Step = 0 },
		"iterations":        func(o *Options) { o.Iterations = 0 },
		"a scale of 0":      func(o *Options) { o.Scale = []float64{0} },
		"3 values of scale": func(o *Options) { o.Scale = []float64{1, 1, 1} },
		"nothing":           func(o *Options) { o.Logits = "nothing" },
	} {
		o := good
		change(&o)
		if a, err := Open(context.Background(), m, gorgonia.Backend{}, engine.Options{}, nil, 2, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
			if err == nil {
				a.Close()
			}
		}
	}
	a, err := Open(context.Background(), m, gorgonia.Backend{}, engine.Options{}, nil, 2, good)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if _, err := a.Attack(t.Context(), tensor.Of(make([]float32, 128), 2, 1, 8, 8), []int{10}, 5); err == nil || !strings.Contains(err.Error(), "item 5 has label 10") {
		t.Errorf("label 10 of 10 classes: %v", err)
	}
	if _, err := a.Attack(t.Context(), tensor.Of(make([]float32, 64), 1, 1, 8, 8), []int{1}, 0); err == nil {
		t.Error("half a batch gives no error")
	}
}
