package encoding

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/probes/text"
)

// Distances are how far the items of a set are from their nearest other items, in bits:
// what there is to know before a distance for Duplicates is chosen. Near copies have small
// ones, items without a copy those of what happens to look most like them.
type Distances struct {
	// On, Bits and Items are of the set: what its codes are, of how many bits, and how many.
	On    string
	Bits  int
	Items int
	// Rows are the rows whose nearest other item was sought, in order: all, or a sample.
	// Nearest are these items' rows, and Of how far they are. Eighth are the distances to
	// the eighth nearest, or the last of fewer: how far strangers are, where an item has
	// fewer than eight copies.
	Rows, Nearest, Of, Eighth []int32
	// near are the eight nearest items of each, or fewer where there are fewer.
	near []Neighbor
}

// eighth is the place of the neighbor that is taken for a stranger.
const eighth = 8

// DistancesOptions go with NearestDistances. The zero value uses all cores, and samples large
// sets.
type DistancesOptions struct {
	// Threads is how many goroutines search; 0 takes one for each core. Results do not
	// depend on it.
	Threads int
	// Sample is for how many items the nearest other one is sought, at the most; 0 takes as
	// many as about ten seconds of one core allow, and at least 1,000. All other items of
	// the set are compared with these, so that the distances are exact.
	Sample int
	// Progress is told what share of the work is done, by one goroutine at a time.
	Progress func(done float64)
}

// ErrNoDistances says of digests that they are equal or not: see NearestDistances.
var ErrNoDistances = errors.New("digests are equal or not, and have no distances")

// sampleWords is how many words of codes NearestDistances compares by itself.
const sampleWords = 1 << 37

// NearestDistances finds the distance of every item to its nearest other item exactly, by
// comparing it with all, and of equally near ones the one that comes first. Of a large set it
// takes a sample of the items, always the same. Memory is 80 bytes an item of the sample beside
// the codes.
// A set of one item or none has no distances, which is no error; digests have none, which is
// ErrNoDistances.
func NearestDistances(ctx context.Context, c *Codes, o DistancesOptions) (*Distances, error) {
	if c.On == Digest {
		return nil, fmt.Errorf("the nearest distances of %s: %w", c.Name, ErrNoDistances)
	}
	d := &Distances{On: c.On, Bits: c.Bits, Items: c.n}
	if c.n < 2 {
		return d, ctx.Err()
	}
	most := o.Sample
	if most <= 0 {
		most = max(1000, int(sampleWords/(int64(c.n)*int64(c.words))))
	}
	d.Rows = sampleOf(c.n, most)
	block := min(max((64<<20)/c.width, 64), 1<<12) // what is found for these takes no memory to speak of
	for lo := 0; lo < len(d.Rows); lo += block {
		rows := d.Rows[lo:min(lo+block, len(d.Rows))]
		s := SearchOptions{Threads: o.Threads, Self: make([]int, len(rows))}
		for i, r := range rows {
			s.Self[i] = int(r)
		}
		if o.Progress != nil {
			s.Progress = func(done float64) {
				o.Progress((float64(lo) + done*float64(len(rows))) / float64(len(d.Rows)))
			}
		}
		found, err := Search(ctx, c.only(rows), c, min(eighth, c.n-1), s)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			d.Nearest, d.Of = append(d.Nearest, f[0].Row), append(d.Of, f[0].Distance)
			d.Eighth, d.near = append(d.Eighth, f[len(f)-1].Distance), append(d.near, f...)
		}
	}
	return d, nil
}

// pairs are the distances of the nearest pairs: of two items that are each other's nearest
// one, the distance is counted once.
func (d *Distances) pairs() []int32 {
	seen := make(map[[2]int32]bool, len(d.Rows))
	all := make([]int32, 0, len(d.Rows))
	for i, row := range d.Rows {
		pair := [2]int32{min(row, d.Nearest[i]), max(row, d.Nearest[i])}
		if !seen[pair] {
			seen[pair] = true
			all = append(all, d.Of[i])
		}
	}
	return all
}

// Histogram counts the items by their distance in at most so many bins of whole bits, all of
// one width, from distance 0 to the largest there is: bin i holds the distances from i*width
// to (i+1)*width-1.
func (d *Distances) Histogram(most int) (width int, counts []int) {
	if len(d.Of) == 0 {
		return 1, nil
	}
	all := int(slices.Max(d.Of)) + 1
	width = (all + most - 1) / max(most, 1)
	counts = make([]int, (all+width-1)/width)
	for _, v := range d.Of {
		counts[int(v)/width]++
	}
	return width, counts
}

// String says what there is in a line.
func (d *Distances) String() string {
	s := fmt.Sprintf("distances to the nearest other item, of %s", text.Count(d.Items, "item"))
	if len(d.Rows) < d.Items && d.Items > 1 {
		s = fmt.Sprintf("distances to the nearest other item, of a sample of %d of %s", len(d.Rows), text.Count(d.Items, "item"))
	}
	return fmt.Sprintf("%s, in bits of %d", s, d.Bits)
}

// Table is the histogram for a person to read, in some 20 bins: how far, how many items, a bar,
// and beside it the valley, which may be nil, and the distance that was taken, which is less
// than 0 where none was.
func (d *Distances) Table(v *Valley, taken int) [][]string {
	rows := [][]string{{"BITS", "ITEMS", "", ""}}
	width, counts := d.Histogram(24)
	for len(counts) > 0 && counts[len(counts)-1] == 0 {
		counts = counts[:len(counts)-1]
	}
	const longest = 40
	for i, n := range counts {
		from, to := i*width, (i+1)*width-1
		bits := fmt.Sprint(from)
		if width > 1 {
			bits = fmt.Sprintf("%d to %d", from, to)
		}
		bar := strings.Repeat("#", (n*longest+slices.Max(counts)-1)/slices.Max(counts))
		var marks []string
		if taken >= from && taken <= to {
			marks = append(marks, fmt.Sprintf("<- distance %d", taken))
		}
		if v != nil && to > v.Low && from <= v.High {
			marks = append(marks, "valley")
		}
		rows = append(rows, []string{bits, fmt.Sprint(n), bar, strings.Join(marks, ", ")})
	}
	return rows
}

// MarshalJSON writes the part of dedup's contract that is called nearest: the histogram, of
// at most 1,024 bins.
func (d *Distances) MarshalJSON() ([]byte, error) {
	width, counts := d.Histogram(1024)
	return json.Marshal(struct {
		Items   int   `json:"items"`
		Sampled int   `json:"sampled"`
		Width   int   `json:"width"`
		Counts  []int `json:"counts"`
	}{d.Items, len(d.Rows), width, counts})
}

// sampleOf are at most so many of n rows, in order.
func sampleOf(n, most int) []int32 {
	rows := make([]int32, 0, min(n, most))
	if most >= n {
		for i := range n {
			rows = append(rows, int32(i))
		}
		return rows
	}
	// Floyd's method: distinct numbers without holding all of them.
	r, chosen := rand.New(rand.NewPCG(1, 2)), make(map[int32]bool, most)
	for j := n - most; j < n; j++ {
		row := int32(r.IntN(j + 1))
		if chosen[row] {
			row = int32(j)
		}
		chosen[row] = true
		rows = append(rows, row)
	}
	slices.Sort(rows)
	return rows
}
