package encoding

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"
)

// UnlabelledOptions say how items are clustered without labels. The zero value is of the defaults named
// here.
type UnlabelledOptions struct {
	// Sample is the most items to cluster, 1,000 when 0 and up to 2,048; Seed draws them.
	Sample int
	Seed   uint64
	// Eta is the temperature of the affinity, 0.175 when 0: less of it joins only
	// nearer items.
	Eta float64
	// Clusters is their number; 0 takes that of 2 to 20 with the least coding length. Of
	// codes of more bits than items it grows with the number, and the choice is 2: every
	// cluster is charged for all dimensions, and few items do not make up for it.
	Clusters int
}

// Unlabelled says what clusters the codes have by themselves, after "Unsupervised
// Manifold Linearizing and Clustering": the spectral clusters of their doubly stochastic
// affinity.
type Unlabelled struct {
	// Items is the number of items in the sample, Of that of all.
	Items int     `json:"items"`
	Of    int     `json:"of"`
	Eta   float64 `json:"eta"`
	// Clusters is how many were looked for, Sizes their items; Chosen says that
	// the coding length, in nats, chose how many.
	Clusters     int     `json:"clusters"`
	Chosen       bool    `json:"chosen"`
	Sizes        []int   `json:"sizes"`
	CodingLength float64 `json:"coding_length"`
	// Purity and Matched are of the items with a label; nil when there are none.
	Purity  *float64 `json:"purity,omitempty"`
	Matched *float64 `json:"matched,omitempty"`
	// Rate, Conditional and their difference Reduction are of the first RateItems of the
	// sample, 256 at most: the conditional rate takes a determinant for each item.
	RateItems   int     `json:"rate_items"`
	Rate        float64 `json:"rate"`
	Conditional float64 `json:"conditional_rate"`
	Reduction   float64 `json:"rate_reduction"`
}

const (
	defaultEta    = 0.175
	defaultSample = 1000
	// distortion is the epsilon of codingLength and the squared one of the rates.
	distortion = 0.1
	// rateItems bounds the items of the conditional rate.
	rateItems = 256
	// mostClusters is the largest number that is tried.
	mostClusters = 20
)

// clusterUnlabelled clusters a sample of c, of two items or more, without labels.
func clusterUnlabelled(ctx context.Context, c *Codes, o UnlabelledOptions) (*Unlabelled, error) {
	o.Sample, o.Eta = cmp.Or(o.Sample, defaultSample), cmp.Or(o.Eta, defaultEta)
	if o.Sample < 2 || o.Sample > maxSpectral {
		return nil, fmt.Errorf("a sample of %d items; want 2 to %d", o.Sample, maxSpectral)
	}
	n := min(o.Sample, c.n)
	if n < 2 || o.Clusters < 0 || o.Clusters > n {
		return nil, fmt.Errorf("%d clusters of %d items; want two items or more, and no more clusters than items", o.Clusters, n)
	}
	sample := c.Pick(rand.New(rand.NewPCG(o.Seed, 1)).Perm(c.n)[:n])
	u := &Unlabelled{Items: n, Of: c.n, Eta: o.Eta, Chosen: o.Clusters == 0}
	gram, g, err := affinityOf(ctx, sample, o.Eta)
	if err != nil {
		return nil, err
	}
	of, err := u.cluster(ctx, gram, g, sample.Bits, o)
	if err != nil {
		return nil, err
	}
	u.Sizes = make([]int, u.Clusters)
	for _, k := range of {
		u.Sizes[k]++
	}
	u.judge(sample, of)
	return u, u.rates(ctx, sample, gram, g)
}

func affinityOf(ctx context.Context, c *Codes, eta float64) (gram, g *mat.SymDense, err error) {
	if gram, err = gramOf(ctx, c); err != nil {
		return nil, nil, err
	}
	g, err = affinity(ctx, gram, eta)
	return gram, g, err
}

// cluster finds the clusters, and how many.
func (u *Unlabelled) cluster(ctx context.Context, gram, g mat.Symmetric, bits int, o UnlabelledOptions) (best []int, err error) {
	v, err := eigenvectors(g)
	if err != nil {
		return nil, err
	}
	low, high := 2, min(mostClusters, g.SymmetricDim())
	if o.Clusters > 0 {
		low, high = o.Clusters, o.Clusters
	}
	u.CodingLength = math.Inf(1)
	for k := low; k <= high; k++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		of := spectral(v, k, o.Seed)
		length, err := codingLength(gram, of, max(bits, 1), distortion)
		if err != nil {
			return nil, err
		}
		if length < u.CodingLength {
			best, u.Clusters, u.CodingLength = of, k, length
		}
	}
	return best, nil
}

// judge compares clusters with labels, where there are any.
func (u *Unlabelled) judge(c *Codes, of []int) {
	rows, labels := c.labelled()
	if len(rows) == 0 {
		return
	}
	clusters := make([]int, len(rows))
	for i, row := range rows {
		clusters[i] = of[row]
	}
	purity, matched := purityOf(clusters, labels), matchedShare(clusters, labels)
	u.Purity, u.Matched = &purity, &matched
}

// rates takes the rates of the first items.
func (u *Unlabelled) rates(ctx context.Context, c *Codes, gram, g *mat.SymDense) (err error) {
	if u.RateItems = min(c.n, rateItems); u.RateItems < c.n {
		if gram, g, err = affinityOf(ctx, c.Pick(rowsFrom(0, u.RateItems)), u.Eta); err != nil {
			return err
		}
	}
	d := max(c.Bits, 1)
	if u.Rate, err = rateOf(gram, d, distortion); err != nil {
		return err
	}
	if u.Conditional, err = conditionalRate(gram, g, d, distortion); err != nil {
		return err
	}
	u.Reduction = u.Rate - u.Conditional
	return ctx.Err()
}
