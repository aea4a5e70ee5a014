package picture

import (
	"bytes"
	"encoding/json"
	"image"
	"image/color"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// The golden arrays were made by PIL and torchvision: testdata/export/pillow.py.
const pillow = "../../../testdata/golden/pillow"

type pilIndex struct {
	Decode []struct{ File, Array string }
	Resize []struct {
		File, Array, Filter string
		Size                [2]int // width, height
	}
	Pipeline []struct {
		File, Array, Cropped, Filter string
		Resize, Crop                 int
		Mean, Std                    []float64
	}
}

func pilGoldens(t *testing.T) (pilIndex, map[string]*tensor.Tensor) {
	t.Helper()
	var index pilIndex
	b, err := os.ReadFile(filepath.Join(pillow, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &index); err != nil {
		t.Fatal(err)
	}
	arrays, err := tensor.ReadNpzFile(filepath.Join(pillow, "arrays.npz"))
	if err != nil {
		t.Fatal(err)
	}
	if len(index.Decode) == 0 || len(index.Resize) == 0 || len(index.Pipeline) == 0 {
		t.Fatal("the index of golden arrays is empty")
	}
	return index, arrays
}

func decodeFile(t *testing.T, path string) *Picture {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Decode(b, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// differs compares bytes: the greatest and the mean difference.
func differs(t *testing.T, got, want []uint8) (most int, mean float64) {
	t.Helper()
	if len(got) != len(want) || len(got) == 0 {
		t.Fatalf("got %d bytes, want %d", len(got), len(want))
	}
	for i := range got {
		d := int(got[i]) - int(want[i])
		most, mean = max(most, d, -d), mean+float64(max(d, -d))
	}
	return most, mean / float64(len(got))
}

// Decoding is exact.
func TestDecodeLikePIL(t *testing.T) {
	index, arrays := pilGoldens(t)
	for _, c := range index.Decode {
		t.Run(c.File, func(t *testing.T) {
			got := decodeFile(t, filepath.Join(pillow, c.File)).Channels(3)
			want := arrays[c.Array]
			if want.Shape[0] != got.H || want.Shape[1] != got.W {
				t.Fatalf("got %d x %d, want %v", got.W, got.H, want.Shape)
			}
			most, mean := differs(t, got.Pix, tensor.Data[uint8](want))
			if most != 0 {
				t.Errorf("differs by at most %d, %.4f on average; want bit for bit", most, mean)
			}
		})
	}
}

func TestResizeLikePIL(t *testing.T) {
	index, arrays := pilGoldens(t)
	for _, c := range index.Resize {
		t.Run(strings.TrimPrefix(c.Array, "resize/"), func(t *testing.T) {
			p := decodeFile(t, filepath.Join(pillow, c.File))
			got := p.resize(c.Size[0], c.Size[1], Filter(c.Filter))
			if most, mean := differs(t, got.Pix, tensor.Data[uint8](arrays[c.Array])); most != 0 {
				t.Errorf("differs by at most %d, %.4f on average; want bit for bit", most, mean)
			}
			// One channel takes a path of its own; PIL resamples bands alike.
			red := New(p.W, p.H, 1)
			for i := range red.Pix {
				red.Pix[i] = p.Pix[3*i]
			}
			red = red.resize(c.Size[0], c.Size[1], Filter(c.Filter))
			for i, v := range red.Pix {
				if v != got.Pix[3*i] {
					t.Fatalf("one channel: element %d is %d, want %d", i, v, got.Pix[3*i])
				}
			}
		})
	}
}

// The picture is PIL's own, so that JPEG decoding plays no part: what follows
// is bit for bit torchvision's Resize, CenterCrop, ToTensor and Normalize.
func TestPipelineLikeTorchvision(t *testing.T) {
	index, arrays := pilGoldens(t)
	for _, c := range index.Pipeline {
		t.Run(strings.TrimPrefix(c.Array, "pipeline/"), func(t *testing.T) {
			source := arrays["decode/"+c.File]
			p := &Picture{W: source.Shape[1], H: source.Shape[0], C: 3, Pix: tensor.Data[uint8](source)}
			o := RenderOptions{MaxPixels: DefaultMaxPixels, Preprocess: &Preprocess{Resize: Resize{Mode: Shorter, Size: Size{c.Resize, c.Resize}},
				Interpolation: Filter(c.Filter), Crop: Size{c.Crop, c.Crop}, Mean: c.Mean, Std: c.Std}}
			cropped, err := o.Preprocess.scene(p, o.MaxPixels)
			if err != nil {
				t.Fatal(err)
			}
			if most, _ := differs(t, cropped.Pix, tensor.Data[uint8](arrays[c.Cropped])); most != 0 {
				t.Errorf("cropped: differs by at most %d, want bit for bit", most)
			}
			r, err := NewRenderer(o, 3, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, want := make([]float32, 3*c.Crop*c.Crop), tensor.Data[float32](arrays[c.Array])
			if err := r.Render(p, got); err != nil {
				t.Fatal(err)
			}
			for i := range got {
				if got[i] != want[i] {
					t.Fatalf("element %d is %v, want %v exactly", i, got[i], want[i])
				}
			}
		})
	}
}

func TestEXIFOrientationLikePIL(t *testing.T) {
	_, arrays := pilGoldens(t)
	path := filepath.Join(pillow, "orientation6.jpg")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if o, err := Orientation(b); o != 6 || err != nil {
		t.Fatalf("orientation is %d (%v), want 6", o, err)
	}
	want := arrays["exif_transpose/orientation6.jpg"]
	got := decodeFile(t, path).Channels(3).Upright(6)
	if got.H != want.Shape[0] || got.W != want.Shape[1] {
		t.Fatalf("got %d x %d, want %v", got.H, got.W, want.Shape)
	}
	if most, _ := differs(t, got.Pix, tensor.Data[uint8](want)); most != 0 {
		t.Errorf("differs by at most %d, want bit for bit", most)
	}
}

// Each orientation undone by the one that turns it back.
func TestUprightInverts(t *testing.T) {
	p := &Picture{W: 3, H: 2, C: 1, Pix: []uint8{1, 2, 3, 4, 5, 6}}
	for o, want := range map[int][]uint8{
		1: {1, 2, 3, 4, 5, 6}, 2: {3, 2, 1, 6, 5, 4}, 3: {6, 5, 4, 3, 2, 1}, 4: {4, 5, 6, 1, 2, 3},
		5: {1, 4, 2, 5, 3, 6}, 6: {4, 1, 5, 2, 6, 3}, 7: {6, 3, 5, 2, 4, 1}, 8: {3, 6, 2, 5, 1, 4},
	} {
		if got := p.Upright(o); string(got.Pix) != string(want) {
			t.Errorf("orientation %d: got %v, want %v", o, got.Pix, want)
		}
	}
}

func TestConversionsLikePIL(t *testing.T) {
	rgba := image.NewRGBA(image.Rect(0, 0, 2, 1))
	copy(rgba.Pix, []uint8{100, 1, 128, 128, 7, 8, 9, 0})
	cmyk := image.NewCMYK(image.Rect(0, 0, 1, 1))
	copy(cmyk.Pix, []uint8{100, 0, 255, 55})
	deep := image.NewRGBA64(image.Rect(0, 0, 1, 1))
	deep.Set(0, 0, color.RGBA64{0x12ff, 0xab00, 0x00ff, 0xffff})
	for _, c := range []struct {
		m    image.Image
		want []uint8
	}{
		{rgba, []uint8{199, 1, 255, 7, 8, 9}}, // RGBa to RGB: 255*v/alpha, cut off
		{cmyk, []uint8{122, 200, 0}},          // 200 - 100*200/255
		{deep, []uint8{0x12, 0xab, 0}},
	} {
		if got := FromImage(c.m).Pix; string(got) != string(c.want) {
			t.Errorf("%T: got %v, want %v", c.m, got, c.want)
		}
	}
}

// The pixels of a part are those of the whole.
func TestResizeOfAPart(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 400 {
		p := New(1+rng.IntN(40), 1+rng.IntN(40), []int{1, 3}[rng.IntN(2)])
		for i := range p.Pix {
			p.Pix[i] = uint8(rng.IntN(256))
		}
		w, h := 1+rng.IntN(40), 1+rng.IntN(40)
		switch rng.IntN(4) { // axes that keep their size have ways of their own
		case 0:
			w = p.W
		case 1:
			h = p.H
		case 2:
			w, h = p.W, p.H
		}
		x, y := rng.IntN(w), rng.IntN(h)
		in := image.Rect(x, y, x+1+rng.IntN(w-x), y+1+rng.IntN(h-y))
		for _, f := range []Filter{"", Nearest, Box, Bilinear, Hamming, Bicubic, Lanczos} {
			got, want := p.ResizeIn(w, h, f, in), p.resize(w, h, f).crop(in.Min.X, in.Min.Y, in.Dx(), in.Dy(), nil)
			if got.W != want.W || got.H != want.H || !bytes.Equal(got.Pix, want.Pix) {
				t.Fatalf("%s of %dx%d to %dx%d: %v is not what the whole has there", f, p.W, p.H, w, h, in)
			}
		}
	}
}
