package picture

import "slices"

// Preset is a preprocessing with a name.
type Preset struct {
	Name, Doc  string
	Preprocess Preprocess
}

var (
	imagenetMean = []float64{0.485, 0.456, 0.406}
	imagenetStd  = []float64{0.229, 0.224, 0.225}
	clipMean     = []float64{0.48145466, 0.4578275, 0.40821073}
	clipStd      = []float64{0.26862954, 0.26130258, 0.27577711}
)

// Presets are the names that ParsePreprocess knows.
var Presets = presets([]Preset{
	{Doc: "torchvision's V1 weights: shorter edge 256, centre 224, bilinear, ImageNet mean and std",
		Preprocess: Preprocess{Name: "imagenet", Resize: Resize{Mode: Shorter, Size: Size{256, 256}}, Interpolation: Bilinear,
			Crop: Size{224, 224}, Channels: 3, Mean: imagenetMean, Std: imagenetStd}},
	{Doc: "torchvision's V2 weights: shorter edge 232, centre 224, bilinear, ImageNet mean and std",
		Preprocess: Preprocess{Name: "imagenet-v2", Resize: Resize{Mode: Shorter, Size: Size{232, 232}}, Interpolation: Bilinear,
			Crop: Size{224, 224}, Channels: 3, Mean: imagenetMean, Std: imagenetStd}},
	{Doc: "32x32 pictures as they are, the usual CIFAR-10 mean and std",
		Preprocess: Preprocess{Name: "cifar10", Channels: 3,
			Mean: []float64{0.4914, 0.4822, 0.4465}, Std: []float64{0.2023, 0.1994, 0.2010}}},
	{Doc: "one channel as it is, mean 0.1307 and std 0.3081",
		Preprocess: Preprocess{Name: "mnist", Channels: 1, Mean: []float64{0.1307}, Std: []float64{0.3081}}},
	{Doc: "one channel as it is, pixels / 255",
		Preprocess: Preprocess{Name: "mnist-01", Channels: 1}},
	{Doc: "CLIP: shorter edge 224, centre 224, bicubic, CLIP's mean and std",
		Preprocess: Preprocess{Name: "clip", Resize: Resize{Mode: Shorter, Size: Size{224, 224}}, Interpolation: Bicubic,
			Crop: Size{224, 224}, Channels: 3,
			Mean: clipMean, Std: clipStd}},
	{Doc: "BLIP-2, and RegionBLIP in training: resized to 224x224, bicubic, CLIP's mean and std",
		Preprocess: Preprocess{Name: "blip2", Resize: Resize{Mode: Exact, Size: Size{224, 224}}, Interpolation: Bicubic,
			Channels: 3, Mean: clipMean, Std: clipStd}},
	{Doc: "RegionBLIP in evaluation: resized to 364x364, bicubic, CLIP's mean and std",
		Preprocess: Preprocess{Name: "regionblip", Resize: Resize{Mode: Exact, Size: Size{364, 364}}, Interpolation: Bicubic,
			Channels: 3, Mean: clipMean, Std: clipStd}},
	{Doc: "InternVL and MedRegA: resized to 448x448, bicubic, ImageNet mean and std; tiles cut pictures into several such",
		Preprocess: Preprocess{Name: "internvl", Resize: Resize{Mode: Exact, Size: Size{448, 448}}, Interpolation: Bicubic,
			Channels: 3, Mean: imagenetMean, Std: imagenetStd}},
	{Doc: "DINOv2 as Hugging Face has it: shorter edge 256, centre 224, bicubic, ImageNet mean and std; " +
		"a transparent picture, which it lays on white, is an error",
		Preprocess: Preprocess{Name: "dinov2", Resize: Resize{Mode: Shorter, Size: Size{256, 256}}, Interpolation: Bicubic, Crop: Size{224, 224},
			Floor: true, Opaque: true,
			Channels: 3, Mean: imagenetMean, Std: imagenetStd}},
	{Doc: "torchvision's ToTensor alone: pixels / 255, no resizing, no normalisation",
		Preprocess: Preprocess{Name: "none"}},
})

func presets(list []Preset) []Preset {
	for i := range list {
		list[i].Name = list[i].Preprocess.Name
		list[i].Preprocess.Scale = 1.0 / 255
	}
	return list
}

// Suggest names the preset that models of an input shape are usually trained with.
func Suggest(input []int) string {
	switch {
	case slices.Equal(input, []int{3, 32, 32}):
		return "cifar10"
	case len(input) > 0 && input[0] == 1, len(input) == 1:
		return "mnist"
	}
	return "imagenet"
}
