package result

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// readers read a result back as one map of printed values per row; parts have
// keys NAME.PART.
var readers = map[string]func(t *testing.T, path string) []map[string]string{
	"parquet": readParquet,
	"npy":     readNpy,
	"jsonl":   readJSONL,
}

func readParquet(t *testing.T, path string) (rows []map[string]string) {
	t.Helper()
	file := openTable(t, path)
	columns := file.Schema().Columns()
	for _, group := range file.RowGroups() {
		r := group.Rows()
		defer r.Close()
		for buf := make([]parquet.Row, 1); ; {
			n, err := r.ReadRows(buf)
			if n == 1 {
				row := map[string]string{}
				for _, values := range buf[0].Range {
					path := columns[values[0].Column()]
					leaf, _ := file.Schema().Lookup(path...)
					row[path[0]] = printValues(values, leaf.Node.Type(), len(path) > 1)
				}
				rows = append(rows, row)
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return rows
}

func openTable(t *testing.T, path string) *parquet.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	info, _ := f.Stat()
	file, err := parquet.OpenFile(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func printValues(values []parquet.Value, typ parquet.Type, list bool) string {
	if values[0].IsNull() {
		return "null"
	}
	var out []any
	for _, v := range values {
		switch {
		case typ.LogicalType() != nil && v.Kind() == parquet.ByteArray:
			out = append(out, string(v.ByteArray()))
		case v.Kind() == parquet.ByteArray, v.Kind() == parquet.FixedLenByteArray:
			out = append(out, hex.EncodeToString(v.ByteArray()))
		case v.Kind() == parquet.Boolean:
			out = append(out, v.Boolean())
		case v.Kind() == parquet.Int32:
			out = append(out, v.Int32())
		case v.Kind() == parquet.Int64:
			out = append(out, v.Int64())
		case v.Kind() == parquet.Float:
			out = append(out, v.Float())
		default:
			out = append(out, v.Double())
		}
	}
	if list {
		return fmt.Sprint(out)
	}
	return fmt.Sprint(out[0])
}

func readJSONL(t *testing.T, path string) []map[string]string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return parseJSONL(t, b)
}

func parseJSONL(t *testing.T, b []byte) (rows []map[string]string) {
	t.Helper()
	for d := json.NewDecoder(bytes.NewReader(b)); ; {
		d.UseNumber()
		var object map[string]any
		if err := d.Decode(&object); errors.Is(err, io.EOF) {
			return rows
		} else if err != nil {
			t.Fatal(err)
		}
		row := map[string]string{}
		for name, v := range object {
			if parts, ok := v.(map[string]any); ok {
				for part, v := range parts {
					row[name+"."+part] = printJSON(v)
				}
				continue
			}
			row[name] = printJSON(v)
		}
		rows = append(rows, row)
	}
}

func printJSON(v any) string {
	if v == nil {
		return "null"
	}
	return fmt.Sprint(v)
}

// readNpy gives the array's rows under the key "array", as bytes.
func readNpy(t *testing.T, path string) []map[string]string {
	t.Helper()
	_, shape, data := parseNpy(t, path)
	rows := readJSONL(t, ItemsPath(path))
	if len(rows) != shape[0] {
		t.Fatalf("%d items, array of shape %v", len(rows), shape)
	}
	for i, row := range rows {
		size := len(data) / shape[0]
		row["array"] = hex.EncodeToString(data[i*size : (i+1)*size])
	}
	return rows
}

func parseNpy(t *testing.T, path string) (dtype tensor.DType, shape []int, data []byte) {
	t.Helper()
	a, err := tensor.ReadNpyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return a.DType, a.Shape, a.Bytes()
}
