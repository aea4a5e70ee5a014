package predict

import (
	"fmt"
	"image"
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/region"
	"github.com/onnxprobe/onnxprobe/probes/region/segment"
)

// unseen is the label of pixels that the model does not see: the crop cuts them off.
const unseen = -1

// maxLabel bounds the labels of a map.
const maxLabel = math.MaxInt32

// labels are the regions of the picture that have one label each.
func (f *Finder) labels(out []*tensor.Tensor, g picture.Geometry, p image.Image) ([]region.Region, error) {
	labels, err := f.labelMap(out[f.out.labels], g, p)
	if err != nil {
		return nil, err
	}
	return labels.Named(f.Names, append(slices.Clone(f.Ignore), unseen)...)
}

// labelMap is the label of each pixel of the picture.
func (f *Finder) labelMap(t *tensor.Tensor, g picture.Geometry, p image.Image) (*segment.Labels, error) {
	var super *segment.Labels
	var err error
	if f.Smooth > 0 {
		n := min(f.Smooth, g.Picture.H*g.Picture.W)
		if super, err = segment.SLIC(p, segment.SLICOptions{Segments: n}); err != nil {
			return nil, err
		}
	}
	if isInteger(t.DType) {
		return f.nearest(t, g, super)
	}
	shape := single(t.Shape, 3)
	if !t.DType.IsFloat() || len(shape) != 3 || shape[0] < 2 || shape[1] < 1 || shape[2] < 1 {
		return nil, fmt.Errorf("its output is %s of shape %v; want labels [1,H,W] of integers, or values of two or "+
			"more classes [1,C,H,W] in floats", t.DType, t.Shape)
	}
	m := newClassMap(t.Float64s(), shape, g)
	if super == nil {
		return m.largest()
	}
	return m.smoothed(super, !f.out.probable)
}

// nearest takes for each pixel of the picture the label at its centre.
func (f *Finder) nearest(t *tensor.Tensor, g picture.Geometry, super *segment.Labels) (*segment.Labels, error) {
	shape := single(t.Shape, 2)
	if len(shape) != 2 || shape[0] < 1 || shape[1] < 1 {
		return nil, fmt.Errorf("its label map has shape %v; want [1,H,W], [1,1,H,W] or [H,W]", t.Shape)
	}
	labels, err := segment.NewLabels(g.Picture.H, g.Picture.W)
	if err != nil {
		return nil, err
	}
	of := t.Float64s()
	for _, v := range of {
		if v < 0 || v > maxLabel {
			return nil, fmt.Errorf("its label map has the label %v; want 0 to %d", v, maxLabel)
		}
	}
	rows, columns := cells(g.Picture.H, g.Resized.H, g.Y, g.Input.H, shape[0]), cells(g.Picture.W, g.Resized.W, g.X, g.Input.W, shape[1])
	for y, r := range rows {
		for x, c := range columns {
			if labels.Of[y*labels.W+x] = unseen; r >= 0 && c >= 0 {
				labels.Of[y*labels.W+x] = int32(of[int(r)*shape[1]+int(c)])
			}
		}
	}
	if super == nil {
		return labels, nil
	}
	smooth, err := segment.SmoothLabels(labels, super)
	if err != nil {
		return nil, err
	}
	for i, k := range labels.Of {
		if k == unseen {
			smooth.Of[i] = unseen
		}
	}
	return smooth, nil
}

// cells is for each of n pixels of an axis of the picture where its centre lies on an
// axis of size cells over the input, -1 where the input does not show it.
func cells(n, resized, begin, input, size int) []float64 {
	at := make([]float64, n)
	for i := range at {
		v := (float64(i)+0.5)*float64(resized)/float64(n) - float64(begin)
		if at[i] = -1; v >= 0 && v < float64(input) {
			at[i] = v * float64(size) / float64(input)
		}
	}
	return at
}

// classMap is the values of classes on a grid, and where the pixels of the picture lie
// on it. Between the centres of its cells they are interpolated linearly, and beyond
// the outermost ones they stay: PyTorch's interpolate with align_corners=False.
type classMap struct {
	classes, h, w int
	values        []float64 // [classes, h, w]
	rows, columns []float64 // of the picture's pixels; -1 where they are not seen
	line          []float64 // [w, classes]: the values at the height of a row
}

func newClassMap(values []float64, shape []int, g picture.Geometry) *classMap {
	m := &classMap{classes: shape[0], h: shape[1], w: shape[2], values: values}
	m.rows = cells(g.Picture.H, g.Resized.H, g.Y, g.Input.H, m.h)
	m.columns = cells(g.Picture.W, g.Resized.W, g.X, g.Input.W, m.w)
	m.line = make([]float64, m.w*m.classes)
	return m
}

// between are the two cells whose centres lie around a place, and the second's weight.
func between(at float64, n int) (a, b int, weight float64) {
	at = min(max(at-0.5, 0), float64(n-1))
	a = int(at)
	return a, min(a+1, n-1), at - float64(a)
}

// each calls use with every pixel of the picture that is seen and its values, which are
// good until the next one.
func (m *classMap) each(use func(pixel int, values []float64) error) error {
	v := make([]float64, m.classes)
	for y, row := range m.rows {
		if row < 0 {
			continue
		}
		m.level(row)
		for x, column := range m.columns {
			if column < 0 {
				continue
			}
			a, b, t := between(column, m.w)
			left, right := m.line[a*m.classes:][:m.classes], m.line[b*m.classes:][:m.classes]
			for k := range v {
				v[k] = left[k] + t*(right[k]-left[k])
			}
			if err := use(y*len(m.columns)+x, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// level fills the line at the height of a row.
func (m *classMap) level(row float64) {
	a, b, t := between(row, m.h)
	for k := range m.classes {
		top, bottom := m.values[(k*m.h+a)*m.w:][:m.w], m.values[(k*m.h+b)*m.w:][:m.w]
		for x := range top {
			m.line[x*m.classes+k] = top[x] + t*(bottom[x]-top[x])
		}
	}
}

// largest is the class with the largest value at each pixel, the first of equal ones.
func (m *classMap) largest() (*segment.Labels, error) {
	labels, err := m.blank()
	if err != nil {
		return nil, err
	}
	return labels, m.each(func(pixel int, values []float64) error {
		best := 0
		for k, v := range values {
			if v != v {
				return fmt.Errorf("its output is not a number at pixel %d", pixel)
			}
			if v > values[best] {
				best = k
			}
		}
		labels.Of[pixel] = int32(best)
		return nil
	})
}

// smoothed is the class with the largest mean probability in each super-pixel.
func (m *classMap) smoothed(super *segment.Labels, logits bool) (*segment.Labels, error) {
	labels, err := m.blank()
	if err != nil {
		return nil, err
	}
	s, err := segment.NewSmoothing(super, m.classes)
	if err != nil {
		return nil, err
	}
	err = m.each(func(pixel int, values []float64) error {
		if logits {
			softmax(values)
		}
		if values[0] != values[0] {
			return fmt.Errorf("its output is not a number at pixel %d", pixel)
		}
		labels.Of[pixel] = 0
		s.Add(pixel, values)
		return nil
	})
	if err != nil {
		return nil, err
	}
	of := s.Classes()
	for i, k := range labels.Of {
		if k != unseen {
			labels.Of[i] = of(i)
		}
	}
	return labels, nil
}

// blank is labels of a picture of which nothing is seen.
func (m *classMap) blank() (*segment.Labels, error) {
	labels, err := segment.NewLabels(len(m.rows), len(m.columns))
	if err != nil {
		return nil, err
	}
	for i := range labels.Of {
		labels.Of[i] = unseen
	}
	return labels, nil
}
