package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// Vertices that move one corner of a digit change no unit of the first layer that sees
// nothing of it; a region that is the whole picture changes nothing at all.
func TestComplexityOfRegions(t *testing.T) {
	needORT(t)
	const name = "3/0213.png"
	boxes := spill(t, filepath.Join(t.TempDir(), "boxes.csv"), []byte("path,x1,y1,x2,y2,id\n"+
		name+",0,0,8,8,all\n"+name+",0,0,2,2,corner\n"+name+",6,6,8,8,other\n"+name+",0,0,1,1,dot\n"))
	args := with(pictures("complexity", resnet, digits), "--radius", "0.5", "--sites", "relu", "-o", "-")
	got := do(with(args, "--directions", "4", "--regions", boxes, "--region-frame")...)
	if got.code != 3 {
		t.Fatalf("exit code %d: %s", got.code, got.messages)
	}
	count := map[string]float64{}
	for _, r := range rows(t, got.stdout) {
		id := strings.TrimPrefix(r["id"].(string), name+"#")
		if id == "dot" { // one element has no four directions
			if e, _ := r["error"].(string); !strings.Contains(e, "take fewer directions") {
				t.Errorf("the region of one pixel: %v", r)
			}
			continue
		}
		count[id] = only(t, r["complexity"])
	}
	var whole float64
	for _, r := range rows(t, stdoutOf(t, with(args, "--directions", "4")...)) {
		if r["id"] == name {
			whole = only(t, r["complexity"])
		}
	}
	// The kernel is 3 x 3: two pixels square are seen by 9 positions of 8 channels.
	if count["all"] != whole || whole == 0 || count["corner"] > 9*8 || count["corner"] == 0 || count["other"] > 9*8 || count["other"] == 0 {
		t.Errorf("counts %v, of the whole picture %v", count, whole)
	}
	for want, more := range map[string][]string{
		"goes with --regions":    {"--region-frame"},
		"--region-input":         {"--region-frame", "--regions", boxes, "--region-input", "xyxy01"},
		"neither --map":          {"--region-frame", "--regions", boxes, "--map", filepath.Join(t.TempDir(), "maps")},
		"--region-rule does not": {"--region-frame", "--regions", boxes, "--region-rule", "all"},
	} {
		if r := do(with(args, more...)...); r.code != 2 || !strings.Contains(r.messages, want) {
			t.Errorf("%q: exit code %d, %s", more, r.code, fmt.Sprint(r.messages))
		}
	}
}
