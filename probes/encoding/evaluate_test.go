package encoding

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/probes/result"
)

// The place of the largest logit, of lists that do not fit the reader's buffers, with
// ties, NaN, infinities and items that failed, in every format.
func TestOpenLogits(t *testing.T) {
	const n, classes = 150, 7
	r := resultOf(n)
	logits, want := make([]float64, n*classes), make([]int64, n)
	for i := range n {
		row := logits[i*classes : (i+1)*classes]
		for j := range row {
			row[j] = -float64((i+j)%5) - 1
		}
		at := (i * 3) % classes
		row[at] = 2
		want[i] = int64(at)
		switch i % 10 {
		case 1: // the first of two
			row[classes-1] = 2
		case 4:
			row[(at+1)%classes], want[i] = math.NaN(), NoNumber
		}
	}
	single := make([]float32, len(logits))
	for i, v := range logits {
		single[i] = float32(v)
	}
	cols := func(lo, hi int, values any, width int) []result.Column {
		cols := r.columns(lo, hi, false)
		return append(cols, result.Column{Name: "logits", Values: values, Width: width, Null: cols[2].Null})
	}
	dir := t.TempDir()
	cut := func(lo, hi int, double bool) []result.Column {
		if double {
			return cols(lo, hi, logits[lo*classes:hi*classes], classes)
		}
		return cols(lo, hi, single[lo*classes:hi*classes], classes)
	}
	for _, name := range []string{"a.parquet", "a.jsonl", "a.npy"} {
		for _, double := range []bool{false, true} {
			path := save(t, filepath.Join(dir, name), result.Options{Array: "code", Force: true}, manifest(16, 7), cut(0, 61, double), cut(61, n, double))
			c, err := Open(path, OpenOptions{On: Code, Logits: true})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			r.check(t, c, Code, true)
			row := 0
			for i := range n {
				if r.codes[i] == nil {
					continue
				}
				if got, ok := c.Predicted(row); ok != (want[i] != NoNumber) || ok && got != want[i] {
					t.Errorf("%s: item %d is %d (%v), want %d", name, i, got, ok, want[i])
				}
				row++
			}
			if few := c.Pick([]int{2, 0}); predictedAt(few, 0) != predictedAt(c, 2) || predictedAt(few, 1) != predictedAt(c, 0) {
				t.Error("Pick gives other predictions")
			}
			if c, err = Open(path, OpenOptions{On: Code}); err != nil || c.network.of != nil {
				t.Errorf("%s: not asked for, %v %v", name, c.network.of, err)
			}
		}
		// Where there is no choice, or no column.
		for _, more := range [][]result.Column{cols(0, n, single[:n], 1), r.columns(0, n, false)} {
			path := save(t, filepath.Join(dir, name), result.Options{Array: "code", Force: true}, manifest(16, 7), more)
			if c, err := Open(path, OpenOptions{On: Code, Logits: true}); err != nil || c.network.of != nil || networkAccuracy(c) != nil {
				t.Errorf("%s: %v, a prediction without a choice", name, err)
			}
		}
	}
	path := save(t, filepath.Join(dir, "text.parquet"), result.Options{}, manifest(16, 7), cols(0, 2, []string{"a", "b", "c", "d"}, 2))
	if _, err := Open(path, OpenOptions{Logits: true}); err == nil {
		t.Error("logits of text are read")
	}
	path = save(t, filepath.Join(dir, "text.jsonl"), result.Options{}, manifest(16, 7), cols(0, 2, []string{"a", "b", "c", "d"}, 2))
	if _, err := Open(path, OpenOptions{Logits: true}); err == nil {
		t.Error("logits of text are read from JSON")
	}
}

// Damaged logits are errors or other predictions, never panics.
func TestHostileLogits(t *testing.T) {
	r := resultOf(12)
	for _, name := range []string{"a.parquet", "a.jsonl", "a.npy"} {
		cols := r.columns(0, 12, false)
		cols = append(cols, result.Column{Name: "logits", Values: make([]float32, 36), Width: 3, Null: cols[2].Null})
		path := save(t, filepath.Join(t.TempDir(), name), result.Options{Array: "code"}, nil, cols)
		if name == "a.npy" {
			path = result.ItemsPath(path)
		}
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(good); at += max(len(good)/120, 1) {
			for _, bad := range [][]byte{good[:at], append(append(bytes.Clone(good[:at]), good[at]^0xff), good[at+1:]...), append(append(bytes.Clone(good[:at]), good[at]^1), good[at+1:]...)} {
				if err := os.WriteFile(path, bad, 0o666); err != nil {
					t.Fatal(err)
				}
				_, _ = Open(strings.TrimSuffix(path, ".items.jsonl"), OpenOptions{Logits: true, MaxBytes: 1 << 30})
			}
		}
	}
}

// Items without a label or a prediction are not counted.
func TestNetworkAccuracy(t *testing.T) {
	c, _ := NewCodes(1)
	for range 5 {
		_ = c.Append([]byte{1})
	}
	c.labels = labelsOf(1, 2, NoNumber, 3, 4)
	c.network = labelsOf(1, 0, 2, NoNumber, 4)
	if got := networkAccuracy(c); got == nil || *got != (Accuracy{Items: 3, Right: 2, Accuracy: 2. / 3}) {
		t.Errorf("%+v", got)
	}
	e, err := Evaluate(t.Context(), c, nil, EvaluateOptions{})
	if err != nil || e.Network == nil || e.Network.Train.Right != 2 || e.Network.Test != nil {
		t.Errorf("%+v %v", e, err)
	}
}

// channelled are channel codes of three sites, of which one has no channels: 3 bits of
// 3 channels, and 10 bits of 5 channels and two knots.
func channelled(t *testing.T, rows ...[]byte) *Codes {
	t.Helper()
	m := manifest(0, 0)
	m["sites"] = []map[string]any{
		{"name": "a", "op": "Relu", "units": 12, "planes": 1, "shape": []int{3, 2, 2}},
		{"name": "pool", "op": "MaxPool", "units": 12, "planes": 2, "shape": []int{3, 2, 2}},
		{"name": "flat", "op": "Relu", "units": 7, "planes": 1, "shape": []int{7}},
		{"name": "b", "op": "Clip", "units": 5, "planes": 2, "shape": []int{5, 1}},
	}
	cols := []result.Column{{Name: "id", Values: make([]string, len(rows))}, {Name: "channels", Values: bytes.Join(rows, nil), Width: 3,
		Parts: []result.Part{{Name: "a", Width: 1}, {Name: "b", Width: 2}}}}
	c, err := Open(save(t, filepath.Join(t.TempDir(), "c.parquet"), result.Options{}, m, cols), OpenOptions{On: Channels})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestChannelParts(t *testing.T) {
	c := channelled(t, []byte{0b10100000, 0b11000000, 0b01000000}, []byte{0b11000000, 0b11100000, 0b00000000})
	if want := []Part{{"a", 0, 3}, {"b", 1, 10}}; !slices.Equal(c.Parts(), want) || c.Bits != 13 {
		t.Fatalf("parts %v of %d bits, want %v", c.Parts(), c.Bits, want)
	}
	if u := Use(c, 1); u.Bits != 13 || u.Saturated != 3 || u.Dead != 6 || math.Abs(u.Entropy-4./13) > 1e-12 {
		t.Errorf("units %+v", u)
	}
	b := c.Part(c.Parts()[1])
	code := make([]byte, 2)
	if b.At(code, 0); b.On != Channels || b.Bits != 10 || !bytes.Equal(code, []byte{0b11000000, 0b01000000}) {
		t.Errorf("%s %x of %d bits", b.On, code, b.Bits)
	}
	if u := Use(b, 1); u.Bits != 10 || u.Saturated != 2 || u.Dead != 6 {
		t.Errorf("units of b %+v", u)
	}
	// The channels of regions are not those of the shape.
	c.regions.add(0, Region{Box: [4]float64{0, 0, 1, 1}})
	if p := c.Parts(); p != nil {
		t.Errorf("parts of regions: %v", p)
	}
}

// A group's padding lies between its sites, and is not counted.
func TestGroup(t *testing.T) {
	c := channelled(t, []byte{0b10100000, 0b11000000, 0b01000000}, []byte{0b11000000, 0b11100000, 0b00000000})
	p := c.Parts()
	g := c.Group("both", []Part{p[1], p[0]})
	code := make([]byte, 3)
	if g.At(code, 0); g.Bits != 13 || g.Width() != 3 || !bytes.Equal(code, []byte{0b11000000, 0b01000000, 0b10100000}) {
		t.Errorf("%x of %d bits", code, g.Bits)
	}
	if a, b := Use(g, 1), Use(c, 1); a.Bits != b.Bits || a.Dead != b.Dead || a.Saturated != b.Saturated || math.Abs(a.Entropy-b.Entropy) > 1e-12 {
		t.Errorf("units %+v, of the same bits in another order %+v", a, b)
	}
	if q := g.Pick([]int{1}); !slices.Equal(q.Parts(), []Part{{"b", 0, 10}, {"a", 2, 3}}) {
		t.Errorf("a picked group has the parts %v", q.Parts())
	}
}

// clusters far apart are found, counted and matched without labels.
func TestClusterUnlabelled(t *testing.T) {
	c, _ := groups(t, 80, 16, 5, 6)
	got, err := clusterUnlabelled(t.Context(), c, UnlabelledOptions{Sample: 70})
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, n := range got.Sizes {
		sum += n
	}
	if got.Items != 70 || got.Of != 80 || !got.Chosen || got.Clusters != len(got.Sizes) || sum != 70 || got.Purity != nil || got.Matched != nil ||
		got.RateItems != 70 || math.Abs(got.Rate-got.Conditional-got.Reduction) > 1e-9 || !(got.Reduction > 0) {
		t.Errorf("%+v", got)
	}
	for k := 2; k <= 8; k++ { // the choice is that of the least coding length
		of, err := clusterUnlabelled(t.Context(), c, UnlabelledOptions{Sample: 70, Clusters: k})
		if err != nil {
			t.Fatal(err)
		}
		if of.CodingLength < got.CodingLength || k == got.Clusters && of.CodingLength != got.CodingLength {
			t.Errorf("%d clusters have a coding length of %v, the %d chosen %v", k, of.CodingLength, got.Clusters, got.CodingLength)
		}
	}
	many, _ := groups(t, 160, 4, 4, 0) // more items than bits
	if got, err = clusterUnlabelled(t.Context(), many, UnlabelledOptions{Eta: 0.1}); err != nil || got.Clusters != 4 || !slices.Equal(got.Sizes, []int{40, 40, 40, 40}) {
		t.Errorf("%+v %v, want four clusters of 40", got, err)
	}
	c, labels := groups(t, 300, 16, 5, 6)
	c.labels = labelsOf(labels...)
	given, err := clusterUnlabelled(t.Context(), c, UnlabelledOptions{Clusters: 5})
	if err != nil {
		t.Fatal(err)
	}
	if given.Chosen || !slices.Equal(given.Sizes, []int{60, 60, 60, 60, 60}) || *given.Matched != 1 || *given.Purity != 1 || given.Items != 300 || given.RateItems != 256 {
		t.Errorf("%+v", given)
	}
	// The rates are of the same items as the affinity.
	few := c.Pick([]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11})
	u, err := clusterUnlabelled(t.Context(), few, UnlabelledOptions{Clusters: 2})
	if err != nil {
		t.Fatal(err)
	}
	gram, g, err := affinityOf(t.Context(), few, 0.175)
	if err != nil {
		t.Fatal(err)
	}
	rate, _ := rateOf(gram, 128, 0.1)
	conditional, _ := conditionalRate(gram, g, 128, 0.1)
	if u.RateItems != 12 || math.Abs(rate-u.Rate) > 1e-9 || math.Abs(conditional-u.Conditional) > 1e-6 {
		t.Errorf("%+v, want the rates %v and %v", u, rate, conditional)
	}
	for _, o := range []UnlabelledOptions{{Sample: 1}, {Sample: maxSpectral + 1}, {Clusters: 301}, {Clusters: -1}, {Eta: -1}} {
		if _, err := clusterUnlabelled(t.Context(), c, o); err == nil {
			t.Errorf("%+v gives no error", o)
		}
	}
}

// What is measured of codes says which of their sites are smooth, so that no reader takes
// their regions for linear ones; the sites that a job did not write are none of them.
func TestEvaluationSaysSmoothSites(t *testing.T) {
	for _, c := range []struct {
		smooth []bool
		wrote  string
		want   string
	}{
		{[]bool{true, false}, `null`, "1 of 2 sites are smooth"},
		{[]bool{true, false}, `["s1"]`, ""},
		{[]bool{true, true}, `["s1"]`, "1 of 1 sites are smooth"},
		{[]bool{false, false}, `null`, ""},
	} {
		width, sites := 0, ""
		for i, s := range c.smooth {
			if c.wrote == "null" || i == 1 {
				width++
			}
			sites += fmt.Sprintf(`, {"name": "s%d", "op": "Gelu", "units": 8, "planes": 1, "smooth": %v}`, i, s)
		}
		path := filepath.Join(t.TempDir(), "c.jsonl")
		for name, content := range map[string]string{path: fmt.Sprintf("{\"id\": \"a\", \"code\": \"%0*d\"}\n", 2*width, 1),
			result.ManifestPath(path): fmt.Sprintf(`{"verb": "codes", "model": "m", "sha256": {"m": "0"}, "code_bytes": 2, "settings": {"code_sites": %s}, "sites": [%s]}`, c.wrote, sites[2:])} {
			if err := os.WriteFile(name, []byte(content), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		set, err := Open(path, OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		r, err := Measure(t.Context(), set, MeasureOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if err := r.Text(&b); err != nil {
			t.Fatal(err)
		}
		if (r.Smooth != nil) != (c.want != "") || strings.Contains(b.String(), "sign codes, not sides") != (c.want != "") || !strings.Contains(b.String(), c.want) {
			t.Errorf("%v, of which %s are written: %+v, %s", c.smooth, c.wrote, r.Smooth, b.String())
		}
	}
}
