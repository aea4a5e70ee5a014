//go:build cgo

package ort

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// TestCustomOp compares the fields of op_custom with the header that the binding
// brings.
func TestCustomOp(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/yalue/onnxruntime_go").Output()
	if err != nil {
		t.Skipf("go list: %v", err)
	}
	fields := func(file, first string) []string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, body, _ := strings.Cut(string(text), first)
		body, _, _ = strings.Cut(body, "\n};")
		body = regexp.MustCompile(`//[^\n]*`).ReplaceAllString(body, "")
		names := []string{}
		for _, decl := range strings.Split(body, ";") {
			if g := regexp.MustCompile(`\(\s*(?:ORT_API_CALL)?\s*\*\s*(\w+)\)|uint32_t (\w+)`).FindStringSubmatch(decl); g != nil {
				names = append(names, g[1]+g[2])
			}
		}
		return names
	}
	want := fields(filepath.Join(strings.TrimSpace(string(dir)), "onnxruntime_c_api.h"), "struct OrtCustomOp {")
	got := fields("ortapi.h", "struct op_custom {")
	if len(want) != 26 || !slices.Equal(got, want) {
		t.Errorf("op_custom has the fields\n%q, OrtCustomOp has\n%q", got, want)
	}
	source, err := os.ReadFile("pack.c")
	if err != nil || !strings.Contains(string(source), fmt.Sprintf(".version = %d,", apiVersion)) {
		t.Errorf("op_signpack is not of interface version %d (%v)", apiVersion, err)
	}
}

// signPack is a model of the operator alone.
func signPack(d tensor.DType, knots *tensor.Tensor, dims []onnx.Dim, attrs map[string]int64) *onnx.Model {
	n := &onnx.Node{Name: "pack", Op: engine.SignPack, Domain: engine.Domain, Inputs: []string{"x", "knots"}, Outputs: []string{"codes", "nan"}}
	for k, v := range attrs {
		n.Attrs = append(n.Attrs, &onnx.Attr{Name: k, Type: onnx.AttrInt, Int: v})
	}
	m := model([]*onnx.Value{onnx.NewValue("x", d, dims)}, []*onnx.Value{onnx.NewValue("codes", tensor.Uint8, nil), onnx.NewValue("nan", tensor.Float32, nil)},
		[]*onnx.Tensor{onnx.NewTensor("knots", knots)}, n)
	m.Opsets = append(m.Opsets, onnx.Opset{Domain: engine.Domain, Version: 1})
	return m
}

// packed is what the operator must give for the values of some items.
func packed[T float32 | float64](items [][]T, knots []T, below bool) (codes []byte, nans []bool) {
	for _, x := range items {
		code, nan := make([]byte, (len(x)*len(knots)+7)/8), false
		for k, knot := range knots {
			for u, v := range x {
				if b := k*len(x) + u; !below && v > knot || below && v < knot {
					code[b/8] |= 1 << (7 - b%8)
				}
			}
		}
		for _, v := range x {
			nan = nan || v != v
		}
		codes, nans = append(codes, code...), append(nans, nan)
	}
	return codes, nans
}

func checkPacked(t *testing.T, what string, out []*tensor.Tensor, codes []byte, nans []bool) {
	t.Helper()
	if got := tensor.Data[uint8](out[0]); !slices.Equal(got, codes) {
		i := 0
		for i < min(len(got), len(codes)) && got[i] == codes[i] {
			i++
		}
		t.Fatalf("%s: %d bytes, want %d; the first that differs is %d", what, len(got), len(codes), i)
	}
	if !slices.Equal(out[1].Shape, []int{len(nans)}) {
		t.Fatalf("%s: the NaNs have shape %v, want [%d]", what, out[1].Shape, len(nans))
	}
	for i, v := range tensor.Data[float32](out[1]) {
		if (v != v) != nans[i] || v == v && v != 0 {
			t.Fatalf("%s: item %d: NaN %v, want %v", what, i, v, nans[i])
		}
	}
}

// patterns are values of every exponent and both signs, zeros, subnormal numbers,
// infinities, NaNs, and what lies beside the knots.
func patterns[T float32 | float64](knots []T) []T {
	var v []T
	for exponent := range 256 {
		for _, mantissa := range []uint32{0, 1, 0x2aaaaa, 0x400000, 0x7fffff} {
			for sign := range uint32(2) {
				v = append(v, T(math.Float32frombits(sign<<31|uint32(exponent)<<23|mantissa)))
			}
		}
	}
	v = append(v, T(math.Copysign(0, -1)))
	for _, k := range knots {
		switch k := any(k).(type) {
		case float32:
			v = append(v, T(k), T(math.Nextafter32(k, -9e9)), T(math.Nextafter32(k, 9e9)))
		case float64:
			v = append(v, T(k), T(math.Nextafter(k, -9e9)), T(math.Nextafter(k, 9e9)))
		}
	}
	return v
}

// levels of the attribute simd: the plain C twin, AVX2, AVX-512.
var simdLevels = []int64{0, 1, 2}

func TestSignPack(t *testing.T) {
	t.Run("float32", func(t *testing.T) { testSignPack[float32](t, tensor.Float32) })
	t.Run("float64", func(t *testing.T) { testSignPack[float64](t, tensor.Float64) })
}

func testSignPack[T float32 | float64](t *testing.T, d tensor.DType) {
	for _, knots := range [][]T{{0}, {-3, 3}, {0, 0.1, 6}, {}} {
		all := patterns(knots)
		for below := range int64(2) {
			for _, level := range simdLevels {
				s := prepared(t, signPack(d, tensor.Of(knots, len(knots)), []onnx.Dim{{Size: -1, Param: "n"}, {Size: -1, Param: "u"}},
					map[string]int64{"below": below, "simd": level}), engine.Options{Threads: 2})
				rng := rand.New(rand.NewPCG(1, uint64(level)))
				for _, n := range []int{1, 3, 8} {
					for _, units := range []int{1, 7, 8, 9, 63, 64, 65, 100, 129, 1000, 2567, 40_000, 70_001} {
						if units > 3000 && n == 8 && testing.Short() {
							continue
						}
						var flat []T
						var items [][]T
						for range n {
							start, kind := rng.IntN(len(all)), rng.IntN(3)
							for u := range units {
								v := all[(start+u)%len(all)]
								if kind == 0 && v != v {
									v = 1 // an item without NaN
								}
								flat = append(flat, v)
							}
							items = append(items, flat[len(flat)-units:])
						}
						codes, nans := packed(items, knots, below == 1)
						checkPacked(t, fmt.Sprintf("knots %v, below %d, simd %d, %d items of %d", knots, below, level, n, units),
							run(t, s, tensor.Of(flat, n, units)), codes, nans)
					}
				}
			}
		}
	}
}

// One NaN is found wherever it is.
func TestSignPackFindsOneNaN(t *testing.T) {
	for _, level := range simdLevels {
		s := prepared(t, signPack(tensor.Float32, tensor.Of([]float32{0}, 1), []onnx.Dim{{Size: -1}, {Size: 77}}, map[string]int64{"simd": level}), engine.Options{})
		x := make([]float32, 77*77)
		want := make([]bool, 77)
		for i := range 76 { // the last item has none
			x[i*78], want[i] = float32(math.NaN()), true
		}
		checkPacked(t, fmt.Sprint("simd ", level), run(t, s, tensor.Of(x, 77, 77)), make([]byte, 770), want)
	}
}

// Values in blocks of channels give the codes of the same values in the usual
// order. What fills the last block up is NaN here, and must not matter.
func TestSignPackOfBlocks(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, knots := range [][]float32{{0}, {-0.5, 0.5}} {
		all := patterns(knots)
		for _, block := range []int{8, 16} {
			for _, level := range simdLevels {
				for below := range int64(2) {
					for _, channels := range []int{8, 16, 24, 40, 64} {
						full := (channels + block - 1) / block * block
						m := signPack(tensor.Float32, tensor.Of(knots, len(knots)), []onnx.Dim{{Size: -1}, {Size: int64(full)}, {Size: -1}, {Size: -1}},
							map[string]int64{"below": below, "simd": level, "block": int64(block), "channels": int64(channels)})
						s := prepared(t, m, engine.Options{Threads: 2})
						for _, c := range [][3]int{{1, 1, 1}, {3, 1, 3}, {2, 2, 4}, {3, 7, 7}, {1, 8, 8}, {2, 9, 9}, {2, 14, 14}, {1, 6, 12}, {3, 48, 48}} {
							n, h, w := c[0], c[1], c[2]
							area := h * w
							flat := make([]float32, n*full*area)
							var items [][]float32
							for i := range n {
								item := make([]float32, channels*area)
								for j := range item {
									if item[j] = float32(rng.NormFloat64()); i != 1 && rng.IntN(4) == 0 {
										item[j] = all[rng.IntN(len(all))]
									}
								}
								for ch := range full {
									for p := range area {
										v := float32(math.NaN())
										if ch < channels {
											v = item[ch*area+p]
										}
										flat[i*full*area+(ch/block*area+p)*block+ch%block] = v
									}
								}
								items = append(items, item)
							}
							codes, nans := packed(items, knots, below == 1)
							checkPacked(t, fmt.Sprintf("knots %v, blocks of %d, simd %d, below %d, %d channels, %v", knots, block, level, below, channels, c),
								run(t, s, tensor.Of(flat, n, full, h, w)), codes, nans)
						}
						s.Close()
					}
				}
			}
		}
	}
}

func TestSignPackRefuses(t *testing.T) {
	enginetest.Need(t, Backend{}, engine.Options{})
	knots := tensor.Of([]float32{0}, 1)
	dims := []onnx.Dim{{Size: 1}, {Size: 8}}
	for _, c := range []struct {
		m    *onnx.Model
		want string
	}{
		{signPack(tensor.Int32, tensor.Of([]int32{0}, 1), dims, nil), "both be float or both double"},
		{signPack(tensor.Float64, knots, dims, nil), "both be float or both double"},
		{signPack(tensor.Float32, knots, dims, map[string]int64{"block": 12, "channels": 8}), "multiple of 8"},
		{signPack(tensor.Float32, knots, dims, map[string]int64{"block": 16, "channels": 3}), "multiple of 8"},
		{signPack(tensor.Float64, tensor.Of([]float64{0}, 1), dims, map[string]int64{"block": 16, "channels": 8}), "a block is of 8 or 16 floats"},
	} {
		s, err := Backend{}.Prepare(context.Background(), c.m, engine.Options{})
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
	s := prepared(t, signPack(tensor.Float32, knots, dims, map[string]int64{"block": 16, "channels": 8}), engine.Options{})
	if _, err := s.Run(context.Background(), []*tensor.Tensor{tensor.Of(make([]float32, 8), 1, 8)}); err == nil || !strings.Contains(err.Error(), "no blocks of channels") {
		t.Errorf("a matrix in blocks: %v", err)
	}
	// Nothing to pack is no fault.
	empty := prepared(t, signPack(tensor.Float32, knots, []onnx.Dim{{Size: -1}, {Size: -1}}, nil), engine.Options{})
	for _, shape := range [][]int{{0, 8}, {3, 0}, {0, 0}} {
		out := run(t, empty, tensor.Of([]float32{}, shape...))
		if got := out[0].Shape; got[0] != shape[0] || tensor.Count(got) != 0 {
			t.Errorf("%v gives codes of shape %v", shape, got)
		}
	}
}

// What the binding keeps to itself may change; a session without our operators
// would be refused with words about an unknown domain.
func TestOwnOperatorsFailLoudly(t *testing.T) {
	enginetest.Need(t, Backend{}, engine.Options{})
	so, err := ort.NewSessionOptions()
	if err != nil {
		t.Fatal(err)
	}
	so.Destroy()
	err = addOwn(so) // there is no pointer any more
	if err == nil || !strings.Contains(err.Error(), "this release of onnxruntime_go has no *onnxruntime_go.SessionOptions.o") || !strings.Contains(err.Error(), engine.SignPack) {
		t.Errorf("options without what is needed: %v", err)
	}
	if _, err := field(new(struct{ o int }), "o"); err == nil {
		t.Error("an integer passed for a pointer")
	}
	// Where the operator is not asked for it is not known.
	m := signPack(tensor.Float32, tensor.Of([]float32{0}, 1), []onnx.Dim{{Size: 1}, {Size: 8}}, nil)
	proto, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	_, err = prepare(context.Background(), proto, sessionFiles{}, engine.Options{})
	u := new(engine.UnsupportedError)
	if err == nil || !errors.As(explain(err, m), &u) {
		t.Errorf("the operator without its domain: %v", err)
	}
}

// stack is a network whose values ONNX Runtime keeps in blocks: two convolutions
// with activations, both packed, the first also watched by itself.
func stack(channels, knot int64) *onnx.Model {
	rng := rand.New(rand.NewPCG(7, 8))
	weights := func(name string, shape ...int) *onnx.Tensor {
		w := make([]float32, tensor.Count(shape))
		for i := range w {
			w[i] = float32(rng.NormFloat64()) / 4
		}
		return onnx.NewTensor(name, tensor.Of(w, shape...))
	}
	c := int(channels)
	conv := func(name, in, out string) *onnx.Node {
		n := node("Conv", name, in, out)
		n.Attrs = []*onnx.Attr{{Name: "pads", Type: onnx.AttrInts, Ints: []int64{1, 1, 1, 1}}, {Name: "kernel_shape", Type: onnx.AttrInts, Ints: []int64{3, 3}}}
		return n
	}
	pack := func(name, in string, out ...string) *onnx.Node {
		return &onnx.Node{Name: name, Op: engine.SignPack, Domain: engine.Domain, Inputs: []string{in, "knots"}, Outputs: out}
	}
	m := model([]*onnx.Value{onnx.NewValue("x", tensor.Float32, []onnx.Dim{{Size: -1, Param: "n"}, {Size: 3}, {Size: 10}, {Size: 10}})},
		[]*onnx.Value{onnx.NewValue("y", tensor.Float32, nil), onnx.NewValue("a", tensor.Uint8, nil), onnx.NewValue("b", tensor.Uint8, nil),
			onnx.NewValue("nan", tensor.Float32, nil), onnx.NewValue("alone", tensor.Float32, nil)},
		[]*onnx.Tensor{weights("w1", c, 3, 3, 3), weights("w2", c, c, 3, 3), onnx.NewTensor("knots", tensor.Of([]float32{0, float32(knot)}, 2)), onnx.NewTensor("none", tensor.Of([]float32{}, 0))},
		conv("conv1", "x w1", "c1"), node("Relu", "relu1", "c1", "r1"), conv("conv2", "r1 w2", "c2"), node("Relu", "relu2", "c2", "r2"), node("GlobalAveragePool", "pool", "r2", "y"),
		pack("pack2", "r2", "b"), pack("pack1", "r1", "a", "nan"),
		&onnx.Node{Name: "watch", Op: engine.SignPack, Domain: engine.Domain, Inputs: []string{"r1", "none"}, Outputs: []string{"", "alone"}})
	m.Opsets = append(m.Opsets, onnx.Opset{Domain: engine.Domain, Version: 1})
	return m
}

// The session that packs values as the convolutions leave them gives what the one
// that puts them in order first gives, bit for bit, and does without the reordering.
func TestFusedAgrees(t *testing.T) {
	enginetest.Need(t, Backend{}, engine.Options{})
	if blockSize() == 0 {
		if runtime.GOARCH == "amd64" {
			t.Fatal("ONNX Runtime keeps no values in blocks that this program knows")
		}
		t.Skip("ONNX Runtime keeps no values in blocks here")
	}
	for _, channels := range []int64{8, 16, 24, 32, 40, 12, 5} {
		m := stack(channels, 1)
		proto, err := m.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if !worthFusing(m, engine.Options{}) || worthFusing(m, engine.Options{Optimize: "none"}) || worthFusing(m, engine.Options{Device: engine.Device{Kind: "cuda"}}) {
			t.Error("what is worth fusing")
		}
		a := fused(context.Background(), m, sessionFiles{}, engine.Options{})
		if (a != nil) != (channels%8 == 0) {
			t.Errorf("%d channels: fused %v", channels, a != nil)
		}
		if a == nil {
			continue
		}
		b, err := prepare(context.Background(), proto, sessionFiles{own: true}, engine.Options{})
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(1, 2))
		for _, n := range []int{1, 3, 8} {
			x := make([]float32, n*300)
			for i := range x {
				x[i] = float32(rng.NormFloat64())
			}
			if n == 3 {
				x[350] = float32(math.NaN())
			}
			in := tensor.Of(x, n, 3, 10, 10)
			got, want := run(t, a, in), run(t, b, in)
			for i := range want {
				if !slices.Equal(got[i].Shape, want[i].Shape) || !slices.Equal(got[i].Bytes(), want[i].Bytes()) {
					t.Errorf("%d channels, %d items: output %q is not the same", channels, n, a.Outputs()[i].Name)
				}
			}
			if nan := tensor.Data[float32](got[3]); n == 3 && (nan[0] != 0 || nan[1] == nan[1] || nan[2] != 0) {
				t.Errorf("NaNs found: %v", nan)
			}
		}
		a.Close()
		b.Close()
	}
}

// Nothing is left on the disk, and a model that cannot be written there is run all
// the same.
func TestFusedNeedsNoDisk(t *testing.T) {
	enginetest.Need(t, Backend{}, engine.Options{})
	somewhere := t.TempDir()
	t.Setenv("TMPDIR", somewhere)
	t.Setenv("TMP", somewhere)
	prepared(t, stack(16, 1), engine.Options{})
	if left, err := os.ReadDir(somewhere); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	nowhere := filepath.Join(somewhere, "nowhere")
	t.Setenv("TMPDIR", nowhere)
	t.Setenv("TMP", nowhere)
	m := stack(16, 1)
	if s := fused(context.Background(), m, sessionFiles{}, engine.Options{}); s != nil {
		t.Error("a session of a file that cannot be written")
	}
	run(t, prepared(t, m, engine.Options{}), tensor.Of(make([]float32, 300), 1, 3, 10, 10))
}

// Sessions with the operator give back what they take, and share nothing that
// threads could disturb.
func TestSignPackMemoryIsFlat(t *testing.T) {
	enginetest.Need(t, Backend{}, engine.Options{})
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	x := make([]float32, 8*300)
	for i := range x {
		x[i] = float32(i%7) - 3
	}
	use := func() {
		s, err := Backend{}.Prepare(context.Background(), stack(64, 2), engine.Options{})
		if err != nil {
			t.Error(err)
			return
		}
		defer s.Close()
		var first []byte
		for range 5 {
			out, err := s.Run(context.Background(), []*tensor.Tensor{tensor.Of(x, 8, 3, 10, 10)})
			if err != nil {
				t.Error(err)
				return
			}
			if first == nil {
				first = out[1].Bytes()
			} else if !slices.Equal(out[1].Bytes(), first) {
				t.Error("the codes are not the same again")
			}
		}
	}
	round := func(n int) {
		for range n {
			var wg sync.WaitGroup
			for range 2 {
				wg.Go(use)
			}
			wg.Wait()
		}
	}
	round(20)
	before := rss(t)
	round(60)
	if grown := rss(t) - before; grown > 24<<20 {
		t.Errorf("120 sessions took %d MB more than 40", grown>>20)
	}
}
