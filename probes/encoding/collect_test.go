package encoding

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"

	"github.com/onnxprobe/onnxprobe/probes/result"
)

// batches are what a run writes: the second has an item that could not be read.
func batches(on string) [][]result.Column {
	columns := func(ids []string, labels []int64, unlabelled, failed []bool, codes []uint8, digests []string) []result.Column {
		status, message, good := make([]string, len(ids)), make([]string, len(ids)), make([]bool, len(ids))
		for i, f := range failed {
			status[i], good[i] = "ok", !f
			if f {
				status[i], message[i] = "error", "torn"
			}
		}
		cols := []result.Column{{Name: "id", Values: ids}, {Name: "label", Values: labels, Null: unlabelled},
			{Name: "status", Values: status}, {Name: "error", Values: message, Null: good}}
		if on == Digest {
			return append(cols, result.Column{Name: on, Values: digests, Null: failed})
		}
		return append(cols, result.Column{Name: on, Values: codes, Width: 2, Null: failed})
	}
	digest := func(b byte) string { return string(bytes.Repeat([]byte{b}, 32)) }
	return [][]result.Column{
		columns([]string{"a", "b"}, []int64{3, 0}, []bool{false, true}, []bool{false, false}, []uint8{1, 2, 3, 4}, []string{digest('a'), digest('b')}),
		columns([]string{"c", "d"}, []int64{5, 7}, []bool{false, false}, []bool{true, false}, []uint8{0, 0, 5, 6}, []string{"", digest('d')}),
	}
}

// What is collected is what Open reads from the result of the same run.
func TestCollectorIsOpen(t *testing.T) {
	for _, on := range []string{Code, Sketch, Digest} {
		path := filepath.Join(t.TempDir(), "c.jsonl")
		to, err := result.Create(path, result.Options{})
		if err != nil {
			t.Fatal(err)
		}
		c := NewCollector(on, 0)
		for _, cols := range batches(on) {
			if err := errors.Join(to.Write(cols), c.Write(cols)); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(to.Commit(nil), c.Commit(nil)); err != nil {
			t.Fatal(err)
		}
		want, err := Open(path, OpenOptions{On: on})
		if err != nil {
			t.Fatal(err)
		}
		got := c.Codes()
		if got.Len() != 3 || got.Len() != want.Len() || got.Width() != want.Width() || got.Bits != want.Bits || got.On != on || got.Failed != 1 {
			t.Fatalf("%s: %d codes of %d bytes and %d bits, %d failed", on, got.Len(), got.Width(), got.Bits, got.Failed)
		}
		x, y := make([]byte, got.Width()), make([]byte, got.Width())
		for i := range got.Len() {
			got.At(x, i)
			want.At(y, i)
			a, aok := got.Label(i)
			b, bok := want.Label(i)
			if !bytes.Equal(x, y) || got.ID(i) != want.ID(i) || a != b || aok != bok {
				t.Errorf("%s: item %v: %x %q %v %t, want %x %q %v %t", on, i, x, got.ID(i), a, aok, y, want.ID(i), b, bok)
			}
		}
		if why, ok := got.FailedWhy("c"); !ok || why != "torn" {
			t.Errorf("%s: %q, %t", on, why, ok)
		}
	}
}

func TestCollectorRefuses(t *testing.T) {
	whole := batches(Code)[0]
	for name, cols := range map[string][]result.Column{
		"no ids":          whole[1:],
		"no codes":        whole[:4],
		"too short codes": append(whole[:4:4], result.Column{Name: Code, Values: []uint8{1, 2}, Width: 2}),
		"another type":    append(whole[:4:4], result.Column{Name: Code, Values: []int64{1, 2}}),
	} {
		if err := NewCollector(Code, 0).Write(cols); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	var large *TooLargeError
	if err := NewCollector(Code, 1).Write(whole); !errors.As(err, &large) {
		t.Errorf("codes in one byte of memory: %v", err)
	}
	if c := NewCollector(Code, 0).Codes(); c.Len() != 0 {
		t.Errorf("%d codes of no run", c.Len())
	}
}
