package dynamics

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTables(t *testing.T) {
	cs := []Checkpoint{{Step: 1}, {Step: 20}}
	r := figure("test", "", "margin", 0.5, 3)
	r.StdErr = 0.25
	lc := figure("train", "relu", "complexity", math.Inf(1), 4)
	lc.Radius = 0.05
	records := []*Record{{Path: "a.onnx", Rows: []Row{r, lc}}, {Path: "b.onnx", Error: "torn, \"b\""}}
	path := filepath.Join(t.TempDir(), "d.csv")
	for range 2 { // the second in place of the first
		if err := SaveTable(path, LongTable(cs, records), map[string]float64{"x": 1}); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	want := "step,set,site,radius,measure,value,stderr,n,path,error\n1,test,,,margin,0.5,0.25,3,a.onnx,\n1,train,relu,0.05,complexity,,,4,a.onnx,\n20,,,,error,,,0,b.onnx,\"torn, \"\"b\"\"\"\n"
	if err != nil || string(b) != want {
		t.Errorf("%v\n%s\nwant\n%s", err, b, want)
	}
	for _, name := range []string{"d.parquet", "d.jsonl"} {
		if err := SaveTable(filepath.Join(t.TempDir(), name), LongTable(cs, records), nil); err != nil {
			t.Error(err)
		}
	}
	if err := SaveTable(filepath.Join(t.TempDir(), "d.xlsx"), LongTable(cs, records), nil); err == nil {
		t.Error("a table of no format is written")
	}
}

// numpy.quantile([0, 1, 1, 4], [0, 0.05, 0.25, 0.5, 0.95, 1])
func TestQuantilesAreNumpys(t *testing.T) {
	v := []float64{0, 1, 1, 4}
	for q, want := range map[float64]float64{0: 0, 0.05: 0.15, 0.25: 0.75, 0.5: 1, 0.95: 3.55, 1: 4} {
		if got := quantile(v, q); math.Abs(got-want) > 1e-12 {
			t.Errorf("quantile %g is %g, want %g", q, got, want)
		}
	}
	if quantile([]float64{3}, 0.3) != 3 {
		t.Error("of one value")
	}
}

// A record is what it was written as, or none at all.
func FuzzRecord(f *testing.F) {
	r := &Record{Fingerprint: "f", SHA256: "s", Before: "b", Rows: []Row{figure("test", "", "margin", math.NaN(), 3)}}
	dir := f.TempDir()
	path := filepath.Join(dir, "step-1.json")
	if err := r.write(path); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil || readRecord(path, "f", "s", "b") == nil {
		f.Fatal(err)
	}
	f.Add(string(whole))
	f.Add(strings.Replace(string(whole), `"n": 3`, `"n": 4`, 1))
	f.Add("{}")
	f.Add("[]")
	now := &plan{"f", "dynamics", json.RawMessage(`{"k":9}`)}
	f.Add(words(f, now))
	f.Fuzz(func(t *testing.T, text string) {
		if got := parseRecord([]byte(text), "f", "s", "b"); got != nil && (got.Check != got.check() || len(got.Rows) == 0) {
			t.Fatalf("%+v", got)
		}
		if now.agrees([]byte(text)) == nil && (!strings.Contains(text, "dynamics") || !strings.Contains(text, "9")) {
			t.Fatalf("taken for the plan: %s", text)
		}
	})
}
