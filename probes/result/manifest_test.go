package result

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
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
