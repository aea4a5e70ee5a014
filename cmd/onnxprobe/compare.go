package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/backends"
	"github.com/onnxprobe/onnxprobe/probes"
)

func newCompare() *cobra.Command {
	var mf modelFlags
	var ef engineFlags
	var df dataFlags
	var a, b string
	c := &cobra.Command{
		Use:   "compare MODEL DATA... -a X -b Y",
		Short: "Bits that differ between two engines or settings, with margins",
		Long: `Runs the same items through two settings and counts, site by site, the bits that
differ and how far from their knot the values behind them lie. A setting is an engine
and changes to it: "ort", "ort,optimize=none", "ort,threads=1,batch=1",
"ort,device=cuda:0". With "codes=host" the codes are computed outside the graph, from the
float values before the activations: the check of the packing itself.`,
		Example: `  onnxprobe compare resnet18.onnx photos/ --preprocess imagenet -a ort -b ort,optimize=none
  onnxprobe compare resnet18.onnx --random 64 -a ort -b ort,codes=host`,
		Args: atLeast(1, "a model and data"),
		RunE: func(c *cobra.Command, args []string) error {
			m, err := mf.load(args[0])
			if err != nil {
				return err
			}
			sample, err := mf.sample(m)
			if err != nil {
				return err
			}
			ds, sample, err := df.open(c, m, args[1:], sample)
			if err != nil {
				return err
			}
			base, err := ef.options()
			if err != nil {
				return err
			}
			sa, err := setting(a, base, ef.batchFor(sample))
			if err != nil {
				return err
			}
			sb, err := setting(b, base, ef.batchFor(sample))
			if err != nil {
				return err
			}
			start := time.Now()
			show, done := progress(c, ds.Len(), "comparing")
			d, err := probes.Compare(c.Context(), m, probes.AttachOptions{Sites: mf.siteOptions(), Sample: sample, CPU: sa.Options.Device.Kind != "cuda" && sb.Options.Device.Kind != "cuda"}, ds, sa, sb, probes.RunOptions{Workers: df.workers, Progress: show})
			done()
			if err != nil {
				return err
			}
			elapsed(c, d.Summary, start, "items")
			if mf.json {
				e := json.NewEncoder(c.OutOrStdout())
				e.SetIndent("", "  ")
				err = e.Encode(d)
			} else {
				printDiff(c, d)
			}
			if err == nil && d.Failed > 0 {
				err = someFailed{d.Summary}
			}
			return err
		},
	}
	mf.add(c.Flags())
	ef.add(c.Flags())
	df.add(c.Flags())
	c.Flags().StringVarP(&a, "a", "a", "ort", "one `SETTING`")
	c.Flags().StringVarP(&b, "b", "b", "ort,optimize=none", "the other `SETTING`")
	df.addRandom(c.Flags())
	return c
}

// setting reads "ort,optimize=none,batch=1".
func setting(s string, base engine.Options, batch int) (probes.Setting, error) {
	name, rest, _ := strings.Cut(s, ",")
	st := probes.Setting{Options: base, Batch: batch}
	for _, kv := range strings.FieldsFunc(rest, func(r rune) bool { return r == ',' }) {
		k, v, _ := strings.Cut(kv, "=")
		n, nerr := strconv.Atoi(v)
		var err error
		switch k {
		case "device":
			st.Options.Device, err = engine.ParseDevice(v)
		case "threads":
			st.Options.Threads, err = n, nerr
		case "batch":
			if st.Batch, err = n, nerr; n < 1 && err == nil {
				err = fmt.Errorf("a batch has 1 sample or more")
			}
		case "optimize":
			st.Options.Optimize = v
		case "codes":
			if st.Host = v == "host"; v != "host" && v != "graph" {
				err = fmt.Errorf("codes are computed in the graph or on the host")
			}
		default:
			err = fmt.Errorf("the keys are device, threads, batch, optimize and codes")
		}
		if err != nil {
			return st, usagef("setting %q: %q: %w", s, kv, err)
		}
	}
	var err error
	st.Backend, err = backends.Find(name, st.Options)
	return st, err
}

func printDiff(c *cobra.Command, d *probes.Diff) {
	rows := [][]string{{"SITE", "BITS", "FLIPS", "ITEMS", "LARGEST MARGIN", "OF SCALE"}}
	var bits, flips int64
	for _, s := range d.Sites {
		bits, flips = bits+s.Bits, flips+s.Flips
		margin, of := "", ""
		if s.Flips > 0 {
			margin = fmt.Sprintf("%.3g", s.Margin)
			if s.Scale > 0 {
				of = fmt.Sprintf("%.2g", s.Margin/s.Scale)
			}
		}
		rows = append(rows, []string{s.Site, grouped(s.Bits), grouped(s.Flips), fmt.Sprint(s.Items), margin, of})
	}
	w := c.OutOrStdout()
	table(w, rows)
	fmt.Fprintf(w, "\n%s of %s bits differ, in %d of %d items; the model's own outputs differ by at most %.3g\n",
		grouped(flips), grouped(bits), d.Regions, d.Items-d.Failed, d.Outputs)
}
