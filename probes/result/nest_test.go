package result

import (
	"path/filepath"
	"testing"
)

// A reading may begin another one of the same table: both give all rows, in every format.
func TestReadingsNest(t *testing.T) {
	for _, name := range []string{"t.parquet", "t.jsonl"} {
		path := filepath.Join(t.TempDir(), name)
		to, err := Create(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		const rows = 3000
		ids, values := make([]string, rows), make([]int64, rows)
		for i := range values {
			ids[i], values[i] = "item", int64(i)
		}
		if err := to.Write([]Column{{Name: "id", Values: ids}, {Name: "n", Values: values}}); err != nil {
			t.Fatal(err)
		}
		if err := to.Commit(NewManifest("codes", nil)); err != nil {
			t.Fatal(err)
		}
		table, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer table.Close()
		count := func(use func()) (n int) {
			err := table.Read(nil, func(cols []Column) error {
				for _, v := range cols[1].Values.([]int64) {
					if v != int64(n) {
						t.Fatalf("%s: row %d holds %d", name, n, v)
					}
					n++
				}
				use()
				return nil
			})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return n
		}
		outer := count(func() {
			if inner := count(func() {}); inner != rows {
				t.Errorf("%s: a reading within another gave %d rows", name, inner)
			}
		})
		if outer != rows {
			t.Errorf("%s: %d rows", name, outer)
		}
	}
}
