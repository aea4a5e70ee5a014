package picture

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/onnx"
)

// edges is a size in a Hugging Face file: a number, a list of height and width, or an object.
type edges struct {
	number               int
	Height, Width        int
	Shortest, Longest    int
	MaxHeight, MaxWidth  int
	MinPixels, MaxPixels int
}

func (e *edges) UnmarshalJSON(b []byte) error {
	var list []int
	if json.Unmarshal(b, &e.number) == nil {
		return nil
	}
	if json.Unmarshal(b, &list) == nil {
		if len(list) != 2 {
			return fmt.Errorf("%s: want [height, width]", b)
		}
		e.Height, e.Width = list[0], list[1]
		return nil
	}
	var fields map[string]*int
	if err := json.Unmarshal(b, &fields); err != nil {
		return fmt.Errorf("%s: want a number of pixels, [height, width] or an object of such", b)
	}
	into := map[string]*int{"height": &e.Height, "width": &e.Width, "shortest_edge": &e.Shortest, "longest_edge": &e.Longest,
		"max_height": &e.MaxHeight, "max_width": &e.MaxWidth, "min_pixels": &e.MinPixels, "max_pixels": &e.MaxPixels}
	var names []string
	for name, v := range fields {
		switch {
		case into[name] == nil:
			return fmt.Errorf("%s: the key %s of a size is not known", b, name)
		case v != nil:
			*into[name] = *v
			names = append(names, name)
		}
	}
	slices.Sort(names)
	switch got := strings.Join(names, " "); got {
	case "height width", "shortest_edge", "longest_edge shortest_edge", "longest_edge", "max_height max_width", "max_pixels min_pixels":
		return nil
	default:
		return fmt.Errorf("%s: want height and width, shortest_edge, longest_edge or both, or max_height and max_width", b)
	}
}

// settle turns a bare number into a square, or the shorter edge.
func (e *edges) settle(square bool) {
	switch {
	case e.number == 0:
	case square:
		e.Height, e.Width = e.number, e.number
	default:
		e.Shortest = e.number
	}
}

// exact is a size that has height and width.
func (e edges) exact(name string) (Size, error) {
	s := Size{e.Height, e.Width}
	if !s.sane() {
		return s, fmt.Errorf("%s must be a number or have height and width, 1 to %d", name, maxEdge)
	}
	return s, nil
}

// resize is what transformers makes of a size.
func (e edges) resize() (Resize, error) {
	square := Size{e.Shortest, e.Shortest}
	switch {
	case e.Shortest != 0:
		return Resize{Mode: Shorter, Size: square, Most: e.Longest}, nil
	case e.MaxHeight != 0 && e.MaxWidth != 0:
		return Resize{Mode: Within, Size: Size{e.MaxHeight, e.MaxWidth}}, nil
	case e.Height != 0 && e.Width != 0:
		return Resize{Mode: Exact, Size: Size{e.Height, e.Width}}, nil
	}
	return Resize{}, errors.New("size must be a number, or have height and width, shortest_edge with or without longest_edge, or " +
		"max_height and max_width")
}

// channels is a number for all channels, or one for each.
type channels []float64

func (c *channels) UnmarshalJSON(b []byte) error {
	var one float64
	if json.Unmarshal(b, &one) == nil {
		*c = channels{one}
		return nil
	}
	return json.Unmarshal(b, (*[]float64)(c))
}

// settings is what a Hugging Face file and the defaults of its class say; what neither says
// is 0, which Python takes for false.
type settings struct {
	DoResize      bool     `json:"do_resize"`
	Size          edges    `json:"size"`
	Resample      *int     `json:"resample"`
	Square        *bool    `json:"default_to_square"`
	DoCenterCrop  bool     `json:"do_center_crop"`
	CropSize      edges    `json:"crop_size"`
	DoRescale     bool     `json:"do_rescale"`
	RescaleFactor float64  `json:"rescale_factor"`
	DoNormalize   bool     `json:"do_normalize"`
	Mean          channels `json:"image_mean"`
	Std           channels `json:"image_std"`
	DoPad         bool     `json:"do_pad"`
	PadSize       edges    `json:"pad_size"`

	BGR           bool    `json:"do_flip_channel_order"`
	CropPct       float64 `json:"crop_pct"`
	MultipleOf    int     `json:"ensure_multiple_of"`
	KeepAspect    bool    `json:"keep_aspect_ratio"`
	ImageSize     int     `json:"image_size"`
	IncludeTop    bool    `json:"include_top"`
	Offset        bool    `json:"rescale_offset"`
	Divisor       int     `json:"size_divisor"`
	MinSize       int     `json:"min_size"`
	MaxSize       int     `json:"max_size"`
	MaxImageSize  int     `json:"max_image_size"`
	MinImageSize  int     `json:"min_image_size"`
	PatchSize     edges   `json:"patch_size"`
	MinPixels     int     `json:"min_pixels"`
	MaxPixels     int     `json:"max_pixels"`
	SpatialFactor int     `json:"spatial_factor"`
}

// resamplings are PIL's numbers.
var resamplings = []Filter{Nearest, Lanczos, Bilinear, Bicubic, Box, Hamming}

// parseHuggingFace follows the image processors of transformers: their PIL backend, unless
// the class has none, or its name ends in Fast.
func parseHuggingFace(file map[string]json.RawMessage) (Preprocess, error) {
	var name string
	for _, key := range []string{"feature_extractor_type", "image_processor_type"} {
		if on(file[key]) {
			if err := json.Unmarshal(file[key], &name); err != nil {
				return Preprocess{}, fmt.Errorf("%s: %w", key, err)
			}
		}
	}
	class, asked, ok := processorOf(name)
	if class.Refused != "" {
		return Preprocess{}, fmt.Errorf("Hugging Face: %s is not read: %s; preprocess in Python and pass an .npy array", name, class.Refused)
	}
	var err error
	if !ok {
		class = processor{Name: name, Backends: []string{"pil"}, Square: true, Keys: []string{"do_flip_channel_order"}}
		err = needed(name, file)
	}
	values, empty := over(class.Defaults, file)
	if v, ok := file["rescale_factor"]; ok && !isNull(v) && !on(v) {
		empty = errors.Join(empty, errors.New("Hugging Face: rescale_factor is 0, which leaves nothing of a picture"))
	}
	idle, checked := class.check(name, file, values)
	if err := errors.Join(err, empty, checked); err != nil {
		return Preprocess{}, err
	}
	backend := "pil"
	if asked == "Fast" || !slices.Contains(class.Backends, backend) {
		backend = "torchvision"
	}
	if !slices.Contains(class.Backends, backend) || asked == "Pil" && backend != "pil" {
		return Preprocess{}, fmt.Errorf("Hugging Face: %s is not known; transformers has %sImageProcessor with %s alone", name, class.Name, class.Backends[0])
	}
	var s settings
	for _, k := range slices.Sorted(maps.Keys(values)) {
		one, err := json.Marshal(map[string]json.RawMessage{k: values[k]})
		if err == nil {
			err = json.Unmarshal(one, &s)
		}
		if err != nil {
			return Preprocess{}, fmt.Errorf("Hugging Face: %s: %w", k, err)
		}
	}
	idle = append(idle, s.ignore(class.Ignores[backend], file)...)
	p, err := s.preprocess(class, backend)
	if err != nil {
		return p, fmt.Errorf("Hugging Face: %w", err)
	}
	var notes []string
	if len(idle) > 0 {
		notes = append(notes, fmt.Sprintf("%s: of no effect in %s", strings.Join(idle, ", "), name))
	}
	switch {
	case !ok && name != "":
		notes = append(notes, name+" is no class of transformers, and is taken to resize, crop, scale and normalize as most do")
	case asked == "" && len(class.Backends) > 1 && p.Resize.Mode != "":
		notes = append(notes, fmt.Sprintf("pixels are those of %[1]sImageProcessorPil; torchvision's, which transformers 5 prefers, are 1 or 2 "+
			"of 255 away, more beside sharp edges: write %[1]sImageProcessorFast in the file for those", class.Name))
	}
	p.Note = strings.Join(notes, "; ")
	return p, nil
}

// needed reports what a file must say when its class is not known.
func needed(name string, file map[string]json.RawMessage) error {
	var missing []string
	for flag, param := range map[string]string{"do_resize": "size", "do_center_crop": "crop_size", "do_rescale": "", "do_normalize": "image_mean"} {
		if _, given := file[flag]; !given && (param == "" || on(file[param])) {
			missing = append(missing, flag)
		}
	}
	var number int
	if on(file["do_resize"]) && json.Unmarshal(file["size"], &number) == nil {
		missing = append(missing, "size as an object")
	}
	if missing == nil {
		return nil
	}
	slices.Sort(missing)
	what := "names no image_processor_type"
	if name != "" {
		what = fmt.Sprintf("is of %q, which transformers does not have", name)
	}
	return fmt.Errorf("Hugging Face: the file %s, and lacks %s, for which each class has its own default; add them, or the class",
		what, strings.Join(missing, ", "))
}

// check refuses keys that nobody knows, steps that are not built, and, where the class is not
// known, keys of some classes alone. It drops from values the keys that other classes have
// and names them.
func (c processor) check(name string, file, values map[string]json.RawMessage) (idle []string, err error) {
	all := map[string]string{}
	for _, k := range slices.Concat(usualKeys, ownKeys) {
		all[k] = "read"
	}
	var alias map[string]string
	if c.Name == "OwlViT" {
		alias = map[string]string{"rescale": "do_rescale"}
	}
	if slices.Contains(c.Keys, "format") { // of DETR and its kin
		alias = map[string]string{"pad_and_return_pixel_mask": "do_pad"}
	}
	for from, to := range alias {
		if v, given := file[from]; given {
			values[to], all[from] = v, "read"
			delete(values, from)
		}
	}
	errs := []error{strange("Hugging Face", file, all, idleKeys, besideKeys, stepKeys)}
	for _, k := range slices.Sorted(maps.Keys(values)) {
		why, own := stepKeys[k], slices.Contains(c.own(), k)
		switch of := why != "" || besideKeys[k] != "" || slices.Contains(ownKeys, k); {
		case !of || !on(values[k]):
		case !own && c.Defaults != nil:
			idle = append(idle, k)
			delete(values, k)
		case !own && name == "":
			errs = append(errs, fmt.Errorf("Hugging Face: key %s is of some classes alone, and the file names no image_processor_type", k))
		case !own:
			errs = append(errs, fmt.Errorf("Hugging Face: key %s is of some classes alone, and %s is no class of transformers", k, name))
		case why != "":
			err := fmt.Errorf("Hugging Face: %s is not supported: %s; preprocess in Python and pass an .npy array", k, why)
			if k == "crop_to_patches" && c.Name == "GotOcr2" { // InternVL's own
				err = onnx.Remedy(fmt.Errorf("%w, or cut the tiles of pictures that are preprocessed without it", err), "dataset.Tiling.Max")
			}
			errs = append(errs, err)
		}
	}
	return idle, errors.Join(errs...)
}

// own is the keys beyond the usual that are read in files of a class.
func (c processor) own() []string {
	if slices.Contains([]string{"ConditionalDetr", "DeformableDetr", "Detr", "GroundingDino", "MaskFormer", "Mask2Former", "Yolos"}, c.Name) {
		return append(slices.Clone(c.Keys), "max_size")
	}
	if c.Name == "OneFormer" {
		return append(slices.Clone(c.Keys), "metadata", "task_seq_length", "max_seq_length")
	}
	return c.Keys
}

// ignore turns off the flags that a class passes over, and names those that the file has on.
func (s *settings) ignore(flags []string, file map[string]json.RawMessage) (idle []string) {
	for _, f := range flags {
		switch f {
		case "do_resize":
			s.DoResize = false
		case "do_center_crop":
			s.DoCenterCrop = false
		case "do_rescale":
			s.DoRescale = false
		case "do_normalize":
			s.DoNormalize = false
		case "do_pad":
			s.DoPad = false
		}
		if on(file[f]) && (f != "do_pad" || on(file["pad_size"])) { // without a size it is to the largest of a batch
			idle = append(idle, f)
		}
	}
	return idle
}

// preprocess is what a class makes of settings.
func (s *settings) preprocess(c processor, backend string) (Preprocess, error) {
	torch := backend == "torchvision"
	p := Preprocess{Floor: !torch, Cut: torch, Channels: 3, BGR: s.BGR, Scale: 1, Opaque: true}
	square := c.Square
	if s.Square != nil {
		square = *s.Square
	}
	s.Size.settle(square)
	s.CropSize.settle(true)
	s.PadSize.settle(true)
	s.PatchSize.settle(true)
	if s.DoRescale {
		p.Scale = s.RescaleFactor
	}
	if s.DoNormalize {
		if len(s.Mean) == 0 || len(s.Std) == 0 {
			return p, errors.New("do_normalize needs image_mean and image_std")
		}
		p.Mean, p.Std = s.Mean, s.Std
	}
	plan := plans[c.Name]
	if plan == nil {
		plan = (*settings).standard
	}
	if err := plan(s, &p); err != nil {
		return p, err
	}
	if p.Crop != (Size{}) && p.Pad != (Pad{}) {
		return p, errors.New("do_pad after do_center_crop is not supported: what is cut off and what is added would lie in one place")
	}
	if p.Resize.Mode != "" {
		if s.Resample == nil || *s.Resample < 0 || *s.Resample >= len(resamplings) {
			return p, errors.New("do_resize needs resample, a number 0 to 5 (2 is bilinear, 3 bicubic)")
		}
		switch p.Interpolation = resamplings[*s.Resample]; {
		case c.Name == "DINOv3ViT" && s.DoRescale && p.Interpolation != Nearest:
			p.Interpolation = float + p.Interpolation
		case torch:
			p.Interpolation = torchvision + p.Interpolation
		}
		if err := p.Interpolation.check(); err != nil {
			return p, fmt.Errorf("resample %d: %w", *s.Resample, err)
		}
	}
	return p, nil
}

// standard resizes, crops, and pads at the end.
func (s *settings) standard(p *Preprocess) (err error) {
	if s.DoResize {
		if p.Resize, err = s.Size.resize(); err != nil {
			return err
		}
	}
	return s.finish(p)
}

// finish crops, and pads at the end.
func (s *settings) finish(p *Preprocess) (err error) {
	if s.DoCenterCrop {
		if p.Crop, err = s.CropSize.exact("crop_size"); err != nil {
			return err
		}
	}
	if s.DoPad && s.PadSize != (edges{}) {
		p.Pad.Mode = PadZero
		p.Pad.Size, err = s.PadSize.exact("pad_size")
	}
	return err
}

// shortest is the shorter edge of a class that takes nothing else.
func (s *settings) shortest() (Size, error) {
	if s.Size.Shortest == 0 {
		return Size{}, errors.New("size must be the shortest_edge")
	}
	return Size{s.Size.Shortest, s.Size.Shortest}, nil
}

// plans are the classes that do not resize, crop and pad as most do.
var plans = map[string]func(s *settings, p *Preprocess) error{
	"Aria": func(s *settings, p *Preprocess) error {
		square := Size{s.MaxImageSize, s.MaxImageSize}
		if square.H != 490 && square.H != 980 {
			return fmt.Errorf("max_image_size %d: want 490 or 980", square.H)
		}
		p.Resize = Resize{Mode: aria, Size: square, Least: s.MinImageSize}
		p.Pad = Pad{Mode: PadBlack, Size: square}
		return nil
	},
	"BridgeTower":         (*settings).vilt,
	"CHMv2":               (*settings).dpt,
	"ConvNext":            (*settings).convNext,
	"DPT":                 (*settings).dpt,
	"DeepseekVL":          (*settings).janus,
	"Donut":               (*settings).donut,
	"EfficientNet":        (*settings).efficientNet,
	"Emu3":                (*settings).emu3,
	"Apertus1p5":          (*settings).emu3,
	"Eomt":                (*settings).eomt,
	"GLPN":                (*settings).glpn,
	"Idefics":             (*settings).idefics,
	"Janus":               (*settings).janus,
	"LayoutLMv2":          (*settings).layoutLMv2,
	"Levit":               (*settings).levit,
	"Llava":               (*settings).llava,
	"Mask2Former":         (*settings).maskFormer,
	"MaskFormer":          (*settings).maskFormer,
	"Nougat":              (*settings).donut,
	"ConditionalDetr":     (*settings).detr,
	"DeformableDetr":      (*settings).detr,
	"Detr":                (*settings).detr,
	"GroundingDino":       (*settings).detr,
	"Perceiver":           (*settings).perceiver,
	"Pixtral":             (*settings).pixtral,
	"PoolFormer":          (*settings).poolFormer,
	"PromptDepthAnything": (*settings).dpt,
	"Sam":                 (*settings).sam,
	"Sapiens2":            (*settings).sapiens2,
	"Swin2SR":             (*settings).swin2SR,
	"TextNet":             (*settings).textNet,
	"Vilt":                (*settings).vilt,
	"Yolos":               (*settings).yolos,
}

func (s *settings) convNext(p *Preprocess) error {
	if !s.DoResize {
		return s.finish(p)
	}
	size, err := s.shortest()
	if err != nil {
		return err
	}
	p.Resize = Resize{Mode: Exact, Size: size} // large pictures are squashed
	if size.H < 384 {
		if p.Resize, err = s.enlarged(size); err != nil {
			return err
		}
		if s.DoCenterCrop && s.CropSize.number != size.H && (s.CropSize.Height != size.H || s.CropSize.Width != size.W) {
			return errors.New("do_center_crop crops a second time, which is not built")
		}
		p.Crop, s.DoCenterCrop = size, false
	}
	return s.finish(p)
}

// enlarged resizes the shorter edge to what a crop of crop_pct makes size.
func (s *settings) enlarged(size Size) (Resize, error) {
	if !(s.CropPct > 0) || s.CropPct > 100 {
		return Resize{}, fmt.Errorf("crop_pct %v: want more than 0", s.CropPct)
	}
	edge := int(min(float64(size.H)/s.CropPct, maxEdge+1))
	return Resize{Mode: Shorter, Size: Size{edge, edge}}, nil
}

func (s *settings) detr(p *Preprocess) error {
	if s.Size.number != 0 && s.Size.Shortest != 0 {
		if s.Size.Longest = 1333; s.MaxSize != 0 {
			s.Size.Longest = s.MaxSize
		}
	}
	if s.DoResize && s.Size.Shortest != 0 && s.Size.Longest == 0 {
		return errors.New("size.shortest_edge needs size.longest_edge in this class")
	}
	return s.standard(p)
}

func (s *settings) donut(p *Preprocess) error {
	size, err := s.Size.exact("size")
	if err != nil {
		return err
	}
	if edge := min(size.H, size.W); s.DoResize {
		p.Resize = Resize{Mode: Shorter, Size: Size{edge, edge}}
	}
	if s.DoPad {
		return errors.New("do_pad is not supported without do_thumbnail")
	}
	s.PadSize = edges{}
	return s.finish(p)
}

func (s *settings) dpt(p *Preprocess) error {
	if s.DoResize {
		size, err := s.Size.exact("size")
		if err != nil {
			return err
		}
		if p.Resize = (Resize{Mode: Exact, Size: size}); s.KeepAspect || s.MultipleOf > 1 {
			p.Resize.Mode, p.Resize.Multiple = dptFree, max(s.MultipleOf, 1)
		}
		if s.KeepAspect {
			p.Resize.Mode = dpt
		}
	}
	pads := s.DoPad && s.Divisor > 0
	s.DoPad = false
	err := s.finish(p)
	if pads {
		p.Pad = Pad{Mode: PadZero, Multiple: s.Divisor, Center: true}
	}
	return err
}

// efficientNet takes 1 off after scaling, and divides by std once more.
func (s *settings) efficientNet(p *Preprocess) error {
	if s.IncludeTop && len(s.Std) == 0 {
		return errors.New("include_top needs image_std")
	}
	minus := 0.0
	if s.Offset && s.DoRescale {
		minus = 1
	}
	if p.Mean == nil && (minus != 0 || s.IncludeTop) {
		p.Mean, p.Std = channels{0}, channels{1}
	}
	n := max(len(p.Std), len(s.Std))
	mean, std := slices.Repeat([]float64{minus}, n), slices.Repeat([]float64{1}, n)
	for i := range n {
		if len(p.Mean) > 0 {
			mean[i] += p.Mean[i%len(p.Mean)]
			std[i] *= p.Std[i%len(p.Std)]
		}
		if s.IncludeTop {
			std[i] *= s.Std[i%len(s.Std)]
		}
	}
	if p.Mean != nil {
		p.Mean, p.Std = mean, std
	}
	return s.standard(p)
}

func (s *settings) emu3(p *Preprocess) error {
	least, most := s.Size.MinPixels, s.Size.MaxPixels
	if s.MinPixels != 0 {
		least = s.MinPixels
	}
	if s.MaxPixels != 0 {
		most = s.MaxPixels
	}
	if s.DoResize {
		p.Resize = Resize{Mode: emu3, Least: least, Most: most, Multiple: s.SpatialFactor}
	}
	s.DoPad = false // to the largest of a batch
	return s.finish(p)
}

func (s *settings) eomt(p *Preprocess) (err error) {
	if s.DoPad {
		if s.Size.Longest != s.Size.Shortest {
			return errors.New("do_pad needs size.longest_edge to be size.shortest_edge: else some pictures are larger than what they are padded to")
		}
		p.Pad = Pad{Mode: PadBlack, Size: Size{s.Size.Shortest, s.Size.Longest}}
	}
	s.DoPad = false
	return s.standard(p)
}

func (s *settings) glpn(p *Preprocess) error {
	if s.DoResize {
		p.Resize = Resize{Mode: glpn, Multiple: s.Divisor}
	}
	return s.finish(p)
}

func (s *settings) idefics(p *Preprocess) error {
	if s.ImageSize != 0 {
		s.Size = edges{Height: s.ImageSize, Width: s.ImageSize}
	}
	return s.standard(p)
}

// janus puts the picture on a square of its mean color.
func (s *settings) janus(p *Preprocess) error {
	size, err := s.Size.exact("size")
	if err != nil || size.H != size.W {
		return fmt.Errorf("size %s: want a square", size)
	}
	if s.DoResize {
		p.Resize = Resize{Mode: janus, Size: size, Least: s.MinSize}
	}
	if s.DoPad {
		if !s.DoResize {
			return errors.New("do_pad is not supported without do_resize")
		}
		edge := max(size.H, s.MinSize)
		p.Floor, p.Cut, p.Crop = false, true, Size{edge, edge}
		for _, m := range s.Mean {
			p.Fill = append(p.Fill, int(m*255))
		}
	}
	s.DoPad = false
	return s.finish(p)
}

func (s *settings) layoutLMv2(p *Preprocess) error {
	p.BGR, p.Scale = true, 1
	return s.standard(p)
}

func (s *settings) levit(p *Preprocess) error {
	if s.DoResize && s.Size.Shortest != 0 {
		s.Size.Shortest, s.Size.Longest = int(256.0/224*float64(min(s.Size.Shortest, maxEdge))), 0
	}
	return s.standard(p)
}

func (s *settings) llava(p *Preprocess) error {
	if s.DoPad {
		return errors.New("do_pad is not supported: the picture is padded to a square before it is resized")
	}
	return s.standard(p)
}

func (s *settings) maskFormer(p *Preprocess) error {
	if s.Size.number != 0 && s.Size.Shortest != 0 {
		s.Size.Longest = s.MaxSize
	}
	if s.DoResize && s.Size.Shortest != 0 && s.Size.Longest == 0 {
		return errors.New("size.shortest_edge needs size.longest_edge in this class")
	}
	s.DoPad = s.PadSize != (edges{})
	if err := s.standard(p); err != nil {
		return err
	}
	if p.Resize.Mode != "" && s.Divisor > 0 {
		p.Resize.Multiple = s.Divisor
		if p.Resize.Mode == Exact {
			up := func(v int) int { return (v + s.Divisor - 1) / s.Divisor * s.Divisor }
			p.Resize = Resize{Mode: Exact, Size: Size{up(p.Resize.H), up(p.Resize.W)}}
		}
	}
	return nil
}

func (s *settings) perceiver(p *Preprocess) error {
	if s.DoCenterCrop {
		return errors.New("do_center_crop is not supported: this class crops before it resizes")
	}
	return s.standard(p)
}

func (s *settings) pixtral(p *Preprocess) (err error) {
	if s.DoResize {
		size := Size{s.Size.Longest, s.Size.Longest}
		if s.Size.Longest == 0 {
			if size, err = s.Size.exact("size"); err != nil {
				return err
			}
		}
		patch, err := s.PatchSize.exact("patch_size")
		if err != nil || patch.H != patch.W {
			return fmt.Errorf("patch_size %s: want a square", patch)
		}
		p.Resize = Resize{Mode: pixtral, Size: size, Multiple: patch.H}
	}
	s.DoPad = false // to the largest of a batch
	return s.finish(p)
}

func (s *settings) poolFormer(p *Preprocess) (err error) {
	if !s.DoResize || s.CropPct == 0 {
		return s.standard(p)
	}
	size := Size{s.Size.Shortest, s.Size.Shortest}
	if size.H == 0 {
		if size, err = s.Size.exact("size"); err != nil {
			return err
		}
	}
	if p.Resize, err = s.enlarged(size); err != nil {
		return err
	}
	if size.H != size.W {
		p.Resize.Mode, p.Resize.W = Exact, int(min(float64(size.W)/s.CropPct, maxEdge+1))
	}
	return s.finish(p)
}

func (s *settings) sam(p *Preprocess) error {
	if s.DoResize {
		if s.Size.Longest == 0 {
			return errors.New("size must have the longest_edge")
		}
		p.Resize = Resize{Mode: sam, Size: Size{s.Size.Longest, s.Size.Longest}}
	}
	return s.finish(p)
}

func (s *settings) sapiens2(p *Preprocess) error {
	pads := s.DoPad
	if s.DoPad = false; !pads || !s.DoResize {
		return s.standard(p)
	}
	size, err := s.Size.exact("size")
	if err != nil || s.DoCenterCrop {
		return errors.Join(err, errors.New("do_pad needs size with height and width, and no do_center_crop"))
	}
	p.Resize, p.Crop = Resize{Mode: Within, Size: size}, size
	return nil
}

func (s *settings) swin2SR(p *Preprocess) error {
	if s.DoPad {
		p.Pad = Pad{Mode: PadMirror, Multiple: s.Divisor}
	}
	return nil
}

func (s *settings) textNet(p *Preprocess) error {
	if s.DoResize {
		size, err := s.shortest()
		if err != nil {
			return err
		}
		p.Resize = Resize{Mode: Shorter, Size: size, Multiple: s.Divisor}
	}
	return s.finish(p)
}

func (s *settings) vilt(p *Preprocess) error {
	if s.DoResize {
		size, err := s.shortest()
		if err != nil {
			return err
		}
		p.Resize = Resize{Mode: vilt, Size: size, Multiple: s.Divisor}
	}
	s.DoPad = false // to the largest of a batch
	if s.CropSize.Shortest != 0 {
		s.CropSize = edges{Height: s.CropSize.Shortest, Width: s.CropSize.Shortest}
	}
	return s.finish(p)
}

func (s *settings) yolos(p *Preprocess) error {
	if err := s.detr(p); err != nil {
		return err
	}
	if p.Resize.Mode == Shorter {
		p.Resize.Mode, p.Resize.Multiple = yolos, 16
	}
	return nil
}
