package annotate

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/probes/region"
)

// polygons is a region's outlines, x and y alternating, in pixels or with a scale in
// parts of the picture; the region is their union.
type polygons struct {
	outlines [][]float64
	scale    float64
}

func (p polygons) bounds() region.Box {
	b := region.Box{X0: math.Inf(1), Y0: math.Inf(1), X1: math.Inf(-1), Y1: math.Inf(-1)}
	for _, o := range p.outlines {
		for i := 0; i < len(o); i += 2 {
			b.X0, b.X1 = min(b.X0, o[i]), max(b.X1, o[i])
			b.Y0, b.Y1 = min(b.Y0, o[i+1]), max(b.Y1, o[i+1])
		}
	}
	return b
}

func checkOutline(xy []float64) error {
	if len(xy) < 6 || len(xy)%2 != 0 {
		return fmt.Errorf("a polygon got %d numbers, want x and y of three points or more", len(xy))
	}
	for _, v := range xy {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return errors.New("a polygon got NaN or Infinity, want finite numbers")
		}
	}
	return nil
}

// parseSegmentation reads COCO's segmentation: a list of polygons, or run lengths as a
// list or a string. None gives nil.
func parseSegmentation(raw json.RawMessage) (shape, error) {
	if len(raw) == 0 || string(raw) == "null" || string(raw) == "[]" {
		return nil, nil
	}
	if raw[0] == '[' {
		var p polygons
		if err := unmarshal(raw, &p.outlines); err != nil {
			return nil, fmt.Errorf("the segmentation: %w; want a list of polygons of finite numbers", err)
		}
		for _, xy := range p.outlines {
			if err := checkOutline(xy); err != nil {
				return nil, fmt.Errorf("the segmentation: %w", err)
			}
		}
		return p, nil
	}
	var v struct {
		Size   []whole
		Counts json.RawMessage
	}
	if err := unmarshal(raw, &v); err != nil {
		return nil, fmt.Errorf("the segmentation: %w; want polygons or an object of size and counts", err)
	}
	if len(v.Size) != 2 || len(v.Counts) == 0 {
		return nil, fmt.Errorf("the segmentation got a size of %d numbers and %d bytes of counts, want size [height, width] and counts", len(v.Size), len(v.Counts))
	}
	r := &runs{size: picture.Size{H: int(v.Size[0]), W: int(v.Size[1])}}
	if v.Counts[0] == '"' {
		var packed string
		if err := unmarshal(v.Counts, &packed); err != nil {
			return nil, fmt.Errorf("the segmentation: %w", err)
		}
		r.packed = packed
		_, err := unpackRuns(packed)
		return r, err
	}
	var counts []whole
	if err := unmarshal(v.Counts, &counts); err != nil {
		return nil, fmt.Errorf("the segmentation's counts: %w; want numbers or a string", err)
	}
	r.counts = make([]int, len(counts))
	for i, n := range counts {
		r.counts[i] = int(n)
	}
	return r, nil
}

// fineness is how many steps COCO's rasteriser makes of a pixel.
const fineness = 5

// maxSteps bounds the steps along the outlines of one region.
const maxSteps = 1 << 26

// mask is the pixels inside, as pycocotools' frPyObjects and merge find them: the
// outline is drawn on a grid of fifths of a pixel, a column of pixels is crossed where
// the outline crosses the fifth at its centre, and pixels between two crossings are
// inside.
func (p polygons) mask(size picture.Size) (*region.Mask, error) {
	m, err := region.NewMask(size.H, size.W)
	if err != nil {
		return nil, err
	}
	steps := 0
	for _, xy := range p.outlines {
		c := crossings{h: size.H, w: size.W}
		if err := c.outline(xy, p.scale, &steps); err != nil {
			return nil, err
		}
		slices.Sort(c.at)
		for i := 0; i+1 < len(c.at); i += 2 {
			for k := c.at[i]; k < c.at[i+1]; k++ {
				m.Set(k%size.H, k/size.H)
			}
		}
		if n := len(c.at); n%2 == 1 {
			for k := c.at[n-1]; k < size.H*size.W; k++ {
				m.Set(k%size.H, k/size.H)
			}
		}
	}
	return m, nil
}

// crossings are the places, column after column, where an outline is crossed.
type crossings struct {
	h, w int
	at   []int
}

type spot struct{ x, y int }

func (c *crossings) outline(xy []float64, scale float64, steps *int) error {
	n := len(xy) / 2
	points := make([]spot, n+1)
	for i := range n {
		x, y := xy[2*i], xy[2*i+1]
		if scale != 0 {
			x, y = x/scale*float64(c.w), y/scale*float64(c.h)
		}
		if x < -float64(c.w) || y < -float64(c.h) || x > 2*float64(c.w) || y > 2*float64(c.h) {
			return fmt.Errorf("a polygon got the point (%g, %g), want it near the picture of %d x %d (width x height)", x, y, c.w, c.h)
		}
		points[i] = spot{int(fineness*x + .5), int(fineness*y + .5)}
	}
	points[n] = points[0]
	last := points[0]
	for i := range n {
		a, b := points[i], points[i+1]
		long := max(abs(b.x-a.x), abs(b.y-a.y))
		if *steps += long; *steps > maxSteps {
			return fmt.Errorf("the polygons' outlines are longer than %d pixels", maxSteps/fineness)
		}
		for d := 1; d <= long; d++ {
			at := along(a, b, d, long)
			c.step(last, at)
			last = at
		}
	}
	return nil
}

// along is the d-th of so many steps from a to b. It is counted from the end with the
// smaller coordinate, so that an edge is the same both ways.
func along(a, b spot, d, long int) spot {
	flat := abs(b.x-a.x) >= abs(b.y-a.y)
	if flat && a.x > b.x || !flat && a.y > b.y {
		a, b, d = b, a, long-d
	}
	if flat {
		return spot{a.x + d, int(float64(a.y) + float64(b.y-a.y)/float64(long)*float64(d) + .5)}
	}
	return spot{int(float64(a.x) + float64(b.x-a.x)/float64(long)*float64(d) + .5), a.y + d}
}

// step notes a crossing where a step leaves the fifth at a column's centre.
func (c *crossings) step(from, to spot) {
	if from.x == to.x {
		return
	}
	x := from.x - 1
	y := from.y
	if to.x < from.x {
		x = to.x
	}
	if to.y < from.y {
		y = to.y
	}
	if to.x > from.x {
		x = to.x - 1
	}
	const middle = fineness / 2
	if x < middle || (x-middle)%fineness != 0 || x/fineness > c.w-1 {
		return
	}
	down := math.Ceil((float64(y)+.5)/fineness - .5)
	c.at = append(c.at, x/fineness*c.h+int(min(max(down, 0), float64(c.h))))
}

func abs(a int) int { return max(a, -a) }
