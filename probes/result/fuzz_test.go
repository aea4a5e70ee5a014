package result

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// No file panics the reader, and whatever is read is a batch that a sink takes.
func FuzzOpen(f *testing.F) {
	names := []string{"a.parquet", "a.npy", "a.jsonl", "a.csv", "a.tsv", "a.faiss"}
	for i, name := range names[:3] {
		path := filepath.Join(f.TempDir(), name)
		s, err := Create(path, Options{Array: "array"})
		for _, b := range sample() {
			if err == nil {
				err = s.Write(b)
			}
		}
		if err == nil {
			err = s.Commit(nil)
		}
		b, fault := os.ReadFile(path)
		if err != nil || fault != nil {
			f.Fatal(err, fault)
		}
		f.Add(b, uint8(i))
	}
	for _, s := range []string{`{"a":[1,null],"code":{"b":"ff","c":"00"}}` + "\n" + `{"a":null}`, `{"a":"\ud800","b":{"c":[[1]]}}`, "a,b\n1,\"x\ny\"\n,-0\n"} {
		f.Add([]byte(s), uint8(2))
		f.Add([]byte(s), uint8(3))
	}
	f.Add(append(FaissHeader(2, 2), 1, 2, 3, 4), uint8(5))
	f.Fuzz(func(t *testing.T, b []byte, format uint8) {
		path := filepath.Join(t.TempDir(), names[int(format)%len(names)])
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		table, err := Open(path)
		if err != nil {
			return
		}
		defer table.Close()
		_, _ = table.Manifest()
		rows, layout := 0, []Column(nil)
		_ = table.Read(nil, func(cols []Column) error {
			n, err := check(cols)
			if err == nil && layout != nil {
				err = sameLayout(layout, cols)
			}
			if err != nil {
				t.Errorf("a batch of %s: %v", filepath.Base(path), err)
			}
			layout = layoutOf(cols)
			if rows += n; rows > 1<<16 {
				return fmt.Errorf("enough")
			}
			return nil
		})
	})
}
