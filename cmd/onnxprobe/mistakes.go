package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/onnxprobe/onnxprobe/onnx/filetype"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

var oddness = regexp.MustCompile(`(?i)^(outlier|anomal|novel|odd)`)

// unknown is the error of a command line that names a verb that there is not.
func unknown(c *cobra.Command, name string) error {
	if !c.HasAvailableSubCommands() {
		return usagef("%s has no steps, and %q is none of its topics; help takes one verb, step or topic", c.Name(), name)
	}
	var verbs []string
	for _, s := range c.Commands() {
		if s.IsAvailableCommand() || s.Name() == "help" {
			verbs = append(verbs, s.Name())
		}
	}
	of := ""
	if !c.HasParent() && oddness.MatchString(name) {
		return usagef("unknown verb %q; there is none for odd items: the distance between codes is not oddness, since it ranks flat and blurred "+
			"pictures as the most usual ones", name)
	}
	if c.HasParent() {
		of = " of " + c.Name()
	} else if c := instead[strings.ToLower(name)]; c != "" {
		return usagef("unknown verb %q; that is onnxprobe %s", name, c)
	}
	return usagef("unknown verb %q%s; %s", name, of, text.DidYouMean(name, "the verbs are", verbs))
}

// instead are what one may look for under a name that no verb is near.
var instead = map[string]string{
	"install": "runtime install", "update": "runtime install", "plan": "hash plan", "status": "hash status", "verify": "hash verify", "finish": "hash finish",
	"diff": "compare", "infer": "run", "predict": "run", "forward": "run", "info": "inspect", "show": "inspect", "summary": "inspect", "probe": "codes",
	"extract": "codes", "encode": "codes", "duplicates": "dedup", "similar": "search", "nearest": "search", "find": "search", "plot": "report",
	"benchmark": "bench", "train": "dynamics", "checkpoints": "dynamics", "usage": "help", "presets": "list presets", "datasets": "list datasets",
	"knn": "evaluate --test CODES", "k-nn": "evaluate --test CODES", "neighbors": "search", "sites": "inspect", "lc": "complexity",
	"preprocess": "help preprocess",
	"accuracy":   "evaluate --test CODES", "churn": "evaluate --churn CODES", "activations": "list activations",
	"backends": "list backends", "formats": "list formats", "export": "attach",
}

// flagError says what is wrong with a flag of c, by what pflag says of it.
func flagError(c *cobra.Command, err error) error {
	if args := commandLine(c); len(args) > 1 && c.RunE != nil && c.HasAvailableSubCommands() && !c.HasParent() {
		for _, a := range args[1:] { // flags of a verb that is misspelt are unknown too
			if strings.HasPrefix(a, "-") {
				continue
			}
			if verb, _, err := c.Find([]string{a}); err == nil && verb != c {
				return usagef("flags stand behind the verb: onnxprobe %s ... %s", a, args[1])
			}
			return unknown(c, a)
		}
	}
	var (
		none    *pflag.NotExistError
		bare    *pflag.ValueRequiredError
		invalid *pflag.InvalidValueError
	)
	switch {
	case errors.As(err, &none):
		return unknownFlag(c, none)
	case errors.As(err, &bare):
		f := bare.GetFlag()
		name, says := pflag.UnquoteUsage(f)
		dashes := "--"
		if len(f.Name) == 1 {
			dashes = "-"
		}
		return usagef("%s%s needs a value, %s: %s", dashes, f.Name, name, says)
	case errors.As(err, &invalid):
		f := invalid.GetFlag()
		if want := wanted[f.Value.Type()]; want != "" {
			return usagef("--%s %q: want %s", f.Name, invalid.GetValue(), want)
		}
		return usagef("--%s %q: %w", f.Name, invalid.GetValue(), errors.Unwrap(invalid))
	}
	return usagef("%w; see %s --help", err, c.CommandPath())
}

// wanted is what the values of a flag's type are, in words.
var wanted = map[string]string{
	"bool": "true or false, after an equals sign", "int": "a whole number", "int64": "a whole number", "uint64": "a whole number, 0 or more",
	"float64": "a number", "float64Slice": "a number, or several with commas between them", "intSlice": "a whole number, or several with commas between them",
}

// unknownFlag reports a flag that c does not have.
func unknownFlag(c *cobra.Command, err *pflag.NotExistError) error {
	name := err.GetSpecifiedName()
	if s := err.GetSpecifiedShortnames(); s != "" {
		if whole, _, _ := strings.Cut(s, "="); len(whole) > 1 && c.Flags().Lookup(whole) != nil {
			return usagef("unknown flag -%s; did you mean --%s?", whole, s)
		}
		return usagef("unknown flag -%s of %s; see %s --help", s, c.CommandPath(), c.CommandPath())
	}
	var names, verbs []string
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	each(c.Root(), func(other *cobra.Command) {
		if f := other.Flags().Lookup(name); f != nil && !f.Hidden {
			verbs = append(verbs, strings.TrimPrefix(other.CommandPath(), "onnxprobe "))
		}
	})
	switch near := text.Nearest(name, names); {
	case c.Flags().ShorthandLookup(name[:1]) != nil && len(name) == 1:
		return usagef("unknown flag --%s; did you mean -%s?", name, name)
	case len(verbs) > 0:
		return usagef("%s has no flag --%s, which is of %s", c.CommandPath(), name, text.First(verbs, 6))
	case len(near) > 0:
		return usagef("unknown flag --%s; did you mean --%s?", name, strings.Join(near, " or --"))
	case flagSynonyms[name] != "":
		return usagef("unknown flag --%s; did you mean %s?", name, flagSynonyms[name])
	}
	return usagef("unknown flag --%s; %s --help-all has all", name, c.CommandPath())
}

// flagSynonyms are what people call flags elsewhere.
var flagSynonyms = map[string]string{
	"gpu": "--device cuda", "cuda": "--device cuda", "layer": "--sites", "layers": "--sites", "module": "--sites",
	"normalize": "--mean and --std, or --preprocess",
	"transform": "--preprocess", "num-workers": "--decoders", "jobs": "--decoders", "fp16": "-b ort,precision=float16 of compare", "threshold": "--distance",
	"overwrite": "--force", "yes": "--force", "outdir": "-o", "out-dir": "-o", "out": "-o", "outfile": "-o", "verbose": "nothing: notes are shown unless --quiet",
	"input-shape": "--input-size", "image-size": "--input-size, or --resize", "size": "--input-size, or --resize", "onnx": "nothing: the model comes first",
	"model": "nothing: the model comes first", "data": "nothing: data comes behind the model",
	"eps": "--radius, or --epsilon of dynamics", "top-k": "--top of run, or -k",
	"engine": "--backend", "provider": "--device cuda, or --backend", "max": "--limit", "num": "--limit", "n": "--limit",
}

// needs are flags that change nothing but with one of others, "VERB FLAG" of one that is used
// alone in other verbs.
var needs = map[string][]string{
	"low": {"random", "random-points"}, "high": {"random", "random-points"}, "sheet": {"plot"},
	"codes seed": {"sketch", "random"}, "run seed": {"random"}, "compare seed": {"random"}, "affine seed": {"random"},
	"epsilon": {"attack"}, "attack-step": {"attack"}, "attack-iterations": {"attack"}, "attack-points": {"attack"}, "attack-no-start": {"attack"},
	"eta": {"unlabeled"}, "evaluate sample": {"unlabeled"}, "evaluate seed": {"kmeans", "unlabeled"},
}

// idle reports a flag that changes nothing in this run.
func idle(c *cobra.Command) (err error) {
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Changed || f.Annotations[isNow] != nil {
			return
		}
		others, of := needs[c.Name()+" "+f.Name]
		if !of {
			others = needs[f.Name]
		}
		given, has := others == nil, []string{}
		for _, name := range others {
			if other := c.Flags().Lookup(name); other != nil {
				given, has = given || other.Changed, append(has, "--"+name)
			}
		}
		if !given && err == nil {
			err = usagef("--%s changes nothing here; it goes with %s", f.Name, strings.Join(has, " or "))
		}
	})
	return err
}

// each calls f of a command and those below it.
func each(c *cobra.Command, f func(*cobra.Command)) {
	f(c)
	for _, below := range c.Commands() {
		each(below, f)
	}
}

// spaced reports arguments that were meant as values of a flag that takes several with commas,
// or one after an equals sign.
func spaced(c *cobra.Command, args []string) (err error) {
	for i, a := range args {
		if _, no := strconv.ParseFloat(a, 64); no != nil {
			continue
		}
		if _, no := os.Stat(a); no == nil {
			continue
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if kind := f.Value.Type(); f.Changed && err == nil && (kind == "float64Slice" || kind == "intSlice" || f.Name == "mean" || f.Name == "std") {
				err = usagef("%q is no file; several values of --%s have commas between them: --%s %s,%s",
					a, f.Name, f.Name, plain(f.Value.String()), strings.Join(numbersOf(args[i:]), ","))
			}
		})
	}
	return err
}

// plain is the value of a flag of several numbers without pflag's brackets and zeros.
func plain(value string) string {
	numbers := strings.Split(strings.Trim(value, "[]"), ",")
	for i, n := range numbers {
		if x, err := strconv.ParseFloat(n, 64); err == nil {
			numbers[i] = strconv.FormatFloat(x, 'g', -1, 64)
		}
	}
	return strings.Join(numbers, ",")
}

// roles reports files that are given in the place of others: what a verb makes of them would say
// less, and later.
func roles(c *cobra.Command, args []string) error {
	use := strings.Fields(c.Use)
	if len(args) == 0 || len(use) < 2 {
		return nil
	}
	if _, err := os.Stat(args[0]); err != nil && c.HasAvailableSubCommands() && !strings.ContainsAny(args[0], `./\`) {
		var steps []string
		for _, s := range c.Commands() {
			steps = append(steps, s.Name())
		}
		if near := text.Nearest(args[0], steps); near != nil {
			return usagef("%q is no file, and no step of %s; did you mean %s %s?", args[0], c.Name(), c.Name(), strings.Join(near, " or "))
		}
	}
	if _, err := os.Stat(filepath.Join(args[0], "plan.json")); err == nil && c.Name() == "hash" {
		return usagef("%s is a job, and hash makes one of a model and data; onnxprobe hash run %s goes on with it, then onnxprobe hash finish %s",
			args[0], args[0], args[0])
	}
	first := filetype.OfFile(args[0])
	switch use[1] {
	case "TABLE.csv":
		if first.Name == filetype.ONNX {
			return usagef("%s is an ONNX model, and phases reads a table that lists models; dynamics follows one over its checkpoints", args[0])
		}
	case "CODES":
		if len(args) > 1 && first.Name == "" {
			return nil // said with what the verb takes
		}
		if first.Name == filetype.ONNX || strings.HasSuffix(first.Name, "picture") {
			return usagef("%s is %s, and %s reads codes; make them first: onnxprobe codes MODEL DATA -o codes.parquet", args[0], first.Name, c.Name())
		}
	case "MODEL":
		for _, a := range args[1:] {
			if !strings.EqualFold(filepath.Ext(a), ".onnx") || filetype.OfFile(a).Name != filetype.ONNX {
				continue
			}
			switch {
			case first.Name != filetype.ONNX:
				return usagef("%s is a model, and %s takes it first: onnxprobe %s", a, c.Name(), c.Use)
			case c.Name() == "compare":
				return usagef("%s is a second model, and compare holds two engines or settings against each other, of one. Two checkpoints "+
					"are compared by their codes: onnxprobe codes %s DATA -o a.parquet, onnxprobe codes %s DATA -o b.parquet, then "+
					"onnxprobe evaluate b.parquet --churn a.parquet --by-site; many by onnxprobe dynamics", a, args[0], a)
			}
			return usagef("%s is a second model, and %s takes one; run it for each", a, c.Name())
		}
	}
	return nil
}

// numbersOf are the numbers that args begin with.
func numbersOf(args []string) (all []string) {
	for _, a := range args {
		if _, err := strconv.ParseFloat(a, 64); err != nil {
			break
		}
		all = append(all, a)
	}
	return all
}

// topicError is of help about something that there is not.
func topicError(root *cobra.Command, name string) error {
	all := slices.Clone(topics)
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() {
			all = append(all, c.Name())
		}
	}
	return fmt.Errorf("there is no help about %q; %s", name, text.DidYouMean(name, "there is about", all))
}
