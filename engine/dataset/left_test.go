package dataset

import (
	"reflect"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// What a folder of mixed kinds leaves out is told, by extension.
func TestLeft(t *testing.T) {
	pic := pngOf(t, 4, 4, 7)
	npy := npyOf(t, tensor.Of(make([]uint8, 32), 2, 1, 4, 4))
	for name, c := range map[string]struct {
		files  map[string][]byte
		format string // that is given
		as     string
		left   leftFiles
	}{
		"pictures alone": {files: map[string][]byte{"a.png": pic, "b.png": pic, "notes.txt": nil, "labels.csv": nil, ".hidden.npy": nil}},
		"pictures and arrays": {files: map[string][]byte{"a.png": pic, "x.npy": npy, "y.NPY": npy, "s.tar.gz": nil, "s.tar": nil, "p.parquet": nil, "data_batch_1.bin": nil, "train-images-idx3-ubyte": nil, "notes.txt": nil},
			as: "images", left: leftFiles{".npy": 2, ".tar.gz": 1, ".tar": 1, ".parquet": 1, ".bin": 1, "train-images-idx3-ubyte": 1}},
		"below the classes": {files: map[string][]byte{"cat/a.png": pic, "cat/deep/x.npy": npy, "dog/b.png": pic, "dog/.x.npy": npy}, as: "images", left: leftFiles{".npy": 1}},
		"arrays alone":      {files: map[string][]byte{"x.npy": npy, "readme.md": nil}},
		"arrays, shards and classes": {files: map[string][]byte{"x.npy": npy, "s.tar": nil, "cat/a.png": pic, "dog/b.png": pic},
			as: "npy", left: leftFiles{".tar": 1, "/": 2}},
		"a kind that is asked for": {files: map[string][]byte{"a.png": pic, "x.npy": npy}, format: "npy"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tree(t, c.files)
			var want []Left
			if c.left != nil {
				want = []Left{{dir, c.as, c.left}}
			}
			if got := Describe(open(t, Options{Format: c.format, Layout: "nchw"}, dir)).Left; !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}
