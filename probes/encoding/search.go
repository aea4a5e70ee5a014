package encoding

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/onnxprobe/onnxprobe/engine"
)

// Neighbor is a row of the searched set, and in how many bits it differs from
// the query.
type Neighbor struct {
	Row, Distance int32
}

// SearchOptions go with Search. The zero value uses all cores.
type SearchOptions struct {
	// Threads is how many goroutines search; 0 takes one for each core. Results
	// do not depend on it.
	Threads int
	// Self, when not nil, names for every query the row of the base that is the
	// query itself and is no neighbor of it, or -1.
	Self []int
	// Progress is told what share of the work is done, by any of the goroutines,
	// one at a time.
	Progress func(done float64)
	// scanner is which kernels to use; "" takes the fastest.
	scanner string
}

func (o SearchOptions) threads() int {
	if o.Threads > 0 {
		return o.Threads
	}
	return runtime.GOMAXPROCS(0)
}

func (o SearchOptions) kernels(words int) (four, one func(*scanArgs)) {
	s := scanners[len(scanners)-1]
	for _, c := range scanners {
		if c.name == o.scanner {
			s = c
		}
	}
	return s.four(words), s.one(words)
}

// Search finds for every query the k rows of base at the smallest Hamming
// distance: exactly, the nearest first, and of rows at one distance the one that
// comes first. There are fewer than k only where base has fewer.
//
// It compares every query with every code. A block of the base stays in the
// processor's cache while four queries at a time pass over it, and only codes
// nearer than a query's k-th so far leave the inner loop.
func Search(ctx context.Context, queries, base *Codes, k int, o SearchOptions) ([][]Neighbor, error) {
	switch {
	case queries.width != base.width:
		return nil, fmt.Errorf("searching %s: its codes have %d bytes, the queries' %d", base.Name, base.width, queries.width)
	case k < 1:
		return nil, fmt.Errorf("searching %s: %d neighbors; want 1 or more", base.Name, k)
	case o.Self != nil && len(o.Self) != queries.n:
		return nil, fmt.Errorf("searching %s: %d queries, and %d rows that they are", base.Name, queries.n, len(o.Self))
	}
	found := make([][]Neighbor, queries.n)
	if queries.n == 0 || base.n == 0 {
		return found, ctx.Err()
	}
	k = min(k, base.n)
	// The work is cut into some queries times some of the base. Many queries are
	// shared out; few let the threads share the base.
	threads := o.threads()
	const most = 256
	chunk := min(most, max((queries.n+threads-1)/threads+quad-1, quad)/quad*quad)
	chunks := (queries.n + chunk - 1) / chunk
	groups := (base.n + lanes - 1) / lanes
	parts := 1
	if chunks < threads {
		parts = min(threads, groups)
	}
	tops := make([]top, chunks*chunk*parts)
	err := share(ctx, threads, chunks*parts, o.Progress, func(unit int) {
		c, p := unit/parts, unit%parts
		lo, hi := c*chunk, min((c+1)*chunk, queries.n)
		s := newScan(queries, base, lo, hi, o)
		mine := tops[unit*chunk : unit*chunk+hi-lo]
		for i := range mine {
			mine[i] = top{k: k, self: -1}
			if o.Self != nil {
				mine[i].self = o.Self[lo+i]
			}
		}
		s.each(ctx, p*groups/parts, (p+1)*groups/parts,
			func(i, _ int) uint64 { return mine[i].limit() },
			func(i int, keys []key) { mine[i].add(keys, base.n) })
	})
	if err != nil {
		return nil, err
	}
	for q := range found {
		var keys []key
		for p := range parts {
			keys = append(keys, tops[(q/chunk*parts+p)*chunk+q%chunk].keys...)
		}
		slices.Sort(keys)
		keys = keys[:min(k, len(keys))]
		found[q] = make([]Neighbor, len(keys))
		for i, x := range keys {
			found[q][i] = Neighbor{int32(rowOf(x)), int32(distanceOf(x))}
		}
	}
	return found, nil
}

// share does units of work on several goroutines until ctx is done.
func share(ctx context.Context, threads, units int, progress func(float64), do func(unit int)) error {
	var next, done atomic.Int64
	var saying sync.Mutex
	work := func() {
		for ctx.Err() == nil {
			u := int(next.Add(1)) - 1
			if u >= units {
				return
			}
			do(u)
			n := done.Add(1)
			if progress != nil {
				saying.Lock()
				progress(float64(n) / float64(units))
				saying.Unlock()
			}
		}
	}
	if threads = min(threads, units); threads == 1 {
		work()
		return ctx.Err()
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg sync.WaitGroup
	for range threads {
		wg.Go(func() {
			if err := caught(work); err != nil {
				stop(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// caught is the panic of f, or nil.
func caught(f func()) (err error) {
	defer engine.Catch(&err)
	f()
	return nil
}

// blockBytes of codes are compared with all queries before the next ones are:
// they stay in a core's second-level cache.
const blockBytes = 64 << 10

// scan compares queries lo to hi with the base.
type scan struct {
	base      *Codes
	lo, hi    int
	words     []uint64 // of the queries, padded to a multiple of quad
	out       []key
	block     int // groups
	args      scanArgs
	four, one func(*scanArgs)
}

func newScan(queries, base *Codes, lo, hi int, o SearchOptions) *scan {
	w := base.words
	s := &scan{base: base, lo: lo, hi: hi, block: max(blockBytes/(w*lanes*8), 1)}
	n := (hi - lo + quad - 1) / quad * quad
	s.words = make([]uint64, n*w)
	for q := lo; q < hi; q++ {
		queries.wordsOf(s.words[(q-lo)*w:], q)
	}
	s.out = make([]key, quad*s.block*lanes)
	s.four, s.one = o.kernels(w)
	for i := range quad {
		s.args.out[i] = &s.out[i*s.block*lanes]
	}
	s.args.words = w
	return s
}

// each compares the queries with groups [from, to) of the base. limit is asked,
// for query lo+i and codes from a row on, below what distance keys are wanted;
// use gets them, in the order of rows, with others that are not.
func (s *scan) each(ctx context.Context, from, to int, limit func(i, row int) uint64, use func(i int, keys []key)) {
	w, n := s.args.words, s.hi-s.lo
	// Short blocks first: they give limits that spare most of the rest.
	step := min(16, s.block)
	for g := from; g < to && ctx.Err() == nil; {
		groups := min(step, to-g)
		s.args.base, s.args.groups, s.args.first = &s.base.data[g*w*lanes], groups, uint64(g*lanes)
		for q := 0; q < n; q += quad {
			s.args.query = &s.words[q*w]
			left := min(quad, n-q)
			wanted := uint64(0)
			for i := range quad {
				s.args.limit[i] = 0
				if i < left {
					s.args.limit[i] = limit(q+i, g*lanes)
				}
				wanted |= s.args.limit[i]
			}
			if wanted == 0 {
				continue
			}
			if left == 1 {
				s.one(&s.args)
			} else {
				s.four(&s.args)
			}
			for i := range left {
				if m := s.args.n[i]; m > 0 {
					use(q+i, unsafe.Slice(s.args.out[i], m))
				}
			}
		}
		g += groups
		step = min(2*step, s.block)
	}
}

// top holds the k least keys of those it was given: a heap, the greatest on top.
type top struct {
	keys []key
	k    int
	self int
}

// limit is the distance at which a further row, behind those seen, is no longer
// wanted.
func (t *top) limit() uint64 {
	if len(t.keys) < t.k {
		return 1 << 40
	}
	return t.keys[0] >> 32
}

func (t *top) add(keys []key, rows int) {
	for _, x := range keys {
		full := len(t.keys) == t.k
		if full && x >= t.keys[0] {
			continue
		}
		if r := rowOf(x); r >= rows || r == t.self {
			continue
		}
		if full {
			t.keys[0] = x
			t.sink()
			continue
		}
		t.keys = append(t.keys, x)
		if len(t.keys) == t.k {
			// In descending order it is a heap.
			slices.SortFunc(t.keys, func(a, b key) int { return cmp.Compare(b, a) })
		}
	}
}

// sink lets the first key find its place.
func (t *top) sink() {
	h, i := t.keys, 0
	for {
		c := 2*i + 1
		if c >= len(h) {
			return
		}
		if c+1 < len(h) && h[c+1] > h[c] {
			c++
		}
		if h[i] >= h[c] {
			return
		}
		h[i], h[c] = h[c], h[i]
		i = c
	}
}

// Estimate is the Hamming distance of two whole codes of full bits, estimated from
// that of their sketches of k bits, and its standard error. Sketches sample without
// replacement, so that the binomial error full * sqrt(p(1-p)/k) shrinks to nothing
// as k comes near full: by sqrt((full-k)/(full-1)).
func Estimate(distance, k, full int) (estimate, deviation float64) {
	p := float64(distance) / float64(k)
	estimate = p * float64(full)
	deviation = float64(full) * math.Sqrt(p*(1-p)/float64(k))
	if full > 1 {
		deviation *= math.Sqrt(float64(max(full-k, 0)) / float64(full-1))
	}
	return estimate, deviation
}
