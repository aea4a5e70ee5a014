package dataset

import (
	"testing"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
)

// broken is pictures over whose header a decoder panics, but for the first.
type broken struct{ Dataset }

func (broken) Geometry(i int) (picture.Geometry, error) {
	if i > 0 {
		panic("a decoder's bug")
	}
	return picture.Preprocess{}.Geometry(4, 3)
}

// Sizes are read on several goroutines, none of which may end the process.
func TestPanicOverAHeader(t *testing.T) {
	ds := &tiled{Dataset: broken{}, sizes: make([]picture.Size, 3)}
	ds.measure()
	if ds.sizes[0] != (picture.Size{H: 3, W: 4}) || ds.sizes[1] != (picture.Size{}) || ds.sizes[2] != (picture.Size{}) {
		t.Errorf("sizes %v", ds.sizes)
	}
}
