package main

import (
	"strings"

	"github.com/onnxprobe/onnxprobe/onnx"
)

// flagOf is what the command line calls the options that errors of the libraries name: see
// onnx.RemedyError. A value that an error gives stands in place of the flag's own.
var flagOf = map[string]string{
	"Batch":                       "--batch N",
	"annotate.Options.Boxes":      "--region-boxes MEANING",
	"annotate.Options.Clip":       "--region-clip",
	"annotate.Options.Ignore":     "--region-ignore LIST",
	"annotate.Options.Images":     "--region-images FILE",
	"annotate.Options.Names":      "--region-names FILE",
	"annotate.Options.Normalised": "--region-normalized",
	"annotate.Options.Task":       "--region-task NAME",
	"backends.Request.Name":       "--backend NAME",
	"dataset.Options.Column":      "--column NAME",
	"dataset.Options.EXIF":        "--exif",
	"dataset.Options.Format":      "--format NAME",
	"dataset.Options.Layout":      "--layout NAME",
	"dataset.Options.MaxPixels":   "--max-pixels N",
	"dataset.Options.Pixels":      "--pixels NAME",
	"dataset.Tiling.Max":          "--tiles N",
	"dynamics.Study.Begin.force":  "--force",
	"engine.Options.AllowRandom":  "--allow-random",
	"engine.Options.Device":       "--device NAME",
	"engine.Options.Fallback":     "--allow-cpu-nodes",
	"engine.Options.Library":      "--library FILE",
	"engine.Options.MaxMemory":    "--max-memory SIZE",
	"engine.Options.MemoryLimit":  "--device-memory SIZE",
	"engine.Options.Optimize":     "--optimize LEVEL",
	"install.Options.All":         "onnxprobe runtime install --cuda --all-libraries",
	"install.Options.CUDA":        "onnxprobe runtime install --cuda",
	"install.Options.Client":      "--client NAME",
	"install.Options.From":        "--from PATH",
	"isolate.Limits.Memory":       "--max-memory",
	"isolate.Limits.Time":         "--timeout",
	"isolate.No":                  "--isolate=no",
	"job.Extend":                  "--mode extend",
	"job.Overwrite":               "--force",
	"job.Plan.Finish":             "onnxprobe hash finish DIR --allow-failed",
	"job.WorkerOptions.Retry":     "onnxprobe hash run DIR --retry",
	"onnx.LoadOptions.AllowLinks": "--allow-links",
	"ort.Inventory":               "onnxprobe runtime list --require cuda",
	"picture.Preprocess":          "--preprocess NAME|FILE",
	"picture.Preprocess.Crop":     "--crop HxW",
	"picture.Preprocess.Resize":   "--resize HxW",
	"predict.Settings.Preprocess": "--region-preprocess FILE",
	"probes.AttachOptions.Sample": "--input-size HxW",
	"probes.Sketch":               "codes --sketch K",
	"result.Options.Force":        "--force",
	"site.Options.Gemm":           "--include-gemm",
	"site.Options.Globs":          "--sites GLOB",
	"site.Options.MaxPool":        "--include-maxpool",
}

// flags are the flags of options, in parentheses; "" of none.
func flags(options []string) string {
	var all []string
	for _, o := range options {
		name, value, given := strings.Cut(o, "=")
		flag := flagOf[name]
		if given {
			flag, _, _ = strings.Cut(flag, " ")
			flag += " " + value
		}
		all = append(all, flag)
	}
	if all == nil {
		return ""
	}
	return " (" + strings.Join(all, ", ") + ")"
}

// withFlags is an error's text with the flags of the command behind each remedy.
func withFlags(err error) string {
	text := err.Error()
	for _, r := range onnx.Remedies(err) {
		said, add := r.Error(), flags(r.RemedyOptions())
		at := strings.Index(text, said)
		if at < 0 {
			text += add
		}
		for from := 0; at >= 0; at = strings.Index(text[from:], said) { // the same may be said of several
			if from += at + len(said); !strings.HasPrefix(text[from:], add) {
				text = text[:from] + add + text[from:]
				break
			}
		}
	}
	return text
}
