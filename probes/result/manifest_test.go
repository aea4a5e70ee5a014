package result

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

// A manifest of each kind has its own names alone, in one order.
func TestManifestKinds(t *testing.T) {
	common := []string{"tool", "version", "verb", "command"}
	run := []string{"unwatched", "input", "sample", "batch", "backend", "backend_version", "device", "threads", "optimize", "precision"}
	for kind, c := range map[string]struct {
		fill func(m *Manifest)
		keys []string
	}{
		"report": {func(m *Manifest) { m.Settings = map[string]int{"sample": 1} }, []string{"settings"}},
		"codes": {func(m *Manifest) {
			m.Model, m.SHA256, m.Run = "m.onnx", map[string]string{"m.onnx": "ab"}, &Run{}
			m.Dataset, m.Settings, m.Summary = &Data{}, map[string]int{"seed": 0}, Summary{}
		}, append(append([]string{"model", "sha256"}, run...), "dataset", "settings", "summary")},
		"search":   {func(m *Manifest) { m.Inputs = []Input{{Path: "a"}} }, []string{"inputs"}},
		"compare":  {func(m *Manifest) { m.Dataset, m.Sides = &Data{}, []Side{{}} }, []string{"dataset", "sides"}},
		"dynamics": {func(m *Manifest) { m.Fingerprint, m.Study = "f", &Study{} }, []string{"fingerprint", "train", "test", "networks"}},
	} {
		m := NewManifest(kind, []string{"onnxprobe", kind})
		c.fill(m)
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		d := json.NewDecoder(strings.NewReader(string(b)))
		_, _ = d.Token()
		var keys []string
		for d.More() {
			key, _ := d.Token()
			var value json.RawMessage
			if err := d.Decode(&value); err != nil {
				t.Fatal(err)
			}
			keys = append(keys, key.(string))
		}
		if got, want := strings.Join(keys, " "), strings.Join(append(common[:4:4], c.keys...), " "); got != want {
			t.Errorf("%s has the names\n%s, want\n%s", kind, got, want)
		}
		path := filepath.Join(t.TempDir(), "m.json")
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		read, err := ReadManifest(path)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := json.Marshal(read); err != nil || string(again) != string(b) {
			t.Errorf("%s: read and written again it is\n%s, was\n%s, %v", kind, again, b, err)
		}
	}
}

// Manifests of earlier versions and of other programs are read as far as they go.
func TestReadManifest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.json")
	write := func(s string) {
		if err := os.WriteFile(path, []byte(s), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"verb": "codes", "model": 5, "batch": "x", "sha256": {"m": "ab"}, "settings": {"seed": 3}, "summary": {"items": 7}, "later": []}`)
	m, err := ReadManifest(path)
	var other *MembersError
	if !errors.As(err, &other) || !slices.Equal(other.Members, []string{"batch", "model"}) || m == nil || m.Kind != "codes" || m.SHA256["m"] != "ab" {
		t.Fatalf("%+v, %v", m, err)
	}
	var s struct{ Seed int }
	var sum Summary
	if err := errors.Join(m.Setting(&s), m.Summed(&sum)); err != nil || s.Seed != 3 || sum.Items != 7 {
		t.Errorf("settings %+v, summary %+v, %v", s, sum, err)
	}
	if err := m.Setting(&[]int{}); err == nil || !strings.Contains(err.Error(), "settings") {
		t.Errorf("settings read as a list: %v", err)
	}
	write(`{}`)
	if m, err = ReadManifest(path); err != nil || m.Setting(&s) != nil || s.Seed != 3 {
		t.Errorf("an empty one: %+v, %v", m, err)
	}
	if table, err := m.Table(); err != nil || table.Names != nil {
		t.Errorf("sites of no run: %+v, %v", table, err)
	}
	for _, bad := range []string{"", "[]", "5", "{"} {
		write(bad)
		if _, err := ReadManifest(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := ReadManifest(path + "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that there is not: %v", err)
	}
	if _, err := ReadManifest(filepath.Dir(path)); err == nil {
		t.Error("a folder is read")
	}
}

// What Go writes into a program is what it wrote in builds of each of these ways.
func TestVersionOf(t *testing.T) {
	const here = "github.com/onnxprobe/onnxprobe"
	main := func(path, version string, settings ...string) *debug.BuildInfo {
		info := &debug.BuildInfo{Main: debug.Module{Path: path, Version: version}}
		for i := 0; i < len(settings); i += 2 {
			info.Settings = append(info.Settings, debug.BuildSetting{Key: settings[i], Value: settings[i+1]})
		}
		return info
	}
	other := func(d debug.Module) *debug.BuildInfo {
		info := main("example.org/embeds", "v9.9.9", "vcs.revision", "ffffffffffffffffffff")
		info.Deps = []*debug.Module{{Path: "example.org/a", Version: "v7.0.0"}, &d}
		return info
	}
	const commit = "8089c05abcde0123456789abcdef0123456789ab"
	for _, c := range []struct {
		why, want string
		info      *debug.BuildInfo
	}{
		{"a tag", "v0.3.0", main(here, "v0.3.0", "vcs.revision", commit, "vcs.modified", "false")},
		{"a tag and changes", "v0.3.0+dirty", main(here, "v0.3.0+dirty", "vcs.revision", commit, "vcs.modified", "true")},
		{"a commit before any tag", "devel-8089c05abcde", main(here, "v0.0.0-20261201173032-8089c05abcde", "vcs.revision", commit)},
		{"a commit after a tag", "devel-8089c05abcde", main(here, "v0.3.1-0.20261201173032-8089c05abcde", "vcs.revision", commit)},
		{"a commit and changes", "devel-8089c05abcde+dirty",
			main(here, "v0.0.0-20261201173032-8089c05abcde+dirty", "vcs.revision", commit, "vcs.modified", "true")},
		{"an older Go, or files given", "devel-8089c05abcde", main(here, "(devel)", "vcs.revision", commit)},
		{"no git", "devel", main(here, "(devel)")},
		{"go test", "devel", main(here, "")},
		{"go install of a version", "v0.3.0", main(here, "v0.3.0")},
		{"go install of a commit", "v0.3.1-0.20261201173032-8089c05abcde", main(here, "v0.3.1-0.20261201173032-8089c05abcde")},
		{"another program", "v0.3.0", other(debug.Module{Path: here, Version: "v0.3.0"})},
		{"another program that replaces it", "devel", other(debug.Module{Path: here, Version: "v0.3.0", Replace: &debug.Module{Path: "../x"}})},
	} {
		if got := VersionOf(c.info); got != c.want {
			t.Errorf("%s: got %q, want %q", c.why, got, c.want)
		}
	}
}
