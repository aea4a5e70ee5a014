package picture

import (
	"bytes"
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
	if inner := keys["image_processor"]; on(inner) {
		// A processor_config.json: what stands beside is of text, sound and video.
		b, keys = inner, nil
		if err := json.Unmarshal(b, &keys); err != nil {
			return Preprocess{}, fmt.Errorf("image_processor is not a JSON object: %w", err)
		}
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
		if err = strange("timm", keys, timmTopKeys); err == nil {
			p, err = parseTimm(keys["pretrained_cfg"])
		}
	case has("input_size"):
		p, err = parseTimm(b)
	case has("image_processor_type", "feature_extractor_type", "image_mean", "do_resize", "do_normalize", "do_rescale"):
		p, err = parseHuggingFace(keys)
	case has("scale", "mean", "resize", "crop", "channels", "interpolation", "pad"):
		d := json.NewDecoder(bytes.NewReader(b))
		d.DisallowUnknownFields()
		if err = d.Decode(&p); err != nil {
			err = fmt.Errorf("onnxprobe: %s", strings.Replace(err.Error(), "json: unknown field", "there is no key", 1))
		}
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
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(b, &keys); err != nil {
		return Preprocess{}, fmt.Errorf("timm: pretrained_cfg is not a JSON object: %w", err)
	}
	read := reasons(map[string]string{"read": "input_size interpolation crop_pct crop_mode mean std"})
	if err := strange("timm", keys, read, timmKeys); err != nil {
		return Preprocess{}, err
	}
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
		p.Resize = Resize{Mode: Exact, Size: scaled}
	case c.CropMode == "border":
		p.Resize = Resize{Mode: Fit, Size: scaled}
		for _, m := range c.Mean {
			p.Fill = append(p.Fill, int(math.RoundToEven(255*m)))
		}
	case c.CropMode != "center" && c.CropMode != "":
		return Preprocess{}, fmt.Errorf("timm: crop_mode %q is not known, want center, squash or border", c.CropMode)
	case scaled.H == scaled.W:
		p.Resize = Resize{Mode: Shorter, Size: scaled}
	default:
		p.Resize = Resize{Mode: Cover, Size: scaled}
	}
	return p, nil
}
