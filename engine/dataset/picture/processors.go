package picture

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// processor is a class of transformers' image processors that takes pictures alone, as
// processors.json has it.
type processor struct {
	Name     string // without ImageProcessor
	Refused  string // why it is not read
	Backends []string
	Square   bool                       // a bare number is a square, not the shorter edge
	Keys     []string                   // beyond the usual
	Defaults map[string]json.RawMessage // of keys that a file lacks
	Ignores  map[string][]string        // by backend, the flags that change nothing
}

//go:embed processors.json
var processorsJSON []byte

var processors = sync.OnceValue(func() map[string]processor {
	var file struct{ Classes []processor }
	if err := json.Unmarshal(processorsJSON, &file); err != nil {
		panic(fmt.Sprintf("processors.json: %v", err)) // it is a part of the program
	}
	all := map[string]processor{}
	for _, p := range file.Classes {
		all[p.Name] = p
	}
	return all
})

// usualKeys are read in files of every class.
var usualKeys = []string{"do_resize", "size", "resample", "default_to_square", "do_center_crop", "crop_size", "do_rescale",
	"rescale_factor", "do_normalize", "image_mean", "image_std", "do_pad", "pad_size"}

// ownKeys are read in files of the classes that have them.
var ownKeys = []string{"crop_pct", "do_flip_channel_order", "ensure_multiple_of", "image_size", "include_top", "keep_aspect_ratio",
	"max_image_size", "max_pixels", "max_size", "min_image_size", "min_pixels", "min_size", "patch_size", "rescale_offset",
	"size_divisor", "spatial_factor"}

// stepKeys turn on what makes other than one picture of one, or what is not built; a file
// may have them turned off.
var stepKeys = map[string]string{
	"crop_to_patches":    several,
	"do_align_long_axis": "turning pictures is not built",
	"do_color_quantize":  "it makes tokens of colors",
	"do_crop_margin":     "cutting margins off by what the picture shows is not built",
	"do_grayscale":       "its gray is not PIL's",
	"do_image_splitting": several,
	"do_pan_and_scan":    several,
	"do_split_image":     several,
	"do_thumbnail":       "resampling twice is not built",
	"split_image":        several,
	"transform":          "it is a function",
}

const several = "it makes several pictures of one"

// idleKeys change no pixels of a picture that stands alone.
var idleKeys = reasons(map[string]string{
	"how the file came to be, or whom it is for": "image_processor_type feature_extractor_type processor_class auto_map use_fast " +
		"architecture model_type transformers_version _auto_class _name_or_path _processor_class _valid_kwargs_names _valid_processor_keys",
	"size says it": "_max_size",
	"the input of the model decides the layout": "data_format input_data_format num_channels image_num_channels",
	"how tensors are returned":                  "return_tensors device disable_grouping",
	"pictures are always converted to RGB":      "do_convert_rgb",
	"labels and annotations are not read here":  "do_reduce_labels reduce_labels ignore_index num_labels format do_convert_annotations",
	"numbers of tokens in texts":                "image_seq_length image_seq_len",
})

// besideKeys change no pixels in the classes that have them.
var besideKeys = reasons(map[string]string{
	"names and texts of classes":  "class_info_file metadata repo_path num_text task_seq_length max_seq_length",
	"words that are read besides": "apply_ocr ocr_lang tesseract_config",
	"of steps that split pictures": "min_patches max_patches use_covering_area_grid split_resolutions " +
		"pan_and_scan_min_crop_size pan_and_scan_max_num_crops pan_and_scan_min_ratio_to_activate",
	"of the step do_color_quantize":    "clusters",
	"masks, depth and points besides":  "mask_size mask_pad_size prompt_scale_to_meter keypoint_heatmap_sigma keypoint_heatmap_downscale_factor",
	"pictures that are made, not read": "ratio image_area",
	"computed from image_mean":         "background_color",
	"a second picture, and masks": "return_codebook_pixels return_image_mask codebook_do_resize codebook_size codebook_resample " +
		"codebook_do_center_crop codebook_crop_size codebook_do_rescale codebook_rescale_factor codebook_do_map_pixels " +
		"codebook_do_normalize codebook_image_mean codebook_image_std input_size_patches total_mask_patches mask_group_min_patches " +
		"mask_group_max_patches mask_group_min_aspect_ratio mask_group_max_aspect_ratio",
})

// timmKeys change no pixels: of timm's pretrained_cfg.
var timmKeys = reasons(map[string]string{
	"where the weights are, and whose": "url file state_dict hf_hub_id hf_hub_filename source architecture tag custom_load license " +
		"description origin_url paper_name paper_ids notes",
	"of timm's use_test_size, which is off unless asked for": "test_input_size test_crop_pct test_pool_size",
	"what else the model can take":                           "min_input_size fixed_input_size",
	"of the classifier":                                      "num_classes label_offset label_names label_descriptions pool_size first_conv classifier",
})

// timmTopKeys stand beside pretrained_cfg and are the model's.
var timmTopKeys = reasons(map[string]string{
	"of the model": "architecture architectures num_classes num_features global_pool model_args base_model base_model_name do_pooling " +
		"initializer_range model_type torch_dtype dtype transformers_version label_names label_descriptions id2label label2id " +
		"num_labels problem_type image_processor_type auto_map data_config pretrained_cfg",
})

// reasons is the reason of each key in lists by reason.
func reasons(lists map[string]string) map[string]string {
	all := map[string]string{}
	for why, keys := range lists {
		for _, k := range strings.Fields(keys) {
			all[k] = why
		}
	}
	return all
}

// strange refuses keys that are in none of the lists.
func strange(kind string, keys map[string]json.RawMessage, lists ...map[string]string) error {
	var strange []string
	for k := range keys {
		if !slices.ContainsFunc(lists, func(l map[string]string) bool { return l[k] != "" }) {
			strange = append(strange, k)
		}
	}
	if strange == nil {
		return nil
	}
	slices.Sort(strange)
	return fmt.Errorf("%s: key %s is not known, and is not passed over, since it may change pixels; take it out of the file if it does not",
		kind, strings.Join(strange, ", "))
}

// on says whether a value is one that Python takes for true.
func on(v json.RawMessage) bool {
	switch strings.TrimSpace(string(v)) {
	case "", "null", "false", "0", "0.0", `""`, "[]", "{}":
		return false
	}
	return true
}

// processorOf is the class that a file of transformers names, with the backend that its name
// asks for: "Fast" for torchvision, "Pil", or "" for either. ok is false for a class that
// transformers does not have, and for none.
func processorOf(name string) (p processor, asked string, ok bool) {
	name = strings.Replace(name, "FeatureExtractor", "ImageProcessor", 1)
	for _, suffix := range []string{"Fast", "Pil"} {
		if cut, found := strings.CutSuffix(name, suffix); found {
			name, asked = cut, suffix
		}
	}
	p, ok = processors()[strings.TrimSuffix(name, "ImageProcessor")]
	return p, asked, ok && strings.HasSuffix(name, "ImageProcessor")
}

// over is defaults with the values of a file in their place. transformers takes null for
// false where a step is asked for; that of another value is an error, unless the class has
// none itself.
func over(defaults, file map[string]json.RawMessage) (map[string]json.RawMessage, error) {
	all := maps.Clone(defaults)
	if all == nil {
		all = map[string]json.RawMessage{}
	}
	var empty []string
	for k, v := range file {
		if !isNull(v) {
			all[k] = v
			continue
		}
		switch have := strings.TrimSpace(string(all[k])); {
		case have == "true", have == "false", strings.HasPrefix(k, "do_"):
			all[k] = json.RawMessage("false")
		case have != "" && have != "null" && idleKeys[k] == "" && besideKeys[k] == "":
			empty = append(empty, k)
		}
	}
	if empty == nil {
		return all, nil
	}
	slices.Sort(empty)
	return all, fmt.Errorf("Hugging Face: %s is null, and its class has a value: give one, or take the key out of the file", strings.Join(empty, ", "))
}

func isNull(v json.RawMessage) bool { return strings.TrimSpace(string(v)) == "null" }
