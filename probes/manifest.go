package probes

import (
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// Manifest says how a result came about: enough to run it again and to tell
// whether two results can be compared.
type Manifest struct {
	Tool    string   `json:"tool"`
	Version string   `json:"version"`
	Verb    string   `json:"verb"`
	Command []string `json:"command,omitempty"`
	// Model holds the SHA-256 of the model file and of its external data.
	Model  string            `json:"model"`
	SHA256 map[string]string `json:"sha256"`
	Sites  []ManifestSite    `json:"sites,omitempty"`
	// SitesRule and SitesHash tell site tables apart; see SiteTable.
	SitesRule int    `json:"sites_rule,omitempty"`
	SitesHash string `json:"sites_hash,omitempty"`
	CodeBytes int    `json:"code_bytes,omitempty"`
	BitOrder  string `json:"bit_order,omitempty"`
	Packing   string `json:"packing,omitempty"`
	Units     int    `json:"units,omitempty"`
	// Unwatched lists what is not affine and belongs to no site; nil where sites were not
	// looked for.
	Unwatched []site.Unwatched `json:"unwatched"`
	Input     string           `json:"input"`
	Sample    []int            `json:"sample"`
	Batch     int              `json:"batch"`
	Backend   string           `json:"backend"`
	Runtime   string           `json:"backend_version"`
	Device    string           `json:"device"`
	Threads   int              `json:"threads"`
	// NoArena leaves external weights in the order of their file, by which other
	// kernels run: bits within rounding of a knot may differ.
	NoArena   bool           `json:"no_arena,omitempty"`
	Optimize  string         `json:"optimize"`
	Precision string         `json:"precision"`
	GPU       *ManifestGPU   `json:"gpu,omitempty"`
	Dataset   ManifestData   `json:"dataset"`
	Settings  map[string]any `json:"settings,omitempty"`
	Summary   Summary        `json:"summary"`
	Notes     []string       `json:"notes,omitempty"`
}

// ManifestGPU holds the settings of a GPU; see engine.Options.
type ManifestGPU struct {
	Tune      string `json:"tune"`
	Memory    int64  `json:"memory_limit,omitempty"`
	CUDAGraph bool   `json:"cuda_graph,omitempty"`
	// Names are what the devices are called, in the order of Manifest.Device.
	Names []string `json:"names,omitempty"`
	// OnCPU are the nodes that ran on the CPU nevertheless, where that was allowed.
	OnCPU []string `json:"on_cpu,omitempty"`
}

// ManifestSite is a site with its place in the whole code.
type ManifestSite struct {
	site.Site
	Planes int `json:"planes"`
	// Offset and Bytes are the site's place in the whole code.
	Offset int `json:"offset"`
	Bytes  int `json:"bytes"`
}

// ManifestData says what went in.
type ManifestData struct {
	dataset.Description
	// IDs is a digest of the items' ids in order; "" for random points.
	IDs string `json:"ids,omitempty"`
}

// NewManifest fills in what follows from the model and the prober. The caller
// adds the command, the data and the verb's own settings.
func (r *Prober) NewManifest(m *onnx.Model) (*Manifest, error) {
	mf, err := r.Plan.NewManifest(m)
	if err != nil {
		return nil, err
	}
	mf.Batch = r.Batch
	mf.Backend, mf.Runtime, mf.Device = r.Backend.Name(), r.Backend.Version(), r.Devices()
	mf.Threads, mf.Optimize, mf.NoArena = r.Options.Threads, r.Options.Optimize, r.Options.NoArena
	if mf.Optimize == "" {
		mf.Optimize = "all"
	}
	mf.Precision = r.Plan.precision(r.Options)
	if r.Options.Device.Kind == "cuda" {
		o := r.Options
		mf.GPU = &ManifestGPU{Tune: o.Tune, Memory: o.MemoryLimit, CUDAGraph: o.CUDAGraph, OnCPU: r.OnCPU()}
		if n, ok := r.Backend.(engine.Namer); ok {
			for _, p := range append([]*Prober{r}, r.peers...) {
				mf.GPU.Names = append(mf.GPU.Names, n.DeviceName(p.Options.Device))
			}
		}
		if o.Tune == "" {
			mf.GPU.Tune = "heuristic"
		}
		if n := len(mf.GPU.OnCPU); n > 0 {
			mf.Notes = append(mf.Notes, fmt.Sprintf("%d nodes run on the CPU: %s", n, strings.Join(mf.GPU.OnCPU, ", ")))
		}
	}
	if r.Pack != PackAuto {
		mf.Packing = r.Pack.String()
	}
	return mf, nil
}

// NewManifest fills in what follows from the model and the plan; nothing of the
// engine is known yet.
func (p *Plan) NewManifest(m *onnx.Model) (*Manifest, error) {
	sums, err := m.Sum256()
	if err != nil {
		return nil, err
	}
	mf := &Manifest{
		Tool: "onnxprobe", Version: Version(), Model: m.Path, SHA256: sums,
		CodeBytes: p.CodeBytes(), Units: p.Units(), BitOrder: "big (numpy.packbits)",
		Input: p.Fit.Input, Sample: p.Fit.Sample, Batch: p.Fit.Batch, Precision: p.Precision(),
	}
	if p.Fit.Note != "" {
		mf.Notes = append(mf.Notes, p.Fit.Note)
	}
	if n := engine.RandomNote(m.RandomNodes()); n != "" {
		mf.Notes = append(mf.Notes, n)
	}
	smooth, offset := 0, 0
	for _, s := range p.Sites {
		mf.Sites = append(mf.Sites, ManifestSite{s, s.Planes(), offset, s.Bytes()})
		offset += s.Bytes()
		if s.Smooth {
			smooth++
		}
	}
	if len(p.Sites) > 0 {
		t, err := TableOf(p.Sites)
		if err != nil {
			return nil, err
		}
		mf.SitesRule, mf.SitesHash = t.Rule, t.Hash
	}
	if smooth > 0 {
		mf.Notes = append(mf.Notes, SmoothNote(smooth, len(p.Sites)))
	}
	mf.Unwatched = p.Unwatched
	if n := UnwatchedNote(p.Unwatched); n != "" {
		mf.Notes = append(mf.Notes, n)
	}
	return mf, nil
}

// Precision is the type that the model computes in, as the manifest has it: that of
// its sites, or without any of its input and outputs. A 16-bit model's sites are
// widened to float32.
func (p *Plan) Precision() string {
	double := false
	for i := range p.Sites {
		double = double || p.Sites[i].Value.DType == tensor.Float64
	}
	if len(p.Sites) == 0 {
		double = p.Fit.DType == tensor.Float64
		for _, v := range p.Model.Graph.Outputs[:p.Own] {
			double = double || v.DType == tensor.Float64
		}
	}
	if double {
		return "float64"
	}
	for _, t := range p.Model.Graph.Initializers {
		if t.DType == tensor.Float16 || t.DType == tensor.BFloat16 {
			return fmt.Sprintf("%s as the model has it, widened to float32 at its sites, TF32 off", t.DType)
		}
	}
	return "float32, TF32 off"
}

// precision is Precision under the settings of an engine.
func (p *Plan) precision(o engine.Options) string {
	s := p.Precision()
	if o.AllowTF32 {
		s = strings.Replace(s, "TF32 off", "TF32 allowed", 1)
	}
	return s
}

// SmoothNote is what every output says about sites that bend everywhere.
func SmoothNote(smooth, all int) string {
	return fmt.Sprintf("%d of %d sites are", smooth, all) + " smooth (GELU, SiLU and their like bend everywhere): their bits are sign codes, not sides of linear regions"
}

// UnwatchedNote says in a line what no site shows, with at most five names: what bends
// before what does not; "" where there is nothing.
func UnwatchedNote(all []site.Unwatched) string {
	const most = 5
	var parts, names []string
	more := 0
	for _, k := range []struct {
		kind       site.Kind
		one, other string
	}{{site.KindBend, "bend", "bends"}, {site.KindBody, "body", "bodies"}, {site.KindRandom, "random node", "random nodes"},
		{site.KindGuard, "guard of a divisor", "guards of divisors"}, {site.KindSmooth, "smooth node", "smooth nodes"}} {
		n := 0
		for _, u := range all {
			if u.Kind != k.kind {
				continue
			}
			n++
			name := u.Name
			if u.Module != "" {
				name = u.Module
			}
			if name = fmt.Sprintf("%s (%s)", name, u.Op); slices.Contains(names, name) || k.kind == site.KindSmooth {
				continue
			}
			if len(names) < most {
				names = append(names, name)
			} else {
				more++
			}
		}
		switch {
		case n == 1:
			parts = append(parts, "1 "+k.one)
		case n > 1:
			parts = append(parts, fmt.Sprint(n, " ", k.other))
		}
	}
	if parts == nil {
		return ""
	}
	line := "no site shows " + strings.Join(parts, ", ")
	if names != nil {
		line += ": " + strings.Join(names, ", ")
	}
	if more > 0 {
		line += fmt.Sprintf(" and %d more", more)
	}
	return line + "; inspect says why"
}

// Version is the tool's version, from the build.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && (v == "" || v == "(devel)") {
			v = "devel-" + s.Value[:min(12, len(s.Value))]
		}
	}
	if v == "" || v == "(devel)" {
		v = "devel"
	}
	return v
}
