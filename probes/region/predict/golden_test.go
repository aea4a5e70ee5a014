package predict

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/region"
)

// golden is testdata/golden/predict.json; region_predict.py says what is in it.
type golden struct {
	Detections []struct {
		Logits, Boxes [][]float64
		Threshold     float64
		Size          [2]int
		Want          struct {
			Scores []float64
			Labels []int
			Boxes  [][]float64
		}
	}
	Maps []struct {
		Logits [][][]float64
		Size   [2]int
		Want   []int32
	}
	NMS []struct {
		Boxes  [][]float64
		Scores []float64
		Labels []int
		Most   float64
		Want   []int
	}
}

func readGolden(t *testing.T) (g golden) {
	t.Helper()
	b, err := os.ReadFile("../../../testdata/golden/predict.json")
	if err == nil {
		err = json.Unmarshal(b, &g)
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func flat(rows [][]float64) *tensor.Tensor {
	return tensor.Of(slices.Concat(rows...), 1, len(rows), len(rows[0]))
}

// seen is a picture that the model sees as it is.
func seen(h, w int) picture.Geometry {
	s := picture.Size{H: h, W: w}
	return picture.Geometry{Picture: s, Resized: s, Input: s}
}

// DETR's outputs are read as transformers does.
func TestDetectionsAgainstTransformers(t *testing.T) {
	for i, d := range readGolden(t).Detections {
		f := &Finder{Settings: Settings{Kind: Boxes, Score: d.Threshold, Form: "cxcywh", Normalised: true, Activation: "softmax"}, out: outputs{0, 1, -1, false}}
		g := seen(d.Size[0], d.Size[1])
		got, _, err := f.boxes([]*tensor.Tensor{flat(d.Boxes), flat(d.Logits)}, g)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(d.Want.Boxes) {
			t.Errorf("case %d: %d boxes, want %d", i, len(got), len(d.Want.Boxes))
			continue
		}
		for k, r := range got {
			w := d.Want.Boxes[k]
			want := region.Box{X0: max(w[0], 0), Y0: max(w[1], 0), X1: min(w[2], float64(d.Size[1])), Y1: min(w[3], float64(d.Size[0]))}
			if r.Label != strconv.Itoa(d.Want.Labels[k]) || far(r.Box, want) > 1e-4 { // theirs is float32
				t.Errorf("case %d: box %d is %v %v, want %d %v", i, k, r.Label, r.Box, d.Want.Labels[k], want)
			}
		}
	}
}

func far(a, b region.Box) float64 {
	return max(math.Abs(a.X0-b.X0), math.Abs(a.Y0-b.Y0), math.Abs(a.X1-b.X1), math.Abs(a.Y1-b.Y1))
}

// Logits on a coarse grid give the labels of transformers' bilinear resize.
func TestMapsAgainstTransformers(t *testing.T) {
	for i, m := range readGolden(t).Maps {
		var values []float64
		for _, c := range m.Logits {
			values = append(values, slices.Concat(c...)...)
		}
		shape := []int{len(m.Logits), len(m.Logits[0]), len(m.Logits[0][0])}
		labels, err := newClassMap(values, shape, seen(m.Size[0], m.Size[1])).largest()
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(labels.Of, m.Want) {
			t.Errorf("case %d: the labels are %v, want %v", i, labels.Of, m.Want)
		}
	}
}

func TestSuppressAgainstTorchvision(t *testing.T) {
	for i, c := range readGolden(t).NMS {
		var all []found
		for k, b := range c.Boxes {
			all = append(all, found{region.Region{ID: strconv.Itoa(k), Label: strconv.Itoa(c.Labels[k]), Box: region.Box{X0: b[0], Y0: b[1], X1: b[2], Y1: b[3]}}, c.Scores[k]})
		}
		var got []int
		for _, r := range suppress(all, c.Most) {
			k, _ := strconv.Atoi(r.ID)
			got = append(got, k)
		}
		if !slices.Equal(got, c.Want) {
			t.Errorf("case %d: kept %v, want %v", i, got, c.Want)
		}
	}
}
