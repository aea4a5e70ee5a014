package site

import (
	"fmt"
	"math/bits"

	"github.com/onnxprobe/onnxprobe/onnx"
)

// Site is a place where an activation is applied.
type Site struct {
	// Name is the module path as the PyTorch user knows it: layer1.0.relu, a
	// second call of the same module layer1.0.relu_1.
	Name string `json:"name"`
	// Op is the activation's name in Activations, or MaxPool or Linear.
	Op string `json:"op"`
	// Units is the number of neurons, the product of Shape; each has one bit for
	// every plane.
	Units int `json:"units"`
	// Shape is the activation's shape without the batch axis.
	Shape []int `json:"shape"`
	// Knots are the values at which the activation bends, ascending; nil where it bends
	// at other values, which Against names, one for each plane of bits. They are empty,
	// and Against "", where the code is which of several elements is taken.
	Knots   []float64 `json:"knots"`
	Against string    `json:"against,omitempty"`
	// Smooth marks an activation that bends everywhere; its bits are a sign code.
	Smooth bool `json:"smooth"`
	// Node is the name of the ONNX node that ends the activation, Pre the value
	// before it.
	Node string `json:"node"`
	Pre  string `json:"pre"`
	// Value is what is known of Pre, and Window the geometry of a site whose code is
	// which element of Pre is taken, nil for every other; see Settle.
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

// Planes is the number of bits a unit has: one a knot or value that it is compared
// with, or enough to write which element is taken.
func (s *Site) Planes() int {
	switch {
	case s.Window != nil:
		return s.Window.planes
	case s.Choices() != nil:
		return bits.Len(uint(len(s.Choices()) - 1))
	case s.Compared() != nil:
		return len(s.Compared())
	}
	return len(s.Knots)
}

// Compared names the values that Pre is compared with instead of Knots, one for each
// plane of bits: a unit's bit is that of Pre > value, as ONNX's Greater broadcasts them.
func (s *Site) Compared() []string { return s.bend.Against }

// Choices names the values of which, at each place, the largest is taken, with Least
// the smallest: the site's code is which one, the first of equals.
func (s *Site) Choices() []string { return s.bend.Choices }

// Least says that the smallest element is taken, not the largest.
func (s *Site) Least() bool { return s.bend.Least }

// Winner says that the site's code is which element is taken, not on which side of
// something a value is.
func (s *Site) Winner() bool { return s.bend.Winner || s.bend.Choices != nil }

// Place names the value that has one element for each of the site's units.
func (s *Site) Place() string {
	if s.Winner() || s.bend.Against != nil {
		return s.end.Outputs[0]
	}
	return s.Pre
}

// Bytes is the length of the site's packed code.
func (s *Site) Bytes() int { return (s.Units*s.Planes() + 7) / 8 }

// Channels is the number of channels of a site, 0 where it has none.
func (s *Site) Channels() int {
	if s.Winner() || len(s.Shape) < 2 {
		return 0
	}
	return s.Shape[0]
}

// ChannelBytes is the length of a site's channel code.
func (s *Site) ChannelBytes() int { return (s.Channels()*s.Planes() + 7) / 8 }

// Tap is a value whose side of its knots is, for every float, that of Pre's side of
// Knots: see Bend. "" for a site without Knots.
func (s *Site) Tap() (value string, knots []float64) { return s.bend.Tap, s.bend.TapKnots }

// AppendWindow appends to dst the elements that unit u of a site with a Window takes
// the largest (or Least) of, in their order: their places in the item's value before the
// site, in row-major order. Elements in the padding of a MaxPool are left out. Other
// sites have none.
func (s *Site) AppendWindow(dst []int, u int) []int {
	if s.Window == nil {
		return dst
	}
	return s.Window.appendTo(dst, u)
}

// Reads names the values that lead with the batch where items can be told apart: those
// that the probes of a site read or, where these broadcast, what they make.
func (s *Site) Reads() []string {
	switch {
	case s.bend.Against != nil || s.bend.Choices != nil:
		return []string{s.Place()}
	case s.end.IsOp("MaxPool"):
		return []string{s.Pre, s.Place()}
	case s.bend.Winner: // along axes of which the batch may stand behind
		return []string{s.Place()}
	case s.bend.Tap == s.Pre:
		return []string{s.Pre}
	}
	return []string{s.Pre, s.bend.Tap}
}

// maxUnits bounds a site: its bits must be countable in an ONNX tensor.
const maxUnits = 1 << 33

// Settle fills in Value, Window, Shape and Units by what is known of the model's
// values. The shapes of Reads must be: their first skip axes, 1 or 0, are the batch.
func (s *Site) Settle(facts map[string]onnx.Fact, skip int) error {
	s.Value = facts[s.Pre]
	if s.bend.Choices != nil {
		s.Value = facts[s.Place()]
	}
	if f := s.Value; !f.DType.IsFloat() {
		return fmt.Errorf("site %s is of type %s; floating-point sites are supported", s.Name, f.DType)
	}
	dims := facts[s.Place()].Shape
	if s.bend.Winner {
		w, out, err := newWindow(s.Name, s.end, facts, skip)
		if err != nil {
			return err
		}
		s.Window, dims = w, out
	}
	dims = dims[skip:]
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
