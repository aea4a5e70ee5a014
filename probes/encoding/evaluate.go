package encoding

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/onnxprobe/onnxprobe/onnx"
)

// EvaluateOptions say what Evaluate measures. The zero value measures redundancy, the
// use of units and 9 nearest neighbors.
type EvaluateOptions struct {
	// K is the number of neighbors that vote, 9 when 0.
	K int
	// Clusters is the number of K-means clusters, the number of labels when 0; KMeans
	// and Logistic ask for these measures, which take longer.
	KMeans   bool
	Clusters int
	Logistic bool
	// Unlabelled, when not nil, asks for clusters found without labels; their number is
	// Clusters, if that is given, and Seed draws the sample.
	Unlabelled *UnlabelledOptions
	// Seed and C go with K-means and logistic regression.
	Seed uint64
	C    float64
	// Threads is how many goroutines work; 0 takes one for each core.
	Threads int
	// Say is told what is being measured.
	Say func(what string)
}

// Evaluation is what the codes of one site, or all together, say of a training and a
// test set: the encoding properties of "Neural networks behave as hash encoders".
type Evaluation struct {
	// Name is the site's, or the group's; "" of the whole codes.
	Name string `json:"name,omitempty"`
	// Redundancy and Units are of the training set and the test set; Test is left out
	// where there is none, and Units of digests, whose bits are no units.
	Redundancy Pair[Redundancy] `json:"redundancy"`
	Units      *Pair[Units]     `json:"units,omitempty"`
	// KNN and Logistic are fitted on the training set and right on the test set.
	KNN *KNN `json:"knn,omitempty"`
	// KMeans clusters each set on its own.
	KMeans   *Pair[*Clustering] `json:"kmeans,omitempty"`
	Logistic *Regression        `json:"logistic,omitempty"`
	// Network is how well the network's own output does, for comparison, where it was
	// read with the whole codes.
	Network *Network `json:"network,omitempty"`
	// Unlabelled are the training set's clusters found without labels.
	Unlabelled *Unlabelled `json:"unlabelled,omitempty"`
	// Churn is how the codes differ from those of the same items by another network.
	Churn *Churn `json:"churn,omitempty"`
}

// Evaluated is the contract of evaluate --json: what the whole codes of a set say, and those
// of sites one by one or together.
type Evaluated struct {
	On    string `json:"on"`
	Items int    `json:"items"`
	Bits  int    `json:"bits"`
	// Smooth are the smooth sites of the codes, by whose bits regions are none of linear maps;
	// nil for none.
	Smooth *SmoothSites `json:"smooth_sites,omitempty"`
	// Labels are those of the training set, by which codes are judged: the 1,000 that most
	// items have.
	Labels []LabelCount `json:"labels,omitempty"`
	Evaluation
	Sites []Evaluation `json:"sites,omitempty"`
	// Kernel is a number, or "-Inf".
	Kernel string `json:"kernel_score,omitempty"`
	// Notes say what could not be measured, and why.
	Notes []string `json:"-"`
}

// Network is the accuracy of the network's own predictions; nil where it is not known.
type Network struct {
	Train *Accuracy `json:"train,omitempty"`
	Test  *Accuracy `json:"test,omitempty"`
}

// Pair is a figure of the training set and of the test set, if there is one.
type Pair[T any] struct {
	Train T  `json:"train"`
	Test  *T `json:"test,omitempty"`
}

// pairOf is a figure of both sets.
func pairOf[T any](train, test *Codes, of func(*Codes) (T, error)) (p Pair[T], err error) {
	p.Train, err = of(train)
	if err == nil && test != nil {
		p.Test = new(T)
		*p.Test, err = of(test)
	}
	return p, err
}

// Clustering is how well the clusters of K-means agree with labels: by purity, where
// several clusters may stand for a label, and by the one-to-one match. Neither is ever
// called by the other's name.
type Clustering struct {
	Clusters   int     `json:"clusters"`
	Purity     float64 `json:"purity"`
	Matched    float64 `json:"matched"`
	Inertia    float64 `json:"inertia"`
	Iterations int     `json:"iterations"`
	Converged  bool    `json:"converged"`
}

// Regression is the accuracy of logistic regression on the test set.
type Regression struct {
	Multinomial float64 `json:"multinomial"`
	OneVsOne    float64 `json:"one_vs_one"`
	Converged   bool    `json:"converged"`
}

// errDigests is what digests cannot say.
var errDigests = onnx.Remedy(errors.New("it holds digests only, which are equal or not and have no distances: "+
	"redundancy and churn are all they tell; K-NN, clusters, regression and units need codes, channel codes or sketches, "+
	"from a run that keeps them"), "probes.Sketch")

// Evaluate measures what the codes of train say, and with a test set, which may be nil,
// how they carry over. Labels are needed for all but redundancy, units and Unlabelled. Of
// digests it measures redundancy, and refuses what else is asked for by name.
func Evaluate(ctx context.Context, train, test *Codes, o EvaluateOptions) (*Evaluation, error) {
	say := o.Say
	if say == nil {
		say = func(string) {}
	}
	o.K = cmp.Or(o.K, 9)
	if test != nil {
		test = test.agreed(train)
	}
	say("redundancy")
	e, own := &Evaluation{}, Network{Train: networkAccuracy(train)}
	if test != nil {
		own.Test = networkAccuracy(test)
	}
	if own != (Network{}) {
		e.Network = &own
	}
	e.Redundancy, _ = pairOf(train, test, func(c *Codes) (Redundancy, error) { return Redundant(c), nil })
	if train.On == Digest {
		if o.KMeans || o.Logistic || o.Unlabelled != nil {
			return nil, fmt.Errorf("evaluating %s: %w", train.Name, errDigests)
		}
		return e, ctx.Err()
	}
	units, _ := pairOf(train, test, func(c *Codes) (Units, error) { return Use(c, o.Threads), nil })
	e.Units = &units
	var err error
	if o.Unlabelled != nil {
		say("clusters without labels")
		u := *o.Unlabelled
		u.Clusters, u.Seed = o.Clusters, o.Seed
		if e.Unlabelled, err = clusterUnlabelled(ctx, train, u); err != nil {
			return nil, fmt.Errorf("clustering %s without labels: %w", train.Name, err)
		}
	}
	_, labels := train.labelled()
	all, _ := classes(labels)
	if len(all) < 2 {
		if o.KMeans || o.Logistic {
			return nil, fmt.Errorf("evaluating %s: its items have %d different labels, and K-means and logistic "+
				"regression are judged by two or more", train.Name, len(all))
		}
		return e, nil
	}
	o.Clusters = cmp.Or(o.Clusters, len(all))
	if test != nil && !test.anyLabel() {
		test = nil // nothing is right or wrong there
	}
	if test != nil && len(labels) >= o.K {
		say("nearest neighbors")
		if e.KNN, err = nearestNeighbors(ctx, train, test, o.K, SearchOptions{Threads: o.Threads}); err != nil {
			return nil, err
		}
	}
	if o.KMeans {
		say("K-means")
		both, err := pairOf(train, test, func(c *Codes) (*Clustering, error) { return o.cluster(ctx, c) })
		if err != nil {
			return nil, err
		}
		e.KMeans = &both
	}
	if o.Logistic && test != nil {
		say("logistic regression")
		if e.Logistic, err = o.regress(ctx, train, test); err != nil {
			return nil, err
		}
	}
	return e, ctx.Err()
}

// anyLabel says whether any item has a label.
func (c *Codes) anyLabel() bool {
	rows, _ := c.labelled()
	return len(rows) > 0
}

func (o EvaluateOptions) cluster(ctx context.Context, c *Codes) (*Clustering, error) {
	rows, labels := c.labelled()
	if len(rows) < c.n {
		c = c.Pick(rows)
	}
	k, err := kmeans(ctx, c, min(o.Clusters, c.n), kmeansOptions{Seed: o.Seed, Threads: o.Threads})
	if err != nil {
		return nil, err
	}
	return &Clustering{min(o.Clusters, c.n), purityOf(k.Of, labels), matchedShare(k.Of, labels),
		k.Inertia, k.Iterations, k.Converged}, nil
}

func (o EvaluateOptions) regress(ctx context.Context, train, test *Codes) (*Regression, error) {
	r := &Regression{Converged: true}
	for _, pairs := range []bool{false, true} {
		l, err := fitLogistic(ctx, train, logisticOptions{Pairs: pairs, C: o.C, Threads: o.Threads})
		if err != nil {
			return nil, err
		}
		got, err := l.Predict(test)
		if err != nil {
			return nil, err
		}
		share := &r.Multinomial
		if pairs {
			share = &r.OneVsOne
		}
		r.Converged = r.Converged && l.Converged
		_, _, *share = test.right(func(row int) (Label, bool) { return got[row], true })
	}
	return r, nil
}
