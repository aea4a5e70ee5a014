package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/region"
)

// otherFlags say what goes into a model's other inputs, and how pictures are cut.
type otherFlags struct {
	inputs    []string
	box       string
	tiles     int
	thumbnail bool
	frame     bool          // of complexity: vertices move the region alone
	parts     *region.Parts // the regions that are items, once feed has them
	// boxes are the regions whose boxes go in, once take has them.
	boxes    regionFlags
	settings map[string]any
}

func (f *otherFlags) add(fs *pflag.FlagSet) {
	fs.StringArrayVar(&f.inputs, "input", nil, "")
	fs.StringVar(&f.box, "region-input", "", "")
	fs.IntVar(&f.tiles, "tiles", 0, "")
	fs.BoolVar(&f.thumbnail, "tile-thumbnail", true, "")
}

// take makes the regions what goes into the model, where --region-input is given: no
// rows are made of them then.
func (f *otherFlags) take(regions *regionFlags, changed func(string) bool) error {
	flag := "region-input"
	if f.frame {
		flag = "region-frame"
	}
	switch {
	case changed("tile-thumbnail") && f.tiles == 0:
		return usagef("--tile-thumbnail goes with --tiles")
	case f.tiles < 0 || f.tiles > dataset.MaxTiles:
		return usagef("--tiles %d: 1 to %d", f.tiles, dataset.MaxTiles)
	case f.box == "" && !f.frame:
		return nil
	case f.box != "" && f.frame:
		return usagef("--region-frame does not go with --region-input")
	case regions.path == "":
		return usagef("--%s goes with --regions, which says where the regions are", flag)
	}
	for _, name := range []string{"region-rule", "region-box-only", "channels", "region-share", "region-code"} {
		if changed(name) && !(name == "region-box-only" && f.frame) {
			return usagef("--%s does not go with --%s: each region is an item, and the rows are of the whole code", name, flag)
		}
	}
	if err := regions.parse(changed); err != nil {
		return err
	}
	f.boxes = *regions
	f.boxes.boxOnly, regions.path, regions.items = f.boxes.boxOnly || !f.frame, "", true
	return nil
}

// feed makes of a dataset one that has all of a model's inputs.
func (f *otherFlags) feed(c *cobra.Command, ds dataset.Dataset, ports []probes.Input) (_ dataset.Dataset, err error) {
	if f.tiles > 0 {
		if ds, err = dataset.Tiles(ds, dataset.Tiling{Max: f.tiles, Thumbnail: f.thumbnail}); err != nil {
			return nil, usageError{err}
		}
	}
	if f.box != "" || f.frame {
		if ds, err = f.feedRegions(c, ds, ports); err != nil {
			return nil, err
		}
	}
	for _, given := range f.inputs {
		if ds, err = f.feedOne(c, ds, ports, given); err != nil {
			return nil, err
		}
	}
	return ds, complete(dataset.Sides(ds), ports)
}

// complete reports an input for which nothing is given.
func complete(sides []dataset.Side, ports []probes.Input) error {
	for _, p := range ports {
		if !slices.ContainsFunc(sides, func(s dataset.Side) bool { return s.Name == p.Name }) {
			if p.Shared {
				return usagef("nothing is given for the model's input %s, which all items share; give --input %s=VALUE", p.String(), p.Name)
			}
			return usagef("nothing is given for the model's input %s; give --input %s=FILE.npy or =VALUE, or for boxes "+
				"--regions FILE --region-input %s", p.String(), p.Name, p.Name)
		}
	}
	return nil
}

// boxInput is the input that --region-input names.
func (f *otherFlags) boxInput(ports []probes.Input) (region.BoxInput, error) {
	in, err := region.ParseBoxInput(f.box, ports)
	if err != nil {
		err = usagef("--region-input %s: %w", f.box, err)
	}
	return in, err
}

// feedRegions makes items of the regions.
func (f *otherFlags) feedRegions(c *cobra.Command, ds dataset.Dataset, ports []probes.Input) (_ dataset.Dataset, err error) {
	var in region.BoxInput
	if f.frame {
		f.settings["region_frame"] = true
	} else {
		if in, err = f.boxInput(ports); err != nil {
			return nil, err
		}
		f.settings["box_input"] = map[string]string{"name": in.Name, "units": in.Units}
	}
	if err := f.boxes.read(c, f.settings); err != nil {
		return nil, err
	}
	from, err := f.boxes.source(c, ds)
	if err != nil {
		return nil, err
	}
	if f.frame {
		f.parts, err = region.NewParts(ds, from)
	} else {
		f.parts, err = region.Items(ds, from, in)
	}
	if err != nil {
		return nil, err
	}
	return f.parts.Items, nil
}

// feedOne reads what one --input says.
func (f *otherFlags) feedOne(c *cobra.Command, ds dataset.Dataset, ports []probes.Input, given string) (dataset.Dataset, error) {
	name, from, named := strings.Cut(given, "=")
	if !named {
		name, from = "", given
	}
	p, err := portNamed("input", name, ports)
	if err != nil {
		return nil, err
	}
	var s dataset.Side
	if dataset.IsArrayFile(from) && p.Shared {
		s, err = dataset.ReadSharedSide(p.Name, p.DType, p.Shape, from, 0)
	} else if dataset.IsArrayFile(from) {
		s, err = dataset.ReadSide(p.Name, p.DType, p.Shape, ds.Len(), from, 0)
	} else if s, err = dataset.ConstantSide(p.Name, p.DType, p.Shape, from); err != nil {
		if p.Shared {
			err = fmt.Errorf("%w; it has no batch axis, so all items share it", err)
		}
		err = usageError{err}
	}
	if err == nil {
		ds, err = dataset.Beside(ds, s)
	}
	return ds, err
}

// portNamed is the other input that a flag names, "" for the only one.
func portNamed(flag, name string, ports []probes.Input) (probes.Input, error) {
	p, err := probes.InputNamed(ports, name)
	if err != nil {
		err = usagef("--%s: %w", flag, err)
	}
	return p, err
}

// inputsOf are the model's data input and the others, which only a verb with
// otherFlags feeds.
func inputsOf(m *onnx.Model, f *otherFlags) (*onnx.Value, []probes.Input, error) {
	if f == nil {
		v, err := probes.DataInput(m)
		return v, nil, err
	}
	return probes.Inputs(m)
}
