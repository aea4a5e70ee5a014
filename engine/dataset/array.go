package dataset

import (
	"archive/zip"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

func isNpyName(name string) bool {
	ext := strings.ToLower(filepath.Ext(name))
	return ext == ".npy" || ext == ".npz"
}

func looksNpy(fsys fs.FS, path string) bool {
	return isNpyName(path) || bytes.HasPrefix(firstBytes(fsys, path), []byte("\x93NUMPY"))
}

// The names of arrays in .npz files.
var (
	dataNames  = []string{"x", "images", "data", "input"}
	labelNames = []string{"y", "labels", "label", "targets", "target"}
)

func openNpy(path string, o Options) ([]source, error) {
	return eachFile(o, path, isNpyName, func(file string) (source, error) {
		f, size, err := openRegular(o.FS, file)
		if err != nil {
			return nil, err
		}
		var s source
		if bytes.HasPrefix(firstBytes(o.FS, file), []byte("PK")) {
			s, err = openNpz(f, size, file, o)
		} else {
			s, err = openArray(f, io.NewSectionReader(f, 0, size), file, "", nil, o)
		}
		if err != nil {
			f.Close()
		}
		return s, err
	})
}

// openNpz picks the arrays of an archive. One that is stored as it is stays in
// the file; compressed ones are unpacked.
func openNpz(f io.ReaderAt, size int64, path string, o Options) (source, error) {
	z, err := zip.NewReader(f, size)
	if err != nil {
		return nil, fmt.Errorf("it is not a zip archive: %w", err)
	}
	members := map[string]*zip.File{}
	for _, m := range z.File {
		if name, ok := strings.CutSuffix(m.Name, ".npy"); ok {
			members[name] = m
		}
	}
	arrays := slices.Sorted(maps.Keys(members))
	name, labelled, err := samplesOf(arrays, o.Column)
	if err != nil {
		return nil, err
	}
	left := o.MaxUnpacked
	var labels []int
	if labelled != "" {
		t, used, err := tensor.ReadNpzMember(members[labelled], left)
		if err == nil {
			labels, err = labelsOf(t)
		}
		if err != nil {
			o.unlabelled = fmt.Sprintf("%q is left out: %v", labelled, err)
		}
		left -= used
	} else if others := slices.DeleteFunc(arrays, func(a string) bool { return a == name || !isLabels(a) }); len(others) > 0 {
		o.unlabelled = fmt.Sprintf("none of %q is named as the labels of %q", others, name)
	}
	m := members[name]
	if at, err := m.DataOffset(); err == nil && m.Method == zip.Store && at+int64(m.UncompressedSize64) <= size {
		return openArray(f, io.NewSectionReader(f, at, int64(m.UncompressedSize64)), path, name, labels, o)
	}
	t, _, err := tensor.ReadNpzMember(m, left)
	if err != nil {
		return nil, err
	}
	return newArray(tensor.NpyHeader{DType: t.DType, Shape: t.Shape}, bytes.NewReader(t.Bytes()), path, name, labels, o)
}

// isLabels reports whether an array is named as one of labels.
func isLabels(name string) bool {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return strings.ContainsRune("_-./", r) })
	return slices.ContainsFunc(words, func(word string) bool { return slices.Contains(labelNames, word) })
}

// samplesOf is which of an archive's arrays holds the samples, and which their labels, ""
// for none. asked is that of the samples if it is not "".
func samplesOf(arrays []string, asked string) (samples, labels string, err error) {
	usual := func(name string) bool {
		return slices.ContainsFunc(dataNames, func(n string) bool { return strings.EqualFold(n, name) })
	}
	others := slices.DeleteFunc(slices.Clone(arrays), isLabels)
	named := slices.DeleteFunc(slices.Clone(others), func(name string) bool { return !usual(name) })
	switch {
	case asked != "" && slices.Contains(arrays, asked):
		samples = asked
	case asked != "":
		return "", "", fmt.Errorf("it has no array %q, only %q", asked, arrays)
	case len(named) == 1:
		samples = named[0]
	case len(others) == 1:
		samples = others[0]
	case len(others) == 0:
		return "", "", fmt.Errorf("it has no array of samples, only %q", arrays)
	default:
		err := fmt.Errorf("several of its arrays can hold the samples, say which: %s", strings.Join(others, ", "))
		return "", "", onnx.Remedy(err, "dataset.Options.Column")
	}
	// Those of train_images are train_labels, of x_test y_test, and of the only samples there
	// are the only labels.
	for _, name := range arrays {
		if isLabels(name) && name != samples && slices.ContainsFunc(dataNames, func(data string) bool {
			return slices.ContainsFunc(labelNames, func(l string) bool {
				return strings.EqualFold(replaceWord(samples, data, l), name)
			})
		}) {
			return samples, name, nil
		}
	}
	of := slices.DeleteFunc(slices.Clone(arrays), func(name string) bool { return !isLabels(name) || name == samples })
	if len(of) == 1 && len(others) == 1 {
		return samples, of[0], nil
	}
	return samples, "", nil
}

// replaceWord replaces one of the words of a name, which a _ separates.
func replaceWord(name, word, by string) string {
	words := strings.Split(name, "_")
	for i, w := range words {
		if strings.EqualFold(w, word) {
			words[i] = by
		}
	}
	return strings.Join(words, "_")
}

func labelsOf(t *tensor.Tensor) ([]int, error) {
	long := slices.DeleteFunc(slices.Clone(t.Shape), func(d int) bool { return d == 1 })
	labels, whole := []int(nil), len(long) <= 1
	for _, v := range t.Float64s() {
		whole = whole && v == math.Trunc(v) && math.Abs(v) <= math.MaxInt32
		labels = append(labels, int(max(v, -1)))
	}
	if !whole {
		return nil, fmt.Errorf("want one whole number for each sample, got %s %v", t.DType, t.Shape)
	}
	return labels, nil
}

// openArray reads a .npy header at the start of data, and leaves the rest there
// unless its axes are in Fortran's order.
func openArray(f io.ReaderAt, data *io.SectionReader, path, name string, labels []int, o Options) (source, error) {
	h, err := tensor.ReadNpyHeader(data)
	if err != nil {
		return nil, err
	}
	if have := data.Size() - h.Offset; h.DataBytes() > have {
		return nil, fmt.Errorf("the data is cut short: %s %v needs %d bytes, there are %d", h.DType, h.Shape, h.DataBytes(), have)
	}
	if h.Fortran && len(h.Shape) > 1 {
		if h.DataBytes() > o.MaxUnpacked {
			return nil, fmt.Errorf("%d bytes in Fortran order do not fit the limit of %d in memory; save it with np.ascontiguousarray", h.DataBytes(), o.MaxUnpacked)
		}
		if _, err := data.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		t, err := tensor.ReadNpy(data)
		if err != nil {
			return nil, err
		}
		return newArray(tensor.NpyHeader{DType: t.DType, Shape: t.Shape}, bytes.NewReader(t.Bytes()), path, name, labels, o)
	}
	return newArray(h, data, path, name, labels, o)
}

func newArray(h tensor.NpyHeader, r io.ReaderAt, path, name string, labels []int, o Options) (source, error) {
	if slices.Contains(h.Shape, 0) || len(h.Shape) == 0 {
		return nil, fmt.Errorf("the array has shape %v, which holds no samples", h.Shape)
	}
	id := filepath.Base(path)
	if name != "" {
		id += ":" + name
	}
	label := func(n int) (func(int) int, error) {
		if labels == nil {
			return nil, nil
		}
		if len(labels) != n {
			return nil, fmt.Errorf("there are %d labels for %d samples", len(labels), n)
		}
		return func(i int) int { return labels[i] }, nil
	}
	white, err := o.white(h, r)
	if err != nil {
		return nil, err
	}
	if white > 0 {
		l, err := pictureAxes(h.Shape, o)
		if err != nil {
			return nil, err
		}
		s := &records{part: part{path: path, format: "npy", name: id, n: l.n, unlabelled: o.unlabelled}, r: r, offset: h.Offset,
			stride: int64(l.c) * int64(l.h) * int64(l.w), c: l.c, h: l.h, w: l.w, last: l.last}
		if h.DType != tensor.Uint8 || white != 255 {
			s.levels, s.stride = &levels{h, white}, s.stride*int64(h.DType.Bits()/8)
		}
		if s.label, err = label(l.n); err != nil {
			return nil, err
		}
		if int64(l.h)*int64(l.w) > o.MaxPixels {
			return nil, fmt.Errorf("a picture of %d x %d pixels is over the limit of %d", l.h, l.w, o.MaxPixels)
		}
		return s.ready(o)
	}
	a := &array{part: part{o: o, path: path, format: "npy", name: id, unlabelled: o.unlabelled}, r: r, h: h}
	if err := a.axes(); err != nil {
		return nil, err
	}
	a.label, err = label(a.n)
	return a, err
}

// array is samples that are model inputs already.
type array struct {
	part
	r      io.ReaderAt
	h      tensor.NpyHeader
	count  int   // elements of a sample
	shape  []int // of a sample, as the model takes it
	stored []int // of a sample in the file, where it must be turned
	order  []int // the stored axis that each axis of shape is
}

// axes tells which axis counts samples, and whether channels must move.
func (a *array) axes() error {
	whole, o := a.h.Shape, &a.o
	sample := whole[1:]
	if len(whole) == 1 {
		sample = whole // one point
	}
	orders := [][]int{nil, {2, 0, 1}, {1, 2, 0}} // as it is, to [C,H,W] and to [H,W,C]
	nhwc := o.Layout == "nhwc" && len(sample) == 3 && !picture.PlanesOf(o.Input).Last
	switch {
	case nhwc:
		orders = orders[1:2]
	case len(sample) != 3 || o.Layout != "":
		orders = orders[:1]
	}
	fits := func(sample, order []int) (err error) {
		turned := slices.Clone(sample)
		for i, k := range order {
			turned[i] = sample[k]
		}
		if a.shape, err = picture.ShapeFor(turned, o.Input); err == nil {
			a.order, a.stored, a.count = order, sample, tensor.Count(sample)
			a.n = tensor.Count(whole) / a.count
		}
		return err
	}
	var fault error
	for _, order := range orders {
		err := fits(sample, order)
		if err == nil {
			return nil
		}
		fault = cmp.Or(fault, err)
	}
	if !nhwc && fits(whole, nil) == nil {
		return nil
	}
	return fault
}

func (a *array) Shape() []int { return slices.Clone(a.shape) }

func (a *array) Sample(i int, dst []float32) error {
	if len(dst) != a.count {
		return fmt.Errorf("reading sample %d of %q: the buffer has %d elements, want %d", i, a.path, len(dst), a.count)
	}
	size := a.h.DType.Bits() / 8
	raw := make([]byte, a.count*size)
	if err := a.readAt(a.r, raw, a.h.Offset+int64(i)*int64(len(raw))); err != nil {
		return fmt.Errorf("reading sample %d of %q: %w", i, a.path, err)
	}
	if a.order == nil {
		floats(a.h, raw, dst)
		return nil
	}
	flat := make([]float32, a.count)
	floats(a.h, raw, flat)
	s := a.stored
	stride := []int{s[1] * s[2], s[2], 1}
	for k := range dst {
		z := k % s[a.order[2]]
		y := k / s[a.order[2]] % s[a.order[1]]
		x := k / s[a.order[2]] / s[a.order[1]]
		dst[k] = flat[x*stride[a.order[0]]+y*stride[a.order[1]]+z*stride[a.order[2]]]
	}
	return nil
}

func (a *array) describe() Description {
	d := a.part.describe()
	if a.h.DType == tensor.Float64 {
		d.Sources[0].RoundedFrom = a.h.DType.String()
	}
	return d
}

// floats converts elements of any numeric type.
func floats(h tensor.NpyHeader, raw []byte, dst []float32) {
	order := h.Order()
	if h.DType == tensor.Float32 {
		for i := range dst {
			dst[i] = math.Float32frombits(order.Uint32(raw[4*i:]))
		}
		return
	}
	if h.BigEndian { // tensor decodes little-endian bytes
		raw = swapped(raw, h.DType.Bits()/8)
	}
	t, err := tensor.Decode(h.DType, []int{len(dst)}, raw)
	if err != nil {
		panic(err) // the header was checked
	}
	for i, v := range t.Float64s() {
		dst[i] = float32(v)
	}
}

func swapped(raw []byte, size int) []byte {
	out := bytes.Clone(raw)
	for ; len(raw) >= size && size > 1; raw = raw[size:] {
		slices.Reverse(out[len(out)-len(raw) : len(out)-len(raw)+size])
	}
	return out
}

// pictures says how the axes of a uint8 array are read.
type pictures struct {
	n, c, h, w int
	last       bool
}

func pictureAxes(s []int, o Options) (pictures, error) {
	want := picture.PlanesOf(o.Input)
	if o.Preprocess != nil && o.Preprocess.Channels != 0 {
		want.C = o.Preprocess.Channels
	}
	isChannels := func(d int) bool { return d == 1 || d == 3 }
	switch len(s) {
	case 4:
		first, last := isChannels(s[1]), isChannels(s[3])
		if first && last && want.C != 0 && s[1] != s[3] {
			first, last = s[1] == want.C, s[3] == want.C
		}
		switch {
		case o.Layout == "nhwc" && isChannels(s[3]), o.Layout == "" && last && !first:
			return pictures{s[0], s[3], s[1], s[2], true}, nil
		case o.Layout == "nchw" && isChannels(s[1]), o.Layout == "" && first && !last:
			return pictures{s[0], s[1], s[2], s[3], false}, nil
		case first && last && o.Layout == "":
			err := fmt.Errorf("shape %v can be read both ways; give the layout, nchw or nhwc", s)
			return pictures{}, onnx.Remedy(err, "dataset.Options.Layout=nchw or nhwc")
		}
		return pictures{}, fmt.Errorf("shape %v: the axis of channels has neither 1 nor 3", s)
	case 3:
		switch {
		case want.C != 1 && s[0] == 3 && s[2] == 3 && o.Layout == "":
			err := fmt.Errorf("shape %v can be a color picture in both ways; give the layout, nchw or nhwc", s)
			return pictures{}, onnx.Remedy(err, "dataset.Options.Layout=nchw or nhwc")
		case want.C == 0 && (s[0] == 3 || s[2] == 3) && o.Layout == "" && s[0] > 1:
			err := fmt.Errorf("shape %v can be one color picture or %d gray ones, and neither the model nor the preprocessing says: give it an axis more", s, s[0])
			return pictures{}, err
		case want.C != 1 && s[2] == 3 && o.Layout != "nchw":
			return pictures{1, 3, s[0], s[1], true}, nil
		case want.C != 1 && s[0] == 3 && o.Layout != "nhwc":
			return pictures{1, 3, s[1], s[2], false}, nil
		}
		return pictures{s[0], 1, s[1], s[2], false}, nil
	case 2:
		if in := picture.PlanesOf(o.Input); in.H > 0 && in.W > 0 && in.C*in.H*in.W == s[1] {
			return pictures{s[0], in.C, in.H, in.W, in.Last}, nil // pictures laid flat
		}
		if want.H == s[0] && want.W == s[1] {
			return pictures{1, 1, s[0], s[1], false}, nil
		}
		if p := o.Preprocess; p != nil && (p.Resize != picture.Resize{} || p.Crop != picture.Size{} || p.Pad != picture.Pad{}) {
			return pictures{}, fmt.Errorf("shape %v can be one picture or %d of a row each, and would be resized or cropped: reshape it to [%d,H,W] or [1,%d,%d]",
				s, s[0], s[0], s[0], s[1])
		}
		return pictures{s[0], 1, 1, s[1], false}, nil
	case 1:
		return pictures{1, 1, 1, s[0], false}, nil
	}
	return pictures{}, fmt.Errorf("shape %v: pictures have 2 to 4 axes", s)
}
