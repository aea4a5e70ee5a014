package site

import (
	"fmt"
	"math/bits"

	"github.com/onnxprobe/onnxprobe/onnx"
)

// Window is the geometry of a MaxPool, an entry for each spatial axis. A unit's code
// is the position of the element it takes within its window, counted in row-major
// order, written in as many bits as the largest position needs, the lowest first.
type Window struct {
	// Node is the MaxPool.
	Node *onnx.Node
	// Size and Out are the sizes of the input and the output.
	Size, Out []int64
	// Kernel is the size of the window, Pads how much is added before the input.
	Kernel, Strides, Dilations, Pads []int64

	planes int
}

// newWindow is that of the MaxPool of a site over a value of shape x, and the shape of
// its output out.
func newWindow(site string, n *onnx.Node, x []int64, out onnx.Fact) (*Window, []int64, error) {
	if len(x) < 3 || len(x) > 10 {
		return nil, nil, fmt.Errorf("site %s: a MaxPool over a value of shape %v", site, x)
	}
	k := len(x) - 2
	if !out.Known() || len(out.Shape) != len(x) {
		return nil, nil, fmt.Errorf("the shape of site %s cannot be told from the model", site)
	}
	if n.Int("storage_order", 0) != 0 {
		return nil, nil, fmt.Errorf("site %s: a column-major MaxPool is not supported", site)
	}
	w := &Window{Node: n, Size: x[2:], Out: out.Shape[2:], Kernel: n.Ints("kernel_shape")}
	list := func(name string, absent int64) []int64 {
		v := n.Ints(name)
		for len(v) < k {
			v = append(v, absent)
		}
		return v[:k]
	}
	w.Strides, w.Dilations, w.Pads = list("strides", 1), list("dilations", 1), list("pads", 0)
	total := int64(1)
	for i := range k {
		total *= w.Kernel[i]
		if total > 1<<16 {
			return nil, nil, fmt.Errorf("site %s: a window of %v is too large to encode", site, w.Kernel)
		}
		if auto := n.Str("auto_pad", "NOTSET"); auto == "SAME_UPPER" || auto == "SAME_LOWER" {
			need := max((w.Out[i]-1)*w.Strides[i]+(w.Kernel[i]-1)*w.Dilations[i]+1-w.Size[i], 0)
			if w.Pads[i] = need / 2; auto == "SAME_LOWER" {
				w.Pads[i] = (need + 1) / 2
			}
		} else if auto == "VALID" {
			w.Pads[i] = 0
		}
	}
	w.planes = max(bits.Len64(uint64(total-1)), 1)
	return w, out.Shape, nil
}

// appendTo appends to dst the places that unit u takes the largest of.
func (w *Window) appendTo(dst []int, u int) []int {
	k := len(w.Size)
	var corner, at [8]int64
	if k > len(at) {
		panic(fmt.Sprintf("site: a MaxPool over %d axes", k))
	}
	for a := k - 1; a >= 0; a-- {
		n := int(w.Out[a])
		corner[a] = int64(u%n)*w.Strides[a] - w.Pads[a]
		u /= n
	}
	for {
		place, inside := u, true
		for a := range k {
			c := corner[a] + at[a]*w.Dilations[a]
			inside = inside && c >= 0 && c < w.Size[a]
			place = place*int(w.Size[a]) + int(c)
		}
		if inside {
			dst = append(dst, place)
		}
		a := k - 1
		for ; a >= 0; a-- {
			if at[a]++; at[a] < w.Kernel[a] {
				break
			}
			at[a] = 0
		}
		if a < 0 {
			return dst
		}
	}
}
