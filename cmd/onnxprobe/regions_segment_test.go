package main

import (
	"encoding/json"
	"fmt"
	"image"
	encoder "image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/region"
	"github.com/onnxprobe/onnxprobe/probes/region/segment"
)

// Each pixel of a picture lies in one super-pixel, and together they have the units
// that a region over the whole picture has.
func TestSuperPixelsDivideThePicture(t *testing.T) {
	pre := picture.Preprocess{Channels: 1}
	ds, err := dataset.Open([]string{digits}, dataset.Options{Preprocess: &pre})
	if err != nil {
		t.Fatal(err)
	}
	m, err := onnx.Load(resnet)
	if err != nil {
		t.Fatal(err)
	}
	p, err := probes.Attach(m, probes.AttachOptions{Sample: ds.Shape()})
	if err != nil {
		t.Fatal(err)
	}
	layouts, err := region.Map(m, &p.Fit, p.Sites)
	if err != nil {
		t.Fatal(err)
	}
	method, err := segment.ParseMethod("slic:6")
	if err != nil {
		t.Fatal(err)
	}
	from := method.Source(func(i int) (image.Image, error) { return dataset.Picture(ds, i) })
	for i := range 20 {
		g, err := dataset.GeometryOf(ds, i)
		if err != nil {
			t.Fatal(err)
		}
		super, faults := from.Regions(i, g.Picture)
		if len(faults) > 0 || len(super) < 2 {
			t.Fatalf("picture %d: %d super-pixels, %v", i, len(super), faults)
		}
		pixels := make([]int, g.Picture.H*g.Picture.W)
		for _, r := range super {
			r.Mask.Each(func(y, x int) { pixels[y*g.Picture.W+x]++ })
		}
		if slices.Min(pixels) != 1 || slices.Max(pixels) != 1 {
			t.Errorf("picture %d: pixels lie in %v super-pixels, want 1", i, pixels)
		}
		whole := region.Region{ID: "all", Box: region.Box{X1: float64(g.Picture.W), Y1: float64(g.Picture.H)}}
		for k := range layouts {
			for _, rule := range []region.Rule{region.Nominal, region.Any} {
				want := unitsOf(t, g, &layouts[k], rule, whole)
				if got := unitsOf(t, g, &layouts[k], rule, super...); !slices.Equal(got, want) {
					t.Errorf("picture %d, %s, rule %v: the super-pixels have the units %x, the picture %x", i, layouts[k].Site, rule, got, want)
				}
			}
		}
	}
}

// unitsOf is the units that lie in any of some regions.
func unitsOf(t *testing.T, g picture.Geometry, l *region.Layout, rule region.Rule, regions ...region.Region) (all []byte) {
	t.Helper()
	for _, r := range regions {
		m, _, err := region.Project(g, r)
		if err != nil {
			t.Fatal(err)
		}
		s, err := l.Units(m, rule)
		if err != nil {
			t.Fatal(err)
		}
		if all == nil {
			all = make([]byte, len(s.Bits))
		}
		for k, b := range s.Bits {
			all[k] |= b
		}
	}
	return all
}

// codes and complexity write a row for each super-pixel; the batch job writes the same,
// and goes on after a stop; another number is another job.
func TestHashOfSuperPixels(t *testing.T) {
	needORT(t)
	flags := []string{"--preprocess", "mnist-01", "--limit", "30", "--batch", "8", "--regions", "slic:4"}
	job := func(dir string) []string {
		return with([]string{"hash", resnet, digits, "--shard-size", "8", "--channels", "--output-format", "jsonl", "--complexity", "--directions", "4", "-o", dir}, flags...)
	}
	dir := filepath.Join(t.TempDir(), "whole")
	stdoutOf(t, job(dir)...)
	var got []map[string]any
	for i := range 4 {
		got = append(got, rows(t, slurp(t, filepath.Join(dir, fmt.Sprintf("%05d.jsonl", i))))...)
	}
	file := filepath.Join(t.TempDir(), "codes.jsonl")
	stdoutOf(t, with([]string{"codes", resnet, digits, "--channels", "-o", file}, flags...)...)
	want := rows(t, slurp(t, file))
	lc := rows(t, stdoutOf(t, with([]string{"complexity", resnet, digits, "--directions", "4", "-o", "-"}, flags...)...))
	if len(got) < 60 || len(want) != len(got) || len(lc) != len(got) {
		t.Fatalf("%d, %d and %d rows, want as many and 60 or more", len(got), len(want), len(lc))
	}
	for i := range got {
		for key, v := range want[i] {
			if fmt.Sprint(got[i][key]) != fmt.Sprint(v) {
				t.Errorf("%v: %s is %v, codes says %v", got[i]["id"], key, got[i][key], v)
			}
		}
		if fmt.Sprint(got[i]["count"]) != fmt.Sprint(lc[i]["count"]) {
			t.Errorf("%v: other counts than complexity's", got[i]["id"])
		}
	}
	var manifest struct {
		Settings struct {
			Regions struct{ Method segment.Method }
		}
	}
	if err := json.Unmarshal([]byte(slurp(t, file+".manifest.json")), &manifest); err != nil {
		t.Fatal(err)
	}
	if o := manifest.Settings.Regions.Method.SLIC; o == nil || *o != (segment.SLICOptions{Segments: 4, Compactness: 10, Iterations: 10}) {
		t.Errorf("the manifest says %+v", o)
	}
	again := filepath.Join(t.TempDir(), "stopped")
	stdoutOf(t, planOf(job(again))...)
	stdoutOf(t, "hash", "run", again, "--shard", "1/3")
	stdoutOf(t, job(again)...)
	sameTree(t, again, dir)
	for _, other := range []string{"slic:5", "lines"} {
		if r := do(with(job(dir), "--regions", other)...); r.code != exitUsage || !strings.Contains(r.messages, "regions") {
			t.Errorf("the job with %s: exit code %d, %s", other, r.code, r.messages)
		}
	}
}

// A job of super-pixels takes more pictures later, which one of annotations does not.
func TestMoreSuperPixels(t *testing.T) {
	needORT(t)
	dir := t.TempDir()
	job := func(mode string, inputs ...string) []string {
		return with(with([]string{"hash", resnet}, inputs...), "--preprocess", "mnist-01", "--output-format", "jsonl", "--regions", "slic:4", "-o", dir, "--mode", mode)
	}
	stdoutOf(t, job("incremental", digits+"/0")...)
	first := slurp(t, filepath.Join(dir, "00000.jsonl"))
	stdoutOf(t, job("extend", digits+"/0", digits+"/1")...)
	if slurp(t, filepath.Join(dir, "00000.jsonl")) != first {
		t.Error("the old shard has changed")
	}
	got := rows(t, slurp(t, filepath.Join(dir, "00001.jsonl")))
	want := rows(t, stdoutOf(t, "codes", resnet, digits+"/1", "--preprocess", "mnist-01", "--regions", "slic:4", "-o", "-"))
	if len(got) < 20 || len(got) != len(want) {
		t.Fatalf("%d rows of the new pictures, codes writes %d", len(got), len(want))
	}
	for i := range got {
		if got[i]["digest"] != want[i]["digest"] || got[i]["units"] != want[i]["units"] {
			t.Errorf("row %d is %v, codes says %v", i, got[i], want[i])
		}
	}
}

// Super-pixels serve where the regions of annotations do: as items whose vertices stay
// inside, in heat maps, and as boxes.
func TestSuperPixelsElsewhere(t *testing.T) {
	needORT(t)
	args := []string{resnet, digits, "--preprocess", "mnist-01", "--limit", "3", "--regions", "slic:4", "-o", "-"}
	regions := rows(t, stdoutOf(t, with([]string{"codes"}, args...)...))
	boxes := rows(t, stdoutOf(t, with([]string{"codes"}, with(args, "--region-box-only")...)...))
	wider := false
	for i := range regions {
		if regions[i]["x0"] != boxes[i]["x0"] || regions[i]["units"].(float64) > boxes[i]["units"].(float64) {
			t.Errorf("the box %v of %v", boxes[i], regions[i])
		}
		wider = wider || regions[i]["units"] != boxes[i]["units"]
	}
	if !wider {
		t.Error("boxes have the units of their super-pixels alone")
	}
	maps := filepath.Join(t.TempDir(), "maps")
	args = with(args, "--directions", "2")
	if got := rows(t, stdoutOf(t, with([]string{"complexity"}, with(args, "--map", maps)...)...)); len(got) != len(regions) || len(list(t, maps)) != 4 {
		t.Errorf("complexity: %d rows and %d files of maps and their index, want %d and 4", len(got), len(list(t, maps)), len(regions))
	}
	args = with(args, "--region-frame", "--limit", fmt.Sprint(len(regions))) // items are regions now
	for i, row := range rows(t, stdoutOf(t, with([]string{"complexity"}, args...)...)) {
		if row["id"] != regions[i]["id"] {
			t.Errorf("complexity --region-frame: row %d is %v, want %v", i, row["id"], regions[i]["id"])
		}
	}
}

// Lines of a page are found where they were drawn, and are regions.
func TestRegionsThatAreLines(t *testing.T) {
	needORT(t)
	m := image.NewGray(image.Rect(0, 0, 200, 120))
	for i := range m.Pix {
		m.Pix[i] = 255
	}
	for line := range 3 { // of ten letters, 8 x 12 pixels of ink
		for i := range 10 * 8 * 12 {
			m.Pix[m.PixOffset(20+i/96*16+i%8, 20+line*32+i%96/8)] = 0
		}
	}
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "page.png"))
	if err == nil {
		err = encoder.Encode(f, m)
		f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	got := rows(t, stdoutOf(t, "codes", resnet, dir, "--preprocess", "mnist-01", "--resize", "8x8", "-o", "-", "--regions", "lines"))
	if len(got) != 3 {
		t.Fatalf("%d lines, want 3: %v", len(got), got)
	}
	for i, row := range got {
		box := fmt.Sprint(row["x0"], row["y0"], row["x1"], row["y1"])
		if want := fmt.Sprint(20, 20+32*i, 172, 32+32*i); box != want || row["label"] != "line" || row["units"].(float64) <= 0 {
			t.Errorf("line %d is at %s, want %s: %v", i, box, want, row)
		}
	}
}

func TestWrongMethodsOfRegions(t *testing.T) {
	for want, more := range map[string][]string{
		"want slic:N":               {"slic:0"},
		`"slic:-1"`:                 {"slic:-1"},
		`"slic:many"`:               {"slic:many"},
		`"slic"`:                    {"slic"},
		`"slic:999999999"`:          {"slic:999999999"},
		"--region-clip does not go": {"slic:4", "--region-clip"},
		"--region-format":           {"lines", "--region-format", "csv"},
		"whole pictures":            {"lines", "--by-site"},
	} {
		if r := do(with([]string{"codes", resnet, digits, "--preprocess", "mnist-01", "-o", "-", "--regions"}, more...)...); r.code != exitUsage || !strings.Contains(r.messages, want) {
			t.Errorf("--regions %v: exit code %d, want %d and %q: %s", more, r.code, exitUsage, want, r.messages)
		}
	}
	job := filepath.Join(t.TempDir(), "job")
	if r := do("hash", resnet, digits, "--preprocess", "mnist-01", "-o", job, "--regions", "slic:0"); r.code != exitUsage {
		t.Errorf("hash: exit code %d, want %d: %s", r.code, exitUsage, r.messages)
	}
}
