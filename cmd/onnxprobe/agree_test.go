package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	_ "image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/region/overlay"
)

// agreeing is, worked out from the code of 8 channels over 8 x 8 pixels, how far each
// pixel agrees with what half of the left half's pixels have in another picture.
func agreeing(code, reference []byte) (at [64]float64) {
	for c := range 8 {
		n := 0
		for i := range 64 {
			if i%8 < 4 && probes.Bit(reference, c*64+i) {
				n++
			}
		}
		for i := range at {
			if probes.Bit(code, c*64+i) == (n >= 16) {
				at[i] += 1.0 / 8
			}
		}
	}
	return at
}

// The agreement of regions and, dot by dot, the maps over pictures are what one works
// out from the codes of the pictures; report shows them with what they mean.
func TestAgreementWithARegion(t *testing.T) {
	needORT(t)
	regions, dir := boxed(t, 4), t.TempDir()
	maps, page := filepath.Join(dir, "maps"), filepath.Join(dir, "p.html")
	args := []string{"codes", resnet, digits, "--preprocess", "mnist-01", "--limit", "5", "--sites", "relu"}
	var codes [][]byte
	var ids []string
	for _, r := range rows(t, stdoutOf(t, with(args, "-o", "-")...)) {
		b, err := hex.DecodeString(r["code"].(string))
		if err != nil || len(b) != 64 {
			t.Fatalf("a code of %d bytes: %v", len(b), err)
		}
		codes, ids = append(codes, b), append(ids, r["id"].(string))
	}
	out := filepath.Join(dir, "agree.jsonl")
	stdoutOf(t, with(args, "--regions", regions, "--region-agree", ids[1]+"#left", "--map", maps, "--plot", page, "-o", out, "--batch", "3")...)
	got := rows(t, slurp(t, out))
	if len(got) != 8 {
		t.Fatalf("%d rows, want 8", len(got))
	}
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range agreeing(codes[1], codes[1]) {
		low, high = min(low, v), max(high, v)
	}
	for i := range codes {
		at := agreeing(codes[i], codes[1])
		sum, left := 0.0, 0.0
		for p, v := range at {
			if sum += v; p%8 < 4 {
				left += v
			}
		}
		if i < 4 {
			if a, b := got[2*i]["agreement"].(float64), got[2*i+1]["agreement"].(float64); math.Abs(a-sum/64) > 1e-12 || math.Abs(b-left/32) > 1e-12 {
				t.Errorf("%s: agreement %v and %v, want %v and %v", ids[i], a, b, sum/64, left/32)
			}
		}
		m, back := opened(t, maps, i), opened(t, filepath.Join(digits, filepath.Dir(ids[i])), -1, filepath.Base(ids[i]))
		for p, v := range at {
			x, y := p%8, p/8
			if i == 1 && x < 4 && (x == 0 || x == 3 || y == 0 || y == 7) {
				if r, g, b, _ := m.At(x, y).RGBA(); r>>8 != 230 || g>>8 != 30 || b>>8 != 160 {
					t.Errorf("%s: no outline of the reference at %d, %d", ids[i], x, y)
				}
				continue
			}
			c := viridis((v - low) / (high - low))
			r, g, b, _ := m.At(x, y).RGBA()
			under, _, _, _ := back.At(x, y).RGBA()
			for k, d := range []float64{float64(r>>8) - 0.6*float64(c.R), float64(g>>8) - 0.6*float64(c.G), float64(b>>8) - 0.6*float64(c.B)} {
				if math.Abs(d-0.4*float64(under>>8)) > 0.51 {
					t.Errorf("%s: plane %d of the dot at %d, %d is %v above its colour, want 0.4 of %d", ids[i], k, x, y, d, under>>8)
				}
			}
		}
	}
	for _, want := range []string{"Agreement with " + ids[1] + "#left", "bits as in the reference", "One scale for all pictures"} {
		if !strings.Contains(strings.ReplaceAll(slurp(t, page), "<wbr/>", ""), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if s := settingsOf(t, readManifest(t, out))["agree"].(map[string]any); s["reference"] != ids[1]+"#left" {
		t.Errorf("the manifest says %v", s)
	}
}

// viridis is matplotlib's map of that name at equal steps, from 0 to 1, and mixed between.
func viridis(v float64) color.RGBA {
	steps := []color.RGBA{{68, 1, 84, 255}, {72, 40, 120, 255}, {62, 74, 137, 255}, {49, 104, 142, 255}, {38, 130, 142, 255},
		{31, 158, 137, 255}, {53, 183, 121, 255}, {109, 205, 89, 255}, {180, 222, 44, 255}, {253, 231, 37, 255}}
	at := min(max(v, 0), 1) * 9
	i := min(int(at), 8)
	mix := func(a, b uint8) uint8 { return uint8(math.Round(float64(a) + (at-float64(i))*(float64(b)-float64(a)))) }
	a, b := steps[i], steps[i+1]
	return color.RGBA{mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B), 255}
}

// opened is the picture of a name, or of a map's number, in a folder.
func opened(t *testing.T, dir string, number int, names ...string) image.Image {
	t.Helper()
	if number >= 0 {
		found, err := filepath.Glob(filepath.Join(dir, fmt.Sprintf("%06d-*.png", number)))
		if err != nil || len(found) != 1 {
			t.Fatalf("%d maps of number %d: %v", len(found), number, err)
		}
		names = []string{filepath.Base(found[0])}
	}
	f, err := os.Open(filepath.Join(dir, names[0]))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, _, err := image.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A region of one position has one code, so it agrees with itself by 1: at all sites of a
// network, of tokens too, and in tiles; a name that comes twice is that of its row.
func TestAgreementOfOnePosition(t *testing.T) {
	needORT(t)
	regions := boxed(t, 2, "0/0276.png,0,0,1,1,dot,dot", "0/0276.png,5,5,6,6,dot,dot")
	for _, model := range []string{resnet, vit} {
		for _, id := range []string{"0/0276.png#dot", "0/0276.png#dot#2"} {
			maps := filepath.Join(t.TempDir(), "maps")
			got := rows(t, stdoutOf(t, "codes", model, digits, "--preprocess", "mnist-01", "--limit", "30", "--regions", regions, "--region-agree", id, "--map", maps, "-o", "-"))
			found := false
			for _, r := range got {
				if a := r["agreement"].(float64); r["id"] == id {
					found = true
					if a != 1 {
						t.Errorf("%s: %s agrees with itself by %v", model, id, a)
					}
				} else if a == 1 {
					t.Errorf("%s: %v agrees with %s by 1", model, r["id"], id)
				}
			}
			if !found {
				t.Errorf("no row is called %s", id)
			}
			var line struct{ Largest, To float64 }
			if err := json.Unmarshal([]byte(strings.SplitN(slurp(t, filepath.Join(maps, overlay.Index)), "\n", 2)[0]), &line); err != nil || line.To != 1 {
				t.Errorf("the brightest colour stands for %v: %v", line.To, err)
			}
		}
	}
}

func TestAgreementRefuses(t *testing.T) {
	needORT(t)
	regions := boxed(t, 3)
	args := []string{"codes", resnet, digits, "--preprocess", "mnist-01", "--limit", "3", "-o", "-"}
	for _, c := range []struct {
		want string
		code int
		more []string
	}{
		{"--region-agree goes with --regions", exitUsage, []string{"--region-agree", "a#b"}},
		{"--map goes with --region-agree", exitUsage, []string{"--regions", regions, "--map", "maps"}},
		{`IMAGE is one of ["0/0276.png"`, exitUsage, []string{"--regions", regions, "--region-agree", "9/none.png#left"}},
		{`its picture has ["0/0276.png#all" "0/0276.png#left"]`, exitUsage, []string{"--regions", regions, "--region-agree", "0/0276.png#right"}},
		{`its picture has ["0/0276.png#all"`, exitUsage, []string{"--regions", regions, "--region-agree", "0/0276.png"}},
		{"no unit of any site lies inside", exitFailed, []string{"--regions", boxed(t, 3, "0/0276.png,0,0,1,1,dot,dot"), "--region-agree", "0/0276.png#dot", "--region-rule", "all", "--sites", "layer3*"}},
	} {
		if r := do(with(args, c.more...)...); r.code != c.code || !strings.Contains(r.messages, c.want) {
			t.Errorf("%q: exit code %d, %s; want one that says %q", c.more, r.code, r.messages, c.want)
		}
	}
	// Deep sites of which no position lies inside are left out, and named.
	r := do(with(args, "--regions", regions, "--region-agree", "0/0276.png#left", "--region-rule", "all")...)
	if !strings.Contains(r.messages, "not compared: ") || !strings.Contains(r.messages, "layer3.0.relu") {
		t.Errorf("exit code %d: %s", r.code, r.messages)
	}
}
