package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/onnxprobe/onnxprobe/probes/encoding"
)

// evaluateFlags are those of evaluate.
type evaluateFlags struct {
	codesFlags
	encoding.MeasureOptions
	unlabeled     encoding.UnlabelledOptions
	test, earlier string
}

func newEvaluate() *cobra.Command {
	var f evaluateFlags
	c := &cobra.Command{
		Use:   "evaluate CODES [--test CODES]",
		Short: "What codes say: redundancy, use of units, K-NN, K-means, logistic regression",
		Long: `Measures the encoding properties of "Neural networks behave as hash encoders" on codes that
codes or hash wrote, of a training set and with --test of a test set:

  redundancy  (items - regions) / items: 0 when every item has a linear region of its own
              (dedup lists the items that share one)
  units       bits that are 0 (dead) or 1 (saturated) for every item, and the mean entropy
  K-NN        accuracy on the test set of a vote of the -k nearest training items in Hamming
              distance; equally near ones vote in the order of rows, of equal votes the
              smallest label wins, and both kinds of tie are counted
  K-means     with --kmeans, of each set on its own: k-means++ from --seed, ten starts; purity
              (several clusters may stand for a label) and the best one-to-one match
  logistic    with --logistic, accuracy on the test set of L2-regularised logistic regression
              on the bits, multinomial and one versus one. Its time grows with items, bits and
              labels: seconds for thousands of bits, minutes for tens of thousands
  network     where hash --logits wrote the network's output: how often its largest entry is
              the label, for comparison; labels must number classes as the network does
  unlabelled  with --unlabeled, clusters of a --sample of the training set found without
              labels ("Unsupervised Manifold Linearizing and Clustering"): spectral ones of
              the doubly stochastic affinity of temperature --eta, as many as --clusters says
              or as have the least coding length, of 2 to 20 (of more bits than items that is
              few: say --clusters); how they agree with labels; and the rate reduction, of 256
              items at most, as it takes a determinant for each

Codes stay packed. With --by-site, and for the sites that --sites names, each site's code is
measured too, or with --together that of all sites that --sites names as one code; that needs
whole codes (codes without --no-code, or hash --code), or the channel codes of pictures (hash
--channels). Labels are those of the data: class folders, label columns. --churn compares with
the codes of the same items by another network of the same sites, such as an earlier
checkpoint; --kernel-score gives log |det K| of "Neural Architecture Search without Training".`,
		Example: `  onnxprobe codes mnist.onnx train.npz --preprocess mnist -o train.parquet
  onnxprobe codes mnist.onnx test.npz  --preprocess mnist -o test.parquet
  onnxprobe evaluate train.parquet --test test.parquet --by-site --plot accuracy.svg
  onnxprobe evaluate train.parquet --test test.parquet --kmeans --logistic --json
  onnxprobe evaluate train.parquet --test test.parquet --sites 'layer4*' --together
  onnxprobe evaluate train.parquet --unlabeled --sample 500
  onnxprobe evaluate job --on channels --by-site
  onnxprobe evaluate epoch10.parquet --churn epoch9.parquet`,
		Args: exactly(1, "one result with codes"),
	}
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
	fs.StringVar(&f.test, "test", "", "`CODES` of the test set")
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
		if f.test == "" && c.Flags().Changed(name) {
			return usagef("--%s goes with --test, the set that is predicted", name)
		}
	}
	if c.Flags().Changed("clusters") && !f.KMeans && f.Unlabelled == nil {
		return usagef("--clusters goes with --kmeans or --unlabeled")
	}
	if f.Together && f.Sites == nil {
		return usagef("--together goes with --sites, which names what is taken together")
	}
	inputs := []string{path, f.test, f.earlier}
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
	}{{f.test, &f.Test}, {f.earlier, &f.Earlier}} {
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
		err = fmt.Errorf("%w; write codes without --no-code, or hash with --code or --channels", err)
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
	if f.output != "" {
		if err := save(f.output, f.force, m, asJSON(r)); err != nil {
			return err
		}
	}
	show := r.Text
	if f.json {
		show = asJSON(r)
	}
	return f.plot.printed(c, show(c.OutOrStdout()), path, r)
}
