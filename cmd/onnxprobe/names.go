package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// renamed are the flags that had another name in an earlier version: it goes on working,
// hidden, with a word, in the verbs that had it.
var renamed = []struct {
	old, new string
	verbs    []string // nil for all that have the new one
}{
	{"workers", "decoders", nil},
	{"per-site", "by-site", []string{"codes"}},
	{"overwrite", "force", []string{"hash", "plan"}},
	{"include-centre", "include-center", nil},
	{"region-normalised", "region-normalized", nil},
	{"agree", "region-agree", nil},
	{"box-input", "region-input", nil},
	{"html", "plot", []string{"search", "dedup"}},
	{"radius", "distance", []string{"dedup"}},
	{"unlabelled", "unlabeled", []string{"evaluate"}},
	{"channel-share", "region-share", nil},
}

// addRenamed adds the old names of the flags of a command and of those below it.
func addRenamed(c *cobra.Command) {
	for _, r := range renamed {
		f := c.Flags().Lookup(r.new)
		if f == nil || c.Flags().Lookup(r.old) != nil || r.verbs != nil && !slices.Contains(r.verbs, c.Name()) {
			continue
		}
		c.Flags().AddFlag(&pflag.Flag{
			Name: r.old, Usage: f.Usage, NoOptDefVal: f.NoOptDefVal, DefValue: f.DefValue, Hidden: true,
			Value: oldValue{Value: f.Value, set: func(text string) error {
				if n := fmt.Sprintf("--%s is --%s now", r.old, r.new); !f.Changed {
					note(c, "%s", n)
				}
				return c.Flags().Set(r.new, text)
			}},
		})
	}
	for _, below := range c.Commands() {
		addRenamed(below)
	}
}

// oldValue is the value of a flag under an old name.
type oldValue struct {
	pflag.Value
	set func(text string) error
}

func (v oldValue) Set(text string) error { return v.set(text) }
