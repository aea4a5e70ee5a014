package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/probes/encoding"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

// accuracies are those of an evaluation that are shown.
var accuracies = []struct {
	name string
	of   func(a encoding.Accuracies) float64
}{
	{"K nearest neighbors", func(a encoding.Accuracies) float64 { return a.KNN }},
	{"logistic regression", func(a encoding.Accuracies) float64 { return a.Multinomial }},
	{"K-means, purity", func(a encoding.Accuracies) float64 { return a.Purity }},
	{"K-means, one-to-one", func(a encoding.Accuracies) float64 { return a.Matched }},
	{"clusters without labels, one-to-one", func(a encoding.Accuracies) float64 { return a.Unlabelled }},
	{networkItself, func(a encoding.Accuracies) float64 { return a.Network }},
}

const networkItself = "the network itself"

// evaluation shows the encoding properties of codes.
func evaluation(r *shown, b []byte) error {
	var e encoding.Evaluated
	if err := json.Unmarshal(b, &e); err != nil {
		return fmt.Errorf("reading the evaluation: %w", err)
	}
	r.Kind, e.Name = "evaluate", "all"
	all := append([]encoding.Evaluation{e.Evaluation}, e.Sites...)
	if len(all) > maxSites {
		return fmt.Errorf("it is of %d sites; %d are shown at the most", len(all), maxSites)
	}
	a := alikeBy(cmp.Or(e.On, encoding.Code), e.Smooth)
	r.Tables = append(r.Tables, encodings(all, a))
	if c := e.Churn; c != nil {
		said := fmt.Sprintf("Churn: %s of %s moved to another %s.", text.Grouped(c.Moved), text.Count(c.Items, "item"), strings.TrimPrefix(a.region, "linear "))
		if c.Mean != nil {
			said += fmt.Sprintf(" Codes differ in %.1f bits on average.", *c.Mean)
		}
		r.found("%s", said)
	}
	moved(r, e.Sites)
	if e.Kernel != "" {
		r.Notes = append(r.Notes, "Kernel score (NASWOT): "+e.Kernel+".")
	}
	r.evaluated(all, a)
	r.smooth(e.Smooth)
	var sites []string
	for _, x := range all {
		sites = append(sites, x.Name)
	}
	accuracy(r, sites, all)
	redundancy(r, sites, all, a)
	unlabelled(r, all)
	return nil
}

// encodings is the table of all sets.
func encodings(all []encoding.Evaluation, a alike) Table {
	t := Table{Caption: "Encoding properties", Head: []string{"code", "set", "items",
		strings.TrimPrefix(a.different(), "linear "), "redundancy", "bits", "dead", "saturated", "entropy"}}
	var shown []int
	for i, m := range accuracies {
		if slices.ContainsFunc(all, func(e encoding.Evaluation) bool {
			return finite(m.of(e.Accuracies(false))) || finite(m.of(e.Accuracies(true)))
		}) {
			t.Head, shown = append(t.Head, m.name), append(shown, i)
		}
	}
	for i := range all {
		x := &all[i]
		row := func(set string, test bool, d encoding.Redundancy, u *encoding.Units) {
			line := cells(x.Name, set, d.Items, d.Regions, fmt.Sprintf("%.4f", d.Ratio), "", "", "", "")
			if u != nil {
				copy(line[5:], cells(u.Bits, u.Dead, u.Saturated, fmt.Sprintf("%.3f", u.Entropy)))
			}
			for _, k := range shown {
				share := fmt.Sprintf("%.4f", accuracies[k].of(x.Accuracies(test)))
				line = append(line, strings.TrimPrefix(share, "NaN"))
			}
			t.Rows = append(t.Rows, line)
		}
		units := encoding.Pair[*encoding.Units]{Test: new(*encoding.Units)}
		if u := x.Units; u != nil {
			units.Train, *units.Test = &u.Train, u.Test
		}
		row("train", false, x.Redundancy.Train, units.Train)
		if x.Redundancy.Test != nil {
			row("test", true, *x.Redundancy.Test, *units.Test)
		}
	}
	return t
}

// accuracy draws how well labels follow from the codes, on the test set where there is
// one, beside the network's own answers.
func accuracy(r *shown, sites []string, all []encoding.Evaluation) {
	var dots []dotSeries
	for _, m := range accuracies {
		d := dotSeries{Name: m.name, Across: m.name == networkItself && len(all) > 1}
		for i := range all {
			v := m.of(all[i].Accuracies(true))
			if math.IsNaN(v) {
				v = m.of(all[i].Accuracies(false))
			}
			d.Values = append(d.Values, span{100 * v, 100 * v, 100 * v})
		}
		if d.Across {
			d.Values = d.Values[:1] // it is of the whole codes
		}
		if slices.ContainsFunc(d.Values, func(v span) bool { return !math.IsNaN(v.Value) }) {
			dots = append(dots, d)
		}
	}
	r.figure("Accuracy from the codes alone",
		"How well the labels follow from the codes: on the test set, clusters on the set that they are of. What "+
			"the network itself answers is for comparison.")(
		dotChart("accuracy", axisTitles{X: "accuracy (%)"}, sites, dots...))
}

func redundancy(r *shown, sites []string, all []encoding.Evaluation, a alike) {
	train, test := barSeries{Name: "training set"}, barSeries{Name: "test set"}
	for _, x := range all {
		train.Values = append(train.Values, x.Redundancy.Train.Ratio)
		if x.Redundancy.Test != nil {
			test.Values = append(test.Values, x.Redundancy.Test.Ratio)
		}
	}
	bars := []barSeries{train}
	if len(test.Values) == len(sites) {
		bars = append(bars, test)
	}
	if slices.Max(slices.Concat(train.Values, test.Values)) == 0 {
		if r.note("Every item has a %s of its own%s: redundancy is 0.", a.region, a.sign); len(r.Figures) > 0 {
			return
		}
	}
	r.figure("Redundancy of the codes", fmt.Sprintf("0 where every item has a %s of its own.", a.region))(
		barChart("redundancy", fmt.Sprintf("redundancy (items - %s) / items", strings.TrimPrefix(a.different(), "linear ")), sites, bars...))
}

// unlabelled shows the clusters that codes have by themselves, and their rates.
func unlabelled(r *shown, all []encoding.Evaluation) {
	t := Table{Caption: "Without labels: spectral " +
		"clusters of the affinity of codes (UMLC)", Head: []string{"code", "items", "of", "clusters", "sizes",
		"coding length (nats)", "rate", "conditional", "reduction", "purity", "one-to-one"}}
	var sites []string
	rate, conditional := barSeries{Name: "rate of all items"}, barSeries{Name: "given the clusters"}
	length := barSeries{Name: "coding length"}
	for i := range all {
		u := all[i].Unlabelled
		if u == nil {
			continue
		}
		part := func(v *float64) string {
			if v == nil {
				return ""
			}
			return fmt.Sprintf("%.4f", *v)
		}
		t.Rows = append(t.Rows, cells(all[i].Name, u.Items, u.Of, u.Clusters, name(fmt.Sprint(u.Sizes), 60),
			num(u.CodingLength), num(u.Rate), num(u.Conditional), num(u.Reduction), part(u.Purity), part(u.Matched)))
		sites = append(sites, all[i].Name)
		rate.Values, conditional.Values, length.Values = append(rate.Values, u.Rate), append(conditional.Values, u.Conditional), append(length.Values, u.CodingLength)
	}
	if sites == nil {
		return
	}
	r.Tables = append(r.Tables, t)
	r.figure("Rate reduction of clusters found without labels",
		"The difference of the two bars is the rate reduction: large where the clusters lie apart and each is tight.")(
		barChart("rates", "rate (nats)", sites, rate, conditional))
	r.figure("Coding length of the clusters",
		"What it takes to code the items cluster by cluster, labels included; of several numbers of clusters "+
			"the one with the least is taken.")(
		barChart("coding-length", "coding length (nats)", sites, length))
}
