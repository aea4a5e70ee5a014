package main

import (
	"embed"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

//go:embed help
var helpTexts embed.FS

// command is a command as help/NAME.txt describes it: the first line is its usage, the second
// says in a line what it does; then come what it says of itself, and its examples.
func command(name string, args cobra.PositionalArgs) *cobra.Command {
	b, err := helpTexts.ReadFile("help/" + name + ".txt")
	if err != nil {
		panic(err) // the texts are part of the program
	}
	use, rest, _ := strings.Cut(string(b), "\n")
	short, rest, _ := strings.Cut(rest, "\n")
	long, example, _ := strings.Cut(rest, "\nExamples:\n")
	return &cobra.Command{Use: use, Short: short, Long: strings.TrimSpace(long), Example: strings.TrimRight(example, "\n"), Args: args}
}

// headings are what flags that several verbs have stand under in a verb's help, after its
// own.
var headings = []struct {
	title string
	flags []string
}{
	{"Data", []string{"preprocess", "resize", "crop", "mean", "std", "interpolation", "scale", "pixels", "exif", "format", "column",
		"layout", "input", "input-size", "random", "low", "high", "tiles", "tile-thumbnail", "limit", "max-pixels", "decoders"}},
	{"Engine", []string{"backend", "device", "threads", "batch", "precision", "library", "optimize", "no-arena", "isolate", "timeout", "max-memory",
		"allow-links", "allow-random"}},
	{"GPU", []string{"allow-tf32", "allow-cpu-nodes", "tune", "device-memory", "cuda-graph"}},
	{"Sites", []string{"sites", "include-maxpool", "include-gemm", "strict-sites", "by-site"}},
	{"Regions", nil}, // those whose names begin so
	{"Output", []string{"output", "force", "json", "quiet", "plot"}},
}

// headingOf is the heading of a flag, "" for one of a verb's own.
func headingOf(name string) string {
	for _, h := range headings {
		if slices.Contains(h.flags, name) || h.flags == nil && strings.HasPrefix(name, "region") {
			return h.title
		}
	}
	return ""
}

// flagHelp is the flags of a command, its own first, the shared ones under headings.
func flagHelp(c *cobra.Command) string {
	var b strings.Builder
	under := func(title, heading string) {
		some := pflag.NewFlagSet(title, pflag.ContinueOnError)
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden && headingOf(f.Name) == heading {
				some.AddFlag(f)
			}
		})
		if text := some.FlagUsages(); text != "" {
			b.WriteString("\n\n" + title + ":\n" + strings.TrimRight(text, "\n"))
		}
	}
	if c.HasAvailableInheritedFlags() { // --quiet
		c.Flags().AddFlagSet(c.InheritedFlags())
	}
	under("Flags", "")
	for _, h := range headings {
		under(h.title, h.title)
	}
	return b.String()
}

// groupFlags makes root and all commands below show their flags so.
func groupFlags(root *cobra.Command) {
	cobra.AddTemplateFunc("flagHelp", flagHelp)
	const from, to = "{{if .HasAvailableLocalFlags}}", "{{if .HasHelpSubCommands}}"
	text := root.UsageTemplate()
	i, j := strings.Index(text, from), strings.Index(text, to)
	root.SetUsageTemplate(text[:i] + "{{flagHelp .}}" + text[j:])
}

// hide hides the flags under a heading, but for some; they go on working.
func hide(fs *pflag.FlagSet, heading string, but ...string) {
	fs.VisitAll(func(f *pflag.Flag) {
		f.Hidden = f.Hidden || headingOf(f.Name) == heading && !slices.Contains(but, f.Name)
	})
}
