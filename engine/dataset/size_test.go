package dataset

import (
	"image"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// The geometry of a sample is that of its own picture, before it was read and after,
// in a range too; model inputs are their own picture.
func TestGeometryOf(t *testing.T) {
	dir := t.TempDir()
	for i, s := range []picture.Size{{H: 30, W: 40}, {H: 50, W: 20}, {H: 25, W: 25}} {
		f, err := os.Create(filepath.Join(dir, string(rune('a'+i))+".png"))
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(f, image.NewRGBA(image.Rect(0, 0, s.W, s.H))); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	if err := os.WriteFile(filepath.Join(dir, "d.png"), []byte("\x89PNG\r\n\x1a\nno"), 0o666); err != nil {
		t.Fatal(err)
	}
	pre := picture.Preprocess{Resize: picture.Resize{Mode: picture.Shorter, Size: picture.Size{H: 16, W: 16}}, Crop: picture.Size{H: 12, W: 12}}
	ds, err := Open([]string{dir}, Options{Preprocess: &pre, Input: []int{3, 12, 12}})
	if err != nil {
		t.Fatal(err)
	}
	want := func(i int, s picture.Size) {
		t.Helper()
		g, err := GeometryOf(ds, i)
		if w, _ := pre.Geometry(s.W, s.H); err != nil || g != w {
			t.Errorf("item %d: %+v, %v, want %+v", i, g, err, w)
		}
	}
	x := make([]float32, 3*12*12)
	for range 2 {
		want(0, picture.Size{H: 30, W: 40})
		want(1, picture.Size{H: 50, W: 20})
		for i := range 3 {
			if err := ds.Sample(i, x); err != nil {
				t.Fatal(err)
			}
		}
	}
	// What was read is known without the file.
	os.Remove(filepath.Join(dir, "b.png"))
	want(1, picture.Size{H: 50, W: 20})
	if _, err := GeometryOf(ds, 3); err == nil {
		t.Error("a picture that cannot be read has a geometry")
	}
	part, err := Range(ds, 2, 4)
	if err != nil {
		t.Fatal(err)
	}
	ds = part
	want(0, picture.Size{H: 25, W: 25})

	path := filepath.Join(dir, "x.npy")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := tensor.WriteNpy(f, tensor.Of(make([]float32, 2*3*4*5), 2, 3, 4, 5)); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if ds, err = Open([]string{path}, Options{Input: []int{3, 4, 5}}); err != nil {
		t.Fatal(err)
	}
	if g, err := GeometryOf(ds, 1); err != nil || g != (picture.Geometry{Picture: picture.Size{H: 4, W: 5}, Resized: picture.Size{H: 4, W: 5}, X: 0, Y: 0, Input: picture.Size{H: 4, W: 5}}) {
		t.Errorf("%+v, %v of an array of inputs", g, err)
	}
	if _, err := GeometryOf(Random(2, []int{3, 4, 5}, 0, 1, 0), 0); err == nil {
		t.Error("random points have a geometry")
	}
}
