package result

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// sample has every value type, as scalar, vector and parts, with and without
// nulls, in two batches whose null marks differ.
func sample() [][]Column {
	no, first := []bool{false, false}, []bool{true, false}
	batch := func(null []bool) []Column {
		return []Column{
			{Name: "z.id", Values: []string{"", "a\"<&>\n\u00e9"}, Null: null},
			{Name: "code", Width: 5, Values: []uint8{0, 0, 0, 0, 0, 1, 2, 253, 254, 255}, Null: null,
				Parts: []Part{{Name: "layer1.0.relu", Width: 2}, {Name: "b,c", Width: 3}}},
			{Name: "array", Width: 3, Values: []uint8{0, 0, 0, 7, 8, 9}, Null: null},
			{Name: "u8", Values: []uint8{0, 255}, Null: null},
			{Name: "i64", Values: []int64{0, math.MinInt64}, Null: null},
			{Name: "i32", Values: []int32{0, math.MinInt32}, Null: null},
			{Name: "f64", Values: []float64{0, 0.1}, Null: null},
			{Name: "f32", Values: []float32{0, 0.1}, Null: null},
			{Name: "bool", Values: []bool{false, true}, Null: null},
			{Name: "strings", Width: 2, Values: []string{"", "", "x", ""}, Null: null},
			{Name: "i64s", Width: 2, Values: []int64{0, 0, 3, -4}, Null: null},
			{Name: "f64s", Width: 1, Values: []float64{0, 2.5}, Null: null},
			{Name: "bools", Width: 2, Values: []bool{false, false, true, false}, Null: null},
			{Name: "lc", Width: 3, Values: []int32{0, 0, 0, 1, 2, 3}, Null: null,
				Parts: []Part{{Name: "one", Width: 1}, {Name: "two", Width: 2}}},
		}
	}
	return [][]Column{batch(nil), batch(first), batch(no)}
}

// expect prints what sample holds as readers do.
func expect(batches [][]Column, format string) (rows []map[string]string) {
	for _, cols := range batches {
		n, _ := check(cols)
		for r := range n {
			row := map[string]string{}
			for _, c := range cols {
				null := c.Null != nil && c.Null[r]
				if format == "npy" && c.Name == "array" {
					row["array"] = hex.EncodeToString(c.Values.([]uint8)[r*c.Width:][:c.Width])
					continue
				}
				if null && format != "parquet" { // parts are not spread
					row[c.Name] = "null"
					continue
				}
				for _, f := range fieldsOf([]Column{c}) {
					lo := r*max(c.Width, 1) + f.offset
					v := slice(c.Values, lo, lo+f.width)
					switch text := fmt.Sprint(v); {
					case null:
						row[f.name] = "null"
					case isBinary(c):
						row[f.name] = fmt.Sprintf("%x", v)
					case f.kind == scalar:
						row[f.name] = text[1 : len(text)-1]
					default:
						row[f.name] = text
					}
				}
			}
			rows = append(rows, row)
		}
	}
	return rows
}

func mustCreate(t *testing.T, path string, o Options) Sink {
	t.Helper()
	o.Array = "array"
	s, err := Create(path, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustWrite(t *testing.T, s Sink, batches ...[]Column) {
	t.Helper()
	for _, b := range batches {
		if err := s.Write(b); err != nil {
			t.Fatal(err)
		}
	}
}

func mustCommit(t *testing.T, s Sink) {
	t.Helper()
	if err := s.Commit(map[string]string{"tool": "<test>"}); err != nil {
		t.Fatal(err)
	}
}

func entries(t *testing.T, dir string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// each runs a test over every format, in a folder of its own.
func each(t *testing.T, run func(t *testing.T, f Format, path string)) {
	for _, f := range Formats {
		t.Run(f.Name, func(t *testing.T) { run(t, f, filepath.Join(t.TempDir(), "out."+f.Name)) })
	}
}

func TestRoundTrip(t *testing.T) {
	each(t, func(t *testing.T, f Format, path string) {
		if readers[f.Name] == nil {
			t.Fatalf("no reader for %s", f.Name)
		}
		path = filepath.Join(filepath.Dir(path), "new", "folder", "OUT."+strings.ToUpper(f.Name))
		s := mustCreate(t, path, Options{})
		defer s.Abort()
		mustWrite(t, s, sample()...)
		if names := entries(t, filepath.Dir(path)); slices.ContainsFunc(names, func(n string) bool { return n[0] != '.' }) {
			t.Errorf("before Commit there is %q", names)
		}
		mustCommit(t, s)
		got, want := readers[f.Name](t, path), expect(sample(), f.Name)
		if len(got) != len(want) {
			t.Fatalf("%d rows, want %d", len(got), len(want))
		}
		for i := range want {
			for name, w := range want[i] {
				if got[i][name] != w {
					t.Errorf("row %d, %s: got %q, want %q", i, name, got[i][name], w)
				}
			}
			if len(got[i]) != len(want[i]) {
				t.Errorf("row %d has %d values, want %d: %v", i, len(got[i]), len(want[i]), got[i])
			}
		}
		b, err := os.ReadFile(ManifestPath(path))
		if err != nil || string(b) != "{\n  \"tool\": \"<test>\"\n}\n" {
			t.Errorf("manifest %q, %v", b, err)
		}
		if names := entries(t, filepath.Dir(path)); slices.ContainsFunc(names, func(n string) bool { return n[0] == '.' }) {
			t.Errorf("after Commit there is %q", names)
		}
	})
}

func TestStdout(t *testing.T) {
	var out bytes.Buffer
	s := mustCreate(t, "-", Options{Stdout: &out})
	mustWrite(t, s, []Column{
		{Name: "b", Values: []float64{math.NaN(), 1e21}},
		{Name: "a", Values: []float32{float32(math.Inf(-1)), 0.1}},
		{Name: "s", Values: []string{"\xff", "x"}},
	})
	want := `{"b":null,"a":null,"s":"\ufffd"}` + "\n" + `{"b":1e+21,"a":0.1,"s":"x"}` + "\n"
	if out.String() != want {
		t.Errorf("before Commit got\n%swant\n%s", out.String(), want)
	}
	mustCommit(t, s)
	if out.String() != want {
		t.Errorf("Commit added %q", out.String()[len(want):])
	}
}

func TestNpyTypes(t *testing.T) {
	for _, c := range []struct {
		values any
		width  int
		dtype  tensor.DType
		shape  []int
		data   string
	}{
		{[]uint8{1, 2, 3, 4, 5, 6}, 3, tensor.Uint8, []int{2, 3}, "010203040506"},
		{[]bool{true, false}, 1, tensor.Bool, []int{2, 1}, "0100"},
		{[]int32{1, -1}, 0, tensor.Int32, []int{2}, "01000000ffffffff"},
		{[]int64{1, -1}, 2, tensor.Int64, []int{1, 2}, "0100000000000000ffffffffffffffff"},
		{[]float32{1, -2}, 1, tensor.Float32, []int{2, 1}, "0000803f000000c0"},
		{[]float64{1}, 1, tensor.Float64, []int{1, 1}, "000000000000f03f"},
	} {
		path := filepath.Join(t.TempDir(), "out.npy")
		s := mustCreate(t, path, Options{})
		mustWrite(t, s, []Column{{Name: "array", Values: c.values, Width: c.width}})
		mustCommit(t, s)
		dtype, shape, data := parseNpy(t, path)
		if dtype != c.dtype || !slices.Equal(shape, c.shape) || hex.EncodeToString(data) != c.data {
			t.Errorf("%T width %d: got %s %v %x, want %s %v %s", c.values, c.width, dtype, shape, data, c.dtype, c.shape, c.data)
		}
	}
}

func TestNothingWritten(t *testing.T) {
	each(t, func(t *testing.T, f Format, path string) {
		for _, zeroRows := range []bool{false, true} {
			s := mustCreate(t, path, Options{Force: true})
			if zeroRows {
				mustWrite(t, s, []Column{{Name: "array", Width: 4, Values: []float32{}}, {Name: "id", Values: []string{}}})
			}
			mustCommit(t, s)
			if rows := readers[f.Name](t, path); len(rows) != 0 {
				t.Errorf("read %d rows", len(rows))
			}
			if f.Name == "npy" {
				if _, shape, _ := parseNpy(t, path); zeroRows != slices.Equal(shape, []int{0, 4}) {
					t.Errorf("zero rows %v: shape %v", zeroRows, shape)
				}
			}
			if f.Name == "parquet" {
				if got := len(openTable(t, path).Schema().Columns()); zeroRows != (got == 2) {
					t.Errorf("zero rows %v: %d columns", zeroRows, got)
				}
			}
		}
	})
}

// A binary column wider than FIXED_LEN_BYTE_ARRAY can be, over several row
// groups, keeps its rows in order and its bounds out of the footer.
func TestWideCodes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "wide.parquet")
	const width, rows, batch = 1 << 20, 150, 10
	at := func(row, i int) uint8 { return uint8(row + i>>12) }
	s := mustCreate(t, path, Options{})
	for lo := 0; lo < rows; lo += batch {
		code, id := make([]uint8, batch*width), make([]int64, batch)
		for i := range code {
			code[i] = at(lo+i/width, i%width)
		}
		for i := range id {
			id[i] = int64(lo + i)
		}
		mustWrite(t, s, []Column{{Name: "id", Values: id}, {Name: "code", Width: width, Values: code}})
	}
	mustCommit(t, s)
	file := openTable(t, path)
	// A group is closed once it holds rowGroupBytes, so never by much more.
	if n, most := len(file.RowGroups()), rows<<20/rowGroupBytes+1; n < most/2 || n > most {
		t.Errorf("%d row groups for %d MB of codes, want about %d of %d MB", n, rows, most, rowGroupBytes>>20)
	}
	for _, g := range file.Metadata().RowGroups {
		if c := g.Columns[1]; c.ColumnIndexOffset != 0 || len(c.MetaData.Statistics.MaxValue) != 0 {
			t.Errorf("code has a column index at %d and bounds of %d bytes", c.ColumnIndexOffset, len(c.MetaData.Statistics.MaxValue))
		}
		if c := g.Columns[0]; len(c.MetaData.Statistics.MaxValue) != 8 {
			t.Errorf("id has bounds of %d bytes", len(c.MetaData.Statistics.MaxValue))
		}
	}
	if m, ok := file.Lookup(manifestKey); !ok || !strings.Contains(m, "<test>") {
		t.Errorf("metadata %q: %q", manifestKey, m)
	}
	row := 0
	for _, g := range file.RowGroups() {
		r := g.Rows()
		for buf := make([]parquet.Row, 1); ; row++ {
			if n, _ := r.ReadRows(buf); n == 0 {
				break
			}
			code := buf[0][1].ByteArray()
			if buf[0][0].Int64() != int64(row) || len(code) != width || code[0] != at(row, 0) || code[width-1] != at(row, width-1) {
				t.Fatalf("row %d has id %d and a code of %d bytes", row, buf[0][0].Int64(), len(code))
			}
		}
		r.Close()
	}
	if row != rows {
		t.Errorf("%d rows, want %d", row, rows)
	}
}

func TestAbort(t *testing.T) {
	each(t, func(t *testing.T, f Format, path string) {
		s := mustCreate(t, path, Options{})
		mustWrite(t, s, sample()...)
		for range 2 {
			if err := s.Abort(); err != nil {
				t.Error(err)
			}
		}
		if names := entries(t, filepath.Dir(path)); len(names) > 0 {
			t.Errorf("Abort left %q", names)
		}
		if err := s.Commit(nil); !errors.Is(err, errAborted) {
			t.Errorf("Commit after Abort: %v", err)
		}
	})
}

func TestCommitTwice(t *testing.T) {
	each(t, func(t *testing.T, f Format, path string) {
		s := mustCreate(t, path, Options{})
		mustWrite(t, s, sample()...)
		mustCommit(t, s)
		before := entries(t, filepath.Dir(path))
		if err := s.Commit(nil); !errors.Is(err, errCommitted) {
			t.Errorf("second Commit: %v", err)
		}
		if err := s.Write(sample()[0]); !errors.Is(err, errCommitted) {
			t.Errorf("Write after Commit: %v", err)
		}
		if err := s.Abort(); err != nil {
			t.Error(err)
		}
		if after := entries(t, filepath.Dir(path)); !slices.Equal(before, after) {
			t.Errorf("files were %q, are %q", before, after)
		}
	})
}

func TestExisting(t *testing.T) {
	each(t, func(t *testing.T, f Format, path string) {
		if err := os.WriteFile(path, []byte("precious"), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Create(path, Options{Array: "array"})
		if err == nil || !strings.Contains(err.Error(), "force it") {
			t.Fatalf("Create over an existing file: %v", err)
		}
		if b, _ := os.ReadFile(path); string(b) != "precious" || len(entries(t, filepath.Dir(path))) != 1 {
			t.Fatalf("the file is %q among %q", b, entries(t, filepath.Dir(path)))
		}
		s := mustCreate(t, path, Options{Force: true})
		mustWrite(t, s, sample()...)
		if b, _ := os.ReadFile(path); string(b) != "precious" {
			t.Errorf("before Commit the old file is %q", b)
		}
		mustCommit(t, s)
		if n := len(readers[f.Name](t, path)); n != 6 {
			t.Errorf("after Commit there are %d rows, want 6", n)
		}
	})
}

func TestTwoWriters(t *testing.T) {
	// The files of a result fit each other only when one writer named them all.
	each(t, func(t *testing.T, f Format, path string) {
		var wg sync.WaitGroup
		for i := range 8 {
			s := mustCreate(t, path, Options{Force: true})
			wg.Go(func() {
				for range i + 1 {
					if err := s.Write(sample()[0]); err != nil {
						t.Error(err)
					}
				}
				if err := s.Commit(i); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		n := len(readers[f.Name](t, path))
		if m, _ := os.ReadFile(ManifestPath(path)); string(m) != fmt.Sprintln(n/2-1) {
			t.Errorf("%d rows with the manifest of writer %s", n, m)
		}
		names := entries(t, filepath.Dir(path))
		if slices.ContainsFunc(names, func(n string) bool { return n[0] == '.' }) {
			t.Errorf("left %q", names)
		}
	})
	each(t, func(t *testing.T, f Format, path string) {
		a, b := mustCreate(t, path, Options{}), mustCreate(t, path, Options{})
		mustWrite(t, a, sample()[0])
		mustWrite(t, b, sample()...)
		mustCommit(t, a)
		before := entries(t, filepath.Dir(path))
		if err := b.Commit("b"); err == nil || !strings.Contains(err.Error(), "force it") {
			t.Errorf("the second Commit without Force: %v", err)
		}
		if m, _ := os.ReadFile(ManifestPath(path)); !strings.Contains(string(m), "<test>") {
			t.Errorf("the manifest is the loser's: %s", m)
		}
		if n := len(readers[f.Name](t, path)); n != 2 {
			t.Errorf("%d rows, want the winner's 2", n)
		}
		after := entries(t, filepath.Dir(path))
		if before = slices.DeleteFunc(before, func(n string) bool { return n[0] == '.' }); !slices.Equal(before, after) {
			t.Errorf("the winner left %q, now there is %q", before, after)
		}
	})
}

// A disk that fails at any point is an error, and leaves nothing behind.
func TestWriteFails(t *testing.T) {
	each(t, func(t *testing.T, f Format, path string) {
		for i := range mustCreate(t, path, Options{Force: true}).(*sink).files {
			for _, when := range []string{"before Write", "before Commit"} {
				path := filepath.Join(filepath.Dir(path), fmt.Sprint(when, i), filepath.Base(path))
				s := mustCreate(t, path, Options{})
				broken := func() { s.(*sink).files[i].(io.Closer).Close() } // so that writing to it fails
				if when == "before Write" {
					broken()
				}
				err := s.Write(sample()[0])
				if when == "before Commit" {
					if err != nil {
						t.Fatal(err)
					}
					broken()
				}
				if e := s.Commit(nil); !errors.Is(e, os.ErrClosed) || !strings.Contains(e.Error(), path) {
					t.Errorf("file %d broken %s: Write: %v, Commit: %v", i, when, err, e)
				}
				if names := entries(t, filepath.Dir(path)); len(names) > 0 {
					t.Errorf("file %d broken %s: left %q", i, when, names)
				}
			}
		}
	})
	each(t, func(t *testing.T, f Format, path string) {
		s := mustCreate(t, path, Options{Force: true})
		mustWrite(t, s, sample()...)
		if err := os.MkdirAll(filepath.Join(path, "in the way"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := s.Commit(nil); err == nil {
			t.Error("Commit onto a folder is no error")
		}
		if names := entries(t, filepath.Dir(path)); len(names) != 1 {
			t.Errorf("left %q", names)
		}
	})
	for _, short := range []bool{true, false} {
		s := mustCreate(t, "-", Options{Stdout: broken{short}})
		if err := s.Write(sample()[0]); err == nil {
			t.Errorf("writing to a broken pipe (short %v) is no error", short)
		}
	}
}

// broken takes no bytes, and says so when it is not short.
type broken struct{ short bool }

func (b broken) Write(p []byte) (int, error) {
	if b.short {
		return 0, nil
	}
	return 0, io.ErrClosedPipe
}

func TestBadManifest(t *testing.T) {
	each(t, func(t *testing.T, f Format, path string) {
		s := mustCreate(t, path, Options{})
		mustWrite(t, s, sample()...)
		if err := s.Commit(func() {}); err == nil || !strings.Contains(err.Error(), "manifest") {
			t.Errorf("a manifest that is no JSON: %v", err)
		}
		if names := entries(t, filepath.Dir(path)); len(names) > 0 {
			t.Errorf("left %q", names)
		}
	})
}

func TestCreateErrors(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "d.npy"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path string
		o    Options
		want []string
	}{
		{"out.csv", Options{}, []string{".csv", ".parquet", ".npy", ".jsonl"}},
		{"out", Options{}, []string{`""`, ".parquet"}},
		{"out.npy", Options{}, []string{"one column"}},
		{"file/out.jsonl", Options{}, []string{"folder"}},
		{"d.npy", Options{Array: "a", Force: true}, []string{"is a folder"}},
	} {
		_, err := Create(filepath.Join(dir, c.path), c.o)
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v does not say %q", c.path, err, want)
			}
		}
	}
	if names := entries(t, dir); !slices.Equal(names, []string{"d.npy", "file"}) {
		t.Errorf("left %q", names)
	}
}

func TestBatchErrors(t *testing.T) {
	first := Column{Name: "array", Width: 2, Values: []uint8{1, 2, 3, 4}, Parts: []Part{{Name: "p", Width: 2}}}
	with := func(change func(c *Column)) []Column {
		c := first
		change(&c)
		return []Column{c}
	}
	for name, c := range map[string]struct {
		cols []Column
		want string
	}{
		"none":        {nil, "at least one column"},
		"name":        {with(func(c *Column) { c.Name = "" }), "no name"},
		"other name":  {with(func(c *Column) { c.Name = "b" }), "in the first"},
		"twice":       {append(with(func(*Column) {}), first), "two columns"},
		"more":        {append(with(func(*Column) {}), Column{Name: "b", Values: []bool{true, true}}), "2 columns"},
		"no type":     {with(func(c *Column) { c.Values = []int{1, 2} }), "[]int;"},
		"type":        {with(func(c *Column) { c.Values = []int32{1, 2} }), "[]int32"},
		"negative":    {with(func(c *Column) { c.Width = -1 }), "width -1"},
		"multiple":    {with(func(c *Column) { c.Values = []uint8{1, 2, 3} }), "no multiple"},
		"width":       {with(func(c *Column) { c.Width, c.Parts = 4, nil }), "width 4"},
		"rows":        {append(with(func(*Column) {}), Column{Name: "b", Values: []bool{true}}), "has 1 rows"},
		"nulls":       {with(func(c *Column) { c.Null = []bool{true} }), "1 null marks"},
		"parts sum":   {with(func(c *Column) { c.Parts = []Part{{Name: "p", Width: 1}} }), "have 1 values"},
		"part width":  {with(func(c *Column) { c.Parts = []Part{{Name: "p", Width: 0}} }), "width 0"},
		"part twice":  {with(func(c *Column) { c.Parts = []Part{{Name: "p", Width: 1}, {Name: "p", Width: 1}} }), "two parts"},
		"other parts": {with(func(c *Column) { c.Parts = []Part{{Name: "q", Width: 2}} }), "other parts"},
	} {
		each(t, func(t *testing.T, f Format, path string) {
			s := mustCreate(t, path, Options{})
			mustWrite(t, s, []Column{first})
			err := s.Write(c.cols)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s: error %v does not say %q", name, err, c.want)
			}
			if e := s.Commit(nil); e == nil || !strings.Contains(e.Error(), c.want) {
				t.Errorf("%s: Commit after the error: %v", name, e)
			}
			if names := entries(t, filepath.Dir(path)); len(names) > 0 {
				t.Errorf("%s: left %q", name, names)
			}
		})
	}
}

func TestFormatErrors(t *testing.T) {
	for _, c := range []struct {
		file string
		cols []Column
		want string
	}{
		{"a.npy", []Column{{Name: "x", Values: []bool{}}}, `"array"; there are ["x"]`},
		{"a.npy", []Column{{Name: "array", Values: []string{}}}, "[]string"},
		{"a.parquet", []Column{
			{Name: "a", Width: 1, Values: []int32{}, Parts: []Part{{Name: "b", Width: 1}}},
			{Name: "a.b", Values: []int32{}}}, `"a.b"`},
		{"a.parquet", []Column{{Name: "a", Width: 70000, Values: []int32{}, Parts: manyParts(70000)}}, "70000 columns"},
	} {
		s := mustCreate(t, filepath.Join(t.TempDir(), c.file), Options{})
		if err := s.Write(c.cols); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v does not say %s", c.file, err, c.want)
		}
	}
}

func manyParts(n int) (parts []Part) {
	for i := range n {
		parts = append(parts, Part{Name: strconv.Itoa(i), Width: 1})
	}
	return parts
}

// Memory does not grow with the number of rows: twelve times the rows, 120 MB,
// hold no more than one Parquet row group and what it takes to write it.
func TestMemoryIsFlat(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 400 MB")
	}
	const width, batch = 2048, 100
	code, id := make([]uint8, batch*width), make([]string, batch)
	random := rand.NewChaCha8([32]byte{}) // so that nothing compresses
	each(t, func(t *testing.T, f Format, path string) {
		peak := func(rows int) (peak uint64) {
			s := mustCreate(t, path, Options{Force: true})
			for lo := 0; lo < rows; lo += batch {
				random.Read(code)
				for i := range id {
					id[i] = fmt.Sprint("image ", lo+i)
				}
				mustWrite(t, s, []Column{{Name: "id", Values: id}, {Name: "array", Width: width, Values: code}})
				runtime.GC() // twice: what lies in a sync.Pool outlives one collection
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak = max(peak, m.HeapAlloc)
			}
			mustCommit(t, s)
			return peak
		}
		short, long := peak(5000), peak(60000)
		limit := short + 4<<20
		if f.Name == "parquet" {
			limit = short + 3*rowGroupBytes/2
		}
		t.Logf("peak heap: %d MB for 5000 rows, %d MB for 60000", short>>20, long>>20)
		if long > limit {
			t.Errorf("peak heap is %d MB for 60000 rows, want at most %d MB", long>>20, limit>>20)
		}
	})
}

// A part of a larger result has no manifest beside it, and says what its files are
// before they get their names.
func TestPart(t *testing.T) {
	each(t, func(t *testing.T, f Format, path string) {
		var told []File
		s := mustCreate(t, path, Options{Part: func(files []File) {
			told = files
			for _, d := range files {
				if _, err := os.Lstat(filepath.Join(filepath.Dir(path), d.Name)); err == nil {
					t.Errorf("%s has its name already", d.Name)
				}
			}
		}})
		mustWrite(t, s, sample()...)
		mustCommit(t, s)
		names := entries(t, filepath.Dir(path))
		if len(names) != len(told) || len(told) == 0 {
			t.Errorf("there are %q, and Part was told of %v", names, told)
		}
		for _, d := range told {
			f, err := os.Open(filepath.Join(filepath.Dir(path), d.Name))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if got, err := Sum(f, d.Name); err != nil || got != d || d.Bytes == 0 || len(d.SHA256) != 64 {
				t.Errorf("%v, and Part was told %v: %v", got, d, err)
			}
		}
	})
}
