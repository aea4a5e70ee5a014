package main

import (
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/backends"
	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/engine/isolate"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/attack"
	"github.com/onnxprobe/onnxprobe/probes/dynamics"
	"github.com/onnxprobe/onnxprobe/probes/encoding"
	jobs "github.com/onnxprobe/onnxprobe/probes/job"
	"github.com/onnxprobe/onnxprobe/probes/region"
	"github.com/onnxprobe/onnxprobe/probes/region/annotate"
	"github.com/onnxprobe/onnxprobe/probes/region/predict"
	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

// choice is what a flag, or a flag of one verb, can be.
type choice struct {
	names []string
	// others are values that are none of the names: files, devices by number.
	others bool
}

// choices are the flags that take one of a few values, "VERB FLAG" of one that means the same
// in every verb but has other values there. Help, completion and what is said of any other
// value take them from here.
var choices = map[string]choice{
	"preprocess":        {names: presetNames, others: true},
	"region-preprocess": {names: presetNames, others: true},
	"interpolation":     {names: picture.Filters},
	"pixels":            {names: dataset.PixelChoices},
	"format":            {names: append(namesOf(dataset.Formats, func(f dataset.Format) string { return f.Name }), "auto")},
	"layout":            {names: []string{"nchw", "nhwc", "auto"}},
	"backend":           {names: backends.Names()},
	"device":            {names: []string{"cpu", "cuda", "cuda:0", "cuda:all"}, others: true},
	"device-a":          {names: []string{"cpu", "cuda", "cuda:0"}, others: true},
	"device-b":          {names: []string{"cpu", "cuda", "cuda:0"}, others: true},
	"require":           {names: []string{"cpu", "cuda", "cuda:0"}, others: true},
	"precision":         {names: probes.Precisions},
	"decide":            {names: []string{"float64"}},
	"optimize":          {names: []string{"all", "extended", "basic", "none"}},
	"isolate":           {names: isolate.Modes},
	"tune":              {names: engine.Tunes[1:]},
	"region-activation": {names: predict.Activations},
	"region-boxes":      {names: []string{"xyxy", "xywh", "cxcywh"}},
	"region-format":     {names: annotationNames},
	"truth-format":      {names: annotationNames},
	"region-rule":       {names: []string{region.Nominal.String(), region.Any.String(), region.All.String()}},
	"region-task":       {names: annotate.Tasks, others: true},
	"regions":           {names: []string{"lines", "slic:50"}, others: true},
	"attack":            {names: []string{attack.Linf, attack.L2}},
	"client":            {names: []string{"pip", "npm"}},
	"distance":          {names: []string{"auto"}, others: true},
	"mode":              {names: []string{string(jobs.Incremental), string(jobs.Extend)}, others: true},
	"on":                {names: []string{encoding.Sketch, encoding.Code, encoding.Channels, encoding.Digest}},

	"hash output-format":     {names: namesOf(result.Formats, func(f result.Format) string { return f.Name })},
	"plan output-format":     {names: namesOf(result.Formats, func(f result.Format) string { return f.Name })},
	"dynamics output-format": {names: dynamics.Formats},
	"phases output-format":   {names: dynamics.Formats},
	"regions output-format":  {names: append(namesOf(annotate.Outputs, func(o annotate.Output) string { return o.Name }), "auto")},
}

var (
	presetNames     = namesOf(picture.Presets, func(p picture.Preset) string { return p.Name })
	annotationNames = append(namesOf(annotate.Formats, func(f annotate.Format) string { return f.Name }), "auto")
)

// synonyms are what people call choices elsewhere.
var synonyms = map[string]string{
	"backend onnxruntime": "ort", "backend onnx-runtime": "ort", "backend onnx": "ort", "backend go": "gorgonia", "backend pure-go": "gorgonia",
	"backend cuda": "ort, with --device cuda", "backend gpu": "ort, with --device cuda",
	"device gpu": "cuda", "device gpu:0": "cuda:0", "device 0": "cuda:0", "device cuda0": "cuda:0",
	"format imagefolder": "images", "format folder": "images", "format numpy": "npy", "format npz": "npy", "format tar": "webdataset",
	"format csv": "list", "format jsonl": "list", "precision double": "float64", "precision fp32": "float32", "precision fp64": "float64",
	"layout hwc": "nhwc", "layout chw": "nchw", "layout channels_last": "nhwc", "layout channels_first": "nchw", "optimize 0": "none", "optimize off": "none",
	"attack inf": "linf", "on codes": "code", "on hash": "digest", "on digests": "digest",
}

// choiceOf is what a flag of a command can be, no names where it can be anything.
func choiceOf(c *cobra.Command, flag string) choice {
	if own, ok := choices[c.Name()+" "+flag]; ok {
		return own
	}
	return choices[flag]
}

// chosen reports a flag that is none of its choices.
func chosen(c *cobra.Command) (err error) {
	c.Flags().VisitAll(func(f *pflag.Flag) { // Visit passes over flags that were given by an old name
		of, value := choiceOf(c, f.Name), f.Value.String()
		if !f.Changed || err != nil || of.names == nil || slices.Contains(of.names, value) {
			return
		}
		if other := synonyms[f.Name+" "+strings.ToLower(value)]; other != "" {
			err = usagef("--%s %q is not known; did you mean %s? The choices are %s", f.Name, value, other, strings.Join(of.names, ", "))
			return
		}
		if of.others {
			err = misspelt(f.Name, value, of.names)
			return
		}
		err = usagef("--%s %q is not known; %s", f.Name, value, text.DidYouMean(value, "the choices are", of.names))
		if near := text.Nearest(value, of.names); near != nil && len(of.names) < 12 {
			err = usagef("%w The choices are %s", err, strings.Join(of.names, ", "))
		}
	})
	return err
}

// misspelt reports a value of a flag that takes other values too, where it is no file and
// nearly one of the names.
func misspelt(flag, value string, names []string) error {
	others := "a file or one of " + strings.Join(names, ", ")
	switch flag {
	case "preprocess", "region-preprocess":
	case "regions":
		names, others = []string{"lines"}, "a file or folder, slic:N, lines, boxes:MODEL or labels:MODEL"
	case "distance":
		if text.Nearest(value, names) != nil {
			return usagef("--distance %q: it is a number of bits, a share such as 0.02, or auto; did you mean auto?", value)
		}
		return nil
	default:
		return nil
	}
	if _, err := os.Stat(value); err == nil || text.Nearest(value, names) == nil || strings.ContainsAny(value, `/\:`) {
		return nil
	}
	return usagef("--%s %q: no such file is here; %s It is %s", flag, value, text.DidYouMean(value, "", names), others)
}
