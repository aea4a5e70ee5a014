package picture

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine/internal/safe"
)

// ParsePreprocess reads what a user gives as the preprocessing: a preset's name, or a file
// that is a Hugging Face preprocessor_config.json, a timm config.json or a
// Preprocess in JSON.
func ParsePreprocess(arg string) (Preprocess, error) {
	var names []string
	for _, p := range Presets {
		if p.Name == arg {
			return p.Preprocess, nil
		}
		names = append(names, p.Name)
	}
	if _, err := os.Stat(arg); err != nil && !strings.HasSuffix(arg, ".json") && filepath.Base(arg) == arg {
		return Preprocess{}, fmt.Errorf("no preprocessing preset is named %q and no such file is here; the presets "+
			"are %s; or give a Hugging Face preprocessor_config.json or a timm config.json",
			arg, strings.Join(names, ", "))
	}
	b, err := readConfig(arg)
	if err != nil {
		return Preprocess{}, fmt.Errorf("reading the preprocessing from %q: %w", arg, err)
	}
	p, err := parseConfig(b)
	if err != nil {
		return Preprocess{}, fmt.Errorf("reading the preprocessing from %q: %w", arg, err)
	}
	if p.Name == "" {
		p.Name = filepath.Base(arg)
	}
	return p, p.Check()
}

// readConfig reads a file that should be small.
func readConfig(path string) ([]byte, error) {
	const limit = 1 << 20
	st, err := os.Stat(path)
	if err != nil {
		return nil, safe.Reason(err)
	}
	if !st.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, safe.Reason(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && len(b) > limit {
		err = fmt.Errorf("it has more than %d bytes", limit)
	}
	return b, safe.Reason(err)
}

func parseConfig(b []byte) (Preprocess, error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(b, &keys); err != nil {
		return Preprocess{}, fmt.Errorf("it is not a JSON object: %w", err)
	}
	has := func(names ...string) bool {
		for _, n := range names {
			if _, ok := keys[n]; ok {
				return true
			}
		}
		return false
	}
	var p Preprocess
	var err error
	switch {
	case has("pretrained_cfg"):
		p, err = parseTimm(keys["pretrained_cfg"])
	case has("input_size"):
		p, err = parseTimm(b)
	case has("image_processor_type", "feature_extractor_type", "image_mean", "do_resize", "do_normalize"):
		p, err = parseHuggingFace(b)
	case has("scale", "mean", "resize", "crop", "channels"):
		err = json.Unmarshal(b, &p)
	default:
		err = errors.New("it has neither image_mean (Hugging Face), pretrained_cfg (timm) nor scale (onnxprobe)")
	}
	if err != nil {
		return Preprocess{}, err
	}
	if p.Scale == 0 {
		p.Scale = 1.0 / 255
	}
	return p, p.Check()
}

// parseTimm follows timm's transforms_imagenet_eval.
func parseTimm(b []byte) (Preprocess, error) {
	c := struct {
		InputSize     []int   `json:"input_size"`
		Interpolation string  `json:"interpolation"`
		CropPct       float64 `json:"crop_pct"`
		CropMode      string  `json:"crop_mode"`
		Mean, Std     []float64
	}{Interpolation: "bicubic", CropPct: 0.875, CropMode: "center", Mean: slices.Clone(imagenetMean), Std: slices.Clone(imagenetStd)} // which are written over
	if err := json.Unmarshal(b, &c); err != nil {
		return Preprocess{}, fmt.Errorf("timm: %w", err)
	}
	if len(c.InputSize) != 3 {
		return Preprocess{}, fmt.Errorf("timm: input_size %v: want [channels, height, width]", c.InputSize)
	}
	if c.CropPct <= 0 || c.CropPct > 100 {
		return Preprocess{}, fmt.Errorf("timm: crop_pct %v: want more than 0", c.CropPct)
	}
	crop := Size{c.InputSize[1], c.InputSize[2]}
	scaled := Size{int(math.Floor(float64(crop.H) / c.CropPct)), int(math.Floor(float64(crop.W) / c.CropPct))}
	p := Preprocess{Interpolation: Filter(c.Interpolation), Crop: crop, Channels: c.InputSize[0], Mean: c.Mean, Std: c.Std}
	switch {
	case c.CropMode == "squash":
		p.Resize = Resize{Exact, scaled}
	case c.CropMode == "border":
		p.Resize = Resize{Fit, scaled}
		for _, m := range c.Mean {
			p.Fill = append(p.Fill, int(math.RoundToEven(255*m)))
		}
	case c.CropMode != "center" && c.CropMode != "":
		return Preprocess{}, fmt.Errorf("timm: crop_mode %q is not known, want center, squash or border", c.CropMode)
	case scaled.H == scaled.W:
		p.Resize = Resize{Shorter, scaled}
	default:
		p.Resize = Resize{Cover, scaled}
	}
	return p, nil
}

// edges is a size in a Hugging Face file: a number or an object.
type edges struct {
	isSet         bool
	number        int
	Height, Width int
	ShortestEdge  int `json:"shortest_edge"`
	LongestEdge   int `json:"longest_edge"`
}

func (e *edges) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	e.isSet = true
	if json.Unmarshal(b, &e.number) == nil {
		return nil
	}
	type plain edges
	return json.Unmarshal(b, (*plain)(e))
}

// resamplings are PIL's numbers.
var resamplings = []Filter{Nearest, Lanczos, Bilinear, Bicubic, Box, Hamming}

// shorterEdge names the Hugging Face processors for which a bare number means
// the shorter edge; for all others it means a square.
var shorterEdge = []string{"CLIP", "ChineseCLIP", "ConvNext", "Levit", "MobileNet", "MobileViT", "PoolFormer", "Bit", "EfficientFormer"}

// parseHuggingFace follows the PIL-based ("slow") image processors of
// transformers.
func parseHuggingFace(b []byte) (Preprocess, error) {
	var c struct {
		Type          string    `json:"image_processor_type"`
		OldType       string    `json:"feature_extractor_type"`
		DoResize      *bool     `json:"do_resize"`
		Size          edges     `json:"size"`
		Resample      *int      `json:"resample"`
		CropPct       float64   `json:"crop_pct"`
		DoCenterCrop  *bool     `json:"do_center_crop"`
		CropSize      edges     `json:"crop_size"`
		DoRescale     *bool     `json:"do_rescale"`
		RescaleFactor *float64  `json:"rescale_factor"`
		DoNormalize   *bool     `json:"do_normalize"`
		Mean          []float64 `json:"image_mean"`
		Std           []float64 `json:"image_std"`
		BGR           bool      `json:"do_flip_channel_order"`
		DoPad         bool      `json:"do_pad"`
		Splitting     bool      `json:"do_image_splitting"`
		Offset        bool      `json:"rescale_offset"`
		IncludeTop    bool      `json:"include_top"`
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return Preprocess{}, fmt.Errorf("Hugging Face: %w", err)
	}
	for name, on := range map[string]bool{"do_pad": c.DoPad, "do_image_splitting": c.Splitting, "rescale_offset": c.Offset, "include_top": c.IncludeTop} {
		if on {
			return Preprocess{}, fmt.Errorf("Hugging Face: %s is not supported; preprocess in Python and pass an .npy array", name)
		}
	}
	given := func(flag *bool, otherwise bool) bool { return flag == nil && otherwise || flag != nil && *flag }
	kind := c.Type + c.OldType
	p := Preprocess{Floor: true, Channels: 3, BGR: c.BGR}
	if given(c.DoResize, c.Size.isSet) {
		if c.Resample == nil || *c.Resample < 0 || *c.Resample >= len(resamplings) {
			return p, errors.New("Hugging Face: do_resize needs resample, a number 0 to 5 (2 is bilinear, 3 bicubic)")
		}
		p.Interpolation = resamplings[*c.Resample]
		var err error
		if p.Resize, err = c.Size.resize(kind); err != nil {
			return p, err
		}
	}
	if given(c.DoCenterCrop, c.CropSize.isSet) {
		r, err := c.CropSize.resize("")
		if err != nil || r.Mode != Exact {
			return p, fmt.Errorf("Hugging Face: crop_size must be a number or have height and width (%v)", err)
		}
		p.Crop = r.Size
	}
	convNext := strings.HasPrefix(kind, "ConvNext")
	if pct := c.CropPct; p.Resize.Mode == Shorter && (pct != 0 || convNext || strings.HasPrefix(kind, "Levit")) {
		if pct == 0 {
			pct = 224.0 / 256 // the default of both
		}
		if pct < 0 || pct > 100 {
			return p, fmt.Errorf("Hugging Face: crop_pct %v: want more than 0", pct)
		}
		edge := p.Resize.H
		scaled := int(float64(edge) / pct)
		p.Resize.Size = Size{scaled, scaled}
		switch {
		case convNext && edge < 384:
			p.Crop = Size{edge, edge}
		case convNext: // large pictures are squashed instead
			p.Resize = Resize{Exact, Size{edge, edge}}
		}
	}
	p.Scale = 1
	if given(c.DoRescale, true) {
		p.Scale = 1.0 / 255
		if c.RescaleFactor != nil {
			p.Scale = *c.RescaleFactor
		}
	}
	if given(c.DoNormalize, len(c.Mean) > 0) {
		if len(c.Mean) == 0 {
			return p, errors.New("Hugging Face: do_normalize needs image_mean and image_std")
		}
		p.Mean, p.Std = c.Mean, c.Std
	}
	return p, nil
}

func (e edges) resize(processor string) (Resize, error) {
	switch {
	case e.number != 0:
		for _, prefix := range shorterEdge {
			if strings.HasPrefix(processor, prefix) {
				return Resize{Shorter, Size{e.number, e.number}}, nil
			}
		}
		return Resize{Exact, Size{e.number, e.number}}, nil
	case e.Height != 0 && e.Width != 0:
		return Resize{Exact, Size{e.Height, e.Width}}, nil
	case e.ShortestEdge != 0 && e.LongestEdge == 0:
		return Resize{Shorter, Size{e.ShortestEdge, e.ShortestEdge}}, nil
	}
	return Resize{}, errors.New("Hugging Face: size must be a number, or have height and width, or shortest_edge alone")
}
