package annotate

import (
	"fmt"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/probes/region"
)

// runs is a mask as COCO's run lengths, column after column: counts, or where that is
// nil the packed string.
type runs struct {
	size   picture.Size
	counts []int
	packed string
}

func (r *runs) mask(size picture.Size) (*region.Mask, error) {
	if r.size != size {
		return nil, fmt.Errorf("got a mask of %d x %d (width x height), want the picture's %d x %d", r.size.W, r.size.H, size.W, size.H)
	}
	counts := r.counts
	if counts == nil {
		var err error
		if counts, err = unpackRuns(r.packed); err != nil {
			return nil, err
		}
	}
	return region.Runs(size.H, size.W, counts, false)
}

// bounds is the box around the pixels, as pycocotools' toBbox: a run over the end of a column
// reaches from its first row to its last.
func (r *runs) bounds() region.Box {
	counts := r.counts
	if counts == nil {
		counts, _ = unpackRuns(r.packed) // which was read before
	}
	x0, y0, x1, y1 := r.size.W, r.size.H, 0, 0
	at := 0
	for i, n := range counts {
		if i%2 == 1 && n > 0 && r.size.H > 0 {
			first, last := at, at+n-1
			top, bottom := first%r.size.H, last%r.size.H
			if first/r.size.H != last/r.size.H {
				top, bottom = 0, r.size.H-1
			}
			x0, x1 = min(x0, first/r.size.H), max(x1, last/r.size.H+1)
			y0, y1 = min(y0, top), max(y1, bottom+1)
		}
		at += n
	}
	return region.Box{X0: float64(x0), Y0: float64(y0), X1: float64(x1), Y1: float64(y1)}
}

// unpackRuns reads pycocotools' compressed run lengths: five bits a character, the
// least significant first, from '0' on; bit 5 says that more follow, bit 4 of the last
// is the sign, and from the fourth run on it is the difference to the last but one.
func unpackRuns(s string) ([]int, error) {
	var out []int
	for i := 0; i < len(s); {
		v := int64(0)
		for k := 0; ; k++ {
			if i == len(s) || k > 6 {
				return nil, fmt.Errorf("the run lengths' string got run %d cut off or too long at byte %d", len(out), i)
			}
			c := s[i] - '0'
			if c > 63 {
				return nil, fmt.Errorf("the run lengths' string got the byte %q at %d, want '0' to 'o'", s[i], i)
			}
			i++
			v |= int64(c&31) << (5 * k)
			if c&32 == 0 {
				if c&16 != 0 {
					v |= -1 << (5 * (k + 1))
				}
				break
			}
		}
		if n := len(out); n > 2 {
			v += int64(out[n-2])
		}
		if v < 0 {
			return nil, fmt.Errorf("the run lengths' string got run %d of %d pixels, want 0 or more", len(out), v)
		}
		out = append(out, int(v))
	}
	return out, nil
}

// packRuns is the inverse of unpackRuns.
func packRuns(counts []int) string {
	var out []byte
	for i, n := range counts {
		if i > 2 {
			n -= counts[i-2]
		}
		for {
			c := byte(n & 31)
			n >>= 5
			done := n == 0 && c&16 == 0 || n == -1 && c&16 != 0
			if !done {
				c |= 32
			}
			out = append(out, c+'0')
			if done {
				break
			}
		}
	}
	return string(out)
}

// runsOf is the run lengths of a mask, column after column, of pixels outside first.
func runsOf(m *region.Mask) []int {
	var out []int
	n, in := 0, false
	for x := range m.W {
		for y := range m.H {
			if m.Has(y, x) != in {
				out, n, in = append(out, n), 0, !in
			}
			n++
		}
	}
	return append(out, n)
}
