package encoding

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
)

// measured is what scikit-learn gave: testdata/export/measures.py.
type measured struct {
	Bits, K, Regions         int
	C                        float64
	Train, Test              string
	TrainLabels              []int64 `json:"train_labels"`
	TestLabels               []int64 `json:"test_labels"`
	KNN                      []int64
	Sure                     []bool
	Initial, KMeans          []int
	Inertia, Purity, Matched float64
	Multinomial, Pairs       []int64
	MultinomialWeights       [][]float64 `json:"multinomial_weights"`
	PairsWeights             [][]float64 `json:"pairs_weights"`
}

func sklearn(t *testing.T) (cases []measured) {
	t.Helper()
	b, err := os.ReadFile("../../testdata/golden/measures.json")
	if err == nil {
		err = json.Unmarshal(b, &cases)
	}
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

func labelledSet(t *testing.T, packed string, labels []int64) *Codes {
	t.Helper()
	b, err := hex.DecodeString(packed)
	if err != nil {
		t.Fatal(err)
	}
	width := len(b) / len(labels)
	c, err := NewCodes(width)
	if err != nil {
		t.Fatal(err)
	}
	for i := range labels {
		if err := c.Append(b[i*width : (i+1)*width]); err != nil {
			t.Fatal(err)
		}
	}
	c.labels = labelsOf(labels...)
	return c
}

func (m measured) sets(t *testing.T) (train, test *Codes) {
	t.Helper()
	return labelledSet(t, m.Train, m.TrainLabels), labelledSet(t, m.Test, m.TestLabels)
}

func TestNearestNeighborsAreScikitLearns(t *testing.T) {
	for i, m := range sklearn(t) {
		train, test := m.sets(t)
		got, err := nearestNeighbors(t.Context(), train, test, m.K, SearchOptions{})
		if err != nil {
			t.Fatal(err)
		}
		right, unsure := 0, 0
		for r, want := range m.KNN {
			if !m.Sure[r] {
				unsure++
			} else if got.Predicted[r] != numbered(want) {
				t.Errorf("case %d: item %d is %v, want %d", i, r, got.Predicted[r], want)
			}
			if got.Predicted[r] == numbered(m.TestLabels[r]) {
				right++
			}
		}
		if got.DistanceTies != unsure || got.Right != right || got.Items != len(m.KNN) {
			t.Errorf("case %d: %d ties, %d of %d right; want %d, %d of %d", i, got.DistanceTies, got.Right, got.Items, unsure, right, len(m.KNN))
		}
	}
}

// Five points on a line, so that every tie is seen by hand.
func TestVotes(t *testing.T) {
	train, _ := NewCodes(1)
	for _, b := range []byte{0b00000000, 0b10000000, 0b11000000, 0b11111110, 0b11111111} {
		_ = train.Append([]byte{b})
	}
	train.labels = labelsOf(7, 3, 3, 5, NoNumber)
	test, _ := NewCodes(1)
	_ = test.Append([]byte{0b00000001}) // 1 from the first, 2 from the second, 3 from the third
	_ = test.Append([]byte{0b11111111}) // the item without a label does not vote
	test.labels = labelsOf(3, NoNumber)
	for _, c := range []struct {
		k              int
		want           []int64
		distance, vote int
	}{{1, []int64{7, 5}, 0, 0}, {2, []int64{3, 3}, 0, 2}, {3, []int64{3, 3}, 0, 0}} {
		got, err := nearestNeighbors(t.Context(), train, test, c.k, SearchOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.Predicted, numberedAll(c.want)) || got.VoteTies != c.vote || got.DistanceTies != c.distance || got.Items != 1 {
			t.Errorf("k %d: %+v, want %v, %d distance and %d vote ties of 1 item", c.k, got, c.want, c.distance, c.vote)
		}
	}
	if _, err := nearestNeighbors(t.Context(), train, test, 5, SearchOptions{}); err == nil {
		t.Error("5 neighbors of 4 items with labels give no error")
	}
}

func TestKMeansIsScikitLearns(t *testing.T) {
	for i, m := range sklearn(t) {
		train, _ := m.sets(t)
		got, err := kmeans(t.Context(), train, len(m.Initial), kmeansOptions{Initial: train.Pick(m.Initial)})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.Of, m.KMeans) || math.Abs(got.Inertia-m.Inertia) > 1e-9*m.Inertia || !got.Converged {
			t.Errorf("case %d: inertia %v after %d steps, want %v; clusters %v, want %v", i, got.Inertia, got.Iterations, m.Inertia, got.Of, m.KMeans)
		}
		if p, h := purityOf(got.Of, numberedAll(m.TrainLabels)), matchedShare(got.Of, numberedAll(m.TrainLabels)); math.Abs(p-m.Purity) > 1e-12 || math.Abs(h-m.Matched) > 1e-12 {
			t.Errorf("case %d: purity %v, matched %v; want %v, %v", i, p, h, m.Purity, m.Matched)
		}
	}
}

// The best of ten starts finds clusters that lie far apart, on any number of threads.
func TestKMeansPlusPlus(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	c, _ := NewCodes(40)
	var labels []int64
	centres := make([][]byte, 6)
	for i := range centres {
		centres[i] = make([]byte, 40)
		for j := range centres[i] {
			centres[i][j] = byte(rng.Uint32())
		}
	}
	for range 300 {
		k := rng.IntN(6)
		code := slices.Clone(centres[k])
		for range 20 {
			code[rng.IntN(40)] ^= 1 << rng.IntN(8)
		}
		_ = c.Append(code)
		labels = append(labels, int64(k))
	}
	var before *clustersFound
	for _, threads := range []int{1, 3} {
		got, err := kmeans(t.Context(), c, 6, kmeansOptions{Seed: 3, Threads: threads})
		if err != nil {
			t.Fatal(err)
		}
		if m := matchedShare(got.Of, numberedAll(labels)); m != 1 {
			t.Errorf("%d threads: %v matched", threads, m)
		}
		if before != nil && (!slices.Equal(before.Of, got.Of) || before.Inertia != got.Inertia) {
			t.Error("clusters depend on threads")
		}
		before = got
	}
	if _, err := kmeans(t.Context(), c, 301, kmeansOptions{}); err == nil {
		t.Error("301 clusters of 300 items give no error")
	}
}

// Equal codes leave clusters empty, which then take an item each.
func TestKMeansFillsClusters(t *testing.T) {
	c, _ := NewCodes(1)
	for _, b := range []byte{0, 0, 0, 0, 255} {
		_ = c.Append([]byte{b})
	}
	initial := c.Pick([]int{0, 1, 2})
	got, err := kmeans(t.Context(), c, 3, kmeansOptions{Initial: initial})
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[int]int{}
	for _, k := range got.Of {
		sizes[k]++
	}
	if len(sizes) != 3 || got.Inertia != 0 {
		t.Errorf("clusters %v, inertia %v", got.Of, got.Inertia)
	}
}

// The packed products equal the plain ones, on codes that do not fill their words.
func TestPackedProducts(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for _, width := range []int{1, 9, 16, 41} {
		for _, n := range []int{19, fewRows + 3} {
			c, _ := NewCodes(width)
			bits := make([][]float64, n)
			for i := range bits {
				code := make([]byte, width)
				bits[i] = make([]float64, 8*width)
				for j := range bits[i] {
					if rng.IntN(2) == 1 {
						code[j/8] |= 128 >> (j % 8)
						bits[i][j] = 1
					}
				}
				_ = c.Append(code)
			}
			w, f := make([]float64, 8*width), make([]float64, n)
			for i := range w {
				w[i] = rng.NormFloat64()
			}
			for i := range f {
				f[i] = rng.NormFloat64()
			}
			for _, threads := range []int{1, 4} {
				dot, sum := make([]float64, n), make([]float64, 8*width)
				c.times(dot, w, threads)
				c.sumOf(sum, f, threads)
				for i := range n {
					want := 0.0
					for j, b := range bits[i] {
						want += b * w[j]
					}
					if math.Abs(want-dot[i]) > 1e-12 {
						t.Errorf("%d bytes: row %d has %v, want %v", width, i, dot[i], want)
					}
				}
				for j := range sum {
					want := 0.0
					for i := range n {
						want += bits[i][j] * f[i]
					}
					if math.Abs(want-sum[j]) > 1e-12 {
						t.Errorf("%d bytes: bit %d has %v, want %v", width, j, sum[j], want)
					}
				}
			}
		}
	}
}

func TestRedundancy(t *testing.T) {
	c, _ := NewCodes(1)
	for _, b := range []byte{1, 2, 1, 3, 1, 2} {
		_ = c.Append([]byte{b})
	}
	if got, want := Redundant(c), (Redundancy{Items: 6, Regions: 3, Shared: 5, Ratio: 0.5}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	for i, m := range sklearn(t) {
		if train, _ := m.sets(t); Redundant(train).Regions != m.Regions {
			t.Errorf("case %d: %d regions, want %d", i, Redundant(train).Regions, m.Regions)
		}
	}
}

// Every assignment of small tables is tried.
func TestAssign(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for range 200 {
		rows, cols := 1+rng.IntN(5), 1+rng.IntN(5)
		cost := make([][]float64, rows)
		for i := range cost {
			cost[i] = make([]float64, cols)
			for j := range cost[i] {
				cost[i][j] = float64(rng.IntN(20) - 10)
			}
		}
		best := math.Inf(1)
		var try func(i, left int, used []bool, sum float64)
		try = func(i, left int, used []bool, sum float64) {
			if i == rows {
				if left == 0 {
					best = min(best, sum)
				}
				return
			}
			if rows-i > left { // this row may go without
				try(i+1, left, used, sum)
			}
			for j := range cols {
				if !used[j] && left > 0 {
					used[j] = true
					try(i+1, left-1, used, sum+cost[i][j])
					used[j] = false
				}
			}
		}
		try(0, min(rows, cols), make([]bool, cols), 0)
		got, used, n := 0.0, map[int]bool{}, 0
		for i, j := range Assign(cost) {
			if j < 0 {
				continue
			}
			if used[j] {
				t.Fatalf("column %d twice", j)
			}
			used[j] = true
			got += cost[i][j]
			n++
		}
		if got != best || n != min(rows, cols) {
			t.Fatalf("%v: %v by %d, want %v", cost, got, n, best)
		}
	}
}

// A clustering that is told to end while it chooses centres ends, with fewer than asked for.
func TestKMeansIsCancelled(t *testing.T) {
	c, err := NewCodes(8)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if err := c.Append([]byte{byte(i), 1, 2, 3, 4, 5, 6, 7}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := kmeans(ctx, c, 50, kmeansOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
