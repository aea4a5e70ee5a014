package dataset

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// What a folder of mixed kinds leaves out is told: pictures that are not read by kind, data
// of other formats by extension.
func TestLeft(t *testing.T) {
	pic := pngOf(t, 4, 4, 7)
	npy := npyOf(t, tensor.Of(make([]uint8, 32), 2, 1, 4, 4))
	for name, c := range map[string]struct {
		files  map[string][]byte
		format string // that is given
		as     string
		left   map[string]int
		unread []LeftPictures
	}{
		"pictures alone": {files: map[string][]byte{"a.png": pic, "b.png": pic, "notes.txt": nil, "labels.csv": nil, ".hidden.npy": nil}},
		"pictures and arrays": {files: map[string][]byte{"a.png": pic, "x.npy": npy, "y.NPY": npy, "s.tar.gz": nil, "s.tar": nil, "p.parquet": nil, "data_batch_1.bin": nil, "train-images-idx3-ubyte": nil, "notes.txt": nil},
			as: "images", left: map[string]int{".npy": 2, ".tar.gz": 1, ".tar": 1, ".parquet": 1, ".bin": 1, "train-images-idx3-ubyte": 1}},
		"below the classes": {files: map[string][]byte{"cat/a.png": pic, "cat/deep/x.npy": npy, "dog/b.png": pic, "dog/.x.npy": npy}, as: "images", left: map[string]int{".npy": 1}},
		"arrays alone":      {files: map[string][]byte{"x.npy": npy, "readme.md": nil}},
		"arrays, shards and classes": {files: map[string][]byte{"x.npy": npy, "s.tar": nil, "cat/a.png": pic, "dog/b.png": pic},
			as: "npy", left: map[string]int{".tar": 1, "/": 2}},
		"pictures that are not read": {files: map[string][]byte{"a.png": pic, "cat/b.HEIC": nil, "dog/c.heif": nil, "d.jxl": nil, "e": pic, "LICENSE": nil, "x.npy": npy},
			as: "images", left: map[string]int{".npy": 1}, unread: []LeftPictures{{"HEIC", 2, `convert them, for example with "heif-convert IN OUT.png"`},
				{"JPEG XL", 1, `convert them, for example with "djxl IN OUT.png"`},
				{"pictures named without an extension", 1, "name them as what they are, such as IN.jpg"}}},
		"pictures that are asked for": {files: map[string][]byte{"a.png": pic, "b.avif": nil, "x.npy": npy}, format: "images",
			as: "images", unread: []LeftPictures{{"AVIF", 1, `convert them, for example with "avifdec IN OUT.png"`}}},
		"a kind that is asked for": {files: map[string][]byte{"a.png": pic, "x.npy": npy}, format: "npy"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tree(t, c.files)
			var want []Left
			if c.left != nil || c.unread != nil {
				want = []Left{{dir, c.as, c.left, c.unread}}
			}
			if got := Describe(open(t, Options{Format: c.format, Layout: "nchw"}, dir)).Left; !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

// Pictures that are not read are items where they are given one by one, with an error that
// names their kind.
func TestUnreadItems(t *testing.T) {
	pic := pngOf(t, 4, 4, 7)
	dir := tree(t, map[string][]byte{"a.png": pic, "b.heic": []byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic"), "c.jxl": {0xff, 0x0a}})
	ds := open(t, Options{}, filepath.Join(dir, "a.png"), filepath.Join(dir, "b.heic"), filepath.Join(dir, "c.jxl"))
	for i, want := range []string{"", "heif-convert", "djxl"} {
		err := ds.Sample(i, make([]float32, 48))
		if (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("item %d: %v", i, err)
		}
	}
	_, err := Open([]string{tree(t, map[string][]byte{"x/b.heic": nil, "c.heic": nil})}, Options{})
	if err == nil || !strings.Contains(err.Error(), `it holds 2 HEIC (convert them, for example with "heif-convert IN OUT.png")`) {
		t.Errorf("a folder of such alone: %v", err)
	}
}
