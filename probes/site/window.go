package site

import (
	"fmt"
	"math/bits"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
)

// Window says which elements a site takes the largest (or smallest) of. A unit's code is
// the position of the element it takes among its own, counted in row-major order, written
// in as many bits as the largest position needs, the lowest first.
type Window struct {
	// Node is the operator.
	Node *onnx.Node
	// Axes are the axes of the item's value before a reduction that it takes the largest
	// along; nil for a MaxPool, which the other fields describe: an entry for each spatial
	// axis. Batch is the axis of the batch, which an item does not have.
	Axes  []int
	Batch int
	// Size and Out are the sizes of the input and the output: of a MaxPool along the
	// spatial axes, of a reduction along all but the batch.
	Size, Out []int64
	// Kernel is the size of the window, Pads how much is added before the input.
	Kernel, Strides, Dilations, Pads []int64

	planes int
}

// newWindow is that of a site whose node is n, with the shape of its output. The first
// skip axes are the batch.
func newWindow(site string, n *onnx.Node, facts map[string]onnx.Fact, skip int) (*Window, []int64, error) {
	x, out := facts[n.Input(0)], facts[n.Outputs[0]]
	if !x.Known() || !out.Known() {
		return nil, nil, fmt.Errorf("the shape of site %s cannot be told from the model", site)
	}
	if !n.IsOp("MaxPool") {
		return reduced(site, n, x.Shape, out.Shape, facts, skip)
	}
	return pooled(site, n, x.Shape, out.Shape)
}

// reduced is the window of a reduction, or of a global pooling, which is one.
func reduced(site string, n *onnx.Node, x, out []int64, facts map[string]onnx.Fact, skip int) (*Window, []int64, error) {
	w := &Window{Node: n, Axes: []int{}}
	given := n.Ints("axes")
	if name := n.Input(1); name != "" {
		f := facts[name]
		if f.Const == nil && !(f.Known() && slices.Contains(f.Shape, 0)) {
			return nil, nil, fmt.Errorf("site %s: the axes of %s are not constant", site, n)
		}
		for _, a := range f.Const {
			given = append(given, int64(a))
		}
	}
	switch {
	case n.IsOp("GlobalMaxPool"):
		for i := 2; i < len(x); i++ {
			w.Axes = append(w.Axes, i)
		}
	case len(given) == 0 && n.Int("noop_with_empty_axes", 0) == 0:
		for i := range x {
			w.Axes = append(w.Axes, i)
		}
	}
	for _, a := range given {
		if a < 0 {
			a += int64(len(x))
		}
		if a < 0 || a >= int64(len(x)) || slices.Contains(w.Axes, int(a)) {
			return nil, nil, fmt.Errorf("site %s: the axes %v of a value of shape %v", site, given, x)
		}
		w.Axes = append(w.Axes, int(a))
	}
	slices.Sort(w.Axes)
	// The batch is the first axis that stays.
	for w.Batch = 0; skip > 0 && n.Int("keepdims", 1) == 0 && slices.Contains(w.Axes, w.Batch); {
		w.Batch++
	}
	if skip > 0 && (w.Batch >= len(x) || slices.Contains(w.Axes, w.Batch) && x[w.Batch] != 1) {
		return nil, nil, fmt.Errorf("site %s takes the largest over the items of a batch", site)
	}
	total := int64(1)
	for _, a := range w.Axes {
		total *= x[a]
		if total > 1<<30 {
			return nil, nil, fmt.Errorf("site %s takes the largest of too many elements, of a value of shape %v", site, x)
		}
	}
	w.Out = out[min(skip, len(out)):]
	if w.Size = x; skip > 0 {
		w.Size = slices.Delete(slices.Clone(x), w.Batch, w.Batch+1)
		w.Axes = slices.DeleteFunc(w.Axes, func(a int) bool { return a == w.Batch })
		for i, a := range w.Axes {
			if a > w.Batch {
				w.Axes[i]--
			}
		}
	}
	w.planes = max(bits.Len64(uint64(max(total, 1)-1)), 1)
	return w, out, nil
}

func pooled(site string, n *onnx.Node, x, out []int64) (*Window, []int64, error) {
	if len(x) < 3 || len(x) > 10 {
		return nil, nil, fmt.Errorf("site %s: a MaxPool over a value of shape %v", site, x)
	}
	k := len(x) - 2
	if len(out) != len(x) {
		return nil, nil, fmt.Errorf("the shape of site %s cannot be told from the model", site)
	}
	if n.Int("storage_order", 0) != 0 {
		return nil, nil, fmt.Errorf("site %s: a column-major MaxPool is not supported", site)
	}
	w := &Window{Node: n, Size: x[2:], Out: out[2:], Kernel: n.Ints("kernel_shape")}
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
	return w, out, nil
}

// appendTo appends to dst the places that unit u takes the largest of.
func (w *Window) appendTo(dst []int, u int) []int {
	if w.Axes != nil {
		return w.appendReduced(dst, u)
	}
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

// appendReduced is appendTo of a reduction: u counts along the axes that stay.
func (w *Window) appendReduced(dst []int, u int) []int {
	k := len(w.Size)
	stride := make([]int, k)
	gone := make([]bool, k)
	for a, s := k-1, 1; a >= 0; a-- {
		stride[a] = s
		s *= int(w.Size[a])
		gone[a] = slices.Contains(w.Axes, a)
	}
	base := 0
	for a := k - 1; a >= 0; a-- {
		if !gone[a] {
			base += u % int(w.Size[a]) * stride[a]
			u /= int(w.Size[a])
		}
	}
	places := []int{base}
	for a := range k {
		if !gone[a] {
			continue
		}
		var next []int
		for _, p := range places {
			for i := range int(w.Size[a]) {
				next = append(next, p+i*stride[a])
			}
		}
		places = next
	}
	return append(dst, places...)
}
