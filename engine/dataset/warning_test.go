package dataset_test

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/png"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
)

// grey16 is a picture of 16-bit grey with some pixels over 255.
func grey16(t *testing.T, over int) []byte {
	t.Helper()
	m := image.NewGray16(image.Rect(0, 0, 20, 10))
	for k := range over {
		m.SetGray16(k%20, k/20, color.Gray16{Y: 256})
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWarnings(t *testing.T) {
	files := fstest.MapFS{
		"a/one.png":   {Data: grey16(t, 2)}, // 1 % of its pixels, which is not more
		"a/three.png": {Data: grey16(t, 3)},
		"a/two.png":   {Data: []byte("none")},
	}
	square := picture.Preprocess{Resize: picture.Resize{Mode: picture.Exact, Size: picture.Size{H: 10, W: 10}}}
	plain, err := dataset.Open([]string{"a"}, dataset.Options{FS: files, Preprocess: &square})
	if err != nil {
		t.Fatal(err)
	}
	cut, err := dataset.Range(plain, 0, plain.Len())
	if err != nil {
		t.Fatal(err)
	}
	twice, err := dataset.Choose(plain, []dataset.Choice{{Of: 0}, {Of: 1, Name: "#1"}, {Of: 2}, {Of: 1, Name: "#2"}})
	if err != nil {
		t.Fatal(err)
	}
	tiles, err := dataset.Tiles(plain, dataset.Tiling{Max: 4})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		ds   dataset.Dataset
	}{{"folder", plain}, {"range", cut}, {"choice", twice}, {"tiles", tiles}} {
		for b, err := range dataset.Batches(context.Background(), c.ds, 3, 2) {
			if err != nil {
				t.Fatal(c.name, err)
			}
			for i, it := range b.Items {
				if clipped := strings.HasPrefix(it.ID, "three"); clipped != strings.Contains(b.Warnings[i], "clipped") {
					t.Errorf("%s: %s has the warning %q, error %v", c.name, it.ID, b.Warnings[i], b.Errs[i])
				}
				if bad := strings.HasPrefix(it.ID, "two"); bad != (b.Errs[i] != nil) {
					t.Errorf("%s: %s: %v", c.name, it.ID, b.Errs[i])
				}
			}
		}
	}
}
