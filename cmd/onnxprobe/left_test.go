package main

import (
	"encoding/json"
	"image"
	"image/color"
	pngs "image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// mixed is a folder of a plain picture, one of 16-bit grey that is clipped, and two pictures
// of kinds that are not read.
func mixed(t *testing.T) string {
	dir := t.TempDir()
	gradient(t, filepath.Join(dir, "a.png"), 32, 32)
	m := image.NewGray16(image.Rect(0, 0, 32, 32))
	m.SetGray16(3, 3, color.Gray16{Y: 7})
	for k := range 40 {
		m.SetGray16(k%32, k/32, color.Gray16{Y: 4000})
	}
	f, err := os.Create(filepath.Join(dir, "b.png"))
	if err != nil {
		t.Fatal(err)
	}
	if err := pngs.Encode(f, m); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	spill(t, filepath.Join(dir, "c.heic"), nil)
	spill(t, filepath.Join(dir, "d.jxl"), nil)
	return dir
}

// What is left out of a folder, and what is doubtful about pictures, is on stderr once, in
// the manifest and the plan, and in the rows, from codes and from a job.
func TestLeftOutAndWarned(t *testing.T) {
	needORT(t)
	dir, to := mixed(t), t.TempDir()
	model := resnet
	check := func(t *testing.T, messages, manifest string, all []map[string]any) {
		t.Helper()
		for _, want := range []string{`1 HEIC (convert them, for example with "heif-convert IN OUT.png"), 1 JPEG XL`, "warning: b.png: more than 1 % of its pixels"} {
			if strings.Count(messages, want) != 1 {
				t.Errorf("stderr has %q not once:\n%s", want, messages)
			}
		}
		var m struct {
			Dataset dataset.Description
			Summary result.Summary
		}
		if err := json.Unmarshal([]byte(manifest), &m); err != nil {
			t.Fatal(err)
		}
		if len(m.Dataset.Left) != 1 || len(m.Dataset.Left[0].Pictures) != 2 {
			t.Errorf("the manifest has left out %+v", m.Dataset.Left)
		}
		if w := m.Summary.Warnings; len(w) != 1 || w[0].Items != 1 || w[0].First != "b.png" {
			t.Errorf("the manifest's warnings are %+v", w)
		}
		if len(all) != 2 || all[0]["warning"] != nil || !strings.Contains(all[1]["warning"].(string), "clipped") || all[1]["status"] != "ok" {
			t.Errorf("rows %+v", all)
		}
	}
	t.Run("codes", func(t *testing.T) {
		out := filepath.Join(to, "c.jsonl")
		r := do("codes", model, dir, "--preprocess", "mnist-01", "--resize", "8x8", "--code=false", "-o", out)
		check(t, r.messages, slurp(t, out+".manifest.json"), rows(t, slurp(t, out)))
	})
	t.Run("hash", func(t *testing.T) {
		out := filepath.Join(to, "job")
		r := do("hash", model, dir, "--preprocess", "mnist-01", "--resize", "8x8", "--output-format", "jsonl", "-o", out)
		check(t, r.messages, slurp(t, filepath.Join(out, "manifest.json")), jobRows(t, out))
		var plan struct {
			Left []dataset.Left `json:"left_out"`
		}
		if err := json.Unmarshal([]byte(slurp(t, filepath.Join(out, "plan.json"))), &plan); err != nil || len(plan.Left) != 1 {
			t.Errorf("the plan has left out %+v, %v", plan.Left, err)
		}
		if s := stdoutOf(t, "hash", "status", out); !strings.Contains(s, "b.png: more than 1 %") {
			t.Errorf("status says\n%s", s)
		}
		more := mixed(t)
		r = do("hash", model, dir, more, "--preprocess", "mnist-01", "--resize", "8x8", "--output-format", "jsonl", "-o", out, "--mode", "extend")
		if err := json.Unmarshal([]byte(slurp(t, filepath.Join(out, "plan.json"))), &plan); err != nil || len(plan.Left) != 2 || plan.Left[1].Folder != more {
			t.Errorf("the extended plan has left out %+v, %v\n%s", plan.Left, err, r.messages)
		}
	})
}
