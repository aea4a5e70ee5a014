package encoding

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// Rates of coding after "Unsupervised Manifold Linearizing and Clustering". Z are n
// columns of unit length in d dimensions, given by their Gram matrix: log det of
// I + a Z Z' is that of I + a Z' Z, whatever d.

// rateOf is R(Z) = log det (I + d/(n eps2) Z Z'), the rate at which all items are coded up
// to a distortion of eps2.
func rateOf(gram mat.Symmetric, d int, eps2 float64) (float64, error) {
	n := gram.SymmetricDim()
	if err := checkRate(n, d, eps2); err != nil {
		return 0, err
	}
	return logDet(gram, slices.Repeat([]float64{float64(d) / (float64(n) * eps2)}, n))
}

// conditionalRate is R_c(Z, G) = 1/n sum_j log det (I + d/eps2 Z Diag(G_j) Z'), G_j being
// the columns of a doubly stochastic matrix: the rate when the soft groups G_j are coded
// each by itself. Rate less conditionalRate is the rate reduction, which is never
// negative; it takes n determinants of n by n matrices.
func conditionalRate(gram, g mat.Symmetric, d int, eps2 float64) (float64, error) {
	n := gram.SymmetricDim()
	if err := checkRate(n, d, eps2); err != nil {
		return 0, err
	}
	if g.SymmetricDim() != n {
		return 0, fmt.Errorf("the conditional rate of %d items with an affinity of %d", n, g.SymmetricDim())
	}
	total := 0.0
	weights := make([]float64, n)
	for j := range n {
		for i := range weights {
			weights[i] = float64(d) / eps2 * g.At(i, j)
		}
		v, err := logDet(gram, weights)
		if err != nil {
			return 0, err
		}
		total += v
	}
	return total / float64(n), nil
}

// codingLength is the number of nats that the items take when each cluster of m of the n
// items is coded by itself, and its number too:
// sum of (m+d)/2 log det (I + d/(eps m) V V') + m log(n/m). The number of clusters for
// which it is the least is the one to take.
func codingLength(gram mat.Symmetric, cluster []int, d int, eps float64) (float64, error) {
	n := gram.SymmetricDim()
	if err := checkRate(n, d, eps); err != nil {
		return 0, err
	}
	if len(cluster) != n {
		return 0, fmt.Errorf("the coding length of %d items with clusters of %d", n, len(cluster))
	}
	members := map[int][]int{}
	for i, k := range cluster {
		members[k] = append(members[k], i)
	}
	total := 0.0
	for _, k := range slices.Sorted(maps.Keys(members)) {
		rows := members[k]
		m := float64(len(rows))
		sub, weights := mat.NewSymDense(len(rows), nil), slices.Repeat([]float64{float64(d) / (eps * m)}, len(rows))
		for a, i := range rows {
			for b := a; b < len(rows); b++ {
				sub.SetSym(a, b, gram.At(i, rows[b]))
			}
		}
		v, err := logDet(sub, weights)
		if err != nil {
			return 0, err
		}
		total += (m+float64(d))/2*v + m*math.Log(float64(n)/m)
	}
	return total, nil
}

func checkRate(n, d int, eps float64) error {
	if n < 1 || d < 1 || !(eps > 0) {
		return fmt.Errorf("the rate of %d items in %d dimensions with epsilon %g: all must be positive", n, d, eps)
	}
	return nil
}

// logDet is log det (I + W^1/2 gram W^1/2) with W the diagonal matrix of weights.
func logDet(gram mat.Symmetric, weights []float64) (float64, error) {
	n := gram.SymmetricDim()
	root := make([]float64, n)
	for i, w := range weights {
		root[i] = math.Sqrt(max(w, 0))
	}
	a := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			v := gram.At(i, j) * root[i] * root[j]
			if i == j {
				v++
			}
			a.SetSym(i, j, v)
		}
	}
	var c mat.Cholesky
	if !c.Factorize(a) {
		return 0, errors.New("the matrix of products is not positive semidefinite")
	}
	return c.LogDet(), nil
}
