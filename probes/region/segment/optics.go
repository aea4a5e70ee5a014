package segment

import (
	"container/heap"
	"math"
)

// optics orders n items so that those that are near each other follow one another, and
// says from how near each is reached: infinite where a new cluster begins (Ankerst et
// al., OPTICS: Ordering Points To Identify the Clustering Structure, SIGMOD 1999). An
// item is a core when it has minPts items, itself among them, among its neighbours;
// neighbours are the items that near names, with their distances.
func optics(n, minPts int, near func(i int, use func(j int, d float64))) (order []int, reach []float64) {
	done := make([]bool, n)
	reach = make([]float64, n)
	for i := range reach {
		reach[i] = math.Inf(1)
	}
	for start := range n {
		if done[start] {
			continue
		}
		seeds := &queue{{start, math.Inf(1)}}
		for seeds.Len() > 0 {
			s := heap.Pop(seeds).(seed)
			if done[s.i] {
				continue
			}
			done[s.i] = true
			order = append(order, s.i)
			core := coreDistance(s.i, minPts, near)
			if math.IsInf(core, 1) {
				continue
			}
			near(s.i, func(j int, d float64) {
				if r := max(core, d); !done[j] && r < reach[j] {
					reach[j] = r
					heap.Push(seeds, seed{j, r})
				}
			})
		}
	}
	return order, reach
}

// coreDistance is how far an item's minPts-th neighbour is, itself being the first.
func coreDistance(i, minPts int, near func(i int, use func(j int, d float64))) float64 {
	nearest := make([]float64, max(minPts-1, 0)) // ascending
	for k := range nearest {
		nearest[k] = math.Inf(1)
	}
	near(i, func(_ int, d float64) {
		for k := range nearest {
			if d < nearest[k] {
				d, nearest[k] = nearest[k], d
			}
		}
	})
	if len(nearest) == 0 {
		return 0
	}
	return nearest[len(nearest)-1]
}

// clusters cuts an OPTICS order where the next item is farther than cut.
func clusters(order []int, reach []float64, cut float64) [][]int {
	var all [][]int
	for _, i := range order {
		if reach[i] > cut || len(all) == 0 {
			all = append(all, nil)
		}
		all[len(all)-1] = append(all[len(all)-1], i)
	}
	return all
}

type seed struct {
	i     int
	reach float64
}

// queue is a heap of seeds, the nearest first, and of equal ones the one with the lower
// number.
type queue []seed

func (q queue) Len() int { return len(q) }
func (q queue) Less(a, b int) bool {
	return q[a].reach < q[b].reach || q[a].reach == q[b].reach && q[a].i < q[b].i
}
func (q queue) Swap(a, b int) { q[a], q[b] = q[b], q[a] }
func (q *queue) Push(v any)   { *q = append(*q, v.(seed)) }
func (q *queue) Pop() any {
	old := *q
	v := old[len(old)-1]
	*q = old[:len(old)-1]
	return v
}
