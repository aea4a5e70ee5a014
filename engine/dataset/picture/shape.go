package picture

import (
	"fmt"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Planes is what a model's input says about pictures; 0 where it says nothing.
type Planes struct {
	C, H, W int
	Last    bool // the channels are the last axis
}

// PlanesOf reads a model's input, without the batch axis.
func PlanesOf(input []int) Planes {
	pos := func(d int) int { return max(d, 0) }
	if len(input) == 3 {
		isChannels := func(d int) bool { return d == 1 || d == 3 }
		if !isChannels(input[0]) && isChannels(input[2]) {
			return Planes{input[2], pos(input[0]), pos(input[1]), true}
		}
		return Planes{pos(input[0]), pos(input[1]), pos(input[2]), false}
	}
	if len(input) == 2 && input[0] > 1 && input[1] > 1 {
		return Planes{1, input[0], input[1], false}
	}
	return Planes{}
}

func known(shape []int) bool {
	return len(shape) > 0 && !slices.ContainsFunc(shape, func(d int) bool { return d < 1 })
}

// ShapeFor gives samples the model's shape, both without the batch axis: a dimension of
// the model below 1 accepts any size, axes of 1 may be missing, and a flat input takes
// samples of any rank with as many elements. Their order does not change. The error
// names what would help.
func ShapeFor(sample, input []int) ([]int, error) {
	if shape, ok := form(sample, input); ok {
		return shape, nil
	}
	return nil, shapeError(sample, input)
}

func form(sample, input []int) ([]int, bool) {
	if input == nil {
		return sample, true
	}
	if len(sample) == len(input) {
		for i, d := range input {
			if d > 0 && d != sample[i] {
				return nil, false
			}
		}
		return sample, true
	}
	long := func(shape []int) []int {
		return slices.DeleteFunc(slices.Clone(shape), func(d int) bool { return d == 1 })
	}
	if !known(input) || tensor.Count(sample) != tensor.Count(input) {
		return nil, false
	}
	if in := long(input); len(in) <= 1 || slices.Equal(in, long(sample)) {
		return slices.Clone(input), true
	}
	return nil, false
}

func shapeError(sample, input []int) error {
	remedy, options := "give data of the model's shape", []string(nil)
	if p := PlanesOf(input); len(sample) == 3 && p.H > 0 && p.W > 0 {
		channels := sample[0]
		if p.Last {
			channels = sample[2]
		}
		remedy = fmt.Sprintf("resize to %dx%d without a crop, or give a preprocessing made for the model", p.H, p.W)
		options = []string{
			fmt.Sprintf("picture.Preprocess.Resize=%dx%d", p.H, p.W), "picture.Preprocess.Crop=none", "picture.Preprocess",
		}
		if p.C != channels {
			such := map[bool]string{true: "mnist", false: "imagenet or cifar10"}[p.C == 1]
			remedy = fmt.Sprintf("give a preprocessing for %d channels, such as %s", p.C, such)
			options = []string{"picture.Preprocess"}
		}
	}
	err := fmt.Errorf("a sample has shape %v, the model takes %v (without the batch axis): %s", sample, input, remedy)
	if options == nil {
		return err
	}
	return onnx.Remedy(err, options...)
}
