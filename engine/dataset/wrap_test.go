package dataset

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// foreign is a wrapper as another package writes it.
type foreign struct{ Dataset }

func (f foreign) Unwrap() Dataset { return f.Dataset }

// facts is all that this package says of a dataset, one line each. Samples are named by
// a hash.
func facts(t *testing.T, ds Dataset) (lines []string) {
	t.Helper()
	say := func(format string, v ...any) { lines = append(lines, fmt.Sprintf(format, v...)) }
	about, err := json.Marshal(Describe(ds))
	say("described %s %v", about, err)
	for _, s := range Sides(ds) {
		say("beside %s %v %v %v %s", s.Name, s.Rows.Shape, s.Rows.Data, s.Errs, s.From)
	}
	_, of, tiled := Untiled(ds)
	say("tiled %v %v, can be cut: %v", IsTiled(ds), tiled, Tiling{Max: 2}.Check(ds))
	for i := range ds.Len() {
		x := make([]float32, tensor.Count(ds.Shape()))
		err := ds.Sample(i, x)
		say("item %+v %v %v", ds.Item(i), x, err)
		g, err := GeometryOf(ds, i)
		say("geometry %+v %v", g, err)
		p, err := Picture(ds, i)
		say("picture %v %v", p, err)
		if tiled {
			picture, tile := of(i)
			say("tile %d of %d", tile, picture)
		}
	}
	return lines
}

// same reports what one dataset says and another does not.
func same(t *testing.T, got, want Dataset) {
	t.Helper()
	a, b := facts(t, got), facts(t, want)
	if len(a) != len(b) {
		t.Fatalf("%d lines are known, want %d", len(a), len(b))
	}
	for i := range a {
		if a[i] != b[i] {
			t.Errorf("got  %.300s\nwant %.300s", a[i], b[i])
		}
	}
}

// A wrapper of another package loses nothing of any kind of source, nor of what is made
// of it: not below this package's own wrappers, nor above them.
func TestWrappersLoseNothing(t *testing.T) {
	pics := zooPics(t)[:5]
	square := picture.Preprocess{Name: "square", Interpolation: picture.Bicubic, Channels: 3,
		Resize: picture.Resize{Mode: picture.Exact, Size: picture.Size{H: 4, W: 4}}}
	sources := map[string]Dataset{
		"random": Random(3, []int{3, 4, 4}, 0, 1, 7), "memory": memoryOf(t, []int{1, 2, 2}, 1, 2, 3, 4),
	}
	for _, f := range Formats {
		files, _ := formatCases[f.Name](t, pics)
		dir := tree(t, files)
		for name := range files {
			if !strings.Contains(name, "/") {
				sources[f.Name+"/"+name] = open(t, Options{Preprocess: &square, EXIF: true}, filepath.Join(dir, name))
			}
		}
		if f.Name == "images" {
			sources["folder"] = open(t, Options{Preprocess: &square}, tree(t, map[string][]byte{
				"a/x.png": pics[0].data, "b/y.png": pics[1].data, "b/z.npy": nil}))
		}
	}
	made := map[string]func(ds Dataset) (Dataset, error){
		"":      func(ds Dataset) (Dataset, error) { return ds, nil },
		"range": func(ds Dataset) (Dataset, error) { return Range(ds, ds.Len()/2, ds.Len()) },
		"choose": func(ds Dataset) (Dataset, error) {
			return Choose(ds, []Choice{{Of: ds.Len() - 1, Name: "#a"}, {Of: 0}, {Of: 0, Name: "#b"}})
		},
		"concat": func(ds Dataset) (Dataset, error) { return Concat(ds, Random(1, ds.Shape(), 0, 1, 2), ds) },
		"beside": func(ds Dataset) (Dataset, error) {
			n := ds.Len()
			rows := tensor.Of(counting32(4*n), n, 4)
			ds, err := Beside(ds, Side{Name: "box", Rows: rows, Errs: make([]error, n), From: "here"})
			if err != nil {
				return nil, err
			}
			return Range(ds, n/2, n)
		},
		"tiles": func(ds Dataset) (Dataset, error) { return Tiles(ds, Tiling{Max: 12, Thumbnail: true}) },
		"range of tiles": func(ds Dataset) (Dataset, error) {
			ds, err := Tiles(ds, Tiling{Max: 12, Thumbnail: true})
			if err != nil {
				return nil, err
			}
			return Range(ds, ds.Len()/2, ds.Len())
		},
	}
	seen := map[string]int{}
	for name, ds := range sources {
		for how, make := range made {
			plain, err := make(ds)
			if strings.Contains(how, "tiles") && err != nil && (Tiling{Max: 12}).Check(ds) != nil {
				continue // no pictures
			}
			if err != nil {
				t.Fatal(name, how, err)
			}
			within, err := make(foreign{foreign{ds}})
			if err != nil {
				t.Errorf("%s, %s of it wrapped: %v", name, how, err)
				continue
			}
			seen[how]++
			t.Run(name+"/"+how, func(t *testing.T) {
				same(t, foreign{plain}, plain)
				same(t, within, plain)
			})
		}
	}
	for how := range made {
		if seen[how] < 8 {
			t.Errorf("%s of %d sources", how, seen[how])
		}
	}
}

func counting32(n int) (v []float32) {
	for i := range n {
		v = append(v, float32(i))
	}
	return v
}

// memoryOf is samples of one shape.
func memoryOf(t *testing.T, shape []int, x ...float32) Dataset {
	t.Helper()
	ds, err := Memory(shape, slices.Collect(slices.Chunk(x, tensor.Count(shape))), nil)
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

func TestMemory(t *testing.T) {
	ds, err := Memory([]int{2}, [][]float32{{1, 2}, nil}, []Item{{ID: "a", Label: 3}, {ID: "b"}})
	if err != nil {
		t.Fatal(err)
	}
	x := make([]float32, 2)
	if err := ds.Sample(0, x); err != nil || !slices.Equal(x, []float32{1, 2}) {
		t.Errorf("%v, %v", x, err)
	}
	if ds.Item(0).Label != 3 || ds.Item(1).ID != "b" {
		t.Errorf("the items are %+v and %+v", ds.Item(0), ds.Item(1))
	}
	if err := ds.Sample(1, x); err == nil {
		t.Error("a nil sample was read")
	}
	for want, err := range map[string]error{
		"sample 1 has 3 elements, want 2, of shape [2]": second(Memory([]int{2}, [][]float32{{1, 2}, {1, 2, 3}}, nil)),
		"1 items for 2 samples":                         second(Memory([]int{2}, make([][]float32, 2), make([]Item, 1))),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// One after the other: classes that all parts have are named, and what cannot be put so
// says what to do.
func TestConcat(t *testing.T) {
	a := memoryOf(t, []int{1}, 1, 2)
	ds, err := Concat(memoryOf(t, []int{1}), a, memoryOf(t, []int{1}), a)
	if err != nil {
		t.Fatal(err)
	}
	var got []float32
	for i := range ds.Len() {
		x := make([]float32, 1)
		if err := ds.Sample(i, x); err != nil {
			t.Fatal(err)
		}
		got = append(got, x...)
	}
	if !slices.Equal(got, []float32{1, 2, 1, 2}) || ds.Item(3).ID != "memory[1]" {
		t.Errorf("%v, %+v", got, ds.Item(3))
	}
	if d := Describe(ds); d.Items != 4 || len(d.Sources) != 4 || !reflect.DeepEqual(d.Shape, []int{1}) {
		t.Errorf("described as %+v", d)
	}
	none, err := Concat(memoryOf(t, []int{1}))
	if err != nil || none.Len() != 0 || IsTiled(none) || Sides(none) != nil {
		t.Errorf("nothing: %v", err)
	}
	folder := mustOpen(t, tree(t, map[string][]byte{"x/a.png": pngOf(t, 4, 2, 1), "y/b.png": pngOf(t, 4, 2, 2)}),
		picture.Preprocess{Resize: picture.Resize{Mode: picture.Exact, Size: picture.Size{H: 2, W: 2}}})
	other := mustOpen(t, tree(t, map[string][]byte{"z/a.png": pngOf(t, 4, 2, 1)}),
		picture.Preprocess{Resize: picture.Resize{Mode: picture.Exact, Size: picture.Size{H: 2, W: 2}}})
	for _, c := range []struct {
		of   []Dataset
		want []string
	}{{[]Dataset{folder, folder}, []string{"x", "y"}}, {[]Dataset{folder, other}, nil}} {
		ds, err := Concat(c.of...)
		if d := Describe(ds); err != nil || !slices.Equal(d.Classes, c.want) || d.JPEG == "" {
			t.Errorf("%+v, %v; want the classes %q", d, err, c.want)
		}
	}
	tiles, err := Tiles(folder, Tiling{Max: 2})
	if err != nil {
		t.Fatal(err)
	}
	for want, err := range map[string]error{
		"at least one":           second(Concat()),
		"of shape [2] beside":    second(Concat(a, memoryOf(t, []int{2}, 1, 2))),
		"do that first":          second(Concat(besides(t, 2))),
		"the pictures, then cut": second(Concat(tiles)),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
