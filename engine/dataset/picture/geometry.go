package picture

import (
	"fmt"

	"github.com/onnxprobe/onnxprobe/onnx"
)

// Geometry says where the pixels of a model's input lie on the picture that they
// were made from. Coordinates are continuous: pixel i of an axis covers [i, i+1), its
// centre is i+0.5, and the picture's corner is 0, 0. Resampling maps coordinates by the
// ratio of sizes, as PIL and torchvision do; a crop or a pad moves them by whole pixels.
type Geometry struct {
	// Picture is the size before preprocessing, after any turn that EXIF asks for.
	Picture Size
	// Resized is the size that it is resampled to.
	Resized Size
	// X and Y are where the input begins on the resized picture: negative where a
	// border is added.
	X, Y int
	// Input is the size of the model's input.
	Input Size
}

// Geometry is that of a picture of w x h pixels, with the roundings of preprocessing
// itself. It is an error when a resized edge would be 0.
func (p Preprocess) Geometry(w, h int) (Geometry, error) {
	if w < 1 || h < 1 || w > maxPictureEdge || h > maxPictureEdge {
		return Geometry{}, fmt.Errorf("the geometry of a picture of %d x %d pixels (width x height): want edges of 1 to %d", w, h, maxPictureEdge)
	}
	rw, rh := p.resized(w, h)
	if rw < 1 || rh < 1 {
		err := fmt.Errorf("resizing %d x %d pixels to %d x %d: want at least 1 pixel; "+
			"crop such long pictures first, or resize to HxW", w, h, rw, rh)
		return Geometry{}, onnx.Remedy(err, "picture.Preprocess.Resize")
	}
	g := Geometry{Picture: Size{h, w}, Resized: Size{rh, rw}, Input: Size{rh, rw}}
	if p.Crop != (Size{}) {
		g.X, g.Y, g.Input = p.offset(rw, p.Crop.W), p.offset(rh, p.Crop.H), p.Crop
	}
	out, x, y := p.Pad.around(g.Input)
	return g.Tile(-x, -y, out), nil
}

// maxPictureEdge keeps the arithmetic of sizes away from overflow.
const maxPictureEdge = 1 << 30

// Tile is the geometry of a part of the input, as dynamic tiling (InternVL) cuts it:
// size pixels from x, y on. It may reach beyond the input.
func (g Geometry) Tile(x, y int, size Size) Geometry {
	g.X, g.Y, g.Input = g.X+x, g.Y+y, size
	return g
}

// ToPicture maps a point of the input to the picture. It lies outside where the input
// is border.
func (g Geometry) ToPicture(x, y float64) (px, py float64) {
	return (x + float64(g.X)) * float64(g.Picture.W) / float64(g.Resized.W),
		(y + float64(g.Y)) * float64(g.Picture.H) / float64(g.Resized.H)
}

// ToInput maps a point of the picture to the input. It lies outside where the crop
// cuts it off.
func (g Geometry) ToInput(px, py float64) (x, y float64) {
	return px*float64(g.Resized.W)/float64(g.Picture.W) - float64(g.X),
		py*float64(g.Resized.H)/float64(g.Picture.H) - float64(g.Y)
}

// Seen is the part of the picture that the input shows, [x0, x1) x [y0, y1) in the
// picture's pixels; empty (x0 = x1 or y0 = y1) when the input shows border alone.
func (g Geometry) Seen() (x0, y0, x1, y1 float64) {
	x0, y0 = g.ToPicture(0, 0)
	x1, y1 = g.ToPicture(float64(g.Input.W), float64(g.Input.H))
	w, h := float64(g.Picture.W), float64(g.Picture.H)
	return min(max(x0, 0), w), min(max(y0, 0), h), min(max(x1, 0), w), min(max(y1, 0), h)
}
