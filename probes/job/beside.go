package job

import (
	"fmt"
	"slices"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/region"
)

// Input is what goes into one of the model's other inputs: a value that all items
// have, which is From, or a row for each item in the order of the plan. Where the rows
// are, Plan.Arrays says; SHA256 is theirs, so that they may move but not change.
type Input struct {
	dataset.SideDescription
	Rows int `json:"rows,omitempty"`
}

// Boxes make an item of each region of a picture: its box goes into the model beside
// the picture. Settings.Regions says which regions there are; their Rule is of no use.
type Boxes struct {
	Input string `json:"input"`
	DType string `json:"dtype"`
	// Units is one of region.Units.
	Units string `json:"units"`
}

// noteSides notes what lies beside the items of the plan.
func (p *Plan) noteSides(items int, sides []dataset.Side) error {
	for k := range sides {
		s := &sides[k]
		in := Input{SideDescription: s.Describe()}
		if !s.Shared {
			if in.Rows = s.Rows.Shape[0]; in.Rows != items {
				return fmt.Errorf("planning a job: the input %q has %d rows for %d items", s.Name, in.Rows, items)
			}
			if p.Settings.Tiles != nil {
				return fmt.Errorf("planning a job: the input %q has a row for each item, and how many tiles there are is "+
					"known when pictures are read; give one value for all", s.Name)
			}
			if p.Settings.Boxes != nil {
				return fmt.Errorf("planning a job: the input %q has a row for each item, and how many regions there are is "+
					"known when they are read; give one value for all", s.Name)
			}
			if p.Arrays == nil {
				p.Arrays = map[string]string{}
			}
			p.Arrays[s.Name], in.From = s.From, ""
		}
		p.Settings.Inputs = append(p.Settings.Inputs, in)
	}
	return nil
}

// arrays says whether rows of an array belong to the items.
func (s *Settings) arrays() bool {
	return slices.ContainsFunc(s.Inputs, func(in Input) bool { return in.Rows > 0 })
}

// sides reads what lies beside all items of the plan.
func (p *Plan) sides() ([]dataset.Side, error) {
	var sides []dataset.Side
	for _, in := range p.Settings.Inputs {
		s, err := p.side(in)
		if err != nil {
			return nil, err
		}
		sides = append(sides, s)
	}
	return sides, nil
}

func (p *Plan) side(in Input) (s dataset.Side, err error) {
	d := typeNamed(in.DType)
	if in.Rows == 0 {
		return dataset.ConstantSide(in.Name, d, in.Shape, in.From)
	}
	if s, err = dataset.ReadSide(in.Name, d, in.Shape, in.Rows, p.find(p.Arrays[in.Name]), 0); err != nil {
		return s, lostOr(p.find(p.Arrays[in.Name]), false, err)
	}
	if s.Describe().SHA256 != in.SHA256 {
		return s, changed(fmt.Errorf("the rows for the input %q in %s are others: their SHA-256 is another", in.Name, p.Arrays[in.Name]))
	}
	return s, nil
}

// typeNamed is the element type of a name; Undefined where it is none.
func typeNamed(name string) tensor.DType {
	for d := range tensor.DType(64) {
		if d.String() == name {
			return d
		}
	}
	return tensor.Undefined
}

// first is the number of a shard's first item.
func (p *Plan) first(shard int) (n int) {
	for _, s := range p.Shards[:shard] {
		n += s.Items
	}
	return n
}

// cut is the items of a shard as the settings cut them: tiles, or as they are.
func (w *Worker) cut(d *data) (dataset.Dataset, error) {
	if t := w.plan.Settings.Tiles; t != nil {
		return dataset.Tiles(d, *t)
	}
	return d, nil
}

// feed is the items of a shard with all that the model takes, ds being them as they are
// cut and d those that are planned. Where their regions are the items, parts are these.
func (w *Worker) feed(shard int, d *data, ds dataset.Dataset) (_ dataset.Dataset, parts *region.Parts, err error) {
	if b := w.plan.Settings.Boxes; b != nil {
		from, err := w.located.source(&w.plan.Shards[shard], d)
		if err != nil {
			return nil, nil, err
		}
		in := region.BoxInput{Name: b.Input, DType: typeNamed(b.DType), Units: b.Units}
		if parts, err = region.ItemsOrNone(ds, region.OfTiles(ds, from), in); err != nil {
			return nil, nil, err
		}
		ds = parts.Items
	}
	first := w.plan.first(shard)
	for _, s := range w.sides {
		if !s.Shared {
			s.Rows = s.Rows.Rows(first, first+d.Len())
		}
		if ds, err = dataset.Beside(ds, s); err != nil {
			return nil, nil, err
		}
	}
	return ds, parts, nil
}
