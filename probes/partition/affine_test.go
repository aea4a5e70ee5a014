package partition

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/gorgonia"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// plane is the hand-worked case: u = relu(x), v = relu(y - 1), w = relu(x + y - 4);
// output 0 is 2u + v, output 1 is 3 - w. Its regions are cut by the lines x = 0,
// y = 1 and x + y = 4.
func plane(e *rewrite.Edit, x string) string {
	h := relu(e, gemm(e, x, []float64{1, 0, 1, 0, 1, 1}, []float64{0, -1, -4}))
	return gemm(e, h, []float64{2, 0, 1, 0, 0, -1}, []float64{0, 3})
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-12*max(1, math.Abs(b)) }

func allNear(a, b []float64) bool {
	return slices.EqualFunc(a, b, near)
}

func TestHandWorkedPlane(t *testing.T) {
	mp := open(t, network(t, 2, plane), textbook{}, Options{})
	if len(mp.Bent) > 0 || len(mp.Unwatched) > 0 {
		t.Fatalf("bent %q, unwatched %q", mp.Bent, mp.Unwatched)
	}
	r2, r5 := math.Sqrt2, math.Sqrt(5)
	for _, c := range []struct {
		name          string
		x             []float64
		q             Query
		weight, bias  []float64
		along         int
		ahead, behind float64 // negative for none
		units         [2]int
	}{
		// At (1, 2): f = (2x + y - 1, 3). The larger is 3 = 3: the first of equals is
		// row 0, direction (2, 1)/sqrt 5; x + y - 4 = -1 grows by 3/sqrt 5 a step.
		// Behind, x reaches 0 after sqrt 5 / 2, y reaches 1 after sqrt 5.
		{"inside", []float64{1, 2}, Query{All: true}, []float64{2, 1, 0, 0}, []float64{-1, 3}, 0, r5 / 3, r5 / 2, [2]int{2, 0}},
		// At (1, 0.5): f = (2x, 3); v is off. Row 0 grows along x; ahead w turns on
		// at x = 3.5, behind u turns off at x = 0. v does not move.
		{"v off", []float64{1, 0.5}, Query{Rows: []int{0}}, []float64{2, 0}, []float64{0}, 0, 2.5, 1, [2]int{2, 0}},
		// At (3, 3): all on; row 1 is 7 - x - y and grows along -(1, 1)/sqrt 2: w
		// turns off after sqrt 2 ahead; behind nothing is met.
		{"row 1", []float64{3, 3}, Query{Rows: []int{1, 0}}, []float64{-1, -1, 2, 1}, []float64{7, -1}, 1, r2, -1, [2]int{2, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := at(t, mp, c.x, c.q)
			if !allNear(a.Weight, c.weight) || !allNear(a.Bias, c.bias) || a.Along != c.along {
				t.Errorf("weight %v, bias %v along %d, want %v, %v along %d", a.Weight, a.Bias, a.Along, c.weight, c.bias, c.along)
			}
			for i, k := range []struct {
				got  *Crossing
				want float64
			}{{a.Ahead, c.ahead}, {a.Behind, c.behind}} {
				switch {
				case k.want < 0 && k.got != nil:
					t.Errorf("a boundary at %g that is not there", k.got.Distance)
				case k.want >= 0 && (k.got == nil || !near(k.got.Distance, k.want) || k.got.Unit != c.units[i] || *k.got.Knot != 0):
					t.Errorf("boundary %+v, want one of unit %d at %g", k.got, c.units[i], k.want)
				}
			}
			if a.Check == nil || !a.Check.Exact || a.Check.Error > 1e-15 || len(a.Check.Sides) != 2 || a.OnKnot != 0 {
				t.Fatalf("check %+v", a.Check)
			}
			for i, s := range a.Check.Sides {
				if s.Changed != 0 {
					t.Errorf("%s: %d units changed inside", s.Side, s.Changed)
				}
				if (s.Beyond != nil) != (i == 0 || c.behind >= 0) {
					t.Errorf("%s: beyond %+v", s.Side, s.Beyond)
				}
				if b := s.Beyond; b != nil && (b.Crossed != 1 || b.Changed != 1 || b.Tied != 1) {
					t.Errorf("%s: beyond %+v", s.Side, b)
				}
			}
		})
	}
	// At (1, 2) the slope of row 0 does not change when w turns on, which row 0 does
	// not read; that of u turning off behind does, from 5/sqrt 5 to 1/sqrt 5.
	a := at(t, mp, []float64{1, 2}, Query{Rows: []int{0}})
	if b := a.Check.Sides[0].Beyond; b.Bend != 0 || b.Error > 1e-15 {
		t.Errorf("ahead: %+v", b)
	}
	if b := a.Check.Sides[1].Beyond; !near(b.Bend, 0.8) || b.Error < 0.01 {
		t.Errorf("behind: %+v", b)
	}
}

// A value on its knot is not above it: the piece changes at once where the value
// grows, and never where it shrinks.
func TestOnTheBoundary(t *testing.T) {
	mp := open(t, network(t, 2, plane), textbook{}, Options{})
	a := at(t, mp, []float64{2, 2}, Query{Rows: []int{0}}) // x + y = 4
	if a.OnKnot != 1 || a.Sites[0].OnKnot != 1 || a.Ahead == nil || a.Ahead.Distance != 0 || a.Ahead.Unit != 2 {
		t.Errorf("on %d, ahead %+v", a.OnKnot, a.Ahead)
	}
	if a.Behind == nil || !near(a.Behind.Distance, math.Sqrt(5)) {
		t.Errorf("behind %+v", a.Behind)
	}
	if c := a.Check; c == nil || !c.Exact || len(c.Sides) != 1 || c.Sides[0].Side != "behind" {
		t.Errorf("check %+v", c)
	}
	// Where x = 0 and y = 0, row 0 is constant: there is no direction.
	a = at(t, mp, []float64{0, 0}, Query{Rows: []int{0}})
	if a.Direction != nil || a.Check != nil || a.Norm[0] != 0 || a.Ahead != nil || a.Sites[0].Ahead != nil {
		t.Errorf("%+v", a)
	}
	// An absolute value at its tip moves on both ways at once.
	v := network(t, 1, func(e *rewrite.Edit, x string) string {
		return e.Op("Add", nil, x, e.Op("Sub", nil, relu(e, x), relu(e, e.Op("Sub", nil, e.Const(tensor.Of([]float64{0}, 1, 1)), x))))
	})
	a = at(t, open(t, v, textbook{}, Options{}), []float64{0}, Query{})
	if a.Check != nil || a.OnKnot != 2 || a.Ahead.Distance != 0 || a.Behind.Distance != 0 {
		t.Errorf("%+v", a)
	}
}

// Both knots of a clamp are boundaries.
func TestTwoKnots(t *testing.T) {
	m := network(t, 1, func(e *rewrite.Edit, x string) string {
		return e.Op("Clip", nil, x, e.Const(tensor.Scalar(-1.0)), e.Const(tensor.Scalar(6.0)))
	})
	a := at(t, open(t, m, textbook{}, Options{}), []float64{2}, Query{})
	if a.Ahead == nil || a.Ahead.Distance != 4 || *a.Ahead.Knot != 6 || a.Behind == nil || a.Behind.Distance != 3 || *a.Behind.Knot != -1 || !a.Check.Exact {
		t.Errorf("ahead %+v, behind %+v, check %+v", a.Ahead, a.Behind, a.Check)
	}
}

// Where the pieces of a max-pooling change, against a search along the direction.
func TestMaxPoolBoundaries(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 2))
	for _, c := range []struct {
		name                       string
		h, w                       int
		kernel, strides, pads, dil []int64
		ceil                       int
	}{
		{"2x2", 4, 6, []int64{2, 2}, []int64{2, 2}, []int64{0, 0, 0, 0}, []int64{1, 1}, 0},
		{"padded, overlapping", 5, 5, []int64{3, 3}, []int64{2, 2}, []int64{1, 1, 1, 1}, []int64{1, 1}, 0},
		{"beyond the edge", 5, 6, []int64{2, 2}, []int64{2, 2}, []int64{0, 0, 0, 0}, []int64{1, 1}, 1},
		{"dilated", 6, 7, []int64{2, 3}, []int64{1, 1}, []int64{0, 0, 0, 0}, []int64{3, 2}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			dim := 2 * c.h * c.w
			var units int
			m := network(t, dim, func(e *rewrite.Edit, x string) string {
				x = e.Op("Reshape", nil, x, e.Const(tensor.Of([]int64{-1, 2, int64(c.h), int64(c.w)}, 4)))
				y := e.Op("MaxPool", map[string]any{"kernel_shape": c.kernel, "strides": c.strides, "pads": c.pads, "dilations": c.dil, "ceil_mode": c.ceil}, x)
				y = e.Op("Reshape", nil, y, e.Const(tensor.Of([]int64{0, -1}, 2)))
				// As many as the pooling has; told by the geometry that probes finds.
				size := func(a int) int {
					room := []int{c.h, c.w}[a] + int(c.pads[a]+c.pads[a+2]) - int(c.dil[a]*(c.kernel[a]-1)) - 1
					return (room+c.ceil*int(c.strides[a]-1))/int(c.strides[a]) + 1
				}
				units = 2 * size(0) * size(1)
				w := make([]float64, units)
				for i := range w {
					w[i] = rng.NormFloat64()
				}
				return gemm(e, y, w, []float64{0})
			})
			mp := open(t, m, textbook{}, Options{})
			if s := mp.Plan.Sites; len(s) != 1 || s[0].Op != "MaxPool" || s[0].Units != units {
				t.Fatalf("sites %+v", s)
			}
			for range 5 {
				x := make([]float64, dim)
				for i := range x {
					x[i] = rng.NormFloat64()
				}
				a := at(t, mp, x, Query{})
				if !a.Check.Exact || len(a.Unwatched) > 0 {
					t.Errorf("%+v, unwatched %q", a.Check, a.Unwatched)
				}
				for i, s := range a.Check.Sides {
					cross, sign := a.Ahead, 1.0
					if i == 1 {
						cross, sign = a.Behind, -1
					}
					if s.Changed != 0 || s.Beyond == nil || s.Beyond.Crossed != s.Beyond.Tied || s.Beyond.Changed != s.Beyond.Tied {
						t.Errorf("%s: %+v, beyond %+v", s.Side, s, s.Beyond)
					}
					// Just before the boundary the pieces are those of x, just after
					// it they are not: by the windows' winners in the values themselves.
					pieces := func(t float64) (p []int) {
						y := slices.Clone(x)
						for k, d := range a.Direction {
							y[k] += sign * t * d
						}
						var w []int
						for u := range units {
							w = mp.Plan.Sites[0].AppendWindow(w[:0], u)
							p = append(p, winner(y, w))
						}
						return p
					}
					before, after := pieces(cross.Distance*(1-1e-9)), pieces(cross.Distance*(1+1e-9))
					if !slices.Equal(before, pieces(0)) || slices.Equal(after, before) || after[cross.Unit] != *cross.Element {
						t.Errorf("%s: the boundary is not at %+v", s.Side, cross)
					}
				}
			}
		})
	}
}

// The map is the tangent, and says so, where the network is curved; one that is
// differentiated wrongly is found out.
func TestNotExact(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	w := make([]float64, 3*5)
	for i := range w {
		w[i] = rng.NormFloat64()
	}
	x := []float64{0.3, -0.2, 0.9}
	for _, c := range []struct {
		name      string
		act       func(e *rewrite.Edit, x string) string
		bent      string
		unwatched string
		lie       float64
	}{
		{"relu", relu, "", "", 0},
		{"wrong derivative", relu, "", "", 1e-3},
		{"elu", func(e *rewrite.Edit, x string) string { return e.Op("Elu", nil, x) }, "(Elu)", "", 0},
		{"product", func(e *rewrite.Edit, x string) string { return e.Op("Mul", nil, relu(e, x), x) }, "Mul", "", 0},
		{"maximum of three", func(e *rewrite.Edit, x string) string {
			return e.Op("Max", nil, relu(e, x), e.Op("Add", nil, x, e.Const(tensor.Scalar(0.1))), e.Op("Sub", nil, x, e.Const(tensor.Scalar(0.2))))
		}, "", "Max", 0},
	} {
		m := network(t, 3, func(e *rewrite.Edit, v string) string {
			return gemm(e, c.act(e, gemm(e, v, w, make([]float64, 5))), []float64{1, -2, 3, -1, 1}, []float64{0.5})
		})
		mp := open(t, m, textbook{lie: c.lie}, Options{})
		a := at(t, mp, x, Query{})
		if got := strings.Join(a.Bent, ";"); c.bent == "" && got != "" || !strings.Contains(got, c.bent) {
			t.Errorf("%s: bent %q, want %q", c.name, a.Bent, c.bent)
		}
		if got := strings.Join(a.Unwatched, ";"); c.unwatched == "" && got != "" || !strings.Contains(got, c.unwatched) {
			t.Errorf("%s: unwatched %q, want %q", c.name, a.Unwatched, c.unwatched)
		}
		if exact := c.bent == "" && c.lie == 0; a.Check.Exact != exact && c.unwatched == "" || !exact && a.Check.Error <= Tolerance {
			t.Errorf("%s: %+v", c.name, a.Check)
		}
	}
}

// Random deep networks: every row is that of central differences, in batches of
// any size, and inside the region the map is the network.
func TestRandomNetworks(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	normal := func(n int, s float64) []float64 {
		v := make([]float64, n)
		for i := range v {
			v[i] = s * rng.NormFloat64()
		}
		return v
	}
	m := network(t, 4, func(e *rewrite.Edit, x string) string {
		for _, d := range [][2]int{{4, 12}, {12, 10}, {10, 8}} {
			x = relu(e, gemm(e, x, normal(d[0]*d[1], 1/math.Sqrt(float64(d[0]))), normal(d[1], 0.3)))
		}
		return gemm(e, x, normal(8*7, 1), normal(7, 1))
	})
	for _, batch := range []int{1, 3, 16} {
		mp := open(t, m, textbook{}, Options{Batch: batch})
		for range 10 {
			x := normal(4, 1)
			a := at(t, mp, x, Query{All: true})
			if len(a.Rows) != 7 || !a.Check.Exact || a.Value[a.Largest] != slices.Max(a.Value) || a.Along != a.Largest {
				t.Fatalf("%+v", a)
			}
			for _, s := range a.Check.Sides {
				if s.Changed != 0 || s.Beyond != nil && s.Beyond.Crossed == 0 {
					t.Errorf("%+v, beyond %+v", s, s.Beyond)
				}
			}
			const h = 1e-7
			for j := range x {
				up, down := slices.Clone(x), slices.Clone(x)
				up[j] += h
				down[j] -= h
				p, q := at(t, mp, up, Query{All: true}), at(t, mp, down, Query{All: true})
				for k := range 7 {
					// A difference of values near 1 over 2e-7 is good to 1e-9; h is
					// small enough to stay in the region of these points.
					if d := (p.Value[k] - q.Value[k]) / (2 * h); math.Abs(d-a.Weight[k*4+j]) > 1e-6 {
						t.Errorf("row %d, input %d: %g, by differences %g", k, j, a.Weight[k*4+j], d)
					}
				}
			}
		}
	}
}

func TestChosenSitesAndRows(t *testing.T) {
	m := network(t, 2, func(e *rewrite.Edit, x string) string {
		return relu(e, gemm(e, relu(e, gemm(e, x, []float64{1, 0, 0, 1}, []float64{1, 0})), []float64{1, 1}, []float64{0.25}))
	})
	all := at(t, open(t, m, textbook{}, Options{}), []float64{1, 1}, Query{})
	if len(all.Sites) != 2 {
		t.Fatalf("%+v", all.Sites)
	}
	name := all.Sites[1].Site
	some := at(t, open(t, m, textbook{}, Options{Sites: []string{name}}), []float64{1, 1}, Query{})
	if len(some.Sites) != 1 || some.Sites[0].Site != name || some.Behind.Site == name || some.Behind.Distance != all.Behind.Distance {
		t.Errorf("sites %+v, behind %+v", some.Sites, some.Behind)
	}
	if _, err := Open(context.Background(), m, textbook{}, engine.Options{}, Options{Sites: []string{"nope"}}); err == nil || !strings.Contains(err.Error(), "this model has 2") {
		t.Errorf("%v", err)
	}
	mp := open(t, m, textbook{}, Options{})
	var row *RowError
	for _, k := range []int{-1, 1} {
		if _, err := mp.At(context.Background(), []float64{1, 1}, Query{Rows: []int{k}}); !errors.As(err, &row) || row.Row != k || row.Rows != 1 {
			t.Errorf("row %d: %v", k, err)
		}
	}
	if _, err := mp.At(context.Background(), []float64{1}, Query{}); err == nil || !strings.Contains(err.Error(), "takes 2") {
		t.Errorf("%v", err)
	}
	if _, err := mp.At(context.Background(), []float64{math.NaN(), 1}, Query{}); err == nil || !strings.Contains(err.Error(), "no map") {
		t.Errorf("%v", err)
	}
}

// A network without activations is one affine map, everywhere.
func TestLinearNetwork(t *testing.T) {
	m := network(t, 2, func(e *rewrite.Edit, x string) string { return gemm(e, x, []float64{3, 4}, []float64{7}) })
	a := at(t, open(t, m, textbook{}, Options{}), []float64{1, 1}, Query{})
	if !slices.Equal(a.Weight, []float64{3, 4}) || a.Bias[0] != 7 || a.Norm[0] != 5 || a.Ahead != nil || a.Behind != nil || len(a.Sites) != 0 || !a.Check.Exact || len(a.Check.Sides) != 2 {
		t.Errorf("%+v, check %+v", a, a.Check)
	}
}

// The map of a value before what bends is exact.
func TestMapOfAnInnerValue(t *testing.T) {
	inner := ""
	m := network(t, 2, func(e *rewrite.Edit, x string) string {
		inner = plane(e, x)
		return e.Op("Mul", nil, inner, inner)
	})
	a := at(t, open(t, m, textbook{}, Options{}), []float64{1, 2}, Query{Rows: []int{0}})
	if len(a.Bent) != 1 || a.Check.Exact || !allNear(a.Weight, []float64{12, 6}) {
		t.Errorf("bent %q, weight %v, check %+v", a.Bent, a.Weight, a.Check)
	}
	a = at(t, open(t, m, textbook{}, Options{Output: inner}), []float64{1, 2}, Query{Rows: []int{0}})
	if len(a.Bent) != 0 || !a.Check.Exact || !allNear(a.Weight, []float64{2, 1}) || a.Output != inner {
		t.Errorf("bent %q, weight %v of %q, check %+v", a.Bent, a.Weight, a.Output, a.Check)
	}
}

// Windows that lie in the padding altogether have no boundary, and break nothing.
func TestWindowsInThePadding(t *testing.T) {
	m := network(t, 4, func(e *rewrite.Edit, x string) string {
		x = e.Op("Reshape", nil, x, e.Const(tensor.Of([]int64{0, 1, 2, 2}, 4)))
		x = e.Op("MaxPool", map[string]any{"kernel_shape": []int64{1, 1}, "strides": []int64{1, 1}, "pads": []int64{1, 1, 1, 1}, "dilations": []int64{1, 1}}, x)
		return e.Op("Reshape", nil, relu(e, x), e.Const(tensor.Of([]int64{0, -1}, 2)))
	})
	for _, d := range engines {
		mp := open(t, m, d, Options{})
		a := at(t, mp, []float64{1, 2, 3, -4}, Query{})
		if len(a.Sites) != 2 || a.Sites[0].Units != 16 || a.Sites[0].Ahead != nil || a.Sites[0].Behind != nil {
			t.Errorf("%s: sites %+v", d.Name(), a.Sites)
		}
		if a.Value[0] != 3 || a.Behind == nil || a.Behind.Distance != 3 || a.Ahead != nil || !a.Check.Exact {
			t.Errorf("%s: value %v, ahead %+v, behind %+v, check %+v", d.Name(), a.Value, a.Ahead, a.Behind, a.Check)
		}
	}
}

// Where the derivative is not finite there is no map, and the error says so; where
// it is not just beyond a boundary, or at a site that the output does not read, the
// numbers stay such that JSON can hold them.
func TestInfiniteDerivatives(t *testing.T) {
	root := func(e *rewrite.Edit, x string) string { return e.Op("Sqrt", nil, relu(e, x)) }
	for _, d := range engines {
		mp := open(t, network(t, 2, root), d, Options{})
		if _, err := mp.At(t.Context(), []float64{1, 0}, Query{All: true}); err == nil || !strings.Contains(err.Error(), "by element") || !strings.Contains(err.Error(), "no map") {
			t.Errorf("%s: %v", d.Name(), err)
		}
		a := at(t, mp, []float64{4, 1}, Query{})
		if b := a.Check.Sides[1].Beyond; b == nil || b.Crossed != 1 || b.Bend != math.MaxFloat64 {
			t.Errorf("%s: beyond %+v", d.Name(), b)
		}
		if _, err := json.Marshal(a); err != nil {
			t.Errorf("%s: %v", d.Name(), err)
		}
		mp = open(t, network(t, 2, func(e *rewrite.Edit, x string) string {
			relu(e, root(e, x)) // which nothing reads
			return relu(e, gemm(e, x, []float64{1, 1}, []float64{1}))
		}), d, Options{})
		a = at(t, mp, []float64{0, 1}, Query{})
		if _, err := json.Marshal(a); err != nil || a.Behind == nil || math.IsNaN(a.Behind.Distance) {
			t.Errorf("%s: %+v, %v", d.Name(), a.Behind, err)
		}
	}
}

// A single output near 0, as at the boundary of a decision, is small beside the
// rounding of what cancels in it; the map is exact all the same.
func TestOutputNearZero(t *testing.T) {
	x := []float64{0.1, 0.2, 0.7}
	w := []float64{1.0 / 3, 1.0 / 7, -1.0 / 11}
	b := 1e-10
	for i := range w {
		b -= w[i] * x[i]
	}
	mp := open(t, network(t, 3, func(e *rewrite.Edit, x string) string {
		h := relu(e, gemm(e, x, []float64{1, 0, 0}, []float64{1e-10 - 0.1}))
		return e.Op("Add", nil, gemm(e, x, w, []float64{b}), h)
	}), textbook{}, Options{})
	a := at(t, mp, x, Query{})
	if math.Abs(a.Value[0]) > 1e-9 || a.Behind == nil || a.Behind.Distance > 1e-9 || !a.Check.Exact || a.Check.Error == 0 {
		t.Errorf("value %v, behind %+v, check %+v", a.Value, a.Behind, a.Check)
	}
}

func TestRefusedMaps(t *testing.T) {
	m := network(t, 2, plane)
	mp := open(t, m, textbook{}, Options{})
	mp.most = 3
	var size *SizeError
	if _, err := mp.At(t.Context(), []float64{1, 2}, Query{All: true}); !errors.As(err, &size) || *size != (SizeError{2, 2}) || !strings.Contains(err.Error(), "fewer rows") {
		t.Errorf("two rows of two: %v", err)
	}
	at(t, mp, []float64{1, 2}, Query{})
	m.Graph.Outputs[0].DType = tensor.Int64
	if _, err := Open(context.Background(), m, textbook{}, engine.Options{}, Options{}); err == nil || !strings.Contains(err.Error(), "int64, which has no derivative") {
		t.Errorf("an integer output: %v", err)
	}
}

// Boundaries against other values, and of the largest along an axis: of a network of each
// kind, by hand.
func TestBoundariesWithoutKnots(t *testing.T) {
	for _, c := range []struct {
		name          string
		d             int
		build         func(e *rewrite.Edit, x string) string
		at            []float64
		ahead, behind float64 // 0: none
	}{
		// max(x, (1, -2)) at (0, 0): the slope is that of the second, and leaves it at -2.
		{"a bound for each", 2, func(e *rewrite.Edit, x string) string {
			return gemm(e, e.Op("Max", nil, x, e.Const(tensor.Of([]float64{1, -2}, 2))), []float64{1, 1}, []float64{0})
		}, []float64{0, 0}, 0, 2},
		// max(x, 4 - x) at 0 falls with x, until both are 2.
		{"two values", 1, func(e *rewrite.Edit, x string) string {
			return e.Op("Max", nil, x, e.Op("Sub", nil, e.Const(tensor.Of([]float64{4}, 1, 1)), x))
		}, []float64{0}, 0, 2},
		// The largest of (3x, 1 - x, x/2 + 2) at 0 is the last: from 0.8 on the first, below -2/3 the second.
		{"the largest of an axis", 1, func(e *rewrite.Edit, x string) string {
			return e.Op("ReduceMax", map[string]any{"axes": []int64{1}}, gemm(e, x, []float64{3, -1, .5}, []float64{0, 1, 2}))
		}, []float64{0}, .8, 2. / 3},
		{"the smallest of an axis", 1, func(e *rewrite.Edit, x string) string {
			return e.Op("ReduceMin", map[string]any{"axes": []int64{1}}, gemm(e, x, []float64{-3, 1, -.5}, []float64{0, -1, -2}))
		}, []float64{0}, 2. / 3, .8},
	} {
		mp := open(t, network(t, c.d, c.build), gorgonia.Backend{}, Options{})
		a := at(t, mp, c.at, Query{})
		for _, side := range []struct {
			name string
			got  *Crossing
			want float64
		}{{"ahead", a.Ahead, c.ahead}, {"behind", a.Behind, c.behind}} {
			if side.want == 0 != (side.got == nil) || side.got != nil && !near(side.got.Distance, side.want) {
				t.Errorf("%s: %s %+v, want %v", c.name, side.name, side.got, side.want)
			}
		}
		if !a.Check.Exact || len(a.Unwatched) > 0 || len(a.Bent) > 0 {
			t.Errorf("%s: %+v, unwatched %q, bent %q", c.name, a.Check, a.Unwatched, a.Bent)
		}
		for _, s := range a.Check.Sides {
			if s.Changed != 0 || s.Beyond != nil && s.Beyond.Crossed != 1 {
				t.Errorf("%s: %+v", c.name, s)
			}
		}
	}
}
