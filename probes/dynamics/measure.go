package dynamics

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/attack"
	"github.com/onnxprobe/onnxprobe/probes/encoding"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// Study is what is measured of every network, on what, and with what.
type Study struct {
	Settings
	Train, Test dataset.Dataset
	// Frame is that of Settings.Complexity.
	Frame *probes.Frame
	// Load reads a model.
	Load    Loader
	Backend engine.Backend
	Engine  engine.Options
	// Gradients runs attacks, with the options GradientOptions.
	Gradients       engine.Differentiator
	GradientOptions engine.Options
	// Workers read items; 0 takes one for each core. Threads compare codes.
	Workers, Threads int
	// MaxBytes bounds the memory that codes take; 0 is no bound.
	MaxBytes int64
	// Words, when not nil, are as in probes.RunOptions, for the errors of records.
	Words func(error) string
	// Say is told what is being done.
	Say func(format string, args ...any)
}

func (s *Study) say(format string, args ...any) {
	if s.Say != nil {
		for i, a := range args {
			if err, ok := a.(error); ok {
				args[i] = s.words(err)
			}
		}
		s.Say(format, args...)
	}
}

// sets are the codes of a network: of the training set and of the test set.
type sets struct{ train, test *encoding.Codes }

// subject is a network that is being measured.
type subject struct {
	*Study
	model *onnx.Model
	r     *probes.Prober
	rows  []Row
	lost  int // items that could not be used
}

// open loads a network and readies it; its SHA-256 has to be sum.
func (s *Study) open(ctx context.Context, path, sum string) (*subject, error) {
	m, err := s.Load(path)
	if err != nil {
		return nil, err
	}
	now, err := sumOf(m)
	if err != nil {
		return nil, err
	}
	if now != sum {
		return nil, errors.New("the file changed while it was measured")
	}
	r, err := probes.Open(ctx, probes.Request{Model: m, Sample: s.Train.Shape(), Sites: s.siteOptions(), Precision: s.Precision,
		Probes: slices.Concat(s.codes(true), s.around()), Backend: s.Backend, Options: s.Engine, Batch: s.Batch,
		Manifest: &result.Manifest{}}) // records have their own
	if err != nil {
		return nil, err
	}
	p := r.Plan
	if need := 2 * int64(s.Train.Len()+s.Test.Len()) * int64(p.CodeBytes()); s.MaxBytes > 0 && need > s.MaxBytes {
		r.Close()
		return nil, fmt.Errorf("codes of %d bytes for %d items, of this checkpoint and the one before, take %d bytes "+
			"of memory, more than the %d allowed; choose fewer items or sites, or allow more", p.CodeBytes(), s.Train.Len()+s.Test.Len(), need, s.MaxBytes)
	}
	if n := engine.RandomNote(m.RandomNodes()); n != "" {
		s.say("%s: %s", path, n)
	}
	return &subject{Study: s, model: m, r: r}, nil
}

// codes are the probes whose columns say what codes and, scored, logits do.
func (s *Study) codes(scored bool) []probes.Probe {
	all := []probes.Probe{probes.Code{}}
	if scored {
		if s.Fragile > 0 {
			all = append(all, probes.Fragile{Within: s.Fragile})
		}
		all = append(all, probes.Outputs{Name: "logits", Full: true})
	}
	return all
}

// around is the probe of local complexity, where it is asked for.
func (s *Study) around() []probes.Probe {
	c := s.Complexity
	if c == nil {
		return nil
	}
	return []probes.Probe{probes.Complexity{Frame: s.Frame, Radii: c.Radii, Center: c.Centre, Sign3: c.Sign3}}
}

// collect keeps the codes of a set, and with scored the rows of what its logits say.
func (j *subject) collect(ctx context.Context, set string, ds dataset.Dataset, scored bool) (*encoding.Codes, error) {
	codes := encoding.NewCollector(encoding.Code, j.MaxBytes)
	var s scores
	to := taker(func(cols []result.Column) error {
		if err := codes.Write(cols); err != nil || !scored {
			return err
		}
		return s.write(cols)
	})
	sum, err := j.r.Write(ctx, ds, to, probes.RunOptions{Decoders: j.Workers}, j.codes(scored)...)
	if err != nil {
		return nil, err
	}
	c := codes.Codes()
	if c.Len() == 0 {
		return nil, fmt.Errorf("no item of the %s set could be used: %s", set, strings.Join(sum.Errors[:min(1, len(sum.Errors))], ""))
	}
	c.Name, c.Bits, c.Origin = set, j.r.Plan.Bits(), &encoding.Origin{CodeBytes: c.Width()}
	for _, at := range j.r.Plan.Sites {
		c.Origin.Sites = append(c.Origin.Sites, encoding.OriginSite{Name: at.Name, Units: at.Units, Planes: at.Planes()})
	}
	if scored {
		j.rows, j.lost = append(j.rows, s.rows(set)...), j.lost+sum.Failed
	}
	return c, nil
}

// both collects the codes of the training set and the test set.
func (j *subject) both(ctx context.Context, scored bool) (c sets, err error) {
	if c.train, err = j.collect(ctx, "train", j.Train, scored); err == nil {
		c.test, err = j.collect(ctx, "test", j.Test, scored)
	}
	return c, err
}

// evaluate measures what codes say, and how far they are from those before.
func (j *subject) evaluate(ctx context.Context, now, before sets) error {
	if err := j.evaluateSite(ctx, "", now, before); err != nil || !j.BySite {
		return err
	}
	for _, p := range now.train.Parts() {
		part := func(s sets) sets {
			if s.train == nil {
				return s
			}
			return sets{s.train.Part(p), s.test.Part(p)}
		}
		if err := j.evaluateSite(ctx, p.Site, part(now), part(before)); err != nil {
			return err
		}
	}
	return nil
}

func (j *subject) evaluateSite(ctx context.Context, site string, now, before sets) error {
	e, err := encoding.Evaluate(ctx, now.train, now.test, encoding.EvaluateOptions{K: j.K, Threads: j.Threads})
	if err != nil {
		return err
	}
	add := func(set, measure string, v float64, n int) { j.rows = append(j.rows, figure(set, site, measure, v, n)) }
	of := func(set string, r encoding.Redundancy, u encoding.Units) {
		add(set, "redundancy", r.Ratio, r.Items)
		add(set, "regions", float64(r.Regions), r.Items)
		add(set, "dead", float64(u.Dead), r.Items)
		add(set, "saturated", float64(u.Saturated), r.Items)
		add(set, "entropy", u.Entropy, r.Items)
	}
	of("train", e.Redundancy.Train, e.Units.Train)
	of("test", *e.Redundancy.Test, *e.Units.Test)
	if k := e.KNN; k != nil && k.Items > 0 {
		add("test", "knn_accuracy", k.Accuracy, k.Items)
		add("test", "knn_distance_ties", float64(k.DistanceTies), k.Items)
		add("test", "knn_vote_ties", float64(k.VoteTies), k.Items)
	}
	if before.train == nil {
		return nil
	}
	for i, set := range []string{"train", "test"} {
		earlier, later := []*encoding.Codes{before.train, before.test}[i], []*encoding.Codes{now.train, now.test}[i]
		c, err := encoding.Between(earlier, later)
		if err != nil {
			return err
		}
		add(set, "churn", *c.Fraction, c.Items)
		add(set, "churn_bits", *c.Mean, c.Items)
		add(set, "moved", float64(c.Moved)/float64(c.Items), c.Items)
	}
	return nil
}

// crossings measures local complexity: at training items, at test items, at random
// points, the same ones for every network.
func (j *subject) crossings(ctx context.Context) error {
	c := j.Complexity
	if c == nil {
		return nil
	}
	train, err := pick(j.Train, c.Points, c.Seed, trainStream)
	if err != nil {
		return err
	}
	test, err := pick(j.Test, c.Points, c.Seed, testStream)
	if err != nil {
		return err
	}
	points := []struct {
		set string
		ds  dataset.Dataset
	}{{"train", train}, {"test", test}, {"random", dataset.Random(c.Random, j.Train.Shape(), c.Low, c.High, c.Seed)}}
	for _, p := range points {
		if p.ds.Len() == 0 {
			continue
		}
		to := newCrossings(c.Radii, j.r.Plan.Sites)
		o := probes.RunOptions{Decoders: j.Workers}
		if _, err := j.r.Write(ctx, p.ds, taker(to.write), o, j.around()...); err != nil {
			return err
		}
		j.rows = append(j.rows, to.rows(p.set)...)
	}
	return nil
}

// attack finds how many items of the test set withstand the attack.
func (j *subject) attack(ctx context.Context) error {
	s := j.Settings.Attack
	if s == nil {
		return nil
	}
	o, err := s.options(j.Test)
	if err != nil {
		return err
	}
	a, err := attack.Open(ctx, j.model, j.Gradients, j.GradientOptions, j.Test.Shape(), j.Batch, o)
	if err != nil {
		return fmt.Errorf("attacking it with the engine %s: %w", j.Gradients.Name(), err)
	}
	defer a.Close()
	points, err := pick(j.Test, s.Points, s.Seed, attackStream)
	if err != nil {
		return err
	}
	var clean, robust, loss mean
	for b, err := range dataset.Batches(ctx, points, a.Batch, max(j.Workers, 1)) {
		if err != nil {
			return err
		}
		labels := make([]int, b.N)
		for i, it := range b.Items {
			labels[i] = max(it.Label, 0)
		}
		x, err := tensor.New(tensor.Float32, b.Input.Shape...)
		if err != nil {
			return err
		}
		copy(tensor.Data[float32](x), tensor.Data[float32](b.Input))
		out, err := a.Attack(ctx, x, labels, b.Start)
		if err != nil {
			return err
		}
		for i, it := range b.Items {
			if b.Errs[i] != nil || it.Label < 0 {
				continue
			}
			clean.add(hit(out[i].Class == it.Label))
			robust.add(hit(out[i].Class == it.Label && out[i].Attacked == it.Label))
			loss.add(out[i].AttackedLoss)
		}
	}
	if clean.n == 0 {
		return errors.New("no item of the test set has a label, and an attack needs them")
	}
	j.rows = append(j.rows, robust.row("test", "robust_accuracy"), clean.row("test", "robust_clean_accuracy"), loss.row("test", "robust_cross_entropy"))
	return nil
}

func hit(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// measure is all of it: the figures of a network as a record, and its codes. before is
// the codes that churn compares with, if any.
func (s *Study) measure(ctx context.Context, path, sum string, before sets) (*Record, sets, error) {
	start := time.Now()
	j, err := s.open(ctx, path, sum)
	if err != nil {
		return nil, sets{}, err
	}
	defer j.r.Close()
	codes, err := j.both(ctx, true)
	if err == nil {
		err = j.evaluate(ctx, codes, before)
	}
	if err == nil {
		err = j.crossings(ctx)
	}
	if err == nil {
		err = j.attack(ctx)
	}
	if err != nil {
		return nil, sets{}, err
	}
	r := &Record{Path: path, SHA256: sum, Rows: j.rows, Failed: j.lost, Backend: s.Backend.Name(), Version: s.Backend.Version(), Device: s.Engine.Device.String(),
		Seconds: time.Since(start).Seconds(), Tool: result.Version(), Ended: time.Now().UTC().Format(time.RFC3339)}
	return r, codes, nil
}

// fatal says whether an error is of the machine or of the user, not of one network.
func fatal(ctx context.Context, err error) bool {
	var u *engine.UnavailableError
	return ctx.Err() != nil || errors.As(err, &u)
}

// words is an error in the words of the program.
func (s *Study) words(err error) string {
	if s.Words == nil {
		return err.Error()
	}
	return s.Words(err)
}
