package segment

import "math"

// mark is ink that may be a letter: that of a component, or of a column of one that is
// wider than a letter is high.
type mark struct {
	x0, x1 float64
	y      float64 // the mean of its ink's rows
	tall   float64 // how tall ink that is spread evenly would be, to be as far from y
	ink    float64 // its pixels
}

func (m mark) x() float64 { return (m.x0 + m.x1) / 2 }

// columns counts the ink in the rows of n columns of a component on a page w wide.
func (c component) columns(w, n int) [][]int {
	rows := make([]int, n*c.height())
	all := make([][]int, n)
	for k := range all {
		all[k] = rows[k*c.height() : (k+1)*c.height()]
	}
	for _, i := range c.pixels {
		all[(int(i)%w-c.x0)*n/c.width()][int(i)/w-c.y0]++
	}
	return all
}

// moments are the ink of some rows, its mean row, and how tall ink is that has the
// same variance and is spread evenly.
func moments(rows []int) (ink, y, tall float64) {
	var sum, squares float64
	for k, n := range rows {
		f, at := float64(n), float64(k)+.5
		ink, sum, squares = ink+f, sum+f*at, squares+f*at*at
	}
	if ink == 0 {
		return 0, 0, 0
	}
	y = sum / ink
	return ink, y, math.Sqrt(12 * max(squares/ink-y*y, 0))
}

// marks are those of a component: in columns that are no wider than a height, the ink of
// the rows, a height of them, where most of it is, which leaves out what reaches above
// and below; and further such rows with at least half as much, as where letters of two
// lines have grown together.
func (c component) marks(w int, height float64) []mark {
	n := max(int(math.Ceil(float64(c.width())/height)), 1)
	each := float64(c.width()) / float64(n)
	window := min(max(int(height), 1), c.height())
	var all []mark
	for k, rows := range c.columns(w, n) {
		for first := 0; ; {
			at, most := densest(rows, window)
			if first = max(first, most); most == 0 || 2*most < first {
				break
			}
			ink, y, tall := moments(rows[at : at+window])
			x := float64(c.x0) + float64(k)*each
			all = append(all, mark{x, x + each, float64(c.y0+at) + y, tall, ink})
			clear(rows[at : at+window])
		}
	}
	return all
}

// densest is where a window of rows holds the most ink, and how much.
func densest(rows []int, window int) (at, most int) {
	sum := 0
	for k, n := range rows {
		sum += n
		if k >= window {
			sum -= rows[k-window]
		}
		if sum > most {
			at, most = max(k-window+1, 0), sum
		}
	}
	return min(at, len(rows)-window), most
}
