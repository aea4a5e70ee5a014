package main

import (
	"slices"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// renamed are the flags that had another name in an earlier version: it goes on working,
// hidden, with a word, in the verbs that had it.
var renamed = []struct {
	old, new string
	verbs    []string // nil for all that have the new one
}{ // without a new one the flag does nothing
	{"workers", "decoders", nil},
	{"workers", "", []string{"affine", "plan"}},
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
	{"all", "all-rows", []string{"affine"}},
	{"all", "all-libraries", []string{"install"}},
	{"batch", "batches", []string{"bench"}},
	{"device", "require", []string{"list"}},
	{"dir", "output", []string{"demo"}},
	{"logits", "value", []string{"dynamics"}},
	{"no-code", "code", []string{"codes"}},
	{"precision", "decide", []string{"compare"}},
	{"random", "random-points", []string{"dynamics"}},
	{"table", "output-format", []string{"dynamics", "phases"}},
}

// Annotations: of a flag the old name that it was given by and its text, of an old name what
// is said of it.
const (
	givenAs = "given as"
	isNow   = "is now"
)

// addRenamed adds the old names of the flags of a command and of those below it.
func addRenamed(c *cobra.Command) {
	for _, r := range renamed {
		if c.Flags().Lookup(r.old) != nil || r.verbs != nil && !slices.Contains(r.verbs, c.Name()) {
			continue
		}
		if r.new == "" {
			c.Flags().String(r.old, "", "")
			c.Flags().Lookup(r.old).Hidden = true
			_ = c.Flags().SetAnnotation(r.old, isNow, []string{"does nothing here any more"})
		} else if f := c.Flags().Lookup(r.new); f != nil {
			says := "--" + r.new
			if not := "no-" + r.new; not == r.old {
				says += "=false"
			}
			c.Flags().AddFlag(&pflag.Flag{Name: r.old, Usage: f.Usage, NoOptDefVal: f.NoOptDefVal, DefValue: f.DefValue,
				Hidden: true, Annotations: map[string][]string{isNow: {"is " + says + " now"}}, Value: oldValue{f.Value, "no-"+r.new == r.old,
					func(text string) { // Set of the new one would say twice what is wrong
						f.Changed = true
						_ = c.Flags().SetAnnotation(r.new, givenAs, []string{r.old, text})
					}}})
		}
	}
	for _, below := range c.Commands() {
		addRenamed(below)
	}
}

// sayRenamed says of the flags of a command that were given by an old name what it is now.
func sayRenamed(c *cobra.Command) {
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Changed && f.Annotations[isNow] != nil {
			note(c, "--%s %s", f.Name, f.Annotations[isNow][0])
		}
	})
}

// oldValue is the value of a flag under an old name.
type oldValue struct {
	pflag.Value
	not   bool // it says the contrary
	given func(text string)
}

func (v oldValue) Set(text string) error {
	if on, err := strconv.ParseBool(text); v.not && err == nil {
		text = strconv.FormatBool(!on)
	}
	err := v.Value.Set(text)
	if err == nil {
		v.given(text)
	}
	return err
}
