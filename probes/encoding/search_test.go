package encoding

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onnxprobe/onnxprobe/probes"
)

func codesOf(tb testing.TB, width int, rows ...[]byte) *Codes {
	tb.Helper()
	c, err := NewCodes(width)
	if err != nil {
		tb.Fatal(err)
	}
	for _, r := range rows {
		if err := c.Append(r); err != nil {
			tb.Fatal(err)
		}
	}
	return c
}

// random are codes with few bits set or not set, so that distances tie.
func random(r *rand.Rand, n, width int, alike bool) [][]byte {
	rows := make([][]byte, n)
	for i := range rows {
		rows[i] = make([]byte, width)
		for k := range rows[i] {
			if !alike {
				rows[i][k] = byte(r.Uint32())
			} else if r.IntN(8) == 0 {
				rows[i][k] = 1 << r.IntN(8)
			}
		}
	}
	return rows
}

func randomCodes(tb testing.TB, r *rand.Rand, n, width int) *Codes {
	c, err := NewCodes(width)
	if err != nil {
		tb.Fatal(err)
	}
	c.grow(n)
	code := make([]byte, width)
	for range n {
		for i := range code {
			code[i] = byte(r.Uint32())
		}
		if err := c.Append(code); err != nil {
			tb.Fatal(err)
		}
	}
	return c
}

func naive(queries, base [][]byte, k int, self []int) [][]Neighbor {
	all := make([][]Neighbor, len(queries))
	for i, q := range queries {
		for j, b := range base {
			if self == nil || self[i] != j {
				all[i] = append(all[i], Neighbor{int32(j), int32(probes.Hamming(q, b))})
			}
		}
		slices.SortFunc(all[i], func(a, b Neighbor) int {
			return cmp.Or(cmp.Compare(a.Distance, b.Distance), cmp.Compare(a.Row, b.Row))
		})
		all[i] = all[i][:min(k, len(all[i]))]
	}
	return all
}

// Widths of every kind of kernel, and between them.
var widths = []int{1, 3, 7, 8, 9, 13, 16, 17, 31, 32, 33, 64, 65, 100, 128, 400}

func TestCodesComeBack(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, width := range widths {
		rows := random(r, 21, width, false)
		c := codesOf(t, width, rows...)
		got := make([]byte, width)
		for i, want := range rows {
			if c.At(got, i); !bytes.Equal(got, want) {
				t.Fatalf("width %d, row %d: %x, want %x", width, i, got, want)
			}
		}
		if c.Len() != 21 || c.Width() != width || c.Bits != 8*width || c.ID(3) != "3" || !slices.Equal(c.Rows("20"), []int{20}) || c.Rows("21") != nil || c.Rows("03") != nil {
			t.Errorf("width %d: %d codes of %d bytes and %d bits", width, c.Len(), c.Width(), c.Bits)
		}
		if err := c.Append(make([]byte, width+1)); err == nil {
			t.Error("a code of another width was appended")
		}
	}
	for _, width := range []int{-1, 0, 1 << 30} {
		if _, err := NewCodes(width); err == nil {
			t.Errorf("codes of %d bytes", width)
		}
	}
}

func TestSearchIsExact(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	if len(scanners) == 0 {
		t.Fatal("no kernels")
	}
	for _, s := range scanners {
		for _, width := range widths {
			for _, n := range []int{1, 5, 8, 203, 1000} {
				if n == 1000 && width > 64 {
					continue
				}
				base := random(r, n, width, n%2 == 1)
				for _, nq := range []int{1, 4, 7} {
					queries := random(r, nq, width, n%2 == 1)
					queries[0] = base[n/2]
					self := make([]int, nq)
					for i := range self {
						self[i] = -1
					}
					self[0] = n / 2
					for _, k := range []int{1, 3, 10, n, n + 50} {
						for _, threads := range []int{1, 3} {
							for _, own := range [][]int{nil, self} {
								got, err := Search(t.Context(), codesOf(t, width, queries...), codesOf(t, width, base...), k, SearchOptions{Threads: threads, Self: own, scanner: s.name})
								if err != nil {
									t.Fatal(err)
								}
								want := naive(queries, base, k, own)
								for i := range want {
									if !slices.Equal(got[i], want[i]) {
										t.Fatalf("%s, width %d, %d codes, %d queries, k %d, %d threads, query %d:\ngot  %v\nwant %v", s.name, width, n, nq, k, threads, i, got[i], want[i])
									}
								}
								if n == 1000 {
									break
								}
							}
						}
					}
				}
			}
		}
	}
}

// The kernels write the same keys for the same groups, on whatever limits.
func TestKernelsAgree(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, width := range widths {
		const n = 400
		base, queries := codesOf(t, width, random(r, n, width, true)...), codesOf(t, width, random(r, quad, width, true)...)
		for _, one := range []bool{false, true} {
			var want [quad][]key
			for si, s := range scanners {
				words := make([]uint64, quad*base.words)
				for q := range quad {
					queries.wordsOf(words[q*base.words:], q)
				}
				a := scanArgs{base: &base.data[0], groups: n / lanes, words: base.words, query: &words[0], first: 800}
				var out [quad][]key
				for i := range quad {
					out[i] = make([]key, n+lanes)
					for k := range out[i] {
						out[i][k] = 12345
					}
					a.out[i], a.limit[i] = &out[i][0], uint64(i*width)
				}
				if one {
					a.limit[0] = uint64(width)
					s.one(base.words)(&a)
				} else {
					s.four(base.words)(&a)
				}
				for i := range quad {
					if one && i > 0 {
						break
					}
					if !slices.Equal(out[i][n:], slices.Repeat([]key{12345}, lanes)) {
						t.Fatalf("%s, width %d: keys behind the room for them", s.name, width)
					}
					got := out[i][:a.n[i]]
					if si == 0 {
						want[i] = got
					} else if !slices.Equal(got, want[i]) {
						t.Fatalf("%s, width %d, query %d: %d keys, %s %d, or other ones", s.name, width, i, len(got), scanners[0].name, len(want[i]))
					}
				}
			}
		}
	}
}

func TestSearchRefuses(t *testing.T) {
	a, b := codesOf(t, 8, make([]byte, 8)), codesOf(t, 9, make([]byte, 9))
	for name, err := range map[string]error{
		"8 bytes":     second(Search(t.Context(), b, a, 1, SearchOptions{})),
		"0 neighbors": second(Search(t.Context(), a, a, 0, SearchOptions{})),
		"1 queries":   second(Search(t.Context(), a, a, 1, SearchOptions{Self: []int{0, 1}})),
	} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	empty, _ := NewCodes(8)
	for _, pair := range [][2]*Codes{{empty, a}, {a, empty}, {empty, empty}} {
		got, err := Search(t.Context(), pair[0], pair[1], 3, SearchOptions{})
		if err != nil || len(got) != pair[0].Len() || len(got) > 0 && len(got[0]) > 0 {
			t.Errorf("%v, %v", got, err)
		}
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Search(stopped, a, a, 1, SearchOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a search that was stopped: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestProgressEnds(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	c := randomCodes(t, r, 1000, 8)
	last := 0.0
	if _, err := Search(t.Context(), c, c, 2, SearchOptions{Threads: 3, Progress: func(d float64) { last = max(last, d) }}); err != nil || last != 1 {
		t.Errorf("progress ends at %g, %v", last, err)
	}
}

// components are the groups of Near by comparing all pairs.
func components(rows [][]byte, radius int) [][]int {
	f := newForest(len(rows))
	for i, a := range rows {
		for j := range i {
			if probes.Hamming(a, rows[j]) <= radius {
				f.unite(i, j)
			}
		}
	}
	return f.groups()
}

// clusters are codes with copies that differ in a few bits, and some in none.
func clusters(r *rand.Rand, n, width int) [][]byte {
	rows := random(r, max(n/3, 1), width, false)
	for len(rows) < n {
		c := slices.Clone(rows[r.IntN(len(rows))])
		for range r.IntN(5) {
			c[r.IntN(width)] ^= 1 << r.IntN(8)
		}
		rows = append(rows, c)
	}
	r.Shuffle(n, func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	return rows
}

func TestNearIsExact(t *testing.T) {
	r := rand.New(rand.NewPCG(10, 11))
	for _, width := range []int{1, 3, 8, 13, 32, 70} {
		for _, n := range []int{2, 9, 300, 1500} {
			rows := clusters(r, n, width)
			if width > 1 && n == 1500 { // units that are never active
				for _, row := range rows {
					for i := range row {
						row[i] &= 0x8f
					}
				}
			}
			c := codesOf(t, width, rows...)
			if got, want := Equal(c), components(rows, 0); !reflect.DeepEqual(got, want) {
				t.Fatalf("width %d, %d codes: equal %v, want %v", width, n, got, want)
			}
			for _, radius := range []int{0, 1, 2, 3, 7, 8, width * 8} {
				want := components(rows, radius)
				for _, o := range []NearOptions{{Threads: 1}, {Threads: 3}, {bands: "yes"}, {bands: "no"}, {bands: "yes", scanner: "Go"}, {bands: "no", scanner: "Go"}} {
					got, err := nearGroups(t.Context(), c, radius, o)
					if err != nil || !reflect.DeepEqual(got, want) {
						t.Fatalf("width %d, %d codes, radius %d, %+v: %d groups, want %d: %v", width, n, radius, o, len(got), len(want), err)
					}
				}
			}
		}
	}
	empty, _ := NewCodes(4)
	if got, err := nearGroups(t.Context(), empty, 3, NearOptions{}); err != nil || got != nil {
		t.Errorf("of no codes: %v, %v", got, err)
	}
}

// Bands are taken where they spare pairs, and it is said when they would not.
func TestNearSaysWhenBandsAreNoUse(t *testing.T) {
	r := rand.New(rand.NewPCG(12, 13))
	c := randomCodes(t, r, 6_000, 16)
	for _, x := range []struct {
		radius int
		all    bool
	}{{2, false}, {40, true}} {
		said := int64(0)
		_, err := nearGroups(t.Context(), c, x.radius, NearOptions{AllPairs: func(pairs int64, _ time.Duration) { said = pairs }})
		if err != nil || (said > 0) != x.all || x.all && said != 6_000*5_999/2 {
			t.Errorf("radius %d: all %d pairs, %v", x.radius, said, err)
		}
	}
}

func TestEqualHashesOfOtherCodes(t *testing.T) {
	// The hash folds words; codes of one word differ in it, so equal ones are made
	// by undoing the last step.
	a := make([]byte, 16)
	b := make([]byte, 16)
	h := mix(0, 1)
	g := mix(0, 2)
	put := func(c []byte, w0, w1 uint64) {
		for i := range 8 {
			c[i], c[8+i] = byte(w0>>(8*i)), byte(w1>>(8*i))
		}
	}
	put(a, 1, h)
	put(b, 2, g)
	if mix(mix(0, 1), h) != mix(mix(0, 2), g) {
		t.Fatal("the hashes differ")
	}
	got := Equal(codesOf(t, 16, a, b, a, b, b))
	if !reflect.DeepEqual(got, [][]int{{0, 2}, {1, 3, 4}}) {
		t.Errorf("groups %v", got)
	}
}

func BenchmarkHamming(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	const n = 1_000_000
	for _, bits := range []int{128, 256, 512, 1024} {
		base := randomCodes(b, r, n, bits/8)
		for _, nq := range []int{1, 16, 1000} {
			queries := randomCodes(b, r, nq, bits/8)
			for _, s := range scanners {
				if nq == 1000 && s.name == "Go" {
					continue // seconds
				}
				b.Run(fmt.Sprintf("bits=%d/queries=%d/%s", bits, nq, s.name), func(b *testing.B) {
					for b.Loop() {
						if _, err := Search(b.Context(), queries, base, 10, SearchOptions{Threads: 1, scanner: s.name}); err != nil {
							b.Fatal(err)
						}
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n/float64(nq), "ns/pair")
				})
			}
		}
	}
}
