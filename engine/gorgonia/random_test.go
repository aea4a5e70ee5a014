package gorgonia

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strconv"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// seeds are the numbers that random tests begin with: few, or those from
// ONNXPROBE_SEEDS=FROM:TO.
func seeds(t *testing.T, few uint64) (from, to uint64) {
	t.Helper()
	if _, err := fmt.Sscanf(os.Getenv("ONNXPROBE_SEEDS"), "%d:%d", &from, &to); err == nil {
		return from, to
	}
	return 0, few
}

// fed makes inputs for a model that m made.
func (m *graphMaker) fed() tensors {
	var in tensors
	for i, v := range m.graph.Inputs {
		in = append(in, m.feed(v.DType, m.values[i].Shape, -4, 4))
	}
	return in
}

// Random graphs give what ONNX Runtime gives, the same a second time, and for an
// item alone what they give for it in a batch.
func TestRandomGraphsAgree(t *testing.T) {
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	from, to := seeds(t, 300)
	missing, values := map[string]int{}, 0
	for seed := from; seed < to; seed++ {
		rng := rand.New(rand.NewPCG(seed, 1))
		m := &graphMaker{Rand: rng, opset: []int64{11, 13, 17, 18, 20, 21}[rng.IntN(6)], float: tensor.Float32, batched: rng.IntN(3) == 0}
		if rng.IntN(4) == 0 {
			m.float = tensor.Float64
		}
		model := randomModel(m, 3+rng.IntN(28))
		in := m.fed()
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			threads := 1 + int(seed%2)
			ours, err := Backend{}.Prepare(context.Background(), model, engine.Options{Threads: threads})
			if err != nil { // nothing in it is unsupported
				t.Fatal(err)
			}
			theirs, err := ort.Backend{}.Prepare(context.Background(), model, engine.Options{Threads: 1, Optimize: "none"})
			if err != nil {
				missing[err.Error()]++
				return
			}
			defer theirs.Close()
			got, err := ours.Run(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			want, err := theirs.Run(t.Context(), in)
			if err != nil {
				missing[err.Error()]++
				return
			}
			values += len(want)
			for i, v := range model.Graph.Outputs {
				within := enginetest.Alike
				if want[i].DType == tensor.Float64 {
					within = 1e-9
				}
				// Sums may cancel; what is left is small to what went in.
				if err := enginetest.Close(got[i], want[i], within); err != nil && enginetest.Equal(got[i:i+1], want[i:i+1], within/100) != nil {
					t.Errorf("value %q: %v\n%s", v.Name, err, firstApart(t, model, in))
					return
				}
			}
			again, err := ours.Run(t.Context(), in)
			if err != nil || !alike(again, got) {
				t.Fatalf("a second run gives other numbers, or %v", err)
			}
			if m.batched {
				itemByItem(t, ours, in, got)
			}
		})
	}
	if t.Logf("%d values compared, %d models that ONNX Runtime does not run", values, len(missing)); len(missing) > int(to-from)/20+1 {
		t.Errorf("ONNX Runtime runs too few of the models: %v", missing)
	}
}

// alike is equality, where a NaN equals a NaN.
func alike(a, b tensors) bool { return enginetest.Equal(a, b, 0) == nil }

func itemByItem(t *testing.T, s engine.Session, in, all tensors) {
	t.Helper()
	for item := range itemsInBatch {
		one := make(tensors, len(in))
		for i, x := range in {
			one[i] = itemOf(t, x, item)
		}
		got, err := s.Run(t.Context(), one)
		if err != nil {
			t.Fatal(err)
		}
		for i := range all {
			if len(all[i].Shape) == 0 || all[i].Shape[0] != itemsInBatch {
				continue // it does not depend on the inputs
			}
			if want := itemOf(t, all[i], item); !alike(got[i:i+1], tensors{want}) {
				t.Fatalf("output %d of item %d alone: got %v, in a batch %v", i, item, got[i], want)
			}
		}
	}
}

// itemOf is an item of a batch, as a batch of one.
func itemOf(t *testing.T, x *tensor.Tensor, item int) *tensor.Tensor {
	t.Helper()
	b, n := x.Bytes(), len(x.Bytes())/itemsInBatch
	one, err := tensor.Decode(x.DType, append([]int{1}, x.Shape[1:]...), b[item*n:(item+1)*n])
	if err != nil {
		t.Fatal(err)
	}
	return one
}

// firstApart says where the engines begin to differ: which node, and what each makes
// of its inputs.
func firstApart(t *testing.T, m *onnx.Model, in tensors) string {
	t.Helper()
	probed := m.Clone()
	probed.Graph.Outputs = nil
	var makers []*onnx.Node
	for _, n := range m.Graph.Nodes {
		for _, o := range n.Outputs {
			facts, _ := m.Infer(nil)
			d := facts[o].DType
			for _, v := range m.Graph.Outputs {
				if v.Name == o {
					d = v.DType
				}
			}
			probed.Graph.Outputs = append(probed.Graph.Outputs, onnx.NewValue(o, d, nil))
			makers = append(makers, n)
		}
	}
	ours, err1 := Backend{}.Prepare(context.Background(), probed, engine.Options{Threads: 1})
	theirs, err2 := ort.Backend{}.Prepare(context.Background(), probed, engine.Options{Threads: 1, Optimize: "none"})
	if err1 != nil || err2 != nil {
		return fmt.Sprint(err1, err2)
	}
	defer theirs.Close()
	got, err1 := ours.Run(t.Context(), in)
	want, err2 := theirs.Run(t.Context(), in)
	if err1 != nil || err2 != nil {
		return fmt.Sprint(err1, err2)
	}
	at := map[string]int{}
	for i, v := range probed.Graph.Outputs {
		at[v.Name] = i
	}
	for i, n := range makers {
		within := enginetest.Alike
		if want[i].DType == tensor.Float64 {
			within = 1e-9
		}
		if enginetest.Close(got[i], want[i], within) == nil {
			continue
		}
		s := n.String()
		for _, a := range n.Attrs {
			s += fmt.Sprintf("\n  %s: %d %g %q %v", a.Name, a.Int, a.Float, a.String, a.Ints)
		}
		for _, x := range n.Inputs {
			if k, ok := at[x]; ok {
				s += fmt.Sprintf("\n  from %s: %v %v\n       %s: %v", x, got[k].Shape, got[k].Data, x, want[k].Data)
			}
		}
		return s + fmt.Sprintf("\n  ours %v %v\ntheirs %v", got[i].Shape, got[i].Data, want[i].Data)
	}
	return "with all values as outputs they agree"
}

// The derivatives of random graphs hold against central differences, and forward
// and reverse mode against each other; nothing that is handed in is written to.
func TestRandomDerivatives(t *testing.T) {
	from, to := seeds(t, 150)
	elements, kinks := 0, 0
	for seed := from; seed < to; seed++ {
		rng := rand.New(rand.NewPCG(seed, 2))
		m := &graphMaker{Rand: rng, opset: []int64{17, 18, 20, 21}[rng.IntN(4)], float: tensor.Float64, smooth: true}
		model := randomModel(m, 3+rng.IntN(20))
		in := m.fed()
		for i := range in { // no ties
			in[i] = uniform(rng, -4, 4, in[i].Shape)
		}
		wrt := rng.IntN(len(in))
		var values []string
		for _, o := range model.Graph.Outputs {
			values = append(values, o.Name)
		}
		for range 3 { // some on the way, some twice
			values = append(values, m.values[rng.IntN(len(m.values))].name)
		}
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			l, err := Backend{}.Linearize(context.Background(), model, model.Graph.Inputs[wrt].Name, values, engine.Options{Threads: 1 + int(seed%2)})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			n, k := holdDerivatives(t, l, in, wrt, values, rng)
			elements += n
			kinks += k
		})
	}
	if t.Logf("%d elements of tangents compared, %d at kinks", elements, kinks); kinks > elements/20 {
		t.Errorf("%d of %d elements lie at kinks; the test says little", kinks, elements)
	}
}

func holdDerivatives(t *testing.T, l engine.Linearization, in tensors, wrt int, values []string, rng *rand.Rand) (elements, kinks int) {
	t.Helper()
	at := func(by float64, along *tensor.Tensor) tensors {
		all := slices.Clone(in)
		all[wrt] = moved(in[wrt], along, by)
		return all
	}
	along := uniform(rng, -1, 1, in[wrt].Shape)
	kept := clones(append(slices.Clone(in), along))
	y, dy, err := l.Push(t.Context(), in, along)
	if err != nil {
		t.Fatal(err)
	}
	const h = 1e-5
	steps := []float64{h, -h, h / 2, -h / 2}
	near := make([]tensors, len(steps))
	for i, by := range steps {
		if near[i], _, err = l.Push(t.Context(), at(by, along), along); err != nil {
			t.Fatal(err)
		}
	}
	cotangents := make(tensors, len(y))
	pushed, sizes := 0.0, 1e-3
	for k := range y {
		f := func(i int) []float64 { return tensor.Data[float64](near[i][k]) }
		scale := max(largest(dy[k]), largest(y[k]), 1e-2)
		for i, got := range tensor.Data[float64](dy[k]) {
			elements++
			wide, narrow := (f(0)[i]-f(1)[i])/(2*h), (f(2)[i]-f(3)[i])/h
			if d := wide - narrow; !(d <= 1e-5*scale && d >= -1e-5*scale) {
				kinks++
			} else if d := got - narrow; !(d <= 1e-5*scale && d >= -1e-5*scale) {
				// One-sided slopes differ at a kink that the point lies on itself.
				left, right := (tensor.Data[float64](y[k])[i]-f(3)[i])/(h/2), (f(2)[i]-tensor.Data[float64](y[k])[i])/(h/2)
				if kinked := left - right; kinked > 1e-3*scale || kinked < -1e-3*scale {
					kinks++
					continue
				}
				t.Fatalf("value %s, element %d: the tangent is %g, by central differences %g and %g", values[k], i, got, wide, narrow)
			}
		}
		cotangents[k] = uniform(rng, -1, 1, y[k].Shape)
		if k > 0 && rng.IntN(4) == 0 {
			cotangents[k] = nil
			continue
		}
		pushed += dot(cotangents[k], dy[k])
		sizes += largest(dy[k]) * float64(y[k].Len())
	}
	given := clones(cotangents)
	for range 2 {
		again, gradient, err := l.Pull(t.Context(), in, cotangents)
		if err != nil {
			t.Fatal(err)
		}
		if !alike(again, y) {
			t.Fatal("Pull and Push give other values")
		}
		if d := pushed - dot(gradient, along); !(d <= 1e-10*sizes && d >= -1e-10*sizes) {
			t.Fatalf("cotangents times tangents are %.17g, the gradient times the tangent is %.17g", pushed, dot(gradient, along))
		}
		if !reflect.DeepEqual(cotangents, given) {
			t.Fatal("Pull has written to the cotangents it was given")
		}
	}
	if !reflect.DeepEqual(append(slices.Clone(in), along), kept) {
		t.Fatal("an input was written to")
	}
	return elements, kinks
}

func clones(ts tensors) tensors {
	out := make(tensors, len(ts))
	for i, t := range ts {
		if t == nil {
			continue
		}
		c, err := tensor.Decode(t.DType, t.Shape, t.Bytes())
		if err != nil {
			panic(err)
		}
		out[i] = c
	}
	return out
}
