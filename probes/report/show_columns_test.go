package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/probes/result"
)

// A table is shown as its manifest says, whatever else it holds, and every column is.
func TestKindComesFirst(t *testing.T) {
	cols := []result.Column{
		{Name: "id", Values: []string{"a", "b", "c"}}, {Name: "digest", Values: []string{"00", "01", ""}, Null: []bool{false, false, true}},
		{Name: "complexity", Values: []int64{1, 2, 0}, Null: []bool{false, false, true}},
		{Name: "changed", Width: 2, Values: make([]uint8, 6)},
		{Name: "logits", Width: 2, Values: []float32{1, 2, 3, 4, 5, 6}}, {Name: "kept", Values: []bool{true, false, true}},
		{Name: "at", Width: 2, Parts: []result.Part{{Name: "x", Width: 1}, {Name: "y", Width: 1}}, Values: []int32{1, 2, 3, 4, 5, 6}},
	}
	rest := []string{"digest|texts|3|1||||2: 00, 01", "changed|2 bytes|3|||||",
		"logits|numbers, 2 a row|3|0|1|3.5|6|", "kept|truth values|3|0|0|0.666667|1|", "at|numbers in 2 parts|3|0|1|3.5|6|"}
	for _, file := range []string{"a.parquet", "a.npy"} {
		for _, c := range []struct {
			verb, figures string
			rest          []string
		}{
			{"complexity", "Local complexity of the items", rest},
			{"run", "", append(append([]string{}, rest[:1]...), append([]string{"complexity|numbers|3|1|1|1.5|2|"}, rest[1:]...)...)},
		} {
			path := filepath.Join(t.TempDir(), file)
			s, err := result.Create(path, result.Options{Array: "changed"})
			if err == nil {
				err = s.Write(cols)
			}
			if err == nil {
				err = s.Commit(result.NewManifest(c.verb, nil))
			}
			if err != nil {
				t.Fatal(err)
			}
			p := collect(t, path)
			if got := strings.Join(titles(p), "; "); got != c.figures || len(p.Sections) != 1 {
				t.Fatalf("%s of %s: figures %q, skipped %v", file, c.verb, got, p.Skipped)
			}
			tables := p.Sections[0].Tables
			var got []string
			for _, row := range tables[len(tables)-1].Rows {
				got = append(got, strings.Join(row, "|"))
			}
			want := strings.Join(c.rest, "\n")
			if file == "a.npy" { // whose array has lost its name, and comes last
				want = strings.Replace(want, "changed|2 bytes|3|||||\n", "", 1) + "\narray|2 bytes|3|||||"
			}
			if all := strings.Join(got, "\n"); all != want || tables[len(tables)-1].Caption != "Columns that no figure shows" {
				t.Errorf("%s of %s:\n%s\nwant\n%s", file, c.verb, all, want)
			}
		}
	}
}

// A FAISS index is shown as the codes that it holds.
func TestIndexIsShown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.faiss")
	b := append(result.FaissHeader(2, 3), 1, 2, 3, 4, 5, 6)
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	p := collect(t, path)
	if got := strings.Join(titles(p), "; "); !strings.Contains(got, "Hamming distances between items") {
		t.Errorf("figures %q, skipped %v", got, p.Skipped)
	}
}

// A document without a manifest is of the type that has most of its names; one with it is
// what the manifest says.
func TestDocumentsByKind(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "d.json"), `{"redundancy": {"train": {"items": 4, "regions": 2}}}`)
	if p := collect(t, path); len(p.Sections) != 0 {
		t.Errorf("one name is enough for a %s", p.Sections[0].Kind)
	}
	write(t, result.ManifestPath(path), `{"verb": "evaluate"}`)
	if p := collect(t, path); len(p.Sections) != 1 || p.Sections[0].Kind != "evaluate" {
		t.Errorf("skipped %v", p.Skipped)
	}
}
