package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/region"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// boxed writes regions of the digits as a CSV table: of each of the first n the whole
// picture and its left half, which the picture's neighbour in the list has too.
func boxed(t *testing.T, n int, more ...string) string {
	t.Helper()
	lines := []string{"path,x0,y0,x1,y1,label,id"}
	files, err := filepath.Glob(digits + "/*/*.png")
	if err != nil || len(files) != 100 {
		t.Fatalf("%d digits: %v", len(files), err)
	}
	for _, f := range files[:n] {
		name := filepath.ToSlash(strings.TrimPrefix(f, filepath.FromSlash(digits)+string(filepath.Separator)))
		lines = append(lines, name+",0,0,8,8,whole,all", name+",0,0,4,8,half,left")
	}
	path := filepath.Join(t.TempDir(), "boxes.csv")
	if err := os.WriteFile(path, []byte(strings.Join(append(lines, more...), "\n")+"\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// joined is the codes of the sites that a row of channels names, one after the other.
func joinedSites(t *testing.T, code, sites map[string]any, order []string) []byte {
	t.Helper()
	var out []byte
	for _, name := range order {
		if sites[name] == nil {
			continue
		}
		b, err := hex.DecodeString(code[name].(string))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b...)
	}
	return out
}

// A region that is the picture has the code of the picture's sites, their digest, and
// the channel codes and the local complexity that the verbs give for pictures.
func TestRegionsThatAreThePicture(t *testing.T) {
	needORT(t)
	regions, dir := boxed(t, 10), t.TempDir()
	args := []string{resnet, digits, "--preprocess", "mnist-01", "--limit", "10", "-o", "-"}
	var inspected struct{ Sites []struct{ Name string } }
	if err := json.Unmarshal([]byte(stdoutOf(t, "inspect", resnet, "--json")), &inspected); err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, s := range inspected.Sites {
		order = append(order, s.Name)
	}
	whole := rows(t, stdoutOf(t, with([]string{"codes"}, with(args, "--by-site")...)...))
	got := rows(t, stdoutOf(t, with([]string{"codes"}, with(args, "--regions", regions, "--channels", "--region-code")...)...))
	stdoutOf(t, "hash", resnet, digits, "--preprocess", "mnist-01", "--limit", "10", "--channels", "--output-format", "jsonl", "-o", dir)
	pictures := rows(t, slurp(t, filepath.Join(dir, "00000.jsonl")))
	if len(got) != 20 {
		t.Fatalf("%d rows, want 20", len(got))
	}
	for i := range whole {
		row := got[2*i]
		channels := row["channels"].(map[string]any)
		own := joinedSites(t, whole[i]["code"].(map[string]any), channels, order)
		if row["id"] != whole[i]["id"].(string)+"#all" || row["label"] != "whole" || row["kept"] != 1.0 {
			t.Errorf("row %d: %v %v %v", i, row["id"], row["label"], row["kept"])
		}
		if row["region_code"] != hex.EncodeToString(own) || row["digest"] != probes.DigestOf(own).String() {
			t.Errorf("%v: its code is not that of the picture", row["id"])
		}
		for site, code := range channels {
			if code != pictures[i]["channels"].(map[string]any)[site] {
				t.Errorf("%v: the channels of %s are %v, those of the picture %v", row["id"], site, code, pictures[i]["channels"])
			}
		}
		if half := got[2*i+1]; half["digest"] == row["digest"] || half["units"].(float64) >= row["units"].(float64) || half["selection"] != got[1]["selection"] {
			t.Errorf("%v: %v units, %v in the whole", half["id"], half["units"], row["units"])
		}
	}
	args = with(args, "--radius", "0.1,0.5", "--directions", "4")
	plain := rows(t, stdoutOf(t, with([]string{"complexity"}, args...)...))
	maps := filepath.Join(t.TempDir(), "maps")
	inside := rows(t, stdoutOf(t, with([]string{"complexity"}, with(args, "--regions", regions, "--map", maps)...)...))
	if drawn := list(t, maps); len(drawn) != 11 { // an index too
		t.Errorf("%d files of 10 pictures", len(drawn))
	}
	if alone := rows(t, stdoutOf(t, with([]string{"complexity"}, with(args, "--map", maps)...)...)); fmt.Sprint(alone) != fmt.Sprint(plain) {
		t.Error("drawing maps changes the result")
	}
	for i := range plain {
		counts := inside[2*i]["count"].(map[string]any)
		for site, n := range counts {
			if n != plain[i]["count"].(map[string]any)[site] {
				t.Errorf("%v: %v units of %s changed, of the picture %v", inside[2*i]["id"], n, site, plain[i]["count"].(map[string]any)[site])
			}
		}
		if len(counts) != 2*len(got[0]["channels"].(map[string]any)) {
			t.Errorf("%v: counts of %d sites", inside[2*i]["id"], len(counts))
		}
	}
}

// The batch job writes what codes and complexity do, in shards that follow the
// pictures, and goes on after a stop; a folder with names that repeat is no obstacle.
func TestHashOfRegions(t *testing.T) {
	needORT(t)
	regions := boxed(t, 30)
	flags := []string{"--preprocess", "mnist-01", "--regions", regions, "--channels", "--region-share", "0.5", "--batch", "8"}
	job := func(dir string) []string {
		return with([]string{"hash", resnet, digits, "--shard-size", "8", "--output-format", "jsonl", "--complexity", "--directions", "4", "-o", dir}, flags...)
	}
	dir := filepath.Join(t.TempDir(), "whole")
	stdoutOf(t, job(dir)...)
	var got []map[string]any
	for i := range 13 {
		got = append(got, rows(t, slurp(t, filepath.Join(dir, fmt.Sprintf("%05d.jsonl", i))))...)
	}
	want := rows(t, stdoutOf(t, with([]string{"codes", resnet, digits, "-o", "-"}, flags...)...))
	lc := rows(t, stdoutOf(t, "complexity", resnet, digits, "--preprocess", "mnist-01", "--regions", regions, "--directions", "4", "--batch", "8", "-o", "-"))
	if len(got) != 60 || len(want) != 60 || len(lc) != 60 {
		t.Fatalf("%d, %d and %d rows, want 60", len(got), len(want), len(lc))
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
	var status struct {
		Regions struct{ Regions, Failed, Pictures int }
	}
	if err := json.Unmarshal([]byte(stdoutOf(t, "hash", "status", dir, "--json")), &status); err != nil || status.Regions.Regions != 60 || status.Regions.Pictures != 30 {
		t.Errorf("status %+v, %v", status, err)
	}

	again := filepath.Join(t.TempDir(), "stopped")
	stdoutOf(t, planOf(job(again))...)
	stdoutOf(t, "hash", "run", again, "--shard", "1/3")
	stdoutOf(t, job(again)...)
	sameTree(t, again, dir)

	if r := do(with(job(dir), "--region-rule", "all")...); r.code != exitUsage || !strings.Contains(r.messages, "regions") {
		t.Errorf("another rule: exit code %d, %s", r.code, r.messages)
	}
	stdoutOf(t, planOf(job(filepath.Join(again, "late")))...)
	if err := os.WriteFile(regions, []byte(slurp(t, regions)+"0/0276.png,0,0,1,1,late,late\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if r := do("hash", "run", filepath.Join(again, "late")); r.code != exitFailed || !strings.Contains(r.messages, "SHA-256") {
		t.Errorf("regions that changed: exit code %d, %s", r.code, r.messages)
	}
	if r := do(job(dir)...); r.code != exitUsage || !strings.Contains(r.messages, "regions") {
		t.Errorf("the job with regions that changed: exit code %d, %s", r.code, r.messages)
	}
}

// Regions that are alike are found by their channel codes, and shown cut out of their
// pictures.
func TestRegionsThatAreAlike(t *testing.T) {
	needORT(t)
	regions, dir := boxed(t, 12), t.TempDir()
	for _, name := range []string{"r.parquet", "r.jsonl", "r.npy"} {
		out, page := filepath.Join(dir, name), filepath.Join(dir, name+".html")
		stdoutOf(t, "codes", resnet, digits, "--preprocess", "mnist-01", "--limit", "12", "--regions", regions, "--channels", "-o", out)
		var found struct {
			On      string
			Queries []struct {
				ID        string
				Neighbors []struct{ ID string }
			}
		}
		if err := json.Unmarshal([]byte(stdoutOf(t, "search", out, "--all", "-k", "2", "--plot", page, "--json")), &found); err != nil {
			t.Fatal(err)
		}
		if found.On != "channels" || len(found.Queries) != 24 || len(found.Queries[0].Neighbors) != 2 {
			t.Errorf("%s: searched on %s, %d queries", name, found.On, len(found.Queries))
		}
		sheet := slurp(t, page)
		if n := strings.Count(sheet, `<details class="picture">`); n != 24*3 || !strings.Contains(sheet, "(half)") {
			t.Errorf("%s: a sheet of %d pictures, want 72, with their labels", name, n)
		}
		stdoutOf(t, "dedup", out, "--on", "channels", "--distance", "0.05", "--plot", page, "--force")
	}
	a, b := filepath.Join(dir, "r.parquet"), filepath.Join(dir, "half.parquet")
	stdoutOf(t, "codes", resnet, digits, "--preprocess", "mnist-01", "--limit", "12", "--regions", regions, "--channels", "--region-share", "0.5", "-o", b)
	if r := do("search", a, "--query", b); r.code != exitFailed || !strings.Contains(r.messages, "share") {
		t.Errorf("channels of another share: exit code %d, %s", r.code, r.messages)
	}
}

// A fault is a row that says where it is, and ends the run with 3.
func TestFaultsOfRegions(t *testing.T) {
	needORT(t)
	regions := boxed(t, 2, "0/0276.png,5,5,5,9,empty,e", "0/0276.png,0,0,99,8,far,f", "nowhere.png,0,0,1,1,x,x")
	r := do("codes", resnet, digits, "--preprocess", "mnist-01", "--limit", "4", "--regions", regions, "--channels", "-o", "-")
	got := rows(t, r.stdout)
	if r.code != exitSomeFailed || len(got) != 6 {
		t.Fatalf("exit code %d, %d rows: %s", r.code, len(got), r.messages)
	}
	for want, i := range map[string]int{"boxes.csv:7": 0, "boxes.csv:6": 5} {
		if row := got[i]; row["status"] != "error" || !strings.Contains(fmt.Sprint(row["error"]), want) {
			t.Errorf("row %d: %v, want an error that says %s", i, row, want)
		}
	}
	if place := regions + ":6: "; strings.Contains(r.messages, place+place) {
		t.Errorf("the place is said twice: %s", r.messages)
	}
	for _, want := range []string{"nowhere.png", "2 pictures without regions"} {
		if !strings.Contains(r.messages, want) {
			t.Errorf("the messages do not say %q: %s", want, r.messages)
		}
	}
	for want, more := range map[string][]string{
		"goes with --regions":          {"--region-rule", "any"},
		"--by-site does not go":        {"--regions", regions, "--by-site"},
		"rule \"near\"":                {"--regions", regions, "--region-rule", "near"},
		"goes with --channels":         {"--regions", regions, "--region-share", "0.5"},
		"a share is from":              {"--regions", regions, "--channels", "--region-share", "2"},
		"no such file":                 {"--regions", "nothing.json"},
		"format \"x\" is not known":    {"--regions", regions, "--region-format", "x"},
		"--channels goes with --regio": {"--channels"},
	} {
		if r := do(with([]string{"codes", resnet, digits, "--preprocess", "mnist-01", "-o", "-"}, more...)...); r.code != map[bool]int{true: exitFailed, false: exitUsage}[want == "no such file"] || !strings.Contains(r.messages, want) {
			t.Errorf("%q: exit code %d, %s; want one that says %q", more, r.code, r.messages, want)
		}
	}
}

// --json says how many regions failed, which the exit code speaks of.
func TestJSONOfRegions(t *testing.T) {
	needORT(t)
	boxes := boxed(t, 4, "0/nothing.png,a,b,c,d,l,x")
	for _, verb := range [][]string{{"codes"}, {"complexity", "--directions", "2"}} {
		r := do(with(verb, resnet, digits, "--preprocess", "mnist-01", "--limit", "4", "--backend", "ort", "--regions", boxes, "--json", "-o", filepath.Join(t.TempDir(), "o.jsonl"))...)
		var said struct {
			Summary result.Summary
			Regions region.RowSummary
		}
		if err := json.Unmarshal([]byte(r.stdout), &said); err != nil || r.code != exitSomeFailed {
			t.Fatalf("%v: %v, exit code %d: %s", verb, err, r.code, r.messages)
		}
		if s := said.Regions; said.Summary.Items != 4 || said.Summary.Failed != 0 || s.Regions != 9 || s.Failed != 1 || s.Pictures != 4 {
			t.Errorf("%v: %s", verb, r.stdout)
		}
	}
}
