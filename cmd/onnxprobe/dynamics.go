package main

import (
	"cmp"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/onnxprobe/onnxprobe/engine/backends"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes/attack"
	"github.com/onnxprobe/onnxprobe/probes/dynamics"
)

// parseRatio reads 0.03 or 8/255.
func parseRatio(flag, s string) (float64, error) {
	over, under, divided := strings.Cut(s, "/")
	a, err := strconv.ParseFloat(over, 64)
	b := 1.0
	if err == nil && divided {
		b, err = strconv.ParseFloat(under, 64)
	}
	if v := a / b; err == nil && v > 0 && !math.IsInf(v, 0) {
		return v, nil
	}
	return 0, usagef("--%s %q: want a positive number such as 0.03 or 8/255", flag, s)
}

// followFlags are those of dynamics alone.
type followFlags struct {
	studyFlags
	radii                    []float64
	directions, points       int
	sign3, centre, bySite    bool
	frame, logits            string
	seed                     uint64
	fragile                  float64
	norm, epsilon, step      string
	iterations, attackPoints int
	noStart                  bool
}

func (f *followFlags) add(fs *pflag.FlagSet) {
	f.studyFlags.add(fs)
	fs.Float64SliceVar(&f.radii, "radius", []float64{0.005}, "")
	fs.IntVar(&f.directions, "directions", 20, "")
	fs.StringVar(&f.frame, "frame", "", "")
	fs.BoolVar(&f.sign3, "sign3", false, "")
	fs.BoolVar(&f.centre, "include-center", false, "")
	fs.IntVar(&f.points, "points", 1024, "")
	fs.IntVar(&f.random, "random-points", 0, "")
	fs.Float64Var(&f.low, "low", 0, "")
	fs.Float64Var(&f.high, "high", 1, "")
	fs.Uint64Var(&f.seed, "seed", 0, "")
	fs.Float64Var(&f.fragile, "fragile", 0, "")
	fs.StringVar(&f.logits, "value", "", "")
	fs.BoolVar(&f.bySite, "by-site", false, "")
	fs.StringVar(&f.norm, "attack", "", "")
	fs.StringVar(&f.epsilon, "epsilon", "8/255", "")
	fs.StringVar(&f.step, "attack-step", "", "")
	fs.IntVar(&f.iterations, "attack-iterations", 10, "")
	fs.IntVar(&f.attackPoints, "attack-points", 1000, "")
	fs.BoolVar(&f.noStart, "attack-no-start", false, "")
}

func (f *followFlags) check(c *cobra.Command) error {
	if err := cmp.Or(f.studyFlags.check(), distance("fragile", f.fragile)); err != nil {
		return err
	}
	for i, r := range f.radii {
		if !(r > 0) || math.IsInf(r, 0) || slices.Contains(f.radii[:i], r) {
			return usagef("--radius %g: radii are positive, finite, and given once", r)
		}
	}
	switch {
	case f.points < 0 || f.random < 0 || f.attackPoints < 0:
		return usagef("--points, --random-points and --attack-points are 0 or more")
	case f.random > 0 && (!(f.low < f.high) || math.IsInf(f.high-f.low, 0)):
		return usagef("--low %g is not below --high %g, both finite", f.low, f.high)
	case f.frame != "" && c.Flags().Changed("directions"):
		return usagef("--frame has its own number of directions; leave --directions out")
	}
	_, err := f.attack()
	return err
}

// attack is the attack that was asked for, nil for none.
func (f *followFlags) attack() (*dynamics.Attack, error) {
	if f.norm == "" {
		return nil, nil
	}
	a := &dynamics.Attack{Norm: f.norm, Iterations: f.iterations, Start: !f.noStart, Points: f.attackPoints, Seed: f.seed}
	var err error
	if a.Epsilon, err = parseRatio("epsilon", f.epsilon); err != nil {
		return nil, err
	}
	if a.Step = a.Epsilon / 4; f.step != "" {
		if a.Step, err = parseRatio("attack-step", f.step); err != nil {
			return nil, err
		}
	}
	if err := (attack.Options{Norm: a.Norm, Epsilon: a.Epsilon, Step: a.Step, Iterations: a.Iterations}).Check(); err != nil {
		return nil, usageError{err}
	}
	return a, nil
}

// arm adds the attack to a study, and the engine that gives its gradients.
func (f *followFlags) arm(c *cobra.Command, s *dynamics.Study) (err error) {
	if s.Settings.Attack, err = f.attack(); err != nil || s.Settings.Attack == nil {
		return err
	}
	e := engineFlags{backend: backends.Float64, device: "cpu", threads: f.threads, maxMemory: f.maxMemory, isolate: f.isolate, timeout: f.timeout}
	if s.Gradients, s.GradientOptions, err = e.differentiator(c); err != nil {
		return err
	}
	note(c, "attack: by the engine %s %s, which gives gradients", s.Gradients.Name(), s.Gradients.Version())
	return nil
}

func newDynamics() *cobra.Command {
	var f followFlags
	c := command("dynamics", atLeast(1, "checkpoints"))
	f.add(c.Flags())
	c.RunE = func(c *cobra.Command, args []string) error { return f.run(c, args) }
	return c
}

// run measures the checkpoints, and writes their table.
func (f *followFlags) run(c *cobra.Command, args []string) error {
	if err := f.check(c); err != nil {
		return err
	}
	files, err := dynamics.Files(args)
	if err != nil {
		return err
	}
	s, err := f.study(c, files)
	if err != nil {
		return err
	}
	sample := s.Train.Shape()
	if s.Frame, err = openFrame(f.frame, f.directions, sample, f.seed); err != nil {
		return err
	}
	s.Load, s.Logits = dynamics.LogitsFirst(f.load, f.logits), f.logits
	if f.logits == "" {
		s.Load = noteSoftmax(c, s.Load)
	}
	s.Fragile, s.BySite = f.fragile, f.bySite
	s.Complexity = &dynamics.Complexity{Radii: f.radii, Frame: s.Frame.SHA256(), Sign3: f.sign3, Centre: f.centre,
		Points: f.points, Random: f.random, Low: f.low, High: f.high, Seed: f.seed}
	if err := f.arm(c, s); err != nil {
		return err
	}
	cs, err := dynamics.Survey(files, s.Load, f.siteOptions(), sample)
	if err != nil {
		return err
	}
	print, err := s.Begin(f.output, c.Name(), f.force)
	if err != nil {
		return err
	}
	if err := saveFrame(filepath.Join(f.output, "frame.npy"), s.Frame); err != nil {
		return err
	}
	kept.Store(&someKept) // what was measured
	out, err := s.Follow(c.Context(), f.output, print, cs)
	if err != nil {
		return stopped(c, err)
	}
	table := filepath.Join(f.output, "dynamics."+f.to)
	m := manifestOf(c, s, print, out.Records)
	for i := range m.Networks {
		m.Networks[i].Step = &cs[i].Step
	}
	if err := dynamics.SaveTable(table, dynamics.LongTable(cs, out.Records), m); err != nil {
		return err
	}
	done := f.summary(out, table).show(c, f.json, func(w io.Writer) { out.Print(w, f.radii[0], cs) })
	return f.plot.file(c, done, table)
}

// noteSoftmax is a loader that says, of the first network whose first output is a
// Softmax, that accuracy is the same and that margins and losses are not those of logits.
func noteSoftmax(c *cobra.Command, load dynamics.Loader) dynamics.Loader {
	var once sync.Once
	return func(path string) (*onnx.Model, error) {
		m, err := load(path)
		if err == nil {
			if before := dynamics.SoftmaxOf(m); before != "" {
				once.Do(func() {
					note(c, "%s: the first output is a Softmax: margins, losses and attacks are of probabilities; --value %s takes what it reads", path, before)
				})
			}
		}
		return m, err
	}
}
