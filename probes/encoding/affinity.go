package encoding

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"
)

// Clustering without labels after "Unsupervised Manifold Linearizing and Clustering"
// (ICCV 2023), on codes: items are vectors of -1 and 1 of unit length, whose products
// are what the paper takes of learned features.

// gramOf is the matrix of the products of all pairs of codes taken as vectors of -1 and 1
// divided by the root of their number: 1 - 2 d / bits at a Hamming distance d. Codes may
// be up to 4,096.
func gramOf(ctx context.Context, c *Codes) (*mat.SymDense, error) {
	d, err := distances(ctx, c)
	if err != nil {
		return nil, err
	}
	g := mat.NewSymDense(c.n, nil)
	for i := range c.n {
		for j := i; j < c.n; j++ {
			g.SetSym(i, j, 1-2*float64(d[i*c.n+j])/float64(max(c.Bits, 1)))
		}
	}
	return g, nil
}

// sinkhornSteps bounds affinity; each step about halves the error at worst.
const sinkhornSteps = 10000

// affinity is the doubly stochastic matrix nearest to a symmetric one in the entropic
// sense: exp(f_i + k_ij/eta + f_j) with rows, and so columns, that sum to 1 within
// 1e-9. The Sinkhorn iteration is done in logarithms and on one vector for rows and
// columns alike, so that the result is symmetric at every step; the authors' five half
// steps leave it neither symmetric nor doubly stochastic.
func affinity(ctx context.Context, k mat.Symmetric, eta float64) (*mat.SymDense, error) {
	n := k.SymmetricDim()
	if !(eta > 0) {
		return nil, fmt.Errorf("affinity with eta %g; it must be positive", eta)
	}
	if n == 0 {
		return nil, errors.New("the affinity of no items")
	}
	a := make([]float64, n*n)
	for i := range n {
		for j := range n {
			a[i*n+j] = k.At(i, j) / eta
		}
	}
	f, rows := make([]float64, n), make([]float64, n)
	worst := math.Inf(1)
	for step := 0; worst > 1e-9 && step < sinkhornSteps && ctx.Err() == nil; step++ {
		worst = 0
		for i := range n {
			row, most := a[i*n:(i+1)*n], math.Inf(-1)
			for j, v := range row {
				most = max(most, v+f[j])
			}
			sum := 0.0
			for j, v := range row {
				sum += math.Exp(v + f[j] - most)
			}
			rows[i] = most + math.Log(sum)
			worst = max(worst, math.Abs(math.Expm1(rows[i]+f[i])))
		}
		for i := range f {
			f[i] = (f[i] - rows[i]) / 2
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !(worst <= 1e-8) {
		return nil, fmt.Errorf("after %d steps rows of the affinity sum to 1 within %.1e only; take a larger eta than %g", sinkhornSteps, worst, eta)
	}
	g := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			g.SetSym(i, j, math.Exp(a[i*n+j]+f[i]+f[j]))
		}
	}
	return g, nil
}

// maxSpectral keeps the eigenvectors within a minute.
const maxSpectral = 2048

// eigenvectors are columns in ascending order of the eigenvalues.
func eigenvectors(g mat.Symmetric) (*mat.Dense, error) {
	if n := g.SymmetricDim(); n > maxSpectral {
		return nil, fmt.Errorf("spectral clusters of %d items; at most %d, take a sample of them", n, maxSpectral)
	}
	var eig mat.EigenSym
	if !eig.Factorize(g, true) {
		return nil, errors.New("spectral clusters: the eigenvalues do not converge")
	}
	v := &mat.Dense{}
	eig.VectorsTo(v)
	return v, nil
}

// spectral clusters the rows of the last k eigenvectors.
func spectral(v *mat.Dense, k int, seed uint64) []int {
	n, _ := v.Dims()
	points := make([][]float64, n)
	for i := range points {
		points[i] = mat.Row(nil, i, v)[n-k:]
		norm := 0.0
		for _, x := range points[i] {
			norm += x * x
		}
		if norm = math.Sqrt(norm); norm > 0 {
			for j := range points[i] {
				points[i][j] /= norm
			}
		}
	}
	return lloyd(points, k, 10, rand.New(rand.NewPCG(seed, 0)))
}

// lloyd is K-means of points in a small space.
func lloyd(points [][]float64, k, starts int, rng *rand.Rand) []int {
	square := func(a, b []float64) (d float64) {
		for i, x := range a {
			d += (x - b[i]) * (x - b[i])
		}
		return d
	}
	var best []int
	least := math.Inf(1)
	for range starts {
		centres := [][]float64{points[rng.IntN(len(points))]}
		near := make([]float64, len(points))
		for len(centres) < k {
			total := 0.0
			for i, p := range points {
				if d := square(p, centres[len(centres)-1]); len(centres) == 1 || d < near[i] {
					near[i] = d
				}
				total += near[i]
			}
			at, pick := rng.Float64()*total, len(points)-1
			for i, d := range near {
				if at -= d; at < 0 {
					pick = i
					break
				}
			}
			centres = append(centres, points[pick])
		}
		of := make([]int, len(points))
		inertia := 0.0
		for range 300 {
			moved := false
			inertia = 0
			for i, p := range points {
				choice, far := 0, math.Inf(1)
				for j, c := range centres {
					if d := square(p, c); d < far {
						choice, far = j, d
					}
				}
				moved = moved || of[i] != choice
				of[i] = choice
				inertia += far
			}
			sizes, means := make([]float64, k), table[float64](k, len(points[0]))
			for i, j := range of {
				sizes[j]++
				for d, x := range points[i] {
					means[j][d] += x
				}
			}
			for j, m := range means {
				if sizes[j] == 0 { // keep an empty cluster's centre
					continue
				}
				for d := range m {
					m[d] /= sizes[j]
				}
				centres[j] = m
			}
			if !moved {
				break
			}
		}
		if inertia < least {
			best, least = of, inertia
		}
	}
	return best
}
