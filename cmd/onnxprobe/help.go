package main

import (
	"cmp"
	"embed"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

//go:embed help
var helpTexts embed.FS

// width is that of help, in columns.
const width = 100

func helpText(name string) string {
	b, err := helpTexts.ReadFile("help/" + name + ".txt")
	if err != nil {
		panic(err) // the texts are part of the program
	}
	return string(b)
}

// command is a command as help/NAME.txt describes it: the first line is its usage, the second
// says in a line what it does; then come what it says of itself, and its examples.
func command(name string, args cobra.PositionalArgs) *cobra.Command {
	use, rest, _ := strings.Cut(helpText(name), "\n")
	short, rest, _ := strings.Cut(rest, "\n")
	long, example, _ := strings.Cut(rest, "\nExamples:\n")
	return &cobra.Command{Use: use, Short: short, Long: strings.TrimSpace(long), Example: strings.TrimRight(example, "\n"), Args: args}
}

// heading gathers flags that several verbs have: a verb's help has their names, and with
// --help-all what they mean. The last one, own, is of the flags that are shown always.
type heading struct {
	title, about string
	flags        []string
}

// headings, and what each flag means in whichever verb has it, are those of help/flags.txt.
var headings, meanings = readFlags(helpText("flags"))

const own = "A verb's own"

func readFlags(table string) (all []heading, meaning map[string]string) {
	meaning = map[string]string{}
	for line := range strings.Lines(table) {
		line = strings.TrimRight(line, "\n")
		name, says, _ := strings.Cut(strings.TrimLeft(line, " "), " ")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, " "):
			all[len(all)-1].flags = append(all[len(all)-1].flags, name)
			meaning[name] = strings.TrimSpace(says)
		default:
			title, about, _ := strings.Cut(line, ": ")
			all = append(all, heading{title: title, about: about})
		}
	}
	return all, meaning
}

// headingOf is the heading of a flag.
func headingOf(name string) string {
	for _, h := range headings {
		if slices.Contains(h.flags, name) {
			return h.title
		}
	}
	return own
}

// explainFlags gives each flag of a command, and of those below it, its meaning.
func explainFlags(c *cobra.Command) {
	say := func(f *pflag.Flag) {
		f.Usage = cmp.Or(f.Usage, meanings[f.Name])
		if f.Value.Type() == "float64Slice" {
			f.DefValue = plain(f.DefValue)
		}
		f.Usage = strings.ReplaceAll(f.Usage, "{choices}", strings.Join(choiceOf(c, f.Name).names, ", "))
	}
	c.Flags().VisitAll(say)
	c.PersistentFlags().VisitAll(say)
	c.Flags().VarPF(helpAll{c}, "help-all", "", "").NoOptDefVal = "true"
	c.Flags().Lookup("help-all").Hidden = true
	for _, below := range c.Commands() {
		explainFlags(below)
	}
}

// helpAll is --help-all, which asks for help too.
type helpAll struct{ c *cobra.Command }

func (h helpAll) Set(string) error {
	h.c.InitDefaultHelpFlag()
	return h.c.Flags().Set("help", "true")
}
func (helpAll) String() string { return "false" }
func (helpAll) Type() string   { return "bool" }

// usage is what a command's help says besides what it does: how it is called, examples, what
// is below it, and its flags.
func usage(c *cobra.Command) string {
	var b strings.Builder
	line := strings.TrimSuffix(c.UseLine(), " [flags]")
	if !c.HasParent() {
		line += " VERB ..."
	}
	fmt.Fprintf(&b, "Usage:\n  %s\n", line)
	if c.Example != "" {
		fmt.Fprintf(&b, "\nExamples:\n%s\n", c.Example)
	}
	for _, g := range c.Groups() {
		fmt.Fprintf(&b, "\n%s\n", g.Title)
		below(&b, c, g.ID)
	}
	if !c.HasParent() {
		fmt.Fprintf(&b, "\nTopics, as in onnxprobe help %s:\n  %s\n", topics[0], strings.Join(topics, ", "))
	} else if c.HasAvailableSubCommands() {
		b.WriteString("\nBelow it:\n")
		below(&b, c, "")
	}
	b.WriteString(flagHelp(c))
	return b.String()
}

// below lists the commands of a group below c.
func below(b *strings.Builder, c *cobra.Command, group string) {
	for _, s := range c.Commands() {
		if s.GroupID == group && (s.IsAvailableCommand() || s.Name() == "help") {
			fmt.Fprintf(b, "  %-11s %s\n", s.Name(), s.Short)
		}
	}
}

// flagHelp is the flags of a command: its own in full, and of those under headings the names,
// or with --help-all all in full.
func flagHelp(c *cobra.Command) string {
	c.InitDefaultHelpFlag()
	c.Flags().AddFlagSet(c.InheritedFlags()) // --quiet
	var b strings.Builder
	full := func(title string, flags []string) {
		fs := pflag.NewFlagSet(title, pflag.ContinueOnError)
		fs.SortFlags = false
		for _, name := range flags {
			fs.AddFlag(c.Flags().Lookup(name))
		}
		if len(flags) > 0 {
			b.WriteString("\n" + title + ":\n" + fs.FlagUsagesWrapped(width))
		}
	}
	shown := map[string][]string{}
	for _, h := range headings {
		for _, name := range h.flags {
			if f := c.Flags().Lookup(name); f != nil && !f.Hidden {
				title := h.title
				if title == "Complexity" && c.Flags().Lookup("complexity") == nil {
					title = own // what such a verb is about
				}
				shown[title] = append(shown[title], name)
			}
		}
	}
	full("Flags", shown[own])
	all, titled := c.Flags().Changed("help-all"), false
	for _, h := range headings {
		switch {
		case h.title == own || shown[h.title] == nil || !c.HasParent():
		case all:
			full(h.title+", "+h.about, shown[h.title])
		default:
			if !titled {
				b.WriteString("\nShared flags, which --help-all explains:\n")
			}
			titled = true
			b.WriteString(names(c, h.title, shown[h.title]))
		}
	}
	return b.String()
}

// names are those of the flags of c under a heading.
func names(c *cobra.Command, title string, flags []string) string {
	text, line := "", fmt.Sprintf("  %-10s", title)
	if title == "Regions" && len(flags) > 4 { // which are many, and whose names begin so
		return fmt.Sprintf("%s --regions, and %d from --%s to --%s (help regions)\n", line, len(flags)-1, flags[1], flags[len(flags)-1])
	}
	for _, name := range flags {
		f := c.Flags().Lookup(name)
		if name = "--" + name; f.Shorthand != "" {
			name = "-" + f.Shorthand + "/" + name
		}
		if len(line)+1+len(name) > width {
			text, line = text+line+"\n", fmt.Sprintf("  %-10s", "")
		}
		line += " " + name
	}
	return text + line + "\n"
}

// verbGroups are the verbs as help gathers them.
var verbGroups = []struct {
	title string
	verbs []string
}{
	{"Look", []string{"demo", "inspect", "run", "list"}},
	{"Make", []string{"codes", "complexity", "hash", "attach", "affine"}},
	{"Ask", []string{"search", "dedup", "evaluate", "compare", "report"}},
	{"Study", []string{"dynamics", "phases", "regions", "bench"}},
	{"Set up", []string{"runtime", "completion", "version", "help"}},
}

// arrange makes root and all commands below show their verbs and flags so.
func arrange(root *cobra.Command) {
	cobra.EnableCommandSorting = false
	for _, g := range verbGroups {
		root.AddGroup(&cobra.Group{ID: g.title, Title: g.title + ":"})
		for _, name := range g.verbs {
			for _, c := range root.Commands() {
				if c.Name() == name {
					root.RemoveCommand(c)
					root.AddCommand(c)
					c.GroupID = g.title
				}
			}
		}
	}
	explainFlags(root)
	cobra.AddTemplateFunc("usage", usage)
	root.SetUsageTemplate("{{usage .}}")
}

// hide hides the flags under a heading, but for some; they go on working.
func hide(fs *pflag.FlagSet, heading string, but ...string) {
	fs.VisitAll(func(f *pflag.Flag) {
		f.Hidden = f.Hidden || headingOf(f.Name) == heading && !slices.Contains(but, f.Name)
	})
}
