package region

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes"
)

// Units say how a model takes a box, over the picture as preprocessing leaves it: by
// its corners (xyxy), a corner and the size (xywh) or the centre and the size (cxcywh),
// in pixels, or with 01 as fractions of width and height. RegionBLIP takes xyxy01.
var Units = []string{"xyxy01", "xywh01", "cxcywh01", "xyxy", "xywh", "cxcywh"}

// BoxInput is an input of a model that takes a region's box.
type BoxInput struct {
	Name  string
	DType tensor.DType
	// Units is one of Units.
	Units string
}

// ParseBoxInput reads NAME=UNITS, or one of them: an input among a model's others, the only
// one by default, and how it takes a box, the first of Units by default.
func ParseBoxInput(text string, others []probes.Input) (in BoxInput, err error) {
	name, units, _ := strings.Cut(text, "=")
	if slices.Contains(Units, name) && units == "" {
		name, units = "", name
	}
	p, err := probes.InputNamed(others, name)
	if err != nil {
		return in, err
	}
	if units == "" {
		units = Units[0]
	}
	if !slices.Contains(Units, units) {
		return in, fmt.Errorf("a box in %q; the choices are %s", units, strings.Join(Units, ", "))
	}
	if !slices.Equal(p.Shape, []int{4}) {
		return in, fmt.Errorf("the model's input %s takes no box, which has 4 numbers", p.String())
	}
	return BoxInput{Name: p.Name, DType: p.DType, Units: units}, nil
}

// ErrNone says that no picture of a dataset has a region.
var ErrNone = errors.New("no picture of the dataset has a region")

// Items is the regions of a dataset's pictures as items with their boxes beside them. Of a box
// the part is taken that the crop leaves. A region that cannot be used, or of which the crop
// leaves nothing, is an item with an error. Without any the error is ErrNone.
func Items(ds dataset.Dataset, from Source, in BoxInput) (*Parts, error) {
	if !slices.Contains(Units, in.Units) {
		return nil, fmt.Errorf("a box in %q; the choices are %s", in.Units, strings.Join(Units, ", "))
	}
	if !in.DType.IsFloat() {
		return nil, fmt.Errorf("a box for the input %q, which takes %s: want floats", in.Name, in.DType)
	}
	p := &Parts{of: ds, from: from}
	var values []float64
	err := p.choose(func(g picture.Geometry, r *Region) (err error) {
		var box [4]float64
		if r != nil {
			box, err = in.box(g, *r)
		}
		values = append(values, box[:]...)
		return err
	})
	if err == nil {
		err = p.beside(in, values)
	}
	return p, err
}

// beside puts the boxes beside the items.
func (p *Parts) beside(in BoxInput, values []float64) error {
	side, err := dataset.NewSide(in.Name, in.DType, tensor.Of(values, len(p.all), 4))
	if err != nil {
		return err
	}
	side.From = "regions, " + in.Units
	for _, at := range p.all {
		side.Errs = append(side.Errs, at.err)
	}
	p.Items, err = dataset.Beside(p.Items, side)
	return err
}

// ItemsOrNone is Items for a part of a run, whose results have one set of columns: without
// regions there is an item that stands for none, and Rows writes no row of it. Empty says so.
func ItemsOrNone(ds dataset.Dataset, from Source, in BoxInput) (*Parts, error) {
	p, err := Items(ds, from, in)
	if !errors.Is(err, ErrNone) {
		return p, err
	}
	p.none, p.all = true, []part{{err: err}}
	if p.Items, err = dataset.Choose(ds, []dataset.Choice{{Of: 0}}); err != nil {
		return nil, err
	}
	return p, p.beside(in, make([]float64, 4))
}

// Empty says that no picture has a region.
func (p *Parts) Empty() bool { return p.none }

// box is a region's box as the model takes it.
func (in BoxInput) box(g picture.Geometry, r Region) (v [4]float64, err error) {
	if r.Mask != nil && r.Box == (Box{}) {
		return v, fmt.Errorf("region %q is a mask without a box, and the model takes boxes", r.ID)
	}
	w, h := float64(g.Input.W), float64(g.Input.H)
	x0, y0 := g.ToInput(r.Box.X0, r.Box.Y0)
	x1, y1 := g.ToInput(r.Box.X1, r.Box.Y1)
	b := Box{x0, y0, x1, y1}.intersect(Box{0, 0, w, h})
	form, fractions := strings.CutSuffix(in.Units, "01")
	if fractions {
		b = Box{b.X0 / w, b.Y0 / h, b.X1 / w, b.Y1 / h}
	}
	switch form {
	case "xywh":
		return [4]float64{b.X0, b.Y0, b.X1 - b.X0, b.Y1 - b.Y0}, nil
	case "cxcywh":
		return [4]float64{(b.X0 + b.X1) / 2, (b.Y0 + b.Y1) / 2, b.X1 - b.X0, b.Y1 - b.Y0}, nil
	}
	return [4]float64{b.X0, b.Y0, b.X1, b.Y1}, nil
}
