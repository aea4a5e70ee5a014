package encoding

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/onnxprobe/onnxprobe/probes/site"
)

// MeasureOptions say what Measure finds out about a set of codes beside what Evaluate does.
type MeasureOptions struct {
	EvaluateOptions
	// Test is the test set, and Earlier holds codes of the same items by another network
	// of the same sites; nil for none.
	Test, Earlier *Codes
	// BySite measures the code of each site too, Sites those of the sites that these globs
	// match, and with Together their codes as one.
	BySite   bool
	Sites    []string
	Together bool
	// Kernel asks for the KernelScore.
	Kernel bool
}

// ErrNoSites says that the codes of sites cannot be told apart.
var ErrNoSites = errors.New(
	"sites can be told apart in whole codes, and in the channel codes of pictures, with a manifest only")

// Measure says what the codes of train say, and those of their sites, and how they carry
// over to a test set. Sets that cannot be compared are an error, as is a glob that matches
// no site, a *site.PatternError.
func Measure(ctx context.Context, train *Codes, o MeasureOptions) (*Evaluated, error) {
	for _, other := range []*Codes{o.Test, o.Earlier} {
		if other == nil {
			continue
		}
		// The sites are looked at first: they say more than that codes have other lengths.
		if err := SameSites(train, other); err != nil {
			return nil, err
		}
		if other.width != train.width {
			return nil, fmt.Errorf("%s has codes of %d bytes, %s of %d", other.Name, other.width, train.Name, train.width)
		}
	}
	if o.Test != nil {
		if err := Comparable(train, o.Test); err != nil {
			return nil, err
		}
	}
	o.K = cmp.Or(o.K, 9)
	groups, err := train.groups(o)
	if err != nil {
		return nil, err
	}
	whole, err := Evaluate(ctx, train, o.Test, o.EvaluateOptions)
	if err != nil {
		return nil, err
	}
	r := &Evaluated{On: train.On, Items: train.n, Bits: train.Bits, Evaluation: *whole}
	if train.On == Digest {
		r.note("%s holds digests only, which are equal or not: redundancy and churn are all they tell; "+
			"codes, channel codes and sketches tell more", train.Name)
	} else if o.Test != nil && whole.KNN == nil {
		r.note("no K-NN: it takes %s with labels, and two labels; %s has %s",
			counted(o.K, "training item"), train.Name, counted(train.n, "item"))
	}
	for _, g := range groups {
		test := o.Test
		if test != nil {
			test = test.Group(g.name, g.parts)
		}
		e, err := Evaluate(ctx, train.Group(g.name, g.parts), test, o.EvaluateOptions)
		if err != nil {
			return nil, err
		}
		e.Name = g.name
		r.Sites = append(r.Sites, *e)
	}
	if o.Earlier != nil {
		churn, err := Between(o.Earlier, train)
		if err != nil {
			return nil, err
		}
		r.Churn = &churn
		if n := max(o.Earlier.n, train.n) - churn.Items; n > 0 {
			r.note("churn: %s %s in one of the two only, and left out", counted(n, "item"), are(n))
		}
	}
	if o.Kernel {
		score, err := KernelScore(ctx, train)
		if err != nil {
			return nil, err
		}
		r.Kernel = fmt.Sprint(score)
	}
	return r, nil
}

func (r *Evaluated) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// siteGroup is what is measured as one code.
type siteGroup struct {
	name  string
	parts []Part
}

// groups are the chosen sites one by one, or together.
func (c *Codes) groups(o MeasureOptions) (all []siteGroup, err error) {
	if !o.BySite && o.Sites == nil {
		return nil, nil
	}
	parts := c.Parts()
	if parts == nil {
		return nil, fmt.Errorf("%s: %w, and these are codes of the kind %s", c.Name, ErrNoSites, c.On)
	}
	if o.Sites != nil {
		sites := make([]site.Site, len(parts))
		for i, p := range parts {
			sites[i].Name = p.Site
		}
		chosen, err := site.Choose(sites, o.Sites)
		if err != nil {
			return nil, err
		}
		var some []Part
		for _, p := range parts {
			if len(chosen) > 0 && chosen[0].Name == p.Site {
				some, chosen = append(some, p), chosen[1:]
			}
		}
		parts = some
	}
	if o.Together {
		name := fmt.Sprintf("%s (%s)", strings.Join(o.Sites, ", "), counted(len(parts), "site"))
		return []siteGroup{{name, parts}}, nil
	}
	for _, p := range parts {
		all = append(all, siteGroup{p.Site, []Part{p}})
	}
	return all, nil
}

// Figures are what an evaluation says of one set; nil for what it does not say.
type Figures struct {
	Redundancy *Redundancy
	Units      *Units
	KNN        *KNN
	Clusters   *Clustering
	Logistic   *Regression
	Network    *Accuracy
}

// Of are the figures of the test set, or of the training set; what is fitted on the
// training set and right on the test set is a figure of the test set. Redundancy is nil
// of a test set that there is not.
func (e *Evaluation) Of(test bool) (f Figures) {
	if test {
		f.Redundancy, f.KNN, f.Logistic = e.Redundancy.Test, e.KNN, e.Logistic
	} else {
		f.Redundancy = &e.Redundancy.Train
	}
	if u := e.Units; u != nil {
		if f.Units = &u.Train; test {
			f.Units = u.Test
		}
	}
	if k := e.KMeans; k != nil && !test {
		f.Clusters = k.Train
	} else if k != nil && k.Test != nil {
		f.Clusters = *k.Test
	}
	if n := e.Network; n != nil {
		if f.Network = n.Train; test {
			f.Network = n.Test
		}
	}
	return f
}

// figureColumn is one of the columns of Text, or a few of one figure: its titles, and what
// stands under them.
type figureColumn struct {
	titles string
	shown  bool
	values func(f Figures) string
}

func (r *Evaluated) figureColumns() []figureColumn {
	knn := ""
	if r.KNN != nil {
		knn = fmt.Sprintf("%d-NN", r.KNN.K)
	}
	return []figureColumn{
		{"ITEMS\tREGIONS\tREDUNDANCY", true, func(f Figures) string {
			return fmt.Sprintf("%d\t%d\t%.4f", f.Redundancy.Items, f.Redundancy.Regions, f.Redundancy.Ratio)
		}},
		{"BITS\tDEAD\tSATURATED\tENTROPY", r.Units != nil, func(f Figures) string {
			return fmt.Sprintf("%d\t%d\t%d\t%.3f", f.Units.Bits, f.Units.Dead, f.Units.Saturated, f.Units.Entropy)
		}},
		{knn, r.KNN != nil, func(f Figures) string {
			if f.KNN == nil {
				return ""
			}
			return fmt.Sprintf("%.4f", f.KNN.Accuracy)
		}},
		{"PURITY\tMATCHED", r.KMeans != nil, func(f Figures) string {
			if f.Clusters == nil {
				return "\t"
			}
			return fmt.Sprintf("%.4f\t%.4f", f.Clusters.Purity, f.Clusters.Matched)
		}},
		{"LOGISTIC\tONE-VS-ONE", r.Logistic != nil, func(f Figures) string {
			if f.Logistic == nil {
				return "\t"
			}
			return fmt.Sprintf("%.4f\t%.4f", f.Logistic.Multinomial, f.Logistic.OneVsOne)
		}},
		{"NETWORK", r.Network != nil, func(f Figures) string {
			if f.Network == nil {
				return ""
			}
			return fmt.Sprintf("%.4f", f.Network.Accuracy)
		}},
	}
}

// Text writes the figures for a person to read: a table with a row for each code and set,
// and a line for each of what is no column of it.
func (r *Evaluated) Text(w io.Writer) error {
	all := append([]Evaluation{r.Evaluation}, r.Sites...)
	all[0].Name = "all"
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	columns := slices.DeleteFunc(r.figureColumns(), func(c figureColumn) bool { return !c.shown })
	row := func(first string, cell func(c figureColumn) string) {
		for _, c := range columns {
			first += "\t" + cell(c)
		}
		fmt.Fprintln(t, first)
	}
	row("CODE\tSET", func(c figureColumn) string { return c.titles })
	for _, e := range all {
		row(e.Name+"\ttrain", func(c figureColumn) string { return c.values(e.Of(false)) })
		if e.Redundancy.Test != nil {
			row(e.Name+"\ttest", func(c figureColumn) string { return c.values(e.Of(true)) })
		}
	}
	for _, e := range all {
		if e.Unlabelled != nil {
			fmt.Fprintf(t, "%s, without labels: %s\n", e.Name, e.Unlabelled)
		}
	}
	if k := r.KNN; k != nil {
		fmt.Fprintf(t, "nearest neighbors were chosen among equally near ones for %d of %s, and votes were even for %d\n",
			k.DistanceTies, counted(len(k.Predicted), "test item"), k.VoteTies)
	}
	if x := r.Churn; x != nil {
		fmt.Fprintf(t, "churn: %d of %s moved to another region", x.Moved, counted(x.Items, "item"))
		if x.Mean != nil {
			fmt.Fprintf(t, "; codes differ in %.1f bits on average (%.3g of all)", *x.Mean, *x.Fraction)
		}
		fmt.Fprintln(t)
	}
	if r.Kernel != "" {
		fmt.Fprintf(t, "kernel score: %s\n", r.Kernel)
	}
	return t.Flush()
}

// String says what clusters there are.
func (u *Unlabelled) String() string {
	s := fmt.Sprintf("%d of %s in %s of %v, coding length %.4g", u.Items, counted(u.Of, "item"),
		counted(u.Clusters, "cluster"), u.Sizes, u.CodingLength)
	if u.Matched != nil {
		s += fmt.Sprintf("; purity %.4f, matched %.4f", *u.Purity, *u.Matched)
	}
	return s + fmt.Sprintf("; rate %.4g, conditional %.4g, reduction %.4g (of %s)",
		u.Rate, u.Conditional, u.Reduction, counted(u.RateItems, "item"))
}
