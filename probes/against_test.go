package probes

import (
	"slices"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/gorgonia"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// mixed is a network of 4 inputs with a bend of every kind that has no knots: against a
// constant for each unit, against a computed value, two planes of one site, the largest
// of three values, the smallest along an axis.
func mixed(t *testing.T) *onnx.Model {
	return network(t, 4, func(e *rewrite.Edit, x string) string {
		a := e.Op("Max", nil, x, e.Const(tensor.Of([]float32{-.5, 0, .25, .5}, 4)))
		b := e.Op("Min", nil, x, e.Op("Neg", nil, x))
		d := e.Op("Max", nil, x, e.Op("Neg", nil, x), e.Op("Mul", nil, x, c(e, .5)))
		least := e.Op("ReduceMin", map[string]any{"axes": []int64{1}}, x)
		return e.Op("Concat", map[string]any{"axis": 1}, a, b, d, least)
	})
}

// Codes, three signs, fragile counts and values of bends that have no knots, by hand.
func TestBendsWithoutKnots(t *testing.T) {
	x := []float32{.25, 0, .25, -3, -1, 2, .3, .45}
	for _, b := range []engine.Backend{ort.Backend{}, gorgonia.Backend{}} {
		t.Run(b.Name(), func(t *testing.T) {
			enginetest.Need(t, b, engine.Options{})
			m := mixed(t)
			for _, pack := range []Packing{PackAuto, PackPortable, PackUnsigned} {
				r := openOn(t, b, m, AttachOptions{Probes: []Probe{Code{Below: true}, Fragile{Within: .125}}, Pack: pack}, 2)
				out, err := r.Infer(t.Context(), tensor.Of(x, 2, 4))
				if err != nil {
					t.Fatal(err)
				}
				want := map[string][]string{
					// x > -.5, 0, .25, .5; x > -x; the place of the largest of x, -x, x/2, the low
					// bit of each and then the high; the place of the smallest, low and high bit.
					"code":  {"1000", "1010", "00010000", "11", "0110", "0111", "10000000", "00"},
					"below": {"0001", "0001", "", "", "1001", "1000", "", ""},
				}
				for kind, rows := range want {
					for i, p := range r.probe(out, kind) {
						for item := range 2 {
							row := rows[4*item+i]
							if row == "" {
								if p != nil {
									t.Errorf("%v: site %d has %s", pack, i, kind)
								}
								continue
							}
							for k := range row {
								if got := Bit(tensor.Data[uint8](p.Rows(item, item+1)), k); got != (row[k] == '1') {
									t.Errorf("%v: %s of site %d, item %d, bit %d: %v, want %s", pack, kind, i, item, k, got, row)
								}
							}
						}
					}
				}
				// |x - bound| <= 1/8: of the first 0 and .25, of the second .3 and .45; |x - -x| <=
				// 1/8: 0 of the first.
				for i, want := range [][]float64{{2, 2}, {1, 0}} {
					if got := r.probe(out, "fragile")[i].Float64s(); !slices.Equal(got, want) {
						t.Errorf("%v: fragile at site %d: %v, want %v", pack, i, got, want)
					}
				}
			}
			r := openOn(t, b, m, AttachOptions{Probes: []Probe{values{}}}, 2)
			out, err := r.Infer(t.Context(), tensor.Of(x, 2, 4))
			if err != nil {
				t.Fatal(err)
			}
			values := r.probe(out, "value")
			if got, want := values[0].Float64s()[:4], []float64{.75, 0, 0, -3.5}; !slices.Equal(got, want) {
				t.Errorf("above the bounds by %v, want %v", got, want)
			}
			if got, want := values[1].Float64s()[:4], []float64{.5, 0, .5, -6}; !slices.Equal(got, want) {
				t.Errorf("above the other by %v, want %v", got, want)
			}
			if values[2] != nil || values[3] != nil {
				t.Error("which element is taken has values")
			}
		})
	}
}

// Local complexity counts these as it does others: made on the host and in the graph.
func TestComplexityWithoutKnots(t *testing.T) {
	m := mixed(t)
	x := tensor.Of([]float32{.25, 0, .25, -3, -1, 2, .3, .45}, 2, 4)
	var counts [][]int64
	for _, b := range []engine.Backend{ort.Backend{}, gorgonia.Backend{}} {
		r := openOn(t, b, m, AttachOptions{Pack: PackUnsigned}, 8)
		frame, err := NewFrame(4, 4, 3)
		if err != nil {
			t.Fatal(err)
		}
		host, graph := crossings(t, r, pointsOf(x, 2), Complexity{Frame: frame, Radii: []float64{.05, .5}})
		counts = append(counts, host.ints("count"), graph.ints("count"))
	}
	for _, c := range counts {
		if !slices.Equal(c, counts[0]) || slices.Max(c) == 0 {
			t.Errorf("%v, want %v", c, counts[0])
		}
	}
}

// A constant that repeats one number, and makes more of the output than of the value, is a
// knot of the value: it has a bit for each unit of its own.
func TestKnotThatIsRepeated(t *testing.T) {
	m := network(t, 4, func(e *rewrite.Edit, x string) string {
		sum := e.Op("ReduceSum", nil, x, e.Const(tensor.Of([]int64{1}, 1)))
		return e.Op("Max", nil, sum, e.Const(tensor.Of(make([]float32, 20), 20)))
	})
	for _, b := range []engine.Backend{ort.Backend{}, gorgonia.Backend{}} {
		enginetest.Need(t, b, engine.Options{})
		r := openOn(t, b, m, AttachOptions{}, 2)
		if s := r.Plan.Sites[0]; s.Units != 1 || len(s.Knots) != 1 {
			t.Errorf("%+v", s)
		}
		if got := codesOf(t, r, []float32{1, 2, 3, -5, 1, 2, 3, -7}, 2); !slices.Equal(got, []byte{0x80, 0}) {
			t.Errorf("%s: codes %x", b.Name(), got)
		}
	}
}

// What a quantizer makes of an item whose range is that of the batch must not depend on the
// others: items run one by one.
func TestRangesOfABatch(t *testing.T) {
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	m := network(t, 4, func(e *rewrite.Edit, x string) string {
		q := e.Op("DynamicQuantizeLinear", nil, x)
		n := e.Graph.Nodes[len(e.Graph.Nodes)-1]
		n.Outputs = append(n.Outputs, e.Name("scale"), e.Name("zero"))
		return e.Op("Relu", nil, e.Op("Sub", nil, e.Op("DequantizeLinear", nil, q, n.Outputs[1], n.Outputs[2]), c(e, .02)))
	})
	r := open(t, m, AttachOptions{}, 8)
	if r.Batch != 1 || r.Plan.Fit.Note == "" {
		t.Errorf("a batch of %d, %q", r.Batch, r.Plan.Fit.Note)
	}
	// Beside a hundred, .03 would be 0.
	if got := codesOf(t, r, []float32{.03, -.01, .05, .01, 100, 0, 0, -100}, 2); got[0] != 0xa0 {
		t.Errorf("codes %x", got)
	}
}
