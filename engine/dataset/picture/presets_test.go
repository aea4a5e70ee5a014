package picture

import (
	"reflect"
	"testing"
)

// Presets are what the processors published with the models say.
func TestPresetsOfEncoders(t *testing.T) {
	const imagenet = `"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]`
	const clip = `"image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]`
	for name, config := range map[string]string{
		"blip2": `{"image_processor_type": "BlipImageProcessor", "do_resize": true, "size": {"height": 224, "width": 224}, "resample": 3, "do_rescale": true,
			"rescale_factor": 0.00392156862745098, "do_normalize": true, ` + clip + `}`,
		"regionblip": `{"do_rescale": true, "rescale_factor": 0.00392156862745098, "do_resize": true, "size": {"height": 364, "width": 364}, "resample": 3, "do_normalize": true, ` + clip + `}`,
		"internvl":   `{"do_rescale": true, "rescale_factor": 0.00392156862745098, "do_resize": true, "size": {"height": 448, "width": 448}, "resample": 3, "do_normalize": true, ` + imagenet + `}`,
		"dinov2": `{"image_processor_type": "BitImageProcessor", "do_resize": true, "size": {"shortest_edge": 256}, "resample": 3, "do_center_crop": true,
			"crop_size": {"height": 224, "width": 224}, "do_rescale": true, "rescale_factor": 0.00392156862745098, "do_normalize": true, ` + imagenet + `}`,
	} {
		want, err := parseConfig([]byte(config))
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParsePreprocess(name)
		if err != nil {
			t.Fatal(err)
		}
		want.Note, want.Opaque = "", name == "dinov2" // the others are the models' own code, which drops alpha
		if want.Name = name; want.Crop == (Size{}) {
			want.Floor = false // nothing is cropped
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
}
