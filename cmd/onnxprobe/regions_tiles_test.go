package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// A region of a picture is a row for each tile that it meets, and for the thumbnail;
// its box stays that on the picture, and kept is what the tile shows of it.
func TestRegionsOfTiles(t *testing.T) {
	needORT(t)
	dir := t.TempDir()
	pictures := filepath.Join(dir, "p")
	if err := os.Mkdir(pictures, 0o777); err != nil {
		t.Fatal(err)
	}
	gradient(t, filepath.Join(pictures, "tall.png"), 20, 40)
	gradient(t, filepath.Join(pictures, "wide.png"), 60, 20)
	boxes := spill(t, filepath.Join(dir, "boxes.csv"), []byte("path,x1,y1,x2,y2,id\ntall.png,0,20,20,40,below\nwide.png,0,0,20,20,left\nwide.png,10,5,30,15,two\nwide.png,0,0,60,20,all\n"))
	args := []string{regionModels + "internvit_rms_dynamo.onnx", pictures, "--backend", "ort", "--preprocess", "internvl", "--resize", "32x32", "--tiles", "4", "-o", "-"}
	want := []string{"tall.png@1#below 0 20 1.00", "tall.png@thumbnail#below 0 20 1.00",
		"wide.png@0#left 0 20 1.00", "wide.png@0#two 10 30 0.50", "wide.png@0#all 0 60 0.33",
		"wide.png@1#two 10 30 0.50", "wide.png@1#all 0 60 0.33", "wide.png@2#all 0 60 0.33",
		"wide.png@thumbnail#left 0 20 1.00", "wide.png@thumbnail#two 10 30 1.00", "wide.png@thumbnail#all 0 60 1.00"}
	for _, verb := range [][]string{{"codes"}, {"complexity", "--directions", "2"}} {
		units := map[string]any{}
		var got []string
		for _, r := range rows(t, stdoutOf(t, with(verb, with(args, "--regions", boxes)...)...)) {
			got = append(got, fmt.Sprintf("%v %v %v %.2f", r["id"], r["x0"], r["x1"], r["kept"]))
			units[r["id"].(string)] = r["units"]
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v: got %q, want %q", verb, got, want)
		}
		// A tile that lies in the region has all its units inside, whichever it is.
		if all := units["wide.png@0#left"]; all != units["wide.png@1#all"] || all != units["wide.png@thumbnail#all"] || all == units["wide.png@0#two"] {
			t.Errorf("%v: units %v", verb, units)
		}
	}
	var got []string
	for _, r := range rows(t, stdoutOf(t, with([]string{"complexity", "--directions", "2", "--region-frame"}, with(args, "--regions", boxes)...)...)) {
		got = append(got, r["id"].(string))
	}
	if len(got) != len(want) {
		t.Errorf("items %q, want one for each of %q", got, want)
	}
}
