package dataset

import (
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// tilings are what testdata/export/tiling.py wrote.
type tilings struct {
	Grids    [][]any
	Pictures [][]any
}

func readTilings(t *testing.T) (g tilings, arrays map[string]*tensor.Tensor) {
	t.Helper()
	b, err := os.ReadFile("../../testdata/golden/tiling.json")
	if err == nil {
		err = json.Unmarshal(b, &g)
	}
	if err == nil {
		arrays, err = tensor.ReadNpzFile("../../testdata/golden/tiling.npz")
	}
	if err != nil || len(g.Grids) < 400 || len(g.Pictures) < 20 {
		t.Fatalf("%d grids, %d pictures, %v", len(g.Grids), len(g.Pictures), err)
	}
	return g, arrays
}

func number(v any) int { return int(v.(float64)) }

func TestGridIsThatOfThePythonDescription(t *testing.T) {
	g, _ := readTilings(t)
	for _, r := range g.Grids {
		rows, cols := Tiling{Max: number(r[3])}.Grid(number(r[0]), number(r[1]), number(r[2]))
		if rows != number(r[4]) || cols != number(r[5]) {
			t.Errorf("%v: got %d x %d (rows x columns)", r[:6], rows, cols)
		}
	}
}

// Tiles are Pillow's pixel for pixel, and lie where the script cut them.
func TestTilesArePillows(t *testing.T) {
	g, arrays := readTilings(t)
	dir := t.TempDir()
	for k, r := range g.Pictures {
		w, h, size, most := number(r[1]), number(r[2]), number(r[3]), number(r[4])
		path := filepath.Join(dir, fmt.Sprintf("%d.png", k))
		whole, err := os.ReadFile(filepath.Join(pillowFiles, r[0].(string)))
		if err != nil {
			t.Fatal(err)
		}
		p, err := picture.Decode(whole, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		writePNG(t, path, p.ResizeIn(p.W, p.H, picture.Nearest, image.Rect(0, 0, w, h)))
		pre := picture.Preprocess{Name: "test", Resize: picture.Resize{Mode: picture.Exact, Size: picture.Size{H: size, W: size}}, Interpolation: picture.Bicubic, Channels: 3, Scale: 1}
		ds, err := Open([]string{path}, Options{Preprocess: &pre})
		if err != nil {
			t.Fatal(err)
		}
		if ds, err = Tiles(ds, Tiling{Max: most, Thumbnail: true}); err != nil {
			t.Fatal(err)
		}
		want := arrays[r[5].(string)]
		if ds.Len() != want.Shape[0] {
			t.Errorf("%v: %d tiles, want %d", r, ds.Len(), want.Shape[0])
			continue
		}
		x := make([]float32, 3*size*size)
		for i := range ds.Len() {
			if err := ds.Sample(i, x); err != nil {
				t.Fatal(err)
			}
			px := tensor.Data[uint8](want)[i*len(x):]
			for c := range 3 {
				for p := range size * size {
					if got := uint8(x[c*size*size+p]); got != px[3*p+c] {
						t.Fatalf("%v tile %d: pixel %d of channel %d is %d, want %d", r, i, p, c, got, px[3*p+c])
					}
				}
			}
		}
	}
}

func writePNG(t *testing.T, path string, p *picture.Picture) {
	t.Helper()
	f, err := os.Create(path)
	if err == nil {
		err = png.Encode(f, p.Image())
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A tile knows its place: the grid covers the picture without overlap, the thumbnail
// shows all of it; in order, whatever the batch; a bad picture is one item.
func TestTilesKnowTheirPlace(t *testing.T) {
	dir := t.TempDir()
	writePNG(t, filepath.Join(dir, "a.png"), picture.FromImage(image.NewNRGBA(image.Rect(0, 0, 30, 20))))
	if err := os.WriteFile(filepath.Join(dir, "b.png"), []byte("no picture"), 0o600); err != nil {
		t.Fatal(err)
	}
	writePNG(t, filepath.Join(dir, "c.png"), picture.FromImage(image.NewNRGBA(image.Rect(0, 0, 8, 8))))
	pre := picture.Preprocess{Resize: picture.Resize{Mode: picture.Exact, Size: picture.Size{H: 8, W: 8}}, Interpolation: picture.Bicubic, Channels: 3}
	open := func(thumbnail bool) Dataset {
		ds, err := Open([]string{dir}, Options{Preprocess: &pre})
		if err == nil {
			ds, err = Tiles(ds, Tiling{Max: 6, Thumbnail: thumbnail})
		}
		if err != nil {
			t.Fatal(err)
		}
		return ds
	}
	want := []string{"a.png@0", "a.png@1", "a.png@2", "a.png@3", "a.png@4", "a.png@5", "a.png@thumbnail", "b.png@0", "c.png@0"}
	places := [][4]float64{{0, 0, 10, 10}, {10, 0, 20, 10}, {20, 0, 30, 10}, {0, 10, 10, 20}, {10, 10, 20, 20}, {20, 10, 30, 20}, {0, 0, 30, 20}, {}, {0, 0, 8, 8}}
	if n := open(false).Len(); n != len(want)-1 {
		t.Errorf("without the thumbnail %d items, want %d", n, len(want)-1)
	}
	for _, size := range []int{1, 4, 64} {
		var ids []string
		for b, err := range Batches(context.Background(), open(true), size, 3) {
			if err != nil {
				t.Fatal(err)
			}
			for i, it := range b.Items {
				if ids = append(ids, it.ID); it.Tile != places[len(ids)-1] {
					t.Errorf("%s shows %v, want %v", it.ID, it.Tile, places[len(ids)-1])
				}
				if bad := b.Errs[i] != nil; bad != (it.ID == "b.png@0") {
					t.Errorf("%s: %v", it.ID, b.Errs[i])
				}
			}
		}
		if !slices.Equal(ids, want) {
			t.Errorf("in batches of %d: %v, want %v", size, ids, want)
		}
	}
	ds := open(true)
	part, err := Range(ds, 4, 7)
	if err != nil || !IsTiled(part) || IsTiled(mustOpen(t, dir, pre)) {
		t.Errorf("a range of tiles is no tiles: %v", err)
	}
	gm, err := GeometryOf(part, 1)
	if err != nil || gm != (picture.Geometry{Picture: picture.Size{H: 20, W: 30}, Resized: picture.Size{H: 16, W: 24}, X: 16, Y: 8, Input: picture.Size{H: 8, W: 8}}) {
		t.Errorf("tile 5 has the geometry %+v, %v", gm, err)
	}
	if d := Describe(ds); d.Tiles == nil || *d.Tiles != (Tiling{6, true}) || d.Items != 9 {
		t.Errorf("described as %+v", d)
	}
}

func mustOpen(t *testing.T, path string, pre picture.Preprocess) Dataset {
	t.Helper()
	ds, err := Open([]string{path}, Options{Preprocess: &pre})
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

func TestTilesRefuse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.png")
	writePNG(t, path, picture.FromImage(image.NewNRGBA(image.Rect(0, 0, 30, 20))))
	square := picture.Preprocess{Resize: picture.Resize{Mode: picture.Exact, Size: picture.Size{H: 8, W: 8}}}
	for want, c := range map[string]struct {
		ds Dataset
		t  Tiling
	}{
		"want 1 to 64":            {mustOpen(t, path, square), Tiling{Max: 0}},
		"at most 65 tiles":        {mustOpen(t, path, square), Tiling{Max: 65}},
		"does not crop":           {mustOpen(t, path, picture.Preprocess{Resize: picture.Resize{Mode: picture.Exact, Size: picture.Size{H: 9, W: 9}}, Crop: picture.Size{H: 8, W: 8}}), Tiling{Max: 2}},
		"resizes to a square":     {mustOpen(t, path, picture.Preprocess{Resize: picture.Resize{Mode: picture.Exact, Size: picture.Size{H: 9, W: 8}}}), Tiling{Max: 2}},
		"over the limit":          {mustOpen(t, path, picture.Preprocess{Resize: picture.Resize{Mode: picture.Exact, Size: picture.Size{H: 6000, W: 6000}}}), Tiling{Max: 12}},
		"only pictures can be":    {Random(2, []int{3, 8, 8}, 0, 1, 0), Tiling{Max: 2}},
		"arrays beside them into": {multi{Dataset: mustOpen(t, path, square), sides: []Side{{}}}, Tiling{Max: 2}},
	} {
		if _, err := Tiles(c.ds, c.t); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
