package report

import (
	"context"
	"fmt"
	gomaps "maps"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/onnxprobe/onnxprobe/probes/encoding"
)

// MaxItems is the most items whose distances are held at once.
const MaxItems = 2000

// sampleOf draws n of the rows 0 to all-1 without replacement, in their order; all of them
// where there are no more.
func sampleOf(all, n int, seed uint64) []int {
	rng := rand.New(rand.NewPCG(seed, 0))
	chosen := map[int]bool{}
	for i := max(all-n, 0); i < all; i++ { // Floyd's
		if r := rng.IntN(i + 1); chosen[r] {
			chosen[i] = true
		} else {
			chosen[r] = true
		}
	}
	return slices.Sorted(gomaps.Keys(chosen))
}

// pairDistances holds the Hamming distances of all pairs of some codes, MaxItems at the most.
func pairDistances(ctx context.Context, c *encoding.Codes, rows []int) (*mat.SymDense, error) {
	if len(rows) == 0 {
		return nil, fmt.Errorf("the distances of codes: %w", ErrNoData)
	}
	if len(rows) > MaxItems {
		return nil, fmt.Errorf("the distances of %d codes; %d at the most are held, draw a sample", len(rows), MaxItems)
	}
	d := mat.NewSymDense(len(rows), nil)
	for i, a := range rows {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for j := i + 1; j < len(rows); j++ {
			d.SetSym(i, j, float64(c.Distance(a, rows[j])))
		}
	}
	return d, nil
}

// splitByLabel parts the distances of pairs of labelled items by whether both have one label.
func splitByLabel(d mat.Symmetric, labels []string) (within, between []float64) {
	for i := range labels {
		for j := i + 1; j < len(labels); j++ {
			switch {
			case labels[i] == "" || labels[j] == "":
			case labels[i] == labels[j]:
				within = append(within, d.At(i, j))
			default:
				between = append(between, d.At(i, j))
			}
		}
	}
	return within, between
}

// planar is classical multidimensional scaling (Torgerson, 1952) to the plane, of squared
// Euclidean distances. Hamming distances are those: for them it is the principal
// component analysis of the bits. shares are the parts of the whole variance that the two
// coordinates hold. The larger of a coordinate's extremes is positive, so that the same
// distances have the same map.
func planar(d mat.Symmetric) (x, y []float64, shares [2]float64, err error) {
	n := d.SymmetricDim()
	if n == 0 {
		return nil, nil, shares, fmt.Errorf("scaling distances: %w", ErrNoData)
	}
	means, all := make([]float64, n), 0.0
	for i := range n {
		for j := range n {
			means[i] += d.At(i, j) / float64(n)
		}
		all += means[i] / float64(n)
	}
	if !finite(all) {
		return nil, nil, shares, fmt.Errorf("scaling distances: they hold values that are no finite numbers")
	}
	b, trace := mat.NewSymDense(n, nil), 0.0
	for i := range n {
		for j := i; j < n; j++ {
			b.SetSym(i, j, -(d.At(i, j)-means[i]-means[j]+all)/2)
		}
		trace += b.At(i, i)
	}
	values, vectors := leading(b)
	coordinate := func(k int) []float64 {
		out := make([]float64, n)
		if k >= len(values) || values[k] <= 1e-12*trace {
			return out
		}
		largest := 0.0
		for i := range out {
			out[i] = vectors.At(i, k) * math.Sqrt(values[k])
			if math.Abs(out[i]) > math.Abs(largest)*(1+1e-9) {
				largest = out[i]
			}
		}
		for i := range out {
			out[i] = math.Copysign(1, largest)*out[i] + 0 // no -0
		}
		shares[k] = values[k] / trace
		return out
	}
	return coordinate(0), coordinate(1), shares, nil
}

// leading are the largest eigenvalues and their vectors, by orthogonal iteration with
// Rayleigh-Ritz steps on a few more columns than the two that are wanted, from a fixed
// start.
func leading(b *mat.SymDense) (values []float64, vectors *mat.Dense) {
	const columns, rounds, still = 8, 500, 1e-11
	n := b.SymmetricDim()
	k := min(columns, n)
	rng := rand.New(rand.NewPCG(1, 2))
	q := mat.NewDense(n, k, nil)
	q.Apply(func(_, _ int, _ float64) float64 { return rng.NormFloat64() }, q)
	for range rounds {
		orthogonal(q)
		var image, small mat.Dense
		image.Mul(b, q)
		small.Mul(q.T(), &image)
		ritz := mat.NewSymDense(k, nil)
		for i := range k {
			for j := i; j < k; j++ {
				ritz.SetSym(i, j, (small.At(i, j)+small.At(j, i))/2)
			}
		}
		var eigen mat.EigenSym
		if !eigen.Factorize(ritz, true) {
			break
		}
		var turn mat.Dense
		eigen.VectorsTo(&turn)
		largest := mat.NewDense(k, k, nil) // first
		largest.Apply(func(i, j int, _ float64) float64 { return turn.At(i, k-1-j) }, largest)
		before := values
		values = eigen.Values(nil)
		slices.Reverse(values)
		vectors = mat.NewDense(n, k, nil)
		vectors.Mul(q, largest)
		q.Mul(&image, largest)
		if before != nil && math.Abs(values[0]-before[0])+math.Abs(values[min(1, k-1)]-before[min(1, k-1)]) <= still*math.Abs(values[0]) {
			break
		}
	}
	return values, vectors
}

// orthogonal makes the columns of q orthonormal, by Gram and Schmidt twice; what is left
// of a column that depends on those before it is 0.
func orthogonal(q *mat.Dense) {
	n, k := q.Dims()
	for j := range k {
		column := mat.NewVecDense(n, mat.Col(nil, j, q))
		was := mat.Norm(column, 2)
		for range 2 {
			for i := range j {
				by := q.ColView(i)
				column.AddScaledVec(column, -mat.Dot(by, column), by)
			}
		}
		if norm := mat.Norm(column, 2); norm > 1e-12*was {
			column.ScaleVec(1/norm, column)
		} else {
			column.Zero()
		}
		q.SetCol(j, column.RawVector().Data)
	}
}
