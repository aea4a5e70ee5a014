package probes

import (
	"context"
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// record is what the folder's manifest says that a network makes of pictures.
type record struct {
	model, images string
	pre           picture.Preprocess
	right, of     int
	ref           string               // the logits, in the order of the pictures
	counts        func(label int) bool // the pictures that the record is about
}

var (
	cifarRow = regexp.MustCompile(`mean \[(.*?)\] std \[(.*?)\]; lossless images of this set: (\d+)/(\d+); JPEG-decoded images of this set: (\d+)/(\d+)`)
	mnistRow = regexp.MustCompile(`pixels (01|255); .*this set's (\d+): [\d.]+ \((\d+) right\)`)
	vitRow   = regexp.MustCompile(`normalised \(x/255-([\d.]+)\)/([\d.]+); accuracy on this set: ([\d.]+) over (\d+) \(digits 0,1,2 only\)`)
)

// records reads every network's recorded accuracy from the manifest.
func records(t *testing.T, root string) (rs []record) {
	t.Helper()
	table, err := os.ReadFile(filepath.Join(root, "MANIFEST.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	number := func(s string) float64 {
		v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	list := func(s string) (v []float64) {
		for part := range strings.SplitSeq(s, ",") {
			v = append(v, number(part))
		}
		return v
	}
	all := func(int) bool { return true }
	for line := range strings.Lines(string(table)) {
		fields := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(fields) < 7 || !strings.HasPrefix(fields[0], "models/") {
			continue
		}
		model, said, base := fields[0], fields[6], filepath.Base(fields[0])
		if f := cifarRow.FindStringSubmatch(said); f != nil {
			pre := picture.Preprocess{Scale: 1.0 / 255, Mean: list(f[1]), Std: list(f[2])}
			rs = append(rs, record{model, "images/cifar10/cifar10_lossless_A100.bin", pre, int(number(f[3])), int(number(f[4])), "ref/" + base + ".lossless.logits.npy", all},
				record{model, "images/cifar10/cifar10_test_jpegdecoded_A.bin", pre, int(number(f[5])), int(number(f[6])), "ref/" + base + ".jpeg.logits.npy", all})
		} else if f := mnistRow.FindStringSubmatch(said); f != nil {
			pre := picture.Preprocess{Scale: 1.0 / 255}
			if f[1] == "255" {
				pre.Scale = 1
			}
			rs = append(rs, record{model, "images/mnist", pre, int(number(f[3])), int(number(f[2])), "ref/" + base + ".mnist5000.logits.npy", all})
		} else if f := vitRow.FindStringSubmatch(said); f != nil {
			pre := picture.Preprocess{Scale: 1.0 / 255, Mean: list(f[1]), Std: list(f[2])}
			of := number(f[4])
			rs = append(rs, record{model, "images/mnist", pre, int(math.Round(number(f[3]) * of)), int(of), "ref/" + base + ".mnist.logits.npy", func(l int) bool { return l < 3 }})
		}
	}
	return rs
}

// answers is a sink that keeps what Outputs writes.
type answers struct {
	out        []float32
	top, label []int64
	bad        []string
}

func (a *answers) Write(cols []result.Column) error {
	for _, c := range cols {
		switch v := c.Values.(type) {
		case []float32:
			a.out = append(a.out, v...)
		case []int64:
			switch c.Name {
			case "top":
				a.top = append(a.top, v...)
			case "label":
				a.label = append(a.label, v...)
			}
		case []string:
			if c.Name == "error" {
				a.bad = append(a.bad, v...)
			}
		}
	}
	return nil
}
func (a *answers) Commit(any) error { return nil }
func (a *answers) Abort() error     { return nil }

// infer runs plain inference.
func infer(t *testing.T, model string, sources []string, pre picture.Preprocess, batch int) *answers {
	t.Helper()
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	m, err := onnx.Load(model)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := Plain(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	ds, err := dataset.Open(sources, dataset.Options{Preprocess: &pre, Input: plan.Fit.Sample})
	if err != nil {
		t.Fatal(err)
	}
	r, err := plan.Open(context.Background(), ort.Backend{}, engine.Options{}, batch)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	a := &answers{}
	sum, err := r.Write(context.Background(), ds, a, RunOptions{}, Outputs{Top: 1, Full: true})
	if err != nil || sum.Failed > 0 {
		t.Fatalf("%v; %+v", err, sum)
	}
	return a
}

// apart is the largest difference between got and want, and the largest absolute
// value of want.
func apart(got []float32, want []float64) (most, scale float64) {
	for i, w := range want {
		if d := math.Abs(float64(got[i]) - w); !(d <= most) {
			most = d
		}
		scale = max(scale, math.Abs(w))
	}
	return most, scale
}

// rounding bounds how far the outputs of a trained float32 network may be from
// recorded ones, relative to the largest. The record was made by WebAssembly
// kernels of another version without graph optimisation: BatchNorm unfolded, sums
// in another order. Each of up to 56 layers adds up to 576 products, each rounded
// by at most 6e-8 of it; errors of random sign grow by the root of both, to about
// 1e-5.
const rounding = 3e-5

// Trained networks give real pictures the logits and the accuracy that the
// manifest records.
func TestRecordedAccuracy(t *testing.T) {
	root := enginetest.SharedData(t)
	rs := records(t, root)
	if len(rs) < 24 {
		t.Fatalf("the manifest records %d runs, want at least 24", len(rs))
	}
	for _, r := range rs {
		t.Run(filepath.Base(r.model)+"/"+filepath.Base(r.images), func(t *testing.T) {
			if r.of > 1000 && testing.Short() {
				t.Skip("thousands of pictures")
			}
			a := infer(t, filepath.Join(root, r.model), []string{filepath.Join(root, r.images)}, r.pre, 50)
			ref, err := tensor.ReadNpyFile(filepath.Join(root, r.ref))
			if err != nil {
				t.Fatal(err)
			}
			per := len(a.out) / len(a.label)
			var out []float32
			right, n := 0, 0
			for i, l := range a.label {
				if !r.counts(int(l)) {
					continue
				}
				n++
				out = append(out, a.out[i*per:(i+1)*per]...)
				if a.top[i] == l {
					right++
				}
			}
			if right != r.right || n != r.of {
				t.Errorf("%d of %d are right, the manifest records %d of %d", right, n, r.right, r.of)
			}
			want := ref.Float64s()
			if len(want) != len(out) {
				t.Fatalf("%d logits, the record has %v", len(out), ref.Shape)
			}
			most, scale := apart(out, want)
			t.Logf("%d of %d right; logits up to %.3g differ by at most %.2g, %.1e of that", right, n, scale, most, most/scale)
			if !(most <= rounding*scale) {
				t.Errorf("logits up to %.3g differ by %.2g, allowed is %.0e of the largest", scale, most, rounding)
			}
		})
	}
}

// The lossless pictures exist twice, as CIFAR binary and as text: the same pixels
// as an array with channels last give the same logits, bit for bit.
func TestPicturesAsTextOrBinary(t *testing.T) {
	root := enginetest.SharedData(t)
	f, err := os.Open(filepath.Join(root, "images/cifar10/eran_cifar10_test.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var pixels []uint8
	var labels []int64
	for _, row := range rows {
		for i, s := range row {
			v, err := strconv.ParseUint(s, 10, 8)
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				labels = append(labels, int64(v))
			} else {
				pixels = append(pixels, uint8(v))
			}
		}
	}
	npy := filepath.Join(t.TempDir(), "x.npy")
	w, err := os.Create(npy)
	if err != nil {
		t.Fatal(err)
	}
	if err := tensor.WriteNpy(w, tensor.Of(pixels, len(labels), 32, 32, 3)); err != nil {
		t.Fatal(err)
	}
	w.Close()
	pre := picture.Preprocess{Scale: 1.0 / 255, Mean: []float64{0.485, 0.456, 0.406}, Std: []float64{0.229, 0.224, 0.225}}
	model := filepath.Join(root, "models/cifar10/ak_resnet20_op13.onnx")
	a := infer(t, model, []string{filepath.Join(root, "images/cifar10/cifar10_lossless_A100.bin")}, pre, 50)
	b := infer(t, model, []string{npy}, pre, 50)
	if len(a.label) != 100 || !slices.Equal(a.label, labels) {
		t.Errorf("labels %v, the text has %v", a.label, labels)
	}
	if len(a.out) != 1000 || !slices.Equal(a.out, b.out) {
		t.Error("the same pixels as text give other logits")
	}
}

// SqueezeNet's probabilities for real photographs are the recorded ones, and the
// float16 export's are the float32 ones but for its rounding.
func TestRecordedProbabilities(t *testing.T) {
	root := enginetest.SharedData(t)
	ref, err := tensor.ReadNpyFile(filepath.Join(root, "ref/SqueezeNet10_fp32.crops20.probs.npy"))
	if err != nil {
		t.Fatal(err)
	}
	pre := picture.Preprocess{Scale: 1, Mean: []float64{128}, Std: []float64{1}, Channels: 3, BGR: true}
	for _, c := range []struct {
		model  string
		within float64
		why    string
	}{
		{"SqueezeNet10_fp32.onnx", 1e-5, "float32 sums in another order"},
		// The manifest's own tolerance; half a unit in the last place of a float16
		// near 1 is 2.4e-4.
		{"SqueezeNet_fp16.onnx", 1e-3, "float16 activations"},
	} {
		t.Run(c.model, func(t *testing.T) {
			a := infer(t, filepath.Join(root, "models/imagenet", c.model), []string{filepath.Join(root, "images/imagenet/crops20_u8_nhwc.npy")}, pre, 4)
			want := ref.Float64s()
			if len(a.out) != len(want) || len(a.top) != 20 {
				t.Fatalf("%d probabilities of %d pictures, the record has %v", len(a.out), len(a.top), ref.Shape)
			}
			most, _ := apart(a.out, want)
			for i := range 20 {
				sum := 0.0
				for _, p := range a.out[i*1000 : (i+1)*1000] {
					sum += float64(p)
				}
				if math.Abs(sum-1) > 2e-3 { // float16 has 11 bits
					t.Errorf("picture %d: the probabilities add up to %g", i, sum)
				}
				row := want[i*1000 : (i+1)*1000]
				if best := slices.Index(row, slices.Max(row)); int(a.top[i]) != best && row[best]-row[a.top[i]] > 2*c.within {
					t.Errorf("picture %d is %d with %g, recorded is %d with %g", i, a.top[i], row[a.top[i]], best, row[best])
				}
			}
			t.Logf("probabilities differ by at most %.2g", most)
			if !(most <= c.within) {
				t.Errorf("probabilities differ by %.2g, allowed for %s: %g", most, c.why, c.within)
			}
		})
	}
}

// sharedModels lists the networks, without the conformance cases.
func sharedModels(t *testing.T, root string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(root, "models"), func(path string, d os.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".onnx" {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 40 {
		t.Fatalf("%d models in %s, want at least 40", len(files), root)
	}
	return files
}

// In every network that others trained and exported, the bits that the graph packs
// are those of the float values before the activations, and the network's own
// outputs stay what they were. The kernels are the same on both sides, so without
// graph optimisation not one bit may differ; with it, fused kernels round
// differently, and only values beside their knot may change sides.
func TestCodesOfTrainedNetworks(t *testing.T) {
	root := enginetest.SharedData(t)
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	table := []string{fmt.Sprintf("%-60s %5s %9s %9s %11s %6s %8s", "MODEL", "SITES", "UNITS", "BITS", "FLIPS(none)", "FLIPS", "OF SCALE")}
	compared := 0
	for _, file := range sharedModels(t, root) {
		name, _ := filepath.Rel(filepath.Join(root, "models"), file)
		row := func(format string, args ...any) {
			table = append(table, fmt.Sprintf("%-60s ", name)+fmt.Sprintf(format, args...))
		}
		t.Run(name, func(t *testing.T) {
			m, err := onnx.Load(file)
			if err != nil {
				row("%v", err)
				mentions(t, err, filepath.Base(file))
				return
			}
			if _, err := site.Find(m, site.Options{}); err != nil {
				row("%v", err)
				mentions(t, err, "no activation")
				return
			}
			o := AttachOptions{}
			plan, err := Attach(m, o)
			if err != nil && strings.Contains(err.Error(), "takes int32") { // a while loop's condition is a site
				row("%v", err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			n := 16
			if plan.Units() > 1_000_000 {
				n = 2
			}
			ds := dataset.Random(n, plan.Fit.Sample, -1, 1, 7)
			compare := func(o AttachOptions, level string) (bits, flips int64, worst float64) {
				t.Helper()
				s := Setting{Backend: ort.Backend{}, Options: engine.Options{Optimize: level}, Batch: 4}
				host := s
				host.Host = true
				d, err := Compare(context.Background(), m, o, ds, s, host, CompareOptions{})
				if err != nil {
					if _, plain := (ort.Backend{}).Prepare(context.Background(), m, s.Options); plain != nil {
						t.Skipf("ONNX Runtime refuses the network itself: %v", plain)
					}
					t.Fatal(err)
				}
				if d.Items != n || d.Failed > 0 {
					t.Fatalf("%+v", d.Summary)
				}
				for _, s := range d.Sites {
					bits, flips = bits+s.Bits, flips+s.Flips
					if s.Flips > 0 {
						worst = max(worst, s.Margin/s.Scale)
					}
				}
				return bits, flips, worst
			}
			exact, allowed := true, rounding
			if plan.Fit.DType == tensor.Float16 {
				// ONNX Runtime computes float16 in float32 on a CPU and leaves out
				// roundings between nodes where it can, so that what else reads a
				// value decides whether it is rounded, to 11 bits.
				exact, allowed = false, 1.0/(1<<11)
			}
			bits, differ, far := compare(o, "none")
			if want := int64(n) * int64(plan.Units()); bits < want {
				t.Errorf("%d bits compared, want %d or more", bits, want)
			}
			if exact && differ != 0 || far > allowed {
				t.Errorf("%d of %d bits differ from the values before the activations, with the same kernels on both sides; the values are up to %.1e of the site's largest from their knot", differ, bits, far)
			}
			o.Pack = PackPortable // the other form of packing
			_, flips, worst := compare(o, "")
			row("%5d %9d %9d %11d %6d %8.1e", len(plan.Sites), plan.Units(), bits, differ, flips, worst)
			if worst > allowed || float64(flips) > 1e-4*float64(bits) {
				t.Errorf("optimised, %d of %d bits differ, with values up to %.1e of the site's largest from their knot", flips, bits, worst)
			}
			sameOutputs(t, m, plan, ds, exact)
			compared++
		})
	}
	t.Log("\n" + strings.Join(table, "\n"))
	if compared < 35 {
		t.Errorf("%d networks compared, want at least 35", compared)
	}
}

// sameOutputs checks that probing leaves the network's own outputs as they are,
// bit for bit where exact.
func sameOutputs(t *testing.T, m *onnx.Model, probed *Plan, ds dataset.Dataset, exact bool) {
	t.Helper()
	plain, err := Plain(m, probed.Fit.Sample)
	if err != nil {
		t.Fatal(err)
	}
	x := make([]float32, 2*tensor.Count(probed.Fit.Sample))
	for i := range 2 {
		if err := ds.Sample(i, x[i*len(x)/2:(i+1)*len(x)/2]); err != nil {
			t.Fatal(err)
		}
	}
	var outs [2][]*tensor.Tensor
	for i, p := range []*Plan{plain, probed} {
		r, err := p.Open(context.Background(), ort.Backend{}, engine.Options{Optimize: "none"}, 2)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		in := tensor.Of(x[:r.Batch*len(x)/2], append([]int{r.Batch}, p.Fit.Sample...)...)
		out, err := r.Infer(context.Background(), in)
		if err != nil {
			t.Fatal(err)
		}
		outs[i] = out[:p.Own]
	}
	within := 0.0
	if !exact {
		within = 1e-2
	}
	if err := enginetest.Equal(outs[1], outs[0], within); err != nil {
		t.Errorf("the outputs of the probed network are not those of the plain one: %v", err)
	}
}

func mentions(t *testing.T, err error, what string) {
	t.Helper()
	if !strings.Contains(err.Error(), what) {
		t.Errorf("the error %q does not mention %q", err, what)
	}
}
