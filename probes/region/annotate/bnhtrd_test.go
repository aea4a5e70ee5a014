package annotate

import (
	"archive/zip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
)

// workbook writes a sheet of words with shared ("s") or inline strings.
func workbook(t testing.TB, kind string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "7.xlsx")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z := zip.NewWriter(f)
	add := func(name, text string) {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	cell := func(at, text string, shared int) string {
		if kind == "s" {
			return fmt.Sprintf(`<c r="%s" t="s"><v>%d</v></c>`, at, shared)
		}
		return fmt.Sprintf(`<c r="%s" t="inlineStr"><is><t>%s</t></is></c>`, at, text)
	}
	if kind == "s" {
		add("xl/sharedStrings.xml", `<sst><si><t>Id</t></si><si><t>Word</t></si><si><t>7_1_1_2</t></si><si><r><t>বাং</t></r><r><t>লা</t></r></si><si><t>7_1_x_1</t></si></sst>`)
	}
	add("xl/worksheets/sheet1.xml", `<worksheet><sheetData><row r="1">`+cell("A1", "Id", 0)+cell("C1", "Word", 1)+`</row><row r="3">`+
		cell("A3", "7_1_1_2", 2)+cell("C3", "বাংলা", 3)+`</row><row r="4">`+cell("A4", "7_1_x_1", 4)+`</row></sheetData></worksheet>`)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBNHTRd(t *testing.T) {
	for _, kind := range []string{"s", "inlineStr"} {
		root := t.TempDir()
		for _, name := range []string{
			"Lines/7/7_1/7_1_1.jpg", "Lines/7/7_1/7_1_1.txt", "Lines/7/7_1/7_1_10.jpg", "Lines/7/7_1/7_1_2.jpg", "Lines/12/12_1/12_1_1.jpg",
			"Lines/7/7_1/odd.jpg", "Lines/7/7_1/Thumbs.db", "Words/7/7_1/7_1_1/7_1_1_1.jpg", "Words/7/7_1/7_1_1/7_1_1_2.jpg",
		} {
			path := filepath.Join(root, "Segmentation_Images", filepath.FromSlash(name))
			os.MkdirAll(filepath.Dir(path), 0o755)
			os.WriteFile(path, []byte("0 .5 .5 .1 .1\n"), 0o644)
		}
		texts := filepath.Join(root, "Recognition_Ground_Truth_Texts", "7")
		os.MkdirAll(texts, 0o755)
		b, err := os.ReadFile(workbook(t, kind))
		if err == nil {
			err = os.WriteFile(filepath.Join(texts, "7.xlsx"), b, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		d, err := openBNHTRd(disk{dataset.NewWitness(dataset.Local)}, root)
		if err != nil {
			t.Fatal(err)
		}
		if len(d.Pages) != 2 || d.Pages[0].ID() != "7_1" || d.Pages[1].ID() != "12_1" {
			t.Fatalf("the pages are %+v", d.Pages)
		}
		p := d.Pages[0]
		if len(p.Lines) != 3 || p.Lines[1].Number != 2 || p.Lines[2].Number != 10 || p.Lines[0].Boxes == "" || p.Lines[1].Boxes != "" {
			t.Errorf("the lines are %+v", p.Lines)
		}
		if w := p.Lines[0].Words; len(w) != 2 || w[1].Text != "বাংলা" || !strings.HasSuffix(w[1].Image, "7_1_1_2.jpg") || w[0].Text != "" {
			t.Errorf("%s: the words are %+v", kind, w)
		}
		if len(d.Faults.Rows) != 2 || !strings.Contains(d.Faults.Rows[0].Error(), "odd.jpg: got the name") || !strings.Contains(d.Faults.Rows[1].Error(), `7.xlsx:4: got the name "7_1_x_1", want 4 numbers as in 7_1_3_2`) {
			t.Errorf("the faults are %v", d.Faults.Rows)
		}
		whole, err := Open(root, Options{})
		if err != nil || whole.Format != "bnhtrd" {
			t.Fatalf("the folder: %v", err)
		}
		m := whole.Match(items{"7/7_1/7_1_1.jpg", "7/7_1/7_1_2.jpg", "7/7_1/7_1_1/7_1_1_1.jpg", "7/7_1/7_1_1/7_1_1_2.jpg"})
		for i, want := range []string{"0 0 90 45 110 55", " 7_1_2 0 0 200 100", " 7_1_1_1 0 0 200 100", "বাংলা 7_1_1_2 0 0 200 100"} {
			rs, faults := m.Regions(i, size)
			if got := describe(rs); !strings.HasSuffix(got, want) || len(rs) != 1 || faults != nil {
				t.Errorf("picture %d has the regions %q, %v; want %q", i, got, faults, want)
			}
		}
		if m.Faults.Count != 2 || whole.Faults.Count != 2 {
			t.Errorf("the faults are %v and %v", m.Faults.Rows, whole.Faults.Rows)
		}
		s, err := Open(filepath.Join(root, "Segmentation_Images", "Lines"), Options{Format: "yolo"})
		if err != nil || s.Len() != 1 {
			t.Errorf("the boxes of lines: %v", err)
		}
	}
	page := t.TempDir()
	for _, name := range []string{"7_1.jpg", "7_1.txt", "7_1_1.jpg"} {
		path := filepath.Join(page, filepath.FromSlash(bnFolders.lines), "7", name)
		os.MkdirAll(filepath.Dir(path), 0o755)
		os.WriteFile(path, []byte("0 .5 .5 .1 .1\n"), 0o644)
	}
	d, err := openBNHTRd(disk{dataset.NewWitness(dataset.Local)}, page)
	if err != nil || len(d.Pages) != 1 || d.Pages[0].Image == "" || d.Pages[0].Boxes == "" || len(d.Pages[0].Lines) != 1 || d.Faults.Count > 0 {
		t.Errorf("a whole page: %+v, %v", d, err)
	}
	if s, err := Open(page, Options{}); err != nil || s.Regions() != 2 {
		t.Errorf("the regions of a whole page: %v, %v", s, err)
	}
	if _, err := openBNHTRd(disk{dataset.NewWitness(dataset.Local)}, t.TempDir()); err == nil || !strings.Contains(err.Error(), "got none of the folders") {
		t.Errorf("an empty folder: %v", err)
	}
}
