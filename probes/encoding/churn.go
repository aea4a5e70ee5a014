package encoding

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/bits"

	"gonum.org/v1/gonum/mat"
)

// Churn says how the codes of the same items differ between two networks of the same
// sites, such as two checkpoints.
type Churn struct {
	// Items is how many items both sets have, and Moved how many have another code.
	Items int `json:"items"`
	Moved int `json:"moved"`
	// Mean is the mean Hamming distance of an item's two codes, in bits and as a share
	// of the code's bits; nil between digests, which have no distances.
	Mean     *float64 `json:"mean,omitempty"`
	Fraction *float64 `json:"fraction,omitempty"`
}

// Between compares items of the same id; ids must be unique within each set, and labels
// agree where both sets have them. What the codes stand for, the same sites at the same offsets, is the caller's to see to.
func Between(a, b *Codes) (Churn, error) {
	var r Churn
	if a.width != b.width || a.Bits != b.Bits {
		return r, fmt.Errorf("churn between %s and %s: codes of %d and of %d bits", a.Name, b.Name, a.Bits, b.Bits)
	}
	rows := make(map[string]int, b.n)
	for i := range b.n {
		if _, twice := rows[b.ID(i)]; twice {
			return r, fmt.Errorf("churn: %s has two items %q", b.Name, b.ID(i))
		}
		rows[b.ID(i)] = i
	}
	total, as := 0, b.agreed(a)
	p, q := make([]uint64, a.words), make([]uint64, b.words)
	for i := range a.n {
		j, ok := rows[a.ID(i)]
		if !ok {
			continue
		}
		delete(rows, a.ID(i))
		if x, ok := a.Label(i); ok {
			if y, ok := as.Label(j); ok && x != y {
				return r, fmt.Errorf("churn: item %q has label %s in %s and %s in %s: these are not the same items", a.ID(i), x, a.Name, y, b.Name)
			}
		}
		a.wordsOf(p, i)
		b.wordsOf(q, j)
		d := 0
		for w := range p {
			d += bits.OnesCount64(p[w] ^ q[w])
		}
		r.Items++
		total += d
		if d > 0 {
			r.Moved++
		}
	}
	if r.Items == 0 {
		return r, fmt.Errorf("churn: %s and %s have no item in common", a.Name, b.Name)
	}
	if a.On != Digest {
		mean := float64(total) / float64(r.Items)
		fraction := mean / float64(max(a.Bits, 1))
		r.Mean, r.Fraction = &mean, &fraction
	}
	return r, nil
}

// maxKernel is the most items that a dense matrix of all pairs is made of.
const maxKernel = 4096

// kernelScore is log |det K| of "Neural Architecture Search without Training", with K
// the number of bits in which two items' codes agree: the larger, the better the
// network tells its inputs apart. It is -Inf when two items share a code.
func kernelScore(ctx context.Context, c *Codes) (float64, error) {
	if c.On == Digest {
		return 0, fmt.Errorf("the kernel score of %s: %w", c.Name, errDigests)
	}
	d, err := distances(ctx, c)
	if err != nil {
		return 0, err
	}
	k := mat.NewDense(c.n, c.n, nil)
	for i := range c.n {
		for j := range c.n {
			if i != j && d[i*c.n+j] == 0 {
				return math.Inf(-1), nil
			}
			k.Set(i, j, float64(c.Bits)-float64(d[i*c.n+j]))
		}
	}
	var lu mat.LU
	lu.Factorize(k)
	score, sign := lu.LogDet()
	if sign <= 0 { // rounding can make it negative: K is positive semidefinite
		return math.Inf(-1), nil
	}
	return score, nil
}

// distances are the Hamming distances of all pairs, row by row.
func distances(ctx context.Context, c *Codes) ([]int32, error) {
	if c.n == 0 {
		return nil, errors.New("a kernel of no items")
	}
	if c.n > maxKernel {
		return nil, fmt.Errorf("a kernel of %d items; at most %d, take a sample of them", c.n, maxKernel)
	}
	m := &means{ctx: ctx, c: c}
	d := make([]int32, c.n*c.n)
	for lo := 0; lo < c.n; lo += 64 {
		for i, row := range m.distances(c.Pick(rowsFrom(lo, min(lo+64, c.n)))) {
			for j, v := range row {
				d[(lo+i)*c.n+j] = int32(v)
			}
		}
	}
	return d, ctx.Err()
}
