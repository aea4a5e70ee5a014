package dataset

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// shared is a folder of real data that is no part of the repository: the one in
// ONNXPROBE_SHARED_DATA, or shared/data beside the repository.
func shared(t testing.TB, name string) string {
	t.Helper()
	root := os.Getenv("ONNXPROBE_SHARED_DATA")
	if root == "" {
		root = "../../../shared/data"
	}
	path := filepath.Join(root, "images", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no real data: %v; set ONNXPROBE_SHARED_DATA", err)
	}
	return path
}

// The first twenty photographs, as PIL resized and cropped them: the whole path
// from JPEG to pixels. Their maker rounded the longer edge, as timm does, and
// the crop's offset down.
func TestRealPhotographs(t *testing.T) {
	dir := shared(t, "imagenet")
	want, err := tensor.ReadNpyFile(filepath.Join(dir, "crops20_u8_nhwc.npy"))
	if err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile(filepath.Join(dir, "labels.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for line := range strings.Lines(string(table)) {
		name, _, _ := strings.Cut(line, "\t")
		if len(paths) < want.Shape[0] {
			paths = append(paths, filepath.Join(dir, name))
		}
	}
	pre := picture.Preprocess{Resize: picture.Resize{Mode: picture.Cover, Size: picture.Size{H: 256, W: 256}}, Crop: picture.Size{H: 224, W: 224}, Floor: true, Channels: 3, Scale: 1, ChannelsLast: true}
	ds := open(t, Options{Preprocess: &pre}, paths...)
	most, sum, pixels := 0.0, 0.0, tensor.Data[uint8](want)
	for i := range ds.Len() {
		for k, v := range sample(t, ds, i) {
			d := float64(v) - float64(pixels[i*224*224*3+k])
			most, sum = max(most, d, -d), sum+max(d, -d)
		}
	}
	mean := sum / float64(len(pixels))
	t.Logf("%d photographs: differ by at most %v levels, %.4f on average", ds.Len(), most, mean)
	// What differs is the inverse cosine transform: see TestDecodeLikePIL.
	if most > 4 || mean > 0.06 {
		t.Errorf("differ by at most %v levels, %.4f on average; allowed 4 and 0.06", most, mean)
	}
}

func TestRealFormats(t *testing.T) {
	for _, c := range []struct {
		name   string
		format string
		items  int
		shape  []int
		label  int // of item 0
		class  string
	}{
		{"mnist", "mnist", 5000, []int{1, 28, 28}, 7, ""},
		{"cifar10/cifar10_lossless_A100.bin", "cifar10", 100, []int{3, 32, 32}, 3, "cat"},
		{"cifar10/cifar10_test_jpegdecoded_A.bin", "cifar10", 1954, []int{3, 32, 32}, -2, ""},
		{"cifar10/jpeg", "images", 98, []int{3, 32, 32}, 0, "airplane"},
		{"medical/pneumoniamnist_A.npz", "npy", 1000, []int{1, 28, 28}, -2, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			ds := open(t, Options{}, shared(t, c.name))
			d := Describe(ds)
			if d.Sources[0].Format != c.format || d.Items != c.items || tensor.Count(d.Shape) != tensor.Count(c.shape) {
				t.Errorf("got %s, %d of %v; want %s, %d of %v", d.Sources[0].Format, d.Items, d.Shape, c.format, c.items, c.shape)
			}
			if it := ds.Item(0); c.label > -2 && (it.Label != c.label || it.Class != c.class) {
				t.Errorf("item 0 is %+v, want label %d %q", it, c.label, c.class)
			}
			for b, err := range Batches(t.Context(), ds, 64, 2) {
				if err != nil {
					t.Fatal(err)
				}
				for i, e := range b.Errs {
					if e != nil {
						t.Fatalf("%+v: %v", b.Items[i], e)
					}
				}
			}
		})
	}
}

// The same hundred pictures, once as CIFAR-10's bytes and once as numbers.
func TestRealCifarAgreesWithCSV(t *testing.T) {
	ds := open(t, Options{Preprocess: &picture.Preprocess{Scale: 1}}, shared(t, "cifar10/cifar10_lossless_A100.bin"))
	table, err := os.ReadFile(shared(t, "cifar10/eran_cifar10_test.csv"))
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range bytes.Split(bytes.TrimSpace(table), []byte("\n")) {
		fields := bytes.Split(bytes.TrimSpace(line), []byte(","))
		got := sample(t, ds, i)
		if len(fields) != 3073 || ds.Item(i).Label != int(fields[0][0]-'0') {
			t.Fatalf("line %d has %d fields, label %s, want %d", i, len(fields), fields[0], ds.Item(i).Label)
		}
		for k, f := range fields[1:] { // pixel by pixel, where the bytes are plane by plane
			want := float32(0)
			for _, d := range f {
				if d == '.' {
					break
				}
				want = 10*want + float32(d-'0')
			}
			if v := got[k%3*1024+k/3]; v != want {
				t.Fatalf("picture %d, pixel %d: got %v, want %v", i, k, v, want)
			}
		}
	}
}

// One photograph from file to sample: decoding, resizing, normalising.
func BenchmarkPhotograph(b *testing.B) {
	pre, err := picture.ParsePreprocess("imagenet")
	if err != nil {
		b.Fatal(err)
	}
	ds := open(b, Options{Preprocess: &pre}, shared(b, "imagenet"))
	dst := make([]float32, tensor.Count(ds.Shape()))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := ds.Sample(i%ds.Len(), dst); err != nil {
			b.Fatal(err)
		}
	}
}
