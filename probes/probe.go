package probes

import (
	"context"
	"fmt"
	"slices"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// Probe is something that is measured while a network runs: what it adds to the graph,
// and what columns it makes of what comes back. Those of this package are in All; a
// probe of another package is used in the same way, and is registered nowhere.
//
// A probe is a small value that says what is wanted. One value may serve several
// runs at once: what a run needs lies in its Maker.
type Probe interface {
	// About is what is said of the probe.
	About() About
	// Attach says what the probe wants of one site. It is called for every site of a
	// network, whenever a graph is made, and gives the same each time.
	Attach(t *Tap) error
	// Start readies the probe for one session. It is called again for each device of a
	// run; the makers are used side by side.
	Start(ctx context.Context, r *Prober) (Maker, error)
}

// About is a probe's row in lists of probes.
type About struct {
	// Name is the kind of what is measured, and often the column's name.
	Name string
	// Doc is one line for people.
	Doc string
	// Siteless says that the probe reads the network's own outputs alone: with nothing
	// but such probes a network runs as it is, whether it has sites or not.
	Siteless bool
	// Around says that many samples go through the network for each item, so that batches
	// are full however few items there are.
	Around bool
}

// Maker is a probe at work on one session.
type Maker interface {
	// Columns makes the probe's columns of a batch, one row an item. Items that failed
	// are zeros in what the batch gives; their values must be zero and marked null
	// (Batch.Failed). Names, types, widths and parts are the same in every batch.
	Columns(b *Batch) ([]result.Column, error)
}

// Runner is a Maker that puts something else than the items through the network, such as
// the vertices around them. Unlike other makers it does not need the network's outputs
// for the items themselves.
type Runner interface {
	Maker
	// Run is called before Columns, by the goroutine that owns the session. What it
	// returns is Batch.Ran in Columns. Fail gives an item an error. When the engine has
	// failed Run is called again, for some of the items at a time: those that
	// Batch.Failed does not mark.
	Run(ctx context.Context, b *Batch) (any, error)
	// Items is how many items fill whole batches of what is run.
	Items() int
}

// Recorder is a Maker that has settings for the manifest, by their names.
type Recorder interface {
	Settings() map[string]any
}

// All lists the probes of this package, each with nothing but its defaults.
var All = []Probe{Code{}, Digest{}, Sketch{}, Fragile{}, Channels{}, Complexity{}, Outputs{}}

// Tap is a site while probes are attached to it. What it makes has one row an item.
type Tap struct {
	// Site is the site, with its shape.
	Site *site.Site

	plan        *Plan
	made        *packer
	x           string // the values that are read, once made
	code, below bool
	outputs     []tapped
}

// tapped is an output that a probe asked for.
type tapped struct {
	kind  string
	probe string // its name
	dtype tensor.DType
	dims  []int
	value func() string
}

// Code asks for the site's packed code, which Batch.Codes gives.
func (t *Tap) Code() { t.code = true }

// Below asks for the bits of "below the knot" too, by which a value exactly on its knot
// is told from both sides. They are outputs of the kind "below"; a winner has none.
func (t *Tap) Below() { t.code, t.below = true, true }

// Output asks for an output [batch, dims...] of the site, which Batch.Site gives by its
// kind; value adds the nodes that make it, by the methods below, and names their result.
// It is called when all probes have said what they want.
func (t *Tap) Output(kind string, d tensor.DType, dims []int, value func() string) {
	t.outputs = append(t.outputs, tapped{kind: kind, dtype: d, dims: dims, value: value})
}

// Distances are how far the values before the activation lie above each knot, or above
// each value that they are compared with: floats [batch, ...]. A winner has none.
func (t *Tap) Distances() (all []string) {
	switch {
	case t.Site.Winner():
		return nil
	case t.Site.Compared() != nil:
		return t.pk().differences(t.Site)
	}
	for _, k := range t.Site.Knots {
		all = append(all, t.pk().e.Op("Sub", nil, t.Values(), t.Number(k)))
	}
	return all
}

// Values are the values before the activation: floats [batch, ...].
func (t *Tap) Values() string {
	if t.x == "" {
		t.x = t.plan.Fit.items(t.pk().e, t.Site.Pre, t.pk().wide(t.Site, t.Site.Pre))
	}
	return t.x
}

// Op adds a node of a standard operator and names its output.
func (t *Tap) Op(op string, attrs map[string]any, inputs ...string) string {
	return t.pk().e.Op(op, attrs, inputs...)
}

// Number is a constant of the type of Distances.
func (t *Tap) Number(v float64) string { return t.pk().number(t.Site, v) }

// Float is x as float32.
func (t *Tap) Float(x string) string { return t.pk().cast(x, tensor.Float32) }

// Rows is x with one row an item, [batch, n].
func (t *Tap) Rows(x string) string {
	return t.pk().e.Op("Reshape", nil, x, t.pk().ints(t.pk().lead, -1))
}

// Sum adds up the rows of [batch, n] to [batch].
func (t *Tap) Sum(x string) string { return t.pk().sum(x) }

// Least is the smallest entry of each row of [batch, n], [batch].
func (t *Tap) Least(x string) string { return t.pk().reduce("ReduceMin", 18, x) }

// taps asks the probes what they want of each site.
func (p *Plan) taps(e *rewrite.Edit) (all []*Tap, err error) {
	defer engine.Catch(&err)
	all = make([]*Tap, len(p.Sites))
	for i := range p.Sites {
		s := &p.Sites[i]
		t := &Tap{Site: s, plan: p}
		for _, probe := range p.options.Probes {
			before := len(t.outputs)
			name := probe.About().Name
			if err = probe.Attach(t); err == nil {
				err = t.apart(before)
			}
			if err != nil {
				return nil, attaching(name, s.Name, err)
			}
			for i := range t.outputs[before:] {
				t.outputs[before+i].probe = name
			}
		}
		t.made = p.packer(e.In("onnxprobe").In(s.Name))
		all[i] = t
	}
	return all, nil
}

func attaching(probe, site string, err error) error {
	return fmt.Errorf("attaching the probe %s to site %s: %w", probe, site, err)
}

// make makes the value of an output.
func (t *Tap) make(o tapped) (name string, err error) {
	defer func() {
		if err != nil {
			err = attaching(o.probe, t.Site.Name, err)
		}
	}()
	defer engine.Catch(&err)
	return o.value(), nil
}

// apart is an error where an output from the n-th on has the kind of another one.
func (t *Tap) apart(n int) error {
	for i, o := range t.outputs[n:] {
		if o.value == nil {
			return fmt.Errorf("nothing makes the output of the kind %q", o.kind)
		}
		same := func(other tapped) bool { return other.kind == o.kind }
		if o.kind == "code" || o.kind == "below" || slices.ContainsFunc(t.outputs[:n+i], same) {
			return fmt.Errorf("the site has an output of the kind %q already; give each probe of a run kinds of its own", o.kind)
		}
	}
	return nil
}

// pk makes nodes. There is none before all probes have said what they want.
func (t *Tap) pk() *packer {
	if t.made == nil {
		panic("a probe made a node in Attach; make it in the function that it gives Tap.Output")
	}
	return t.made
}

// gives is an error where the plan was attached without what a probe reads: columns would be
// of zeros.
func (p *Plan) gives(probe Probe) error {
	there := map[string]bool{}
	for _, v := range p.Model.Graph.Outputs[p.Own:] {
		there[v.Name] = true
	}
	fail := func(what string) error {
		return fmt.Errorf("the probe %s reads %s, which the model was attached without; name the probe in AttachOptions.Probes",
			probe.About().Name, what)
	}
	if len(p.Sites) == 0 && !probe.About().Siteless {
		return fail("sites")
	}
	for i := range p.Sites {
		t := &Tap{Site: &p.Sites[i], plan: p}
		if err := probe.Attach(t); err != nil {
			return err
		}
		for _, kind := range t.kinds() {
			if name := output(kind, t.Site); !there[name] && !(kind == "below" && t.Site.Winner()) {
				return fail(name)
			}
		}
	}
	return nil
}

// coded is the part of a probe that wants nothing of the graph but codes.
type coded struct{}

// Attach asks for the site's code.
func (coded) Attach(t *Tap) error {
	t.Code()
	return nil
}

// uncoded is the part of a probe that adds nothing to the graph.
type uncoded struct{}

// Attach asks for nothing.
func (uncoded) Attach(*Tap) error { return nil }
