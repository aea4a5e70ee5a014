package encoding

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// A tile of a region shows the pixels of its box, out of the picture that it is of.
func TestTileOfARegion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.npy")
	pix := make([]uint8, 3*8*10*3)
	for i := range pix {
		pix[i] = uint8(i / 3) // 80 a picture
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := tensor.WriteNpy(f, tensor.Of(pix, 3, 8, 10, 3)); err != nil {
		t.Fatal(err)
	}
	f.Close()
	var p pictures
	tile := Tile{ID: "x.npy[2]#a", Path: path, Of: &Region{Image: "x.npy[2]", Box: [4]float64{2, 1.5, 5, 4}}}
	m := p.read(tile)
	if m == nil {
		t.Fatal("no picture")
	}
	b := m.Bounds()
	if r, _, _, _ := m.At(b.Min.X, b.Min.Y).RGBA(); b.Dx() != 3 || b.Dy() != 3 || r>>8 != 160+1*10+2 {
		t.Errorf("%v begins with %d, want 3 x 3 pixels from 172 on", b, r>>8)
	}
	for _, box := range [][4]float64{{20, 20, 30, 30}, {3, 3, 3, 5}, {math.Inf(-1), 1, -4, 2}} {
		if tile.Of.Box = box; p.read(tile) != nil {
			t.Errorf("the box %v gives a picture", box)
		}
	}
	tile.Of.Box = [4]float64{math.NaN(), -1e300, 1e300, 4}
	p.read(tile) // and does not panic
}

// Rows without a region stand between those that are of one.
func TestRegionsOfRows(t *testing.T) {
	c, err := NewCodes(1)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if err := c.Append([]byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
		r := record{id: string(rune('a' + i)), named: true, label: noLabel}
		if i%2 == 1 {
			r.image, r.class, r.box = "pic", "cat", [4]float64{0, 0, float64(i), 1}
		}
		c.describe(&r, i)
	}
	for _, d := range []*Codes{c, c.Pick([]int{0, 1, 2, 3, 4})} {
		for i := range 5 {
			r, ok := d.Region(i)
			if ok != (i%2 == 1) || ok && (r.Image != "pic" || r.Label != "cat" || r.Box[2] != float64(i)) {
				t.Errorf("row %d: %+v, %v", i, r, ok)
			}
		}
	}
}
