package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/onnxprobe/onnxprobe/probes/encoding"
)

// evaluateFlags are those of evaluate.
type evaluateFlags struct {
	codesFlags
	encoding.MeasureOptions
	unlabeled encoding.UnlabelledOptions
	tests     []string // one
	earlier   string
}

func newEvaluate() *cobra.Command {
	var f evaluateFlags
	c := command("evaluate", exactly(1, "one result with codes"))
	f.add(c.Flags())
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := f.check(c, args[0]); err != nil {
			return err
		}
		return f.run(c, args[0])
	}
	return c
}

func (f *evaluateFlags) add(fs *pflag.FlagSet) {
	f.codesFlags.add(fs,
		"what is measured: code, channels, sketch or digest; codes where there are some, else sketches, channels, digests",
		"write the figures, as --json gives them, to a `FILE` with its manifest beside it")
	fs.StringArrayVar(&f.tests, "test", nil, "")
	fs.IntVarP(&f.K, "neighbors", "k", 9, "how many nearest neighbors vote")
	fs.BoolVar(&f.KMeans, "kmeans", false, "cluster the codes by K-means")
	fs.IntVar(&f.Clusters, "clusters", 0,
		"how many clusters; 0 takes the number of labels, and without labels that of the least coding length")
	fs.BoolVar(&f.Logistic, "logistic", false, "fit logistic regression")
	fs.Float64Var(&f.C, "C", 1, "logistic regression's weight of the data against the penalty")
	fs.Uint64Var(&f.Seed, "seed", 0, "seed of clusters and of --sample")
	fs.Bool("unlabeled", false, "cluster the codes of the training set without labels")
	fs.IntVar(&f.unlabeled.Sample, "sample", 1000,
		"the most items that --unlabeled takes, 2 to 2048; the time grows with its cube, 1000 take seconds")
	fs.Float64Var(&f.unlabeled.Eta, "eta", 0.175,
		"temperature of the affinity of --unlabeled; less joins only nearer items")
	fs.BoolVar(&f.BySite, "by-site", false, "measure each site's code too")
	fs.StringArrayVar(&f.Sites, "sites", nil,
		"measure the codes of the sites that match a `GLOB` (repeatable), one by one")
	fs.BoolVar(&f.Together, "together", false, "measure the sites of --sites as one code")
	fs.StringVar(&f.earlier, "churn", "", "compare with `CODES` of the same items by another network")
	fs.BoolVar(&f.Kernel, "kernel-score", false, "the NASWOT score of the (training) codes")
}

// check reports what is wrong with the flags before anything is read.
func (f *evaluateFlags) check(c *cobra.Command, path string) error {
	u := &f.unlabeled
	f.logits, f.Threads = true, f.threads
	if len(f.tests) > 1 {
		return usagef("--test is given %d times; evaluate takes the CODES of one test set", len(f.tests))
	}
	if on, _ := c.Flags().GetBool("unlabeled"); on {
		f.Unlabelled = u
	}
	if f.K < 1 || f.Clusters < 0 || !(f.C > 0) {
		return usagef("-k %d, --clusters %d, -C %g: want 1 or more, 0 or more, and more than 0", f.K, f.Clusters, f.C)
	}
	if u.Sample < 2 || u.Sample > 2048 || !(u.Eta > 0) {
		return usagef("--sample %d, --eta %g: want 2 to 2048, and more than 0", u.Sample, u.Eta)
	}
	for _, name := range []string{"logistic", "C", "neighbors"} {
		if f.tests == nil && c.Flags().Changed(name) {
			return usagef("--%s goes with --test, the set that is predicted", name)
		}
	}
	if c.Flags().Changed("clusters") && !f.KMeans && f.Unlabelled == nil {
		return usagef("--clusters goes with --kmeans or --unlabeled")
	}
	if f.Together && f.Sites == nil {
		return usagef("--together goes with --sites, which names what is taken together")
	}
	inputs := append([]string{path, f.earlier}, f.tests...)
	if err := newOutput("-o", f.output, f.force, inputs); err != nil {
		return err
	}
	return f.codesFlags.check(inputs)
}

func (f *evaluateFlags) run(c *cobra.Command, path string) error {
	kinds := []string{encoding.Code, ""}
	if f.on != "" {
		kinds = []string{f.on}
	}
	train, err := f.open(c, path, false, kinds...)
	if err != nil {
		return err
	}
	sets := []*encoding.Codes{train}
	for _, other := range []struct {
		path string
		set  **encoding.Codes
	}{{strings.Join(f.tests, ""), &f.Test}, {f.earlier, &f.Earlier}} {
		if other.path == "" {
			continue
		}
		if *other.set, err = f.open(c, other.path, false, train.On); err != nil {
			return err
		}
		sets = append(sets, *other.set)
	}
	r, err := encoding.Measure(c.Context(), train, f.MeasureOptions)
	if errors.Is(err, encoding.ErrNoSites) {
		err = fmt.Errorf("%w; write codes with --code, or hash with --code or --channels", err)
	}
	if err != nil {
		return err
	}
	for _, n := range r.Notes {
		note(c, "%s", n)
	}
	if u := r.Unlabelled; u != nil && u.Chosen && r.Bits > u.Items {
		note(c, "clusters without labels: with more bits (%d) than items (%d) the coding length is least for few clusters; "+
			"--clusters asks for another number", r.Bits, u.Items)
	}
	m := manifestOfCodes(c, map[string]any{
		"k": f.K, "clusters": f.Clusters, "c": f.C, "seed": f.Seed, "sites": f.Sites, "together": f.Together,
		"unlabelled": f.Unlabelled != nil, "sample": f.unlabeled.Sample, "eta": f.unlabeled.Eta,
	}, sets...)
	show, asJSON := r.Text, func(w io.Writer) error { return printJSON(w, r) }
	if f.output != "" {
		if err := save(f.output, f.force, m, asJSON); err != nil {
			return err
		}
	}
	if f.json {
		show = asJSON
	}
	return f.plot.printed(c, show(c.OutOrStdout()), path, r)
}
