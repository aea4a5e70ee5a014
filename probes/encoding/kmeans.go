package encoding

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
)

// kmeansOptions go with KMeans. The zero value is one of the defaults named here.
type kmeansOptions struct {
	// Seed makes the initial centres, by k-means++.
	Seed uint64
	// Starts is how many sets of initial centres are tried, 10 when 0: the result
	// with the least inertia is kept, the first of several.
	Starts int
	// Iterations bounds the steps of one start, 300 when 0.
	Iterations int
	// Initial, when not nil, are the initial centres, one code each: one start.
	Initial *Codes
	// Threads is how many goroutines work; 0 takes one for each core. Results do not
	// depend on it.
	Threads int
}

// clustersFound is what KMeans found.
type clustersFound struct {
	// Of is the cluster of each row, 0 and up.
	Of []int
	// Inertia is the sum of the squared Euclidean distances of the codes, taken as
	// vectors of 0 and 1, to the means of their clusters.
	Inertia float64
	// Iterations is how many steps the best start took; Converged says that the last
	// moved no item.
	Iterations int
	Converged  bool
}

// kmeans divides codes, taken as vectors of 0 and 1, into k clusters by Lloyd's
// iteration. Of equally near means the first wins; a cluster that loses its last
// item takes the item farthest from its mean.
//
// The sum of a cluster's codes is kept in bit planes, so that its product with a code
// is a sum of population counts: distances come from whole numbers, the same on every
// machine, and the codes stay packed.
func kmeans(ctx context.Context, c *Codes, k int, o kmeansOptions) (*clustersFound, error) {
	if o.Initial != nil {
		if o.Initial.width != c.width || o.Initial.n != k {
			return nil, fmt.Errorf("clustering %s: %d initial centres of %d bytes; want %d of %d", c.Name, o.Initial.n, o.Initial.width, k, c.width)
		}
		o.Starts = 1
	}
	if k < 1 || k > c.n {
		return nil, fmt.Errorf("clustering %s: %d clusters of %d items", c.Name, k, c.n)
	}
	o.Starts, o.Iterations = cmp.Or(o.Starts, 10), cmp.Or(o.Iterations, 300)
	m := &means{ctx: ctx, c: c, k: k, search: SearchOptions{Threads: o.Threads}}
	zero, _ := NewCodes(c.width)
	_ = zero.Append(make([]byte, c.width))
	m.weight = m.distances(zero)[0]
	var best *clustersFound
	for start := range o.Starts {
		centres := o.Initial
		if centres == nil {
			centres = m.spread(rand.New(rand.NewPCG(o.Seed, uint64(start))))
		}
		if err := ctx.Err(); err != nil { // there may be too few of them
			return nil, err
		}
		r := m.run(centres, o.Iterations)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if best == nil || r.Inertia < best.Inertia {
			best = r
		}
	}
	return best, nil
}

// means is one clustering at work.
type means struct {
	ctx    context.Context
	c      *Codes
	k      int
	search SearchOptions
	weight []int64 // set bits of each row
}

// distances are those of all rows to each query.
func (m *means) distances(queries *Codes) [][]int64 {
	d := table[int64](queries.n, m.c.n)
	groups := (m.c.n + lanes - 1) / lanes
	parts := min(groups, 4*m.search.threads())
	_ = share(m.ctx, m.search.threads(), parts, nil, func(p int) {
		newScan(queries, m.c, 0, queries.n, m.search).each(m.ctx, p*groups/parts, (p+1)*groups/parts,
			func(int, int) uint64 { return 1 << 40 },
			func(i int, keys []key) {
				for _, x := range keys {
					if r := rowOf(x); r < m.c.n {
						d[i][r] = int64(distanceOf(x))
					}
				}
			})
	})
	return d
}

// spread chooses initial centres by k-means++: each is an item, drawn in proportion
// to its squared distance to the nearest one so far, which between codes is their
// Hamming distance.
func (m *means) spread(rng *rand.Rand) *Codes {
	centres := m.c.Pick([]int{rng.IntN(m.c.n)})
	near := m.distances(centres)[0]
	code := make([]byte, m.c.width)
	for centres.n < m.k && m.ctx.Err() == nil {
		total := int64(0)
		for _, d := range near {
			total += d
		}
		row := rng.IntN(m.c.n)
		if total > 0 {
			at := rng.Int64N(total)
			for row = 0; at >= near[row]; row++ {
				at -= near[row]
			}
		}
		m.c.At(code, row)
		_ = centres.Append(code)
		for i, d := range m.distances(m.c.Pick([]int{row}))[0] {
			near[i] = min(near[i], d)
		}
	}
	return centres
}

func (m *means) run(centres *Codes, iterations int) *clustersFound {
	r := &clustersFound{Of: slices.Repeat([]int{-1}, m.c.n)}
	sums := make([]sum, m.k)
	words := make([]uint64, m.c.words)
	for j := range sums {
		centres.wordsOf(words, j)
		sums[j].add(words)
	}
	for r.Iterations < iterations && !r.Converged && m.ctx.Err() == nil {
		r.Iterations++
		of, far := m.nearest(sums, nil)
		m.fill(of, far)
		r.Converged = slices.Equal(of, r.Of)
		r.Of = of
		for j := range sums {
			sums[j] = sum{}
		}
		for i, j := range of {
			m.c.wordsOf(words, i)
			sums[j].add(words)
		}
	}
	_, far := m.nearest(sums, r.Of)
	for _, d := range far {
		r.Inertia += d
	}
	return r
}

// nearest is the cluster of each row's nearest mean, or with clusters given that one, and
// the squared distance to the mean.
func (m *means) nearest(sums []sum, given []int) (of []int, far []float64) {
	of, far = make([]int, m.c.n), slices.Repeat([]float64{math.Inf(1)}, m.c.n)
	for j := range sums {
		s := &sums[j]
		if s.n == 0 {
			continue
		}
		dot := m.products(s)
		n, square := float64(s.n), float64(s.square())
		for i, p := range dot {
			if given != nil && given[i] != j {
				continue
			}
			// n^2 |x - s/n|^2, a whole number
			d := (n*(n*float64(m.weight[i])-2*float64(p)) + square) / (n * n)
			if d < far[i] {
				of[i], far[i] = j, d
			}
		}
	}
	return of, far
}

// products of all rows with a sum of codes.
func (m *means) products(s *sum) []int64 {
	dot := make([]int64, m.c.n)
	planes, _ := NewCodes(m.c.width)
	code := make([]byte, m.c.words*8)
	for _, p := range s.planes {
		for w, x := range p {
			binary.LittleEndian.PutUint64(code[8*w:], x)
		}
		_ = planes.Append(code[:m.c.width])
	}
	for b, d := range m.distances(planes) {
		ones := int64(count(s.planes[b]))
		for i := range dot {
			dot[i] += (ones + m.weight[i] - d[i]) / 2 << b
		}
	}
	return dot
}

// fill gives every empty cluster the item that is farthest from its mean, of those
// that leave no cluster empty.
func (m *means) fill(of []int, far []float64) {
	sizes := make([]int, m.k)
	for _, j := range of {
		sizes[j]++
	}
	for j := range sizes {
		if sizes[j] > 0 {
			continue
		}
		pick := -1
		for i, d := range far {
			if sizes[of[i]] > 1 && (pick < 0 || d > far[pick]) {
				pick = i
			}
		}
		sizes[of[pick]]--
		of[pick], far[pick] = j, 0
		sizes[j]++
	}
}

// sum adds codes up: bit b of the count of a position is in plane b.
type sum struct {
	n      int
	planes [][]uint64
}

func (s *sum) add(code []uint64) {
	s.n++
	if bits.Len(uint(s.n)) > len(s.planes) {
		s.planes = append(s.planes, make([]uint64, len(code)))
	}
	for w, carry := range code {
		for b := 0; carry != 0; b++ {
			p := &s.planes[b][w]
			*p, carry = *p^carry, *p&carry
		}
	}
}

// square is the sum of the squares of the counts.
func (s *sum) square() (total int64) {
	for a, p := range s.planes {
		for b, q := range s.planes[:a+1] {
			n := 0
			for w, x := range p {
				n += bits.OnesCount64(x & q[w])
			}
			if a != b {
				n *= 2
			}
			total += int64(n) << (a + b)
		}
	}
	return total
}

func count(words []uint64) (n int) {
	for _, w := range words {
		n += bits.OnesCount64(w)
	}
	return n
}
