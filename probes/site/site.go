package site

import (
	"fmt"

	"github.com/onnxprobe/onnxprobe/onnx"
)

// Site is a place where an activation is applied.
type Site struct {
	// Name is the module path as the PyTorch user knows it: layer1.0.relu, a
	// second call of the same module layer1.0.relu_1.
	Name string `json:"name"`
	// Op is the activation's name in Activations, or MaxPool.
	Op string `json:"op"`
	// Units is the number of neurons, the product of Shape; each has one bit for
	// every plane.
	Units int `json:"units"`
	// Shape is the activation's shape without the batch axis.
	Shape []int `json:"shape"`
	// Knots are the values at which the activation bends, ascending.
	Knots []float64 `json:"knots"`
	// Smooth marks an activation that bends everywhere; its bits are a sign code.
	Smooth bool `json:"smooth"`
	// Node is the name of the ONNX node that ends the activation, Pre the value
	// before it.
	Node string `json:"node"`
	Pre  string `json:"pre"`
	// Value is what is known of Pre and Window the geometry of a MaxPool, nil for
	// every other; see Settle.
	Value  onnx.Fact `json:"-"`
	Window *Window   `json:"-"`

	bend Bend
	end  *onnx.Node
}

// Nodes are the nodes that the activation consists of, in the model it was found
// in: the one that ends it first.
func (s *Site) Nodes() []*onnx.Node {
	nodes := []*onnx.Node{s.end}
	for _, n := range s.bend.Inner {
		if n != s.end {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// Planes is the number of bits a unit has: one a knot, or enough to write a
// MaxPool's winner.
func (s *Site) Planes() int {
	if s.Window != nil {
		return s.Window.planes
	}
	return len(s.Knots)
}

// Bytes is the length of the site's packed code.
func (s *Site) Bytes() int { return (s.Units*s.Planes() + 7) / 8 }

// Channels is the number of channels of a site, 0 where it has none.
func (s *Site) Channels() int {
	if s.Window != nil || len(s.Shape) < 2 {
		return 0
	}
	return s.Shape[0]
}

// ChannelBytes is the length of a site's channel code.
func (s *Site) ChannelBytes() int { return (s.Channels()*s.Planes() + 7) / 8 }

// Tap is a value whose side of its knots is, for every float, that of Pre's side of
// Knots: see Bend. A MaxPool has none.
func (s *Site) Tap() (value string, knots []float64) { return s.bend.Tap, s.bend.TapKnots }

// AppendWindow appends to dst the elements that unit u of a MaxPool takes the
// largest of, in the window's order: their places in the item's pooled value, in
// row-major order. Elements in the padding are left out. Other sites have none.
func (s *Site) AppendWindow(dst []int, u int) []int {
	if s.Window == nil {
		return dst
	}
	return s.Window.appendTo(dst, u)
}

// Reads names the values that probes of a site read: the one before the activation
// and, where it is another, that of Tap.
func (s *Site) Reads() []string {
	if s.Op == "MaxPool" || s.bend.Tap == s.Pre {
		return []string{s.Pre}
	}
	return []string{s.Pre, s.bend.Tap}
}

// maxUnits bounds a site: its bits must be countable in an ONNX tensor.
const maxUnits = 1 << 33

// Settle fills in Value, Window, Shape and Units by what is known of the model's
// values. The shape of Pre must be: its first skip axes, 1 or 0, are the batch.
func (s *Site) Settle(facts map[string]onnx.Fact, skip int) error {
	f := facts[s.Pre]
	s.Value = f
	if !f.DType.IsFloat() {
		return fmt.Errorf("site %s is of type %s; floating-point sites are supported", s.Name, f.DType)
	}
	dims := f.Shape[skip:]
	if s.Op == "MaxPool" {
		w, out, err := newWindow(s.Name, s.end, f.Shape, facts[s.end.Outputs[0]])
		if err != nil {
			return err
		}
		s.Window, dims = w, out[skip:]
	}
	s.Shape, s.Units = make([]int, len(dims)), 1
	for i, d := range dims {
		s.Shape[i] = int(d)
		if d != 0 && int64(s.Units) > maxUnits/d {
			return fmt.Errorf("site %s has shape %v: more units than can be handled", s.Name, dims)
		}
		s.Units *= int(d)
	}
	if s.Units == 0 {
		return fmt.Errorf("site %s is empty: its shape is %v", s.Name, dims)
	}
	return nil
}
