package segment_test

import (
	"fmt"
	"image"
	"image/color"

	"github.com/onnxprobe/onnxprobe/probes/region/segment"
)

// Super-pixels of a picture that is black on the left and white on the right: none of them has
// pixels of both.
func ExampleSLIC() {
	m := image.NewGray(image.Rect(0, 0, 40, 20))
	for y := range 20 {
		for x := 20; x < 40; x++ {
			m.SetGray(x, y, color.Gray{255})
		}
	}
	labels, err := segment.SLIC(m, segment.SLICOptions{Segments: 8})
	if err != nil {
		fmt.Println(err)
		return
	}
	regions, err := labels.Regions()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(regions), "regions; the first has", regions[0].Mask.Count(), "pixels,", regions[0].Box)
	// Output:
	// 8 regions; the first has 100 pixels, {0 0 10 10}
}
