package main

import (
	"math"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

func newComplexity() *cobra.Command {
	var j job
	var radii []float64
	var directions int
	var sign3, centre bool
	var frame, save, around, maps string
	var precise *onnx.Model
	var plot plotFlag
	c := &cobra.Command{
		Use:   "complexity MODEL DATA... -o OUT",
		Short: "Local complexity",
		Long: `Counts, for every item and site, the units whose bit is not the same at all vertices of a
small cross-polytope around the item: x + r q and x - r q for every direction q of an
orthonormal frame that all items share ("Deep Networks Always Grok and Here is Why").

With --regions it counts, for every region of a picture, the units inside; the vertices move
the whole picture. With --region-frame they move the region alone, and all units count.`,
		Example: `  onnxprobe complexity resnet18.onnx data_batch_1.bin --preprocess cifar10 --limit 1024 -o lc.parquet
  onnxprobe complexity mlp.onnx --random 1000 --radius 0.05,0.5 --include-gemm -o lc.jsonl --plot lc.svg
  onnxprobe complexity mlp.onnx t10k-images-idx3-ubyte.gz --preprocess mnist-01 --frame frame.npy --sign3 -o lc.npy
  onnxprobe complexity resnet18.onnx photos/ --preprocess imagenet --regions instances.json --map maps -o lc.parquet`,
		Args: atLeast(1, "a model and data"),
	}
	j.add(c)
	fs := c.Flags()
	j.addSites(fs)
	j.addRandom(fs)
	fs.Float64SliceVar(&radii, "radius", []float64{0.005}, "distance of the vertices, in the units of the model's input; several give several counts")
	fs.IntVar(&directions, "directions", 20, "orthonormal directions; each gives two vertices")
	fs.BoolVar(&sign3, "sign3", false, "count a value exactly on its knot as a third side, as the authors' code does")
	fs.BoolVar(&centre, "include-center", false, "make the item itself a vertex too")
	fs.StringVar(&frame, "frame", "", "read the directions from a .npy `FILE` [P, ...] instead of drawing them")
	fs.StringVar(&save, "save-frame", "", "write the directions to a .npy `FILE`")
	fs.StringVar(&around, "frame-input", "", "`NAME` of the input that the vertices move, of a model with several; by default the picture's")
	fs.BoolVar(&j.others.frame, "region-frame", false, "with --regions: each region is an item, and its vertices move nothing but the region: directions are cut to it and made orthonormal again. All units count")
	fs.StringVar(&maps, "map", "", "draw for every picture, with its regions, where the units lie that change at the first radius: PNG files in a `DIR`, which report and --plot show too")
	plot.add(fs)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := j.needOutput(); err != nil {
			return err
		}
		for i, r := range radii {
			if !(r > 0) || math.IsInf(r, 0) {
				return usagef("--radius %g: a radius is positive and finite", r)
			}
			if slices.Contains(radii[:i], r) {
				return usagef("--radius %g is given twice", r)
			}
		}
		if frame != "" && fs.Changed("directions") {
			return usagef("--frame has its own number of directions; leave --directions out")
		}
		if j.others.frame && (maps != "" || j.random > 0) {
			return usagef("--region-frame goes with neither --map nor --random")
		}
		if err := j.others.take(&j.regions, fs.Changed); err != nil {
			return err
		}
		if err := j.regions.check(fs.Changed); err != nil {
			return err
		}
		if err := j.regions.without(fs.Changed, "random points have none", "random"); err != nil {
			return err
		}
		j.ofRows.Radii = radii
		if save != "" {
			if _, err := os.Lstat(save); err == nil && !j.force {
				return usagef("--save-frame: %s exists; --force replaces it", save)
			}
			if err := keep(save, append(args, frame)); err != nil {
				return err
			}
		}
		if err := plot.check(j.output, j.force, args...); err != nil {
			return err
		}
		j.array, j.vertices = "count", true
		j.settings = map[string]any{"radius": radii, "sign3": sign3, "include_centre": centre}
		if around != "" {
			j.settings["frame_input"] = around
		}
		j.attach = func(m *onnx.Model, sample []int) (*probes.Plan, error) {
			precise = m
			return probes.Attach(m, probes.AttachOptions{Sites: j.siteOptions(), Sample: sample, Sign3: sign3})
		}
		j.use = func(r *probes.Prober, ds dataset.Dataset, to result.Sink, o probes.RunOptions) (result.Summary, error) {
			shape, err := r.Plan.FrameShape(around)
			if err != nil {
				return result.Summary{}, usagef("--frame-input: %w", err)
			}
			if n := tensor.Count(shape); !fs.Changed("directions") && n < directions {
				directions = n // of a box there are 4
			}
			f, err := openFrame(frame, directions, shape, j.seed)
			if err == nil && save != "" {
				err = saveFrame(save, f)
			}
			if err != nil {
				return result.Summary{}, err
			}
			j.settings["frame"] = map[string]any{"file": frame, "directions": f.Directions, "sha256": f.SHA256()}
			nb := probes.Neighborhood{Frame: f, Radii: radii, Centre: centre, Input: around}
			if parts := j.others.parts; parts != nil {
				if around != "" {
					return result.Summary{}, usagef("--region-frame does not go with --frame-input")
				}
				nb.Each = func(it dataset.Item) (*probes.Frame, error) { return parts.Frame(it, f) }
			}
			if maps != "" {
				if to, err = j.regions.maps(c, precise, r.Plan, ds, to, maps); err != nil {
					return result.Summary{}, err
				}
			}
			return r.Write(c.Context(), ds, to, o, probes.ComplexityColumns{Neighborhood: nb, Changed: j.regions.path != "" || maps != ""})
		}
		results := []string{j.output}
		if maps != "" {
			results = append(results, maps)
		}
		return plot.file(c, j.run(c, args, nil), results...)
	}
	return c
}
