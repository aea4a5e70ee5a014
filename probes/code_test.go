package probes

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// The bits that the graph packs are those of the values before the activations,
// packed outside it: for every shipped model, and with every option that changes
// what is tapped.
func TestPackingEqualsHost(t *testing.T) {
	eachGolden(t, func(t *testing.T, g *golden, m *onnx.Model) {
		in := g.arrays["input"]
		for _, o := range []AttachOptions{{Pack: PackPortable}, {Pack: PackUnsigned}, {Pack: PackOperator}, {Pack: PackOperator, Probes: below}, {Probes: below, Pack: PackPortable}, {Probes: []Probe{Code{}, Fragile{Within: 1e-3}}}} {
			open(t, m, o, 1) // needs the engine
			d, err := Compare(context.Background(), m, o, pointsOf(in, in.Shape[0]),
				Setting{Backend: ort.Backend{}, Batch: 7, Options: engine.Options{Optimize: "none"}},
				Setting{Backend: ort.Backend{}, Batch: 7, Options: engine.Options{Optimize: "none"}, Host: true}, CompareOptions{})
			if err != nil {
				t.Fatal(err)
			}
			bits := int64(0)
			for _, s := range d.Sites {
				bits += s.Bits
				if s.Flips != 0 {
					t.Errorf("%+v: site %s: %d bits of %d differ from the host's", o, s.Site, s.Flips, s.Bits)
				}
			}
			if bits == 0 || d.Regions != 0 {
				t.Errorf("%d bits compared, %d items differ", bits, d.Regions)
			}
		}
	})
}

// Compare finds a planted difference and says how far from the knot it is.
func TestCompareReportsMargins(t *testing.T) {
	d := &Diff{Sites: []SiteDiff{{}}}
	m := network(t, 3, op("Relu", nil))
	open(t, m, AttachOptions{}, 1)
	s, err := newSide(context.Background(), m, AttachOptions{}, Setting{Backend: ort.Backend{}, Batch: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	x := samples{n: 2, x: tensor.Of([]float32{1, -0.25, 8, 3, 3, 3}, 2, 3)}
	a, _, _, err := s.codes(context.Background(), x)
	if err != nil {
		t.Fatal(err)
	}
	b := slices.Clone(a)
	b[0] ^= 0b01000000
	if err := d.margins(context.Background(), s, x, a, b); err != nil {
		t.Fatal(err)
	}
	if d.Sites[0].Margin != 0.25 || d.Sites[0].Scale != 8 {
		t.Errorf("margin %g of scale %g, want 0.25 of 8", d.Sites[0].Margin, d.Sites[0].Scale)
	}
}

// flipping is ONNX Runtime with one bit wrong.
type flipping struct{ ort.Backend }

func (b flipping) Prepare(ctx context.Context, m *onnx.Model, o engine.Options) (engine.Session, error) {
	s, err := b.Backend.Prepare(ctx, m, o)
	return flipped{s}, err
}

type flipped struct{ engine.Session }

func (s flipped) Run(ctx context.Context, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	out, err := s.Session.Run(ctx, in)
	for _, t := range slices.Backward(out) {
		if d, ok := t.Data.([]uint8); ok {
			d[0] ^= 0b00100000
			break
		}
	}
	return out, err
}

// A wrong bit is counted, at its site and in the first item of each batch.
func TestCompareCountsFlips(t *testing.T) {
	m := network(t, 3, func(e *rewrite.Edit, x string) string { return e.Op("Relu", nil, e.Op("Abs", nil, x)) })
	open(t, m, AttachOptions{}, 1)
	ds := points([]int{3}, [][]float32{{1, 2, 0.5}, {1, 2, 3}, {4, 5, 2}, nil})
	d, err := Compare(context.Background(), m, AttachOptions{}, ds, Setting{Backend: ort.Backend{}, Batch: 2}, Setting{Backend: flipping{}, Batch: 2}, CompareOptions{})
	if err != nil {
		t.Fatal(err)
	}
	abs, relu := d.Sites[0], d.Sites[1]
	if abs.Flips != 0 || abs.Bits != 9 || relu.Flips != 2 || relu.Items != 2 || d.Regions != 2 || d.Items != 4 || d.Failed != 1 {
		t.Errorf("%+v", d)
	}
	if relu.Margin != 2 || relu.Scale != 5 {
		t.Errorf("margin %g of scale %g, want 2 of 5", relu.Margin, relu.Scale)
	}
}

func TestCodesRows(t *testing.T) {
	m := network(t, 9, op("Relu", nil))
	nan := make([]float32, 9)
	nan[4] = float32(math.NaN())
	up := []float32{1, -1, 1, 0, 2, -3, 4, 5, 6}
	ds := points([]int{9}, [][]float32{up, nil, nan, {-1, 1, 1, 1, 1, 1, 1, 1, 1}, up})
	for _, batch := range []int{1, 2, 16} {
		r := open(t, m, AttachOptions{Probes: []Probe{Code{}, Fragile{Within: 0.5}}}, batch)
		mem := &memory{}
		sum, err := r.Write(context.Background(), ds, mem, RunOptions{}, Digest{}, Fragile{Within: 0.5}, Sketch{Bits: 5, Seed: 1}, Code{})
		if err != nil {
			t.Fatal(err)
		}
		if sum.Items != 5 || sum.Failed != 2 || len(sum.Errors) != 2 {
			t.Errorf("batch %d: %+v", batch, sum)
		}
		want := []byte{0b10101011, 0b10000000, 0, 0, 0, 0, 0b01111111, 0b10000000, 0b10101011, 0b10000000}
		if got := mem.cols["code"].Values.([]uint8); !bytes.Equal(got, want) {
			t.Errorf("batch %d: codes %08b, want %08b", batch, got, want)
		}
		digest := mem.cols["digest"].Values.([]string)
		if digest[0] != digest[4] || digest[0] == digest[3] || len(digest[0]) != 32 || digest[1] != "" {
			t.Errorf("batch %d: digests %q", batch, digest)
		}
		if got := mem.ints("fragile"); got[0] != 1 || got[3] != 0 {
			t.Errorf("batch %d: fragile bits %v, want 1 in the first item", batch, got)
		}
		if !strings.Contains(mem.cols["error"].Values.([]string)[2], "NaN") {
			t.Errorf("batch %d: the item with a NaN says %q", batch, mem.cols["error"].Values.([]string)[2])
		}
	}
}

// A NaN that arises inside the network shows in its outputs.
func TestNaNInsideIsReported(t *testing.T) {
	m := network(t, 2, func(e *rewrite.Edit, x string) string {
		h := e.Op("Relu", nil, e.Op("Log", nil, x)) // log of a negative number
		return layer(e, layer(e, h, []float32{1, 2, 3, 4, 5, 6}, []float32{0, 0, 0}), []float32{1, 1, 1}, []float32{1})
	})
	r := open(t, m, AttachOptions{}, 4)
	mem := &memory{}
	ds := points([]int{2}, [][]float32{{1, 2}, {1, -2}, {-1, 3}, {4, 5}, {6, -7}})
	sum, err := r.Write(context.Background(), ds, mem, RunOptions{}, Digest{}, Code{})
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range mem.cols["code"].Values.([]uint8) {
		if item := i / r.Plan.CodeBytes(); mem.cols["digest"].Null[item] && b != 0 {
			t.Errorf("item %d has no code, yet its row is not zero", item)
		}
	}
	frame, err := NewFrame(2, 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	lc, _ := complexity(t, r, ds, Complexity{Frame: frame, Radii: []float64{1.5}})
	if null := lc.cols["complexity"].Null; !slices.Equal(null, []bool{true, true, true, false, true}) {
		t.Errorf("nulls %v", null)
	}
	for i, n := range lc.ints("complexity") {
		if lc.cols["complexity"].Null[i] && n != 0 {
			t.Errorf("item %d has no complexity, yet its row says %d", i, n)
		}
	}
	if null := mem.cols["digest"].Null; sum.Failed != 3 || !slices.Equal(null, []bool{false, true, true, false, true}) {
		t.Errorf("%d failed, nulls %v", sum.Failed, null)
	}
}

// A maximum may drop a NaN, wherever it stands in the window.
func TestNaNBeforeMaxPoolIsReported(t *testing.T) {
	m := network(t, 16, func(e *rewrite.Edit, x string) string {
		x = e.Op("Reshape", nil, e.Op("Relu", nil, e.Op("Log", nil, x)), e.Const(tensor.Of([]int64{-1, 1, 4, 4}, 4)))
		return e.Op("Relu", nil, e.Op("MaxPool", map[string]any{"kernel_shape": []int64{2, 2}, "strides": []int64{2, 2}}, x))
	})
	r := open(t, m, AttachOptions{}, 3)
	var samples [][]float32
	for i := range 17 {
		x := slices.Repeat([]float32{2}, 16)
		if i < 16 {
			x[i] = -1
		}
		samples = append(samples, x)
	}
	sum, err := r.Write(context.Background(), points([]int{16}, samples), &memory{}, RunOptions{}, Digest{})
	if err != nil || sum.Failed != 16 {
		t.Errorf("%d of 16 items with a NaN are reported, %v", sum.Failed, err)
	}
}

// The arg-max of each window, against a search of the windows; ties go to the
// first, as in PyTorch.
func TestMaxPoolCodes(t *testing.T) {
	for _, c := range []struct {
		name                  string
		h, w                  int
		kernel, strides, pads []int64
		dil                   []int64
	}{
		{"2x2", 6, 8, []int64{2, 2}, []int64{2, 2}, []int64{0, 0, 0, 0}, []int64{1, 1}},
		{"3x3 padded, overlapping", 7, 9, []int64{3, 3}, []int64{2, 2}, []int64{1, 1, 1, 1}, []int64{1, 1}},
		{"uneven", 8, 7, []int64{3, 2}, []int64{1, 2}, []int64{0, 1, 2, 0}, []int64{1, 1}},
		{"dilated", 9, 9, []int64{2, 3}, []int64{1, 1}, []int64{0, 0, 0, 0}, []int64{3, 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			const ch, n = 3, 2
			dim := ch * c.h * c.w
			m := network(t, dim, func(e *rewrite.Edit, x string) string {
				x = e.Op("Reshape", nil, x, e.Const(tensor.Of([]int64{-1, ch, int64(c.h), int64(c.w)}, 4)))
				return e.Op("MaxPool", map[string]any{"kernel_shape": c.kernel, "strides": c.strides, "pads": c.pads, "dilations": c.dil}, e.Op("Relu", nil, x))
			})
			r := open(t, m, AttachOptions{Sites: site.Options{MaxPool: true, Globs: []string{"MaxPool"}}}, n)
			s := &r.Plan.Sites[0]
			x := make([]float32, n*dim)
			rng := rand.New(rand.NewPCG(1, 1))
			for i := range x {
				x[i] = float32(rng.IntN(4)) // many ties
			}
			code := codesOf(t, r, x, n)
			oh, ow := s.Shape[1], s.Shape[2]
			for item := range n {
				for u := range s.Units {
					k, i, j := u/(oh*ow), u/ow%oh, u%ow
					want, best := 0, float32(-1)
					for a := range c.kernel[0] {
						for b := range c.kernel[1] {
							y, z := int64(i)*c.strides[0]-c.pads[0]+a*c.dil[0], int64(j)*c.strides[1]-c.pads[1]+b*c.dil[1]
							if y < 0 || z < 0 || y >= int64(c.h) || z >= int64(c.w) {
								continue
							}
							if v := x[item*dim+k*c.h*c.w+int(y)*c.w+int(z)]; v > best {
								best, want = v, int(a*c.kernel[1]+b)
							}
						}
					}
					got := 0
					for p := range s.Planes() {
						got |= b2i(Bit(code[item*s.Bytes():], p*s.Units+u)) << p
					}
					if got != want {
						t.Fatalf("item %d, unit %d: position %d, want %d", item, u, got, want)
					}
				}
			}
		})
	}
}

// A batch that the export fixed at 1 is freed where that gives the same numbers,
// and otherwise items run one by one.
func TestFixedBatch(t *testing.T) {
	for file, freed := range map[string]bool{"resnet_basic_dynamo_fixed": true, "resnet_basic_torchscript_fixed": true, "vit_dynamo_fixed": false, "vit_torchscript_fixed": false} {
		m, err := onnx.Load("../testdata/models/" + file + ".onnx")
		if err != nil {
			t.Fatal(err)
		}
		r := open(t, m, AttachOptions{}, 6)
		if f := r.Plan.Fit; f.Freed != freed || (f.Note == "") != freed || (r.Batch == 6) != freed {
			t.Errorf("%s: freed %v, batch %d, note %q", file, f.Freed, r.Batch, f.Note)
		}
	}
	// Freeing this one changes its numbers: the batch is mixed. It must be found out.
	m := network(t, 4, func(e *rewrite.Edit, x string) string {
		mean := e.Op("ReduceMean", map[string]any{"axes": []int64{0}}, x)
		return e.Op("Relu", nil, e.Op("Sub", nil, x, e.Op("Mul", nil, mean, c(e, 0.5))))
	})
	m.Graph.Inputs[0].Shape[0] = onnx.Dim{Size: 1}
	r := open(t, m, AttachOptions{}, 6)
	if f := r.Plan.Fit; f.Freed || r.Batch != 1 || f.Note == "" {
		t.Errorf("a model that mixes its batch: freed %v, batch %d, note %q", f.Freed, r.Batch, f.Note)
	}
	if code := codesOf(t, r, []float32{1, -1, 1, -1, -1, 1, 1, -1}, 2); !bytes.Equal(code, []byte{0b10100000, 0b01100000}) {
		t.Errorf("codes %08b", code)
	}
}

// A site whose first axis is not the batch is right item by item.
func TestSiteThatDoesNotLeadWithTheBatch(t *testing.T) {
	m := network(t, 3, func(e *rewrite.Edit, x string) string {
		return e.Op("Transpose", nil, e.Op("Relu", nil, e.Op("Transpose", nil, x)))
	})
	r := open(t, m, AttachOptions{}, 8)
	if r.Batch != 1 || !strings.Contains(r.Plan.Fit.Note, "first axis") {
		t.Errorf("batch %d, note %q", r.Batch, r.Plan.Fit.Note)
	}
	if code := codesOf(t, r, []float32{1, -1, 1, -1, -1, 1}, 2); !bytes.Equal(code, []byte{0b10100000, 0b00100000}) {
		t.Errorf("codes %08b", code)
	}
}

// A model of one vector, without a batch axis, runs item by item.
func TestModelWithoutBatchAxis(t *testing.T) {
	m := network(t, 3, func(e *rewrite.Edit, x string) string {
		return e.Op("Relu", nil, e.Op("MatMul", nil, e.Const(tensor.Of([]float32{1, 0, 0, 0, -1, 0}, 2, 3)), x))
	})
	m.Graph.Inputs[0].Shape = []onnx.Dim{{Size: 3}}
	r := open(t, m, AttachOptions{}, 8)
	if r.Batch != 1 || r.Plan.Fit.Note == "" || r.Plan.Units() != 2 {
		t.Errorf("batch %d, note %q, %d units", r.Batch, r.Plan.Fit.Note, r.Plan.Units())
	}
	mem := &memory{}
	sum, err := r.Write(context.Background(), points([]int{3}, [][]float32{{1, 1, 1}, {-1, -1, 0}, nil, {float32(math.NaN()), 0, 0}}), mem, RunOptions{}, Digest{}, Code{})
	if err != nil || sum.Failed != 2 {
		t.Fatalf("%+v, %v", sum, err)
	}
	if got := mem.cols["code"].Values.([]uint8); !bytes.Equal(got, []byte{0b10000000, 0b01000000, 0, 0}) {
		t.Errorf("codes %08b", got)
	}
}

func TestUnitsWithSeveralKnotsCountOnce(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 500 {
		units, planes := 1+rng.IntN(40), 1+rng.IntN(4)
		code := make([]byte, (units*planes+7)/8)
		want := 0
		for u := range units {
			any := false
			for p := range planes {
				if rng.IntN(4) == 0 {
					b := p*units + u
					code[b/8] |= 1 << (7 - b%8)
					any = true
				}
			}
			want += b2i(any)
		}
		if got := changed(code, units, planes); got != want {
			t.Fatalf("%d units, %d planes: %d changed, want %d", units, planes, got, want)
		}
	}
}

func TestHammingAndSketch(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 9))
	a, b := make([]byte, 131), make([]byte, 131)
	want := 0
	for i := range a {
		a[i], b[i] = byte(rng.Uint32()), byte(rng.Uint32())
	}
	for i := range 8 * len(a) {
		want += b2i(Bit(a, i) != Bit(b, i))
	}
	if got := Hamming(a, b); got != want {
		t.Errorf("distance %d, want %d", got, want)
	}
	// 3 sites, the middle one with padding that must never be sampled.
	p := &Plan{Sites: []site.Site{{Units: 16, Knots: []float64{0}}, {Units: 3, Knots: []float64{0, 6}}, {Units: 100, Knots: []float64{0}}}}
	s, err := Sketch{Bits: 122, Seed: 3}.sampler(p)
	if err != nil {
		t.Fatal(err)
	}
	var all []int
	for i := range 16 {
		all = append(all, i)
	}
	for i := range 6 {
		all = append(all, 16+i)
	}
	for i := range 100 {
		all = append(all, 24+i)
	}
	if !slices.Equal(s.positions, all) {
		t.Errorf("a sketch of every bit takes %v", s.positions)
	}
	small, _ := Sketch{Bits: 20, Seed: 3}.sampler(p)
	again, _ := Sketch{Bits: 20, Seed: 3}.sampler(p)
	other, _ := Sketch{Bits: 20, Seed: 4}.sampler(p)
	if !slices.Equal(small.positions, again.positions) || slices.Equal(small.positions, other.positions) {
		t.Error("a sketch depends on its seed, and on nothing else")
	}
	if _, err := (Sketch{Bits: 123, Seed: 1}).sampler(p); err == nil {
		t.Error("a sketch of more bits than there are")
	}
}

func TestBadModelsAreRefused(t *testing.T) {
	relu := network(t, 3, op("Relu", nil))
	two := relu.Clone()
	two.Graph.Inputs = append(two.Graph.Inputs, onnx.NewValue("mask", tensor.Float32, nil))
	open := relu.Clone()
	open.Graph.Inputs[0].Shape[1] = onnx.Dim{Size: -1, Param: "width"}
	ids := relu.Clone()
	ids.Graph.Inputs[0].DType = tensor.Int64
	old := relu.Clone()
	old.Opsets[0].Version = 6
	for _, c := range []struct {
		m      *onnx.Model
		sample []int
		want   string
	}{
		{two, nil, `its input "mask" open`},
		{open, nil, "say the size of a sample"},
		{ids, nil, "takes int64"},
		{old, nil, "opset 7"},
		{relu, []int{4}, "takes samples of [n, 3], these have shape [4]"},
	} {
		if _, err := Attach(c.m, AttachOptions{Sample: c.sample}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
	if _, err := Attach(open, AttachOptions{Sample: []int{5}}); err != nil {
		t.Errorf("an open width that is given: %v", err)
	}
}

func TestCancelledRun(t *testing.T) {
	m := network(t, 2, op("Relu", nil))
	r := openProber(t, m)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.Write(ctx, points([]int{2}, [][]float32{{1, 2}}), &memory{}, RunOptions{}, Digest{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled run: %v", err)
	}
}

func openProber(t *testing.T, m *onnx.Model) *Prober { return open(t, m, AttachOptions{}, 2) }
