package encoding_test

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/encoding"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// kept is a sink that keeps the codes.
type kept struct{ codes []byte }

func (k *kept) Write(cols []result.Column) error {
	for _, c := range cols {
		if c.Name == "code" {
			k.codes = append(k.codes, c.Values.([]uint8)...)
		}
	}
	return nil
}
func (k *kept) Commit(any) error { return nil }
func (k *kept) Abort() error     { return nil }

// codesFor are the codes that a network gives pictures.
func codesFor(t *testing.T, model, data string, pre picture.Preprocess) (*probes.Plan, []byte) {
	t.Helper()
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	m, err := onnx.Load(model)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := probes.Attach(m, probes.AttachOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ds, err := dataset.Open([]string{data}, dataset.Options{Preprocess: &pre, Input: plan.Fit.Sample})
	if err != nil {
		t.Fatal(err)
	}
	r, err := plan.Open(t.Context(), ort.Backend{}, engine.Options{}, 16)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var k kept
	if sum, err := r.Write(t.Context(), ds, &k, probes.RunOptions{}, probes.Digest{}, probes.Code{}); err != nil || sum.Failed > 0 {
		t.Fatal(err, sum)
	}
	return plan, k.codes
}

// accuracy is how the estimates from sketches of many seeds lie about the distances
// of whole codes.
type accuracy struct {
	mean, deviation    float64 // of the estimates' errors, as fractions of the code
	binomial, expected float64 // root mean square of sqrt(p(1-p)/k), and that without replacement
	bias               float64 // the largest mean error of a pair, in its standard errors
}

func measure(t *testing.T, plan *probes.Plan, codes []byte, k, seeds int) (a accuracy, bits int) {
	t.Helper()
	width := plan.CodeBytes()
	n := len(codes) / width
	for _, s := range plan.Sites {
		bits += s.Units * s.Planes()
	}
	type pair struct{ sum, true, variance float64 }
	var pairs []pair
	for i := range n {
		for j := range i {
			p := float64(probes.Hamming(codes[i*width:(i+1)*width], codes[j*width:(j+1)*width])) / float64(bits)
			pairs = append(pairs, pair{true: p, variance: p * (1 - p) / float64(k) * float64(bits-k) / float64(bits-1)})
		}
	}
	var sum, squares float64
	for seed := range seeds {
		sketches, err := probes.Sketch{Bits: k, Seed: uint64(seed)}.Of(plan, codes)
		if err != nil {
			t.Fatal(err)
		}
		size := (k + 7) / 8
		at := 0
		for i := range n {
			for j := range i {
				d := probes.Hamming(sketches[i*size:(i+1)*size], sketches[j*size:(j+1)*size])
				full, _ := encoding.Estimate(d, k, bits)
				e := full/float64(bits) - pairs[at].true
				pairs[at].sum += e
				sum, squares = sum+e, squares+e*e
				at++
			}
		}
	}
	total := float64(len(pairs) * seeds)
	var binomial, expected float64
	for _, p := range pairs {
		expected += p.variance
		binomial += p.true * (1 - p.true) / float64(k)
		if p.variance > 0 {
			a.bias = max(a.bias, math.Abs(p.sum)/float64(seeds)/math.Sqrt(p.variance/float64(seeds)))
		}
	}
	a.mean, a.deviation = sum/total, math.Sqrt(squares/total)
	a.binomial, a.expected = math.Sqrt(binomial/float64(len(pairs))), math.Sqrt(expected/float64(len(pairs)))
	return a, bits
}

// Distances of sketches, times bits over K, estimate those of codes without bias
// and with the error that sampling without replacement has: on the codes of shipped
// networks, and of trained ones where they are.
func TestSketchesEstimateDistances(t *testing.T) {
	shared := os.Getenv("ONNXPROBE_SHARED_DATA")
	if shared == "" {
		shared = "../../../shared/data"
	}
	digits := picture.Preprocess{Scale: 1.0 / 255}
	for _, x := range []struct {
		name, model, data string
		pre               picture.Preprocess
	}{
		{"resnet_basic", "../../testdata/models/resnet_basic_dynamo.onnx", "../../testdata/images/digits", digits},
		{"mobilenet", "../../testdata/models/mobilenet_dynamo.onnx", "../../testdata/images/digits", digits},
		{"vit", "../../testdata/models/vit_dynamo.onnx", "../../testdata/images/digits", digits},
		{"ResNet-20, CIFAR-10", filepath.Join(shared, "models/cifar10/ak_resnet20_op13.onnx"), filepath.Join(shared, "images/cifar10/cifar10_lossless_A100.bin"),
			picture.Preprocess{Scale: 1.0 / 255, Mean: []float64{0.485, 0.456, 0.406}, Std: []float64{0.229, 0.224, 0.225}}},
	} {
		t.Run(x.name, func(t *testing.T) {
			if _, err := os.Stat(x.model); err != nil {
				t.Skip(err)
			}
			plan, codes := codesFor(t, x.model, x.data, x.pre)
			for _, k := range []int{64, 256, 1024} {
				const seeds = 200
				a, bits := measure(t, plan, codes, k, seeds)
				t.Logf("%d bits, K %4d: mean error %+.5f, standard deviation %.4f; sqrt(p(1-p)/K) %.4f, without replacement %.4f; largest bias of a pair %.1f standard errors",
					bits, k, a.mean, a.deviation, a.binomial, a.expected, a.bias)
				// All pairs share their sketches' bits, so the mean of all is not much
				// surer than that of one: within 5 of its standard errors.
				if limit := 5 * a.expected / math.Sqrt(seeds); math.Abs(a.mean) > limit {
					t.Errorf("K %d: the mean error is %g, more than %g", k, a.mean, limit)
				}
				// Of 4950 pairs the largest lies near 3.7 when they are unbiased.
				if a.bias > 5.5 {
					t.Errorf("K %d: a pair's mean error is %g of its standard errors", k, a.bias)
				}
				// 200 seeds know a standard deviation to 5 % were pairs all alike.
				if r := a.deviation / a.expected; r < 0.85 || r > 1.15 {
					t.Errorf("K %d: the standard deviation is %g of the expected", k, r)
				}
			}
		})
	}
}

func TestEstimate(t *testing.T) {
	for _, x := range []struct {
		d, k, full          int
		estimate, deviation float64
	}{
		{16, 64, 6400, 1600, 6400 * math.Sqrt(0.25*0.75/64) * math.Sqrt(6336.0/6399)},
		{0, 64, 6400, 0, 0}, {64, 64, 6400, 6400, 0}, {20, 100, 100, 20, 0}, {1, 1, 1, 1, 0},
	} {
		e, s := encoding.Estimate(x.d, x.k, x.full)
		if math.Abs(e-x.estimate) > 1e-9 || math.Abs(s-x.deviation) > 1e-9 {
			t.Errorf("%+v: %g ± %g", x, e, s)
		}
	}
}
