package picture_test

import (
	"fmt"
	"image"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
)

// A picture that the program has becomes an input of a model of [3,224,224], as torchvision
// makes it of a file; a point of the input is led back to the picture.
func ExamplePreprocess_Sample() {
	pre, err := picture.ParsePreprocess("imagenet")
	if err != nil {
		fmt.Println(err)
		return
	}
	black := image.NewRGBA(image.Rect(0, 0, 640, 480))
	x, where, err := pre.Sample(black, []int{3, 224, 224})
	if err != nil {
		fmt.Println(err)
		return
	}
	px, py := where.ToPicture(0, 0)
	fmt.Printf("%s %v, all %.3f in red\n", x.DType, x.Shape, x.Data.([]float32)[0])
	fmt.Printf("its corner is at %.1f, %.1f of the picture\n", px, py)
	// Output:
	// float32 [3 224 224], all -2.118 in red
	// its corner is at 108.9, 30.0 of the picture
}
