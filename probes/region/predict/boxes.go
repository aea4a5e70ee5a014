package predict

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/region"
)

// Why boxes of a detector are no regions, besides those that are inverted or beyond the
// picture; Nameless is noted of regions that stay.
const (
	LowScore   region.Reason = "box under the least score"
	Ignored    region.Reason = "box of a label that is no region"
	Suppressed region.Reason = "box that shares too much with a better one"
	Nameless   region.Reason = "label without a name, called by its number"
)

// maxBoxes bounds the regions of a picture.
const maxBoxes = 1 << 16

// detections are a detector's outputs for one picture.
type detections struct {
	n      int
	boxes  []float64 // n rows of width numbers
	width  int
	scores []float64 // n rows of as many classes
	each   int
	labels []float64 // nil where the model gives none
}

// read takes the outputs apart.
func (f *Finder) read(out []*tensor.Tensor) (d detections, err error) {
	b := out[f.out.boxes]
	shape := single(b.Shape, 2)
	if len(shape) != 2 || shape[1] != 4 && shape[1] != 6 {
		return d, fmt.Errorf("its boxes have shape %v; want [N,4], [1,N,4], or 6 numbers a box with the score and the label", b.Shape)
	}
	d.n, d.width, d.boxes = shape[0], shape[1], b.Float64s()
	if d.width == 6 {
		return d, nil
	}
	if f.out.scores >= 0 {
		s := out[f.out.scores]
		shape := single(s.Shape, 1)
		if s.Len() != d.n {
			shape = single(s.Shape, 2)
		}
		if len(shape) < 1 || len(shape) > 2 || shape[0] != d.n || len(shape) == 2 && shape[1] < 1 {
			return d, fmt.Errorf("its scores have shape %v for %d boxes; want [N], [1,N], or of every class [N,C], [1,N,C]", s.Shape, d.n)
		}
		if d.each = 1; len(shape) == 2 {
			d.each = shape[1]
		}
		d.scores = s.Float64s()
	}
	if f.out.labels >= 0 {
		l := out[f.out.labels]
		if l.Len() != d.n {
			return d, fmt.Errorf("its labels have shape %v for %d boxes; want [N] or [1,N]", l.Shape, d.n)
		}
		d.labels = l.Float64s()
	}
	return d, nil
}

// single drops leading axes of 1, such as that of the batch, down to a rank.
func single(shape []int, rank int) []int {
	for len(shape) > rank && shape[0] == 1 {
		shape = shape[1:]
	}
	return shape
}

// found is a detection that is a region.
type found struct {
	region.Region
	score float64
}

// boxes are the detections whose score is high enough, as regions of the picture, and how
// many others there are; what reaches beyond the picture is cut off. Their IDs are their places in the model's output.
func (f *Finder) boxes(out []*tensor.Tensor, g picture.Geometry) (rs []region.Region, left region.Counts, err error) {
	d, err := f.read(out)
	if err != nil {
		return nil, nil, err
	}
	var all []found
	left = region.Counts{}
	for i := range d.n {
		score, class := f.judge(&d, i)
		if !(score >= f.Score) {
			left[LowScore]++
			continue
		}
		if slices.Contains(f.Ignore, class) {
			left[Ignored]++
			continue
		}
		numbers := d.boxes[i*d.width:][:4]
		if slices.ContainsFunc(numbers, func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }) {
			return nil, nil, fmt.Errorf("its box %d is %v; want finite numbers", i, numbers)
		}
		box := f.onPicture(numbers, g)
		if box.X0 >= box.X1 || box.Y0 >= box.Y1 {
			left[region.BadBox]++
			continue
		}
		w, h := float64(g.Picture.W), float64(g.Picture.H)
		box = region.Box{X0: max(box.X0, 0), Y0: max(box.Y0, 0), X1: min(box.X1, w), Y1: min(box.Y1, h)}
		if box.X0 >= box.X1 || box.Y0 >= box.Y1 { // the detector saw it in a border
			left[region.Outside]++
			continue
		}
		label := ""
		if class >= 0 {
			label = f.name(class)
		}
		r := region.Region{ID: strconv.Itoa(i), Label: label, Box: box}
		if f.Scored() && !math.IsInf(score, 0) {
			r.Score = &score
		}
		all = append(all, found{r, score})
	}
	if f.NMS > 0 {
		n := len(all)
		if all = suppress(all, f.NMS); len(all) < n {
			left[Suppressed] += n - len(all)
		}
	}
	if len(all) > maxBoxes {
		return nil, nil, fmt.Errorf("it finds %d boxes, want at most %d; a higher least score leaves fewer", len(all), maxBoxes)
	}
	rs = make([]region.Region, len(all))
	for i := range all {
		rs[i] = all[i].Region
	}
	return rs, left, nil
}

// suppress is greedy non-maximum suppression within each label; those that stay are in
// the order of their scores.
func suppress(all []found, most float64) (kept []found) {
	slices.SortStableFunc(all, func(a, b found) int { return cmp.Compare(b.score, a.score) })
	for _, a := range all {
		if len(kept) > maxBoxes {
			break
		}
		if !slices.ContainsFunc(kept, func(k found) bool { return k.Label == a.Label && overlap(k.Box, a.Box) > most }) {
			kept = append(kept, a)
		}
	}
	return kept
}

// overlap is the intersection of two boxes over their union.
func overlap(a, b region.Box) float64 {
	area := func(b region.Box) float64 { return max(b.X1-b.X0, 0) * max(b.Y1-b.Y0, 0) }
	both := area(region.Box{X0: max(a.X0, b.X0), Y0: max(a.Y0, b.Y0), X1: min(a.X1, b.X1), Y1: min(a.Y1, b.Y1)})
	return both / (area(a) + area(b) - both)
}

// judge is the score and the class of a detection, -1 where it has none. Without
// scores all have score infinity.
func (f *Finder) judge(d *detections, i int) (score float64, class int) {
	score, class = math.Inf(1), -1
	switch {
	case d.width == 6:
		score, class = d.boxes[i*6+4], whole(d.boxes[i*6+5])
	case d.each > 1:
		score, class = f.best(d.scores[i*d.each:][:d.each])
	case d.each == 1:
		if score = d.scores[i]; f.Activation == "sigmoid" {
			score = sigmoid(score)
		}
	}
	if d.labels != nil {
		class = whole(d.labels[i])
	}
	return score, class
}

// whole is a label as a number; -1 for what is none.
func whole(v float64) int {
	if v >= 0 && v < math.MaxInt32 {
		return int(v)
	}
	return -1
}

// name is that of a label.
func (f *Finder) name(label int) string {
	if label >= 0 && label < len(f.Names) {
		return f.Names[label]
	}
	return strconv.Itoa(label)
}

// best is the class with the largest probability, the first of equal ones; with
// softmax the last one, no object, is left out.
func (f *Finder) best(values []float64) (score float64, class int) {
	v := slices.Clone(values)
	switch f.Activation {
	case "sigmoid":
		for i := range v {
			v[i] = sigmoid(v[i])
		}
	case "softmax":
		softmax(v)
		v = v[:len(v)-1]
	}
	class = 0
	for i := range v {
		if v[i] > v[class] {
			class = i
		}
	}
	return v[class], class
}

func sigmoid(v float64) float64 { return 1 / (1 + math.Exp(-v)) }

// softmax makes probabilities of logits in place.
func softmax(v []float64) {
	most, sum := slices.Max(v), 0.0
	for i := range v {
		v[i] = math.Exp(v[i] - most)
		sum += v[i]
	}
	for i := range v {
		v[i] /= sum
	}
}

// onPicture is a box of the model's input on the picture, which it may reach beyond.
func (f *Finder) onPicture(v []float64, g picture.Geometry) region.Box {
	x0, y0, x1, y1 := v[0], v[1], v[2], v[3]
	switch f.Form {
	case "xywh":
		x1, y1 = x0+x1, y0+y1
	case "cxcywh":
		x0, y0, x1, y1 = x0-x1/2, y0-y1/2, x0+x1/2, y0+y1/2
	}
	if f.Normalised {
		w, h := float64(g.Input.W), float64(g.Input.H)
		x0, y0, x1, y1 = x0*w, y0*h, x1*w, y1*h
	}
	x0, y0 = g.ToPicture(x0, y0)
	x1, y1 = g.ToPicture(x1, y1)
	return region.Box{X0: x0, Y0: y0, X1: x1, Y1: y1}
}
