package encoding_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/onnxprobe/onnxprobe/probes/encoding"
)

// fourCodes are codes of 16 bits: the first three differ in few of them.
func fourCodes() *encoding.Codes {
	set, err := encoding.NewCodes(2)
	if err != nil {
		panic(err)
	}
	for _, code := range [][]byte{{0x00, 0x0f}, {0x00, 0x0f}, {0x01, 0x0f}, {0xff, 0xf0}} {
		if err := set.Append(code); err != nil {
			panic(err)
		}
	}
	return set
}

// A set that is searched in itself gives every item its nearest other ones.
func ExampleNearest() {
	set := fourCodes()
	m, err := encoding.Nearest(context.Background(), set, set, 2, encoding.SearchOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for q, neighbors := range m.Found {
		for _, n := range neighbors {
			fmt.Printf("%s and %s differ in %s bits\n", set.ID(q), set.ID(int(n.Row)), set.DistanceText(int(n.Distance)))
		}
	}
	// Output:
	// 0 and 1 differ in 0 of 16 bits
	// 0 and 2 differ in 1 of 16 bits
	// 1 and 0 differ in 0 of 16 bits
	// 1 and 2 differ in 1 of 16 bits
	// 2 and 0 differ in 1 of 16 bits
	// 2 and 1 differ in 1 of 16 bits
	// 3 and 2 differ in 15 of 16 bits
	// 3 and 0 differ in 16 of 16 bits
}

// Items that differ in at most one bit are one group, of which one is kept.
func ExampleDuplicates() {
	g, err := encoding.Duplicates(context.Background(), fourCodes(), 1, encoding.NearOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(g.Summary())
	for _, row := range g.Table(10) {
		fmt.Printf("%q\n", row)
	}
	if err := g.WriteKept(os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// 4 items: 3 in 1 group of codes within 1 of 16 bits; without 2 duplicates 2 are left
	// ["GROUP" "SIZE" "ITEMS"]
	// ["0" "3" "0  1  2"]
	// 0
	// 3
}

// Labels come with the items of a result; here it is JSON Lines.
func ExampleMeasure() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "codes.jsonl")
	text := `{"id": "a", "label": 0, "code": "000f"}
{"id": "b", "label": 0, "code": "000f"}
{"id": "c", "label": 1, "code": "ffe0"}
{"id": "d", "label": 1, "code": "fff0"}
`
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		fmt.Println(err)
		return
	}
	train, err := encoding.Open(path, encoding.OpenOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	o := encoding.MeasureOptions{Test: train}
	o.K = 2
	e, err := encoding.Measure(context.Background(), train, o)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d regions of %d items, redundancy %g\n", e.Redundancy.Train.Regions, e.Items, e.Redundancy.Train.Ratio)
	fmt.Printf("%.3f bits of entropy a unit\n", e.Units.Train.Entropy)
	fmt.Printf("%d nearest neighbors find %g of the labels\n", e.KNN.K, e.Accuracies(true).KNN)
	// Output:
	// 3 regions of 4 items, redundancy 0.25
	// 0.988 bits of entropy a unit
	// 2 nearest neighbors find 1 of the labels
}

// A distance can be chosen by how far items are from their nearest other ones: near copies
// and strangers have a valley between them.
func ExampleNearestDistances() {
	set, err := encoding.NewCodes(32)
	if err != nil {
		fmt.Println(err)
		return
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 100 { // strangers, every fourth with a copy that differs in up to 6 bits
		code := make([]byte, 32)
		for i := range code {
			code[i] = byte(random.Uint32())
		}
		_ = set.Append(code)
		if set.Len()%5 == 4 {
			for range random.IntN(6) + 1 {
				code[random.IntN(32)] ^= 1
			}
			_ = set.Append(code)
		}
	}
	d, err := encoding.NearestDistances(context.Background(), set, encoding.DistancesOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := d.Valley()
	if err != nil { // a *encoding.NoValleyError where there is none
		fmt.Println(err)
		return
	}
	fmt.Printf("%d pairs of copies within %d bits; strangers from %d on\n", v.Copies, v.Low, v.High+1)
	g, err := encoding.Duplicates(context.Background(), set, v.Low, encoding.NearOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(g.Summary())
	// Output:
	// 25 pairs of copies within 6 bits; strangers from 95 on
	// 125 items: 50 in 25 groups of codes within 6 of 256 bits; without 25 duplicates 100 are left; the largest group has 2
}
