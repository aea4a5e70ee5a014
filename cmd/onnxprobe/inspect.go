package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/backends"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// inspection is the contract of inspect --json.
type inspection struct {
	Model     string      `json:"model"`
	Producer  string      `json:"producer"`
	IR        int64       `json:"ir_version"`
	Inputs    []port      `json:"inputs"`
	Outputs   []port      `json:"outputs"`
	Opset     int64       `json:"opset"`
	Nodes     int         `json:"nodes"`
	Operators []string    `json:"operators"`
	Params    int64       `json:"parameters"`
	External  []string    `json:"external_data"`
	Sites     []site.Site `json:"sites"`
	// Unwatched lists what is not affine and belongs to no site.
	Unwatched []site.Unwatched `json:"unwatched"`
	Units     int              `json:"units"`
	CodeBytes int              `json:"code_bytes"`
	Backends  []runnable       `json:"backends"`
	Notes     []string         `json:"notes"`
}

type port struct {
	Name  string `json:"name"`
	DType string `json:"dtype"`
	Shape []any  `json:"shape"`
}

type runnable struct {
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

func newInspect() *cobra.Command {
	var mf modelFlags
	var ef engineFlags
	var engines bool
	ofEngines := pflag.NewFlagSet("engines", pflag.ContinueOnError)
	c := &cobra.Command{
		Use:   "inspect MODEL",
		Short: "Inputs, sites, knots, what bends without a site, and what can run the model",
		Long: `Shows what onnxprobe finds in a model: its inputs and outputs, every site (a place
where an activation is applied) with its name, shape and knots (where it bends), and what
no site shows: nodes that are not affine in the input, with operator, kind and reason.
Kinds are bend; smooth (curved everywhere, or a quantizer); guard (keeps a divisor from
0); random; body (holds graphs, which are not looked into). --strict-sites makes a bend
or a body without a site an error, after all is shown.

With --engines it says which engines can run the model here with the probes of these
sites. That prepares it on each of them, or on the one that --backend names, which takes
memory and time for the weights; without it none is opened.`,
		Example: `  onnxprobe inspect resnet50.onnx
  onnxprobe inspect resnet50.onnx --engines
  onnxprobe inspect resnet50.onnx --json | jq '.sites[].name'
  onnxprobe inspect resnet50.onnx --json | jq '.unwatched[] | select(.kind == "bend")'
  onnxprobe inspect resnet50.onnx --include-maxpool --strict-sites
  onnxprobe inspect segmenter.onnx --input-size 512x512`,
		Args: exactly(1, "one model"),
		RunE: func(c *cobra.Command, args []string) error {
			o, err := ef.options()
			if err != nil {
				return err
			}
			if f := firstChanged(ofEngines); f != "" && !engines {
				return usagef("--%s goes with --engines, which tries the engines on the model; add it, or leave --%s out", f, f)
			}
			m, err := mf.load(args[0])
			if err != nil {
				return err
			}
			in, plan, err := inspect(m, mf)
			if err != nil {
				return err
			}
			for _, b := range backends.All {
				switch {
				case !engines:
					in.Backends = append(in.Backends, runnable{Name: b.Name()})
				case ef.backend == backends.Auto || ef.backend == b.Name():
					in.Backends = append(in.Backends, tryOn(c.Context(), b, m, plan, o))
				}
				if err := c.Context().Err(); err != nil {
					return err
				}
			}
			if mf.json {
				e := json.NewEncoder(c.OutOrStdout())
				e.SetIndent("", "  ")
				if err := e.Encode(in); err != nil {
					return err
				}
				return strict(mf, in)
			}
			in.print(c.OutOrStdout())
			return strict(mf, in)
		},
	}
	mf.addSites(c.Flags())
	mf.add(c.Flags())
	c.Flags().BoolVar(&engines, "engines", false, "say which engines can run the model here, by preparing it on each; the flags of engines go with it")
	ef.addBackend(ofEngines)
	ef.addOptions(ofEngines)
	c.Flags().AddFlagSet(ofEngines)
	return c
}

// strict fails where --strict-sites asks for a site at every bend and one has none.
func strict(mf modelFlags, in *inspection) error {
	if bends := site.Bends(in.Unwatched); mf.strictSites && len(bends) > 0 {
		return &site.StrictError{Bends: bends}
	}
	return nil
}

// firstChanged is the name of a flag of fs that was given, "" for none.
func firstChanged(fs *pflag.FlagSet) (name string) {
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Changed && name == "" {
			name = f.Name
		}
	})
	return name
}

// inspect describes a model, and gives its plan, nil where it cannot be attached to.
func inspect(m *onnx.Model, mf modelFlags) (*inspection, *probes.Plan, error) {
	in := &inspection{Model: m.Path, Producer: strings.TrimSpace(m.Producer + " " + m.ProducerVersion), IR: m.IR, Opset: m.Opset(""),
		Inputs: []port{}, Outputs: ports(m.Graph.Outputs), Nodes: len(m.Graph.Nodes), External: m.ExternalFiles(), Sites: []site.Site{}, Unwatched: []site.Unwatched{}, Notes: []string{}}
	consts := map[string]bool{}
	for _, t := range m.Graph.Initializers {
		consts[t.Name] = true
		if n, err := t.Count(); err == nil && t.DType.IsFloat() {
			in.Params += n
		}
	}
	for _, p := range ports(m.Graph.Inputs) {
		if !consts[p.Name] {
			in.Inputs = append(in.Inputs, p)
		}
	}
	in.Operators = operators(m)
	sample, err := mf.sample(m)
	if err != nil {
		return nil, nil, err
	}
	o := mf.siteOptions()
	o.Strict = false // which is looked at when all is shown
	plan, err := probes.Attach(m, probes.AttachOptions{Sites: o, Sample: sample})
	if err != nil {
		// The model can still be described: without shapes, or without sites.
		plain, perr := rewrite.Plain(m)
		if perr != nil {
			return nil, nil, perr
		}
		found, serr := site.Find(plain, o)
		if serr != nil && len(mf.sites) > 0 {
			return nil, nil, serr
		}
		in.Sites = append(in.Sites, found.Sites...)
		in.Unwatched = found.Unwatched
		in.Notes = append(in.Notes, withFlags(err))
	} else {
		in.Sites, in.Units, in.CodeBytes = plan.Sites, plan.Units(), plan.CodeBytes()
		in.Unwatched = plan.Unwatched
		if plan.Fit.Note != "" {
			in.Notes = append(in.Notes, plan.Fit.Note)
		}
		if n := plan.Fit.FoldedNote(); n != "" {
			in.Notes = append(in.Notes, n)
		}
		if plan.Fit.Freed {
			in.Notes = append(in.Notes, "the export fixes the batch at 1; probing frees it, and checks on the engine that the numbers stay the same")
		}
	}
	if n := engine.RandomNote(m.RandomNodes()); n != "" {
		in.Notes = append(in.Notes, n)
	}
	smooth := 0
	for _, s := range in.Sites {
		if s.Smooth {
			smooth++
		}
	}
	if smooth > 0 {
		in.Notes = append(in.Notes, result.SmoothNote(smooth, len(in.Sites)))
	}
	return in, plan, nil
}

// tryOn says whether a backend runs the model with the probes of its plan, or, where
// there is none, by itself.
func tryOn(ctx context.Context, b engine.Backend, m *onnx.Model, plan *probes.Plan, o engine.Options) runnable {
	r := runnable{Name: b.Name(), Tried: true, Version: b.Version()}
	try := func(m *onnx.Model) error {
		var shapes map[string][]int64
		if plan != nil {
			shapes = plan.Fit.Shapes(int64(max(plan.Fit.Batch, 1)))
		}
		if err := o.CheckMemory(m, shapes); err != nil {
			return err
		}
		s, err := b.Prepare(ctx, m, o)
		if err == nil {
			s.Close()
		}
		return err
	}
	var err error
	if plan == nil {
		err = try(m)
	} else if err = try(plan.Model); err != nil && try(m) == nil {
		r.Plain = true
	}
	if r.Runs = err == nil; !r.Runs {
		r.Why = withFlags(err)
	}
	return r
}

func operators(m *onnx.Model) []string {
	count := map[string]int{}
	var names []string
	for _, n := range m.Graph.Nodes {
		op := n.Op
		if n.Domain != "" && n.Domain != "ai.onnx" {
			op = n.Domain + "." + op
		}
		if count[op]++; count[op] == 1 {
			names = append(names, op)
		}
	}
	for i, op := range names {
		names[i] = fmt.Sprintf("%s %d", op, count[op])
	}
	return names
}

func ports(vs []*onnx.Value) []port {
	ps := []port{}
	for _, v := range vs {
		p := port{Name: v.Name, DType: v.DType.String(), Shape: []any{}}
		for _, d := range v.Shape {
			switch {
			case d.Param != "":
				p.Shape = append(p.Shape, d.Param)
			case d.Size >= 0:
				p.Shape = append(p.Shape, d.Size)
			default:
				p.Shape = append(p.Shape, nil)
			}
		}
		if !v.HasShape() {
			p.Shape = nil
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
	for i, d := range p.Shape {
		dims[i] = "?"
		if d != nil {
			dims[i] = fmt.Sprint(d)
		}
	}
	return fmt.Sprintf("%s %s [%s]", p.Name, p.DType, strings.Join(dims, " x "))
}

func (in *inspection) print(w io.Writer) {
	fmt.Fprintf(w, "%s: opset %d, IR %d, %s, %s", in.Model, in.Opset, in.IR, count(in.Nodes, "node"), count(in.Params, "parameter"))
	if in.Producer != "" {
		fmt.Fprintf(w, ", from %s", in.Producer)
	}
	fmt.Fprintln(w)
	for _, p := range in.Inputs {
		fmt.Fprintln(w, "input  ", p)
	}
	for _, p := range in.Outputs {
		fmt.Fprintln(w, "output ", p)
	}
	for _, f := range in.External {
		fmt.Fprintln(w, "weights in", f)
	}
	fmt.Fprintln(w)
	if len(in.Sites) > 0 {
		rows := [][]string{{"SITE", "ACTIVATION", "SHAPE", "UNITS", "KNOTS"}}
		for _, s := range in.Sites {
			units, shape := "?", "?"
			if s.Units > 0 {
				units, shape = grouped(int64(s.Units)), strings.Trim(strings.ReplaceAll(fmt.Sprint(s.Shape), " ", " x "), "[]")
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
		table(w, rows)
		fmt.Fprintf(w, "\n%s", count(len(in.Sites), "site"))
		if in.Units > 0 {
			fmt.Fprintf(w, ", %s, a code of %s", count(in.Units, "unit"), count(in.CodeBytes, "byte"))
		}
		fmt.Fprintln(w)
	} else {
		fmt.Fprintln(w, "operators:", strings.Join(in.Operators, ", "))
	}
	in.printUnwatched(w)
	for _, b := range in.Backends {
		switch {
		case !b.Tried:
			fmt.Fprintf(w, "%s: not tried; --engines\n", b.Name)
		case b.Runs:
			fmt.Fprintf(w, "runs on %s %s\n", b.Name, b.Version)
		case b.Plain:
			fmt.Fprintf(w, "runs on %s %s, but not with the probes of these sites: %s\n", b.Name, b.Version, b.Why)
		default:
			fmt.Fprintf(w, "does not run on %s: %s\n", b.Name, b.Why)
		}
	}
	for _, n := range in.Notes {
		fmt.Fprintln(w, "note:", n)
	}
}

// printUnwatched shows what no site shows: a row each, what is smooth by its operators
// alone.
func (in *inspection) printUnwatched(w io.Writer) {
	rows := [][]string{{"NO SITE", "OPERATOR", "KIND", "WHY"}}
	smooth := map[string]int{}
	for _, u := range in.Unwatched {
		if u.Kind == site.KindSmooth {
			smooth[u.Op]++
			continue
		}
		name := u.Name
		if u.Module != "" {
			name = u.Module
		}
		rows = append(rows, []string{name, u.Op, string(u.Kind), u.Reason})
	}
	if len(rows) > 1 {
		fmt.Fprintln(w)
		table(w, rows)
		fmt.Fprintln(w)
	}
	if len(smooth) > 0 {
		var all []string
		for _, op := range slices.Sorted(maps.Keys(smooth)) {
			all = append(all, fmt.Sprintf("%d %s", smooth[op], op))
		}
		fmt.Fprintln(w, "smooth by nature, without a site:", strings.Join(all, ", "))
	}
}

// grouped writes 9608704 as 9,608,704.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
