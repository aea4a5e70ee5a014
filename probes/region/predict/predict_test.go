package predict

import (
	"fmt"
	"image"
	"image/color"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/engine/gorgonia"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/region"
	"github.com/onnxprobe/onnxprobe/probes/region/segment"
)

func node(op, in, out string) *onnx.Node {
	return &onnx.Node{Name: out, Op: op, Inputs: strings.Fields(in), Outputs: strings.Fields(out)}
}

// save writes a model of one input x, whose batch, rows and columns are open, and reads
// it again, as a file has a SHA-256.
func save(t *testing.T, x *onnx.Value, consts []*onnx.Tensor, nodes []*onnx.Node, outs ...*onnx.Value) *onnx.Model {
	t.Helper()
	m := &onnx.Model{IR: 8, Opsets: []onnx.Opset{{Version: 13}}, Graph: &onnx.Graph{Name: "g", Inputs: []*onnx.Value{x}, Initializers: consts, Nodes: nodes, Outputs: outs}}
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := m.Save(path); err != nil {
		t.Fatal(err)
	}
	m, err := onnx.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var open = onnx.NewValue("x", tensor.Float32, []onnx.Dim{{Param: "n"}, {Size: 1}, {Param: "h"}, {Param: "w"}})

// detector gives four boxes that grow with the brightest pixel, 1 for white, and their
// scores.
func detector(t *testing.T) *onnx.Model {
	base := onnx.NewTensor("base", tensor.Of([]float32{1, 2, 5, 6, -2, -2, 3, 4, 0, 0, 8, 8, 0, 0, 8, 1}, 4, 4))
	return save(t, open, []*onnx.Tensor{base, onnx.NewTensor("scores_", tensor.Of([]float32{.9, .8, .7, .3}, 4)), onnx.NewTensor("flat", tensor.Of([]int64{1}, 1))},
		[]*onnx.Node{node("ReduceMax", "x", "most"), node("Reshape", "most flat", "one"), node("Mul", "base one", "boxes"), node("Mul", "scores_ one", "scores")},
		onnx.NewValue("boxes", tensor.Float32, []onnx.Dim{{Size: 4}, {Size: 4}}), onnx.NewValue("scores", tensor.Float32, []onnx.Dim{{Size: 4}}))
}

// parser gives the values x and 1 - x, so that dark pixels are of class 1.
func parser(t *testing.T) *onnx.Model {
	cat := node("Concat", "x y", "out")
	cat.Attrs = []*onnx.Attr{{Name: "axis", Type: onnx.AttrInt, Int: 1}}
	return save(t, open, []*onnx.Tensor{onnx.NewTensor("one", tensor.Of([]float32{1}, 1))}, []*onnx.Node{node("Sub", "one x", "y"), cat},
		onnx.NewValue("out", tensor.Float32, []onnx.Dim{{Param: "n"}, {Size: 2}, {Param: "h"}, {Param: "w"}}))
}

// grey is a picture of one grey, with a rectangle of another.
func grey(w, h int, ground, ink uint8, in image.Rectangle) image.Image {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := range w * h {
		v := ground
		if (image.Point{X: i % w, Y: i / w}).In(in) {
			v = ink
		}
		m.SetRGBA(i%w, i/w, color.RGBA{v, v, v, 255})
	}
	return m
}

func text(rs []region.Region) string {
	var all []string
	for _, r := range rs {
		s := fmt.Sprintf("%s%v", r.ID, r.Box)
		if r.Label != "" {
			s = r.Label + "=" + s
		}
		if r.Mask != nil {
			s += fmt.Sprintf(" of %d", r.Mask.Count())
		}
		all = append(all, s)
	}
	return strings.Join(all, ", ")
}

// Boxes come back to the picture through resizing, cropping and borders: worked by hand.
func TestBoxesOnThePicture(t *testing.T) {
	m := detector(t)
	exact := picture.Preprocess{Channels: 1, Resize: picture.Resize{Mode: picture.Exact, Size: picture.Size{H: 8, W: 8}}}
	crop := picture.Preprocess{Channels: 1, Resize: picture.Resize{Mode: picture.Shorter, Size: picture.Size{H: 4, W: 4}}, Crop: picture.Size{H: 4, W: 4}}
	border := picture.Preprocess{Channels: 1, Resize: picture.Resize{Mode: picture.Fit, Size: picture.Size{H: 8, W: 8}}, Crop: picture.Size{H: 8, W: 8}}
	for _, c := range []struct {
		name string
		w, h int
		grey uint8
		pre  picture.Preprocess
		s    Settings
		want string
	}{
		{"resized", 16, 4, 255, exact, Settings{Score: 0.5}, "0{2 1 10 3}, 1{0 0 6 2}, 2{0 0 16 4}"},
		{"half as bright", 16, 4, 0, exact, Settings{Score: 0.1}, ""},
		{"a higher score", 16, 4, 255, exact, Settings{Score: 0.75}, "0{2 1 10 3}, 1{0 0 6 2}"},
		{"cropped", 16, 8, 255, crop, Settings{Score: 0.85}, "0{6 4 14 8}"},
		{"a border above", 16, 8, 255, border, Settings{}, "0{2 0 10 8}, 1{0 0 6 4}, 2{0 0 16 8}"},
		{"a corner and the size", 8, 8, 255, exact, Settings{Score: 0.85, Form: "xywh"}, "0{1 2 6 8}"},
		{"the centre and the size", 8, 8, 255, exact, Settings{Score: 0.85, Form: "cxcywh"}, "0{0 0 3.5 5}"},
		{"few of many that overlap", 8, 8, 255, exact, Settings{Score: 0.5, NMS: 0.2}, "0{1 2 5 6}, 1{0 0 3 4}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.s.Kind, c.s.Preprocess = Boxes, c.pre
			f, err := Open(t.Context(), m, c.s, gorgonia.Backend{}, engine.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			got, err := f.Regions(grey(c.w, c.h, c.grey, 0, image.Rectangle{}))
			if err != nil || text(got) != c.want {
				t.Errorf("got %s (%v), want %s", text(got), err, c.want)
			}
		})
	}
}

// Dark pixels are one region, light ones another; super-pixels take the stray ones in,
// and what the crop cuts off is in neither.
func TestLabelsOnThePicture(t *testing.T) {
	m := parser(t)
	none := picture.Preprocess{Channels: 1}
	crop := picture.Preprocess{Channels: 1, Crop: picture.Size{H: 8, W: 8}}
	for _, c := range []struct {
		name string
		pre  picture.Preprocess
		s    Settings
		want string
	}{
		{"as it is", none, Settings{Names: []string{"light"}}, "light=0{0 0 16 8} of 110, 1=1{2 2 8 5} of 18"},
		{"without one", none, Settings{Ignore: []int{0}, Names: []string{"light", "dark"}}, "dark=1{2 2 8 5} of 18"},
		{"cropped", crop, Settings{}, "0=0{4 0 12 8} of 52, 1=1{4 2 8 5} of 12"},
		{"boxes alone", none, Settings{Ignore: []int{0}, BoxOnly: true}, "1=1{2 2 8 5}"},
		{"one super-pixel", none, Settings{Smooth: 1}, "0=0{0 0 16 8} of 128"},
		{"one super-pixel, cropped", crop, Settings{Smooth: 1}, "0=0{4 0 12 8} of 64"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.s.Kind, c.s.Preprocess = Labels, c.pre
			f, err := Open(t.Context(), m, c.s, gorgonia.Backend{}, engine.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			got, err := f.Regions(grey(16, 8, 255, 0, image.Rect(2, 2, 8, 5)))
			if err != nil || text(got) != c.want {
				t.Errorf("got %s (%v), want %s", text(got), err, c.want)
			}
		})
	}
}

// What is wrong with a model, or asked of it wrongly, is said when it is opened.
func TestOpenFaults(t *testing.T) {
	none := picture.Preprocess{Channels: 1}
	vector := onnx.NewValue("x", tensor.Float32, []onnx.Dim{{Param: "n"}, {Size: 4}})
	small := onnx.NewValue("x", tensor.Float32, []onnx.Dim{{Size: 1}, {Size: 1}, {Size: 4}, {Size: 6}})
	two := onnx.NewValue("x", tensor.Float32, []onnx.Dim{{Size: 2}, {Size: 1}, {Size: 4}, {Size: 4}})
	same := func(x *onnx.Value) *onnx.Model {
		return save(t, x, nil, []*onnx.Node{node("Relu", "x", "y")}, onnx.NewValue("y", tensor.Float32, x.Shape))
	}
	for _, c := range []struct {
		m    *onnx.Model
		s    Settings
		want string
	}{
		{detector(t), Settings{Kind: "masks"}, "want boxes or labels"},
		{detector(t), Settings{Kind: Boxes, Outputs: map[string]string{"boxes": "b"}}, `no output "b" for its boxes`},
		{detector(t), Settings{Kind: Boxes, Outputs: map[string]string{"map": "b"}}, "boxes have boxes, scores, labels"},
		{detector(t), Settings{Kind: Boxes, Outputs: map[string]string{"boxes": "scores"}}, "cannot be its boxes"},
		{detector(t), Settings{Kind: Labels}, "none of its outputs can be its labels"},
		{parser(t), Settings{Kind: Boxes}, "none of its outputs can be its boxes"},
		{detector(t), Settings{Kind: Boxes, Smooth: 4}, "cannot be smoothed"},
		{detector(t), Settings{Kind: Boxes, Form: "yxyx"}, "xyxy, xywh or cxcywh"},
		{detector(t), Settings{Kind: Boxes, Model: []string{"0"}}, "its SHA-256 is another"},
		{same(vector), Settings{Kind: Boxes}, "no picture's"},
		{same(two), Settings{Kind: Labels}, "2 pictures at once"},
		{same(small), Settings{Kind: Labels, Preprocess: picture.Preprocess{Name: "p.json", Channels: 3, Crop: picture.Size{H: 5, W: 6}}},
			"the model of regions takes [1 4 6], the preprocessing p.json gives [3 5 6]: give a JSON file made for it"},
	} {
		if c.s.Preprocess.Name == "" {
			c.s.Preprocess = none
		}
		f, err := Open(t.Context(), c.m, c.s, gorgonia.Backend{}, engine.Options{})
		if err == nil {
			f.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want an error that says %q", err, c.want)
		}
	}
}

// Outputs of any shape and value are read or refused.
func TestReadFaults(t *testing.T) {
	for _, c := range []struct {
		boxes, scores *tensor.Tensor
		want          string
	}{
		{tensor.Of(make([]float32, 5), 1, 5), nil, "its boxes have shape [1 5]"},
		{tensor.Of(make([]float32, 8), 2, 1, 4), nil, "its boxes have shape"},
		{tensor.Of(make([]float32, 8), 2, 4), tensor.Of(make([]float32, 3), 3), "its scores have shape [3] for 2 boxes"},
		{tensor.Of(make([]float32, 8), 2, 4), tensor.Of([]float32{}, 2, 0), "its scores have shape"},
	} {
		f := &Finder{Settings: Settings{Kind: Boxes}, out: outputs{0, -1, -1, false}}
		out := []*tensor.Tensor{c.boxes}
		if c.scores != nil {
			f.out.scores, out = 1, append(out, c.scores)
		}
		if _, _, err := f.boxes(out, seen(8, 8)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want an error that says %q", err, c.want)
		}
	}
	six := &Finder{Settings: Settings{Kind: Boxes, Score: 0.5, Names: []string{"cat", "dog"}}, out: outputs{0, -1, -1, false}}
	got, _, err := six.boxes([]*tensor.Tensor{tensor.Of([]float32{1, 1, 2, 2, .9, 1, 1, 1, 3, 3, .4, 0, 0, 0, 2, 2, .8, 7}, 1, 3, 6)}, seen(8, 8))
	if want := "dog=0{1 1 2 2}, 7=2{0 0 2 2}"; err != nil || text(got) != want {
		t.Errorf("boxes of six numbers: got %s (%v), want %s", text(got), err, want)
	}
}

// Boxes that are no regions are counted by reason, of each picture once, and labels without a
// name are noted.
func TestLeftOutDetectionsAreCounted(t *testing.T) {
	out := tensor.Of([]float32{1, 1, 2, 2, .9, 1, 1, 1, 3, 3, .4, 0, 1, 1, 3, 3, float32(math.NaN()), 0, 3, 3, 1, 1, .8, 0, 9, 9, 12, 12, .8, 0,
		1, 1, 2, 2, .8, 1, 5, 5, 6, 6, .8, 3, 5, 5, 6, 6, .8, 7}, 8, 6)
	f := &Finder{Settings: Settings{Kind: Boxes, Score: 0.5, NMS: 0.5, Ignore: []int{3}, Names: []string{"cat", "dog"}}, out: outputs{0, -1, -1, false}}
	rs, left, err := f.boxes([]*tensor.Tensor{out}, seen(8, 8))
	want := region.Counts{LowScore: 2, Ignored: 1, Suppressed: 1, region.BadBox: 1, region.Outside: 1}
	if err != nil || len(rs) != 2 || !maps.Equal(left, want) {
		t.Errorf("%s, left out %v (%v), want %v", text(rs), left, err, want)
	}
	m, exact := detector(t), picture.Preprocess{Channels: 1, Resize: picture.Resize{Mode: picture.Exact, Size: picture.Size{H: 8, W: 8}}}
	f, err = Open(t.Context(), m, Settings{Kind: Boxes, Score: 0.75, Preprocess: exact}, gorgonia.Backend{}, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	from := segment.Source(f, func(i int) (image.Image, error) { return grey(8, 8, 255, 0, image.Rectangle{}), nil })
	for _, i := range []int{0, 1, 1} {
		if rs, errs := from.Regions(i, picture.Size{H: 8, W: 8}); len(rs) != 2 || errs != nil {
			t.Errorf("%s, %v", text(rs), errs)
		}
	}
	if got := region.LeftOut(from); !maps.Equal(got, region.Counts{LowScore: 4}) {
		t.Errorf("of two pictures, one asked for twice, left out are %v", got)
	}
	m = parser(t)
	p, err := Open(t.Context(), m, Settings{Kind: Labels, Preprocess: picture.Preprocess{Channels: 1}, Names: []string{"light"}}, gorgonia.Backend{}, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, _, noted, err := p.Counted(grey(16, 8, 255, 0, image.Rect(2, 2, 8, 5))); err != nil || !maps.Equal(noted, region.Counts{Nameless: 1}) {
		t.Errorf("noted are %v, %v", noted, err)
	}
}

// Labels of integers are taken at the centres of pixels, of any size of map.
func TestNearest(t *testing.T) {
	f := &Finder{Settings: Settings{Kind: Labels}, out: outputs{-1, -1, 0, false}}
	l, err := f.labelMap(tensor.Of([]int64{0, 1, 2, 3}, 1, 2, 2), seen(2, 6), nil)
	if want := []int32{0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3}; err != nil || !slices.Equal(l.Of, want) {
		t.Errorf("got %v (%v), want %v", l, err, want)
	}
	for _, bad := range []*tensor.Tensor{tensor.Of([]int64{-1}, 1, 1), tensor.Of([]int64{1 << 40}, 1, 1), tensor.Of([]int64{1, 2}, 2, 1, 1), tensor.Of([]float32{1}, 1, 1, 1)} {
		if _, err := f.labelMap(bad, seen(1, 1), nil); err == nil {
			t.Errorf("labels %v of shape %v were taken", bad.Data, bad.Shape)
		}
	}
}
