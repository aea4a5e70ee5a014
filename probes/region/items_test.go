package region

import (
	"context"
	"errors"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// boxesOf gives the regions of items by number.
type boxesOf map[int][]Region

func (b boxesOf) Has(i int) bool { return len(b[i]) > 0 }
func (b boxesOf) Regions(i int, size picture.Size) ([]Region, []error) {
	var faults []error
	if i == 0 {
		faults = append(faults, errors.New("line 3: no box"))
	}
	return b[i], faults
}

func pictures(t *testing.T, pre picture.Preprocess) dataset.Dataset {
	t.Helper()
	dir := t.TempDir()
	for name, size := range map[string]image.Point{"a.png": {40, 20}, "b.png": {10, 30}, "c.png": {8, 8}} {
		f, err := os.Create(filepath.Join(dir, name))
		if err == nil {
			err = errors.Join(png.Encode(f, image.NewGray(image.Rectangle{Max: size})), f.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "d.png"), []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	ds, err := dataset.Open([]string{dir}, dataset.Options{Preprocess: &pre})
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

// Boxes worked out by hand: a is 40 x 20 pixels and b 10 x 30.
func TestItemsOfRegions(t *testing.T) {
	square := picture.Preprocess{Resize: picture.Resize{Mode: picture.Exact, Size: picture.Size{H: 8, W: 8}}, Channels: 3}
	crop := picture.Preprocess{Resize: picture.Resize{Mode: picture.Shorter, Size: picture.Size{H: 10, W: 10}}, Crop: picture.Size{H: 8, W: 8}, Channels: 3}
	from := boxesOf{0: {{ID: "x", Box: Box{10, 5, 30, 10}}, {ID: "y", Box: Box{0, 0, 4, 20}}}, 1: {{ID: "z", Box: Box{0, 0, 10, 30}}, {ID: "z", Box: Box{0, 0, 10, 30}}}, 3: {{ID: "w", Box: Box{0, 0, 1, 1}}}}
	for _, c := range []struct {
		pre   picture.Preprocess
		units string
		want  [][4]float32 // of x, y, and z; zero for none
	}{
		{square, "xyxy01", [][4]float32{{0.25, 0.25, 0.75, 0.5}, {0, 0, 0.1, 1}, {0, 0, 1, 1}}},
		{square, "xywh01", [][4]float32{{0.25, 0.25, 0.5, 0.25}, {0, 0, 0.1, 1}, {0, 0, 1, 1}}},
		{square, "cxcywh01", [][4]float32{{0.5, 0.375, 0.5, 0.25}, {0.05, 0.5, 0.1, 1}, {0.5, 0.5, 1, 1}}},
		{square, "xyxy", [][4]float32{{2, 2, 6, 4}, {0, 0, 0.8, 8}, {0, 0, 8, 8}}},
		// a becomes 20 x 10 pixels, of which x 6 to 14 and y 1 to 9 are left.
		{crop, "xyxy", [][4]float32{{0, 1.5, 8, 4}, {}, {0, 0, 8, 8}}},
		{crop, "xywh", [][4]float32{{0, 1.5, 8, 2.5}, {}, {0, 0, 8, 8}}},
		{crop, "cxcywh", [][4]float32{{4, 2.75, 8, 2.5}, {}, {4, 4, 8, 8}}},
		{crop, "xyxy01", [][4]float32{{0, 0.1875, 1, 0.5}, {}, {0, 0, 1, 1}}},
	} {
		parts, err := Items(pictures(t, c.pre), from, BoxInput{Name: "box", DType: tensor.Float32, Units: c.units})
		if err != nil {
			t.Fatal(err)
		}
		ds := parts.Items
		var ids []string
		for b, err := range dataset.Batches(context.Background(), ds, 2, 2) {
			if err != nil {
				t.Fatal(err)
			}
			for i, it := range b.Items {
				k := len(ids)
				ids = append(ids, it.ID)
				at := slices.Index([]int{1, 2, 3, 4}, k) // of want; others have an error
				want := [4]float32{}
				if at >= 0 {
					want = c.want[min(at, 2)]
				}
				got := [4]float32(tensor.Data[float32](b.Others[0])[4*i:])
				if bad := want == [4]float32{}; bad != (b.Errs[i] != nil) {
					t.Errorf("%s of %s: %v", c.units, it.ID, b.Errs[i])
				}
				for j := range got {
					if d := got[j] - want[j]; d > 1e-6 || d < -1e-6 {
						t.Errorf("%s after %v, %s: got %v, want %v", c.units, c.pre.Resize, it.ID, got, want)
						break
					}
				}
			}
		}
		if want := []string{"a.png#!1", "a.png#x", "a.png#y", "b.png#z", "b.png#z#2", "d.png"}; !slices.Equal(ids, want) {
			t.Fatalf("the items are %v, want %v", ids, want)
		}
	}
}

func TestItemsRefuse(t *testing.T) {
	ds := pictures(t, picture.Preprocess{Resize: picture.Resize{Mode: picture.Exact, Size: picture.Size{H: 8, W: 8}}})
	some := boxesOf{1: {{ID: "z", Box: Box{0, 0, 10, 30}}}}
	for want, c := range map[string]struct {
		from Source
		in   BoxInput
	}{
		"the choices are xyxy01":          {some, BoxInput{"box", tensor.Float32, "yxyx"}},
		"takes int64: want floats":        {some, BoxInput{"box", tensor.Int64, "xyxy"}},
		"no picture of the dataset has a": {boxesOf{}, BoxInput{"box", tensor.Float32, "xyxy"}},
	} {
		if _, err := Items(ds, c.from, c.in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
