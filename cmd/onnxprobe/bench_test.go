package main

import (
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/probes/bench"
)

// The contract of --json, key by key, and what the figures must agree with.
func TestBenchJSON(t *testing.T) {
	needORT(t)
	var r struct {
		Model     string
		Sample    []int
		Sites     int
		Units     int
		CodeBytes int `json:"code_bytes"`
		Backend   string
		Device    string
		Precision string
		Threads   int
		Radius    float64
		Machine   struct {
			Cores    int
			OS, Arch string
		}
		Versions map[string]string
		Results  []struct {
			Batch, Turns             int
			Plain, Codes, Complexity struct {
				Rate     struct{ Median, P10, P90 float64 }
				Items    int
				BytesIn  int `json:"bytes_in"`
				BytesOut int `json:"bytes_out"`
			}
			Ratio struct{ Median, P10, P90 float64 }
		}
		Best  int `json:"best_batch"`
		Noisy *bool
	}
	decode(t, stdoutOf(t, "bench", resnet, "--batches", "8,1", "--seconds", "0.01", "--threads", "1", "--complexity", "--directions", "4", "--json"), &r)
	i := inspectJSON(t, resnet)
	if r.Model != resnet || r.Sites != len(i.Sites) || r.CodeBytes != 400 || r.Units != 3200 || r.Backend != "ort" || r.Device != "cpu" ||
		r.Precision != "float32" || r.Threads != 1 || r.Radius != 0.005 || r.Machine.Cores < 1 || r.Machine.OS == "" || r.Versions["ort"] == "" ||
		r.Versions["onnxprobe"] == "" || r.Versions["go"] == "" || r.Noisy == nil {
		t.Errorf("%+v", r)
	}
	if len(r.Results) != 2 || r.Results[0].Batch != 8 || r.Results[1].Batch != 1 {
		t.Fatalf("results %+v", r.Results)
	}
	best := r.Results[0]
	for _, x := range r.Results {
		if x.Codes.Rate.Median > best.Codes.Rate.Median {
			best = x
		}
		if x.Plain.BytesIn != 256 || x.Plain.BytesOut != 40 || x.Codes.BytesOut != 440 { // 8 x 8 floats, 10 logits, a code of 400
			t.Errorf("batch %d: bytes %+v, %+v", x.Batch, x.Plain, x.Codes)
		}
		for name, s := range map[string]struct{ Median, P10, P90 float64 }{"plain": x.Plain.Rate, "codes": x.Codes.Rate, "complexity": x.Complexity.Rate, "ratio": x.Ratio} {
			if !(0 < s.P10 && s.P10 <= s.Median && s.Median <= s.P90) {
				t.Errorf("batch %d: %s %+v", x.Batch, name, s)
			}
		}
		if x.Turns < 5 || x.Plain.Items < 5*x.Batch || x.Complexity.Items < 5 {
			t.Errorf("batch %d: %d turns, %d images, %d points", x.Batch, x.Turns, x.Plain.Items, x.Complexity.Items)
		}
	}
	if r.Best != best.Batch {
		t.Errorf("the best batch is said to be %d, the figures say %d", r.Best, best.Batch)
	}
}

func TestBenchTable(t *testing.T) {
	needORT(t)
	r := do("bench", resnet, "--seconds", "0.01", "--batches", "2,4")
	for _, want := range []string{"9 sites", "3,200 units", "BATCH", "RATIO", "most images a second with codes at batch", "256 bytes  440 bytes", "n/a", "engine  "} {
		if r.code != exitDone || !strings.Contains(r.stdout, want) {
			t.Fatalf("%d: %q is not in\n%s%s", r.code, want, r.stdout, r.messages)
		}
	}
	if strings.Contains(r.stdout, "POINTS/S") {
		t.Error("points a second without --complexity")
	}
}

// An export whose batch is fixed is freed, as by the other verbs.
func TestBenchFreesTheBatch(t *testing.T) {
	var r bench.Report
	out := do("bench", "../../testdata/models/resnet_basic_dynamo_fixed.onnx", "--backend", "gorgonia", "--seconds", "0.01", "--batches", "3,5", "--json")
	decode(t, out.stdout, &r)
	if len(r.Results) != 2 || r.Results[0].Batch != 3 || r.Results[1].Batch != 5 {
		t.Errorf("%+v\n%s", r.Results, out.messages)
	}
}

func TestBenchWarnsOfNoise(t *testing.T) {
	quiet := bench.Spread{Median: 100, P10: 95, P90: 105}
	r := bench.Result{Plain: bench.Variant{Rate: quiet}, Codes: bench.Variant{Rate: quiet}}
	if r.Noisy() {
		t.Error("a spread of a tenth is called noisy")
	}
	r.Codes.Rate.P10 = 80
	if !r.Noisy() {
		t.Error("a spread of a quarter is not")
	}
}

func TestBenchUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--batches", "0"}, "1 or more"},
		{[]string{"--batches", "8,8"}, "each once"},
		{[]string{"--batches", "8,"}, "1,8,32"},
		{[]string{"--batches", "best"}, "auto"},
		{[]string{"--seconds", "0"}, "--seconds"},
		{[]string{"--seconds", "nan"}, "--seconds"},
		{[]string{"--images", "-1"}, "--images"},
		{[]string{"--directions", "3"}, "--complexity"},
		{[]string{"--radius", "3"}, "--complexity"},
		{[]string{"--complexity", "--radius", "inf"}, "finite"},
		{[]string{"--complexity", "--directions", "65"}, "between 1 and 64"},
		{[]string{"--device", "gpu"}, "did you mean cuda?"},
		{[]string{"--backend", "nope"}, "auto, ort"},
		{[]string{"--sites", "nope"}, "this model has 9"},
		{[]string{"more.onnx"}, "one model"},
	} {
		if r := do(with([]string{"bench", resnet}, c.args...)...); r.code != exitUsage || !strings.Contains(r.messages, c.want) || r.stdout != "" {
			t.Errorf("%q: %d, %s", c.args, r.code, r.messages)
		}
	}
	if r := do("bench", "../../testdata/models/none.onnx"); r.code != exitFailed || !strings.Contains(r.messages, "none.onnx") {
		t.Errorf("a missing model: %d, %s", r.code, r.messages)
	}
}
