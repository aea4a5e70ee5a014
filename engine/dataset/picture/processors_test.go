package picture

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// processed is a case of testdata/export/preprocess.py: a file of transformers or timm, and
// what they make of each picture.
type processed struct {
	File                   json.RawMessage
	Land, Portrait, Square struct {
		Shape, At []int
		Mean      float64
		Values    []float64
	}
}

// name is the class of a case, or timm.
func (c processed) name() string {
	var f struct {
		Type string `json:"image_processor_type"`
		Old  string `json:"feature_extractor_type"`
	}
	_ = json.Unmarshal(c.File, &f)
	return cmp.Or(f.Type, f.Old, "timm")
}

func processedCases(t *testing.T, dir string) []processed {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "cases.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Cases []processed }
	if err := json.Unmarshal(b, &file); err != nil || len(file.Cases) == 0 {
		t.Fatalf("%d cases, %v", len(file.Cases), err)
	}
	return file.Cases
}

// rendered is what a preprocessing makes of a picture in a file.
func rendered(t *testing.T, p Preprocess, path string) ([]int, []float32, error) {
	t.Helper()
	m := decodeFile(t, path)
	r, err := NewRenderer(RenderOptions{Preprocess: &p}, 3, func() (int, int, error) { return m.W, m.H, nil })
	if err != nil {
		return nil, nil, err
	}
	values := make([]float32, tensor.Count(r.Shape))
	return r.Shape, values, r.Render(m, values)
}

// far says whether two values differ by more than 1e-5, relative to those above 1.
func far(got, want float64) bool { return !(math.Abs(got-want) <= 1e-5*max(1, math.Abs(want))) }

// A refusal names a key, or the class.
func namesKey(err error, c processed) bool {
	keys := slices.Concat(usualKeys, ownKeys, []string{"size.shortest_edge", "crop ", c.name(), "no std of 0"})
	for k := range stepKeys {
		keys = append(keys, k)
	}
	return slices.ContainsFunc(keys, func(k string) bool { return strings.Contains(err.Error(), k) })
}

// The values are those of transformers and timm, or the file is refused by a key.
func TestProcessorsLikeTransformers(t *testing.T) {
	const dir = "../../../testdata/golden/preprocess"
	equal := map[bool]int{}
	for _, c := range processedCases(t, dir) {
		p, err := parseConfig(c.File)
		if err != nil {
			if !namesKey(err, c) {
				t.Errorf("%s: %v", c.File, err)
			}
			continue
		}
		equal[c.name() == "timm"]++
		for name, want := range map[string]struct {
			Shape, At []int
			Mean      float64
			Values    []float64
		}{"land": c.Land, "portrait": c.Portrait, "square": c.Square} {
			shape, got, err := rendered(t, p, filepath.Join(dir, name+".png"))
			if err != nil || !slices.Equal(shape, want.Shape) {
				t.Errorf("%s, %s: shape %v (error %v), want %v", c.File, name, shape, err, want.Shape)
				continue
			}
			mean := 0.0
			for _, v := range got {
				mean += float64(v) / float64(len(got))
			}
			if far(mean, want.Mean) {
				t.Errorf("%s, %s: mean %v, want %v", c.File, name, mean, want.Mean)
			}
			for i, at := range want.At {
				if far(float64(got[at]), want.Values[i]) {
					t.Errorf("%s, %s: value %d is %v, want %v", c.File, name, at, got[at], want.Values[i])
					break
				}
			}
		}
	}
	t.Logf("%d files of transformers and %d of timm are equal", equal[false], equal[true])
	if equal[false] < 200 || equal[true] < 50 {
		t.Errorf("%d files of transformers and %d of timm are read, want more", equal[false], equal[true])
	}
}

// The whole sweep: testdata/export/preprocess.py --all DIR.
func TestProcessorsWhole(t *testing.T) {
	dir := os.Getenv("ONNXPROBE_PREPROCESS")
	if dir == "" {
		t.Skip("ONNXPROBE_PREPROCESS names no folder")
	}
	type tally struct{ equal, refused, wrong int }
	by, reasons, worst := map[string]*tally{}, map[string]int{}, 0.0
	for i, c := range processedCases(t, dir) {
		name := c.name()
		if by[name] == nil {
			by[name] = &tally{}
		}
		p, err := parseConfig(c.File)
		if err != nil {
			by[name].refused++
			reasons[err.Error()]++
			if !namesKey(err, c) {
				t.Errorf("%s: %v", c.File, err)
			}
			continue
		}
		f, err := os.Open(filepath.Join(dir, fmt.Sprintf("%d.npy", i)))
		if err != nil {
			t.Fatal(err)
		}
		all, err := tensor.ReadNpy(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		rest, bad := tensor.Data[float32](all), ""
		for k, want := range [][]int{c.Land.Shape, c.Portrait.Shape, c.Square.Shape} {
			shape, got, err := rendered(t, p, filepath.Join(dir, []string{"land", "portrait", "square"}[k]+".png"))
			values := rest[:tensor.Count(want)]
			rest = rest[len(values):]
			if err != nil || !slices.Equal(shape, want) {
				bad = fmt.Sprintf("shape %v (error %v), want %v", shape, err, want)
				break
			}
			most := 0.0
			for j, v := range values {
				most = max(most, math.Abs(float64(got[j])-float64(v))/max(1, math.Abs(float64(v))))
			}
			if most > 1e-5 {
				bad = fmt.Sprintf("picture %d differs by %.3g", k, most)
				break
			}
			worst = max(worst, most)
		}
		if bad == "" {
			by[name].equal++
			continue
		}
		by[name].wrong++
		t.Errorf("%s: %s\n%+v", c.File, bad, p)
	}
	var all tally
	for name, n := range by {
		t.Logf("%-40s %3d equal %3d refused %3d wrong", name, n.equal, n.refused, n.wrong)
		all.equal, all.refused, all.wrong = all.equal+n.equal, all.refused+n.refused, all.wrong+n.wrong
	}
	for why, n := range reasons {
		t.Logf("%3d %s", n, why)
	}
	t.Logf("%d equal (at most %.2g off), %d refused, %d wrong", all.equal, worst, all.refused, all.wrong)
}
