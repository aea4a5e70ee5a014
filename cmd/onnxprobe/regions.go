package main

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/probes/region"
	"github.com/onnxprobe/onnxprobe/probes/region/annotate"
	"github.com/onnxprobe/onnxprobe/probes/region/locate"
	"github.com/onnxprobe/onnxprobe/probes/region/survey"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// regionsFlags say what becomes of the regions of pictures.
type regionsFlags struct {
	modelFlags
	engineFlags
	dataFlags
	regions                    regionFlags
	truth, truthForm           string
	output, form, draw         string
	iou                        float64
	anyLabel, byPicture, force bool
}

func newRegions() *cobra.Command {
	var f regionsFlags
	c := command("regions", atLeast(1, "pictures"))
	fs := c.Flags()
	f.regions.add(fs)
	_ = fs.MarkHidden("region-rule") // is of units, and there are none
	f.regions.model.of(&f.modelFlags, &f.dataFlags)
	f.addBackend(fs)
	f.addOptions(fs)
	f.addAllowRandom(fs)
	fs.StringVar(&f.truth, "truth", "", "")
	fs.StringVar(&f.truthForm, "truth-format", "auto", "")
	fs.Float64Var(&f.iou, "iou", 0.9, "")
	fs.BoolVar(&f.anyLabel, "any-label", false, "")
	fs.BoolVar(&f.byPicture, "by-picture", false, "")
	fs.StringVarP(&f.output, "output", "o", "", "")
	fs.StringVar(&f.form, "output-format", "auto", "")
	fs.StringVar(&f.draw, "draw", "", "")
	all := pflag.NewFlagSet("all", pflag.ContinueOnError)
	f.modelFlags.add(all)
	f.dataFlags.add(all)
	for _, name := range []string{"allow-links", "json", "format", "column", "layout", "pixels", "exif", "max-pixels", "limit"} {
		fs.AddFlag(all.Lookup(name))
	}
	fs.BoolVar(&f.force, "force", false, "")
	c.RunE = func(c *cobra.Command, args []string) error { return f.run(c, args) }
	return c
}

// check reports flags that do not go together, and finds what is written.
func (f *regionsFlags) check(c *cobra.Command, args []string) (out annotate.Output, err error) {
	changed := c.Flags().Changed
	if f.regions.path == "" {
		return out, usagef("say which regions: --regions FILE, DIR, slic:N, lines, boxes:MODEL or labels:MODEL; see %s --help", c.CommandPath())
	}
	if changed("region-rule") {
		return out, usagef("--region-rule is of the units of a network; codes, complexity and hash have it")
	}
	if err := f.regions.check(changed); err != nil {
		return out, err
	}
	for _, name := range []string{"truth-format", "iou", "any-label"} {
		if f.truth == "" && changed(name) {
			return out, usagef("--%s goes with --truth", name)
		}
	}
	if !(f.iou > 0 && f.iou <= 1) {
		return out, usagef("--iou %g: an IoU is above 0 and at most 1", f.iou)
	}
	if f.limit < 0 || f.maxPixels < 0 {
		return out, usagef("--limit and --max-pixels are 0 or more")
	}
	if f.output == "" {
		if changed("output-format") || f.force {
			return out, usagef("--output-format and --force go with -o")
		}
		return out, nil
	}
	if out, err = annotate.OutputOf(f.output, f.form); err != nil {
		return out, usagef("%w (--output-format NAME)", err)
	}
	return out, f.writable(out, args)
}

// writable reports an output that cannot be written to.
func (f *regionsFlags) writable(out annotate.Output, args []string) error {
	switch entries, err := os.ReadDir(f.output); {
	case f.output == "-":
		if out.Folder() || f.json {
			return usagef("-o -: want a format of one file, and no --json beside it")
		}
	case out.Folder():
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return usageError{err}
		}
		if len(entries) > 0 {
			return usagef("the folder %s is not empty; %s is written to a new one", f.output, out.Name)
		}
	case err == nil:
		return usagef("%s is a folder; %s is written to a file", f.output, out.Name)
	default:
		if err := newFile(f.output, f.force); err != nil {
			return usageError{err}
		}
	}
	return keep(f.output, append([]string{f.regions.path, f.truth}, args...))
}

func (f *regionsFlags) run(c *cobra.Command, args []string) error {
	out, err := f.check(c, args)
	if err != nil {
		return err
	}
	r := &regionsRun{regionsFlags: f, c: c, settings: map[string]any{},
		Survey: survey.Survey{Draw: f.draw, Singly: f.byPicture}}
	if !f.regions.model.asked() {
		if err := idleLimits(c.Flags().Changed, "with --regions boxes:MODEL and labels:MODEL"); err != nil {
			return err
		}
	} else {
		b, o, err := f.choose(c)
		if err != nil {
			return err
		}
		f.regions.model.on(b, o)
		defer f.regions.model.Close()
	}
	if err := r.open(args); err != nil {
		return err
	}
	switch {
	case f.output == "":
		err = r.each(func(annotate.Picture) error { return nil })
	case f.output == "-":
		err = r.write(out.To(c.OutOrStdout()))
	case out.Folder():
		err = result.MakeFolder(f.output, r.manifest(), func(dir string) error { return r.write(out.In(dir)) })
	default:
		err = save(f.output, f.force, r.manifest(), func(w io.Writer) error { return r.write(out.To(w)) })
	}
	if err != nil {
		return err
	}
	return r.finish()
}

// regionsRun is a run over pictures.
type regionsRun struct {
	*regionsFlags
	c        *cobra.Command
	settings map[string]any
	survey.Survey
}

// open opens the pictures and their regions.
func (r *regionsRun) open(args []string) (err error) {
	p := picture.Preprocess{Resize: picture.Resize{Mode: picture.Exact, Size: picture.Size{H: 1, W: 1}}} // any picture has a place then; none is resized
	o := dataset.Options{Format: r.dataFlags.format, Layout: r.layout, Preprocess: &p, EXIF: r.exif,
		Pixels: r.pixels, MaxPixels: r.maxPixels, Column: r.column, Stdin: r.c.InOrStdin()}
	if r.Pictures, err = dataset.Open(args, o); err != nil {
		return err
	}
	if err := dataset.Unused(r.Pictures, o); err != nil {
		return usageError{err}
	}
	noteSources(r.c, r.Pictures)
	if r.limit > 0 && r.limit < r.Pictures.Len() {
		if r.Pictures, err = dataset.Range(r.Pictures, 0, r.limit); err != nil {
			return err
		}
	}
	if err := r.regions.read(r.c, r.settings); err != nil {
		return err
	}
	r.Format = r.regions.set.Format
	r.Use(r.regions.set)
	if r.Found, err = r.regions.source(r.c, r.Pictures); err != nil {
		return err
	}
	if r.truth != "" {
		if err := r.openTruth(); err != nil {
			return err
		}
	}
	if r.draw != "" {
		return os.MkdirAll(r.draw, 0o777)
	}
	return nil
}

// openTruth reads the true regions, with the flags of the others.
func (r *regionsRun) openTruth() (err error) {
	t := r.regions
	t.path, t.form, t.method, t.model = r.truth, r.truthForm, nil, nil
	settings := map[string]any{}
	if err := t.read(r.c, settings); err != nil {
		return err
	}
	r.settings["truth"] = settings["regions"]
	r.Use(t.set)
	r.Truth, r.IoU = t.set.Format, r.iou
	r.AnyLabel = r.anyLabel || r.regions.method != nil // whose labels are its own
	r.True, err = t.source(r.c, r.Pictures)
	return err
}

// manifest says how the regions came about.
func (r *regionsRun) manifest() any {
	data := result.DataOf(r.Pictures)
	data.Shape = nil // pictures are taken as they are
	for i := range data.Sources {
		data.Sources[i].Preprocess = nil
	}
	m := result.NewManifest("regions", commandLine(r.c))
	m.Dataset, m.Settings = &data, r.settings
	return m
}

// write writes the regions of all pictures.
func (r *regionsRun) write(w *annotate.Writer) error {
	if err := r.each(w.Write); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	if r.NotHeld = w.Lost(); len(r.NotHeld) == 0 {
		return nil
	}
	r.settings["not_held"] = r.NotHeld
	note(r.c, "what is written does not hold: %s", r.NotHeld)
	if r.NotHeld[annotate.IDLost] > 0 {
		note(r.c, "--draw, and codes with the same --regions, have the ids of the picture")
	}
	return nil
}

// each calls use with the regions of each picture that can be read. It is an error when
// none can be.
func (r *regionsRun) each(use func(annotate.Picture) error) error {
	progress, done := progress(r.c, r.Pictures.Len(), "regions")
	defer done()
	r.Progress = progress
	sum, err := r.Run(r.c.Context(), use)
	if about, ok := r.settings["regions"].(map[string]any); ok && r.regions.found() {
		locate.SayFound(func(format string, args ...any) { note(r.c, format, args...) }, r.regions.path, about, region.LeftOut(r.Found), region.Noted(r.Found))
	}
	if err == nil && sum.Items > 0 && sum.Failed == sum.Items {
		return noneUsed{sum, "picture"}
	}
	return err
}

// finish prints what came of it; faults end the program with 3.
func (r *regionsRun) finish() error {
	if r.json || r.output != "-" {
		err := show(r.c, r.json, &r.Survey, func(w io.Writer) { r.Print(w, "--json") })
		if err != nil {
			return err
		}
	}
	if r.Strangers() {
		note(r.c, "no label of --truth is among those of --regions; --any-label compares regions whatever their labels")
	}
	if err := r.Unused(); err != nil {
		return partly{err}
	}
	return nil
}
