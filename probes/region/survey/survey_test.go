package survey

import (
	"encoding/json"
	"errors"
	"image"
	"reflect"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/probes/region"
	"github.com/onnxprobe/onnxprobe/probes/region/annotate"
	"github.com/onnxprobe/onnxprobe/probes/region/segment"
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

// finds is a finder that fails.
type finds struct{ err error }

func (f finds) Regions(image.Image) ([]region.Region, error) { return nil, f.err }

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
		`{"format":"boxes","pictures":2,"regions":3,"masks":0,"failed":1,"faults":["picture \"`,
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
	s = Survey{Pictures: ds, Found: segment.Source(finds{errors.New("no number")}, func(i int) (image.Image, error) {
		if i == 0 {
			return nil, errors.New("its data is damaged")
		}
		return image.NewGray(image.Rect(0, 0, 8, 8)), nil
	})}
	sum, err = s.Run(t.Context(), func(annotate.Picture) error { return nil })
	if left := (annotate.Counts{unreadable: 1, unfound: 1}); err != nil || sum.Failed != 2 || !reflect.DeepEqual(s.LeftOut, left) {
		t.Errorf("%+v, left out %v, %v; want a picture that cannot be read and one in which no region can be found", sum, s.LeftOut, err)
	}
	if err := s.Unused(); !strings.Contains(err.Error(), "2 annotations or pictures could") || !strings.Contains(err.Error(), `0231.png": no number`) {
		t.Errorf("it says %v", err)
	}
	crowd := box("b", 0)
	crowd.Crowd = true
	s = Survey{Pictures: ds, Found: boxed{{box("b", 0)}, {box("b", 0)}}, True: boxed{{crowd}, {crowd}}, IoU: 0.5}
	if _, err := s.Run(t.Context(), func(annotate.Picture) error { return nil }); err != nil {
		t.Fatal(err)
	}
	text.Reset()
	s.Print(&text, "JSON")
	if b, err = json.Marshal(&s); err != nil || !strings.Contains(string(b), `"found_in_crowds":2`) || !strings.Contains(text.String(), "passed over: 2") {
		t.Errorf("regions in crowds are not counted: %s\n%s", b, text.String())
	}
	s = Survey{Pictures: ds, Found: boxed{{box("b", 0)}, nil}, True: boxed{{box("c", 0)}, nil}, IoU: 0.5}
	if _, err := s.Run(t.Context(), func(annotate.Picture) error { return nil }); err != nil || !s.Strangers() {
		t.Errorf("nothing to compare is not seen: %v", err)
	}
}

// A finder whose engine goes beyond a limit ends the run at its first picture.
func TestSurveyOfALostEngine(t *testing.T) {
	gray, err := picture.ParsePreprocess("none")
	if err != nil {
		t.Fatal(err)
	}
	ds, err := dataset.Open([]string{"../../../testdata/images/digits/3/"}, dataset.Options{Preprocess: &gray})
	if err != nil {
		t.Fatal(err)
	}
	lost := &engine.LostError{Engine: "fake", Doing: "ran the model", Why: errors.New("took longer than 60 s")}
	looked := 0
	s := Survey{Pictures: ds, Found: segment.Source(finds{lost}, func(i int) (image.Image, error) {
		looked++
		return dataset.Picture(ds, i)
	})}
	_, err = s.Run(t.Context(), func(annotate.Picture) error { return nil })
	if want := `picture "` + ds.Item(0).ID + `": fake took longer`; !errors.Is(err, lost) || !strings.Contains(err.Error(), want) || looked != 1 {
		t.Errorf("after %d pictures of %d: %v, want %s", looked, ds.Len(), err, want)
	}
}
