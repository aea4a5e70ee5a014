package draw

import (
	"image"
	"image/color"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
)

// matplotlib 3's viridis at these places.
func TestViridis(t *testing.T) {
	for v, want := range map[float64]color.RGBA{0: {68, 1, 84, 255}, 0.25: {59, 82, 139, 255}, 0.5: {33, 145, 140, 255}, 0.75: {94, 201, 98, 255}, 1: {253, 231, 37, 255}, 7: {253, 231, 37, 255}} {
		got := Viridis(v)
		for _, d := range []int{int(got.R) - int(want.R), int(got.G) - int(want.G), int(got.B) - int(want.B)} {
			if d < -4 || d > 4 {
				t.Errorf("viridis at %v is %v, matplotlib's is %v", v, got, want)
			}
		}
	}
}

// Of a cropped and resized picture only what the model sees is covered.
func TestOverlayCoversWhatIsSeen(t *testing.T) {
	m := image.NewRGBA(image.Rect(0, 0, 20, 10))
	g, err := picture.Preprocess{Resize: picture.Resize{Mode: picture.Shorter, Size: picture.Size{H: 5, W: 5}}, Crop: picture.Size{H: 4, W: 4}}.Geometry(20, 10)
	if err != nil {
		t.Fatal(err)
	}
	h := &Heat{H: 4, W: 4, Values: make([]float64, 16), To: 0.4}
	h.Values[5] = 0.4 // row 1, column 1: the largest
	out := Overlay(m, h, g)
	x0, y0, x1, y1 := g.Seen()
	hot, cold := Viridis(1), Viridis(0)
	for y := range 10 {
		for x := range 20 {
			px, py := float64(x)+0.5, float64(y)+0.5
			ix, iy := g.ToInput(px, py)
			want := uint8(0)
			if px >= x0 && px < x1 && py >= y0 && py < y1 {
				want = uint8(0.6*float64(cold.R) + 0.5)
				if int(ix) == 1 && int(iy) == 1 {
					want = uint8(0.6*float64(hot.R) + 0.5)
				}
			}
			if got := out.RGBAAt(x, y).R; got != want {
				t.Errorf("pixel %d, %d has red %d, want %d", x, y, got, want)
			}
		}
	}
}
