package encoding

import (
	"cmp"
	"context"
	"iter"
	"math/bits"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// NearOptions go with Duplicates. The zero value uses all cores.
type NearOptions struct {
	// Threads is how many goroutines compare; 0 takes one for each core. Results do
	// not depend on it.
	Threads int
	// Progress is told what share of the work is done, by one goroutine at a time.
	Progress func(done float64)
	// AllPairs is told, before they are compared one by one, how many pairs there
	// are and about how long that takes: bands would not have spared any.
	AllPairs func(pairs int64, about time.Duration)
	// scanner is which kernels to use, bands whether to use bands; "" chooses.
	scanner, bands string
}

// Equal are the groups of rows with equal codes: those of two and more rows, by
// their first row, and the rows of each in order.
func Equal(c *Codes) [][]int {
	u := newForest(c.n)
	equal(c, func(first, row int) { u.unite(first, row) })
	return u.groups()
}

// hashed is a row with a number that equal codes share.
type hashed struct {
	hash uint64
	row  int32
}

// hashedRows is all rows, those of one hash behind each other: of some words under masks.
func (c *Codes) hashedRows(words []masked) []hashed {
	hs := make([]hashed, c.n)
	for i := range hs {
		from := c.data[i/lanes*lanes*c.words+i%lanes:]
		h := uint64(0)
		for _, w := range words {
			h = mix(h, from[w.word*lanes]&w.mask)
		}
		hs[i] = hashed{h, int32(i)}
	}
	slices.SortFunc(hs, func(a, b hashed) int {
		if c := cmp.Compare(a.hash, b.hash); c != 0 {
			return c
		}
		return cmp.Compare(a.row, b.row)
	})
	return hs
}

// runs are the rows of each hash.
func runs(hs []hashed) iter.Seq[[]hashed] {
	return func(yield func([]hashed) bool) {
		for len(hs) > 0 {
			n := 1
			for n < len(hs) && hs[n].hash == hs[0].hash {
				n++
			}
			if !yield(hs[:n]) {
				return
			}
			hs = hs[n:]
		}
	}
}

// mix goes on with a hash.
func mix(h, word uint64) uint64 {
	h = (h ^ word) * 0x9e3779b97f4a7c15
	return h ^ h>>29
}

// equal tells use of every row whose code an earlier row has, and that row.
func equal(c *Codes, use func(first, row int)) {
	whole := make([]masked, c.words)
	for w := range whole {
		whole[w] = masked{w, ^uint64(0)}
	}
	var firsts []int32
	for alike := range runs(c.hashedRows(whole)) {
		// As a rule one code; the hash of another can be the same.
		firsts = append(firsts[:0], alike[0].row)
	rows:
		for _, h := range alike[1:] {
			for _, f := range firsts {
				if c.Distance(int(f), int(h.row)) == 0 {
					use(int(f), int(h.row))
					continue rows
				}
			}
			firsts = append(firsts, h.row)
		}
	}
}

// Distance is the Hamming distance of two rows.
func (c *Codes) Distance(a, b int) (d int) {
	x := c.data[a/lanes*lanes*c.words+a%lanes:]
	y := c.data[b/lanes*lanes*c.words+b%lanes:]
	for w := 0; w < c.words*lanes; w += lanes {
		d += bits.OnesCount64(x[w] ^ y[w])
	}
	return d
}

// nearGroups are the groups of rows that are connected by steps of at most radius bits:
// the connected components of the graph of all pairs at a Hamming distance of
// radius or less. It is exact. Groups of one row are left out; the others come by
// their first row.
//
// Codes that differ in at most radius bits agree in at least one of radius+1 bands
// of bits (the pigeonhole principle), so that only rows that share a band need to
// be compared. Where bands are too short to tell rows apart, all pairs are
// compared, which AllPairs hears of. Memory is 16 bytes a row and thread beside the
// codes.
func nearGroups(ctx context.Context, c *Codes, radius int, o NearOptions) ([][]int, error) {
	u := newForest(c.n)
	again := make([]bool, c.n)
	equal(c, func(first, row int) { u.unite(first, row); again[row] = true })
	var rows []int32 // one of each code
	for i, a := range again {
		if !a {
			rows = append(rows, int32(i))
		}
	}
	again = nil
	if radius <= 0 || len(rows) < 2 {
		return u.groups(), ctx.Err()
	}
	if radius >= c.width*8 { // every pair
		for _, r := range rows {
			u.unite(0, int(r))
		}
		return u.groups(), ctx.Err()
	}
	n := &near{codes: c, rows: rows, radius: radius, forest: u, o: o, search: SearchOptions{Threads: o.Threads, scanner: o.scanner}}
	if len(rows) < c.n {
		n.codes = c.only(rows)
	}
	err := n.run(ctx)
	if err != nil {
		return nil, err
	}
	return u.groups(), nil
}

// only is the codes of some rows without what is known of their items.
func (c *Codes) only(rows []int32) *Codes {
	p := &Codes{width: c.width, words: c.words}
	p.grow(len(rows))
	for _, r := range rows {
		if p.n%lanes == 0 {
			p.data = p.data[:len(p.data)+p.words*lanes]
		}
		from := c.data[int(r)/lanes*lanes*c.words+int(r)%lanes:]
		to := p.data[p.n/lanes*lanes*p.words+p.n%lanes:]
		for w := 0; w < p.words*lanes; w += lanes {
			to[w] = from[w]
		}
		p.n++
	}
	return p
}

// near looks for pairs in codes, of which no two are equal. rows are their rows in
// the forest.
type near struct {
	codes  *Codes
	rows   []int32
	radius int
	o      NearOptions
	search SearchOptions

	mu     sync.Mutex // guards what follows
	forest *forest
	merged int // pairs of trees that became one, since roots was made
	// roots are the roots of all rows some time ago: rows that had one root have it
	// still, and most pairs can be passed over without the lock.
	roots atomic.Pointer[[]int32]
}

// unite joins the trees of a row of codes and of others.
func (n *near) unite(a int, others []int) {
	if len(others) == 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, b := range others {
		if n.forest.unite(int(n.rows[a]), int(n.rows[b])) {
			n.merged++
		}
	}
	if n.merged > len(n.rows)/64 {
		n.merged = 0
		roots := make([]int32, len(n.rows))
		for i, r := range n.rows {
			roots[i] = n.forest.find(r)
		}
		n.roots.Store(&roots)
	}
}

// What a row costs in a band, being hashed and sorted, in comparisons of a pair.
const bandRow = 400

func (n *near) run(ctx context.Context) error {
	m := int64(n.codes.n)
	pairs := m * (m - 1) / 2
	count := n.radius + 1
	if n.o.bands == "no" || n.o.bands == "" && int64(count)*m*bandRow >= pairs {
		return n.all(ctx, pairs)
	}
	bands := n.cut(count)
	if n.o.bands == "" {
		// The first band has the best bits, the last the worst.
		each := (candidates(n.codes.hashedRows(bands[0]))+candidates(n.codes.hashedRows(bands[count-1])))/2 + m*bandRow
		if int64(count)*each >= pairs {
			return n.all(ctx, pairs)
		}
	}
	return share(ctx, n.search.threads(), count, n.o.Progress, func(b int) {
		for alike := range runs(n.codes.hashedRows(bands[b])) {
			if ctx.Err() == nil {
				n.bucket(ctx, alike)
			}
		}
	})
}

// masked is a word of the codes and the bits of it that belong to a band.
type masked struct {
	word int
	mask uint64
}

// cut deals the bits to bands: those that differ most between codes in turn to each
// band, so that every band tells rows apart as well as can be. Bits that are the
// same in nearly all codes, of units that are never or always active, come last.
func (n *near) cut(count int) [][]masked {
	c := n.codes
	all := c.words * 64
	step := max(c.n/4096, c.n*c.words/(1<<20), 1)
	ones := make([]int32, all)
	sampled := int32(0)
	word := make([]uint64, c.words)
	for row := 0; row < c.n; row += step {
		c.wordsOf(word, row)
		for w, v := range word {
			for ; v != 0; v &= v - 1 {
				ones[w*64+bits.TrailingZeros64(v)]++
			}
		}
		sampled++
	}
	// Neighboring bits are alike more often than others; a shuffle parts them.
	order := rand.New(rand.NewPCG(1, 1)).Perm(all)
	skew := func(bit int) int32 { return max(2*ones[bit]-sampled, sampled-2*ones[bit]) }
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(skew(a), skew(b)) })
	// A band need not look at all its bits: rows that agree in all agree in some.
	const most = 256
	bands := make([][]masked, count)
	for b := range bands {
		by := map[int]uint64{}
		for i, k := b, 0; i < all && k < most; i, k = i+count, k+1 {
			by[order[i]/64] |= 1 << (order[i] % 64)
		}
		for w, m := range by {
			bands[b] = append(bands[b], masked{w, m})
		}
		slices.SortFunc(bands[b], func(x, y masked) int { return x.word - y.word })
	}
	return bands
}

// candidates counts the pairs that share a band.
func candidates(hs []hashed) (pairs int64) {
	for alike := range runs(hs) {
		m := int64(len(alike))
		pairs += m * (m - 1) / 2
	}
	return pairs
}

// bucket compares the rows that share a band.
func (n *near) bucket(ctx context.Context, hs []hashed) {
	if len(hs) > 16 {
		rows := make([]int32, len(hs))
		for i, h := range hs {
			rows[i] = h.row
		}
		sub := n.codes.only(rows)
		for lo := 0; lo < sub.n && ctx.Err() == nil; lo += pairRows {
			n.pairs(ctx, sub, lo, func(i int) int { return int(rows[i]) })
		}
		return
	}
	for i, a := range hs {
		for _, b := range hs[i+1:] {
			if n.codes.Distance(int(a.row), int(b.row)) <= n.radius {
				n.unite(int(a.row), []int{int(b.row)})
			}
		}
	}
}

// pairRows is how many rows are compared with all behind them at a time.
const pairRows = 256

// pairs compares rows lo to lo+pairRows of c with all that come after each. row is
// the row of codes that one of c is.
func (n *near) pairs(ctx context.Context, c *Codes, lo int, row func(int) int) {
	s := newScan(c, c, lo, min(lo+pairRows, c.n), n.search)
	var found []int
	s.each(ctx, lo/lanes, (c.n+lanes-1)/lanes,
		func(i, first int) uint64 {
			if first+s.block*lanes <= lo+i { // all of the codes are before it
				return 0
			}
			return uint64(n.radius) + 1
		},
		func(i int, keys []key) {
			found = found[:0]
			roots := n.roots.Load()
			for _, k := range keys {
				r := rowOf(k)
				if distanceOf(k) > n.radius || r <= lo+i || r >= c.n {
					continue
				}
				if roots == nil || (*roots)[row(lo+i)] != (*roots)[row(r)] {
					found = append(found, row(r))
				}
			}
			n.unite(row(lo+i), found)
		})
}

// all compares all pairs.
func (n *near) all(ctx context.Context, pairs int64) error {
	c := n.codes
	if n.o.AllPairs != nil {
		// Some rows against a part, to know the speed.
		part := *c
		part.n = min(c.n, max(1<<24/c.width, 64))
		s := newScan(c, &part, 0, min(32, c.n), n.search)
		start := time.Now()
		var near []key
		s.each(ctx, 0, (part.n+lanes-1)/lanes, func(_, _ int) uint64 { return uint64(n.radius) + 1 }, func(_ int, keys []key) {
			near = near[:0]
			for _, k := range keys {
				if distanceOf(k) <= n.radius {
					near = append(near, k)
				}
			}
		})
		each := float64(time.Since(start)) / float64(s.hi) / float64(part.n)
		n.o.AllPairs(pairs, time.Duration(each*float64(pairs)/float64(n.search.threads())))
	}
	var progress func(float64)
	if n.o.Progress != nil {
		progress = func(done float64) { n.o.Progress(1 - (1-done)*(1-done)) } // the first rows have most behind them
	}
	return share(ctx, n.search.threads(), (c.n+pairRows-1)/pairRows, progress, func(unit int) {
		n.pairs(ctx, c, unit*pairRows, func(i int) int { return i })
	})
}

// forest is a union-find over rows; a root is the first row of its tree.
type forest struct{ parent []int32 }

func newForest(n int) *forest {
	f := &forest{make([]int32, n)}
	for i := range f.parent {
		f.parent[i] = int32(i)
	}
	return f
}

func (f *forest) find(i int32) int32 {
	for f.parent[i] != i {
		f.parent[i] = f.parent[f.parent[i]]
		i = f.parent[i]
	}
	return i
}

// unite makes one tree of the trees of two rows; false when they are one already.
func (f *forest) unite(a, b int) bool {
	x, y := f.find(int32(a)), f.find(int32(b))
	if x > y {
		x, y = y, x
	}
	f.parent[y] = x
	return x != y
}

// groups are the trees of more than one row.
func (f *forest) groups() (all [][]int) {
	at := map[int32]int{}
	for i := range f.parent {
		r := f.find(int32(i))
		if r == int32(i) {
			continue
		}
		g, ok := at[r]
		if !ok {
			g = len(all)
			at[r] = g
			all = append(all, []int{int(r)})
		}
		all[g] = append(all[g], i)
	}
	slices.SortFunc(all, func(a, b []int) int { return a[0] - b[0] })
	return all
}
