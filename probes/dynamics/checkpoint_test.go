package dynamics

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

func TestStepOf(t *testing.T) {
	for name, want := range map[string]int64{
		"step-001000.onnx": 1000, "ckpt_1000.onnx": 1000, "1e3.onnx": 1000, "runs7/0.onnx": 0, "net-v2-step-15.onnx": 15,
		"1.5e3.onnx": 1500, "a/epoch12.ONNX": 12, "step_3e+2.onnx": 300, "mnist5_final_20.onnx": 20, "007": 7, "e5.onnx": 5,
		"final.onnx": -1, "runs7/last.onnx": -1, "loss0.25.onnx": -1, "step-1e400.onnx": -1, "99999999999999999999.onnx": -1, "": -1, ".onnx": -1,
	} {
		step, ok := stepOf(name)
		if ok != (want >= 0) || ok && step != want {
			t.Errorf("%q is step %d, %t; want %d", name, step, ok, want)
		}
	}
}

func TestFiles(t *testing.T) {
	dir := corners(t, threeSteps...)
	for _, name := range []string{".step-9.onnx", "step-3.onnx.data", "notes.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	one := filepath.Join(dir, "step-1.onnx")
	if files, err := Files([]string{one, dir, dir}); err != nil || len(files) != 3 || files[0] != one {
		t.Errorf("%q, %v", files, err)
	}
	for _, path := range []string{filepath.Join(dir, "none"), t.TempDir()} {
		if files, err := Files([]string{path}); err == nil {
			t.Errorf("%s gives %q", path, files)
		}
	}
}

func TestSurvey(t *testing.T) {
	load := func(edit func(path string, m *onnx.Model)) Loader {
		return func(path string) (*onnx.Model, error) {
			m, err := onnx.Load(path)
			if err == nil && edit != nil {
				edit(path, m)
			}
			return m, err
		}
	}
	said := func(step string) Loader {
		return load(func(path string, m *onnx.Model) { m.Meta = append(m.Meta, onnx.Prop{Key: "step", Value: step}) })
	}
	for name, c := range map[string]struct {
		files []string
		load  Loader
		want  string // of the error, or the steps
	}{
		"sorted by number": {[]string{"s10.onnx", "s9.onnx", "s1e2.onnx"}, load(nil), "9 10 100"},
		"metadata":         {[]string{"last.onnx"}, said("12"), "12"},
		"both":             {[]string{"s12.onnx"}, said("12"), "12"},
		"doubled":          {[]string{"s10.onnx", "t1e1.onnx", "s3.onnx"}, load(nil), "step 10: s10.onnx and t1e1.onnx"},
		"missing":          {[]string{"s1.onnx", "best.onnx", "last.onnx"}, load(nil), `2 checkpoints is not clear; make it the last number of the file's name, as in step-001000.onnx, or the entry "step"`},
		"ambiguous":        {[]string{"s12.onnx"}, said("13"), "name says step 12, its metadata 13"},
		"no number":        {[]string{"s12.onnx"}, said("many"), `says step "many"`},
		"all broken":       {[]string{"no1.onnx", "no2.onnx"}, load(nil), "none of 2"},
		"other sites": {[]string{"s1.onnx", "s2.onnx"}, load(func(path string, m *onnx.Model) {
			if strings.HasSuffix(path, "s2.onnx") {
				m.Graph.Nodes[1].Name = "gate"
			}
		}), "gate:2:1"},
	} {
		dir := t.TempDir()
		var files []string
		for _, f := range c.files {
			files = append(files, filepath.Join(dir, f))
			if !strings.HasPrefix(f, "no") {
				save(t, corner(0.25, 0.25), filepath.Join(dir, f))
			}
		}
		cs, err := Survey(files, c.load, site.Options{}, []int{2})
		got := ""
		if err != nil {
			got = strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), "")
		} else {
			for _, c := range cs {
				if c.SHA256 == "" || c.Err != nil {
					t.Errorf("%s: %+v", name, c)
				}
				got += strings.TrimSpace(words(t, c.Step)) + " "
			}
			got = strings.TrimSpace(got)
		}
		if err == nil && got != c.want || err != nil && !strings.Contains(got, c.want) {
			t.Errorf("%s: %s; want %s", name, got, c.want)
		}
	}
}
