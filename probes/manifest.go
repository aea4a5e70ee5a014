package probes

import (
	"fmt"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// NewManifest fills in what follows from the model and the prober. The caller
// adds the command, the data and the verb's own settings.
func (r *Prober) NewManifest(m *onnx.Model) (*result.Manifest, error) {
	mf, err := r.Plan.NewManifest(m)
	if err != nil {
		return nil, err
	}
	mf.Batch = r.Batch
	mf.Backend, mf.Runtime, mf.Device = r.Backend.Name(), r.Backend.Version(), r.Devices()
	if l, ok := r.Backend.(engine.Librarian); ok {
		mf.Library = l.Library().Path
	}
	mf.Threads, mf.Optimize, mf.NoArena = r.Options.Threads, r.Options.Optimize, r.Options.NoArena
	if mf.Optimize == "" {
		mf.Optimize = "all"
	}
	mf.Precision = r.Plan.precision(r.Options)
	if r.Options.Device.Kind == "cuda" {
		o := r.Options
		mf.GPU = &result.GPU{Tune: o.Tune, Memory: o.MemoryLimit, CUDAGraph: o.CUDAGraph, OnCPU: r.OnCPU()}
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
func (p *Plan) NewManifest(m *onnx.Model) (*result.Manifest, error) {
	sums, err := m.Sum256()
	if err != nil {
		return nil, err
	}
	mf := result.NewManifest("", nil)
	mf.Model, mf.SHA256, mf.Dataset, mf.Summary = m.Path, sums, &result.Data{}, result.Summary{}
	mf.Run = &result.Run{
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
		mf.Sites = append(mf.Sites, result.Site{Site: s, Planes: s.Planes(), Offset: offset, Bytes: s.Bytes()})
		offset += s.Bytes()
		if s.Smooth {
			smooth++
		}
	}
	if len(p.Sites) > 0 {
		t, err := result.TableOf(p.Sites)
		if err != nil {
			return nil, err
		}
		mf.SitesRule, mf.SitesHash = t.Rule, t.Hash
	}
	if smooth > 0 {
		mf.Notes = append(mf.Notes, result.SmoothNote(smooth, len(p.Sites)))
	}
	mf.Unwatched = p.Unwatched
	if n := result.UnwatchedNote(p.Unwatched); n != "" {
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
