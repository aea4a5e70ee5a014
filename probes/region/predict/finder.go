package predict

import (
	"context"
	"errors"
	"fmt"
	"image"
	"strconv"
	"sync"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/region"
)

// Finder finds regions by a model, one picture at a time. It can be used by several
// goroutines.
type Finder struct {
	Settings
	ctx     context.Context // of the run that the finder belongs to
	mu      sync.Mutex
	path    string // of the model
	session engine.Session
	input   port
	out     outputs
	scored  bool
}

// Scored says whether the regions have scores: those of a detector whose outputs do.
func (f *Finder) Scored() bool { return f.scored }

// port is the model's input: the shape of a picture, without the batch axis if there
// is one.
type port struct {
	name    string
	dtype   tensor.DType
	sample  []int
	batched bool
}

// Open readies a model on a backend. A model that is not the one of the settings, whose
// input takes no picture, or not those that the preprocessing gives where their size is
// fixed, or that has no outputs to read is an error. Runs end with ctx.
func Open(ctx context.Context, m *onnx.Model, s Settings, b engine.Backend, o engine.Options) (*Finder, error) {
	fail := func(err error) (*Finder, error) {
		return nil, fmt.Errorf("the model of regions: %w", engine.Named(m.Path, err))
	}
	if err := errors.Join(s.Check(), s.Preprocess.Check(), o.CheckRandom(m)); err != nil {
		return fail(err)
	}
	if err := s.Identify(m); err != nil {
		return nil, err
	}
	in, err := inputOf(m)
	if err != nil {
		return fail(err)
	}
	if in.dtype == tensor.Uint8 {
		s.Preprocess.Scale, s.Preprocess.Mean, s.Preprocess.Std = 1, nil, nil
	}
	got := s.Preprocess.Fixed(in.sample)
	if _, err := picture.ShapeFor(got, in.sample); got != nil && err != nil {
		return nil, onnx.Remedy(fmt.Errorf("the model of regions takes %v, the preprocessing %s gives %v: "+
			"give a JSON file made for it",
			in.sample, s.Preprocess.Name, got), "predict.Settings.Preprocess")
	}
	o.CUDAGraph = false // sizes change from picture to picture
	session, err := engine.Prepare(ctx, b, m, nil, o)
	if err != nil {
		return fail(err)
	}
	f := &Finder{Settings: s, ctx: ctx, path: m.Path, session: session, input: in}
	if f.out, err = s.choose(session.Outputs()); err != nil {
		return fail(errors.Join(err, session.Close()))
	}
	if s.Kind == Boxes {
		boxes := session.Outputs()[f.out.boxes].Shape
		f.scored = f.out.scores >= 0 || len(boxes) > 0 && boxes[len(boxes)-1] == 6 // the score and the label behind the box
	}
	if s.Kind == Labels {
		f.out.probable = probable(m, session.Outputs()[f.out.labels].Name)
	}
	return f, nil
}

// inputOf is the input that pictures enter by: [N,C,H,W], [N,H,W,C], or [C,H,W] as
// torchvision's detectors take it.
func inputOf(m *onnx.Model) (p port, err error) {
	v, err := probes.DataInput(m)
	if err != nil {
		return p, err
	}
	p = port{name: v.Name, dtype: v.DType, batched: len(v.Shape) == 4}
	if p.dtype != tensor.Float32 && p.dtype != tensor.Uint8 {
		return p, fmt.Errorf("its input %q takes %s; want float or uint8", v.Name, v.DType)
	}
	if len(v.Shape) != 3 && len(v.Shape) != 4 {
		return p, fmt.Errorf("its input %q has %d axes, which are no picture's; want [N,C,H,W], [N,H,W,C] or [C,H,W]", v.Name, len(v.Shape))
	}
	for _, d := range v.Shape {
		n := -1
		if d.Param == "" && d.Size > 0 {
			n = int(d.Size)
		}
		p.sample = append(p.sample, n)
	}
	if p.batched {
		if n := p.sample[0]; n > 1 {
			return p, fmt.Errorf("its input %q takes %d pictures at once; want one, or any number", v.Name, n)
		}
		p.sample = p.sample[1:]
	}
	return p, nil
}

// Close releases the session.
func (f *Finder) Close() error { return f.session.Close() }

// Regions are those of a picture of its own size. They belong to the caller.
func (f *Finder) Regions(p image.Image) ([]region.Region, error) {
	rs, _, _, err := f.Counted(p)
	return rs, err
}

// Counted is Regions with what is left out of a detector's boxes, and the regions that stay
// under a label without a name though there are names.
func (f *Finder) Counted(p image.Image) (rs []region.Region, left, noted region.Counts, err error) {
	out, g, err := f.run(p)
	if err == nil && f.Kind == Boxes {
		rs, left, err = f.boxes(out, g)
	} else if err == nil {
		rs, err = f.labels(out, g, p)
	}
	if err != nil {
		return nil, nil, nil, fmt.Errorf("regions by a model: %w", err)
	}
	for _, r := range rs {
		if k, err := strconv.Atoi(r.Label); err == nil && k >= len(f.Names) && len(f.Names) > 0 {
			noted = noted.Add(region.Counts{Nameless: 1})
		}
	}
	if f.BoxOnly {
		for i := range rs {
			rs[i].Mask = nil
		}
	}
	return rs, left, noted, nil
}

// run gives the outputs for a picture, and where the model's input lies on it.
func (f *Finder) run(p image.Image) ([]*tensor.Tensor, picture.Geometry, error) {
	x, g, err := f.Preprocess.Sample(p, f.input.sample)
	if err != nil {
		return nil, g, err
	}
	shape := x.Shape
	if f.input.batched {
		shape = append([]int{1}, shape...)
	}
	if x = tensor.Of(tensor.Data[float32](x), shape...); f.input.dtype == tensor.Uint8 {
		pixels := make([]uint8, x.Len())
		for i, v := range tensor.Data[float32](x) {
			pixels[i] = uint8(v)
		}
		x = tensor.Of(pixels, shape...)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	out, err := f.session.Run(f.ctx, []*tensor.Tensor{x})
	return out, g, engine.Named(f.path, err)
}
