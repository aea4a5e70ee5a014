package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// tall and wide pictures, and one that is none, for a job of tiles.
func tiledPictures(t *testing.T, dir string, from, to int) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for i := from; i < to; i++ {
		if path := filepath.Join(dir, fmt.Sprintf("%c.png", 'a'+i)); i == 3 {
			spill(t, path, []byte("no picture"))
		} else {
			gradient(t, path, 20+20*(i%3), 20+20*(i%2))
		}
	}
}

// A job plans pictures, and its rows are those that codes give of their tiles, of regions
// of these, and of boxes that go into the model: over shards, in slices, after a stop,
// extended.
func TestHashOfTiles(t *testing.T) {
	needORT(t)
	dir := t.TempDir()
	in, more := filepath.Join(dir, "in"), filepath.Join(dir, "more")
	tiledPictures(t, in, 0, 7)
	tiledPictures(t, more, 7, 9)
	boxes := spill(t, filepath.Join(dir, "boxes.csv"), []byte("path,id,x0,y0,x1,y1\na.png,all,0,0,20,20\nc.png,left,0,0,20,20\nc.png,two,10,5,30,15\nf.png,far,90,0,95,9\ng.png,all,0,0,20,20\n"))
	common := []string{"--backend", "ort", "--preprocess", "internvl", "--resize", "32x32", "--tiles", "4", "--quiet", "--batch", "4"}
	model := regionModels + "internvit_rms_dynamo.onnx"
	for name, flags := range map[string][]string{"tiles": {model, "--sketch", "64"}, "regions": {model, "--regions", boxes, "--channels"},
		"boxes": {regionModels + "regionblip_dynamo.onnx", "--regions", boxes, "--region-input", "xyxy01", "--sketch", "64"}} {
		t.Run(name, func(t *testing.T) {
			args := slices.Concat([]string{flags[0], in}, common, flags[1:])
			r := do(slices.Concat([]string{"codes"}, args, []string{"-o", "-"})...)
			want := rows(t, r.stdout)
			if r.code == exitFailed || len(want) < 7 {
				t.Fatalf("exit code %d, %d rows\n%s", r.code, len(want), r.messages)
			}
			if name != "regions" {
				for i := range want {
					delete(want[i], "code")
				}
			}
			job := func(out string) []string {
				return slices.Concat([]string{"hash"}, args, []string{"--shard-size", "2", "--output-format", "jsonl", "-o", out})
			}
			out, sliced := filepath.Join(dir, name), filepath.Join(dir, name+"-sliced")
			if r := do(job(out)...); r.code == exitFailed {
				t.Fatalf("exit code %d\n%s", r.code, r.messages)
			}
			got := jobRows(t, out)
			if len(got) != len(want) {
				t.Fatalf("%d rows, codes gives %d", len(got), len(want))
			}
			for i := range got {
				if !reflect.DeepEqual(got[i], want[i]) {
					t.Errorf("row %d: %v, codes gives %v", i, got[i], want[i])
				}
			}
			var status struct{ Items, Items_done, Tiles int }
			if err := json.Unmarshal([]byte(stdoutOf(t, "hash", "status", out, "--json")), &status); err != nil || status.Items != 7 || status.Items_done != 7 || name == "tiles" && status.Tiles != len(want) {
				t.Errorf("status %+v, %v", status, err)
			}
			stdoutOf(t, planOf(job(sliced))...)
			do("hash", "run", sliced, "--shard", "1/3", "--backend", "ort", "--quiet")
			do(job(sliced)...)
			sameTree(t, sliced, out)
			if r := do(with(job(out), "--tile-thumbnail=false")...); r.code != exitUsage || !strings.Contains(r.messages, "what differs: tiles") {
				t.Errorf("without the thumbnail: exit code %d\n%s", r.code, r.messages)
			}
			shard := filepath.Join(out, "00001.jsonl")
			spill(t, shard, []byte(strings.Replace(slurp(t, shard), "png", "gif", 1)))
			if r := do("hash", "verify", out); r.code != exitFailed {
				t.Errorf("verify: exit code %d", r.code)
			}
			do(job(out)...)
			if again := jobRows(t, out); !reflect.DeepEqual(again, got) {
				t.Error("other rows after a shard was made anew")
			}
			if name != "tiles" {
				return
			}
			if found := stdoutOf(t, "search", out, "--query", got[0]["id"].(string), "-k", "1"); !strings.Contains(found, "@") {
				t.Errorf("search finds\n%s", found)
			}
			do(with(slices.Insert(job(out), 3, more), "--mode", "extend")...)
			if extended := jobRows(t, out); len(extended) <= len(got) || !reflect.DeepEqual(extended[:len(got)], got) || !strings.HasPrefix(extended[len(got)]["id"].(string), "h.png@") && !strings.Contains(extended[len(got)]["id"].(string), "/h.png@") {
				t.Errorf("%d rows after extending %d", len(extended), len(got))
			}
		})
	}
	for want, more := range map[string][]string{
		"--limit does not go with --tiles: a job counts pictures": {"--limit", "1"},
		"how many tiles there are is known":                       {"--faiss"},
		"does not crop":                                           {"--resize", "40x40", "--crop", "32x32"},
		"--tiles 65: 1 to 64":                                     {"--tiles", "65"},
	} {
		r := do(slices.Concat([]string{"hash", model, in}, common, more, []string{"-o", filepath.Join(dir, "refused")})...)
		if r.code != exitUsage || !strings.Contains(r.messages, want) {
			t.Errorf("%q: exit code %d, %s; want one that says %q", more, r.code, r.messages, want)
		}
	}
}
