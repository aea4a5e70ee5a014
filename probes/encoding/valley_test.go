package encoding

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// planted is a set of strangers, whose codes share most of their bits with a few themes, and
// for a share of them a copy with up to flip bits changed. It says how many copies there are.
func planted(t *testing.T, r *rand.Rand, width, strangers int, share float64, flip int) (c *Codes, copies int) {
	t.Helper()
	c, err := NewCodes(width)
	if err != nil {
		t.Fatal(err)
	}
	themes := make([][]byte, 5)
	for i := range themes {
		themes[i] = make([]byte, width)
		for j := range themes[i] {
			themes[i][j] = byte(r.Uint32())
		}
	}
	for range strangers {
		code := bytes.Clone(themes[r.IntN(len(themes))])
		for range width * 8 * (10 + r.IntN(15)) / 100 {
			code[r.IntN(width)] ^= 1 << r.IntN(8)
		}
		if err := c.Append(code); err != nil {
			t.Fatal(err)
		}
		if r.Float64() < share {
			for range r.IntN(flip + 1) {
				code[r.IntN(width)] ^= 1 << r.IntN(8)
			}
			if err := c.Append(code); err != nil {
				t.Fatal(err)
			}
			copies++
		}
	}
	return c, copies
}

// distancesOf are the nearest distances of a set.
func distancesOf(t *testing.T, c *Codes, o DistancesOptions) *Distances {
	t.Helper()
	d, err := NearestDistances(context.Background(), c, o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestNearestDistances(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, width := range []int{1, 8, 32, 33, 500} {
		c, _ := planted(t, r, width, 150, 0.3, 3)
		codes := make([][]byte, c.Len())
		for i := range codes {
			codes[i] = make([]byte, width)
			c.At(codes[i], i)
		}
		for _, o := range []DistancesOptions{{}, {Threads: 3}, {Sample: 40}} {
			d := distancesOf(t, c, o)
			if want := c.Len(); o.Sample == 0 && len(d.Rows) != want || o.Sample > 0 && len(d.Rows) != o.Sample {
				t.Fatalf("width %d, %+v: %d rows of %d", width, o, len(d.Rows), want)
			}
			for k, row := range d.Rows {
				if k > 0 && row <= d.Rows[k-1] {
					t.Fatalf("rows %d and %d", d.Rows[k-1], row)
				}
				at, least, all := -1, 0, []int{}
				for j := range codes {
					far := 0
					for b := range codes[j] {
						far += bits.OnesCount8(codes[j][b] ^ codes[row][b])
					}
					if j != int(row) {
						all = append(all, far)
						if at < 0 || far < least {
							at, least = j, far
						}
					}
				}
				if int(d.Of[k]) != least || int(d.Nearest[k]) != at {
					t.Fatalf("width %d, row %d: row %d at %d, want row %d at %d", width, row, d.Nearest[k], d.Of[k], at, least)
				}
				nearer, notFarther := 0, 0
				for _, far := range all {
					if far < int(d.Eighth[k]) {
						nearer++
					}
					if far <= int(d.Eighth[k]) {
						notFarther++
					}
				}
				if nearer >= 8 || notFarther < 8 {
					t.Fatalf("width %d, row %d: %d items are nearer than the eighth at %d, %d not farther", width, row, nearer, d.Eighth[k], notFarther)
				}
			}
			w, counts := d.Histogram(10)
			sum := 0
			for _, n := range counts {
				sum += n
			}
			if sum != len(d.Of) || len(counts) > 10 || w < 1 {
				t.Errorf("width %d: the histogram has %d bins of %d bits with %d items", width, len(counts), w, sum)
			}
		}
	}
	digests := &Codes{On: Digest}
	if _, err := NearestDistances(context.Background(), digests, DistancesOptions{}); !errors.Is(err, ErrNoDistances) {
		t.Errorf("of digests: %v", err)
	}
	one, _ := NewCodes(4)
	_ = one.Append(make([]byte, 4))
	if d := distancesOf(t, one, DistancesOptions{}); len(d.Of) != 0 || d.Items != 1 {
		t.Errorf("of one item: %+v", d)
	}
}

// A valley is found where there are copies, many or few, in codes of any length, and the
// groups at its lower side are the copies.
func TestValleyFindsCopies(t *testing.T) {
	for _, x := range []struct {
		width, strangers int
		share            float64
	}{
		{32, 100, 0.5}, {32, 1000, 0.5}, {32, 2000, 0.005}, {32, 1000, 0.02}, {128, 300, 0.2}, {5000, 200, 0.5}, {20, 300, 0.3}, {32, 400, 0.8},
	} {
		for seed := range uint64(4) {
			c, copies := planted(t, rand.New(rand.NewPCG(seed, 5)), x.width, x.strangers, x.share, x.width*8*3/100)
			v, err := distancesOf(t, c, DistancesOptions{}).Valley()
			if copies < 6 && err != nil {
				continue // too few to be told from chance
			}
			if err != nil {
				t.Errorf("%+v, %d copies: %v", x, copies, err)
				continue
			}
			g, err := Duplicates(context.Background(), c, v.Low, NearOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if len(g.Members) != copies || v.Copies != copies || v.High <= v.Low || g.Summary().Largest != 2 {
				t.Errorf("%+v: %d groups within %d bits (the valley ends at %d), want %d; the largest has %d", x, len(g.Members), v.Low, v.High,
					copies, g.Summary().Largest)
			}
		}
	}
}

// alike draw points that have no copies: of few dimensions, in clusters, in clusters of
// clusters, some of them with long tails, and some of little contrast, which have small codes.
var alike = map[string]func(r *rand.Rand) []float64{
	"two dimensions": func(r *rand.Rand) []float64 { return []float64{2*r.Float64() - 1, 2*r.Float64() - 1} },
	"ten dimensions": func(r *rand.Rand) []float64 { return normal(r, 10, 1) },
	"clusters":       func(r *rand.Rand) []float64 { return around(r.IntN(8), 1, normal(r, 20, 0.4)) },
	"clusters of clusters": func(r *rand.Rand) []float64 {
		class := r.IntN(4)
		return around(class, 1, around(10+4*class+r.IntN(3), 0.6, normal(r, 20, 0.35)))
	},
	"contrast": func(r *rand.Rand) []float64 { return normal(r, 12, math.Exp(0.8*r.NormFloat64())) },
}

func normal(r *rand.Rand, n int, size float64) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = size * r.NormFloat64()
	}
	return x
}

// around moves a point to a center, which its number says.
func around(center int, size float64, x []float64) []float64 {
	c := rand.New(rand.NewPCG(uint64(center), 1))
	for i := range x {
		x[i] += size * c.NormFloat64()
	}
	return x
}

// signsOf are codes of points: on which sides of 256 planes they lie.
func signsOf(t *testing.T, r *rand.Rand, draw func(*rand.Rand) []float64, n int) *Codes {
	c, err := NewCodes(32)
	if err != nil {
		t.Fatal(err)
	}
	var planes [][]float64
	for range n {
		x := draw(r)
		code := make([]byte, 32)
		for b := range 256 {
			if b >= len(planes) {
				planes = append(planes, normal(r, len(x)+1, 1))
			}
			side := planes[b][len(x)] / 2
			for i, v := range x {
				side += v * planes[b][i]
			}
			if side > 0 {
				code[b/8] |= 1 << (b % 8)
			}
		}
		if err := c.Append(code); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// Where copies run into strangers, the distance has nearly the best F1 that any has, which is
// known here by which items were copied; a sample tells nearly the same one.
func TestValleyOfMixedCopies(t *testing.T) {
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 2))
		var of []int
		var original []float64
		left, copied := 0, 0
		set := signsOf(t, r, func(r *rand.Rand) []float64 {
			if left == 0 { // half of the originals have no copy, some have two
				original, left = alike["contrast"](r), 1+r.IntN(2)*(1+r.IntN(2))
				copied += left * (left - 1) / 2
				of = append(of, len(of))
			} else {
				of = append(of, of[len(of)-1])
			}
			left--
			x, change := slices.Clone(original), 0.4*r.Float64()
			for i := range x {
				x[i] *= 1 + change*r.NormFloat64()
			}
			return x
		}, 1200)
		f1 := func(distance int) float64 {
			g, err := Duplicates(context.Background(), set, distance, NearOptions{})
			if err != nil {
				t.Fatal(err)
			}
			paired, right := 0, 0
			for _, rows := range g.Members {
				for i, a := range rows {
					for _, b := range rows[:i] {
						paired++
						if of[a] == of[b] {
							right++
						}
					}
				}
			}
			return 2 * float64(right) / float64(paired+copied)
		}
		best, at := 0., 0
		for d := range 100 {
			if f := f1(d); f > best {
				best, at = f, d
			}
		}
		for _, o := range []DistancesOptions{{}, {Sample: 500}} {
			v, err := distancesOf(t, set, o).Valley()
			if err != nil {
				t.Errorf("%+v: %v", o, err)
				continue
			}
			t.Logf("sample %d: %d bits, F1 %.3f; the best is %.3f at %d", o.Sample, v.Low, f1(v.Low), best, at)
			if lost := best - f1(v.Low); lost > 0.05 || o.Sample > 0 && lost > 0.1 {
				t.Errorf("sample %d: %d bits have an F1 of %.3f; the best is %.3f at %d", o.Sample, v.Low, f1(v.Low), best, at)
			}
		}
	}
}

// Where there are no copies there is no valley.
func TestValleyRefuses(t *testing.T) {
	wrong, tries := 0, 0
	for seed := range uint64(25) {
		for _, n := range []int{100, 300, 1500} {
			c, _ := planted(t, rand.New(rand.NewPCG(seed, 9)), 32, n, 0, 1)
			tries++
			if _, err := distancesOf(t, c, DistancesOptions{}).Valley(); err == nil {
				wrong++
			}
		}
	}
	r := rand.New(rand.NewPCG(3, 3))
	for name, draw := range alike {
		for _, n := range []int{50, 200, 800} {
			for range 4 {
				tries++
				if v, err := distancesOf(t, signsOf(t, r, draw, n), DistancesOptions{}).Valley(); err == nil {
					t.Logf("%d items, %s: %+v", n, name, v)
					wrong++
				}
			}
		}
	}
	if wrong*100 > tries {
		t.Errorf("a valley in %d of %d sets that have none", wrong, tries)
	}
	for want, c := range map[string]*Codes{
		"fewer than 20":      first(planted(t, r, 32, 15, 0.2, 1)),
		"are the same":       oneHot(t, 40),
		"nearly every item":  first(planted(t, r, 32, 300, 1, 7)),
		"eight equals":       equals(t, 400),
		"0 pairs of nearest": equals(t, 1),
	} {
		_, err := distancesOf(t, c, DistancesOptions{}).Valley()
		var none *NoValleyError
		if !errors.As(err, &none) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want it to say %q", err, want)
		}
	}
}

func first(c *Codes, _ int) *Codes { return c }

// oneHot are codes of one bit each, all at the distance of 2.
func oneHot(t *testing.T, n int) *Codes {
	c, err := NewCodes(n / 8)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		code := make([]byte, n/8)
		code[i/8] = 1 << (i % 8)
		if err := c.Append(code); err != nil {
			t.Fatal(err)
		}
	}
	// Of nearest pairs that are counted once there are n-1.
	return c
}

// equals are many equal codes, and some others.
func equals(t *testing.T, n int) *Codes {
	c, err := NewCodes(32)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(2, 2))
	for i := range n {
		code := make([]byte, 32)
		if i%20 == 0 {
			for j := range code {
				code[j] = byte(r.Uint32())
			}
		}
		if err := c.Append(code); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func TestCountAround(t *testing.T) {
	c, copies := planted(t, rand.New(rand.NewPCG(1, 5)), 32, 300, 0.3, 7)
	d := distancesOf(t, c, DistancesOptions{})
	v, err := d.Valley()
	if err != nil {
		t.Fatal(err)
	}
	g, err := Duplicates(context.Background(), c, v.Low, NearOptions{})
	if err != nil {
		t.Fatal(err)
	}
	g.Nearest, g.Valley = d, v
	if g.Around, err = CountAround(context.Background(), g, NearOptions{}); err != nil {
		t.Fatal(err)
	}
	for i, n := range g.Around {
		other, err := Duplicates(context.Background(), c, n.Distance, NearOptions{})
		if err != nil {
			t.Fatal(err)
		}
		s := other.Summary()
		if n != (GroupCount{v.Low + 2*i - 4, s.Groups, s.Grouped, s.Largest}) {
			t.Errorf("%+v; want %+v", n, s)
		}
	}
	var got struct {
		Largest int
		Nearest struct {
			Items, Sampled, Width int
			Counts                []int
		}
		Valley Valley
		Around []GroupCount
	}
	b, err := json.Marshal(g)
	if err == nil {
		err = json.Unmarshal(b, &got)
	}
	if err != nil || len(g.Around) != 5 || fmt.Sprint(got.Around) != fmt.Sprint(g.Around) || got.Valley != *v || got.Nearest.Items != c.Len() ||
		got.Nearest.Sampled != c.Len() || got.Nearest.Width != 1 || got.Largest != 2 || v.Copies != copies {
		t.Errorf("%v: %+v", err, got)
	}
	table := d.Table(v, v.Low)
	if marks := fmt.Sprint(table); !strings.Contains(marks, fmt.Sprintf("<- distance %d", v.Low)) || !strings.Contains(marks, "valley") {
		t.Errorf("%q", table)
	}
}
