package dataset

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

func npyOf(t testing.TB, x *tensor.Tensor) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := tensor.WriteNpy(&b, x); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// rawNpy is a .npy file with any header.
func rawNpy(dict string, data []byte) []byte {
	b := binary.LittleEndian.AppendUint16([]byte("\x93NUMPY\x01\x00"), uint16(len(dict)+1))
	return append(append(append(b, dict...), '\n'), data...)
}

func counting(n int) []uint8 {
	b := make([]uint8, n)
	for i := range b {
		b[i] = uint8(i)
	}
	return b
}

func zipOf(t testing.TB, method uint16, names []string, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range names {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name + ".npy", Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(files[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Arrays of bytes are pictures: pixel v becomes v here, and index k of a
// counting array says where it lay.
func TestPictureArrays(t *testing.T) {
	gray, rgb := &picture.Preprocess{Scale: 1, Channels: 1}, &picture.Preprocess{Scale: 1, Channels: 3}
	raw := &picture.Preprocess{Scale: 1}
	for _, c := range []struct {
		name  string
		array []int
		o     Options
		n     int
		shape []int
		last  []float32 // the last sample's first elements
	}{
		{"NCHW", []int{2, 3, 2, 2}, Options{Preprocess: raw}, 2, []int{3, 2, 2}, []float32{12, 13, 14, 15, 16}},
		{"NHWC", []int{2, 2, 2, 3}, Options{Preprocess: raw}, 2, []int{3, 2, 2}, []float32{12, 15, 18, 21, 13}},
		{"ambiguous, by flag", []int{2, 3, 2, 3}, Options{Preprocess: raw, Layout: "nhwc"}, 2, []int{3, 3, 2}, []float32{18, 21, 24}},
		{"ambiguous, by model", []int{2, 3, 2, 1}, Options{Preprocess: raw, Input: []int{1, 3, 2}}, 2, []int{1, 3, 2}, []float32{6, 7, 8}},
		{"NHW", []int{2, 2, 3}, Options{Preprocess: gray}, 2, []int{1, 2, 3}, []float32{6, 7}},
		{"HWC alone", []int{2, 2, 3}, Options{Preprocess: rgb}, 1, []int{3, 2, 2}, []float32{0, 3, 6, 9, 1}},
		{"CHW alone", []int{3, 2, 2}, Options{Preprocess: rgb}, 1, []int{3, 2, 2}, []float32{0, 1, 2, 3, 4}},
		{"laid flat", []int{2, 6}, Options{Preprocess: raw, Input: []int{1, 2, 3}}, 2, []int{1, 2, 3}, []float32{6, 7}},
		{"vectors", []int{2, 6}, Options{Preprocess: raw, Input: []int{6}}, 2, []int{6}, []float32{6, 7}},
		{"model in NHWC", []int{2, 3, 2, 2}, Options{Preprocess: raw, Input: []int{2, 2, 3}}, 2, []int{2, 2, 3}, []float32{12, 16, 20, 13}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := tree(t, map[string][]byte{"x.npy": npyOf(t, tensor.Of(counting(tensor.Count(c.array)), c.array...))})
			ds := open(t, c.o, filepath.Join(dir, "x.npy"))
			got := sample(t, ds, ds.Len()-1)
			if ds.Len() != c.n || !reflect.DeepEqual(ds.Shape(), c.shape) || !reflect.DeepEqual(got[:len(c.last)], c.last) {
				t.Errorf("got %d samples of %v, the last %v; want %d of %v, %v", ds.Len(), ds.Shape(), got, c.n, c.shape, c.last)
			}
		})
	}
}

func TestInputArrays(t *testing.T) {
	floats32 := func(n int) []float32 {
		s := make([]float32, n)
		for i := range s {
			s[i] = float32(i)
		}
		return s
	}
	be := rawNpy("{'descr': '>f8', 'fortran_order': True, 'shape': (2, 2), }", nil)
	for _, v := range []float64{0, 2, 1, 3} { // column by column
		be = binary.BigEndian.AppendUint64(be, math.Float64bits(v))
	}
	big := rawNpy("{'descr': '>i2', 'fortran_order': False, 'shape': (2, 2), }", []byte{0, 0, 0, 1, 0, 2, 0xff, 0xfd})
	for _, c := range []struct {
		name  string
		file  []byte
		o     Options
		n     int
		shape []int
		last  []float32
	}{
		{"as they are", npyOf(t, tensor.Of(floats32(12), 2, 3, 2, 1)), Options{Input: []int{3, 2, 1}}, 2, []int{3, 2, 1}, []float32{6, 7, 8, 9, 10, 11}},
		{"said to be inputs", npyOf(t, tensor.Of(floats32(4), 2, 2)), Options{Preprocess: &picture.Presets[0].Preprocess, Pixels: PixelsNone}, 2, []int{2}, []float32{2, 3}},
		{"floats and the preset none", npyOf(t, tensor.Of(floats32(4), 2, 2)), Options{Preprocess: &picture.Preprocess{Scale: 1.0 / 255}}, 2, []int{2}, []float32{2, 3}},
		{"bytes that are inputs", npyOf(t, tensor.Of(counting(4), 2, 2)), Options{Pixels: PixelsNone}, 2, []int{2}, []float32{2, 3}},
		{"NHWC for NCHW", npyOf(t, tensor.Of(floats32(24), 2, 2, 2, 3)), Options{Input: []int{3, 2, 2}}, 2, []int{3, 2, 2}, []float32{12, 15, 18, 21, 13, 16, 19, 22, 14, 17, 20, 23}},
		{"NHWC by flag", npyOf(t, tensor.Of(floats32(12), 1, 2, 2, 3)), Options{Layout: "nhwc"}, 1, []int{3, 2, 2}, []float32{0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11}},
		{"NCHW for NHWC", npyOf(t, tensor.Of(floats32(12), 1, 3, 2, 2)), Options{Input: []int{2, 2, 3}}, 1, []int{2, 2, 3}, []float32{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11}},
		{"one sample", npyOf(t, tensor.Of(floats32(6), 1, 2, 3)), Options{Input: []int{1, 2, 3}}, 1, []int{1, 2, 3}, []float32{0, 1, 2, 3, 4, 5}},
		{"axes of 1", npyOf(t, tensor.Of(floats32(6), 2, 3)), Options{Input: []int{1, 1, 3}}, 2, []int{1, 1, 3}, []float32{3, 4, 5}},
		{"big-endian, Fortran", be, Options{}, 2, []int{2}, []float32{2, 3}},
		{"big-endian", big, Options{}, 2, []int{2}, []float32{2, -3}},
		{"bool", npyOf(t, tensor.Of([]bool{true, false}, 1, 2)), Options{}, 1, []int{2}, []float32{1, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(tree(t, map[string][]byte{"x.npy": c.file}), "x.npy")
			ds := open(t, c.o, path)
			got := sample(t, ds, ds.Len()-1)
			if ds.Len() != c.n || !reflect.DeepEqual(ds.Shape(), c.shape) || !reflect.DeepEqual(got, c.last) {
				t.Errorf("got %d samples of %v, the last %v; want %d of %v, %v", ds.Len(), ds.Shape(), got, c.n, c.shape, c.last)
			}
			if s := Describe(ds).Sources[0]; s.Preprocess != nil || ds.Item(0).ID != "x.npy[0]" {
				t.Errorf("source %+v, first item %+v", s, ds.Item(0))
			}
		})
	}
}

// What is said of arrays that are not bytes is done, or is an error.
func TestPixelArrays(t *testing.T) {
	norm := &picture.Preprocess{Mean: []float64{.5}, Std: []float64{.25}}
	wide := &picture.Preprocess{Scale: 1, Resize: picture.Resize{Mode: picture.Exact, Size: picture.Size{H: 1, W: 1}}}
	crop := &picture.Preprocess{Scale: 1, Crop: picture.Size{H: 1, W: 3}, Fill: []int{9}}
	at := func(v float64) float32 { return (float32(v) - .5) / .25 }
	grid := func(v ...float32) []byte { return npyOf(t, tensor.Of(v, 1, 1, 2, len(v)/2)) }
	many := make([]float32, 4*1001)
	for i := range many {
		many[i] = float32(i % 4)
	}
	many[4*1000] = 77 // in none of the first 1,000
	for _, c := range []struct {
		name string
		file []byte
		o    Options
		want []float32
		err  string // of Open or of the sample
	}{
		{"int64", npyOf(t, tensor.Of([]int64{0, 51, 102, 255}, 1, 1, 2, 2)), Options{Preprocess: norm}, []float32{at(0), at(.2), at(.4), at(1)}, ""},
		{"int64, CHW to colors", npyOf(t, tensor.Of([]int64{0, 0, 51, 51, 102, 102}, 1, 3, 1, 2)), Options{Preprocess: norm}, []float32{at(0), at(0), at(.2), at(.2), at(.4), at(.4)}, ""},
		{"int64, HWC", npyOf(t, tensor.Of([]int64{1, 2, 3, 4, 5, 6}, 1, 2, 1, 3)), Options{Preprocess: &picture.Preprocess{Scale: 1}}, []float32{1, 4, 2, 5, 3, 6}, ""},
		{"int64, both", npyOf(t, tensor.Of(make([]int64, 9), 1, 3, 1, 3)), Options{Preprocess: norm}, nil, "can be read both ways; give the layout"},
		{"int64, the preset none", npyOf(t, tensor.Of([]int64{0, 51}, 1, 1, 1, 2)), Options{Preprocess: &picture.Preprocess{Scale: 1.0 / 255}}, []float32{0, .2}, ""},
		{"int64, without", npyOf(t, tensor.Of([]int64{0, 51}, 1, 2)), Options{}, []float32{0, 51}, ""},
		{"uint16, too large", npyOf(t, tensor.Of([]uint16{0, 256}, 1, 1, 1, 2)), Options{Preprocess: norm}, nil, "element 1 is 256, and pixels are from 0 to 255"},
		{"int8, negative", npyOf(t, tensor.Of([]int8{0, -1}, 1, 1, 1, 2)), Options{Preprocess: norm}, nil, "element 1 is -1, and"},
		{"int32, resized", npyOf(t, tensor.Of([]int32{10, 20, 30, 40}, 1, 1, 2, 2)), Options{Preprocess: wide}, []float32{25}, ""},
		{"uint16, too large to resize", npyOf(t, tensor.Of([]uint16{300, 256}, 1, 1, 1, 2)), Options{Preprocess: wide}, nil, "element 0 is 300, and"},
		{"bool", npyOf(t, tensor.Of([]bool{true, false}, 1, 1, 1, 2)), Options{Preprocess: norm}, []float32{at(1), at(0)}, ""},
		{"floats", grid(0, 1), Options{Preprocess: norm}, nil, "it holds float32, from 0 to 1 in its samples, and a preprocessing is for pixels"},
		{"many floats", npyOf(t, tensor.Of(many, 1001, 1, 2, 2)), Options{Preprocess: norm}, nil, "from 0 to 3 in its first 1000 samples"},
		{"floats to 1", grid(0, .2, .25, 1), Options{Preprocess: norm, Pixels: Pixels1}, []float32{at(0), at(.2), at(.25), at(1)}, ""},
		{"floats to 255", grid(0, 51, 12.5, 255), Options{Preprocess: norm, Pixels: Pixels255}, []float32{at(0), at(.2), at(12.5 / 255), at(1)}, ""},
		{"floats to 1, too large", grid(0, 1.5, 0, 0), Options{Preprocess: norm, Pixels: Pixels1}, nil, "element 1 is 1.5, and pixels are from 0 to 1"},
		{"floats to 1, resized", grid(0, .2, .4, .6), Options{Preprocess: wide, Pixels: Pixels1}, []float32{77}, ""}, // 76.5
		{"floats between, resized", grid(0, .2, .25, 1), Options{Preprocess: wide, Pixels: Pixels1}, nil, "lie between the 256 values of a byte, such as 63.75 of 255"},
		{"floats between, cropped", grid(.25, .2, .25, 1), Options{Preprocess: crop, Pixels: Pixels1}, []float32{63.75, 51, 9}, ""},
		{"rows that would be resized", npyOf(t, tensor.Of(make([]uint8, 12), 3, 4)), Options{Preprocess: wide}, nil, "one picture or 3 of a row each"},
		{"rows", npyOf(t, tensor.Of(counting(4), 2, 2)), Options{Preprocess: &picture.Preprocess{Scale: 1}}, []float32{0, 1}, ""},
		{"gray ones or a color one", npyOf(t, tensor.Of(make([]uint8, 12), 3, 2, 2)), Options{Preprocess: &picture.Preprocess{Scale: 1}}, nil, "one color picture or 3 gray ones"},
		{"a color one in both ways", npyOf(t, tensor.Of(make([]uint8, 18), 3, 2, 3)), Options{Preprocess: &picture.Preprocess{Channels: 3}}, nil, "a color picture in both ways"},
		{"an unknown choice", grid(0, 1), Options{Preprocess: norm, Pixels: "2"}, nil, `pixels "2" is not known, want one of ["255" "1" "none"]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(tree(t, map[string][]byte{"x.npy": c.file}), "x.npy")
			ds, err := Open([]string{path}, c.o)
			if err == nil {
				x := make([]float32, tensor.Count(ds.Shape()))
				if err = ds.Sample(0, x); err == nil && c.err == "" {
					for k, v := range x {
						if d := v - c.want[k]; len(x) != len(c.want) || d > 1e-6 || d < -1e-6 {
							t.Errorf("got %v, want %v", x, c.want)
							break
						}
					}
				}
			}
			if (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("got the error %v, want %q", err, c.err)
			}
		})
	}
}

// An option that says something of sources which are not there is an error.
func TestUnused(t *testing.T) {
	dir := tree(t, map[string][]byte{"a.png": pngOf(t, 2, 2, 7), "x.npy": npyOf(t, tensor.Of(counting(4), 1, 1, 2, 2)),
		"z.npz": zipOf(t, zip.Store, []string{"x"}, map[string][]byte{"x": npyOf(t, tensor.Of(counting(4), 1, 1, 2, 2))})})
	for _, c := range []struct {
		file string
		o    Options
		ok   bool
	}{
		{"a.png", Options{Pixels: "1"}, false}, {"x.npy", Options{Pixels: "255"}, true}, {"a.png", Options{Layout: "nhwc"}, false}, {"x.npy", Options{Layout: "nchw"}, true},
		{"a.png", Options{Layout: "auto"}, true}, {"x.npy", Options{Column: "x"}, false}, {"z.npz", Options{Column: "x"}, true}, {"a.png", Options{Column: "x"}, false},
		{"x.npy", Options{EXIF: true}, false}, {"a.png", Options{EXIF: true}, true}, {"z.npz", Options{}, true},
	} {
		ds := open(t, c.o, filepath.Join(dir, c.file))
		if err := Unused(ds, c.o); (err == nil) != c.ok {
			t.Errorf("%s with %+v: %v", c.file, c.o, err)
		}
	}
}

// The array of samples is asked for where several can be it.
func TestNpzArrays(t *testing.T) {
	for _, c := range []struct {
		arrays          []string
		asked           string
		samples, labels string
		err             string
	}{
		{[]string{"x", "y"}, "", "x", "y", ""},
		{[]string{"labels", "other", "x"}, "", "x", "labels", ""},
		{[]string{"arr_0"}, "", "arr_0", "", ""},
		{[]string{"features", "label"}, "", "features", "label", ""},
		{[]string{"test_images", "test_labels"}, "", "test_images", "test_labels", ""},
		{[]string{"test_images", "test_labels", "train_images", "train_labels"}, "", "", "", "say which: test_images, train_images"},
		{[]string{"test_images", "test_labels", "train_images", "train_labels"}, "train_images", "train_images", "train_labels", ""},
		{[]string{"x_test", "x_train", "y_test", "y_train"}, "x_test", "x_test", "y_test", ""},
		{[]string{"data", "x"}, "", "", "", "say which: data, x"},
		{[]string{"a", "b"}, "c", "", "", `no array "c", only ["a" "b"]`},
		{[]string{"a", "b", "y"}, "a", "a", "", ""},
		{[]string{"y"}, "", "", "", "no array of samples"},
		{[]string{"y"}, "y", "y", "", ""},
	} {
		samples, labels, err := samplesOf(c.arrays, c.asked)
		if samples != c.samples || labels != c.labels || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q, asked for %q: %q, %q, %v", c.arrays, c.asked, samples, labels, err)
		}
	}
	// What inflates too much is refused before it takes memory.
	zeros := npyOf(t, tensor.Of(make([]uint8, 17<<20), 1, 1, 1<<12, 17<<8))
	path := filepath.Join(tree(t, map[string][]byte{"z.npz": zipOf(t, zip.Deflate, []string{"x"}, map[string][]byte{"x": zeros})}), "z.npz")
	if _, err := Open([]string{path}, Options{}); err == nil || !strings.Contains(err.Error(), "more than 200 times as many; save it as .npy") {
		t.Errorf("a bomb: %v", err)
	}
}

func TestNpz(t *testing.T) {
	files := map[string][]byte{
		"other": npyOf(t, tensor.Of([]float32{9}, 1, 1)), "x": npyOf(t, tensor.Of([]float32{1, 2}, 2, 1)),
		"y": npyOf(t, tensor.Of([]int64{7, 5}, 2, 1)), "test_images": npyOf(t, tensor.Of(counting(8), 2, 2, 2)),
		"test_labels": npyOf(t, tensor.Of([]uint8{3, 4}, 2)),
	}
	for _, method := range []uint16{zip.Store, zip.Deflate} {
		dir := tree(t, map[string][]byte{
			"usual.npz": zipOf(t, method, []string{"other", "x", "y"}, files), "medical.npz": zipOf(t, method, []string{"test_images", "test_labels"}, files),
			"labels.npz": zipOf(t, method, []string{"y"}, files), "bomb.npz": zipOf(t, method, []string{"x"}, map[string][]byte{"x": npyOf(t, tensor.Of(make([]float32, 1<<20), 1<<20, 1))}),
			"uneven.npz": zipOf(t, method, []string{"other", "y"}, files), "cut.npz": zipOf(t, method, []string{"x"}, files)[:50],
		})
		ds := open(t, Options{}, filepath.Join(dir, "usual.npz"))
		if got := list(ds); !reflect.DeepEqual(got, []string{"usual.npz:x[0]=7:", "usual.npz:x[1]=5:"}) || sample(t, ds, 1)[0] != 2 {
			t.Errorf("method %d: got %q, %v", method, got, sample(t, ds, 1))
		}
		ds = open(t, Options{Preprocess: &picture.Preprocess{Scale: 1}}, filepath.Join(dir, "medical.npz"))
		if got := list(ds); got[1] != "medical.npz:test_images[1]=4:" || sample(t, ds, 1)[3] != 7 {
			t.Errorf("method %d: got %q", method, got)
		}
		for name, want := range map[string]string{"labels": "no array of samples", "uneven": "2 labels for 1 samples", "cut": "not a zip archive"} {
			if _, err := Open([]string{filepath.Join(dir, name+".npz")}, Options{}); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("method %d, %s: got error %v, want one with %q", method, name, err, want)
			}
		}
		// Compressed, four megabytes are over the limit; stored they stay on disk.
		_, err := Open([]string{filepath.Join(dir, "bomb.npz")}, Options{MaxUnpacked: 1 << 20})
		if bad := err != nil && strings.Contains(err.Error(), "over the limit"); bad != (method == zip.Deflate) {
			t.Errorf("method %d: the bomb gave error %v", method, err)
		}
	}
}

func TestArraysRefused(t *testing.T) {
	for _, c := range []struct {
		name, file string
		o          Options
		want       string
	}{
		{"object.npy", string(rawNpy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", nil)), Options{}, "pickles"},
		{"short.npy", string(rawNpy("{'descr': '<f4', 'fortran_order': False, 'shape': (9, 9), }", nil)), Options{}, "needs 324 bytes, there are 0"},
		{"overflow.npy", string(rawNpy("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", nil)), Options{}, "overflows"},
		{"empty.npy", string(npyOf(t, tensor.Of([]float32{}, 0, 4))), Options{}, "holds no samples"},
		{"scalar.npy", string(npyOf(t, tensor.Scalar(float32(1)))), Options{}, "holds no samples"},
		{"header.npy", "\x93NUMPY\x02\x00\x00\x00\x00\x40", Options{}, "claims 1073741824 bytes"},
		{"both.npy", string(npyOf(t, tensor.Of(counting(18), 1, 3, 2, 3))), Options{}, "give the layout, nchw or nhwc"},
		{"neither.npy", string(npyOf(t, tensor.Of(counting(16), 2, 2, 2, 2))), Options{}, "neither 1 nor 3"},
		{"fortran.npy", string(rawNpy("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2), }", make([]byte, 16))), Options{MaxUnpacked: 8}, "np.ascontiguousarray"},
		{"shape.npy", string(npyOf(t, tensor.Of(make([]float32, 12), 2, 6))), Options{Input: []int{7}}, "the model takes [7]"},
	} {
		path := filepath.Join(tree(t, map[string][]byte{c.name: []byte(c.file)}), c.name)
		if _, err := Open([]string{path}, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got error %v, want one with %q", c.name, err, c.want)
		}
	}
}

func TestFileThatShrinks(t *testing.T) {
	path := filepath.Join(tree(t, map[string][]byte{"x.npy": npyOf(t, tensor.Of(make([]float32, 100), 10, 10))}), "x.npy")
	ds := open(t, Options{}, path)
	if err := os.Truncate(path, 200); err != nil {
		t.Fatal(err)
	}
	if err := ds.Sample(9, make([]float32, 10)); err == nil || !strings.Contains(err.Error(), "got 0 bytes of 40 at byte 488") {
		t.Errorf("got error %v, want one that says the file is too short", err)
	}
}

// cifarOf is records of n pictures whose pixels are their index.
func cifarOf(labels ...[]byte) (b []byte) {
	for i, l := range labels {
		b = append(append(b, l...), bytes.Repeat([]byte{uint8(i)}, 3072)...)
	}
	return b
}

func TestCifar(t *testing.T) {
	ten := cifarOf([]byte{3}, []byte{9})
	dir := tree(t, map[string][]byte{"ten/data_batch_1.bin": ten, "ten/test_batch.bin": cifarOf([]byte{0}), "ten/batches.meta.txt": []byte("too\nfew\n"),
		"hundred/test.bin": cifarOf([]byte{19, 99}, []byte{1, 2}), "odd.bin": ten[1:], "labels.bin": cifarOf([]byte{10})})
	o := Options{Preprocess: &picture.Preprocess{Scale: 1}}
	ds := open(t, o, filepath.Join(dir, "ten"))
	want := []string{"data_batch_1.bin[0]=3:cat", "data_batch_1.bin[1]=9:truck", "test_batch.bin[0]=0:airplane"}
	if got := list(ds); !reflect.DeepEqual(got, want) || sample(t, ds, 1)[3071] != 1 {
		t.Errorf("got %q", got)
	}
	ds = open(t, o, filepath.Join(dir, "hundred", "test.bin"))
	if got := list(ds); !reflect.DeepEqual(got, []string{"test.bin[0]=99:", "test.bin[1]=2:"}) || Describe(ds).Sources[0].Format != "cifar100" {
		t.Errorf("got %q", got)
	}
	o.Input = []int{3, 224, 224}
	if _, err := Open([]string{filepath.Join(dir, "ten")}, o); err == nil || !strings.Contains(err.Error(), "resize to 224x224") {
		t.Errorf("a model for larger pictures: got error %v, want one with the size 224x224", err)
	}
	for name, want := range map[string]string{"odd.bin": "multiple of 3073", "labels.bin": "want less than 10"} {
		if _, err := Open([]string{filepath.Join(dir, name)}, Options{Format: "cifar10"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want one with %q", name, err, want)
		}
	}
}

func idxOf(dims []uint32, data []byte) []byte {
	b := []byte{0, 0, 8, byte(len(dims))}
	for _, d := range dims {
		b = binary.BigEndian.AppendUint32(b, d)
	}
	return append(b, data...)
}

func gz(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestIdx(t *testing.T) {
	images, labels := idxOf([]uint32{2, 2, 3}, counting(12)), idxOf([]uint32{2}, []byte{7, 1})
	for name, files := range map[string]map[string][]byte{
		"plain":       {"train-images-idx3-ubyte": images, "train-labels-idx1-ubyte": labels},
		"gz":          {"t10k-images-idx3-ubyte.gz": gz(t, images), "t10k-labels-idx1-ubyte.gz": gz(t, labels)},
		"dots, mixed": {"t10k-images.idx3-ubyte": images, "t10k-labels.idx1-ubyte.gz": gz(t, labels)},
	} {
		ds := open(t, Options{Preprocess: &picture.Preprocess{Scale: 1}}, tree(t, files))
		if ds.Len() != 2 || ds.Item(1).Label != 1 || !reflect.DeepEqual(sample(t, ds, 1), []float32{6, 7, 8, 9, 10, 11}) || !reflect.DeepEqual(ds.Shape(), []int{1, 2, 3}) {
			t.Errorf("%s: %q of %v, the last %v", name, list(ds), ds.Shape(), sample(t, ds, 1))
		}
	}
	for want, file := range map[string][]byte{
		"no IDX header":         []byte("\x00\x01\x08\x03"),
		"type 0x0d":             {0, 0, 13, 3},
		"give the images file":  labels,
		"cut short":             images[:len(images)-1],
		"needs more than the 0": idxOf([]uint32{math.MaxUint32, math.MaxUint32, math.MaxUint32}, nil),
		"size 0":                idxOf([]uint32{0, 28, 28}, nil),
		"1 to 8 axes":           {0, 0, 8, 255},
		"unpacks to more than":  gz(t, make([]byte, 5000)),
		"unpacking":             gz(t, images)[:20],
	} {
		path := filepath.Join(tree(t, map[string][]byte{"x-idx3-ubyte": file}), "x-idx3-ubyte")
		if _, err := Open([]string{path}, Options{Format: "mnist", MaxUnpacked: 4000}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one with %q", err, want)
		}
	}
	uneven := tree(t, map[string][]byte{"a-images-idx3-ubyte": images, "a-labels-idx1-ubyte": idxOf([]uint32{1}, []byte{7})})
	if _, err := Open([]string{uneven}, Options{}); err == nil || !strings.Contains(err.Error(), "want [2]") {
		t.Errorf("labels for other pictures: got error %v", err)
	}
}

// openBytes opens a file with the given content and reads its ends.
func openBytes(t *testing.T, name string, o Options, b []byte) {
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	o.MaxPixels, o.MaxUnpacked = 1<<12, 1<<16
	ds, err := Open([]string{path}, o)
	if err != nil {
		return
	}
	dst := make([]float32, tensor.Count(ds.Shape()))
	for _, i := range []int{0, ds.Len() - 1} {
		_ = ds.Item(i)
		if err := ds.Sample(i, dst); err != nil && !strings.Contains(err.Error(), "pixels") { // are not what they are said to be
			t.Fatalf("%d samples of %v were promised: %v", ds.Len(), ds.Shape(), err)
		}
	}
}

func FuzzIdx(f *testing.F) {
	f.Add(idxOf([]uint32{2, 2, 3}, counting(12)))
	f.Add(gz(f, idxOf([]uint32{1, 1, 1}, []byte{1})))
	f.Fuzz(func(t *testing.T, b []byte) { openBytes(t, "a-images-idx3-ubyte", Options{Format: "mnist"}, b) })
}

func FuzzCifar(f *testing.F) {
	f.Add(cifarOf([]byte{3}), true)
	f.Add(cifarOf([]byte{19, 99}), false)
	f.Fuzz(func(t *testing.T, b []byte, ten bool) {
		format := map[bool]string{true: "cifar10", false: "cifar100"}[ten]
		openBytes(t, "test.bin", Options{Format: format}, b)
	})
}

func FuzzNpy(f *testing.F) {
	f.Add(npyOf(f, tensor.Of(counting(12), 1, 3, 2, 2)), 3)
	f.Add(npyOf(f, tensor.Of([]float32{1, 2}, 2, 1)), 0)
	f.Add(zipOf(f, zip.Deflate, []string{"x"}, map[string][]byte{"x": npyOf(f, tensor.Of([]int32{1, 2}, 2, 1))}), 1)
	f.Add(npyOf(f, tensor.Of([]float64{0, .5, 1, .2}, 1, 1, 2, 2)), 8+16)
	f.Add(npyOf(f, tensor.Of([]uint16{0, 300, 1, 2}, 1, 1, 2, 2)), 4+32)
	f.Add(npyOf(f, tensor.Of([]float32{0, 1, 2, 3}, 1, 1, 2, 2)), 16)
	f.Fuzz(func(t *testing.T, b []byte, kind int) {
		pre := []*picture.Preprocess{nil, {Mean: []float64{.5}, Std: []float64{.5}}, {Crop: picture.Size{H: 3, W: 1}}, raw1.Preprocess}
		o := Options{Input: [][]int{nil, {1}, {3, -1, -1}, {3, 2, 2}}[kind&3], Pixels: append(PixelChoices, "")[kind>>2&3], Preprocess: pre[kind>>4&3]}
		openBytes(t, "x.npy", o, b)
	})
}
