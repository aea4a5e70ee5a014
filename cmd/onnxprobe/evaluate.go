package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/onnxprobe/onnxprobe/probes/encoding"
	"github.com/onnxprobe/onnxprobe/probes/text"
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
	f.codesFlags.add(fs)
	fs.StringArrayVar(&f.tests, "test", nil, "")
	fs.IntVarP(&f.K, "neighbors", "k", 9, "")
	fs.BoolVar(&f.KMeans, "kmeans", false, "")
	fs.IntVar(&f.Clusters, "clusters", 0, "")
	fs.BoolVar(&f.Logistic, "logistic", false, "")
	fs.Float64Var(&f.C, "C", 1, "")
	fs.Uint64Var(&f.Seed, "seed", 0, "")
	fs.Bool("unlabeled", false, "")
	fs.IntVar(&f.unlabeled.Sample, "sample", 1000, "")
	fs.Float64Var(&f.unlabeled.Eta, "eta", 0.175, "")
	fs.BoolVar(&f.BySite, "by-site", false, "")
	fs.StringArrayVar(&f.Sites, "sites", nil, "")
	fs.BoolVar(&f.Together, "together", false, "")
	fs.StringVar(&f.earlier, "churn", "", "")
	fs.BoolVar(&f.Kernel, "kernel-score", false, "")
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

// look says before codes are read, which may take long, what they cannot give.
func (f *evaluateFlags) look(c *cobra.Command, path string) error {
	// Whoever asks for these does not wait for K-NN.
	other := f.KMeans || f.Unlabelled != nil || f.earlier != "" || f.Kernel
	second := strings.Join(f.tests, "") // one, or none
	if second == "" && !other {
		note(c, "no K-NN and no logistic regression: they are fitted on one set and right or wrong on another, which --test CODES names")
	}
	train, known := f.labelsIn(path)
	if known && train < 2 && (f.KMeans || f.Logistic) {
		return fmt.Errorf("evaluating %s: its items have %s, and K-means and logistic regression are judged by two or more: "+
			"put pictures into a folder for each class, or cluster without labels (--unlabeled)", path, text.Count(train, "different label"))
	}
	if known && train < 2 && (second != "" || !other) {
		note(c, "no accuracy of any kind: the items of %s have %s. Labels are class folders or label columns of the data, and regions' own",
			path, text.Count(train, "different label"))
	} else if test, known := f.labelsIn(second); known && test == 0 {
		noteOnce(c, fmt.Sprintf("no accuracy: no item of %s has a label", second))
	}
	return nil
}

// labelsIn counts the different labels of a result's items. They are known where they can be
// told without reading the codes.
func (f *evaluateFlags) labelsIn(path string) (n int, known bool) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".parquet", ".npy": // of which codes need not be read
	default:
		return 0, false
	}
	items, err := encoding.Open(path, encoding.OpenOptions{On: encoding.Digest, Names: true, MaxBytes: int64(f.memory * (1 << 30))})
	if err != nil { // said when the codes are read
		return 0, false
	}
	return items.Classes(), true
}

func (f *evaluateFlags) run(c *cobra.Command, path string) error {
	if err := f.look(c, path); err != nil {
		return err
	}
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
		noteOnce(c, n)
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
