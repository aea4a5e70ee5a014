package dataset

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Side is an array beside the samples of a dataset, for an input of a model besides
// the one that samples enter by: a box, a mask, the ids of a text.
type Side struct {
	// Name is that of the model's input.
	Name string
	// Rows is [items, shape...], of the type that the model takes, or with Shared
	// [1, shape...], which all items have. It is only read.
	Rows   *tensor.Tensor
	Shared bool
	// Errs, when not nil, says of each item why it has no row.
	Errs []error
	// From says where it comes from, for the manifest: a file, a value, regions.
	From string
}

// Shape is the shape of an item's row.
func (s *Side) Shape() []int { return s.Rows.Shape[1:] }

// row is the place of item i's row.
func (s *Side) row(i int) int {
	if s.Shared {
		return 0
	}
	return i
}

// check is what is wrong with item i's row: not there, or a number that is not finite.
func (s *Side) check(i int) error {
	if s.Errs != nil && s.Errs[i] != nil {
		return fmt.Errorf("input %q: %w", s.Name, s.Errs[i])
	}
	n, at := tensor.Count(s.Shape()), s.row(i)
	bad := -1
	switch d := s.Rows.Data.(type) {
	case []float32:
		bad = slices.IndexFunc(d[at*n:(at+1)*n], func(v float32) bool { return !finite(v) })
	case []float64:
		bad = slices.IndexFunc(d[at*n:(at+1)*n], func(v float64) bool { return v-v != 0 })
	case []uint16:
		bits := map[tensor.DType]uint16{tensor.Float16: 0x7c00, tensor.BFloat16: 0x7f80}[s.Rows.DType]
		bad = slices.IndexFunc(d[at*n:(at+1)*n], func(v uint16) bool { return bits != 0 && v&bits == bits })
	}
	if bad >= 0 {
		return fmt.Errorf("input %q: element %d of row %d is not a finite number", s.Name, bad, at)
	}
	return nil
}

// Sides is what lies beside the samples of ds, as Beside has put it there; nil for most
// datasets. Batches hands out the rows with the samples', in this order.
func Sides(ds Dataset) []Side {
	if m, _, ok := find[interface{ Sides() []Side }](ds, 0); ok {
		return m.Sides()
	}
	return nil
}

type multi struct {
	Dataset
	sides []Side
}

// Beside puts arrays beside the samples of ds, after those that are there.
func Beside(ds Dataset, sides ...Side) (Dataset, error) {
	all := slices.Clone(Sides(ds))
	for _, s := range sides {
		want := ds.Len()
		if s.Shared {
			want = 1
		}
		switch {
		case s.Rows == nil || len(s.Rows.Shape) == 0 || s.Rows.Shape[0] != want:
			return nil, fmt.Errorf("input %q: an array of shape %v for %d items: want [%d, ...], a row for each", s.Name, shapeOf(s.Rows), ds.Len(), want)
		case s.Errs != nil && len(s.Errs) != ds.Len():
			return nil, fmt.Errorf("input %q: %d errors for %d items", s.Name, len(s.Errs), ds.Len())
		case slices.ContainsFunc(all, func(o Side) bool { return o.Name == s.Name }):
			return nil, fmt.Errorf("input %q is given twice", s.Name)
		case tensor.Count(s.Shape()) > math.MaxInt32:
			return nil, fmt.Errorf("input %q: a row of shape %v is too large", s.Name, s.Shape())
		}
		all = append(all, s)
	}
	return multi{ds, all}, nil
}

func shapeOf(t *tensor.Tensor) []int {
	if t == nil {
		return nil
	}
	return t.Shape
}

func (m multi) Unwrap() Dataset { return m.Dataset }
func (m multi) Sides() []Side   { return m.sides }

func (m multi) Sample(i int, dst []float32) error {
	for k := range m.sides {
		if err := m.sides[k].check(i); err != nil {
			return err
		}
	}
	return m.Dataset.Sample(i, dst)
}

func (m multi) describe() Description {
	d := Describe(m.Dataset)
	d.Inputs = nil // those of the dataset within are among the sides
	for k := range m.sides {
		d.Inputs = append(d.Inputs, m.sides[k].Describe())
	}
	return d
}

// Describe says what the array is.
func (s *Side) Describe() SideDescription {
	about := SideDescription{Name: s.Name, DType: s.Rows.DType.String(), Shape: s.Shape(), From: s.From}
	if !s.Shared {
		sum := sha256.Sum256(s.Rows.Bytes())
		about.SHA256 = hex.EncodeToString(sum[:])
	}
	return about
}

// SideDescription is what a manifest says about a Side.
type SideDescription struct {
	Name  string `json:"name"`
	DType string `json:"dtype"`
	Shape []int  `json:"shape"`
	From  string `json:"from"`
	// SHA256 is the hash of the rows as little-endian bytes; "" of a shared one.
	SHA256 string `json:"sha256,omitempty"`
}

// cut is the sides of n items from one on.
func cut(sides []Side, from, n int) []Side {
	out := slices.Clone(sides)
	for k := range out {
		s := &out[k]
		if s.Errs != nil {
			s.Errs = s.Errs[from : from+n]
		}
		if !s.Shared {
			s.Rows = s.Rows.Rows(from, from+n)
		}
	}
	return out
}
