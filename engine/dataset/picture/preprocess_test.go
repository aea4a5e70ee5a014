package picture

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestPresetsCheckAndSurviveJSON(t *testing.T) {
	for _, p := range Presets {
		got, err := ParsePreprocess(p.Name)
		if err != nil || p.Doc == "" || got.Check() != nil {
			t.Fatalf("%s: %v, %v", p.Name, err, got.Check())
		}
		b, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "manifest.json")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if back, err := ParsePreprocess(path); err != nil || !reflect.DeepEqual(back, got) {
			t.Errorf("%s became %+v (error %v) by way of %s", p.Name, back, err, b)
		}
	}
}

func TestUnknownPresetListsThem(t *testing.T) {
	_, err := ParsePreprocess("imagnet")
	for _, p := range Presets {
		if err == nil || !strings.Contains(err.Error(), p.Name) {
			t.Errorf("error %v does not name %s", err, p.Name)
		}
	}
}

// x/255 in float32 is torchvision's; x*(1/255) in float64, rounded, Hugging
// Face's. They are the same number for every pixel, which table relies on.
func TestScaleIsDivision(t *testing.T) {
	table := Preprocess{}.table(0)
	for v, got := range table {
		if want := float32(v) / 255; got != want {
			t.Errorf("pixel %d: got %v, want %v", v, got, want)
		}
	}
}

// What torchvision 0.29's Resize(256) and CenterCrop gave for these sizes, in
// Python: int(size*long/short), int(round((h-th)/2.0)) and _center_crop_compute_padding.
func TestSizesLikeTorchvision(t *testing.T) {
	p := Preprocess{Resize: Resize{Mode: Shorter, Size: Size{256, 256}}}
	for _, c := range [][4]int{{500, 375, 341, 256}, {375, 500, 256, 341}, {256, 256, 256, 256}, {1, 1, 256, 256}, {333, 1000, 256, 768}, {640, 427, 383, 256}} {
		if w, h := p.resized(c[0], c[1]); w != c[2] || h != c[3] {
			t.Errorf("%d x %d: got %d x %d, want %d x %d", c[0], c[1], w, h, c[2], c[3])
		}
	}
	for _, c := range []struct{ in, out, round, floor int }{
		{256, 224, 16, 16}, {227, 224, 2, 1}, {225, 224, 0, 0}, {229, 224, 2, 2}, {224, 224, 0, 0}, {221, 224, -1, -2}, {220, 224, -2, -2}, {1, 4, -1, -2},
	} {
		if got := (Preprocess{}).offset(c.in, c.out); got != c.round {
			t.Errorf("crop %d of %d: offset %d, want %d", c.out, c.in, got, c.round)
		}
		if got := (Preprocess{Floor: true}).offset(c.in, c.out); got != c.floor {
			t.Errorf("crop %d of %d, rounding down: offset %d, want %d", c.out, c.in, got, c.floor)
		}
	}
}

func TestCropPads(t *testing.T) {
	p := Preprocess{Crop: Size{3, 4}, Fill: []int{9}}
	got, err := p.scene(&Picture{W: 1, H: 2, C: 1, Pix: []uint8{5, 6}}, 100)
	if want := []uint8{9, 5, 9, 9, 9, 6, 9, 9, 9, 9, 9, 9}; err != nil || !reflect.DeepEqual(got.Pix, want) {
		t.Errorf("got %v (error %v), want %v", got, err, want)
	}
}

func TestConfigs(t *testing.T) {
	imagenet := `"image_mean":[0.485,0.456,0.406],"image_std":[0.229,0.224,0.225]`
	third := 1.0 / 255
	norm := func(p Preprocess) Preprocess {
		p.Channels, p.Scale = 3, third
		if p.Mean == nil {
			p.Mean, p.Std = imagenetMean, imagenetStd
		}
		return p
	}
	for _, c := range []struct {
		name, file string
		want       Preprocess
	}{
		{"ViT", `{"image_processor_type":"ViTImageProcessor","size":{"height":224,"width":224},"do_resize":true,"resample":2,` + imagenet + `}`,
			norm(Preprocess{Resize: Resize{Mode: Exact, Size: Size{224, 224}}, Interpolation: Bilinear, Floor: true})},
		{"old ViT, bare number", `{"feature_extractor_type":"ViTFeatureExtractor","size":224,"resample":3,` + imagenet + `}`,
			norm(Preprocess{Resize: Resize{Mode: Exact, Size: Size{224, 224}}, Interpolation: Bicubic, Floor: true})},
		{"CLIP, bare numbers", `{"feature_extractor_type":"CLIPFeatureExtractor","size":224,"crop_size":200,"do_center_crop":true,"resample":3,` + imagenet + `}`,
			norm(Preprocess{Resize: Resize{Mode: Shorter, Size: Size{224, 224}}, Crop: Size{200, 200}, Interpolation: Bicubic, Floor: true})},
		{"DINOv2", `{"image_processor_type":"BitImageProcessor","size":{"shortest_edge":256},"crop_size":{"height":224,"width":224},"do_center_crop":true,"resample":3,"rescale_factor":0.00392156862745098,` + imagenet + `}`,
			norm(Preprocess{Resize: Resize{Mode: Shorter, Size: Size{256, 256}}, Crop: Size{224, 224}, Interpolation: Bicubic, Floor: true})},
		{"ConvNext below 384", `{"image_processor_type":"ConvNextImageProcessor","size":{"shortest_edge":224},"crop_pct":0.875,"resample":3,` + imagenet + `}`,
			norm(Preprocess{Resize: Resize{Mode: Shorter, Size: Size{256, 256}}, Crop: Size{224, 224}, Interpolation: Bicubic, Floor: true})},
		{"ConvNext at 384", `{"image_processor_type":"ConvNextImageProcessor","size":{"shortest_edge":384},"crop_pct":0.875,"resample":3,` + imagenet + `}`,
			norm(Preprocess{Resize: Resize{Mode: Exact, Size: Size{384, 384}}, Interpolation: Bicubic, Floor: true})},
		{"no resize, no normalisation, BGR", `{"do_resize":false,"do_normalize":false,"do_rescale":false,"size":7,"do_flip_channel_order":true}`,
			Preprocess{Channels: 3, Floor: true, Scale: 1, BGR: true}},
		{"timm", `{"architecture":"resnet50","pretrained_cfg":{"input_size":[3,224,224],"interpolation":"bicubic","crop_pct":0.95,"crop_mode":"center","mean":[0.485,0.456,0.406],"std":[0.229,0.224,0.225]}}`,
			norm(Preprocess{Resize: Resize{Mode: Shorter, Size: Size{235, 235}}, Crop: Size{224, 224}, Interpolation: Bicubic})},
		{"timm squash", `{"input_size":[3,224,224],"interpolation":"bilinear","crop_pct":1.0,"crop_mode":"squash"}`,
			norm(Preprocess{Resize: Resize{Mode: Exact, Size: Size{224, 224}}, Crop: Size{224, 224}, Interpolation: Bilinear})},
		{"timm border", `{"input_size":[3,224,224],"crop_pct":1.0,"crop_mode":"border","mean":[0.5,0.5,0.5],"std":[0.5,0.5,0.5]}`,
			norm(Preprocess{Resize: Resize{Mode: Fit, Size: Size{224, 224}}, Crop: Size{224, 224}, Interpolation: Bicubic, Fill: []int{128, 128, 128},
				Mean: []float64{.5, .5, .5}, Std: []float64{.5, .5, .5}})},
		{"timm oblong", `{"input_size":[3,224,448],"crop_pct":1.0}`,
			norm(Preprocess{Resize: Resize{Mode: Cover, Size: Size{224, 448}}, Crop: Size{224, 448}, Interpolation: Bicubic})},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseConfig([]byte(c.file))
			got.Note = ""
			c.want.Opaque = c.want.Opaque || err == nil && (strings.Contains(c.file, "do_") || strings.Contains(c.file, "_type")) // of transformers
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v (error %v)\nwant %+v", got, err, c.want)
			}
		})
	}
}

func TestConfigsRefused(t *testing.T) {
	for file, want := range map[string]string{
		``:                              "not a JSON object",
		`[1]`:                           "not a JSON object",
		`{"a":1}`:                       "neither image_mean",
		`{"do_resize":true,"size":224}`: "do_rescale, size as an object, for which each class",
		`{"do_rescale":true,"do_resize":true,"size":{"height":9,"width":9}}`:           "resample",
		`{"do_rescale":true,"do_resize":true,"resample":2,"size":{"longest_edge":5}}`:  "shortest_edge with or without",
		`{"do_rescale":true,"do_normalize":true}`:                                      "image_mean and image_std",
		`{"do_rescale":true,"do_normalize":true,"image_mean":[1,2],"image_std":[1,2]}`: "2 values",
		`{"do_rescale":true,"do_normalize":true,"image_mean":[1],"image_std":[0]}`:     "no std of 0",
		`{"pretrained_cfg":{}}`:                              "input_size []",
		`{"input_size":[3,224,224],"crop_pct":0}`:            "crop_pct 0",
		`{"input_size":[3,224,224],"crop_pct":1e-300}`:       "both edges must be",
		`{"input_size":[3,-1,224]}`:                          "both edges must be",
		`{"input_size":[3,9,9],"crop_mode":"x"}`:             "center, squash or border",
		`{"input_size":[3,9,9],"interpolation":"cubic"}`:     "bicubic, lanczos",
		`{"scale":1,"resize":{"mode":"larger","h":1,"w":1}}`: `resize mode "larger"`,
		`{"scale":1,"bgr":true}`:                             "bgr needs channels 3",
	} {
		if _, err := parseConfig([]byte(file)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want one with %q", file, err, want)
		}
	}
}

// Defaults are those of the class, under each of its names.
func TestClassDefaults(t *testing.T) {
	vit := Preprocess{Resize: Resize{Mode: Exact, Size: Size{224, 224}}, Interpolation: Bilinear, Floor: true, Channels: 3, Scale: 1.0 / 255,
		Mean: []float64{.5, .5, .5}, Std: []float64{.5, .5, .5}}
	for _, c := range []struct{ file, note string }{
		{`{"image_processor_type":"ViTImageProcessorPil"}`, ""},
		{`{"image_processor_type":"ViTImageProcessor","do_resize":true,"crop_pct":null}`, "write ViTImageProcessorFast"},
		{`{"feature_extractor_type":"ViTFeatureExtractor","keep_aspect_ratio":false,"size":224}`, "write ViTImageProcessorFast"},
		{`{"image_processor":{"image_processor_type":"ViTImageProcessorPil"},"video_processor":{"size":1},"processor_class":"X"}`, ""},
		{`{"image_processor_type":"OwnImageProcessor","do_resize":true,"do_rescale":true,"do_normalize":true,"rescale_factor":0.00392156862745098,
			"size":{"height":224,"width":224},"resample":2,"image_mean":[0.5,0.5,0.5],"image_std":[0.5,0.5,0.5]}`, "OwnImageProcessor is no class"},
		{`{"image_processor_type":"SegGptImageProcessorPil","do_center_crop":true,"size":224,"resample":2,"image_mean":[0.5,0.5,0.5],
			"image_std":[0.5,0.5,0.5]}`, "do_center_crop: of no effect in SegGptImageProcessorPil"},
		{`{"image_processor_type":"ViTImageProcessorPil","size_divisor":32,"do_thumbnail":true,"do_reduce_labels":true,"clusters":[1]}`,
			"clusters, do_thumbnail, size_divisor: of no effect in ViTImageProcessorPil"},
	} {
		got, err := parseConfig([]byte(c.file))
		note := got.Note
		vit.Opaque = true
		if got.Note = ""; err != nil || !reflect.DeepEqual(got, vit) || (note == "") != (c.note == "") || !strings.Contains(note, c.note) {
			t.Errorf("%s: got %+v with note %q (error %v)", c.file, got, note, err)
		}
	}
	fast, err := parseConfig([]byte(`{"image_processor_type":"ViTImageProcessorFast"}`))
	if want := Filter("torchvision-bilinear"); err != nil || fast.Interpolation != want || fast.Note != "" || !fast.Cut {
		t.Errorf("ViTImageProcessorFast is %+v (error %v), want %s and no note", fast, err, want)
	}
	detr, err := parseConfig([]byte(`{"feature_extractor_type":"DetrFeatureExtractor","max_size":1300,"size":800,"format":"coco_detection"}`))
	if want := (Resize{Mode: Shorter, Size: Size{800, 800}, Most: 1300}); err != nil || detr.Resize != want {
		t.Errorf("DetrFeatureExtractor resizes to %+v (error %v), want %+v", detr.Resize, err, want)
	}
}

// Every class is read, or refused with a reason; every plan and key is of a class.
func TestClassesAreKnown(t *testing.T) {
	keys := map[string]bool{"max_size": true, "metadata": true, "task_seq_length": true, "max_seq_length": true}
	for name, c := range processors() {
		if (c.Refused == "") == (len(c.Backends) == 0) {
			t.Errorf("%s is neither read nor refused: %+v", name, c)
		}
		for _, k := range c.Keys {
			keys[k] = true
			if !slices.Contains(ownKeys, k) && idleKeys[k]+besideKeys[k]+stepKeys[k] == "" {
				t.Errorf("%s: key %s is in no list", name, k)
			}
		}
		for k := range c.Defaults {
			if !slices.Contains(slices.Concat(usualKeys, ownKeys), k) && idleKeys[k]+besideKeys[k]+stepKeys[k] == "" {
				t.Errorf("%s: default %s is in no list", name, k)
			}
		}
	}
	for name := range plans {
		if c, ok := processors()[name]; !ok || c.Refused != "" {
			t.Errorf("the plan of %s is of no class that is read", name)
		}
	}
	for _, k := range ownKeys {
		if !keys[k] {
			t.Errorf("no class has the key %s", k)
		}
	}
	for k := range besideKeys {
		if !keys[k] {
			t.Errorf("no class has the key %s", k)
		}
	}
}

func TestOverrides(t *testing.T) {
	p, _ := ParsePreprocess("imagenet")
	got, err := p.With(Overrides{Resize: "300x400", Crop: "288", Interpolation: "Bicubic", Mean: []float64{0.5}, Std: []float64{0.25}, Scale: 1})
	want := p
	want.Resize, want.Crop, want.Interpolation = Resize{Mode: Exact, Size: Size{300, 400}}, Size{288, 288}, Bicubic
	want.Mean, want.Std, want.Scale = []float64{0.5}, []float64{0.25}, 1
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v (error %v), want %+v", got, err, want)
	}
	got, err = p.With(Overrides{Resize: "240", Crop: "none"})
	if err != nil || got.Resize != (Resize{Mode: Shorter, Size: Size{240, 240}}) || got.Crop != (Size{}) {
		t.Errorf("got %+v (error %v)", got, err)
	}
	for _, o := range []Overrides{{Resize: "x"}, {Resize: "0"}, {Crop: "-5"}, {Crop: "1x2x3"}, {Resize: "9999999999"}, {Interpolation: "area"},
		{Mean: []float64{1, 2, 3, 4}}, {Mean: []float64{1}}, {Resize: "32x32"}} {
		if got, err := p.With(o); err == nil {
			t.Errorf("%+v was accepted: %+v", o, got)
		}
	}
}

func TestShapeFor(t *testing.T) {
	for _, c := range []struct {
		sample, input []int
		want          string // part of the error; "" for none
	}{
		{[]int{3, 224, 224}, []int{3, 224, 224}, ""},
		{[]int{3, 224, 224}, []int{3, -1, -1}, ""},
		{[]int{1, 28, 28}, []int{784}, ""},
		{[]int{1, 28, 28}, []int{28, 28}, ""},
		{[]int{5}, []int{1, 1, 5}, ""},
		{[]int{3, 32, 32}, []int{3, 224, 224}, "resize to 224x224 without a crop, or"},
		{[]int{3, 28, 28}, []int{1, 28, 28}, "mnist"},
		{[]int{784}, []int{1, 28, 28}, "the model takes [1 28 28]"},
		{[]int{2, 3}, []int{3, 2}, "model's shape"},
	} {
		_, err := ShapeFor(c.sample, c.input)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v for a model of %v: got error %v, want %q", c.sample, c.input, err, c.want)
		}
	}
}

func FuzzPreprocess(f *testing.F) {
	f.Add([]byte(`{"image_processor_type":"ConvNextImageProcessor","size":{"shortest_edge":224},"crop_pct":0.875,"resample":3}`), 7, 5)
	f.Add([]byte(`{"input_size":[3,24,24],"crop_pct":0.5,"crop_mode":"border"}`), 1, 9)
	f.Add([]byte(`{"image_processor_type":"DPTImageProcessorFast","size":{"height":9,"width":8},"keep_aspect_ratio":true,"size_divisor":4,"do_pad":true}`), 7, 5)
	f.Add([]byte(`{"image_processor_type":"DetrFeatureExtractor","size":9,"max_size":12,"resample":1,"pad_size":{"height":20,"width":20}}`), 3, 9)
	f.Add([]byte(`{"image_processor_type":"DINOv3ViTImageProcessor","size":[9,5],"do_center_crop":true,"crop_size":7}`), 3, 9)
	f.Add([]byte(`{"image_processor_type":"Emu3ImageProcessor","min_pixels":9,"max_pixels":70,"spatial_factor":3}`), 9, 2)
	f.Add([]byte(`{"scale":1,"interpolation":"torchvision-lanczos","resize":{"mode":"yolos","h":9,"w":9,"most":12,"multiple":4},"pad":{"mode":"mirror","multiple":5}}`), 4, 4)
	f.Add([]byte(`{"scale":1,"resize":{"mode":"cover","h":3,"w":4},"crop":{"h":2,"w":2}}`), 4, 4)
	f.Fuzz(func(t *testing.T, b []byte, w, h int) {
		p, err := parseConfig(b)
		if err != nil {
			return
		}
		if _, err := json.Marshal(p); err != nil {
			t.Fatalf("%+v does not marshal: %v", p, err)
		}
		w, h = w&15+1, h&15+1
		if g, err := p.Geometry(w, h); err == nil {
			if outW, outH := p.OutputSize(w, h); g.Input != (Size{outH, outW}) {
				t.Fatalf("%+v of %d x %d: the geometry has %s, the sample %dx%d", p, w, h, g.Input, outH, outW)
			}
		}
		o := RenderOptions{Preprocess: &p, MaxPixels: 1 << 12}
		r, err := NewRenderer(o, 3, func() (int, int, error) { return w, h, nil })
		if err == nil {
			_ = r.Render(New(w, h, 3), make([]float32, r.C*r.H*r.W))
		}
	})
}

// What transformers lays on white, or fails over, is an error with a file of it, and null is
// what it is there.
func TestTransparentPictures(t *testing.T) {
	vit, err := parseConfig([]byte(`{"image_processor_type":"ViTImageProcessorPil"}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, clear := range map[string]bool{"rgb.png": false, "rgba.png": true, "la.png": true, "palette_transparent.png": true, "transparent.gif": true,
		"lossless_alpha.webp": true, "lossless.webp": false, "rgb.bmp": false, "raw.tiff": false, "gray16.png": false, "animated.gif": false} {
		p := decodeFile(t, filepath.Join(pillow, name))
		if p.Transparent != clear || p.Upright(3).Transparent != clear {
			t.Errorf("%s: transparent %v", name, p.Transparent)
		}
		for _, pre := range []Preprocess{vit, {}} {
			r := &Renderer{Pre: pre}
			if err := r.Check(p); (err != nil) != (clear && pre.Opaque) || err != nil && !strings.Contains(err.Error(), "flatten") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	got, err := parseConfig([]byte(`{"image_processor_type":"ViTImageProcessorPil","do_normalize":null,"do_center_crop":null}`))
	if vit.Mean, vit.Std = nil, nil; err != nil || !reflect.DeepEqual(got, vit) {
		t.Errorf("null is %+v, %v", got, err)
	}
	for _, key := range []string{`"image_mean":null`, `"size":null`, `"resample":null`, `"rescale_factor":null`, `"rescale_factor":0`, `"rescale_factor":0.0`} {
		name, _, _ := strings.Cut(strings.Trim(key, `"`), `"`)
		if _, err := parseConfig([]byte(`{"image_processor_type":"ViTImageProcessorPil",` + key + `}`)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", key, err)
		}
	}
}
