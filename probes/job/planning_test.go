package job

import (
	"errors"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/probes/internal/store"
)

// Batches are as large as they can be where the last of a shard is padded least.
func TestFilling(t *testing.T) {
	for shard, want := range map[int]int{16: 8, 17: 6, 18: 6, 25: 5, 58: 6, 64: 8, 10_000: 8, 63: 7, 59: 6} {
		if got := filling(shard, 8); got != want {
			t.Errorf("shards of %d: batches of %d, want %d", shard, got, want)
		}
	}
}

// A job that an earlier version planned at one radius, whose shards do not name it, is not gone
// on with; of several radii the shards are the same.
func TestPlansOfEarlierShapes(t *testing.T) {
	k := newKit(t, "jsonl")
	p, err := k.plan()
	if err == nil {
		err = p.saveIn(store.Folder(t.TempDir()), Incremental, k.frame)
	}
	if err != nil || !p.Settings.Complexity.ByRadius {
		t.Fatalf("%v; a new plan names its one radius: %+v", err, p.Settings.Complexity)
	}
	for _, c := range []struct {
		byRadius bool
		radii    []float64
		goes     bool
	}{{true, []float64{0.1}, true}, {false, []float64{0.1}, false}, {false, []float64{0.1, 0.2}, true}} {
		p.Settings.Complexity = &Complexity{Radii: c.radii, Frame: k.frame.SHA256(), ByRadius: c.byRadius}
		_, err := p.probes()
		var version *VersionError
		if (err == nil) != c.goes || !c.goes && (!errors.As(err, &version) || !strings.Contains(err.Error(), "plan anew")) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
