package job

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/internal/store"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// Layout is the version of what a job writes. Another one makes other fingerprints.
const Layout = 1

// Settings are all that decides the bytes of a job's output, besides its inputs:
// what its fingerprint is made of. What engine runs it, when, and on how many
// machines is not among them, unless Strict is.
type Settings struct {
	Layout int `json:"layout"`
	// Model is the SHA-256 of the model and of its external data, sorted.
	Model     []string `json:"model"`
	Precision string   `json:"precision,omitempty"` // as asked for
	Sample    []int    `json:"sample"`
	Batch     int      `json:"batch"`
	// Globs, MaxPool and Gemm are site.Options; Sites is what they choose,
	// NAME:UNITS:PLANES.
	Globs   []string `json:"site_globs,omitempty"`
	MaxPool bool     `json:"include_maxpool,omitempty"`
	Gemm    bool     `json:"include_gemm,omitempty"`
	Sites   []string `json:"sites"`
	// Sketch is the number of its bits, 0 for none, drawn with Seed.
	Sketch int    `json:"sketch"`
	Seed   uint64 `json:"seed"`
	// Code writes full codes, of the sites that CodeSites match when it is not nil.
	Code      bool     `json:"code,omitempty"`
	CodeSites []string `json:"code_sites,omitempty"`
	Channels  bool     `json:"channels,omitempty"`
	// ChannelShare is region.RowOptions.Share.
	ChannelShare float64     `json:"channel_share,omitempty"`
	Logits       bool        `json:"logits,omitempty"`
	Complexity   *Complexity `json:"complexity,omitempty"`
	// Format is one of result.Formats; FAISS adds an index of the sketches.
	Format string `json:"format"`
	FAISS  bool   `json:"faiss,omitempty"`
	Data   Data   `json:"data"`
	// Tiles makes items of pictures' tiles: what is planned are pictures.
	Tiles *dataset.Tiling `json:"tiles,omitempty"`
	// Inputs are what goes into the model's other inputs.
	Inputs []Input `json:"other_inputs,omitempty"`
	// Regions makes rows of regions, not of items; with Boxes regions are items.
	Regions *Regions `json:"regions,omitempty"`
	Boxes   *Boxes   `json:"box_input,omitempty"`
	// Strict is the engine, where another is not to go on with the job.
	Strict *Engine `json:"engine,omitempty"`
}

// Complexity is the neighbourhood of local complexity. Its frame is frame.npy in
// the job's folder.
type Complexity struct {
	Radii  []float64 `json:"radii"`
	Frame  string    `json:"frame_sha256"`
	Sign3  bool      `json:"sign3,omitempty"`
	Centre bool      `json:"include_centre,omitempty"`
	// ByRadius says that columns are named by the radius where there is one, as they are where
	// there are several. New says it; in plans of earlier versions they were not.
	ByRadius bool `json:"by_radius,omitempty"`
}

// Data is how inputs are read.
type Data struct {
	Layout     string              `json:"layout,omitempty"`
	Preprocess *picture.Preprocess `json:"preprocess,omitempty"`
	Column     string              `json:"column,omitempty"`
	Pixels     string              `json:"pixels,omitempty"`
	EXIF       bool                `json:"exif,omitempty"`
	MaxPixels  int64               `json:"max_pixels,omitempty"`
	// JPEG is the decoder, as another may give other pixels.
	JPEG string `json:"jpeg_decoder"`
	// Points says that inputs are points drawn at random, not files.
	Points *Points `json:"points,omitempty"`
	// IgnoreTime tells inputs by name and size alone.
	IgnoreTime bool `json:"ignore_mtime,omitempty"`
}

// Points are drawn uniformly from [Low, High) in every element.
type Points struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
	Seed uint64  `json:"seed"`
}

// Engine is what a shard was made with.
type Engine struct {
	Backend string `json:"backend"`
	Version string `json:"backend_version"`
	Device  string `json:"device"`
}

// EngineOf names a prober's engine.
func EngineOf(r *probes.Prober) Engine {
	return Engine{r.Backend.Name(), r.Backend.Version(), r.Devices()}
}

// Attach makes the probed model that the plan asks for.
func (p *Plan) Attach(m *onnx.Model) (*probes.Plan, error) {
	return p.Settings.Attach(m, p.Settings.Sample)
}

// Attach makes the probed model that the settings ask for.
func (s *Settings) Attach(m *onnx.Model, sample []int) (*probes.Plan, error) {
	list := []probes.Probe{probes.Digest{}}
	if s.Complexity != nil {
		list = append(list, probes.Complexity{Sign3: s.Complexity.Sign3})
	}
	return probes.Attach(m, probes.AttachOptions{Sample: sample, Probes: list, Sites: s.siteOptions()})
}

func (s *Settings) siteOptions() site.Options {
	return site.Options{Globs: s.Globs, MaxPool: s.MaxPool, Gemm: s.Gemm}
}

// probes are what the settings ask for, in the order of the columns.
func (p *Plan) probes() ([]probes.Probe, error) {
	s := &p.Settings
	list := []probes.Probe{probes.Digest{}}
	if s.Sketch > 0 && !s.OfRegions() {
		list = append(list, probes.Sketch{Bits: s.Sketch, Seed: s.Seed})
	}
	if s.Code || s.OfRegions() || s.CodeSites != nil {
		list = append(list, probes.Code{Sites: s.CodeSites})
	}
	if s.Channels && !s.OfRegions() {
		list = append(list, probes.Channels{})
	}
	if c := s.Complexity; c != nil {
		if len(c.Radii) == 1 && !c.ByRadius {
			return nil, &VersionError{fmt.Errorf("the plan in %s is of an earlier version, in whose shards local complexity at one radius "+
				"has columns that do not name it; finish the job with the program that planned it, or plan anew", p.dir)}
		}
		f, err := p.readFrame()
		if err != nil {
			return nil, err
		}
		list = append(list, probes.Complexity{Frame: f, Radii: c.Radii, Center: c.Centre, Sign3: c.Sign3, Changed: s.OfRegions()})
	}
	if s.Logits {
		list = append(list, probes.Outputs{Name: "logits", Full: true})
	}
	return list, nil
}

// array is the column that a .npy file holds.
func (s *Settings) array() string {
	if s.OfRegions() {
		return "channels"
	}
	if s.Code || s.CodeSites != nil {
		return "code"
	}
	return "sketch"
}

// OfRegions says whether rows are of what of a code lies inside regions.
func (s *Settings) OfRegions() bool { return s.Regions != nil && s.Boxes == nil }

// Check reports settings that do not go together.
func (s *Settings) Check(probed *probes.Plan) error {
	if err := s.checkRegions(); err != nil {
		return err
	}
	if s.Tiles != nil && s.FAISS {
		return errors.New("a FAISS index has a vector for each planned item, and how many tiles there are is known " +
			"when pictures are read; search reads the job's folder as it is")
	}
	if s.Format == "npy" && s.OfRegions() && !s.Channels {
		return errors.New("a .npy file of regions holds their channel codes, and they are not asked for")
	}
	if s.Format == "npy" && s.array() == "sketch" && s.Sketch == 0 {
		return errors.New("a .npy file holds the codes or the sketches, and neither is asked for")
	}
	if s.FAISS && (s.Sketch == 0 || s.Sketch%8 != 0) {
		return fmt.Errorf("a FAISS index holds sketches of a multiple of 8 bits, not of %d", s.Sketch)
	}
	if s.Sketch > 0 && !s.OfRegions() {
		if _, err := (probes.Sketch{Bits: s.Sketch, Seed: s.Seed}).Of(probed, nil); err != nil {
			return err
		}
	}
	if s.CodeSites != nil {
		if err := probed.Match(s.CodeSites); err != nil {
			return err
		}
	}
	return nil
}

func writeFrame(at store.Store, f *probes.Frame) error {
	if err := store.Put(at, frameName, false, f.WriteNpy); err != nil {
		return fmt.Errorf("writing the frame: %w", err)
	}
	return nil
}

func (p *Plan) readFrame() (*probes.Frame, error) {
	b, err := p.at.Get(frameName)
	if err != nil {
		return nil, fmt.Errorf("reading the frame: %w", err)
	}
	t, err := tensor.ReadNpy(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("reading the frame: %w", err)
	}
	f, err := probes.FrameOf(t)
	if err == nil && f.SHA256() != p.Settings.Complexity.Frame {
		err = fmt.Errorf("%s is not the frame that the job was planned with", filepath.Join(p.dir, frameName))
	}
	return f, err
}
