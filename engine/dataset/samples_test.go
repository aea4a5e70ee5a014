package dataset

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// numberedIDs is what the IDs of keys are, by the rule: a key that came before gets
// the first suffix from #2 on that no ID has yet.
func numberedIDs(keys []string) (ids []string) {
	next := map[string]int{}
	for _, id := range keys {
		if n := next[id]; n > 0 {
			again := id
			for ; next[again] > 0; n++ {
				again = id + "#" + strconv.Itoa(n)
			}
			next[id], id = n, again
		}
		next[id] = 2
		ids = append(ids, id)
	}
	return ids
}

// Keys that come again, and keys that look as if they had, have the IDs that the
// rule gives, in any order and however many samples there are.
func TestRandomTars(t *testing.T) {
	picture := pngOf(t, 1, 1, 3)
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 5))
		base := func() string { return []string{"a", "b", "dir/a", "a#2", "b#", "é"}[r.IntN(6)] }
		key := func() string { return base() + []string{"", "", "#2", "#3", "#2#2", "#02"}[r.IntN(6)] }
		switch seed % 4 {
		case 1: // in order, but that some come again
			n := 0
			key = func() string {
				n += r.IntN(8) + 1
				return fmt.Sprintf("%s%06d", strings.Repeat("long", int(seed)%20), n-r.IntN(2))
			}
		case 2: // all different, in no order
			n := 0
			key = func() string { n++; return fmt.Sprintf("%x#%d", uint64(n)*0x9e3779b97f4a7c15, n%9) }
		case 3: // as when one file follows another
			n, again := 0, r.IntN(90)+1
			key = func() string { n++; return fmt.Sprintf("%09d", n%again) }
		}
		var members []member
		var keys, images, labels []string
		kind := seed / 4 % 3
		for range r.IntN(4 * perBlock) {
			k := key()
			for len(keys) > 0 && keys[len(keys)-1] == k { // it would be of the same sample
				k = key() + "x"
			}
			keys, images, labels = append(keys, k), append(images, "3"), append(labels, "-1")
			last := len(keys) - 1
			switch r.IntN(8) {
			case 0:
				members, images[last] = append(members, member{k + ".txt", []byte("x"), nil}), "no image"
			case 1:
				members, images[last] = append(members, member{k + ".png", picture, nil}, member{k + ".jpg", nil, nil}), "more than one"
			default:
				members = append(members, member{k + ".left.txt", make([]byte, r.IntN(2000)), nil}, member{k + ".png", picture, nil})
			}
			if kind > 0 && r.IntN(5) > 0 {
				v := r.IntN([]int{0, 9, 400}[kind])
				members, labels[last] = append(members, member{k + ".cls", []byte(strconv.Itoa(v)), nil}), strconv.Itoa(v)
			}
		}
		if len(keys) == 0 {
			continue
		}
		b, name := tarOf(t, members...), "x.tar"
		if seed%2 == 0 {
			b, name = gz(t, b), "x.tar.gz"
		}
		ds := open(t, raw1, filepath.Join(tree(t, map[string][]byte{name: b}), name))
		ids := numberedIDs(keys)
		if ds.Len() != len(ids) {
			t.Fatalf("seed %d: %d items, want %d", seed, ds.Len(), len(ids))
		}
		dst := make([]float32, 3)
		for _, i := range r.Perm(len(ids)) {
			it, err := ds.Item(i), ds.Sample(i, dst)
			got := fmt.Sprint(dst[0])
			if err != nil {
				got = err.Error()
			}
			if want := name + "/" + ids[i]; it.ID != want || strconv.Itoa(it.Label) != labels[i] || !strings.Contains(got, images[i]) {
				t.Fatalf("seed %d, item %d: %q with label %d: %s; want %q with %s: %s", seed, i, it.ID, it.Label, got, want, labels[i], images[i])
			}
		}
		if again := ds.(*joined).parts[0].(*shard).again; seed%4 == 2 && again != nil {
			t.Errorf("seed %d: suffixes %v where all keys are different", seed, again)
		}
	}
}

// Samples and labels come back as they went in.
func TestPackedSamples(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	var s samples
	var keys []string
	var items []tarItem
	for range 5000 {
		key := make([]byte, r.IntN(6))
		for i := range key {
			key[i] = "ab\xff"[r.IntN(3)]
		}
		if r.IntN(100) == 0 {
			key = append(key, strings.Repeat("z", r.IntN(maxKey-6))...)
		}
		it := tarItem{fault: tarFault(r.IntN(3))}
		if it.fault == tarGood {
			it.at, it.size = r.Int64()>>(1+r.IntN(50)), r.Int64()>>(1+r.IntN(60))
		}
		keys, items = append(keys, string(key)), append(items, it)
		s.add(string(key), it)
	}
	s.settle()
	s.each(func(i int, key []byte) {
		if string(key) != keys[i] || s.keyAt(i) != keys[i] || s.at(i) != items[i] {
			t.Fatalf("sample %d: %q and %q, %+v; want %q, %+v", i, key, s.keyAt(i), s.at(i), keys[i], items[i])
		}
	})

	for _, most := range []int32{1, 254, 255, 256, 65534, 65535, 65536, math.MaxInt32} {
		var l labels
		var want []int32
		for range 3*perPack + 100 {
			v := r.Int32N(most)
			switch r.IntN(4) {
			case 0:
				v = -1
			case 1:
				v = most
			}
			want = append(want, v)
			l.add(v)
		}
		check := func() {
			t.Helper()
			for i, v := range want {
				if l.at(i) != int(v) {
					t.Fatalf("up to %d: label %d is %d, want %d", most, i, l.at(i), v)
				}
			}
		}
		check()
		to := func(v int32) int32 { return math.MaxInt32 - v }
		l.change(to)
		for i, v := range want {
			if v >= 0 {
				want[i] = to(v)
			}
		}
		check()
	}
}

// The memory of a tar file's index, and what finding repeated keys takes, are a few
// bytes for each sample.
func TestTarIndexIsSmall(t *testing.T) {
	const n = 50000
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for name, key := range map[string]func(i int) string{
		"in order":    func(i int) string { return fmt.Sprintf("%09d", i) },
		"in no order": func(i int) string { return fmt.Sprintf("%09d", i*7919%n) },
	} {
		var x tarIndexer
		before, at := heap(), int64(0)
		for i := range n {
			x.item(key(i), tarItem{at: at, size: 1500 + int64(i%1000)}, strconv.Itoa(i%1000))
			at += 4096
		}
		indexed := heap() - before
		index := x.finish(nil)
		x = tarIndexer{}
		held := heap() - before
		t.Logf("%s: %.1f bytes a sample while it is made, %.1f then", name, float64(indexed)/n, float64(held)/n)
		if indexed > 20*n || held > 20*n {
			t.Errorf("%s: the index takes %d bytes while it is made and %d then, want at most 20 for each of %d samples", name, indexed, held, n)
		}
		if got := index.samples.keyAt(n - 1); got != key(n-1) || index.again != nil || !slices.Equal(index.class, nil) {
			t.Errorf("%s: the last key is %q, suffixes %v, classes %v", name, got, index.again, index.class)
		}
	}
}
