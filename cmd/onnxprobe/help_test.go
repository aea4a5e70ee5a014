package main

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// visible calls f of every flag that a command's help shows.
func visible(c *cobra.Command, f func(*pflag.Flag)) {
	c.InitDefaultHelpFlag()
	c.Flags().AddFlagSet(c.InheritedFlags())
	c.Flags().VisitAll(func(flag *pflag.Flag) {
		if !flag.Hidden && flag.Name != "help" && flag.Name != "version" {
			f(flag)
		}
	})
}

// Help fits a terminal, and the longest a screen or two.
func TestHelpFits(t *testing.T) {
	most := map[string]int{"onnxprobe codes": 45, "onnxprobe hash": 60}
	for path, c := range commands() {
		for _, how := range []string{"--help", "--help-all"} {
			args := append(strings.Fields(path)[1:], how)
			text := stdoutOf(t, args...)
			for line := range strings.Lines(text) {
				if n := len([]rune(strings.TrimRight(line, "\n"))); n > 100 && !strings.Contains(path, "completion") {
					t.Errorf("%q: a line of %d: %s", args, n, line)
				}
			}
			if n := strings.Count(text, "\n"); how == "--help" && n > cmp.Or(most[path], 80) {
				t.Errorf("%q: %d lines", args, n)
			}
			visible(c, func(f *pflag.Flag) {
				if !strings.Contains(text, "--"+f.Name) && !(how == "--help" && strings.HasPrefix(f.Name, "region-")) && c.HasParent() {
					t.Errorf("%q does not have --%s", args, f.Name)
				}
			})
		}
	}
	for _, topic := range topics {
		text := stdoutOf(t, "help", topic)
		for line := range strings.Lines(text) {
			if len([]rune(line)) > 101 {
				t.Errorf("help %s: a line of %d: %s", topic, len(line), line)
			}
		}
	}
	if r := do("help", "radiuss"); r.code != exitUsage || !strings.Contains(r.messages, "did you mean radius?") {
		t.Errorf("help about a misspelt topic: %d, %s", r.code, r.messages)
	}
}

// A flag's name has one type and one meaning in all verbs, and a meaning one name. The code
// that adds a flag says none, so that there is no other.
func TestFlagTable(t *testing.T) {
	type kind struct{ typ, meaning string }
	of, meant := map[string]kind{}, map[string]string{}
	for path, c := range commands() {
		visible(c, func(f *pflag.Flag) {
			if f.Name == "no-descriptions" { // cobra's
				return
			}
			k := kind{f.Value.Type(), meanings[f.Name]}
			if says := strings.ReplaceAll(k.meaning, "{choices}", strings.Join(choiceOf(c, f.Name).names, ", ")); f.Usage != says {
				t.Errorf("%s --%s says where it is added what it means, not in help/flags.txt alone: %s", path, f.Name, f.Usage)
			}
			if k.meaning == "" {
				t.Errorf("%s --%s is not in help/flags.txt", path, f.Name)
			}
			if other, ok := of[f.Name]; ok && other != k {
				t.Errorf("%s --%s is a %s, and elsewhere a %s", path, f.Name, k.typ, other.typ)
			}
			of[f.Name] = k
			if other := meant[k.meaning]; other != "" && other != f.Name {
				t.Errorf("--%s and --%s mean the same: %s", other, f.Name, k.meaning)
			}
			meant[k.meaning] = f.Name
			value, _ := pflag.UnquoteUsage(f)
			if f.Value.Type() != "bool" && strings.ToUpper(value) != value {
				t.Errorf("--%s: its meaning names no value in backquotes: %s", f.Name, k.meaning)
			}
			if strings.Contains(f.Usage, "{") {
				t.Errorf("%s --%s has no choices: %s", path, f.Name, f.Usage)
			}
		})
	}
	for name := range meanings {
		if of[name].typ == "" && name != "no-descriptions" {
			t.Errorf("help/flags.txt has --%s, which no verb has", name)
		}
	}
	british := regexp.MustCompile(`(?i)colour|neighbour|centre|normalis|optimis|labelled|behaviour`)
	for name, meaning := range meanings {
		if british.MatchString(name + " " + meaning) {
			t.Errorf("--%s: British: %s", name, meaning)
		}
	}
	// The headings of DESIGN are in the verbs that have a use for them.
	for path, c := range commands() {
		has := map[string]bool{}
		visible(c, func(f *pflag.Flag) { has[headingOf(f.Name)] = true })
		runs := slices.Contains([]string{"codes", "complexity", "run", "compare", "hash", "bench", "dynamics", "phases", "affine", "regions"}, c.Name())
		if has["GPU"] && !runs {
			t.Errorf("%s shows flags of a GPU, and runs no model", path)
		}
	}
}
