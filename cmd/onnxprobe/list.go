package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/backends"
	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/region/annotate"
	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/site"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

// entry is one thing that the tool offers.
type entry struct {
	Name string `json:"name"`
	Doc  string `json:"doc"`
}

// entries are those of a table that has an entry for each of its rows.
func entries[T any](rows []T, of func(T) entry) func() []entry {
	return func() (es []entry) {
		for _, r := range rows {
			es = append(es, of(r))
		}
		return es
	}
}

// lists is what "onnxprobe list" can show, each from the table that defines it.
var lists = map[string]func() []entry{
	"backends": entries(backends.All, func(b engine.Backend) entry {
		if err := b.Available(engine.Options{}); err != nil {
			return entry{b.Name(), withFlags(err)}
		}
		return entry{b.Name(), "available, version " + b.Version()}
	}),
	"activations": func() []entry {
		es := entries(site.Activations, func(a site.Activation) entry {
			if a.Smooth {
				a.Doc += ": a sign code"
			}
			return entry{a.Name, a.Doc}
		})()
		return append(es, entry{"MaxPool", "which element of its window a unit takes, with --include-maxpool"},
			entry{"Linear", "the sign of a linear layer that no activation follows, with --include-gemm"})
	},
	"probes": func() (es []entry) {
		for _, p := range probes.All {
			es = append(es, entry{p.About().Name, p.About().Doc})
		}
		return append(es, []entry{
			{"region", "what of a code lies inside a box, a mask, a super-pixel of the picture (--regions)"},
			{"encoding", "redundancy, use of units, K-NN, K-means, logistic regression: what codes say (evaluate)"},
			{"dynamics", "these and local complexity, margins, churn, robust accuracy over checkpoints (dynamics, phases)"},
			{"affine", "the affine map of an item's linear region, and how far its boundaries are along it"},
		}...)
	},
	"datasets": entries(dataset.Formats, func(f dataset.Format) entry { return entry{f.Name, f.Doc} }),
	"formats":  entries(result.Formats, func(f result.Format) entry { return entry{f.Name, f.Doc} }),
	"regions":  entries(annotate.Formats, func(f annotate.Format) entry { return entry{f.Name, f.Doc} }),
	"presets": entries(picture.Presets, func(p picture.Preset) entry {
		if pre := p.Preprocess; pre.Mean != nil {
			p.Doc += fmt.Sprintf("; mean %v, std %v", pre.Mean, pre.Std)
		}
		return entry{p.Name, p.Doc}
	}),
}

func newList() *cobra.Command {
	names := slices.Sorted(maps.Keys(lists))
	var asJSON bool
	c := command("list", exactly(1, "one of "+strings.Join(names, ", ")))
	c.Use += strings.Join(names, "|")
	c.ValidArgs = names
	c.RunE = func(c *cobra.Command, args []string) error {
		l := lists[args[0]]
		if l == nil {
			return usagef("there is no list of %q; %s", args[0], text.DidYouMean(args[0], "the lists are", names))
		}
		all := l()
		return show(c, asJSON, all, func(w io.Writer) {
			var rows [][]string
			for _, e := range all {
				rows = append(rows, []string{e.Name, e.Doc})
			}
			text.Table(w, rows)
		})
	}
	c.Flags().BoolVar(&asJSON, "json", false, "")
	return c
}
