package encoding

import (
	"cmp"
	"math/bits"
	"sync"
)

// Products of packed codes with real vectors, without unpacking: a byte of a code
// selects one of the 256 sums that eight weights have, the "method of four Russians".
// Weights are in the order of bits of packed codes: 8*j+t belongs to bit t, from the
// most significant, of byte j.

const bytesOfWord = 8

// tables are the sums of the weights of one word's bits: entry v of table b is that of
// the bits of value v of byte b.
type tables [bytesOfWord][256]float64

func (t *tables) fill(weights []float64) {
	for b := range t {
		for v := 1; v < 256; v++ {
			low := v & -v
			bit := 0
			for low>>bit != 1 {
				bit++
			}
			w := 0.0
			if i := 8*b + 7 - bit; i < len(weights) {
				w = weights[i]
			}
			t[b][v] = t[b][v&(v-1)] + w
		}
	}
}

// times adds to dst the product of each row with weights; dst has a value for a row,
// weights one for each of 8*width bits.
func (c *Codes) times(dst, weights []float64, threads int) {
	if c.n <= fewRows {
		c.split(c.n, threads, func(from, to int) {
			for r := from; r < to; r++ {
				c.each(r, func(bit int) { dst[r] += weights[bit] })
			}
		})
		return
	}
	groups := (c.n + lanes - 1) / lanes
	c.split(groups, threads, func(from, to int) {
		var t tables
		for w := range c.words {
			if w*64 >= len(weights) {
				break
			}
			t.fill(weights[w*64:])
			for g := from; g < to; g++ {
				at := (g*c.words + w) * lanes
				words := (*[lanes]uint64)(c.data[at : at+lanes])
				for l, x := range words {
					if r := g*lanes + l; r < c.n {
						dst[r] += t[0][x&255] + t[1][x>>8&255] + t[2][x>>16&255] + t[3][x>>24&255] +
							t[4][x>>32&255] + t[5][x>>40&255] + t[6][x>>48&255] + t[7][x>>56]
					}
				}
			}
		}
	})
}

// sumOf adds to dst, in the order of weights, the codes each times its row's factor.
func (c *Codes) sumOf(dst, factors []float64, threads int) {
	if c.n <= fewRows {
		for r, f := range factors {
			if f != 0 {
				c.each(r, func(bit int) { dst[bit] += f })
			}
		}
		return
	}
	groups := (c.n + lanes - 1) / lanes
	c.split(c.words, threads, func(from, to int) {
		for w := from; w < to; w++ {
			var t tables
			for g := range groups {
				at := (g*c.words + w) * lanes
				words := (*[lanes]uint64)(c.data[at : at+lanes])
				for l, x := range words {
					r := g*lanes + l
					if r >= c.n || factors[r] == 0 {
						continue
					}
					f := factors[r]
					for b := range t {
						t[b][x&255] += f
						x >>= 8
					}
				}
			}
			for b := range t {
				if i := w*64 + 8*b; i < len(dst) {
					unfold(dst[i:i+8], &t[b])
				}
			}
		}
	})
}

// unfold adds to each bit, from the most significant, the sum of the entries whose
// number has it. t is used up.
func unfold(dst []float64, t *[256]float64) {
	for i := range dst {
		half := 128 >> i
		for v := half; v < 2*half; v++ {
			dst[i] += t[v]
			t[v-half] += t[v]
		}
	}
}

// fewRows is up to where bits one by one are faster than tables.
const fewRows = 256

// each calls f for every bit of a row that is 1.
func (c *Codes) each(row int, f func(bit int)) {
	at := row/lanes*lanes*c.words + row%lanes
	for w := range c.words {
		// Bytes in order, and the most significant bit of each first.
		for x := bits.ReverseBytes64(c.data[at+w*lanes]); x != 0; {
			bit := bits.LeadingZeros64(x)
			f(w*64 + bit)
			x &^= 1 << (63 - bit)
		}
	}
}

// split does the units from 0 to n in equal parts on several goroutines. A panic of one
// goes on in the caller.
func (c *Codes) split(n, threads int, do func(from, to int)) {
	threads = max(min(threads, n), 1)
	errs := make([]error, threads)
	var wg sync.WaitGroup
	for i := range threads {
		wg.Go(func() { errs[i] = caught(func() { do(i*n/threads, (i+1)*n/threads) }) })
	}
	wg.Wait()
	if err := cmp.Or(errs...); err != nil {
		panic(err)
	}
}
