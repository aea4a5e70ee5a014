package main

import (
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
	jobs "github.com/onnxprobe/onnxprobe/probes/job"
	"github.com/onnxprobe/onnxprobe/probes/region"
	"github.com/onnxprobe/onnxprobe/probes/region/predict"
	"github.com/onnxprobe/onnxprobe/probes/region/segment"
)

// regionModel is the model that finds regions, where --regions names one, and its
// flags. All copies of regionFlags share it.
type regionModel struct {
	preprocess, activation string
	score, nms             float64
	outputs                []string
	smooth                 int

	models   *modelFlags
	data     *dataFlags
	path     string
	settings *predict.Settings // nil where none is asked for
	model    *onnx.Model
	backend  engine.Backend
	options  engine.Options
	finder   *predict.Finder
}

// modelOnly are the flags that only a model has a use for, and ofKind those of one kind
// of model.
var (
	modelOnly = []string{"region-preprocess", "region-score", "region-output", "region-activation", "region-nms", "region-smooth"}
	ofKind    = map[string]string{
		"region-score": predict.Boxes, "region-activation": predict.Boxes, "region-boxes": predict.Boxes, "region-normalized": predict.Boxes,
		"region-nms": predict.Boxes, "region-smooth": predict.Labels,
	}
)

func (r *regionModel) add(fs *pflag.FlagSet) {
	fs.StringVar(&r.preprocess, "region-preprocess", "", "")
	fs.Float64Var(&r.score, "region-score", 0.5, "")
	fs.Float64Var(&r.nms, "region-nms", 0, "")
	fs.StringArrayVar(&r.outputs, "region-output", nil, "")
	fs.StringVar(&r.activation, "region-activation", "none", "")
	fs.IntVar(&r.smooth, "region-smooth", 0, "")
}

// of says which flags the other model has.
func (r *regionModel) of(m *modelFlags, d *dataFlags) { r.models, r.data = m, d }

// on says which engine to run on.
func (r *regionModel) on(b engine.Backend, o engine.Options) { r.backend, r.options = b, o }

func (r *regionModel) asked() bool { return r != nil && r.settings != nil }

// takes says whether a flag of annotations is one of the model's too.
func (r *regionModel) takes(flag string) bool {
	return r.asked() && (flag == "region-names" || flag == "region-ignore" || ofKind[flag] == r.settings.Kind)
}

// parse finds out whether --regions names a model.
func (r *regionModel) parse(f *regionFlags, changed func(string) bool) error {
	kind, path, ok := predict.Parse(f.path)
	for _, name := range modelOnly {
		switch {
		case !changed(name):
		case !ok:
			return usagef("--%s goes with --regions boxes:MODEL.onnx or labels:MODEL.onnx", name)
		case ofKind[name] != "" && ofKind[name] != kind:
			return usagef("--%s goes with --regions %s:MODEL.onnx", name, ofKind[name])
		}
	}
	if !ok {
		return nil
	}
	if path == "" {
		return usagef("--regions %s: name the model, %s:MODEL.onnx", f.path, kind)
	}
	s := &predict.Settings{Kind: kind, BoxOnly: f.boxOnly}
	if kind == predict.Boxes {
		s.Score, s.NMS, s.Activation = r.score, r.nms, r.activation
		s.Form, s.Normalised = f.boxes, f.normalised
	} else {
		s.Smooth = r.smooth
	}
	if kind == predict.Labels || changed("region-ignore") {
		var err error
		if s.Ignore, err = ignored(f.ignore); err != nil {
			return err
		}
	}
	for _, given := range r.outputs {
		role, name, named := strings.Cut(given, "=")
		if !named {
			return usagef("--region-output %s: write ROLE=NAME", given)
		}
		if s.Outputs == nil {
			s.Outputs = map[string]string{}
		}
		s.Outputs[role] = name
	}
	if err := s.Check(); err != nil {
		return usageError{err}
	}
	r.path, r.settings = path, s
	return nil
}

// load reads the model, and settles what the settings say of it.
func (r *regionModel) load(f *regionFlags) (err error) {
	if r.model, err = r.models.load(r.path); err != nil {
		return err
	}
	d := *r.data
	if r.preprocess != "" {
		d = dataFlags{preprocess: r.preprocess}
	}
	p, err := d.settings()
	if err != nil {
		return err
	}
	if p == nil {
		return usagef("say how pictures become inputs of %s: --region-preprocess PRESET or a JSON file; see list presets", r.path)
	}
	r.settings.Preprocess = *p
	r.settings.Preprocess.Name = filepath.Base(p.Name)
	if r.settings.Names, err = regionNames(f.names); err != nil {
		return err
	}
	return r.settings.Identify(r.model)
}

// open readies the model, once.
func (r *regionModel) open(c *cobra.Command) (segment.Finder, error) {
	if r.finder == nil {
		var err error
		if r.finder, err = predict.Open(c.Context(), r.model, *r.settings, r.backend, r.options); err != nil {
			return nil, err
		}
		notePreprocess(c, &r.settings.Preprocess)
		noteRandom(c, r.model)
	}
	return r.finder, nil
}

// Close releases the session, if there is one.
func (r *regionModel) Close() error {
	if r.finder == nil {
		return nil
	}
	return r.finder.Close()
}

// plannedModel is the model that a job's regions are found by; its settings are nil
// where none does.
func plannedModel(p *jobs.Plan, b engine.Backend, o engine.Options) (r regionModel, err error) {
	if p.Settings.Regions == nil || p.Settings.Regions.Model == nil {
		return r, nil
	}
	r.path = p.RegionsPath()
	r.settings = p.Settings.Regions.Model
	r.on(b, o)
	mf := modelFlags{allowLinks: p.AllowLinks}
	r.model, err = mf.load(r.path)
	return r, err
}

// regionNames reads the names of labels; without a file there are none.
func regionNames(path string) ([]string, error) {
	names, err := readLabels(path)
	if err != nil {
		err = usageError{err}
	}
	return names, err
}

// ignored are the labels that are no region.
func ignored(text string) ([]int, error) {
	list, err := region.ParseLabels(text)
	if err != nil {
		return nil, usagef("--region-ignore %w", err)
	}
	return list, nil
}
