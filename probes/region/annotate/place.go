package annotate

import (
	"fmt"
	"math"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes/region"
)

// corners is the box that four numbers mean.
func corners(v [4]float64, meaning string) region.Box {
	switch meaning {
	case "xywh":
		return region.Box{X0: v[0], Y0: v[1], X1: v[0] + v[2], Y1: v[1] + v[3]}
	case "cxcywh":
		return region.Box{X0: v[0] - v[2]/2, Y0: v[1] - v[3]/2, X1: v[0] + v[2]/2, Y1: v[1] + v[3]/2}
	}
	return region.Box{X0: v[0], Y0: v[1], X1: v[2], Y1: v[3]}
}

// boxMark is a region that is the box of four numbers.
func (s *Set) boxMark(line int, v []float64, meaning string) mark {
	m := mark{line: line, box: corners([4]float64(v), meaning)}
	if s.o.Normalised {
		m.scale = 1
	}
	return m
}

// numbersOf is the inverse of corners.
func numbersOf(b region.Box, meaning string) [4]float64 {
	switch w, h := b.X1-b.X0, b.Y1-b.Y0; meaning {
	case "xywh":
		return [4]float64{b.X0, b.Y0, w, h}
	case "cxcywh":
		return [4]float64{b.X0 + w/2, b.Y0 + h/2, w, h}
	}
	return [4]float64{b.X0, b.Y0, b.X1, b.Y1}
}

// checkBox says what is wrong with a box whatever its picture.
func checkBox(b region.Box) error {
	for _, v := range []float64{b.X0, b.Y0, b.X1, b.Y1} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return because(BadBox, fmt.Errorf("the box got corners %s, want finite numbers", text(b)))
		}
	}
	if b.X1 <= b.X0 || b.Y1 <= b.Y0 {
		return because(BadBox, fmt.Errorf("the box got corners %s, want x0 < x1 and y0 < y1: it is empty or inverted, "+
			"or means something else than it was read as", text(b)))
	}
	return nil
}

func text(b region.Box) string { return fmt.Sprintf("(%g, %g)-(%g, %g)", b.X0, b.Y0, b.X1, b.Y1) }

// fit puts a box into a picture: scaled to pixels, and cut by up to one pixel or with
// clip by any length. What is left must not be empty.
func (m *mark) fit(size picture.Size, clip bool) (region.Box, error) {
	b := m.box
	w, h := float64(size.W), float64(size.H)
	if m.scale != 0 {
		b = region.Box{X0: b.X0 / m.scale * w, Y0: b.Y0 / m.scale * h, X1: b.X1 / m.scale * w, Y1: b.Y1 / m.scale * h}
	}
	if !clip && (b.X0 < -1 || b.Y0 < -1 || b.X1 > w+1 || b.Y1 > h+1) {
		return b, because(Outside, onnx.Remedy(fmt.Errorf("the box got corners %s in pixels, want them in a picture of %d x %d "+
			"(width x height); clip the boxes if they may reach beyond", text(b), size.W, size.H), "annotate.Options.Clip"))
	}
	cut := region.Box{X0: max(b.X0, 0), Y0: max(b.Y0, 0), X1: min(b.X1, w), Y1: min(b.Y1, h)}
	if cut.X1 <= cut.X0 || cut.Y1 <= cut.Y0 {
		return b, because(Outside, fmt.Errorf("the box got corners %s in pixels, want some of it in a picture of %d x %d "+
			"(width x height)", text(b), size.W, size.H))
	}
	return cut, nil
}

func (m *mark) region(size picture.Size, o Options) (region.Region, error) {
	r := region.Region{ID: m.id, Label: m.label, Score: m.score, Crowd: m.crowd}
	var err error
	var beyond error
	if r.Box, beyond = m.fit(size, o.Clip); m.shape == nil || o.BoxOnly {
		return r, beyond
	}
	if r.Mask, err = m.shape.mask(size); beyond != nil && (err != nil || r.Mask.Count() > 0) {
		return r, beyond
	}
	if err != nil {
		return r, because(BadShape, err)
	}
	if r.Mask.Count() == 0 {
		return r, because(NoPixel, fmt.Errorf("region %q: its shape covers no pixel", m.id))
	}
	return r, nil
}
