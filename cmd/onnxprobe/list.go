package main

import (
	"encoding/json"
	"sort"
	"strings"

	"github.com/spf13/cobra"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/backends"
	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/probes/region/annotate"
	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// entry is one thing that the tool offers.
type entry struct {
	Name string `json:"name"`
	Doc  string `json:"doc"`
}

// lists is what "onnxprobe list" can show, each from the table that defines it.
var lists = map[string]func() []entry{
	"backends": func() (es []entry) {
		for _, b := range backends.All {
			doc := "available, version " + b.Version()
			if err := b.Available(engine.Options{}); err != nil {
				doc = withFlags(err)
			}
			es = append(es, entry{b.Name(), doc})
		}
		return es
	},
	"activations": func() (es []entry) {
		for _, a := range site.Activations {
			doc := a.Doc
			if a.Smooth {
				doc += ": a sign code"
			}
			es = append(es, entry{a.Name, doc})
		}
		return append(es, entry{"MaxPool", "which element of its window a unit takes, with --include-maxpool"},
			entry{"Linear", "the sign of a linear layer that no activation follows, with --include-gemm"})
	},
	"probes": func() []entry {
		return []entry{
			{"code", "one bit a unit and knot: is the value before the activation above the knot"},
			{"digest", "128-bit hash of an item's whole code: the id of its linear region"},
			{"sketch", "K sampled bits of the code, whose Hamming distances estimate those of codes"},
			{"fragile", "how many values lie within a stated distance of their knot"},
			{"complexity", "local complexity: units whose bit is not the same all around the item"},
			{"channels", "whether a channel is above its knot anywhere, or in a share of a region"},
			{"region", "what of a code lies inside a box, a mask, a super-pixel of the picture (--regions)"},
			{"encoding", "redundancy, use of units, K-NN, K-means, logistic regression: what codes say (evaluate)"},
			{"dynamics", "these and local complexity, margins, churn, robust accuracy over checkpoints (dynamics, phases)"},
			{"affine", "the affine map of an item's linear region, and how far its boundaries are along it"},
		}
	},
	"datasets": func() (es []entry) {
		for _, f := range dataset.Formats {
			es = append(es, entry{f.Name, f.Doc})
		}
		return es
	},
	"formats": func() (es []entry) {
		for _, f := range result.Formats {
			es = append(es, entry{f.Name, f.Doc})
		}
		return es
	},
	"regions": func() (es []entry) {
		for _, f := range annotate.Formats {
			es = append(es, entry{f.Name, f.Doc})
		}
		return es
	},
	"presets": func() (es []entry) {
		for _, p := range picture.Presets {
			es = append(es, entry{p.Name, p.Doc})
		}
		return es
	},
}

func newList() *cobra.Command {
	var names []string
	for n := range lists {
		names = append(names, n)
	}
	sort.Strings(names)
	var asJSON bool
	c := &cobra.Command{
		Use:   "list " + strings.Join(names, "|"),
		Short: "What there is to choose from",
		Long: `Lists what the tool offers, from the tables that define it. "list activations" is
everything that makes a site; what of a model bends besides, "inspect MODEL" names.`,
		Example:   "  onnxprobe list activations\n  onnxprobe list presets --json",
		ValidArgs: names,
		Args:      exactly(1, "one of "+strings.Join(names, ", ")),
		RunE: func(c *cobra.Command, args []string) error {
			l := lists[args[0]]
			if l == nil {
				return usagef("there is no list of %q; the lists are %s", args[0], strings.Join(names, ", "))
			}
			if asJSON {
				e := json.NewEncoder(c.OutOrStdout())
				e.SetIndent("", "  ")
				return e.Encode(l())
			}
			var rows [][]string
			for _, e := range l() {
				rows = append(rows, []string{e.Name, e.Doc})
			}
			table(c.OutOrStdout(), rows)
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
