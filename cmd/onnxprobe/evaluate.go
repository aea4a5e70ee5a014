package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/encoding"
	"github.com/onnxprobe/onnxprobe/probes/sink"
)

func newEvaluate() *cobra.Command {
	var f codesFlags
	var o encoding.EvaluateOptions
	var test, before, out string
	var sites []string
	var bySite, kernel bool
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
              on the bits, multinomial and one versus one

Codes stay packed. With --by-site, and for the sites that --sites names, each site's code is
measured too; that needs whole codes (codes without --no-code, or hash --code). Labels are
those of the data: class folders, label columns. --churn compares with the codes of the same
items by another network of the same sites, such as an earlier checkpoint; --kernel-score
gives log |det K| of "Neural Architecture Search without Training".`,
		Example: `  onnxprobe codes mnist.onnx train.npz --preprocess mnist -o train.parquet
  onnxprobe codes mnist.onnx test.npz  --preprocess mnist -o test.parquet
  onnxprobe evaluate train.parquet --test test.parquet --by-site
  onnxprobe evaluate train.parquet --test test.parquet --kmeans --logistic --json
  onnxprobe evaluate epoch10.parquet --churn epoch9.parquet`,
		Args: exactly(1, "one result with codes"),
	}
	fs := c.Flags()
	fs.StringVar(&f.on, "on", "", "what is measured: code, sketch or digest; codes where there are some, else sketches, else digests")
	fs.StringVarP(&out, "output", "o", "", "write the figures, as --json gives them, to a `FILE` with its manifest beside it")
	fs.IntVar(&f.threads, "threads", 0, "threads; 0 takes all cores")
	fs.Float64Var(&f.memory, "memory", 8, "the most `GiB` of memory that codes may take")
	fs.BoolVar(&f.force, "force", false, "replace existing results")
	fs.BoolVar(&f.json, "json", false, "print JSON instead of tables")
	fs.StringVar(&test, "test", "", "`CODES` of the test set")
	fs.IntVarP(&o.K, "neighbors", "k", 9, "how many nearest neighbors vote")
	fs.BoolVar(&o.KMeans, "kmeans", false, "cluster the codes by K-means")
	fs.IntVar(&o.Clusters, "clusters", 0, "how many clusters; 0 takes the number of labels")
	fs.BoolVar(&o.Logistic, "logistic", false, "fit logistic regression")
	fs.Float64Var(&o.C, "C", 1, "logistic regression's weight of the data against the penalty")
	fs.Uint64Var(&o.Seed, "seed", 0, "seed of K-means")
	fs.BoolVar(&bySite, "by-site", false, "measure each site's code too")
	fs.StringArrayVar(&sites, "sites", nil, "measure the codes of the sites that match a `GLOB` (repeatable), one by one")
	fs.StringVar(&before, "churn", "", "compare with `CODES` of the same items by another network")
	fs.BoolVar(&kernel, "kernel-score", false, "the NASWOT score of the (training) codes")
	c.RunE = func(c *cobra.Command, args []string) error {
		f.sheet = 1
		if err := f.check(args); err != nil {
			return err
		}
		if o.K < 1 || o.Clusters < 0 || !(o.C > 0) {
			return usagef("-k %d, --clusters %d, -C %g: want 1 or more, 0 or more, and more than 0", o.K, o.Clusters, o.C)
		}
		if out != "" {
			if err := newFile(out, f.force); err != nil {
				return usagef("-o: %w", err)
			}
			if err := keep(out, append(args, test, before)); err != nil {
				return err
			}
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
		r := evaluated{On: train.On, Items: train.Len(), Bits: train.Bits}
		whole, err := encoding.Evaluate(c.Context(), train, tested, o)
		if err != nil {
			return err
		}
		r.Evaluation = *whole
		for _, p := range parts {
			var ofTest *encoding.Codes
			if tested != nil {
				ofTest = tested.Part(p)
			}
			e, err := encoding.Evaluate(c.Context(), train.Part(p), ofTest, o)
			if err != nil {
				return err
			}
			e.Name = p.Site
			r.Sites = append(r.Sites, *e)
		}
		if earlier != nil {
			churn, err := encoding.Between(earlier, train)
			if err != nil {
				return err
			}
			r.Churn = &churn
		}
		if kernel {
			score, err := encoding.KernelScore(c.Context(), train)
			if err != nil {
				return err
			}
			r.Kernel = fmt.Sprint(score)
		}
		m := comparisonOf(c, map[string]any{"k": o.K, "clusters": o.Clusters, "c": o.C, "seed": o.Seed}, sets...)
		if out != "" {
			if err := sink.Save(out, f.force, m, r.writeJSON); err != nil {
				return err
			}
		}
		if f.json {
			return r.writeJSON(c.OutOrStdout())
		}
		return r.print(c.OutOrStdout())
	}
	return c
}

// whole reads codes, or what there is in their place.
func (f *codesFlags) whole(c *cobra.Command, path string) (*encoding.Codes, error) {
	if f.on != "" {
		return f.open(c, path, f.on, false)
	}
	if codes, err := f.open(c, path, encoding.Code, false); err == nil {
		return codes, nil
	}
	return f.open(c, path, "", false)
}

// chosen are the sites to be measured one by one.
func chosen(codes *encoding.Codes, globs []string, all bool) (parts []encoding.Part, err error) {
	if !all && globs == nil {
		return nil, nil
	}
	there := codes.Parts()
	if there == nil {
		return nil, fmt.Errorf("%s: sites can be told apart in whole codes with a manifest only, and these are codes of the kind %s; write codes without --no-code, or hash with --code", codes.Name, codes.On)
	}
	if globs == nil {
		return there, nil
	}
	var names []string
	for _, p := range there {
		names = append(names, p.Site)
		for _, g := range globs {
			ok, err := probes.MatchName(g, p.Site)
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

// evaluated is the contract of evaluate --json: redundancy, units, knn, kmeans and
// logistic of the whole codes, and of sites one by one.
type evaluated struct {
	On    string `json:"on"`
	Items int    `json:"items"`
	Bits  int    `json:"bits"`
	encoding.Evaluation
	Sites []encoding.Evaluation `json:"sites,omitempty"`
	Churn *encoding.Churn       `json:"churn,omitempty"`
	// Kernel is a number, or "-Inf".
	Kernel string `json:"kernel_score,omitempty"`
}

func (r *evaluated) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

func (r *evaluated) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "CODE\tSET\tITEMS\tREGIONS\tREDUNDANCY\tBITS\tDEAD\tSATURATED\tENTROPY")
	if r.KNN != nil {
		fmt.Fprintf(t, "\t%d-NN", r.KNN.K)
	}
	if r.KMeans != nil {
		fmt.Fprint(t, "\tPURITY\tMATCHED")
	}
	if r.Logistic != nil {
		fmt.Fprint(t, "\tLOGISTIC\tONE-VS-ONE")
	}
	fmt.Fprintln(t)
	for i, e := range append([]encoding.Evaluation{r.Evaluation}, r.Sites...) {
		name := e.Name
		if i == 0 {
			name = "all"
		}
		r.row(t, name, "train", e.Redundancy.Train, e.Units.Train, e.KMeans, false, e)
		if e.Redundancy.Test != nil {
			r.row(t, name, "test", *e.Redundancy.Test, *e.Units.Test, e.KMeans, true, e)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if k := r.KNN; k != nil {
		fmt.Fprintf(w, "%d of %d test items' nearest neighbors were chosen among equally near ones, and %d votes were even\n", k.DistanceTies, len(k.Predicted), k.VoteTies)
	}
	if x := r.Churn; x != nil {
		fmt.Fprintf(w, "churn: %d of %d items moved to another region; codes differ in %.1f bits on average (%.3g of all)\n", x.Moved, x.Items, x.Mean, x.Fraction)
	}
	if r.Kernel != "" {
		fmt.Fprintf(w, "kernel score: %s\n", r.Kernel)
	}
	return nil
}

func (r *evaluated) row(w io.Writer, name, set string, d encoding.Redundancy, u encoding.Units, k *encoding.Pair[*encoding.Clustering], test bool, e encoding.Evaluation) {
	fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%.4f\t%d\t%d\t%d\t%.3f", name, set, d.Items, d.Regions, d.Ratio, u.Bits, u.Dead, u.Saturated, u.Entropy)
	figure := func(asked, has bool, value func() float64) {
		switch {
		case has:
			fmt.Fprintf(w, "\t%.4f", value())
		case asked:
			fmt.Fprint(w, "\t")
		}
	}
	figure(r.KNN != nil, test && e.KNN != nil, func() float64 { return e.KNN.Accuracy })
	var c *encoding.Clustering
	if k != nil {
		if c = k.Train; test && k.Test != nil {
			c = *k.Test
		}
	}
	figure(r.KMeans != nil, c != nil, func() float64 { return c.Purity })
	figure(r.KMeans != nil, c != nil, func() float64 { return c.Matched })
	figure(r.Logistic != nil, test && e.Logistic != nil, func() float64 { return e.Logistic.Multinomial })
	figure(r.Logistic != nil, test && e.Logistic != nil, func() float64 { return e.Logistic.OneVsOne })
	fmt.Fprintln(w)
}
