// Package kernel is the arithmetic of the pure Go engine: convolution, matrix
// products, pooling and softmax, with their derivatives, on slices of float32
// and float64. It uses AVX2 or AVX-512 where the processor has them, and plain
// Go elsewhere.
//
// ConvForward and MatMulForward fix the order of the arithmetic. Each element
// of the output starts from its bias, or +0, and the products are added to it
// one after the other in ascending order of k, for a convolution the input
// channel, then the row of the window, then its column. Every product and every
// sum is rounded by itself: nothing is fused. What lies outside the input is a
// zero, and its product is added like any other. So the bits of a result depend
// on the operands alone: not on the blocking, the threads, the batch an item
// shares, the width of the vectors or the processor. (Of a NaN, only that it is
// one.) The other functions give results that do not depend on the threads.
//
// Slices hold what their geometry says, without checks of their own beyond
// Go's; results may not overlap operands, unless a function says so.
package kernel

import (
	"runtime"
	"sync"
	"unsafe"
)

// Float is an element type.
type Float interface{ float32 | float64 }

// Runner holds the number of threads and the scratch memory of one session. It
// is used by one goroutine at a time.
type Runner struct {
	threads int
	workers []worker
}

// NewRunner makes a Runner of that many threads; 0 for GOMAXPROCS.
func NewRunner(threads int) *Runner {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	return &Runner{threads: threads, workers: make([]worker, threads)}
}

// Threads is the most goroutines that a call uses at a time.
func (r *Runner) Threads() int { return r.threads }

// Each splits [0, n) into contiguous ranges of at least grain, or one range when
// n is smaller, and calls f for each, on at most Threads goroutines at a time.
// It returns when all of them have; a panic in f goes on in the caller. A single
// range runs on the calling goroutine. f may not use r.
func (r *Runner) Each(n, grain int, f func(lo, hi int)) {
	r.each(n, grain, func(_ *worker, lo, hi int) { f(lo, hi) })
}

// each is Each, which also hands every goroutine the scratch memory it has for
// itself.
func (r *Runner) each(n, grain int, f func(w *worker, lo, hi int)) {
	if n <= 0 {
		return
	}
	parts := min(r.threads, n/max(grain, 1))
	if parts <= 1 {
		f(&r.workers[0], 0, n)
		return
	}
	var wg sync.WaitGroup
	var once sync.Once
	var failed any
	wg.Add(parts)
	run := func(p int) {
		defer wg.Done()
		defer func() {
			if e := recover(); e != nil {
				once.Do(func() { failed = e })
			}
		}()
		f(&r.workers[p], part(n, p, parts), part(n, p+1, parts))
	}
	for p := 1; p < parts; p++ {
		go run(p)
	}
	run(0)
	wg.Wait()
	if failed != nil {
		panic(failed)
	}
}

// part is where the p-th of parts even parts of [0, n) begins.
func part(n, p, parts int) int { return n/parts*p + min(p, n%parts) }

// worker is the scratch memory of one goroutine.
type worker struct{ bufs [slots][]byte }

const (
	slotA       = iota // packed panels of A
	slotB              // packed panels of B
	slotTile           // a tile that does not lie whole in the output
	slotBand           // a part of the input of a convolution
	slotOffsets        // where the rows of a panel begin in it
	slotRuns           // the pieces of such a row
	slotColumns        // the columns of ConvInput
	slots
)

const cacheLine = 64

// scratch gives n elements of w's memory, aligned to a cache line, with
// arbitrary contents; they are good until the slot is asked for again. T holds
// no pointers.
func scratch[T any](w *worker, slot, n int) []T {
	var zero T
	need := n * int(unsafe.Sizeof(zero))
	b := w.bufs[slot]
	if len(b) < need || b == nil {
		b = make([]byte, need+need/4+2*cacheLine)
		skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) & (cacheLine - 1)
		b = b[skip:]
		w.bufs[slot] = b
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

func ceilDiv(a, b int) int { // b > 0
	q := a / b
	if a%b > 0 {
		q++
	}
	return q
}

func fill[T any](s []T, v T) {
	if len(s) == 0 {
		return
	}
	s[0] = v
	for n := 1; n < len(s); n *= 2 {
		copy(s[n:], s[:n])
	}
}
