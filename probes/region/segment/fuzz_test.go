package segment

import (
	"image"
	"testing"
)

// Whatever a picture holds, its regions lie in it and nothing panics.
func FuzzPictures(f *testing.F) {
	f.Add([]byte{0, 255, 3, 9, 200, 7, 0, 255, 1}, uint8(3), uint8(10))
	f.Fuzz(func(t *testing.T, pix []byte, w, segments uint8) {
		if w == 0 || len(pix) < int(w) || len(pix) > 1<<14 {
			return
		}
		h := len(pix) / int(w)
		m := &image.Gray{Pix: pix, Stride: int(w), Rect: image.Rect(0, 0, int(w), h)}
		lines, err := Lines(m, LineOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range lines {
			if b := r.Box; b.X0 < 0 || b.Y0 < 0 || b.X1 > float64(w) || b.Y1 > float64(h) || b.X1 <= b.X0 || b.Y1 <= b.Y0 || r.Mask.Count() == 0 {
				t.Errorf("a line of a %d x %d page is %v with %d pixels", w, h, b, r.Mask.Count())
			}
		}
		super, err := SLIC(m, SLICOptions{Segments: int(segments), Iterations: 2})
		if err != nil {
			if int(segments) <= len(pix)/int(w)*int(w) && segments > 0 {
				t.Error(err)
			}
			return
		}
		for _, k := range super.Of {
			if k < 0 || int(k) >= len(super.Of) {
				t.Errorf("a super-pixel is numbered %d", k)
			}
		}
	})
}
