package score_test

import (
	"fmt"

	"github.com/onnxprobe/onnxprobe/probes/region"
	"github.com/onnxprobe/onnxprobe/probes/region/score"
)

// Two boxes that were found, against the two that are there.
func ExampleDetect() {
	truth := []region.Box{{X1: 10, Y1: 10}, {X0: 20, X1: 30, Y1: 10}}
	found := []region.Box{{X1: 10, Y1: 8}, {X0: 28, X1: 40, Y1: 10}}
	d := score.Detect(len(truth), len(found), 0.5, func(i, j int) float64 { return score.BoxIoU(truth[i], found[j]) })
	fmt.Printf("IoU %.2f and %.2f\n", score.BoxIoU(truth[0], found[0]), score.BoxIoU(truth[1], found[1]))
	fmt.Printf("%d match: detection rate %g, accuracy %g\n", d.Matched, d.DR(), d.RA())
	// Output:
	// IoU 0.80 and 0.10
	// 1 match: detection rate 0.5, accuracy 0.5
}
