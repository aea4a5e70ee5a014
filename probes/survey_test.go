package probes

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/gorgonia"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// piece is a part of a random network: what it adds to a value of width units, and what
// must be said of it.
type piece struct {
	name  string
	width int
	build func(e *rewrite.Edit, x string) string
	site  string    // the activation's name, "" for none
	kind  site.Kind // of the one node that is named, "" for none
	// linear says that it is affine on each of its pieces.
	linear bool
}

// formPieces are the forms of the activations, each of which must be a site and nothing
// else.
func formPieces() (all []piece) {
	for _, f := range forms {
		row := onnx.OperatorNamed(f.name)
		smooth := site.Activations[slices.IndexFunc(site.Activations, func(a site.Activation) bool { return a.Name == f.name })].Smooth
		kind := map[string]site.Kind{"LpNormalization": site.KindSmooth}[f.how] // its division
		all = append(all, piece{name: strings.TrimSpace(f.name + " " + f.how), width: len(corners(f.knots)), build: f.build, site: f.name, kind: kind,
			linear: !smooth && !(row != nil && row.Traits&onnx.Smooth != 0) && f.how != "LpNormalization"})
	}
	return all
}

// operatorPieces are one node of each operator that takes and gives a row of numbers, with
// the rest of its inputs constant: what is said of it is its Verdict.
func operatorPieces(t *testing.T) (all []piece) {
	const w = 6
	num := func(e *rewrite.Edit, v ...float32) string { return e.Const(tensor.Of(v, len(v))) }
	ints := func(e *rewrite.Edit, v ...int64) string { return e.Const(tensor.Of(v, len(v))) }
	unary := func(op string, attrs map[string]any) func(e *rewrite.Edit, x string) string {
		return func(e *rewrite.Edit, x string) string { return e.Op(op, attrs, x) }
	}
	row := []float32{.5, 1, 1.5, 2, 2.5, 3}
	with := func(op string, v ...float32) func(e *rewrite.Edit, x string) string {
		return func(e *rewrite.Edit, x string) string { return e.Op(op, nil, x, num(e, v...)) }
	}
	image := func(op string, attrs map[string]any, more ...func(e *rewrite.Edit) string) func(e *rewrite.Edit, x string) string {
		return func(e *rewrite.Edit, x string) string {
			in := []string{e.Op("Reshape", nil, x, ints(e, -1, 1, 2, 3))}
			for _, f := range more {
				in = append(in, f(e))
			}
			return e.Op(op, attrs, in...)
		}
	}
	weight := func(shape ...int) func(e *rewrite.Edit) string {
		return func(e *rewrite.Edit) string {
			v := make([]float32, tensor.Count(shape))
			for i := range v {
				v[i] = float32(i%5) - 1.5
			}
			return e.Const(tensor.Of(v, shape...))
		}
	}
	ones := weight(1)
	built := map[string]func(e *rewrite.Edit, x string) string{
		"Add": with("Add", row...), "Sub": with("Sub", row...), "Sum": with("Sum", row...), "Mean": with("Mean", row...), "Mul": with("Mul", row...), "Div": with("Div", row...),
		"Pow": with("Pow", 3), "Max": with("Max", row...), "Min": with("Min", row...), "Mod": func(e *rewrite.Edit, x string) string { return e.Op("Mod", map[string]any{"fmod": 1}, x, num(e, 2)) },
		"PRelu": with("PRelu", .5), "Greater": compares("Greater"), "Less": compares("Less"), "GreaterOrEqual": compares("GreaterOrEqual"), "LessOrEqual": compares("LessOrEqual"), "Equal": compares("Equal"),
		"Clip":   func(e *rewrite.Edit, x string) string { return e.Op("Clip", nil, x, c(e, -1), c(e, 1)) },
		"MatMul": func(e *rewrite.Edit, x string) string { return e.Op("MatMul", nil, x, weight(w, w)(e)) },
		"Gemm":   func(e *rewrite.Edit, x string) string { return e.Op("Gemm", nil, x, weight(w, w)(e)) },
		"Einsum": func(e *rewrite.Edit, x string) string {
			return e.Op("Einsum", map[string]any{"equation": "ni,ij->nj"}, x, weight(w, w)(e))
		},
		"Concat": func(e *rewrite.Edit, x string) string { return e.Op("Concat", map[string]any{"axis": 1}, x, x) },
		"Where": func(e *rewrite.Edit, x string) string {
			return e.Op("Where", nil, e.Const(tensor.Of([]bool{true, false, true, true, false, true}, w)), x, c(e, 0))
		},
		"Reshape": func(e *rewrite.Edit, x string) string { return e.Op("Reshape", nil, x, ints(e, 0, 2, 3)) },
		"Squeeze": func(e *rewrite.Edit, x string) string {
			return e.Op("Squeeze", nil, e.Op("Unsqueeze", nil, x, ints(e, 1)), ints(e, 1))
		},
		"Unsqueeze": func(e *rewrite.Edit, x string) string { return e.Op("Unsqueeze", nil, x, ints(e, 1)) },
		"Gather": func(e *rewrite.Edit, x string) string {
			return e.Op("Gather", map[string]any{"axis": 1}, x, ints(e, 2, 1, 0))
		},
		"Slice": func(e *rewrite.Edit, x string) string {
			return e.Op("Slice", nil, x, ints(e, 1), ints(e, 4), ints(e, 1))
		},
		"Expand":    func(e *rewrite.Edit, x string) string { return e.Op("Expand", nil, x, ints(e, 1, w)) },
		"Tile":      func(e *rewrite.Edit, x string) string { return e.Op("Tile", nil, x, ints(e, 1, 2)) },
		"Pad":       func(e *rewrite.Edit, x string) string { return e.Op("Pad", nil, x, ints(e, 0, 1, 0, 1)) },
		"ReduceSum": func(e *rewrite.Edit, x string) string { return e.Op("ReduceSum", nil, x, ints(e, 1)) },
		"CumSum": func(e *rewrite.Edit, x string) string {
			return e.Op("CumSum", nil, x, e.Const(tensor.Scalar(int64(1))))
		},
		"Transpose": func(e *rewrite.Edit, x string) string {
			return e.Op("Transpose", map[string]any{"perm": []int64{0, 1}}, x)
		},
		"Cast": func(e *rewrite.Edit, x string) string { return e.Op("Cast", map[string]any{"to": 1}, x) },
		"Conv": image("Conv", nil, weight(2, 1, 2, 2)), "ConvTranspose": image("ConvTranspose", nil, weight(1, 2, 2, 2)),
		"MaxPool": image("MaxPool", map[string]any{"kernel_shape": []int64{2, 2}}), "AveragePool": image("AveragePool", map[string]any{"kernel_shape": []int64{2, 2}}),
		"LpPool": image("LpPool", map[string]any{"kernel_shape": []int64{2, 2}}), "GlobalLpPool": image("GlobalLpPool", nil),
		"GlobalAveragePool": image("GlobalAveragePool", nil), "GlobalMaxPool": image("GlobalMaxPool", nil), "LRN": image("LRN", map[string]any{"size": 1}),
		"BatchNormalization":    image("BatchNormalization", nil, ones, ones, ones, func(e *rewrite.Edit) string { return num(e, 2) }),
		"InstanceNormalization": image("InstanceNormalization", nil, ones, ones), "MeanVarianceNormalization": image("MeanVarianceNormalization", nil),
		"LayerNormalization": with("LayerNormalization", row...), "Softmax": unary("Softmax", nil), "LogSoftmax": unary("LogSoftmax", nil),
		"SpaceToDepth": image("SpaceToDepth", map[string]any{"blocksize": 1}), "DepthToSpace": image("DepthToSpace", map[string]any{"blocksize": 1}),
		"ReduceMean": along("ReduceMean"), "ReduceMax": along("ReduceMax"), "ReduceMin": along("ReduceMin"), "ReduceProd": along("ReduceProd"), "ReduceL1": along("ReduceL1"),
		"ReduceL2": along("ReduceL2"), "ReduceLogSum": along("ReduceLogSum"), "ReduceLogSumExp": along("ReduceLogSumExp"), "ReduceSumSquare": along("ReduceSumSquare"),
		"ArgMax": func(e *rewrite.Edit, x string) string {
			return e.Op("Cast", map[string]any{"to": 1}, e.Op("ArgMax", map[string]any{"axis": 1}, x))
		},
		"ArgMin": func(e *rewrite.Edit, x string) string {
			return e.Op("Cast", map[string]any{"to": 1}, e.Op("ArgMin", map[string]any{"axis": 1}, x))
		},
		"TopK": func(e *rewrite.Edit, x string) string {
			y := e.Op("TopK", nil, x, ints(e, 2))
			n := e.Graph.Nodes[len(e.Graph.Nodes)-1]
			n.Outputs = append(n.Outputs, e.Name("indices"))
			return y
		},
		"QuantizeLinear": func(e *rewrite.Edit, x string) string {
			q := e.Op("QuantizeLinear", nil, x, c(e, .1), e.Const(tensor.Scalar(uint8(128))))
			return e.Op("DequantizeLinear", nil, q, c(e, .1), e.Const(tensor.Scalar(uint8(128))))
		},
		"com.microsoft.Gelu": contrib("Gelu"), "com.microsoft.FastGelu": contrib("FastGelu"), "com.microsoft.QuickGelu": contrib("QuickGelu"),
	}
	for _, op := range strings.Fields(`Relu LeakyRelu ThresholdedRelu HardSigmoid HardSwish Abs Shrink Elu Selu Celu Gelu Swish Mish Softplus Softsign Tanh Sign
		Neg Identity Flatten Trilu Sigmoid Erf Exp Log Sqrt Reciprocal Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh LpNormalization
		Floor Ceil Round Hardmax`) {
		built[op] = unary(op, nil)
	}
	for _, op := range []string{"IsNaN", "IsInf"} {
		built[op] = func(e *rewrite.Edit, x string) string {
			return e.Op("Cast", map[string]any{"to": 1}, e.Op(op, nil, x))
		}
	}
	for _, o := range onnx.Operators {
		build := built[o.Name]
		if build == nil {
			continue
		}
		delete(built, o.Name)
		p := piece{name: o.Name, width: w, build: build}
		switch o.Verdict {
		case onnx.AsSite:
			p.site = map[string]string{"Swish": "Silu", "com.microsoft.Gelu": "Gelu", "com.microsoft.FastGelu": "Gelu", "com.microsoft.QuickGelu": "QuickGelu"}[o.Name]
			if p.site == "" {
				p.site = o.Name
			}
		case onnx.AsSmooth:
			p.kind = site.KindSmooth
		case onnx.Named, onnx.Watched:
			p.kind = site.KindBend
		}
		all = append(all, p)
	}
	for name := range built {
		t.Errorf("%s has no row in onnx.Operators", name)
	}
	return all
}

// along is a reduction of the rows' only axis.
func along(op string) func(e *rewrite.Edit, x string) string {
	return func(e *rewrite.Edit, x string) string { return e.Op(op, map[string]any{"axes": []int64{1}}, x) }
}

// compares is a comparison with a constant, as a number.
func compares(op string) func(e *rewrite.Edit, x string) string {
	return func(e *rewrite.Edit, x string) string {
		return e.Op("Cast", map[string]any{"to": 1}, e.Op(op, nil, x, c(e, .5)))
	}
}

// chained is a network of pieces with layers of random weights between them, some with a
// way around a piece.
func chained(t *testing.T, rng *rand.Rand, d int, pieces []piece) *onnx.Model {
	t.Helper()
	gauss := func(scale float64, n int) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(scale * rng.NormFloat64())
		}
		return v
	}
	return network(t, d, func(e *rewrite.Edit, x string) string {
		layer := func(x string, from, to int) string {
			return e.Op("Gemm", nil, x, e.Const(tensor.Of(gauss(1.5/math.Sqrt(float64(from)), from*to), from, to)), e.Const(tensor.Of(gauss(.7, to), to)))
		}
		from := d
		for _, p := range pieces {
			h := layer(x, from, p.width)
			y := p.build(e, h)
			facts, err := e.Model.Infer(map[string][]int64{"x": {5, int64(d)}})
			if err == nil {
				err = e.Graph.Sort()
			}
			shape := facts[y].Shape
			if err != nil || shape == nil {
				t.Fatalf("%s: shape %v, %v", p.name, shape, err)
			}
			units := 1
			for _, s := range shape[1:] {
				units *= int(s)
			}
			y = e.Op("Reshape", nil, y, e.Const(tensor.Of([]int64{-1, int64(units)}, 2)))
			// A step leaves nothing of the input but a choice.
			steps := func(name string) bool {
				o := onnx.OperatorNamed(name)
				return o != nil && o.Traits&onnx.Step != 0
			}
			if rng.IntN(3) == 0 || steps(p.name) || steps(p.site) {
				y, units = e.Op("Concat", map[string]any{"axis": 1}, y, h), units+p.width
			}
			x, from = y, units
		}
		return layer(x, from, 3)
	})
}

// What is said of a random network is what the rows of its parts say, no more and no less.
func TestSurveySaysWhatTheRowsSay(t *testing.T) {
	all := append(formPieces(), operatorPieces(t)...)
	check := func(t *testing.T, rng *rand.Rand, pieces []piece) {
		t.Helper()
		m := chained(t, rng, 4, pieces)
		var want, got, names []string
		for _, p := range pieces {
			names = append(names, p.name)
			if p.site != "" {
				want = append(want, "site "+p.site)
			}
			if p.kind != "" {
				want = append(want, string(p.kind))
			}
		}
		plain, err := rewrite.Plain(m)
		if err != nil {
			t.Fatal(err)
		}
		found, _ := site.Find(plain, site.Options{})
		for _, s := range found.Sites {
			got = append(got, "site "+s.Op)
		}
		for _, u := range found.Unwatched {
			got = append(got, string(u.Kind))
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", names, got, want)
		}
	}
	rng := rand.New(rand.NewPCG(13, 1))
	for _, p := range all {
		check(t, rng, []piece{p})
	}
	for range 300 {
		pieces := make([]piece, 2+rng.IntN(4))
		for i := range pieces {
			pieces[i] = all[rng.IntN(len(all))]
		}
		check(t, rng, pieces)
	}
}

// A bend that no row of the activations finds is named: nothing is silent. Without its
// row every form of an activation is another row's or unwatched.
func TestWithoutItsRowABendIsNamed(t *testing.T) {
	rows := site.Activations
	defer func() { site.Activations = rows }()
	rng := rand.New(rand.NewPCG(13, 2))
	for i, a := range rows {
		site.Activations = slices.Delete(slices.Clone(rows), i, i+1)
		for _, p := range formPiecesOf(rows, a.Name) {
			m := chained(t, rng, 4, []piece{p})
			found, _ := site.Find(m, site.Options{})
			if len(found.Sites) == 0 && len(found.Unwatched) == 0 {
				t.Errorf("without its row %q is silent", p.name)
			}
			if slices.ContainsFunc(found.Sites, func(s site.Site) bool { return s.Op == a.Name }) {
				t.Errorf("%q is found by no row as %s", p.name, a.Name)
			}
		}
	}
	site.Activations = rows
	m := network(t, 3, func(e *rewrite.Edit, x string) string {
		return e.Op("Relu", nil, e.Op("Frobnicate", nil, e.Op("Neg", nil, x)))
	})
	found, err := site.Find(m, site.Options{})
	if err != nil || len(found.Unwatched) != 1 || found.Unwatched[0].Kind != site.KindBend || !strings.Contains(found.Unwatched[0].Reason, "does not know") {
		t.Errorf("an operator without a row: %+v, %v", found, err)
	}
	if _, err := site.Find(m, site.Options{Strict: true}); err == nil || !strings.Contains(err.Error(), "Frobnicate") {
		t.Errorf("strictly: %v", err)
	}
}

func formPiecesOf(rows []site.Activation, name string) (all []piece) {
	for _, f := range forms {
		if f.name == name {
			all = append(all, piece{name: strings.TrimSpace(f.name + " " + f.how), width: len(corners(f.knots)), build: f.build})
		}
	}
	return all
}

// Where a network has sites alone, points of one code lie on one affine piece: their
// Jacobians are one, and the offset. Points are drawn in tight pairs, with neighbors that
// give the Jacobians. ONNXPROBE_PAIRS=1000000 takes as many pairs of one code.
func TestOneCodeIsOneAffineMap(t *testing.T) {
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	want := 3000
	if s := os.Getenv("ONNXPROBE_PAIRS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		want = n
	}
	var linear []piece
	for _, p := range formPieces() {
		if p.linear {
			linear = append(linear, p)
		}
	}
	pairs, apart, drawn, networks := 0, 0, 0, 0
	used := map[string]int{}
	for seed := uint64(0); pairs < want; seed++ {
		rng := rand.New(rand.NewPCG(13, seed))
		pieces := make([]piece, 1+rng.IntN(3))
		for i := range pieces {
			pieces[i] = linear[(int(seed)+i*rng.IntN(len(linear)))%len(linear)]
			used[pieces[i].name]++
		}
		m := chained(t, rng, 2, pieces)
		networks++
		got, of := oneMap(t, rng, m, max(min(want/50, 4000), 30), func(err string) {
			apart++
			if apart < 10 {
				t.Errorf("seed %d, %q: %s", seed, names(pieces), err)
			}
		})
		pairs, drawn = pairs+got, drawn+of
	}
	if apart > 0 {
		t.Errorf("%d pairs of one code lie on different pieces", apart)
	}
	for _, p := range linear {
		if used[p.name] == 0 && want >= 3000 && networks > len(linear) {
			t.Errorf("%s was in no network", p.name)
		}
	}
	t.Logf("%d pairs of one code (of %d drawn), in %d random networks of %d forms: %d on different pieces", pairs, drawn, networks, len(linear), apart)
}

func names(pieces []piece) (all []string) {
	for _, p := range pieces {
		all = append(all, p.name)
	}
	return all
}

// oneMap draws n pairs, and compares the maps of those of one code; it returns how many
// these are.
func oneMap(t *testing.T, rng *rand.Rand, m *onnx.Model, n int, differs func(string)) (pairs, drawn int) {
	t.Helper()
	const d, eps = 2, 1. / 512
	each := 2 * (d + 1)
	p, err := Attach(m, AttachOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Open(t.Context(), ort.Backend{}, engine.Options{}, n*each)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	x := make([]float32, 0, n*each*d)
	for range n {
		at := [d]float64{4 * (rng.Float64() - .5), 4 * (rng.Float64() - .5)}
		for range 2 {
			for k := range d + 1 {
				for i := range d {
					v := at[i]
					if i+1 == k {
						v += eps
					}
					x = append(x, float32(v))
				}
			}
			for i := range at {
				at[i] += (rng.Float64() - .5) / 32
			}
		}
	}
	wide := &widened{m: m}
	width := p.CodeBytes()
	codes := make([]byte, n*each*width)
	var f []float64
	for from := 0; from < n*each; from += r.Batch { // one by one where items are not told apart
		out, err := r.Infer(t.Context(), tensor.Of(x[from*d:(from+r.Batch)*d], r.Batch, d))
		if err != nil {
			t.Fatal(err)
		}
		f = append(f, out[0].Float64s()...)
		r.codes(codes[from*width:], out, "code")
	}
	for q := range n {
		first := q * each
		same := true
		for i := 1; i < each; i++ {
			same = same && slices.Equal(codes[first*width:(first+1)*width], codes[(first+i)*width:(first+i+1)*width])
		}
		if !same {
			continue
		}
		pairs++
		points := x[first*d : (first+each)*d]
		rows := len(f) / (n * each)
		// Float32 holds a value to 6e-8 of it, some layers on to 3e-5 where they cancel; what
		// differs by more is looked at in float64.
		if why := twoMaps(points, f[first*rows:(first+each)*rows], eps, 3e-5); why != "" {
			if why = wide.twoMaps(t, points, eps); why != "" {
				differs(why)
			}
		}
	}
	return pairs, n
}

// twoMaps says in what the maps at two points differ, "" where they are one. Points and
// their values f follow each other: one, its neighbors along each axis at eps, the other
// and its neighbors.
func twoMaps(x []float32, f []float64, eps, tolerance float64) string {
	const d = 2
	rows := len(f) / (2 * (d + 1))
	value := func(i, k int) float64 { return f[i*rows+k] }
	const a, b = 0, d + 1
	for k := range rows {
		scale := 1.0
		for i := range 2 * (d + 1) {
			scale = max(scale, math.Abs(value(i, k)))
		}
		along := value(a, k)
		for i := range d {
			slope := (value(a+1+i, k) - value(a, k)) / (float64(x[(a+1+i)*d+i]) - float64(x[a*d+i]))
			other := (value(b+1+i, k) - value(b, k)) / (float64(x[(b+1+i)*d+i]) - float64(x[b*d+i]))
			if math.Abs(slope-other) > tolerance*scale/eps+tolerance*math.Abs(slope) {
				return fmt.Sprintf("output %d: slope %g at %v, %g at %v", k, slope, x[a*d:a*d+d], other, x[b*d:b*d+d])
			}
			along += slope * (float64(x[b*d+i]) - float64(x[a*d+i]))
		}
		if math.Abs(along-value(b, k)) > 7*tolerance*scale {
			return fmt.Sprintf("output %d is %g at %v, and %g by the map at %v", k, value(b, k), x[b*d:b*d+d], along, x[a*d:a*d+d])
		}
	}
	return ""
}

// widened is a model in float64 on the pure-Go engine, made ready when it is asked.
type widened struct {
	m *onnx.Model
	r *Prober
}

// twoMaps is as the function; "" too where the points' codes differ in float64, so that
// rounding had put one on a knot's other side.
func (w *widened) twoMaps(t *testing.T, x []float32, eps float64) string {
	t.Helper()
	if w.r == nil {
		m, err := rewrite.Widen(w.m)
		if err != nil {
			t.Fatal(err)
		}
		w.r = openOn(t, gorgonia.Backend{}, m, AttachOptions{}, 1)
	}
	var f []float64
	var codes [][]byte
	for i := 0; i < len(x); i += 2 {
		out, err := w.r.Infer(t.Context(), tensor.Of(x[i:i+2], 1, 2))
		if err != nil {
			t.Fatal(err)
		}
		f = append(f, out[0].Float64s()...)
		code := make([]byte, w.r.Plan.CodeBytes())
		w.r.codes(code, out, "code")
		codes = append(codes, code)
	}
	for _, c := range codes {
		if !slices.Equal(c, codes[0]) {
			return ""
		}
	}
	return twoMaps(x, f, eps, 1e-10)
}
