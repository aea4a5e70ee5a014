package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/onnxprobe/onnxprobe/probes/encoding"
)

// evaluated is what evaluate prints, in a table or as JSON.
type evaluated struct{ encoding.Evaluated }

func (r *evaluated) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r.Evaluated)
}

func (r *evaluated) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "CODE\tSET\tITEMS\tREGIONS\tREDUNDANCY")
	if r.Units != nil {
		fmt.Fprint(t, "\tBITS\tDEAD\tSATURATED\tENTROPY")
	}
	if r.KNN != nil {
		fmt.Fprintf(t, "\t%d-NN", r.KNN.K)
	}
	if r.KMeans != nil {
		fmt.Fprint(t, "\tPURITY\tMATCHED")
	}
	if r.Logistic != nil {
		fmt.Fprint(t, "\tLOGISTIC\tONE-VS-ONE")
	}
	if r.Network != nil {
		fmt.Fprint(t, "\tNETWORK")
	}
	fmt.Fprintln(t)
	all := append([]encoding.Evaluation{r.Evaluation}, r.Sites...)
	all[0].Name = "all"
	for _, e := range all {
		name := e.Name
		var train, test *encoding.Units
		if e.Units != nil {
			train, test = &e.Units.Train, e.Units.Test
		}
		r.row(t, name, "train", e.Redundancy.Train, train, e.KMeans, false, e)
		if e.Redundancy.Test != nil {
			r.row(t, name, "test", *e.Redundancy.Test, test, e.KMeans, true, e)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, e := range all {
		if e.Unlabelled != nil {
			printUnlabelled(w, e.Name, e.Unlabelled)
		}
	}
	if k := r.KNN; k != nil {
		fmt.Fprintf(w, "nearest neighbors were chosen among equally near ones for %d of %s, and votes were even for %d\n", k.DistanceTies, count(len(k.Predicted), "test item"), k.VoteTies)
	}
	if x := r.Churn; x != nil {
		fmt.Fprintf(w, "churn: %d of %s moved to another region", x.Moved, count(x.Items, "item"))
		if x.Mean != nil {
			fmt.Fprintf(w, "; codes differ in %.1f bits on average (%.3g of all)", *x.Mean, *x.Fraction)
		}
		fmt.Fprintln(w)
	}
	if r.Kernel != "" {
		fmt.Fprintf(w, "kernel score: %s\n", r.Kernel)
	}
	return nil
}

func (r *evaluated) row(w io.Writer, name, set string, d encoding.Redundancy, u *encoding.Units, k *encoding.Pair[*encoding.Clustering], test bool, e encoding.Evaluation) {
	fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%.4f", name, set, d.Items, d.Regions, d.Ratio)
	if u != nil {
		fmt.Fprintf(w, "\t%d\t%d\t%d\t%.3f", u.Bits, u.Dead, u.Saturated, u.Entropy)
	}
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
	var own *encoding.Accuracy
	if e.Network != nil {
		if own = e.Network.Train; test {
			own = e.Network.Test
		}
	}
	figure(r.Network != nil, own != nil, func() float64 { return own.Accuracy })
	fmt.Fprintln(w)
}

// printUnlabelled says what clusters there are.
func printUnlabelled(w io.Writer, name string, u *encoding.Unlabelled) {
	fmt.Fprintf(w, "%s, without labels: %d of %s in %s of %v, coding length %.4g", name, u.Items, count(u.Of, "item"), count(u.Clusters, "cluster"), u.Sizes, u.CodingLength)
	if u.Matched != nil {
		fmt.Fprintf(w, "; purity %.4f, matched %.4f", *u.Purity, *u.Matched)
	}
	fmt.Fprintf(w, "; rate %.4g, conditional %.4g, reduction %.4g (of %s)\n", u.Rate, u.Conditional, u.Reduction, count(u.RateItems, "item"))
}
