package probes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/site"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

// Inspection describes a model. Its JSON is a contract: lists are never null but for
// Backends, which is what Try has tried.
type Inspection struct {
	Model     string      `json:"model"`
	Producer  string      `json:"producer"`
	IR        int64       `json:"ir_version"`
	Inputs    []port      `json:"inputs"`
	Outputs   []port      `json:"outputs"`
	Opset     int64       `json:"opset"`
	Nodes     int         `json:"nodes"`
	Operators []string    `json:"operators"` // "Relu 9", in the order of the graph
	Params    int64       `json:"parameters"`
	External  []string    `json:"external_data"`
	Sites     []site.Site `json:"sites"`
	// Unwatched lists what is not affine and belongs to no site.
	Unwatched []site.Unwatched `json:"unwatched"`
	Units     int              `json:"units"`
	CodeBytes int              `json:"code_bytes"`
	Backends  []Trial          `json:"backends"`
	Notes     []string         `json:"notes"`

	model *onnx.Model
	plan  *Plan // nil where probes cannot be attached
	say   func(error) string
}

// port is an input or an output; an open dimension is its name or null.
type port struct {
	Name  string `json:"name"`
	DType string `json:"dtype"`
	Shape []any  `json:"shape"`
}

// Trial says whether an engine runs a model.
type Trial struct {
	Name string `json:"name"`
	// Tried says that the engine was asked; what follows is empty of one that was not.
	Tried   bool   `json:"tried"`
	Version string `json:"version"`
	// Runs is of the model with the probes of its sites; Plain says that without them
	// it would run.
	Runs  bool   `json:"runs"`
	Plain bool   `json:"plain,omitempty"`
	Why   string `json:"why,omitempty"`
}

// Inspect describes a model, whole or as far as it can be: why probes cannot be attached
// to it is a note then. It never fails for what has no site, even where o is strict; it
// does for a glob of o that matches nothing and for a graph that cannot be read. say puts
// errors into words, for whoever adds to them how an option is given.
func Inspect(m *onnx.Model, o AttachOptions, say func(error) string) (*Inspection, error) {
	d := &Inspection{say: say, model: m, Model: m.Path, Producer: strings.TrimSpace(m.Producer + " " + m.ProducerVersion),
		IR: m.IR, Opset: m.Opset(""), Inputs: []port{}, Outputs: ports(m.Graph.Outputs), Nodes: len(m.Graph.Nodes),
		External: m.ExternalFiles(), Sites: []site.Site{}, Unwatched: []site.Unwatched{}, Notes: []string{}}
	constant := map[string]bool{}
	for _, t := range m.Graph.Initializers {
		constant[t.Name] = true
		if n, err := t.Count(); err == nil && t.DType.IsFloat() {
			d.Params += n
		}
	}
	for _, p := range ports(m.Graph.Inputs) {
		if !constant[p.Name] {
			d.Inputs = append(d.Inputs, p)
		}
	}
	var ops []string
	for _, n := range m.Graph.Nodes {
		ops = append(ops, strings.TrimPrefix(strings.TrimPrefix(n.Domain+"."+n.Op, "ai.onnx."), "."))
	}
	count, order := occurrences(ops)
	for _, op := range order {
		d.Operators = append(d.Operators, fmt.Sprintf("%s %d", op, count[op]))
	}
	o.Sites.Strict = false
	if err := d.survey(o); err != nil {
		return nil, engine.Named(m.Path, err)
	}
	d.note(engine.RandomNote(m.RandomNodes()))
	smooth := 0
	for _, s := range d.Sites {
		if s.Smooth {
			smooth++
		}
	}
	if smooth > 0 {
		d.note(result.SmoothNote(smooth, len(d.Sites)))
	}
	return d, nil
}

// survey finds the sites: with their shapes where probes can be attached.
func (d *Inspection) survey(o AttachOptions) error {
	plan, fault := attach(d.model, o) // the file stands above its notes
	if fault != nil {
		plain, err := rewrite.Plain(d.model)
		if err != nil {
			return err
		}
		found, err := site.Find(plain, o.Sites)
		if err != nil && len(o.Sites.Globs) > 0 {
			return err
		}
		d.Sites, d.Unwatched = append(d.Sites, found.Sites...), found.Unwatched
		d.note(d.say(fault))
		return nil
	}
	d.plan, d.Sites, d.Unwatched = plan, plan.Sites, plan.Unwatched
	d.Units, d.CodeBytes = plan.Units(), plan.CodeBytes()
	d.note(plan.Fit.Note)
	d.note(plan.Fit.FoldedNote())
	if plan.Fit.Freed {
		d.note("the export fixes the batch at 1; probing frees it, and checks on the engine that " +
			"the numbers stay the same")
	}
	return nil
}

func (d *Inspection) note(said string) {
	if said != "" {
		d.Notes = append(d.Notes, said)
	}
}

// Try adds to Backends, for each of some engines, whether it runs the model with its
// probes, or by itself where there are none. It prepares the model on each, which takes
// memory and time for the weights; an error is that of ctx alone.
func (d *Inspection) Try(ctx context.Context, engines []engine.Backend, o engine.Options) error {
	for _, b := range engines {
		d.Backends = append(d.Backends, d.try(ctx, b, o))
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

func (d *Inspection) try(ctx context.Context, b engine.Backend, o engine.Options) Trial {
	r := Trial{Name: b.Name(), Tried: true, Version: b.Version()}
	model, shapes := d.model, map[string][]int64(nil)
	if d.plan != nil {
		model, shapes = d.plan.Model, d.plan.Fit.Shapes(int64(max(d.plan.Fit.Batch, 1)))
	}
	prepare := func(m *onnx.Model) error {
		s, err := engine.Prepare(ctx, b, m, shapes, o)
		if err == nil {
			s.Close()
		}
		return err
	}
	err := prepare(model)
	if r.Runs = err == nil; !r.Runs {
		// What took all of the time or memory with probes is not tried once more without.
		lost := (*engine.LostError)(nil)
		beyond := errors.As(err, &lost) && !lost.Crashed()
		r.Why, r.Plain = d.say(err), d.plan != nil && !beyond && prepare(d.model) == nil
	}
	return r
}

// occurrences counts names, and lists them in the order of their first.
func occurrences(names []string) (count map[string]int, order []string) {
	count = map[string]int{}
	for _, n := range names {
		if count[n]++; count[n] == 1 {
			order = append(order, n)
		}
	}
	return count, order
}

func ports(vs []*onnx.Value) []port {
	ps := []port{}
	for _, v := range vs {
		p := port{Name: v.Name, DType: v.DType.String()}
		if v.HasShape() {
			p.Shape = []any{}
		}
		for _, dim := range v.Shape {
			var size any
			if dim.Param != "" {
				size = dim.Param
			} else if dim.Size >= 0 {
				size = dim.Size
			}
			p.Shape = append(p.Shape, size)
		}
		ps = append(ps, p)
	}
	return ps
}

func (p port) String() string {
	if p.Shape == nil {
		return p.Name + " " + p.DType + " (any shape)"
	}
	dims := make([]string, len(p.Shape))
	for i, size := range p.Shape {
		dims[i] = "?"
		if size != nil {
			dims[i] = fmt.Sprint(size)
		}
	}
	return fmt.Sprintf("%s %s [%s]", p.Name, p.DType, strings.Join(dims, " x "))
}

// Print writes the description for people. remedy is what has an engine tried that was not,
// pooling what makes a max-pooling a site; "" where there is nothing to say.
func (d *Inspection) Print(w io.Writer, remedy, pooling string) {
	fmt.Fprintf(w, "%s: opset %d, IR %d, %s, %s", text.Line(d.Model), d.Opset, d.IR,
		text.Count(d.Nodes, "node"), text.Count(d.Params, "parameter"))
	if d.Producer != "" {
		fmt.Fprintf(w, ", from %s", text.Line(d.Producer))
	}
	fmt.Fprintln(w)
	for _, p := range d.Inputs {
		fmt.Fprintln(w, "input  ", text.Line(p.String()))
	}
	for _, p := range d.Outputs {
		fmt.Fprintln(w, "output ", text.Line(p.String()))
	}
	for _, f := range d.External {
		fmt.Fprintln(w, "weights in", text.Line(f))
	}
	fmt.Fprintln(w)
	d.printSites(w)
	d.printUnwatched(w, pooling)
	for _, b := range d.Backends {
		switch {
		case !b.Tried:
			fmt.Fprintf(w, "%s: not tried; %s\n", b.Name, remedy)
		case b.Runs:
			fmt.Fprintf(w, "runs on %s %s\n", b.Name, b.Version)
		case b.Plain:
			fmt.Fprintf(w, "runs on %s %s, but not with the probes of these sites: %s\n", b.Name, b.Version, text.Message(b.Why))
		default:
			fmt.Fprintf(w, "does not run on %s: %s\n", b.Name, text.Message(b.Why))
		}
	}
	for _, n := range d.Notes {
		fmt.Fprintln(w, "note:", text.Message(n))
	}
}

func (d *Inspection) printSites(w io.Writer) {
	if len(d.Sites) == 0 {
		fmt.Fprintln(w, "operators:", text.Line(strings.Join(d.Operators, ", ")))
		return
	}
	rows := [][]string{{"SITE", "ACTIVATION", "SHAPE", "UNITS", "KNOTS"}}
	for _, s := range d.Sites {
		units, shape := "?", "?"
		if s.Units > 0 {
			units = text.Grouped(s.Units)
			shape = strings.Trim(strings.ReplaceAll(fmt.Sprint(s.Shape), " ", " x "), "[]")
		}
		knots := strings.Trim(fmt.Sprint(s.Knots), "[]")
		switch {
		case s.Smooth:
			knots += " (sign code)"
		case s.Against != "":
			knots = "against " + s.Against
		case s.Winner():
			knots = "which"
		}
		rows = append(rows, []string{s.Name, s.Op, shape, units, knots})
	}
	text.Table(w, rows)
	fmt.Fprintf(w, "\n%s", text.Count(len(d.Sites), "site"))
	if d.Units > 0 {
		fmt.Fprintf(w, ", %s, a code of %s", text.Count(d.Units, "unit"), text.Count(d.CodeBytes, "byte"))
	}
	fmt.Fprintln(w)
}

// printUnwatched shows what no site shows: a row each, what is smooth by its operators
// alone.
func (d *Inspection) printUnwatched(w io.Writer, pooling string) {
	rows := [][]string{{"NO SITE", "OPERATOR", "KIND", "WHY"}}
	var smooth []string
	for _, u := range d.Unwatched {
		if u.Kind == site.KindSmooth {
			smooth = append(smooth, u.Op)
			continue
		}
		why := u.Reason
		if o := u.Node.Operator(); pooling != "" && o != nil && o.Verdict == onnx.Watched {
			why += " (" + pooling + ")"
		}
		rows = append(rows, []string{cmp.Or(u.Module, u.Name), u.Op, string(u.Kind), why})
	}
	if len(rows) > 1 {
		fmt.Fprintln(w)
		text.Table(w, rows)
		fmt.Fprintln(w)
	}
	if len(smooth) > 0 {
		count, order := occurrences(smooth)
		slices.Sort(order)
		for i, op := range order {
			order[i] = fmt.Sprintf("%d %s", count[op], op)
		}
		fmt.Fprintln(w, "smooth by nature, without a site:", text.Line(strings.Join(order, ", ")))
	}
}
