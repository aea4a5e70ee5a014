// Package attack finds how many items of a dataset a small change of the input can
// make a network misclassify: projected gradient descent, which "Deep Networks Always
// Grok and Here is Why" follows over training as delayed robustness.
package attack

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes"
)

// Norms that bound a change.
const (
	Linf = "linf" // the largest change of an element
	L2   = "l2"   // the Euclidean length of the change
)

// Options are an attack's settings. All lengths are in units of the picture, in which
// black is 0 and white 1: element x of the input stands for (x - Shift)/Scale of its
// channel.
type Options struct {
	Norm string
	// Epsilon bounds the change, and Step is the length of one iteration's.
	Epsilon, Step float64
	// Iterations is how often the loss's gradient is followed: 1 with Start off and
	// Step equal to Epsilon is FGSM.
	Iterations int
	// Start begins at a point drawn evenly from the ball of radius Epsilon, by Seed and
	// the item's number, else at the item.
	Start bool
	Seed  uint64
	// Shift and Scale have an element for each channel, or one, or none for 0 and 1.
	// A channel is the first axis of a sample, or its last where ChannelsLast is set.
	Shift, Scale []float64
	ChannelsLast bool
	// Free leaves the range from 0 to 1, for inputs that are no pictures.
	Free bool
	// Logits names the value whose arg-max is the class and whose softmax
	// cross-entropy is the loss; "" takes the model's first output.
	Logits string
}

// Check reports every fault of the options.
func (o Options) Check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if o.Norm != Linf && o.Norm != L2 {
		bad("norm %q; the norms are %s and %s", o.Norm, Linf, L2)
	}
	if !(o.Epsilon > 0) || math.IsInf(o.Epsilon, 0) {
		bad("epsilon %g; it must be positive", o.Epsilon)
	}
	if !(o.Step > 0) || math.IsInf(o.Step, 0) {
		bad("step %g; it must be positive", o.Step)
	}
	if o.Iterations < 1 {
		bad("%d iterations; want 1 or more", o.Iterations)
	}
	for _, s := range o.Scale {
		if s == 0 || math.IsNaN(s) || math.IsInf(s, 0) {
			bad("a scale of %g", s)
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("an attack's settings: %w", errors.Join(errs...))
	}
	return nil
}

// Attacker attacks a network's inputs. It is used by one goroutine at a time.
type Attacker struct {
	// Batch is the number of items of a run.
	Batch   int
	sample  []int
	options Options
	scale   []float64 // of each element of a sample
	shift   []float64
	forward engine.Session
	pull    engine.Linearization
	classes int
}

// Open readies an attack on m at a batch size; a model whose batch is fixed has the last
// word. m must be of float32 and have one input. Close the Attacker.
func Open(ctx context.Context, m *onnx.Model, d engine.Differentiator, eo engine.Options, sample []int, batch int, o Options) (*Attacker, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	p, err := probes.Plain(m, sample)
	if err != nil {
		return nil, err
	}
	if p.Fit.DType != tensor.Float32 {
		return nil, fmt.Errorf("attacking a model whose input is %s; want float32", p.Fit.DType)
	}
	if p.Fit.Batch > 0 {
		batch = p.Fit.Batch
	} else if p.Fit.Freed {
		batch = 1
	}
	if batch < 1 {
		return nil, fmt.Errorf("a batch of %d items", batch)
	}
	if err := eo.CheckMemory(m, p.Fit.Shapes(int64(batch))); err != nil {
		return nil, err
	}
	if o.Logits == "" {
		if len(m.Graph.Outputs) == 0 {
			return nil, errors.New("the model has no output")
		}
		o.Logits = m.Graph.Outputs[0].Name
	}
	a := &Attacker{Batch: batch, sample: p.Fit.Sample, options: o}
	if a.scale, err = o.spread(o.Scale, 1, a.sample); err != nil {
		return nil, err
	}
	if a.shift, err = o.spread(o.Shift, 0, a.sample); err != nil {
		return nil, err
	}
	if a.pull, err = d.Linearize(ctx, m, p.Fit.Input, []string{o.Logits}, eo); err != nil {
		return nil, err
	}
	alone, err := rewrite.Apply(m, rewrite.Pass{Name: "logits alone", Do: func(e *rewrite.Edit) error {
		e.Graph.Outputs = nil
		e.Output(o.Logits, tensor.Float32, nil)
		return nil
	}})
	if err == nil {
		a.forward, err = d.Prepare(ctx, alone, eo)
	}
	if err != nil {
		return nil, errors.Join(err, a.pull.Close())
	}
	return a, nil
}

// spread gives every element of a sample its channel's value.
func (o Options) spread(values []float64, fallback float64, sample []int) ([]float64, error) {
	n := tensor.Count(sample)
	out := make([]float64, n)
	channel := func(i int) int { return 0 }
	if len(values) > 1 {
		at := 0
		if o.ChannelsLast {
			at = len(sample) - 1
		}
		if len(sample) == 0 || sample[at] != len(values) {
			return nil, fmt.Errorf("%d values of scale or shift for samples of shape %v", len(values), sample)
		}
		per := n / len(values)
		channel = func(i int) int { return i / per }
		if o.ChannelsLast {
			channel = func(i int) int { return i % len(values) }
		}
	}
	for i := range out {
		if out[i] = fallback; len(values) > 0 {
			out[i] = values[channel(i)]
		}
	}
	return out, nil
}

// Close releases the sessions.
func (a *Attacker) Close() error { return errors.Join(a.forward.Close(), a.pull.Close()) }

// Outcome is what became of an item.
type Outcome struct {
	// Class is the arg-max of the logits at the item, and Attacked at the end of the
	// attack.
	Class, Attacked int
	// Loss is the cross-entropy at the item, and AttackedLoss at the end.
	Loss, AttackedLoss float64
}

// Attack maximises the cross-entropy of the items in x, float32 [Batch, sample...], of
// which the first len(labels) count; first is the number of the first in its dataset.
// The attacked items are written over them.
func (a *Attacker) Attack(ctx context.Context, x *tensor.Tensor, labels []int, first int) ([]Outcome, error) {
	o, dim := a.options, len(a.scale)
	data := tensor.Data[float32](x)
	if len(data) != a.Batch*dim || len(labels) > a.Batch {
		return nil, fmt.Errorf("attacking %d values and %d labels; want %d items of %d", len(data), len(labels), a.Batch, dim)
	}
	out := make([]Outcome, len(labels))
	origin := make([]float64, len(data))
	for i, v := range data {
		origin[i] = (float64(v) - a.shift[i%dim]) / a.scale[i%dim]
	}
	z, err := a.logits(ctx, x)
	if err != nil {
		return nil, err
	}
	for i, l := range labels {
		if l < 0 || l >= a.classes {
			return nil, fmt.Errorf("item %d has label %d, and the network %d classes", first+i, l, a.classes)
		}
		out[i].Class, out[i].Loss = judge(z[i*a.classes:(i+1)*a.classes], l)
	}
	now := append([]float64{}, origin...)
	if o.Start {
		for i := range labels {
			rng := rand.New(rand.NewPCG(o.Seed, uint64(first+i)))
			a.begin(now[i*dim:(i+1)*dim], rng)
		}
		a.back(now, origin, data)
	}
	for step := range o.Iterations {
		if step > 0 || o.Start {
			if z, err = a.logits(ctx, x); err != nil {
				return nil, err
			}
		}
		gradient, err := a.gradient(ctx, x, z, labels)
		if err != nil {
			return nil, err
		}
		for i := range labels {
			a.move(now[i*dim:(i+1)*dim], gradient[i*dim:(i+1)*dim])
		}
		a.back(now, origin, data)
	}
	if z, err = a.logits(ctx, x); err != nil {
		return nil, err
	}
	for i, l := range labels {
		out[i].Attacked, out[i].AttackedLoss = judge(z[i*a.classes:(i+1)*a.classes], l)
	}
	return out, nil
}

// judge is the arg-max, the first of several, and the cross-entropy.
func judge(z []float32, label int) (class int, loss float64) {
	most := math.Inf(-1)
	for i, v := range z {
		if float64(v) > most {
			class, most = i, float64(v)
		}
	}
	sum := 0.0
	for _, v := range z {
		sum += math.Exp(float64(v) - most)
	}
	return class, most + math.Log(sum) - float64(z[label])
}

// begin moves an item to a point drawn evenly from the ball around it.
func (a *Attacker) begin(x []float64, rng *rand.Rand) {
	if a.options.Norm == Linf {
		for i := range x {
			x[i] += a.options.Epsilon * (2*rng.Float64() - 1)
		}
		return
	}
	d, norm := make([]float64, len(x)), 0.0
	for i := range d {
		d[i] = rng.NormFloat64()
		norm += d[i] * d[i]
	}
	r := a.options.Epsilon * math.Pow(rng.Float64(), 1/float64(len(x))) / math.Sqrt(norm)
	for i := range x {
		x[i] += r * d[i]
	}
}

// move goes one step up the gradient, which is by the input, in units of the picture.
func (a *Attacker) move(x []float64, gradient []float32) {
	if a.options.Norm == Linf {
		for i, g := range gradient {
			if a.scale[i] < 0 {
				g = -g
			}
			switch {
			case g > 0:
				x[i] += a.options.Step
			case g < 0:
				x[i] -= a.options.Step
			}
		}
		return
	}
	norm := 0.0
	for i, g := range gradient {
		norm += float64(g) * a.scale[i] * float64(g) * a.scale[i]
	}
	if norm = math.Sqrt(norm); norm == 0 || math.IsInf(norm, 0) || math.IsNaN(norm) {
		return
	}
	for i, g := range gradient {
		x[i] += a.options.Step * float64(g) * a.scale[i] / norm
	}
}

// back brings items back into the ball around the origin and into the range of pictures,
// and writes them as inputs.
func (a *Attacker) back(now, origin []float64, data []float32) {
	o, dim := a.options, len(a.scale)
	for at := 0; at < len(now); at += dim {
		x, x0 := now[at:at+dim], origin[at:at+dim]
		shrink := 1.0
		if o.Norm == L2 {
			norm := 0.0
			for i := range x {
				norm += (x[i] - x0[i]) * (x[i] - x0[i])
			}
			if norm = math.Sqrt(norm); norm > o.Epsilon {
				shrink = o.Epsilon / norm
			}
		}
		for i := range x {
			d := (x[i] - x0[i]) * shrink
			if o.Norm == Linf {
				d = min(max(d, -o.Epsilon), o.Epsilon)
			}
			if x[i] = x0[i] + d; !o.Free {
				x[i] = min(max(x[i], 0), 1)
			}
			data[at+i] = float32(x[i]*a.scale[i] + a.shift[i])
		}
	}
}

// logits of a batch; their number is the number of classes.
func (a *Attacker) logits(ctx context.Context, x *tensor.Tensor) ([]float32, error) {
	values, err := a.forward.Run(ctx, []*tensor.Tensor{x})
	if err != nil {
		return nil, err
	}
	z := values[0]
	d, ok := z.Data.([]float32)
	if !ok || len(d) == 0 || len(d)%a.Batch != 0 || len(z.Shape) == 0 || z.Shape[0] != a.Batch {
		return nil, fmt.Errorf("the value %q is %s %v; want float32 [%d, classes]", a.options.Logits, z.DType, z.Shape, a.Batch)
	}
	a.classes = len(d) / a.Batch
	return d, nil
}

// gradient of the sum of the items' losses by the input.
func (a *Attacker) gradient(ctx context.Context, x *tensor.Tensor, z []float32, labels []int) ([]float32, error) {
	cotangent := make([]float32, len(z))
	for i, l := range labels {
		row, c := z[i*a.classes:(i+1)*a.classes], cotangent[i*a.classes:(i+1)*a.classes]
		most := row[0]
		for _, v := range row {
			most = max(most, v)
		}
		sum := 0.0
		for _, v := range row {
			sum += math.Exp(float64(v - most))
		}
		for j, v := range row {
			c[j] = float32(math.Exp(float64(v-most)) / sum)
		}
		c[l]--
	}
	_, g, err := a.pull.Pull(ctx, []*tensor.Tensor{x}, []*tensor.Tensor{tensor.Of(cotangent, a.Batch, a.classes)})
	if err != nil {
		return nil, err
	}
	return tensor.Data[float32](g), nil
}
