package dataset

import (
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// A held batch keeps its samples until as many further ones were taken, and no more
// batches are read ahead for that than are held.
func TestHeldBatches(t *testing.T) {
	for _, held := range []int{0, 1, 2, 5} {
		const size = 4
		ds := &numbers{n: 103}
		var with []*Batch
		taken := 0
		for b, err := range HeldBatches(t.Context(), ds, size, 3, held) {
			if err != nil {
				t.Fatal(err)
			}
			if with = append(with, b); len(with) > held+1 {
				with = with[1:]
			}
			taken++
			for _, b := range with {
				if v := tensor.Data[float32](b.Input); v[0] != float32(b.Start+1) || b.Items[0].Label != b.Start {
					t.Fatalf("%d held: the batch at %d holds sample %v after batch %d", held, b.Start, v[0], taken)
				}
			}
			if most := int64(size * (taken + max(inFlight, held+2))); ds.read.Load() > most {
				t.Fatalf("%d held: %d samples read after %d batches", held, ds.read.Load(), taken)
			}
		}
		if taken != 26 {
			t.Errorf("%d batches", taken)
		}
	}
}
