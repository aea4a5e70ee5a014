package encoding

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// Valley is what lies, in the distances of items to other ones, between near copies and
// strangers: the items that are in nobody's copies and nevertheless have a nearest one. Where
// copies run into strangers it is narrow, or has no width at all.
type Valley struct {
	// Low and High are its sides in bits. Low is the distance to take: the groups at it have
	// the best F1 that can be told without knowing the copies. Beyond Low, the first groups
	// that strangers would join join at more bits than High.
	Low  int `json:"low"`
	High int `json:"high"`
	// Copies, Between and Strangers count the pairs of nearest items at distances up to Low,
	// within the valley, and beyond it.
	Copies    int `json:"pairs_low"`
	Between   int `json:"pairs_between"`
	Strangers int `json:"pairs_high"`
	// Depth is by how many standard deviations of chance there are more copies than as near
	// strangers.
	Depth float64 `json:"depth"`
}

// NoValleyError says why no distance can be told from distances to the nearest other items.
type NoValleyError struct{ Why string }

func (e *NoValleyError) Error() string {
	return "there is no valley between near copies and other items: " + e.Why
}

// What a copy is. The numbers were chosen on copies of CIFAR-10 pictures and photographs by
// three networks, and held to another network, other sites and other pictures, as
// benchmarks/results tell; half or twice of copyChance and copyTimes give nearly the same
// distances.
const (
	valleyPairs = 20   // no fewer pairs, or strangers, tell anything
	valleyBits  = 8    // to the eighth nearest item, or fewer, are no measure of how near strangers are
	valleyScale = 0.4  // of the distance to the eighth nearest item, where strangers are nearest; it is more
	copyChance  = 0.01 // at the most, that a stranger is as near as a copy
	copyTimes   = 10   // as many copies as as near strangers, and
	copyMore    = 5    // that many more, are not chance
	bitsCost    = 0.05 // of F1, that as many bits as the eighth nearest item is away have to bring
)

// Valley chooses the distance for Duplicates, or says with a *NoValleyError why none can be
// told. It takes three steps.
//
// How near do strangers come? The eighth nearest item is no copy, where there are fewer than
// eight. If it is E bits away, others are spread around the item as in a space of M dimensions,
// so that the nearest of eight strangers is within D bits by a chance of 1-(1-(D/E)^M)^7. M is
// the same for all items, and follows from how near those come that have no copy; E is the
// item's own, so that few bits between flat pictures, which have many others near, count for
// little.
//
// Which items are copies? Groups grow as links between items join them, the shortest first. A
// link that would be so short between strangers, seen from either end, in fewer than 1 % of the
// items is one between copies. It has to be less in a set with few copies: there must be ten
// times as many copies as strangers that are as near, and five more, or there is no valley.
//
// At which distance do groups hold most copies and fewest strangers? At each the links say
// which share of the copies is grouped, and of the pairs in groups those that copies made, and
// thus F1 over pairs. The best one is taken, less a little for each bit, so that in a wide valley
// it is the lower side, and not that of some stranger which happens to be as near as a copy.
//
// Of a sample of a large set only the links of its items are known; of Distances that
// NearestDistances did not make there are none, and no valley.
func (d *Distances) Valley() (*Valley, error) {
	pairs := d.pairs()
	if len(pairs) < valleyPairs {
		return nil, &NoValleyError{fmt.Sprintf("there are %d pairs of nearest items, and fewer than %d tell nothing", len(pairs), valleyPairs)}
	}
	if least, most := slices.Min(pairs), slices.Max(pairs); least == most {
		return nil, &NoValleyError{fmt.Sprintf("all nearest distances are the same, %d bits", least)}
	}
	far := slices.Sorted(slices.Values(d.Eighth))
	usual := float64(far[len(far)/2])
	switch {
	case usual == 0:
		return nil, &NoValleyError{"most items have eight equals or more"}
	case usual < valleyBits:
		return nil, &NoValleyError{fmt.Sprintf("most items have eight others within %.0f bits, so that bits do not tell items apart", usual)}
	}
	c, ok := d.crowd()
	if !ok {
		return nil, &NoValleyError{"nearly every item has a copy, so that the nearest distances do not show how far strangers are"}
	}
	bridges := d.bridges()
	for i, b := range bridges {
		bridges[i].chance = c.chance(b.a, b.Distance)
		if at, ok := slices.BinarySearch(d.Rows, b.Row); ok {
			bridges[i].chance = max(bridges[i].chance, c.chance(at, b.Distance))
		}
	}
	limit, copies := copyLimit(bridges, len(d.Rows))
	if copies == 0 {
		return nil, &NoValleyError{"no more items are near each other than strangers are by chance, seen by how near their eighth nearest item is"}
	}
	v := bestOf(bridges, limit, copies, bitsCost/usual)
	chance := limit * float64(len(d.Rows))
	v.Depth = (float64(copies) - chance) / math.Sqrt(chance+1)
	for _, p := range pairs {
		switch {
		case int(p) <= v.Low:
			v.Copies++
		case int(p) <= v.High:
			v.Between++
		default:
			v.Strangers++
		}
	}
	return v, nil
}

// crowd says how near strangers come: eighth are the distances to the eighth nearest items,
// dimensions by which power of the distance items become more.
type crowd struct {
	eighth     []int32
	dimensions float64
}

// crowd finds the dimensions by how near the items come that have no copy, in shares of the
// distance to the eighth: at first by the share that one of twenty items exceeds, then by the
// upper quartile of those whose nearest item is no copy by the first. It is false where nearly
// all have a copy.
func (d *Distances) crowd() (crowd, bool) {
	shares := make([]float64, len(d.Of))
	for i, v := range d.Of {
		shares[i] = shareOf(v, d.Eighth[i])
	}
	sorted := slices.Sorted(slices.Values(shares))
	high := sorted[(len(sorted)-1)*19/20]
	if high < valleyScale {
		return crowd{}, false
	}
	c := crowd{d.Eighth, dimensions(high, 0.95)}
	var strangers []float64
	for i, s := range shares {
		if s < 1 && c.chance(i, d.Of[i]) > copyChance {
			strangers = append(strangers, s)
		}
	}
	if len(strangers) >= valleyPairs {
		slices.Sort(strangers)
		c.dimensions = dimensions(strangers[len(strangers)*3/4], 0.75)
	}
	return c, true
}

// shareOf is a distance over another; a whole number of bits stands for half a bit more or less.
func shareOf(distance, of int32) float64 {
	return min((float64(distance)+0.5)/(float64(of)+0.5), 1)
}

// dimensions are those in which strangers are within a share of the eighth one's distance by a
// chance.
func dimensions(share, chance float64) float64 {
	return math.Log(1-math.Pow(1-chance, 1./(eighth-1))) / math.Log(min(share, 0.99))
}

// chance is how likely the nearest stranger of item i of the sample is within a distance.
func (c crowd) chance(i int, distance int32) float64 {
	return 1 - math.Pow(1-math.Pow(shareOf(distance, c.eighth[i]), c.dimensions), eighth-1)
}

// bridge is a link that joins two groups: from item a of the sample to a near row; pairs are how
// many pairs of items come into one group by it, and chance how likely strangers are as near.
type bridge struct {
	a int
	Neighbor
	pairs, chance float64
}

// bridges are the links that join groups when the distance grows, the shortest first.
func (d *Distances) bridges() (all []bridge) {
	each := len(d.near) / max(len(d.Rows), 1)
	order := make([]int32, len(d.near))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortStableFunc(order, func(a, b int32) int { return int(d.near[a].Distance - d.near[b].Distance) })
	u, sizes := newForest(d.Items), map[int32]float64{}
	size := func(root int32) float64 { return max(sizes[root], 1) }
	for _, at := range order {
		to := d.near[at]
		a := int(at) / each
		x, y := u.find(d.Rows[a]), u.find(to.Row)
		if x == y {
			continue
		}
		all = append(all, bridge{a: a, Neighbor: to, pairs: size(x) * size(y)})
		sum := size(x) + size(y)
		u.unite(int(x), int(y))
		sizes[u.find(x)] = sum
	}
	return all
}

// copyLimit is the chance that a stranger is as near below which a link is one of copies, and
// how many these are; 0 where none can be told from chance.
func copyLimit(bridges []bridge, items int) (limit float64, copies int) {
	chances := make([]float64, len(bridges))
	for i, b := range bridges {
		chances[i] = b.chance
	}
	slices.Sort(chances)
	for i, chance := range chances {
		if chance <= copyChance && float64(i+1) >= copyTimes*chance*float64(items)+copyMore {
			limit, copies = chance, i+1
		}
	}
	return limit, copies
}

// bestOf is the valley at the distance with the best F1 less a cost of each bit.
func bestOf(bridges []bridge, limit float64, copies int, cost float64) *Valley {
	var found, right, all float64
	best := math.Inf(-1)
	v, next := &Valley{}, 0
	for i, b := range bridges {
		all += b.pairs
		if b.chance <= limit {
			found++
			right += b.pairs
		}
		if i+1 < len(bridges) && bridges[i+1].Distance == b.Distance {
			continue
		}
		recall, precision := found/float64(copies), right/all
		if f1 := 2 * recall * precision / max(recall+precision, 1e-9); f1-cost*float64(b.Distance) > best+1e-9 {
			best, next = f1-cost*float64(b.Distance), i+1
			v.Low = int(b.Distance)
		}
	}
	v.High = v.Low
	for _, b := range bridges[next:] {
		if b.chance > limit {
			v.High = int(b.Distance) - 1
			break
		}
	}
	return v
}

// GroupCount says what groups of duplicates there are at a distance: how many, of how many
// items, and how many items the largest has.
type GroupCount struct {
	Distance int `json:"distance"`
	Groups   int `json:"groups"`
	Grouped  int `json:"grouped"`
	Largest  int `json:"largest"`
}

// countOf are the groups at a distance.
func countOf(distance int, members [][]int) GroupCount {
	n := GroupCount{Distance: distance, Groups: len(members)}
	for _, rows := range members {
		n.Grouped, n.Largest = n.Grouped+len(rows), max(n.Largest, len(rows))
	}
	return n
}

// CountAround counts the groups at a distance and at its neighbors, two steps below and two
// above, a step being a 128th of the bits and at least one: where they are nearly the same,
// the distance is a safe one; a largest group that grows from one step to the next says that
// strangers are being connected. g are the groups at the distance itself.
func CountAround(ctx context.Context, g *Groups, o NearOptions) (counts []GroupCount, err error) {
	step := max(g.Codes.Bits/128, 1)
	for i := -2; i <= 2; i++ {
		at := g.Radius + i*step
		if at < 0 || at > g.Codes.Bits {
			continue
		}
		members := g.Members
		if i != 0 {
			if members, err = nearGroups(ctx, g.Codes, at, o); err != nil {
				return nil, err
			}
		}
		counts = append(counts, countOf(at, members))
	}
	return counts, nil
}
