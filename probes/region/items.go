package region

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
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

// ErrNone says that no picture of a dataset has a region.
var ErrNone = errors.New("no picture of the dataset has a region")

// Items is the regions of a dataset's pictures as a dataset of its own: a picture with
// a region's box beside it is an item, called IMAGE#REGION, and IMAGE#REGION~2 where a name comes again. Of a box the part is taken
// that the crop leaves. A region that cannot be used, or of which the crop leaves
// nothing, is an item with an error; pictures without regions are no items. Without any the error is ErrNone.
func Items(ds dataset.Dataset, from Source, in BoxInput) (dataset.Dataset, error) {
	if !slices.Contains(Units, in.Units) {
		return nil, fmt.Errorf("a box in %q; the choices are %s", in.Units, strings.Join(Units, ", "))
	}
	if !in.DType.IsFloat() {
		return nil, fmt.Errorf("a box for the input %q, which takes %s: want floats", in.Name, in.DType)
	}
	var values []float64
	var errs []error
	chosen, err := choose(ds, from, func(g picture.Geometry, _, _ int, r *Region, err error) {
		var box [4]float64
		if err == nil {
			box, err = in.box(g, *r)
		}
		values, errs = append(values, box[:]...), append(errs, err)
	})
	if err != nil {
		return nil, err
	}
	side, err := dataset.NewSide(in.Name, in.DType, tensor.Of(values, len(errs), 4))
	if err != nil {
		return nil, err
	}
	side.Errs, side.From = errs, "regions, "+in.Units
	return dataset.Beside(chosen, side)
}

// choose makes an item of each region of the pictures, IMAGE#REGION, and of each error of
// what is no region; IMAGE#REGION~2 where a name comes again within its picture. Of each it
// calls use with the numbers of the picture and of the region in it. Without any the error
// is ErrNone.
func choose(ds dataset.Dataset, from Source,
	use func(g picture.Geometry, picture, k int, r *Region, err error)) (dataset.Dataset, error) {
	var choices []dataset.Choice
	for i := range ds.Len() {
		if !from.Has(i) {
			continue
		}
		taken := map[string]int{}
		add := func(name string) {
			if taken[name]++; taken[name] > 1 {
				name = fmt.Sprintf("%s~%d", name, taken[name])
			}
			choices = append(choices, dataset.Choice{Of: i, Name: "#" + name})
		}
		g, err := dataset.GeometryOf(ds, i)
		if lost := machine(err); lost != nil {
			return nil, fmt.Errorf("looking for regions: %w", lost)
		}
		if err != nil {
			add("unread")
			use(g, i, 0, nil, err)
			continue
		}
		regions, faults := from.Regions(i, g.Picture)
		if lost := machine(faults...); lost != nil {
			return nil, fmt.Errorf("looking for regions: %w", lost)
		}
		for k := range regions {
			add(regions[k].ID)
			use(g, i, k, &regions[k], nil)
		}
		for k, err := range faults {
			add(fmt.Sprintf("fault%d", k))
			use(g, i, k, nil, err)
		}
	}
	if len(choices) == 0 {
		return nil, ErrNone
	}
	return dataset.Choose(ds, choices)
}

// box is a region's box as the model takes it.
func (in BoxInput) box(g picture.Geometry, r Region) (v [4]float64, err error) {
	if r.Mask != nil && r.Box == (Box{}) {
		return v, fmt.Errorf("region %q is a mask without a box, and the model takes boxes", r.ID)
	}
	w, h := float64(g.Input.W), float64(g.Input.H)
	x0, y0 := g.ToInput(r.Box.X0, r.Box.Y0)
	x1, y1 := g.ToInput(r.Box.X1, r.Box.Y1)
	b := Box{x0, y0, x1, y1}.intersect(Box{0, 0, w, h})
	if b.area() == 0 {
		return v, fmt.Errorf("region %q: the crop leaves nothing of its box", r.ID)
	}
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
