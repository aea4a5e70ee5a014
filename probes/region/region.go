// Package region says which units of a network lie inside a part of the picture. A
// Region of the picture becomes a Mask over the model's input (Project), and each
// site's Layout, found from the graph (Map), says which of its units a mask holds:
// convolutional maps by the pixels that a unit depends on, token grids by the patch
// that a token stands for. The codes of the units inside are then plain bit
// arithmetic (Selection).
package region

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
)

// Region is a part of a picture: a box, or where Mask is set the pixels of a mask.
type Region struct {
	// ID names the region within its picture, Label its class; both may be "".
	ID, Label string
	Box       Box
	// Mask has the picture's size, before preprocessing.
	Mask *Mask
	// Score is how sure what found the region was of it, nil where it does not say.
	Score *float64
	// Crowd says that the region stands for many objects at once, as COCO's iscrowd.
	Crowd bool
}

// Box is the points with X0 <= x < X1 and Y0 <= y < Y1, in pixels of the picture:
// pixel i of an axis covers [i, i+1) and its centre is i+0.5, so that a box of whole
// numbers holds X1-X0 columns, as COCO's x, y, width, height and RoIAlign with
// aligned=True mean it. Pascal VOC's inclusive, 1-based corners become
// xmin-1, ymin-1, xmax, ymax.
type Box struct{ X0, Y0, X1, Y1 float64 }

// check reports what is wrong with a region of a picture of the given size.
func (r Region) check(size picture.Size) error {
	if r.Mask != nil {
		if r.Mask.H != size.H || r.Mask.W != size.W {
			return fmt.Errorf("region %q: a mask of %d x %d pixels (height x width) for a picture of %s", r.ID, r.Mask.H, r.Mask.W, size)
		}
		return nil
	}
	b := r.Box
	for _, v := range []float64{b.X0, b.Y0, b.X1, b.Y1} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("region %q: the box %v is not made of finite numbers", r.ID, b)
		}
	}
	if b.X1 <= b.X0 || b.Y1 <= b.Y0 {
		return fmt.Errorf("region %q: the box %v is empty; want X0 < X1 and Y0 < Y1", r.ID, b)
	}
	return nil
}

// intersect is the part of a box within another; empty ones have no area.
func (b Box) intersect(c Box) Box {
	return Box{max(b.X0, c.X0), max(b.Y0, c.Y0), min(b.X1, c.X1), min(b.Y1, c.Y1)}
}

func (b Box) area() float64 { return max(b.X1-b.X0, 0) * max(b.Y1-b.Y0, 0) }

func (b Box) has(x, y float64) bool { return b.X0 <= x && x < b.X1 && b.Y0 <= y && y < b.Y1 }

// Project is the mask of a region over a model's input: the cells whose centre,
// mapped back to the picture, lies in the region. Where it covers no centre and some
// of it is seen, it takes the one cell that holds the centre of what is seen of it (of
// a box the middle, of a mask the mean of its pixels' centres). Border that
// preprocessing adds belongs to no region.
//
// kept is the fraction of the region's area within the picture that the input shows;
// a mask's area is counted by its pixels' centres. It is 0, and the mask empty, for a
// region that the crop cuts off or that lies outside the picture.
func Project(g picture.Geometry, r Region) (m *Mask, kept float64, err error) {
	if err := r.check(g.Picture); err != nil {
		return nil, 0, err
	}
	kept, _, cx, cy := r.seen(g)
	if kept > 0 {
		m, err = r.project(g, cx, cy)
	} else {
		m, err = NewMask(g.Input.H, g.Input.W)
	}
	return m, kept, err
}

// project is the mask of a region of which the input shows something, with its centre there.
func (r Region) project(g picture.Geometry, cx, cy float64) (*Mask, error) {
	m, err := NewMask(g.Input.H, g.Input.W)
	if err != nil {
		return nil, fmt.Errorf("region %q over the input: %w", r.ID, err)
	}
	whole := Box{0, 0, float64(g.Picture.W), float64(g.Picture.H)}
	any := false
	for y := range m.H {
		for x := range m.W {
			px, py := g.ToPicture(float64(x)+0.5, float64(y)+0.5)
			in := whole.has(px, py)
			if in && r.Mask != nil {
				in = r.Mask.Has(int(py), int(px))
			} else if in {
				in = r.Box.has(px, py)
			}
			if in {
				m.rows[y].set(x)
				any = true
			}
		}
	}
	if !any {
		x, y := g.ToInput(cx, cy)
		m.Set(min(max(int(math.Floor(y)), 0), m.H-1), min(max(int(math.Floor(x)), 0), m.W-1))
	}
	return m, nil
}

// seen is the fraction of the region's area within the picture that the input shows, whether
// any of it lies within, and the centre of what is shown: see Project.
func (r Region) seen(g picture.Geometry) (kept float64, inside bool, cx, cy float64) {
	x0, y0, x1, y1 := g.Seen()
	seen := Box{x0, y0, x1, y1}
	if r.Mask != nil {
		kept, cx, cy = r.Mask.seen(seen)
		return kept, kept > 0 || r.Mask.Count() > 0, cx, cy
	}
	part, within := r.Box.intersect(seen), r.Box.intersect(Box{0, 0, float64(g.Picture.W), float64(g.Picture.H)}).area()
	if within > 0 {
		kept = part.area() / within
	}
	return kept, within > 0, (part.X0 + part.X1) / 2, (part.Y0 + part.Y1) / 2
}

// seen is the fraction of the mask's pixels whose centre lies in a box, and the mean
// of those centres.
func (m *Mask) seen(b Box) (kept, cx, cy float64) {
	all, n := 0, 0
	for y, row := range m.rows {
		if row.empty() {
			continue
		}
		for x := range m.W {
			if !row.has(x) {
				continue
			}
			all++
			if px, py := float64(x)+0.5, float64(y)+0.5; b.has(px, py) {
				n, cx, cy = n+1, cx+px, cy+py
			}
		}
	}
	if n == 0 {
		return 0, 0, 0
	}
	return float64(n) / float64(all), cx / float64(n), cy / float64(n)
}

// ParseLabels reads labels, numbers separated by commas; none is no label. They are sorted,
// each once.
func ParseLabels(text string) ([]int, error) {
	list := []int{}
	if text == "none" {
		return list, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%s: write numbers of labels separated by commas, or none", text)
		}
		list = append(list, n)
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}
