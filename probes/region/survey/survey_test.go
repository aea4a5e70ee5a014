package survey

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/probes/region"
	"github.com/onnxprobe/onnxprobe/probes/region/annotate"
)

// boxed are the regions of pictures, and one fault of the first.
type boxed [][]region.Region

func (b boxed) Has(i int) bool { return b[i] != nil }

func (b boxed) Regions(i int, _ picture.Size) ([]region.Region, []error) {
	if i == 0 {
		return b[i], []error{errors.New("a box without corners")}
	}
	return b[i], nil
}

func TestSurvey(t *testing.T) {
	gray, err := picture.ParsePreprocess("none")
	if err != nil {
		t.Fatal(err)
	}
	digits := "../../../testdata/images/digits/3/"
	ds, err := dataset.Open([]string{digits + "0213.png", digits + "0231.png"}, dataset.Options{Preprocess: &gray})
	if err != nil {
		t.Fatal(err)
	}
	box := func(label string, x float64) region.Region {
		return region.Region{Label: label, Box: region.Box{X0: x, X1: x + 4, Y1: 4}}
	}
	s := Survey{Pictures: ds, Found: boxed{{box("b", 0), box("a", 4)}, {box("b", 0)}},
		True: boxed{nil, {box("b", 0), box("c", 4)}}, Singly: true, Format: "boxes", Truth: "boxes", IoU: 0.5}
	used := 0
	sum, err := s.Run(t.Context(), func(annotate.Picture) error { used++; return nil })
	if err != nil || sum.Items != 2 || sum.Failed != 0 || used != 2 {
		t.Fatalf("%+v, %d used, %v", sum, used, err)
	}
	b, err := json.Marshal(&s)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`{"format":"boxes","pictures":2,"regions":3,"masks":0,"failed":1,"faults":["a box without corners"],`,
		`"truth_format":"boxes","iou":0.5,"score":{"truth":2,"found":3,"matched":1,`,
		`"labels":[{"label":"a","pictures":1,"regions":1,"masks":0,"score":{"truth":0,"found":1,`,
		`{"label":"c","pictures":0,"regions":0,"masks":0,"score":{"truth":1,"found":0,`,
		`"by_picture":[{"id":"`,
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %s in\n%s", want, b)
		}
	}
	var text strings.Builder
	s.Print(&text, "JSON")
	if !strings.Contains(text.String(), "\n\"b\"    1      2      1 ") || s.Strangers() {
		t.Errorf("strangers %v, and it says\n%s", s.Strangers(), text.String())
	}
	s = Survey{Pictures: ds, Found: boxed{{box("b", 0)}, nil}, True: boxed{{box("c", 0)}, nil}, IoU: 0.5}
	if _, err := s.Run(t.Context(), func(annotate.Picture) error { return nil }); err != nil || !s.Strangers() {
		t.Errorf("nothing to compare is not seen: %v", err)
	}
}
