package probes

import (
	"context"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// hostCrossing makes the vertices here and hands whole batches of them to the
// engine.
type hostCrossing struct {
	r      *Prober
	nb     *Complexity
	moved  int         // as in counter
	scaled [][]float32 // the frame times each radius
	in     *tensor.Tensor
	others []*tensor.Tensor
	codes  [2][]byte
	// last is an item's own frame times a radius.
	own    *Frame
	radius int
	last   []float32
}

func newHostCrossing(r *Prober, nb *Complexity, moved int) (*hostCrossing, error) {
	f := &r.Plan.Fit
	h := &hostCrossing{r: r, nb: nb, moved: moved}
	var err error
	if h.in, err = tensor.New(tensor.Float32, append([]int{r.Batch}, f.Sample...)...); err != nil {
		return nil, err
	}
	for k, p := range f.Others {
		t, err := tensor.New(f.rowsOf(k, moved), append([]int{r.Batch}, p.Shape...)...)
		if err != nil {
			return nil, err
		}
		h.others = append(h.others, t)
	}
	for _, radius := range nb.Radii {
		h.scaled = append(h.scaled, nb.Frame.scaled(radius))
	}
	for k := range nb.kinds() {
		h.codes[k] = make([]byte, r.Batch*r.Plan.CodeBytes())
	}
	return h, nil
}

// floatRow is row i of a batch of float32.
func floatRow(t *tensor.Tensor, i int) []float32 {
	n := tensor.Count(t.Shape[1:])
	return tensor.Data[float32](t)[i*n : (i+1)*n]
}

func (h *hostCrossing) put(at int, x []float32, radius, j int, t *tally) {
	scaled := h.scaled[radius]
	if t.frame != nil {
		if h.own != t.frame || h.radius != radius {
			h.own, h.radius, h.last = t.frame, radius, t.frame.scaled(h.nb.Radii[radius])
		}
		scaled = h.last
	}
	for k, o := range h.others {
		if k == h.moved {
			h.nb.vertex(floatRow(o, at), x, scaled, j)
		} else {
			o.SetRow(at, t.others[k], t.row)
		}
	}
	if h.moved < 0 {
		h.nb.vertex(floatRow(h.in, at), x, scaled, j)
	} else {
		h.in.SetRow(at, t.in, t.row)
	}
}

func (h *hostCrossing) run(ctx context.Context, of []*tally) ([]bool, error) {
	width := h.r.Plan.CodeBytes()
	for i := len(of); i < h.r.Batch; i++ { // vertices of nobody: the first once more
		h.in.SetRow(i, h.in, 0)
		for _, o := range h.others {
			o.SetRow(i, o, 0)
		}
	}
	out, err := h.r.Infer(ctx, h.in, h.others...)
	if err != nil {
		return nil, err
	}
	for k, kind := range h.nb.kinds() {
		h.r.codes(h.codes[k], out, kind)
		for i, t := range of {
			code := h.codes[k][i*width : (i+1)*width]
			t.see(k, 0, code, code)
		}
	}
	nan := h.r.nan(out)
	h.r.Recycle(out)
	return nan, nil
}
