package onnx

import (
	"fmt"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Function is an operator that the model defines itself, by nodes. It is shared between
// a model and its clones, and not to be changed.
type Function struct {
	Name, Domain, Overload string
	// Body is what a call computes. Its inputs and outputs have names and no types:
	// a caller may leave out those at the end, or name them "".
	Body *Graph
	// Attrs names the attributes that have no default: those that a caller does not
	// give are left out of the nodes that refer to them.
	Attrs    []string
	Defaults []*Attr
	// Opsets are the versions of the operators that the body is written in.
	Opsets []Opset

	unknown []byte
}

// Opset is the version of a domain that the function's body is written in, 0 where
// the function does not say.
func (f *Function) Opset(domain string) int64 { return version(f.Opsets, domain) }

// Callee is what a node calls by: "ai.onnx" is the domain "", and Overload "" but for
// functions that share a name.
type Callee struct{ Domain, Op, Overload string }

// Callee is the function that the node calls, where the model has it.
func (n *Node) Callee() Callee { return Callee{domain(n.Domain), n.Op, n.Overload} }

// Callee is what the function is called by.
func (f *Function) Callee() Callee { return Callee{domain(f.Domain), f.Name, f.Overload} }

// Operator is DOMAIN.OP, or OP alone in ONNX's own domain.
func (c Callee) Operator() string {
	if c.Domain == "" {
		return c.Op
	}
	return c.Domain + "." + c.Op
}

// Known reports whether it is an operator of Operators.
func (c Callee) Known() bool { return c.Overload == "" && OperatorNamed(c.Operator()) != nil }

// String is the callee in quotes, with its overload behind a colon, for messages.
func (c Callee) String() string {
	s := c.Operator()
	if c.Overload != "" {
		s += ":" + c.Overload
	}
	return fmt.Sprintf("%q", s)
}

func (d *decoder) function(b []byte) (*Function, error) {
	fn := &Function{Body: &Graph{}}
	if err := d.bump("function"); err != nil {
		return fn, err
	}
	named := func(vs []*Value, b []byte) ([]*Value, error) {
		return append(vs, NewValue(string(b), tensor.Undefined, nil)), d.bump("value")
	}
	err := d.fields("function", functionWire, b, &fn.unknown, func(f field) (bool, error) {
		var err error
		switch f.num {
		case 1:
			fn.Name = string(f.bytes)
		case 4:
			fn.Body.Inputs, err = named(fn.Body.Inputs, f.bytes)
		case 5:
			fn.Body.Outputs, err = named(fn.Body.Outputs, f.bytes)
		case 6:
			fn.Attrs = append(fn.Attrs, string(f.bytes))
		case 7:
			var n *Node
			n, err = d.node(f.bytes, 0)
			fn.Body.Nodes = append(fn.Body.Nodes, n)
		case 9:
			var o Opset
			o, err = d.opset(f.bytes)
			fn.Opsets = append(fn.Opsets, o)
		case 10:
			fn.Domain = string(f.bytes)
		case 11:
			var a *Attr
			a, err = d.attr(f.bytes, 0)
			fn.Defaults = append(fn.Defaults, a)
		case 13:
			fn.Overload = string(f.bytes)
		default:
			return false, nil
		}
		return true, err
	})
	fn.Body.Name = fn.Name
	if err != nil {
		return fn, fmt.Errorf("function %s: %w", fn.Callee(), err)
	}
	return fn, nil
}

func (f *Function) encode() *rope {
	r := &rope{}
	r.str(1, f.Name)
	for _, v := range f.Body.Inputs {
		r.bytes(4, []byte(v.Name))
	}
	for _, v := range f.Body.Outputs {
		r.bytes(5, []byte(v.Name))
	}
	for _, name := range f.Attrs {
		r.bytes(6, []byte(name))
	}
	for _, n := range f.Body.Nodes {
		r.message(7, n.encode())
	}
	r.opsets(9, f.Opsets)
	r.str(10, f.Domain)
	for _, a := range f.Defaults {
		r.message(11, a.encode())
	}
	r.str(13, f.Overload)
	r.raw(f.unknown)
	return r
}

// tensors lists the constants of the function.
func (f *Function) tensors() []*Tensor {
	return append(f.Body.tensors(), (&Graph{Nodes: []*Node{{Attrs: f.Defaults}}}).tensors()...)
}

// checkFunctions verifies the functions, of which a node may use what the model
// imports where its function imports nothing.
func (m *Model) checkFunctions(fs *faults) {
	seen := map[Callee]bool{}
	for _, f := range m.Functions {
		if seen[f.Callee()] {
			fs.addf("function %s is defined twice", f.Callee())
		}
		seen[f.Callee()] = true
		var own faults
		f.Body.check(&own, nil, false)
		f.Body.eachNode(func(n *Node) {
			if len(m.Opsets) > 0 && version(f.Opsets, n.Domain) == 0 && version(m.Opsets, n.Domain) == 0 {
				own.addf("node %s: domain %q is not among the imported operator sets", n, n.Domain)
			}
		})
		for _, err := range own.errs {
			fs.addf("function %s: %w", f.Callee(), err)
		}
		fs.more += own.more
	}
}
