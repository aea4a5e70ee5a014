package onnx

import (
	"errors"
	"fmt"

	"github.com/onnxprobe/onnxprobe/onnx/filetype"
)

// Bounds on what a file may claim, so that decoding takes memory in proportion to
// the file. Real models stay orders of magnitude below.
const (
	maxDepth = 32      // nested subgraphs
	maxNodes = 1 << 20 // nodes, attributes, values or tensors in one file
	maxParts = 1 << 23 // strings and messages of any kind in one file
	maxInts  = 1 << 26 // integers and floats in attributes
	maxName  = 1 << 14 // bytes in one name
)

var errNoGraph = errors.New("the model has no graph")

// parse reads a model from its protobuf bytes. Tensor data is aliased, so data
// must not change while the model is in use; everything else is copied. src is the
// file that data lies in, nil in tests.
func parse(data []byte, src *mapping) (*Model, error) {
	if len(data) == 0 {
		return nil, errors.New("the file is empty")
	}
	d := &decoder{src: src}
	m := &Model{}
	err := d.fields("model", modelWire, data, &m.unknown, func(f field) (bool, error) {
		switch f.num {
		case 1:
			m.IR = int64(f.varint)
		case 2:
			m.Producer = string(f.bytes)
		case 3:
			m.ProducerVersion = string(f.bytes)
		case 7:
			if m.Graph != nil {
				return false, errors.New("model: two graphs")
			}
			var err error
			m.Graph, err = d.graph(f.bytes, 0)
			return true, err
		case 8:
			o, err := d.opset(f.bytes)
			m.Opsets = append(m.Opsets, o)
			return true, err
		case 14:
			p, err := d.prop(f.bytes)
			m.Meta = append(m.Meta, p)
			return true, err
		case 25:
			fn, err := d.function(f.bytes)
			m.Functions = append(m.Functions, fn)
			return true, err
		case 20:
			return false, d.training(f.bytes)
		default:
			return false, nil
		}
		return true, nil
	})
	switch {
	case err != nil || m.Graph == nil:
		if is := filetype.Of(data); is.Name != "" && is.Name != filetype.ONNX {
			return nil, otherKind(is)
		}
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("this is not an ONNX model, or it is damaged: %w", err)
	case m.Graph == nil && m.IR == 0 && len(m.Opsets) == 0:
		return nil, errors.New("this is not an ONNX model: it has no graph, IR version or opset")
	case m.Graph == nil:
		return nil, errNoGraph
	}
	m.hidden = d.hidden
	return m, nil
}

// otherKind is of a file that is of another kind.
func otherKind(is filetype.Type) error {
	if is.Remedy == "" {
		return fmt.Errorf("this is %s, not an ONNX model", is.Name)
	}
	return fmt.Errorf("this is %s, not an ONNX model; %s", is.Name, is.Remedy)
}

func (d *decoder) opset(b []byte) (Opset, error) {
	var o Opset
	err := d.fields("opset_import", opsetWire, b, nil, func(f field) (bool, error) {
		switch f.num {
		case 1:
			o.Domain = string(f.bytes)
		case 2:
			o.Version = int64(f.varint)
		}
		return true, nil
	})
	return o, err
}

func (d *decoder) graph(b []byte, depth int) (*Graph, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("graph: subgraphs nested deeper than %d", maxDepth)
	}
	g := &Graph{}
	err := d.fields("graph", graphWire, b, &g.unknown, func(f field) (bool, error) {
		switch f.num {
		case 1:
			n, err := d.node(f.bytes, depth)
			g.Nodes = append(g.Nodes, n)
			return true, err
		case 2:
			g.Name = string(f.bytes)
		case 5:
			t, err := d.tensor(f.bytes)
			g.Initializers = append(g.Initializers, t)
			return true, err
		case 11:
			v, err := d.value(f.bytes)
			g.Inputs = append(g.Inputs, v)
			return true, err
		case 12:
			v, err := d.value(f.bytes)
			g.Outputs = append(g.Outputs, v)
			return true, err
		case 13:
			v, err := d.value(f.bytes)
			g.Values = append(g.Values, v)
			return true, err
		case 15:
			return false, d.sparse(f.bytes)
		default:
			return false, nil
		}
		return true, nil
	})
	return g, err
}

func (d *decoder) node(b []byte, depth int) (*Node, error) {
	n := &Node{}
	if err := d.bump("node"); err != nil {
		return n, err
	}
	err := d.fields("node", nodeWire, b, &n.unknown, func(f field) (bool, error) {
		switch f.num {
		case 1:
			n.Inputs = append(n.Inputs, string(f.bytes))
		case 2:
			n.Outputs = append(n.Outputs, string(f.bytes))
		case 3:
			n.Name = string(f.bytes)
		case 4:
			n.Op = string(f.bytes)
		case 5:
			a, err := d.attr(f.bytes, depth)
			n.Attrs = append(n.Attrs, a)
			return true, err
		case 7:
			n.Domain = string(f.bytes)
		case 8:
			n.Overload = string(f.bytes)
		case 9:
			p, err := d.prop(f.bytes)
			n.Meta = append(n.Meta, p)
			return true, err
		default:
			return false, nil
		}
		return true, nil
	})
	if err != nil {
		return n, fmt.Errorf("node %s: %w", n, err)
	}
	return n, nil
}
