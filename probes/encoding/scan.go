package encoding

import (
	"math/bits"
	"unsafe"
)

// Codes lie in memory in groups of lanes codes: the first 64-bit words of the
// eight codes, then their second words, and so on. One vector instruction then
// works on one word of eight codes, and nothing has to be added across a vector.
const lanes = 8

// A scan compares up to quad queries with every code of consecutive groups. For
// each query and each group that holds a code at a distance below the query's
// limit it writes the keys of all eight codes of the group, in order.
const quad = 4

// key orders codes by distance, then by row.
type key = uint64

func keyOf(distance uint64, row int) key { return distance<<32 | uint64(row) }
func distanceOf(k key) int               { return int(k >> 32) }
func rowOf(k key) int                    { return int(uint32(k)) }

// scanArgs is what a scan reads and writes. The assembly knows its layout.
type scanArgs struct {
	base   *uint64       // 0: groups*words*lanes words
	groups int           // 8
	words  int           // 16: 2, or a multiple of 4
	query  *uint64       // 24: the queries' words, one query after the other
	first  uint64        // 32: row of the first code
	limit  [quad]uint64  // 40: less than 1<<62
	out    [quad]*uint64 // 72: room for groups*lanes keys each
	n      [quad]int     // 104: keys written, by the scan
	//lint:ignore U1000 the assembly uses it
	dist [quad * 8]int64 // 136: scratch
}

// scanner is one set of kernels: four queries at a time, or one.
type scanner struct {
	name      string
	four, one func(words int) func(*scanArgs)
}

// scanners are the sets that this machine runs, the fastest last.
var scanners = append([]scanner{{"Go", func(int) func(*scanArgs) { return scan4Go },
	func(int) func(*scanArgs) { return scan1Go }}}, fastScanners()...)

func scan4Go(a *scanArgs) { scanGo(a, quad) }
func scan1Go(a *scanArgs) { scanGo(a, 1) }

// scanGo is what the assembly does, in Go.
func scanGo(a *scanArgs, queries int) {
	base := unsafe.Slice(a.base, a.groups*a.words*lanes)
	qs := unsafe.Slice(a.query, queries*a.words)
	for i := range queries {
		q, n := qs[i*a.words:(i+1)*a.words], 0
		out := unsafe.Slice(a.out[i], a.groups*lanes)
		for g := range a.groups {
			var d [lanes]uint64
			group := base[g*a.words*lanes : (g+1)*a.words*lanes]
			for w, word := range q {
				row := (*[lanes]uint64)(group[w*lanes:])
				for l, b := range row {
					d[l] += uint64(bits.OnesCount64(b ^ word))
				}
			}
			least := d[0]
			for _, v := range d[1:] {
				least = min(least, v)
			}
			if least >= a.limit[i] {
				continue
			}
			for l, v := range d {
				out[n+l] = keyOf(v, int(a.first)+g*lanes+l)
			}
			n += lanes
		}
		a.n[i] = n
	}
}
