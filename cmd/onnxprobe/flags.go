package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/backends"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/engine/ort/install"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/site"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

// modelFlags say how a model is read and where it is probed.
type modelFlags struct {
	sites            []string
	maxPool, gemm    bool
	strictSites      bool
	inputSize        string
	allowLinks, json bool
}

func (f *modelFlags) addSites(fs *pflag.FlagSet) {
	fs.StringArrayVar(&f.sites, "sites", nil, "")
	fs.BoolVar(&f.maxPool, "include-maxpool", false, "")
	fs.BoolVar(&f.strictSites, "strict-sites", false, "")
	fs.BoolVar(&f.gemm, "include-gemm", false, "")
}

func (f *modelFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.inputSize, "input-size", "", "")
	fs.BoolVar(&f.allowLinks, "allow-links", false, "")
	fs.BoolVar(&f.json, "json", false, "")
}

func (f *modelFlags) siteOptions() site.Options {
	return site.Options{Globs: f.sites, MaxPool: f.maxPool, Gemm: f.gemm, Strict: f.strictSites}
}

func (f *modelFlags) load(path string) (*onnx.Model, error) {
	return onnx.LoadWith(path, onnx.LoadOptions{AllowLinks: f.allowLinks})
}

// sample is the shape given by --input-size, completed from the model's
// declaration; nil leaves it to the model.
func (f *modelFlags) sample(m *onnx.Model) ([]int, error) {
	if f.inputSize == "" {
		return nil, nil
	}
	v, _, err := probes.Inputs(m)
	if err != nil {
		return nil, err
	}
	shape, err := probes.ParseSample(v, f.inputSize)
	if err != nil {
		return nil, usagef("--input-size %w", err)
	}
	return shape, nil
}

// engineFlags choose the engine.
type engineFlags struct {
	backend, device, library, optimize string
	isolate, maxMemory, timeout        string
	precision                          string // "" is the model's own
	threads, batch                     int
	noArena, allowRandom               bool
	// several lets --device list devices, which devices then holds.
	several bool
	devices []engine.Device
	gpuFlags
}

func (f *engineFlags) addPrecision(fs *pflag.FlagSet) {
	fs.StringVar(&f.precision, "precision", "", "")
}

func (f *engineFlags) addBatch(fs *pflag.FlagSet) {
	fs.IntVar(&f.batch, "batch", 0, "")
}

func (f *engineFlags) addBackend(fs *pflag.FlagSet) {
	fs.StringVar(&f.backend, "backend", backends.Auto, "")
}

func (f *engineFlags) addOptions(fs *pflag.FlagSet) {
	fs.StringVar(&f.device, "device", "cpu", "")
	fs.StringVar(&f.library, "library", "", "")
	fs.IntVar(&f.threads, "threads", 0, "")
	fs.BoolVar(&f.noArena, "no-arena", false, "")
	fs.StringVar(&f.optimize, "optimize", "", "")
	f.addIsolation(fs)
	f.gpuFlags.add(fs)
}

func (f *engineFlags) addAllowRandom(fs *pflag.FlagSet) {
	fs.BoolVar(&f.allowRandom, "allow-random", false, "")
}

// noteRandom says it of a model that was allowed to.
func noteRandom(c *cobra.Command, m *onnx.Model) {
	if n := engine.RandomNote(m.RandomNodes()); n != "" {
		note(c, "%s", n)
	}
}

func (f *engineFlags) options() (engine.Options, error) {
	if names := backends.Names(); !slices.Contains(names, f.backend) { // of a setting of compare
		return engine.Options{}, usagef("no engine is called %q; the choices are %s", f.backend, strings.Join(names, ", "))
	}
	if err := f.parseDevices(); err != nil {
		return engine.Options{}, err
	}
	if f.threads < 0 || f.batch < 0 {
		return engine.Options{}, usagef("--threads and --batch are 0 or more")
	}
	if !slices.Contains([]string{"", "all", "extended", "basic", "none"}, f.optimize) {
		return engine.Options{}, usagef("--optimize %q; the levels are all, extended, basic and none", f.optimize)
	}
	if f.precision != "" && !slices.Contains(probes.Precisions, f.precision) {
		return engine.Options{}, usagef("--precision %q; the precisions are %s", f.precision, strings.Join(probes.Precisions, " and "))
	}
	o := engine.Options{Threads: f.threads, Device: f.devices[0], Library: f.library, NoArena: f.noArena, Optimize: f.optimize, AllowRandom: f.allowRandom}
	if err := f.bound(&o); err != nil {
		return o, err
	}
	return o, f.gpuFlags.set(&o)
}

// parseDevices reads --device.
func (f *engineFlags) parseDevices() (err error) {
	if !f.several {
		d, err := engine.ParseDevice(f.device)
		if err != nil && (strings.Contains(f.device, ",") || f.device == "cuda:all") {
			err = fmt.Errorf("--device %s: this takes one device; codes, complexity, run, hash and bench take several", f.device)
		}
		if f.devices = []engine.Device{d}; err != nil {
			return usageError{err}
		}
		return nil
	}
	f.devices, err = backends.Devices(f.device)
	var none *engine.UnavailableError
	if err != nil && !errors.As(err, &none) {
		return usageError{err}
	}
	return err
}

// deviceList names the devices as Prober.Devices does.
func (f *engineFlags) deviceList() string {
	return strings.Join(namesOf(f.devices, engine.Device.String), ",")
}

// choose finds the engine; auto says on standard error which it took.
func (f *engineFlags) choose(c *cobra.Command) (engine.Backend, engine.Options, error) {
	return f.request(c, backends.Request{Float64: f.precision == "float64"})
}

// differentiator finds an engine that gives derivatives.
func (f *engineFlags) differentiator(c *cobra.Command) (engine.Differentiator, engine.Options, error) {
	b, o, err := f.request(c, backends.Request{Derivatives: true})
	if err != nil {
		return nil, o, err
	}
	return b.(engine.Differentiator), o, nil
}

func (f *engineFlags) request(c *cobra.Command, r backends.Request) (engine.Backend, engine.Options, error) {
	o, err := f.options()
	if err != nil {
		return nil, o, err
	}
	r.Name, r.Options, r.Isolate = f.backend, o, f.mode()
	r.Limits = f.limits(o)
	b, err := backends.Choose(r)
	if misfit := new(backends.RequestError); errors.As(err, &misfit) {
		able := strings.Join(misfit.Able, " or ")
		if misfit.Option == "" {
			return nil, o, usagef("the engine %s gives no derivatives; take --backend %s", misfit.Backend, able)
		}
		return nil, o, usagef("%s is ONNX Runtime's, and the engine %s has "+
			"no use for it; leave it out, or take --backend %s", optionFlags[misfit.Option], misfit.Backend, able)
	}
	if err != nil {
		return nil, o, err
	}
	if f.backend == backends.Auto {
		in := ""
		if f.precision != "" {
			in = " in " + f.precision
		}
		note(c, "engine: %s %s on %s%s", b.Name(), b.Version(), f.deviceList(), in)
		if first := (ort.Backend{}); ort.Built && !r.Float64 && !r.Derivatives && b.Name() != first.Name() && len(install.Find("")) > 0 {
			note(c, "%s", withFlags(first.Available(o))) // a library is there and was passed over
		}
	}
	noteLibrary(c, b)
	f.noteIsolation(c, b)
	return b, o, nil
}

// optionFlags are the flags of the options that a backends.RequestError names.
var optionFlags = map[string]string{"Library": "--library", "Optimize": "--optimize", "NoArena": "--no-arena"}

// refused adds to an engine's refusal of a model widened to float64 which engine
// to try; a model that is not in the precision that was said is wrong usage.
func refused(err error, wide bool) error {
	var other *probes.PrecisionError
	if errors.As(err, &other) {
		return usagef("--precision float32 asserts that the model is in float32, and its input %q is %s; "+
			"leave --precision out, or take float64", other.Input, other.DType)
	}
	var large *probes.SketchError
	if errors.As(err, &large) {
		return usageError{err}
	}
	var u *engine.UnsupportedError
	if wide && errors.As(err, &u) && u.Backend != backends.Float64 {
		return fmt.Errorf("%w; for float64 try the engine %s", err, backends.Float64)
	}
	return err
}

// precise is m in the precision that was asked for.
func (f *engineFlags) precise(m *onnx.Model) (*onnx.Model, error) {
	m, err := probes.Precise(m, f.precision)
	return m, refused(err, false)
}

// batchFor is the batch size of a run over samples of a shape: as asked, or by it, but no
// more than there are items, where that is known and not 0: padding takes as long as they do.
func (f *engineFlags) batchFor(sample []int, items int) int {
	n := cmp.Or(f.batch, probes.BatchFor(sample))
	if f.batch == 0 && items > 0 {
		n = min(n, items)
	}
	return n
}

// namesOf are the names of the rows of a table.
func namesOf[T any](rows []T, name func(T) string) (all []string) {
	for _, r := range rows {
		all = append(all, name(r))
	}
	return all
}

func quiet(c *cobra.Command) bool {
	q, _ := c.Flags().GetBool("quiet")
	return q
}

// note tells the user something on standard error.
func note(c *cobra.Command, format string, args ...any) {
	if !quiet(c) {
		fmt.Fprintln(c.ErrOrStderr(), text.Message(fmt.Sprintf(format, args...)))
	}
}

// noteOnce is note of what several parts of a run may each have to say.
func noteOnce(c *cobra.Command, line string) {
	if c.Annotations[line] != "" {
		return
	}
	if c.Annotations == nil {
		c.Annotations = map[string]string{}
	}
	c.Annotations[line] = "said"
	note(c, "%s", line)
}

// elapsed reports a finished run.
func elapsed(c *cobra.Command, s result.Summary, start time.Time, unit string) {
	d := time.Since(start)
	note(c, "%s in %s, %.4g a second", text.Count(s.Items, unit), d.Round(time.Millisecond), float64(s.Items)/d.Seconds())
	noteWarnings(c, s.Warnings)
}

func noteWarnings(c *cobra.Command, ws result.Warnings) {
	for _, w := range ws {
		note(c, "warning: %s", w)
	}
}
