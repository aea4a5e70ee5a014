package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/region"
	"github.com/onnxprobe/onnxprobe/probes/region/overlay"
	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

// agreeFlags compare regions and whole pictures with one region.
type agreeFlags struct{ with, maps string }

func (f *agreeFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.with, "region-agree", "", "")
	fs.StringVar(&f.maps, "map", "", "")
}

// check reports flags that do not go together.
func (f *agreeFlags) check(regions *regionFlags) error {
	switch {
	case f.with != "" && regions.items:
		return usagef("--region-agree does not go with --region-input, which makes no rows of regions")
	case f.with != "" && regions.path == "":
		return usagef("--region-agree goes with --regions, which says where the regions are")
	case f.maps != "" && f.with == "":
		return usagef("--map goes with --region-agree IMAGE#REGION, which says what pictures are compared with")
	}
	return nil
}

// compare runs the picture of the reference, and has rows, and maps before them, say
// what agrees with it.
func (f *agreeFlags) compare(c *cobra.Command, r *probes.Prober, ds dataset.Dataset, rows *region.Rows,
	to result.Sink, settings map[string]any, rule string) (result.Sink, error) {
	place, err := rows.Find(ds, f.with)
	if err != nil {
		return nil, usagef("--region-agree: %w", err)
	}
	ref, err := rows.Agree(c.Context(), r, ds, place)
	if err != nil {
		return nil, err
	}
	if len(ref.Left) > 0 {
		note(c, "without a position inside the reference by the rule %q, and not compared: %s, %s",
			rule, text.Count(len(ref.Left), "site"), text.First(ref.Left, 5))
	}
	settings["agree"] = map[string]any{"reference": ref.ID, "left_out": ref.Left}
	if f.maps == "" {
		return to, nil
	}
	return overlay.NewAgreement(to, f.maps, ref, ds)
}
