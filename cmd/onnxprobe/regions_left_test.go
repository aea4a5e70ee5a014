package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// What of annotations is left out is counted by reason on stderr and in every manifest, and
// crowds have their column.
func TestWhatIsLeftOutOfRegions(t *testing.T) {
	needORT(t)
	dir := t.TempDir()
	files, err := filepath.Glob(digits + "/*/*.png")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	name := filepath.ToSlash(strings.TrimPrefix(files[0], filepath.FromSlash(digits)+string(filepath.Separator)))
	regions := filepath.Join(dir, "r.json")
	text := `{"images": [{"id": 1.0, "file_name": "` + name + `", "width": 8.0}, {"id": 2, "file_name": "nowhere.png"}],
"categories": [{"id": 1, "name": "cat"}], "annotations": [
{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 8, 8], "iscrowd": 1}, {"id": 2, "image_id": 1, "category_id": 1, "bbox": [0, 0, 4, 8]},
{"id": 3, "image_id": 1, "category_id": 1, "bbox": [0, 0, 0, 8]}, {"id": 4, "image_id": 2, "category_id": 1, "bbox": [0, 0, 4, 8]},
{"id": 5, "image_id": 1, "category_id": 1, "bbox": [0, 0, 40, 8]}]}`
	if err := os.WriteFile(regions, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	read := map[string]any{"empty or inverted box": 1.0, "picture that is not in the dataset": 1.0}
	all := map[string]any{"empty or inverted box": 1.0, "picture that is not in the dataset": 1.0, "box beyond the picture": 1.0}
	manifest := func(path string, keys ...string) (v any) {
		if err := json.Unmarshal([]byte(slurp(t, path)), &v); err != nil {
			t.Fatal(err)
		}
		for _, k := range keys {
			v = v.(map[string]any)[k]
		}
		return v
	}
	flags := []string{resnet, digits, "--preprocess", "mnist-01", "--limit", "2", "--regions", regions}
	codes, job, csv := filepath.Join(dir, "c.jsonl"), filepath.Join(dir, "job"), filepath.Join(dir, "r.csv")
	r := do(with([]string{"codes", "-o", codes}, flags...)...)
	if r.code != exitSomeFailed || !strings.Contains(r.messages, "left out of "+regions+": box beyond the picture: 1; empty or inverted box: 1") {
		t.Errorf("codes: %d, %s", r.code, r.messages)
	}
	var crowds []any
	for _, row := range rows(t, slurp(t, codes)) {
		if row["status"] == "ok" {
			crowds = append(crowds, row["crowd"])
		}
	}
	if !reflect.DeepEqual(crowds, []any{true, false}) {
		t.Errorf("crowds: %v", crowds)
	}
	do(with([]string{"hash", "--output-format", "jsonl", "-o", job}, flags...)...)
	r = do("regions", digits, "--limit", "2", "--regions", regions, "-o", csv)
	if !strings.Contains(r.messages, "what is written does not hold: mark of a crowd: 1") || !strings.Contains(r.messages, "are left out (box beyond") ||
		!strings.Contains(r.messages, "clip the boxes if they may reach beyond (--region-clip)") {
		t.Errorf("regions: %s", r.messages)
	}
	for path, c := range map[string]struct {
		keys []string
		want map[string]any
	}{
		codes + ".manifest.json": {[]string{"settings", "regions", "left_out"}, all}, csv + ".manifest.json": {[]string{"settings", "regions", "left_out"}, all},
		filepath.Join(job, "plan.json"): {[]string{"regions_left_out"}, read}, filepath.Join(job, "manifest.json"): {[]string{"regions_left_out"}, all},
	} {
		if got := manifest(path, c.keys...); !reflect.DeepEqual(got, any(c.want)) {
			t.Errorf("%s: %v, want %v", path, got, c.want)
		}
	}
}
