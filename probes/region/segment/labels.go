// Package segment divides pictures into regions: super-pixels (SLIC), the regions of a
// label map and its smoothing over super-pixels, and the lines of text of a page. All
// of it is deterministic and needs no model.
package segment

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/onnxprobe/onnxprobe/probes/region"
)

// maxPixels bounds the pictures that are segmented.
const maxPixels = 1 << 28

// MaxMaskBytes bounds what the masks of one picture take.
const MaxMaskBytes = 1 << 30

// MaskBytes is what a mask of h x w pixels takes.
func MaskBytes(h, w int) int64 { return int64(h) * int64((w+63)/64*8) }

// Labels is a label for each pixel of a picture, row after row.
type Labels struct {
	H, W int
	Of   []int32
}

// NewLabels makes labels of 0. It is an error when an edge is not positive or there
// are more than 2^28 pixels.
func NewLabels(h, w int) (*Labels, error) {
	if h < 1 || w < 1 || h > maxPixels/w {
		return nil, fmt.Errorf("labels for a picture of %d x %d (height x width): want positive edges and at most %d pixels", h, w, maxPixels)
	}
	return &Labels{h, w, make([]int32, h*w)}, nil
}

// extent is the pixels of a label.
type extent struct{ count, x0, y0, x1, y1 int }

func (l *Labels) extents() map[int32]*extent {
	all := map[int32]*extent{}
	var e *extent
	last := int32(0)
	for i, k := range l.Of {
		if e == nil || k != last {
			if e = all[k]; e == nil {
				e = &extent{0, l.W, l.H, 0, 0}
				all[k] = e
			}
			last = k
		}
		x, y := i%l.W, i/l.W
		e.count++
		e.x0, e.y0, e.x1, e.y1 = min(e.x0, x), min(e.y0, y), max(e.x1, x+1), max(e.y1, y+1)
	}
	return all
}

// Regions is a region for each label in order: its pixels as Mask, the box around them,
// and the label as ID. It takes a mask of the picture's size, a bit a pixel, for each;
// it is an error when they would take more than MaxMaskBytes.
func (l *Labels) Regions() ([]region.Region, error) {
	extents := l.extents()
	if n := MaskBytes(l.H, l.W) * int64(len(extents)); n > MaxMaskBytes {
		return nil, fmt.Errorf("a label map of %d x %d (height x width) has %d labels: their masks would take %d "+
			"bytes, want at most %d", l.H, l.W, len(extents), n, MaxMaskBytes)
	}
	order := make([]int32, 0, len(extents))
	for k := range extents {
		order = append(order, k)
	}
	slices.Sort(order)
	rs := make([]region.Region, len(order))
	for i, k := range order {
		e := extents[k]
		m, err := region.NewMask(l.H, l.W)
		if err != nil {
			return nil, err
		}
		for y := e.y0; y < e.y1; y++ {
			for x := e.x0; x < e.x1; x++ {
				if l.Of[y*l.W+x] == k {
					m.Set(y, x)
				}
			}
		}
		rs[i] = region.Region{
			ID: strconv.Itoa(int(k)), Mask: m,
			Box: region.Box{X0: float64(e.x0), Y0: float64(e.y0), X1: float64(e.x1), Y1: float64(e.y1)},
		}
	}
	return rs, nil
}

// Named is Regions without those of labels to ignore, each called by the name of its
// label, or its number where that has none.
func (l *Labels) Named(names []string, ignore ...int) ([]region.Region, error) {
	rs, err := l.Regions()
	rs = slices.DeleteFunc(rs, func(r region.Region) bool {
		k, _ := strconv.Atoi(r.ID)
		return slices.Contains(ignore, k)
	})
	for i := range rs {
		rs[i].Label = rs[i].ID
		if k, _ := strconv.Atoi(rs[i].ID); k >= 0 && k < len(names) {
			rs[i].Label = names[k]
		}
	}
	return rs, err
}
