package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/onnxprobe/onnxprobe/probes/encoding"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

func newEvaluate() *cobra.Command {
	var f codesFlags
	var o encoding.EvaluateOptions
	var test, before, out string
	var sites []string
	var bySite, together, unlabelled, kernel bool
	var u encoding.UnlabelledOptions
	var plot plotFlag
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
  unlabelled  with --unlabelled, clusters of a --sample of the training set found without
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
  onnxprobe evaluate train.parquet --unlabelled --sample 500
  onnxprobe evaluate job --on channels --by-site
  onnxprobe evaluate epoch10.parquet --churn epoch9.parquet`,
		Args: exactly(1, "one result with codes"),
	}
	fs := c.Flags()
	fs.StringVar(&f.on, "on", "", "what is measured: code, channels, sketch or digest; codes where there are some, else sketches, channels, digests")
	fs.StringVarP(&out, "output", "o", "", "write the figures, as --json gives them, to a `FILE` with its manifest beside it")
	fs.IntVar(&f.threads, "threads", 0, "threads; 0 takes all cores")
	fs.Float64Var(&f.memory, "memory", 8, "the most `GiB` of memory that codes may take")
	fs.BoolVar(&f.force, "force", false, "replace existing results")
	fs.BoolVar(&f.json, "json", false, "print JSON instead of tables")
	fs.StringVar(&test, "test", "", "`CODES` of the test set")
	fs.IntVarP(&o.K, "neighbors", "k", 9, "how many nearest neighbors vote")
	fs.BoolVar(&o.KMeans, "kmeans", false, "cluster the codes by K-means")
	fs.IntVar(&o.Clusters, "clusters", 0, "how many clusters; 0 takes the number of labels, and without labels that of the least coding length")
	fs.BoolVar(&o.Logistic, "logistic", false, "fit logistic regression")
	fs.Float64Var(&o.C, "C", 1, "logistic regression's weight of the data against the penalty")
	fs.Uint64Var(&o.Seed, "seed", 0, "seed of clusters and of --sample")
	fs.BoolVar(&unlabelled, "unlabelled", false, "cluster the codes of the training set without labels")
	fs.IntVar(&u.Sample, "sample", 1000, "the most items that --unlabelled takes, 2 to 2048; the time grows with its cube, 1000 take seconds")
	fs.Float64Var(&u.Eta, "eta", 0.175, "temperature of the affinity of --unlabelled; less joins only nearer items")
	fs.BoolVar(&bySite, "by-site", false, "measure each site's code too")
	fs.StringArrayVar(&sites, "sites", nil, "measure the codes of the sites that match a `GLOB` (repeatable), one by one")
	fs.BoolVar(&together, "together", false, "measure the sites of --sites as one code")
	fs.StringVar(&before, "churn", "", "compare with `CODES` of the same items by another network")
	fs.BoolVar(&kernel, "kernel-score", false, "the NASWOT score of the (training) codes")
	plot.add(fs)
	c.RunE = func(c *cobra.Command, args []string) error {
		f.sheet, f.logits = 1, true
		if err := f.check(args); err != nil {
			return err
		}
		if o.K < 1 || o.Clusters < 0 || !(o.C > 0) {
			return usagef("-k %d, --clusters %d, -C %g: want 1 or more, 0 or more, and more than 0", o.K, o.Clusters, o.C)
		}
		if u.Sample < 2 || u.Sample > 2048 || !(u.Eta > 0) {
			return usagef("--sample %d, --eta %g: want 2 to 2048, and more than 0", u.Sample, u.Eta)
		}
		if unlabelled {
			o.Unlabelled = &u
		}
		if test == "" {
			for _, name := range []string{"logistic", "C", "neighbors"} {
				if c.Flags().Changed(name) {
					return usagef("--%s goes with --test, the set that is predicted", name)
				}
			}
		}
		if c.Flags().Changed("clusters") && !o.KMeans && !unlabelled {
			return usagef("--clusters goes with --kmeans or --unlabelled")
		}
		if together && sites == nil {
			return usagef("--together goes with --sites, which names what is taken together")
		}
		if out != "" {
			if err := newFile(out, f.force); err != nil {
				return usagef("-o: %w", err)
			}
			if err := keep(out, append(args, test, before)); err != nil {
				return err
			}
		}
		if err := plot.check(out, f.force, args[0], test, before); err != nil {
			return err
		}
		train, err := f.whole(c, args[0])
		if err != nil {
			return err
		}
		sets := []*encoding.Codes{train}
		other := func(path, flag string) (*encoding.Codes, error) {
			if path == "" {
				return nil, nil
			}
			x, err := f.open(c, path, train.On, false)
			if err == nil { // which says more than that the codes are of other lengths
				err = encoding.SameSites(train, x)
			}
			if err == nil && x.Width() != train.Width() {
				err = fmt.Errorf("--%s: %s has codes of %d bytes, %s of %d", flag, path, x.Width(), args[0], train.Width())
			}
			sets = append(sets, x)
			return x, err
		}
		tested, err := other(test, "test")
		if err != nil {
			return err
		}
		if tested != nil {
			if err := encoding.Comparable(train, tested); err != nil {
				return err
			}
		}
		earlier, err := other(before, "churn")
		if err != nil {
			return err
		}
		parts, err := chosen(train, sites, bySite)
		if err != nil {
			return err
		}
		o.Threads = f.threads
		r := evaluated{encoding.Evaluated{On: train.On, Items: train.Len(), Bits: train.Bits}}
		whole, err := encoding.Evaluate(c.Context(), train, tested, o)
		if err != nil {
			return err
		}
		r.Evaluation = *whole
		if train.On == encoding.Digest {
			note(c, "%s holds digests only, which are equal or not: redundancy and churn are all they tell; codes, channel codes and sketches tell more", train.Name)
		} else if tested != nil && whole.KNN == nil {
			note(c, "no K-NN: it takes %s with labels, and two labels; %s has %s", count(o.K, "training item"), train.Name, count(train.Len(), "item"))
		}
		for _, g := range siteGroups(parts, sites, together) {
			var ofTest *encoding.Codes
			if tested != nil {
				ofTest = tested.Group(g.name, g.parts)
			}
			e, err := encoding.Evaluate(c.Context(), train.Group(g.name, g.parts), ofTest, o)
			if err != nil {
				return err
			}
			e.Name = g.name
			r.Sites = append(r.Sites, *e)
		}
		if earlier != nil {
			churn, err := encoding.Between(earlier, train)
			if err != nil {
				return err
			}
			r.Churn = &churn
			if n := max(earlier.Len(), train.Len()) - churn.Items; n > 0 {
				note(c, "churn: %s %s in one of the two only, and left out", count(n, "item"), are(n))
			}
		}
		if kernel {
			score, err := encoding.KernelScore(c.Context(), train)
			if err != nil {
				return err
			}
			r.Kernel = fmt.Sprint(score)
		}
		if u := r.Unlabelled; u != nil && u.Chosen && r.Bits > u.Items {
			note(c, "clusters without labels: with more bits (%d) than items (%d) the coding length is least for few clusters; --clusters asks for another number", r.Bits, u.Items)
		}
		m := manifestOfCodes(c, map[string]any{"k": o.K, "clusters": o.Clusters, "c": o.C, "seed": o.Seed, "sites": sites, "together": together, "unlabelled": unlabelled, "sample": u.Sample, "eta": u.Eta}, sets...)
		if out != "" {
			if err := save(out, f.force, m, r.writeJSON); err != nil {
				return err
			}
		}
		show := r.print
		if f.json {
			show = r.writeJSON
		}
		return plot.printed(c, show(c.OutOrStdout()), args[0], &r.Evaluated)
	}
	return c
}

// whole reads codes, or what there is in their place.
func (f *codesFlags) whole(c *cobra.Command, path string) (*encoding.Codes, error) {
	if f.on != "" {
		return f.open(c, path, f.on, false)
	}
	codes, err := f.open(c, path, encoding.Code, false)
	var none *encoding.NoCodesError
	if !errors.As(err, &none) { // there are codes: sketches would be another measure
		return codes, err
	}
	return f.open(c, path, "", false)
}

// siteGroup is what is measured as one code.
type siteGroup struct {
	name  string
	parts []encoding.Part
}

// siteGroups are the chosen sites one by one, or together.
func siteGroups(parts []encoding.Part, globs []string, together bool) (all []siteGroup) {
	if together {
		return []siteGroup{{fmt.Sprintf("%s (%s)", strings.Join(globs, ", "), count(len(parts), "site")), parts}}
	}
	for _, p := range parts {
		all = append(all, siteGroup{p.Site, []encoding.Part{p}})
	}
	return all
}

// chosen are the sites to be measured.
func chosen(codes *encoding.Codes, globs []string, all bool) (parts []encoding.Part, err error) {
	if !all && globs == nil {
		return nil, nil
	}
	there := codes.Parts()
	if there == nil {
		return nil, fmt.Errorf("%s: sites can be told apart in whole codes, and in the channel codes of pictures, with a manifest only, and these are codes of the kind %s; write codes without --no-code, or hash with --code or --channels", codes.Name, codes.On)
	}
	if globs == nil {
		return there, nil
	}
	var names []string
	for _, p := range there {
		names = append(names, p.Site)
		for _, g := range globs {
			ok, err := site.Match(g, p.Site)
			if err != nil {
				return nil, usagef("--sites %q: %w", g, err)
			}
			if ok {
				parts = append(parts, p)
				break
			}
		}
	}
	if parts == nil {
		return nil, usagef("--sites: no site matches %q; the codes have %d: %q", globs, len(names), names)
	}
	return parts, nil
}
