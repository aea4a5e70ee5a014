package encoding

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/onnxprobe/onnxprobe/probes/site"
	"github.com/onnxprobe/onnxprobe/probes/text"
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
	// Kernel asks for the kernel score.
	Kernel bool
}

// ErrNoSites says that the codes of sites cannot be told apart.
var ErrNoSites = errors.New(
	"sites can be told apart in whole codes and in channel codes, with a manifest that has their channels")

// Measure says what the codes of train say, and those of their sites, and how they carry
// over to a test set. Sets that cannot be compared are an error, as is a glob that matches
// no site, a *site.PatternError.
func Measure(ctx context.Context, train *Codes, o MeasureOptions) (*Evaluated, error) {
	for _, other := range []*Codes{o.Test, o.Earlier} {
		if other == nil {
			continue
		}
		// The sites are looked at first: they say more than that codes have other lengths.
		if err := sameSites(train, other); err != nil {
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
	r := &Evaluated{On: train.On, Items: train.n, Bits: train.Bits, Smooth: train.Smooth(), Evaluation: *whole}
	r.Labels = train.labelCounts(rowsFrom(0, train.n))
	r.Labels = r.Labels[:min(len(r.Labels), maxLabels)]
	if train.On == Digest {
		r.note("%s holds digests only, which are equal or not: redundancy and churn are all they tell; "+
			"codes, channel codes and sketches tell more", train.Name)
	} else if o.Test != nil && !o.Test.anyLabel() {
		r.note("no accuracy: no item of %s has a label", o.Test.Name)
	} else if o.Test != nil && whole.KNN == nil {
		r.note("no K-NN: it takes %s with labels, and two labels; %s has %s",
			text.Count(o.K, "training item"), train.Name, text.Count(train.n, "item"))
	}
	for _, other := range []*Codes{o.Test, o.Earlier} {
		if other == nil {
			continue
		}
		if n := PreparedOtherwise(train, other); n != "" {
			r.note("%s", n)
		}
	}
	if o.Earlier != nil && sameModel(train, o.Earlier) {
		r.note("churn: %s and %s are of one network", o.Earlier.Name, train.Name)
	}
	if n := common(train, o.Test); n > 0 {
		r.note("%s of %s, the test set, %s in the training set with the same code: what is right of them says nothing",
			text.Count(n, "item"), o.Test.Name, text.Are(n))
	}
	if o.Test != nil && train.strange(o.Test.agreed(train)) {
		r.note("no label of %s is among those of %s: what is fitted on one cannot be right on the other", o.Test.Name, train.Name)
	}
	for _, parts := range groups {
		name, test := parts[0].Site, o.Test
		if o.Together {
			name = fmt.Sprintf("%s (%s)", strings.Join(o.Sites, ", "), text.Count(len(parts), "site"))
		}
		if test != nil {
			test = test.Group(name, parts)
		}
		own := train.Group(name, parts)
		e, err := Evaluate(ctx, own, test, o.EvaluateOptions)
		if err != nil {
			return nil, err
		}
		e.Name = name
		if o.Earlier != nil {
			churn, err := Between(o.Earlier.Group(name, parts), own)
			if err != nil {
				return nil, err
			}
			e.Churn = &churn
		}
		r.Sites = append(r.Sites, *e)
	}
	if o.Earlier != nil {
		churn, err := Between(o.Earlier, train)
		if err != nil {
			return nil, err
		}
		r.Churn = &churn
		if n := max(o.Earlier.n, train.n) - churn.Items; n > 0 {
			r.note("churn: %s %s in one of the two only, and left out", text.Count(n, "item"), text.Are(n))
		}
	}
	if o.Kernel {
		score, err := kernelScore(ctx, train)
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

// maxLabels bounds Evaluated.Labels: where labels are measurements, most are different.
const maxLabels = 1000

// groups are the chosen sites one by one, or together.
func (c *Codes) groups(o MeasureOptions) (all [][]Part, err error) {
	if !o.BySite && o.Sites == nil {
		return nil, nil
	}
	parts := c.Parts()
	if parts == nil {
		return nil, fmt.Errorf("%s: %w, and these are codes of the kind %s", c.Name, ErrNoSites, c.On)
	}
	if o.Sites != nil {
		named := make([]site.Site, len(parts))
		for i, p := range parts {
			named[i].Name = p.Site
		}
		chosen, err := site.Choose(named, o.Sites)
		if none := new(site.PatternError); errors.As(err, &none) {
			none.Codes = true
		}
		if err != nil {
			return nil, err
		}
		parts = slices.DeleteFunc(slices.Clone(parts), func(p Part) bool {
			return !slices.ContainsFunc(chosen, func(s site.Site) bool { return s.Name == p.Site })
		})
	}
	if o.Together {
		return [][]Part{parts}, nil
	}
	return slices.Collect(slices.Chunk(parts, 1)), nil
}

// Accuracies are the shares of a set's items that codes tell the labels of, by the ways to
// tell them, and that the network does; NaN for what was not measured.
type Accuracies struct {
	KNN, Purity, Matched, Multinomial, OneVsOne, Unlabelled, Network float64
}

// Accuracies are those of the test set, or of the training set. What is fitted on the
// training set is right or wrong on the test set alone.
func (e *Evaluation) Accuracies(test bool) Accuracies {
	none := math.NaN()
	a := Accuracies{none, none, none, none, none, none, none}
	if test && e.KNN != nil {
		a.KNN = e.KNN.Accuracy
	}
	if l := e.Logistic; test && l != nil {
		a.Multinomial, a.OneVsOne = l.Multinomial, l.OneVsOne
	}
	if u := e.Unlabelled; !test && u != nil && u.Matched != nil {
		a.Unlabelled = *u.Matched
	}
	if k := e.KMeans; k != nil {
		if c := k.set(test); c != nil && *c != nil {
			a.Purity, a.Matched = (*c).Purity, (*c).Matched
		}
	}
	if n := e.Network; n != nil && test && n.Test != nil {
		a.Network = n.Test.Accuracy
	} else if n != nil && !test && n.Train != nil {
		a.Network = n.Train.Accuracy
	}
	return a
}

// set is the figure of the test set, nil where there is none, or of the training set.
func (p *Pair[T]) set(test bool) *T {
	if test {
		return p.Test
	}
	return &p.Train
}

// Text writes the figures for a person to read: a table with a row for each code and set,
// and a line for each of what is no column of it.
func (r *Evaluated) Text(w io.Writer) error {
	all := append([]Evaluation{r.Evaluation}, r.Sites...)
	all[0].Name = "all"
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
	if r.Churn != nil && len(r.Sites) > 0 {
		fmt.Fprint(t, "\tMOVED\tCHANGED BITS\tOF ALL")
	}
	fmt.Fprintln(t)
	for i := range all {
		r.row(t, &all[i], false)
		r.row(t, &all[i], true)
	}
	for _, e := range all {
		if e.Unlabelled != nil {
			fmt.Fprintf(t, "%s, without labels: %s\n", text.Line(e.Name), e.Unlabelled)
		}
	}
	if r.Smooth != nil {
		fmt.Fprintln(t, r.Smooth)
	}
	if len(r.Labels) > 0 {
		fmt.Fprintf(t, "labels of the training set: %s\n", labelsText(r.Labels, 10))
	}
	if k := r.KNN; k != nil {
		fmt.Fprintf(t, "nearest neighbors were chosen among equally near ones for %d of %s, and votes were even for %d\n",
			k.DistanceTies, text.Count(len(k.Predicted), "test item"), k.VoteTies)
	}
	if x := r.Churn; x != nil {
		fmt.Fprintf(t, "churn: %d of %s moved to another region", x.Moved, text.Count(x.Items, "item"))
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

// row writes the row of a set, if there is one; r says which columns there are.
func (r *Evaluated) row(w io.Writer, e *Evaluation, test bool) {
	d := e.Redundancy.set(test)
	if d == nil {
		return
	}
	name := map[bool]string{true: "test", false: "train"}[test]
	fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%.4f", text.Line(e.Name), name, d.Items, d.Regions, d.Ratio)
	if e.Units != nil {
		u := e.Units.set(test)
		fmt.Fprintf(w, "\t%d\t%d\t%d\t%.3f", u.Bits, u.Dead, u.Saturated, u.Entropy)
	}
	share := func(shown bool, values ...float64) {
		for _, v := range values {
			if shown {
				fmt.Fprint(w, "\t", strings.TrimPrefix(fmt.Sprintf("%.4f", v), "NaN"))
			}
		}
	}
	a := e.Accuracies(test)
	share(r.KNN != nil, a.KNN)
	share(r.KMeans != nil, a.Purity, a.Matched)
	share(r.Logistic != nil, a.Multinomial, a.OneVsOne)
	share(r.Network != nil, a.Network)
	if x := e.Churn; len(r.Sites) > 0 && x != nil && !test {
		fmt.Fprintf(w, "\t%.4f", float64(x.Moved)/float64(x.Items))
		if x.Mean != nil {
			fmt.Fprintf(w, "\t%.1f\t%.4f", *x.Mean, *x.Fraction)
		}
	}
	fmt.Fprintln(w)
}

// String says what clusters there are.
func (u *Unlabelled) String() string {
	s := fmt.Sprintf("%d of %s in %s of %v, coding length %.4g", u.Items, text.Count(u.Of, "item"),
		text.Count(u.Clusters, "cluster"), u.Sizes, u.CodingLength)
	if u.Matched != nil {
		s += fmt.Sprintf("; purity %.4f, matched %.4f", *u.Purity, *u.Matched)
	}
	return s + fmt.Sprintf("; rate %.4g, conditional %.4g, reduction %.4g (of %s)",
		u.Rate, u.Conditional, u.Reduction, text.Count(u.RateItems, "item"))
}
