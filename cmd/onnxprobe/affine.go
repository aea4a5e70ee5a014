package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/partition"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

func newAffine() *cobra.Command {
	var j job
	var index int
	var rows []int
	var all bool
	var value, by string
	var feed feedFlags
	var plot plotFlag
	c := &cobra.Command{
		Use:   "affine MODEL IMAGE [-o FILE]",
		Short: "The affine map of an item's linear region",
		Long: `Inside the linear region that holds an item x, row k of the model's first output is
exactly <A_k, x> + b_k. affine finds rows of A and b (that of the largest output unless
told), and how far it is from x to the boundaries along the unit direction A_k / |A_k|, in
which the row grows fastest, and against it: for each site where the first unit reaches a
knot, for each max-pooling where a window takes another element. The nearest boundary of
all sites is exact; those behind it are where they would be if the map went on.

The map is checked: half way to the nearest boundaries the network has to equal it, and
just beyond them the unit that was predicted has to change sides. Where a network is not
piecewise linear (GELU, Softmax, products of activations) the map is its tangent, and that
is said. An item on a boundary, such as a picture whose flat parts give a max-pooling
several largest elements, has the map of one of the regions that meet there, and that is
said too. Items are float32, as everywhere, and all that follows is computed in float64
unless --precision says otherwise. A .npz file gets weight [rows, sample...], bias, value,
norm, row and input; a .npy file the weight alone.`,
		Example: `  onnxprobe affine mnist.onnx seven.png --preprocess mnist
  onnxprobe affine resnet18.onnx dog.jpg --preprocess imagenet --row 207 --row 208 -o dog.npz
  onnxprobe affine mlp.onnx inputs.npy --index 3 --all --json
  onnxprobe affine squeezenet.onnx dog.jpg --preprocess imagenet --value pool10_1
  onnxprobe affine regionblip.onnx dog.jpg --preprocess regionblip --input box=0.1,0.1,0.6,0.9 --frame-input box
  onnxprobe affine mlp.onnx --random 1 --seed 7 --plot boundaries.svg`,
		Args: atLeast(1, "a model and one item"),
	}
	fs := c.Flags()
	j.modelFlags.add(fs)
	fs.StringArrayVar(&j.sites, "sites", nil, "report only the sites whose name matches `GLOB` (repeatable); all bound the region")
	j.addBackend(fs)
	j.addOptions(fs)
	j.addAllowRandom(fs)
	j.dataFlags.add(fs)
	j.addRandom(fs)
	feed.add(fs, &j.modelFlags, &j.dataFlags)
	fs.StringVar(&by, "frame-input", "", "find the map by this input of the model, a `NAME`, such as its box; the others are held. By default by the one that the data goes into")
	fs.StringVar(&j.precision, "precision", "float64", "float64 widens the whole model first; float32 runs a float32 model as it is")
	fs.IntVar(&index, "index", -1, "which item of the data to take, counted from 0, where there are several")
	fs.IntSliceVar(&rows, "row", nil, "row `K` of the output, counted from 0 (repeatable); the direction is that of the first")
	fs.StringVar(&value, "value", "", "find the map of this value of the graph, a `NAME`, instead of the first output: the logits before a Softmax")
	fs.BoolVar(&all, "all", false, "find all rows; the direction is that of the largest")
	fs.StringVarP(&j.output, "output", "o", "", "write the map to a .npz or .npy `FILE`")
	fs.BoolVar(&j.force, "force", false, "replace an existing result")
	fs.Uint64Var(&j.seed, "seed", 0, "seed of --random")
	plot.add(fs)
	c.RunE = func(c *cobra.Command, args []string) error {
		if all && len(rows) > 0 {
			return usagef("give --row or --all, not both")
		}
		if err := feed.check(fs.Changed); err != nil {
			return err
		}
		if err := checkMapFile(j.output, j.force, args); err != nil {
			return err
		}
		if err := plot.check(j.output, j.force, args...); err != nil {
			return err
		}
		d, eo, err := j.differentiator(c)
		if err != nil {
			return err
		}
		m, err := j.load(args[0])
		if err != nil {
			return err
		}
		if j.precision == "float32" {
			if _, err := j.precise(m); err != nil {
				return err
			}
		}
		if value != "" && m.Graph.Index().Maker[value] == nil {
			return usagef("--value %q: no node of the model makes a value of that name; the last that they make: %s", value, strings.Join(lastValues(m), ", "))
		}
		sample, err := j.sample(m)
		if err != nil {
			return err
		}
		v, ports, err := probes.Inputs(m)
		if err != nil {
			return err
		}
		if by != "" && by != v.Name {
			if _, err := portNamed("frame-input", by, ports); err != nil {
				return err
			}
		}
		feed.regions.model.on(d, eo)
		defer feed.regions.model.Close()
		j.dataFlags.seed = j.seed
		ds, sample, err := j.open(c, m, args[1:], sample)
		if err != nil {
			return err
		}
		x, item, ds, err := takeOne(ds, index, c.Flags().Changed("index"))
		if err != nil {
			return err
		}
		mp, err := partition.Open(c.Context(), m, d, eo, partition.Options{Sites: j.sites, Sample: sample, Input: by, Output: value, Float32: j.precision == "float32"})
		if err != nil {
			return err
		}
		defer mp.Close()
		noteRandom(c, m)
		x, held := heldBeside(ds, x, v.Name, by)
		a, err := mp.At(c.Context(), x, partition.Query{Rows: rows, All: all, Held: held})
		var row *partition.RowError
		var size *partition.SizeError
		switch {
		case errors.As(err, &row):
			return usagef("--row %d: %w", row.Row, err)
		case errors.As(err, &size):
			return usageError{err}
		}
		if err != nil {
			return err
		}
		if j.output != "" {
			p := probes.Prober{Plan: mp.Plan, Batch: 1, Backend: d, Options: eo}
			mf, err := p.NewManifest(m)
			if err != nil {
				return err
			}
			data := manifestData(ds, j.random > 0)
			mf.Kind, mf.Command, mf.Dataset, mf.Summary = c.Name(), commandLine(c), &data, result.Summary{Items: 1}
			settings := map[string]any{"item": item.ID, "index": max(index, 0), "seed": j.seed, "exif": j.exif, "map": a}
			for name, said := range feed.others.settings {
				settings[name] = said
			}
			if by != "" {
				settings["frame_input"] = by
			}
			if j.random > 0 {
				settings["random"], settings["low"], settings["high"] = j.random, j.low, j.high
			}
			mf.Settings = settings
			if err := saveMap(j.output, j.force, mf, a, x, mp.Shape()); err != nil {
				return err
			}
		}
		shown := partition.Printed{Model: args[0], Item: item.ID, File: j.output, Affine: a}
		var done error
		if j.json {
			e := json.NewEncoder(c.OutOrStdout())
			e.SetIndent("", "  ")
			done = e.Encode(shown)
		} else {
			printAffine(c.OutOrStdout(), a)
		}
		return plot.printed(c, done, item.ID, shown)
	}
	return c
}

// lastValues names the values that the last nodes make, the last first: what lies
// before a Softmax is among them.
func lastValues(m *onnx.Model) (names []string) {
	for _, n := range slices.Backward(m.Graph.Nodes) {
		for _, o := range n.Outputs {
			if o != "" && len(names) < 8 {
				names = append(names, strconv.Quote(o))
			}
		}
	}
	return names
}

// checkMapFile reports what is wrong with -o before anything is loaded.
func checkMapFile(path string, force bool, inputs []string) error {
	if path == "" {
		return nil
	}
	if ext := strings.ToLower(filepath.Ext(path)); ext != ".npz" && ext != ".npy" {
		return usagef("writing %q: extension %q names no format; use .npz, or .npy for the weight alone", path, ext)
	}
	if _, err := os.Lstat(path); err == nil && !force {
		return usagef("%s exists; --force replaces it", path)
	}
	return keep(path, inputs)
}

// takeOne reads the one item of a dataset that was asked for.
func takeOne(ds dataset.Dataset, index int, chosen bool) ([]float64, dataset.Item, dataset.Dataset, error) {
	n := ds.Len()
	switch {
	case !chosen && n != 1:
		return nil, dataset.Item{}, nil, usagef("affine takes one item, and the data has %d; choose one with --index 0 to %d", n, n-1)
	case chosen && (index < 0 || index >= n):
		return nil, dataset.Item{}, nil, usagef("--index %d: the data has %s, counted from 0", index, count(n, "item"))
	case chosen:
		var err error
		if ds, err = dataset.Range(ds, index, index+1); err != nil {
			return nil, dataset.Item{}, nil, err
		}
	}
	f := make([]float32, tensor.Count(ds.Shape()))
	if err := ds.Sample(0, f); err != nil {
		return nil, dataset.Item{}, nil, err
	}
	x := make([]float64, len(f))
	for i, v := range f {
		x[i] = float64(v)
	}
	return x, ds.Item(0), ds, nil
}

// heldBeside is, of one item, the input by which the map is found and, by name, what the
// others are held at. x is the item's sample, which goes into the input named data.
func heldBeside(ds dataset.Dataset, x []float64, data, by string) ([]float64, map[string]*tensor.Tensor) {
	held := map[string]*tensor.Tensor{data: tensor.Of(x, append([]int{1}, ds.Shape()...)...)}
	for _, s := range dataset.Sides(ds) {
		held[s.Name] = s.Rows.Rows(0, 1)
	}
	if by != "" && by != data {
		x = held[by].Float64s()
	}
	return x, held
}

// saveMap writes the map with its manifest beside it.
func saveMap(path string, force bool, mf *result.Manifest, a *partition.Affine, x []float64, sample []int) error {
	n := len(a.Rows)
	weight := tensor.Of(a.Weight, append([]int{n}, sample...)...)
	return save(path, force, mf, func(w io.Writer) error {
		if strings.EqualFold(filepath.Ext(path), ".npy") {
			return tensor.WriteNpy(w, weight)
		}
		rows := make([]int64, n)
		for i, k := range a.Rows {
			rows[i] = int64(k)
		}
		return tensor.WriteNpz(w, tensor.Named{Name: "weight", Array: weight}, tensor.Named{Name: "bias", Array: tensor.Of(a.Bias, n)},
			tensor.Named{Name: "value", Array: tensor.Of(a.Value, n)}, tensor.Named{Name: "norm", Array: tensor.Of(a.Norm, n)},
			tensor.Named{Name: "row", Array: tensor.Of(rows, n)}, tensor.Named{Name: "input", Array: tensor.Of(x, sample...)})
	})
}

func printAffine(w io.Writer, a *partition.Affine) {
	rows := [][]string{{"ROW", "VALUE", "NORM", "BIAS"}}
	for i, k := range a.Rows {
		rows = append(rows, []string{fmt.Sprint(k), fmt.Sprintf("%.6g", a.Value[i]), fmt.Sprintf("%.6g", a.Norm[i]), fmt.Sprintf("%.6g", a.Bias[i])})
	}
	table(w, rows)
	along := fmt.Sprintf("row %d of %q", a.Along, a.Output)
	if a.Along == a.Largest && a.Direction != nil {
		along += ", the largest,"
	}
	switch {
	case a.Direction == nil:
		fmt.Fprintf(w, "\nThe weight of %s is 0: it grows in no direction, along which to look for boundaries. Choose another with --row.\n", along)
	case len(a.Sites) == 0:
		fmt.Fprintf(w, "\nThe network has no site, hence no boundary to look for along the direction in which %s grows fastest.\n", along)
	default:
		fmt.Fprintf(w, "\nDistances to boundaries along the direction in which %s grows fastest:\n\n", along)
		table(w, distances(a.Sites))
	}
	if a.Check != nil {
		fmt.Fprintf(w, "\nThe map held against the network (differences relative to the largest output or bias, bends to the row's norm):\n\n")
		table(w, checks(a.Check))
	}
	for _, s := range verdict(a) {
		fmt.Fprintf(w, "\n%s\n", s)
	}
}

func distances(sites []partition.Distance) [][]string {
	rows := [][]string{{"SITE", "AHEAD", "UNIT", "BEHIND", "UNIT"}}
	for _, s := range sites {
		row := []string{s.Site}
		for _, c := range []*partition.Crossing{s.Ahead, s.Behind} {
			if c == nil {
				row = append(row, "none", "")
			} else {
				row = append(row, fmt.Sprintf("%.6g", c.Distance), fmt.Sprint(c.Index))
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func checks(c *partition.Check) [][]string {
	rows := [][]string{{"POINT", "DISTANCE", "DIFFERENCE", "BEND", "UNITS CHANGED"}}
	row := func(point string, at, apart float64, bend, changed string) {
		rows = append(rows, []string{point, fmt.Sprintf("%.6g", at), relative(apart), bend, changed})
	}
	for _, s := range c.Sides {
		b := s.Beyond
		if b == nil {
			row(s.Side+", no boundary", s.At, s.Error, "", fmt.Sprint(s.Changed))
			continue
		}
		changed := fmt.Sprintf("%d, as predicted", b.Changed)
		if b.Changed != b.Tied || b.Crossed != b.Tied {
			changed = fmt.Sprintf("%d, with %d of %d predicted", b.Changed, b.Crossed, b.Tied)
		}
		row(s.Side+", half way", s.At, s.Error, "", fmt.Sprint(s.Changed))
		row(s.Side+", beyond", b.At, b.Error, relative(b.Bend), changed)
	}
	return rows
}

// relative is a difference for people; the largest number stands for one that is
// not finite.
func relative(v float64) string {
	if v == math.MaxFloat64 {
		return "infinite"
	}
	return fmt.Sprintf("%.2g", v)
}

// verdict says in sentences how far the map is to be trusted.
func verdict(a *partition.Affine) (s []string) {
	say := func(format string, args ...any) { s = append(s, fmt.Sprintf(format, args...)) }
	if n := a.OnKnot; n > 0 {
		say("%s %s exactly on a knot (which counts as not above it) or with several largest elements (the first counts). Unless that is so all around it, the item lies on a boundary, and the map is that of one of the regions that meet there.", count(n, "unit"), are(n))
	}
	if c := a.Check; c != nil {
		for _, side := range c.Sides {
			if side.Changed > 0 {
				say("%s changed before the boundary %s, so another is nearer than the one that was found.", count(side.Changed, "unit"), side.Side)
			}
			if side.Beyond != nil && side.Beyond.Crossed == 0 {
				say("The boundary %s was not seen to be crossed: rounding hides it.", side.Side)
			}
		}
	}
	switch c := a.Check; {
	case len(a.Bent) > 0:
		say("Not exact: the network is not piecewise linear, so this is its tangent. What bends: %s.", some(a.Bent))
	case a.Direction == nil:
	case c == nil:
		say("There is a boundary at distance 0 both ways, so there is nothing to check the map on.")
	case c.Exact:
		say("Exact: inside the region the map is the network, to within %.0e.", c.Tolerance)
	default:
		say("Not exact: inside the region the map and the network differ by %s, more than the %.0e of rounding.", relative(c.Error), c.Tolerance)
	}
	if len(a.Unwatched) > 0 {
		say("These have boundaries that were not looked for, since they are no sites: %s.", some(a.Unwatched))
	}
	return s
}

// some joins the first few names.
func some(names []string) string {
	const most = 8
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
