package main

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/probes/text"
)

// The outputs in a file are PyTorch's, to the golden's tolerance of 1e-4 of the
// largest.
func TestRunGivesPyTorchsOutputs(t *testing.T) {
	needORT(t)
	g := readGolden(t, "resnet_basic")
	path := filepath.Join(t.TempDir(), "logits.npy")
	stdoutOf(t, pictures("run", resnet, with(g.paths(), "-o", path)...)...)
	got, want := readArray(t, path), g.arrays["logits"]
	if !slices.Equal(got.Shape, want.Shape) {
		t.Fatalf("shape %v, want %v", got.Shape, want.Shape)
	}
	scale := 0.0
	for _, v := range want.Float64s() {
		scale = max(scale, math.Abs(v))
	}
	for i, v := range got.Float64s() {
		if w := want.Float64s()[i]; !(math.Abs(v-w) <= 1e-4*scale) {
			t.Fatalf("output %d is %g, PyTorch's %g", i, v, w)
		}
	}
}

func TestRunNamesTheHighest(t *testing.T) {
	needORT(t)
	dir := t.TempDir()
	args := pictures("run", resnet, digits+"/3")
	for _, r := range rows(t, stdoutOf(t, with(args, "--json", "--softmax", "--top", "10")...)) {
		top, score, logits := r["top"].([]any), r["score"].([]any), r["logits"].([]any)
		sum := 0.0
		for k := range top {
			sum += score[k].(float64)
			if k > 0 && score[k].(float64) > score[k-1].(float64) {
				t.Errorf("%v: scores %v do not descend", r["id"], score)
			}
			if l := logits[int(top[k].(float64))].(float64); math.Abs(l-score[k].(float64)) > 1e-6 {
				t.Errorf("%v: entry %v scores %v, the output says %v", r["id"], top[k], score[k], l)
			}
		}
		if top[0] != 3.0 || math.Abs(sum-1) > 1e-6 || len(top) != 10 {
			t.Errorf("%v: the highest of %d is %v, all add up to %v; want 3, 10 and 1", r["id"], len(top), top[0], sum)
		}
	}
	names := "nought\none\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\n"
	labels := spill(t, filepath.Join(dir, "labels.txt"), []byte(names))
	text := stdoutOf(t, with(args, "--labels", labels, "--top", "1")...)
	if strings.Count(text, "  three ") != 10 || strings.Count(text, "\n") != 10 {
		t.Errorf("with labels it prints\n%s", text)
	}
	if text := stdoutOf(t, with(args, "--top", "0")...); strings.Contains(text, "  ") || strings.Count(text, "\n") != 10 {
		t.Errorf("--top 0 prints\n%s", text)
	}
	dos := spill(t, filepath.Join(dir, "dos.txt"), []byte(strings.ReplaceAll(names, "\n", "\r\n")))
	if got := stdoutOf(t, with(args, "--labels", dos, "--top", "1")...); got != text {
		t.Errorf("labels with DOS line ends print\n%s", got)
	}
	few := spill(t, filepath.Join(dir, "few.txt"), []byte("one\ntwo\n"))
	if r := do(with(args, "--labels", few)...); r.code != exitFailed || !strings.Contains(r.messages, "2 labels for an output of 10 entries") {
		t.Errorf("two labels for ten: exit code %d: %s", r.code, r.messages)
	}
}

func TestCompare(t *testing.T) {
	needORT(t)
	args := pictures("compare", resnet, digits)
	for _, c := range []struct {
		name  string
		flags []string
		most  int64 // flips that may be
	}{
		{"with itself", []string{"-b", "ort"}, 0},
		{"with packing by standard operators", []string{"-b", "ort,codes=standard"}, 0},
		{"with the host's packing", []string{"-b", "ort,codes=host"}, 3},
		{"default", nil, 32}, // 1 in 10000: rounding
		{"one by one", []string{"-b", "ort,batch=1,threads=1"}, 32},
		{"chosen sites", []string{"--sites", "relu"}, 5},
	} {
		var d struct {
			Items, Failed, Regions int
			Outputs                float64
			Sites                  []struct {
				Site          string
				Bits, Flips   int64
				Margin, Scale float64
			}
		}
		decode(t, stdoutOf(t, with(args, append(c.flags, "--json")...)...), &d)
		bits, flips := int64(0), int64(0)
		for _, s := range d.Sites {
			bits, flips = bits+s.Bits, flips+s.Flips
			if s.Flips > 0 && !(s.Margin < 1e-5*s.Scale) {
				t.Errorf("%s: site %s: %d flips with a margin of %g of %g", c.name, s.Site, s.Flips, s.Margin, s.Scale)
			}
		}
		want := int64(320_000)
		if len(c.flags) > 1 && c.flags[0] == "--sites" {
			want = 51_200
		}
		if d.Items != 100 || d.Failed != 0 || bits != want || flips > c.most || d.Outputs > 1e-4 {
			t.Errorf("%s: %d items, %d bits, %d flips, outputs differ by %g", c.name, d.Items, bits, flips, d.Outputs)
		}
		said := stdoutOf(t, with(args, c.flags...)...)
		if last := fmt.Sprintf("\n%s of %s bits differ, in %d of 100 items; ", text.Grouped(flips), text.Grouped(bits), d.Regions); !strings.Contains(said, last) {
			t.Errorf("%s: it does not end with %q:\n%s", c.name, last, said)
		}
	}
	seed := func(s string) string {
		return stdoutOf(t, "compare", resnet, "--random", "50", "--json", "--seed", s, "--low", "-3", "--high", "3")
	}
	one, again, two := seed("1"), seed("1"), seed("2")
	if one != again || one == two {
		t.Error("compare does not follow --seed")
	}
}
