package result

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
)

func mustOpen(t *testing.T, path string) *Table {
	t.Helper()
	table, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { table.Close() })
	return table
}

// What is read of a result and written again is the same to the byte, in every format, from
// memory too.
func TestCopies(t *testing.T) {
	each(t, func(t *testing.T, f Format, path string) {
		for name, batches := range map[string][][]Column{
			"all types": sample(), "no rows": {{{Name: "array", Width: 4, Values: []float32{}}, {Name: "id", Values: []string{}}}}, "nothing": nil,
			"nulls first": {{{Name: "array", Width: 2, Values: []uint8{0, 0}, Null: []bool{true}}, {Name: "logits", Width: 3, Values: []float32{0, 0, 0}, Null: []bool{true}}},
				{{Name: "array", Width: 2, Values: []uint8{1, 2}}, {Name: "logits", Width: 3, Values: []float32{1, float32(math.NaN()), -0.5}}}},
		} {
			from := filepath.Join(filepath.Dir(path), name, filepath.Base(path))
			to := filepath.Join(filepath.Dir(path), name+" again", filepath.Base(path))
			s, kept := mustCreate(t, from, Options{}), Memory()
			mustWrite(t, s, batches...)
			mustWrite(t, kept, batches...)
			about := NewManifest("codes", []string{"x"})
			if err := errors.Join(s.Commit(about), kept.Commit(about)); err != nil {
				t.Fatal(err)
			}
			for _, table := range []*Table{mustOpen(t, from), &kept.Table} {
				s = mustCreate(t, to, Options{Force: true})
				if err := table.Read(nil, s.Write); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				m, err := table.Manifest()
				if err != nil || m.Kind != "codes" {
					t.Errorf("%s: manifest %+v, %v", name, m, err)
				}
				if err := s.Commit(about); err != nil {
					t.Fatal(err)
				}
				if rows := table.Rows(); rows != rowsOfAll(batches) {
					t.Errorf("%s: %d rows, want %d", name, rows, rowsOfAll(batches))
				}
				if table != &kept.Table && (batches == nil || rowsOfAll(batches) == 0) {
					continue // columns of no rows are lost in text
				}
				for _, file := range entries(t, filepath.Dir(from)) {
					a, _ := os.ReadFile(filepath.Join(filepath.Dir(from), file))
					b, _ := os.ReadFile(filepath.Join(filepath.Dir(to), file))
					if !bytes.Equal(a, b) {
						t.Errorf("%s: %s has %d bytes that differ from %d:\n%.300s\n%.300s", name, file, len(b), len(a), b, a)
					}
				}
			}
		}
	})
}

func rowsOfAll(batches [][]Column) (n int) {
	for _, b := range batches {
		n += rowCount(b[0])
	}
	return n
}

// Every format gives the columns that were asked for, with their values and nulls; only the
// names of arrays are lost.
func TestReadColumns(t *testing.T) {
	each(t, func(t *testing.T, f Format, path string) {
		s := mustCreate(t, path, Options{})
		mustWrite(t, s, sample()...)
		mustCommit(t, s)
		table := mustOpen(t, path)
		for _, want := range sample()[1] {
			name := want.Name
			if f.Name == "jsonl" && name == "array" {
				continue // by its name, hex is a text
			}
			got := Column{Name: name}
			err := table.Read(func(n string) bool { return n == name }, func(cols []Column) error {
				if len(cols) != 1 || cols[0].Name != name {
					t.Fatalf("%d columns", len(cols))
				}
				got = rowsIn(cols[0], 2, 4)
				return nil
			})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got.Width != want.Width || !slices.Equal(got.Parts, want.Parts) || len(got.Null) != 2 && f.Name != "npy" || got.Null != nil && !slices.Equal(got.Null, []bool{true, false}) {
				t.Errorf("%s: %+v, want %+v", name, got, want)
			}
			if a, b := fmt.Sprint(got.Values), fmt.Sprint(want.Values); a != b && f.Name != "jsonl" {
				t.Errorf("%s: values %s, want %s", name, a, b)
			}
		}
		if err := table.Read(func(string) bool { return false }, func([]Column) error { t.Error("a batch of nothing"); return nil }); err != nil {
			t.Error(err)
		}
		stop := errors.New("enough")
		if err := table.Read(nil, func([]Column) error { return stop }); err != stop {
			t.Errorf("an error of use is %v", err)
		}
	})
}

func text(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// Text has the types that all of its rows agree on.
func TestTypesOfText(t *testing.T) {
	for _, c := range []struct {
		name, content string
		want          []Column
	}{
		{"a.csv", "i,f,t,m,none\n1,2,x,1,\n,0.5,\"y,z\",a,\n", []Column{
			{Name: "i", Values: []int64{1, 0}, Null: []bool{false, true}}, {Name: "f", Values: []float64{2, .5}},
			{Name: "t", Values: []string{"x", "y,z"}}, {Name: "m", Values: []string{"1", "a"}}, {Name: "none", Values: []string{"", ""}, Null: []bool{true, true}}}},
		{"a.tsv", "a\tb\n1\tx\n", []Column{{Name: "a", Values: []int64{1}}, {Name: "b", Values: []string{"x"}}}},
		{"a.jsonl", `{"n":1,"l":[1,2],"o":{"p":1,"q":[2,null]},"b":true,"code":"0aFF","s":"nil"}` + "\n\n" + `{"n":-0,"l":[3,4.5],"o":null,"s":"\u00e9","late":"n"}`, []Column{
			{Name: "n", Values: []float64{1, math.Copysign(0, -1)}}, {Name: "l", Width: 2, Values: []float64{1, 2, 3, 4.5}},
			{Name: "o", Width: 3, Values: []float64{1, 2, math.NaN(), 0, 0, 0}, Parts: []Part{{"p", 1}, {"q", 2}}, Null: []bool{false, true}},
			{Name: "b", Values: []bool{true, false}, Null: []bool{false, true}}, {Name: "code", Width: 2, Values: []uint8{10, 255, 0, 0}, Null: []bool{false, true}},
			{Name: "s", Values: []string{"nil", "é"}}, {Name: "late", Values: []string{"", "n"}, Null: []bool{true, false}}}},
		{"b.ndjson", `{"x":1,"l":[1],"d":{"a":{"b":1}},"code":"zz"}` + "\n" + `{"x":"a","l":[1,2],"d":2,"code":"ab"}`, []Column{
			{Name: "x", Values: []string{"1", "a"}}, {Name: "l", Values: []string{"[1]", "[1,2]"}}, {Name: "d", Values: []string{`{"a":{"b":1}}`, "2"}}, {Name: "code", Values: []string{"zz", "ab"}}}},
	} {
		table := mustOpen(t, text(t, c.name, c.content))
		var got []Column
		if err := table.Read(nil, func(cols []Column) error { got = cols; return nil }); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if len(got) != len(c.want) || table.Rows() != rowCount(c.want[0]) {
			t.Fatalf("%s: %d columns of %d rows: %+v", c.name, len(got), table.Rows(), got)
		}
		for i, w := range c.want {
			if g := got[i]; fmt.Sprintf("%+v %T", g, g.Values) != fmt.Sprintf("%+v %T", w, w.Values) {
				t.Errorf("%s: %+v %T, want %+v %T", c.name, g, g.Values, w, w.Values)
			}
			if reflect.TypeOf(table.Columns()[i].Values) != reflect.TypeOf(w.Values) {
				t.Errorf("%s: Columns has %T for %s", c.name, table.Columns()[i].Values, w.Name)
			}
		}
	}
}

// What is no result is an error that says why, not a panic.
func TestOpenErrors(t *testing.T) {
	for name, c := range map[string]struct{ content, want string }{
		"a.txt": {"x", ".txt"}, "a.parquet": {"PAR1 but short PAR1", "Parquet"}, "b.parquet": {"x", "cut short"}, "a.npy": {"x", ""},
		"a.faiss": {"IBxF", "cut short"}, "b.index": {strings.Repeat("x", 40), "IndexBinaryFlat"}, "b.csv": {"", "names"}, "c.csv": {"a,a\n1,2\n", `"a"`}, "d.csv": {"a,b\n1\n", "fields"},
		"a.jsonl": {"{\n", "line 1"}, "b.jsonl": {"null\n", "line 1"}, "c.jsonl": {"[1]\n", "line 1"}, "d.jsonl": {"{\"a\":1}\n{\"a\"\n", "line 2"}, "e.jsonl": {"5", "line 1"},
	} {
		table, err := Open(text(t, name, c.content))
		if err == nil || !strings.Contains(err.Error(), c.want) || table != nil {
			t.Errorf("%s: %v does not say %q", name, err, c.want)
		}
	}
	if _, err := Open(t.TempDir()); err == nil {
		t.Error("a folder is read")
	}
	if _, err := Open(filepath.Join(t.TempDir(), "a.csv")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that there is not: %v", err)
	}
}

// A batch is bounded in rows and in bytes, whatever the format.
func TestBatchesAreBounded(t *testing.T) {
	const rows, width = 3000, 4000
	each(t, func(t *testing.T, f Format, path string) {
		s := mustCreate(t, path, Options{})
		for range rows / 100 {
			mustWrite(t, s, []Column{{Name: "array", Width: width, Values: make([]uint8, 100*width)}, {Name: "id", Values: slices.Repeat([]string{"an item"}, 100)}})
		}
		mustCommit(t, s)
		table := mustOpen(t, path)
		for _, want := range []string{"array", "id"} {
			n := 0
			err := table.Read(func(name string) bool { return name == want || f.Name == "jsonl" }, func(cols []Column) error {
				k := rowCount(cols[0])
				n += k
				if b, ok := cols[len(cols)-1].Values.([]uint8); k > 1024 || ok && len(b) > 1<<20 {
					t.Errorf("%d rows, %d bytes", k, len(b))
				}
				return nil
			})
			if err != nil || n != rows {
				t.Errorf("%s: %d rows, %v", want, n, err)
			}
		}
	})
}

// Reading takes no memory that grows with the rows.
func TestReadingIsFlat(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 30 MB")
	}
	each(t, func(t *testing.T, f Format, path string) {
		s := mustCreate(t, path, Options{})
		for range 60 {
			mustWrite(t, s, []Column{{Name: "array", Width: 500, Values: make([]uint8, 500*1000)}, {Name: "id", Values: slices.Repeat([]string{"an item"}, 1000)}})
		}
		mustCommit(t, s)
		table := mustOpen(t, path)
		heap := func() uint64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		before, peak := heap(), uint64(0)
		if err := table.Read(nil, func(cols []Column) error {
			peak = max(peak, heap())
			runtime.KeepAlive(cols)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if peak > before+8<<20 {
			t.Errorf("the heap grew from %d to %d MB", before>>20, peak>>20)
		}
	})
}

// Parquet of other programs: dictionaries, nulls within lists, bytes without a fixed length.
func TestForeignParquet(t *testing.T) {
	type row struct {
		ID     string     `parquet:"id,dict"`
		Code   []byte     `parquet:"code"`
		Other  []byte     `parquet:"other"`
		Scores []*float64 `parquet:"scores,list"`
		Names  []string   `parquet:"names,list"`
		At     time.Time  `parquet:"at"`
		Box    struct {
			X float32 `parquet:"x"`
			Y float32 `parquet:"y"`
		} `parquet:"box"`
	}
	write := func(rows ...row) *Table {
		path := filepath.Join(t.TempDir(), "a.parquet")
		if err := parquet.WriteFile(path, rows); err != nil {
			t.Fatal(err)
		}
		return mustOpen(t, path)
	}
	half := 0.5
	a := row{ID: "a", Code: []byte{1, 2}, Other: []byte("xyz"), Scores: []*float64{&half, nil}, Names: []string{"n", "m"}}
	b := a
	b.ID, b.Scores, b.Box.Y = "b", []*float64{nil, &half}, 2
	want := []Column{
		{Name: "id", Values: []string{"a", "b"}}, {Name: "code", Width: 2, Values: []uint8{1, 2, 1, 2}}, {Name: "other", Values: []string{"xyz", "xyz"}},
		{Name: "scores", Width: 2, Values: []float64{.5, math.NaN(), math.NaN(), .5}}, {Name: "names", Width: 2, Values: []string{"n", "m", "n", "m"}},
		{Name: "at", Values: []int64{a.At.UnixNano(), a.At.UnixNano()}}, {Name: "box", Width: 2, Values: []float32{0, 0, 0, 2}, Parts: []Part{{"x", 1}, {"y", 1}}},
	}
	table := write(a, b)
	got := map[string]Column{}
	if err := table.Read(nil, func(cols []Column) error {
		for _, c := range cols {
			got[c.Name] = c
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, w := range want {
		g := got[w.Name]
		if w.Name == "at" {
			w.Values = g.Values // which clock it is of is its own affair
		}
		if fmt.Sprintf("%+v %T", g, g.Values) != fmt.Sprintf("%+v %T", w, w.Values) {
			t.Errorf("%+v %T, want %+v %T", g, g.Values, w, w.Values)
		}
	}
	for what, change := range map[string]func(*row){
		"a longer list": func(r *row) { r.Scores = append(r.Scores[:2:2], nil) }, "a shorter list": func(r *row) { r.Scores = r.Scores[:1] }, "a longer code": func(r *row) { r.Code = []byte{1, 2, 3} },
	} {
		c := a
		change(&c)
		for _, table := range []*Table{write(a, c, a), write(a, c)} {
			if err := table.Read(nil, func([]Column) error { return nil }); err == nil || !strings.Contains(err.Error(), "column") {
				t.Errorf("%s than that before it: %v", what, err)
			}
		}
	}
}
