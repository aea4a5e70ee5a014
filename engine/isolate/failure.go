//go:build linux && (amd64 || arm64)

package isolate

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// request asks a worker for a backend, and to ready a model on it.
type request struct {
	Backend string
	Options engine.Options
	Memory  int64    // the limit
	Dir     string   // of external data
	Files   []string // that may be read
	Links   bool     // onnx.LoadOptions.AllowLinks
}

// ready answers it.
type ready struct {
	Version string `json:",omitempty"`
	Library engine.Library
	In, Out []engine.Port `json:",omitempty"`
	OnCPU   []string      `json:",omitempty"`
	Shares  bool          `json:",omitempty"` // sessions are engine.Sharers
}

// check reports an answer that is none about a model with these inputs and outputs: a worker
// says which ports the session has and where nodes lie, and the program believes their names
// and types.
func (r *ready) check(in, out []string) error {
	if len(r.Out) != len(out) || len(r.In) > len(in) {
		return errProtocol
	}
	for i, p := range r.Out {
		if p.Name != out[i] {
			return errProtocol
		}
	}
	inputs := map[string]bool{}
	for _, name := range in {
		inputs[name] = true
	}
	for _, p := range r.In {
		if !inputs[p.Name] {
			return errProtocol
		}
		inputs[p.Name] = false
	}
	for _, p := range slices.Concat(r.In, r.Out) {
		if _, err := tensor.New(p.DType, 0); err != nil || len(p.Shape) > maxRank || len(p.Shape) > 0 && slices.Min(p.Shape) < -1 {
			return errProtocol
		}
	}
	for i, n := range r.OnCPU {
		r.OnCPU[i] = printable(n)
	}
	return nil
}

// failure is an error on its way.
type failure struct {
	Text        string
	Unavailable *engine.UnavailableError `json:",omitempty"`
	Nodes       [][2]string              `json:",omitempty"` // names and operators of those that cannot be run
	Why         []string                 `json:",omitempty"`
	Remedies    []remedy                 `json:",omitempty"`
	Cancelled   bool                     `json:",omitempty"`
}

// remedy is an error within a failure that names options.
type remedy struct {
	Text    string
	Options []string
}

// failureOf is what is sent of an error.
func failureOf(err error) failure {
	f := failure{Text: err.Error(), Cancelled: errors.Is(err, context.Canceled)}
	errors.As(err, &f.Unavailable)
	var u *engine.UnsupportedError
	if errors.As(err, &u) {
		f.Nodes = [][2]string{}
		for _, n := range u.Nodes {
			f.Nodes = append(f.Nodes, [2]string{n.Name, n.Op})
		}
		f.Why = u.Why
	}
	if f.Unavailable == nil { // which has its own
		for _, r := range onnx.Remedies(err) {
			f.Remedies = append(f.Remedies, remedy{r.Error(), r.RemedyOptions()})
		}
	}
	return f
}

// remote is an error of a worker's.
type remote struct {
	text  string
	is    []error
	nodes [][2]string
	why   []string
}

func (e *remote) Error() string   { return e.text }
func (e *remote) Unwrap() []error { return e.is }

// How much of an error is taken.
const (
	maxText     = 1 << 16
	maxRemedies = 16
)

// failed is the error that a worker sent.
func (p *process) failed(ctx context.Context, body []byte, doing engine.LostError) error {
	var f failure
	switch err := json.Unmarshal(body, &f); {
	case err != nil:
		return p.lost(ctx, errProtocol, doing)
	case f.Cancelled && ctx.Err() != nil:
		return ctx.Err()
	case wantsMemory(f.Text):
		doing.Why = p.limits.tooMuch()
		return &doing
	}
	e := &remote{text: printable(f.Text[:min(len(f.Text), maxText)]), nodes: f.Nodes, why: f.Why}
	if u := f.Unavailable; u != nil {
		u.Backend, u.Reason, u.Remedy = printable(u.Backend), printable(u.Reason), printable(u.Remedy)
		e.is = append(e.is, u)
	}
	for _, r := range f.Remedies[:min(len(f.Remedies), maxRemedies)] {
		for i, o := range r.Options {
			r.Options[i] = printable(o)
		}
		e.is = append(e.is, onnx.Remedy(errors.New(printable(r.Text)), r.Options...))
	}
	for i, w := range e.why {
		e.why[i] = printable(w)
	}
	return e
}

// named finds in m the nodes that a worker's refusal is about.
func named(err error, backend string, m *onnx.Model) error {
	var e *remote
	if !errors.As(err, &e) || e.nodes == nil {
		return err
	}
	u := &engine.UnsupportedError{Backend: backend, Why: e.why}
	refused := map[[2]string]bool{}
	for _, n := range e.nodes {
		refused[n] = true
	}
	var walk func(g *onnx.Graph)
	walk = func(g *onnx.Graph) {
		for _, n := range g.Nodes {
			if refused[[2]string{n.Name, n.Op}] {
				u.Nodes = append(u.Nodes, n)
			}
			for _, s := range n.Subgraphs() {
				walk(s)
			}
		}
	}
	walk(m.Graph)
	e.is = append(e.is, u)
	return e
}
