package dynamics

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/onnxprobe/onnxprobe/probes/result"
)

// Formats are the kinds of table that are written.
var Formats = []string{"parquet", "jsonl", "csv"}

// SaveTable writes rows as a table with its manifest beside it, in place of an earlier
// one. The format is the extension of path: one of Formats.
func SaveTable(path string, cols []result.Column, manifest any) error {
	if strings.EqualFold(filepath.Ext(path), ".csv") {
		return result.Save(path, true, manifest, func(w io.Writer) error { return writeCSV(w, cols) })
	}
	to, err := result.Create(path, result.Options{Force: true})
	if err != nil {
		return err
	}
	if err := to.Write(cols); err != nil {
		return errors.Join(err, to.Abort())
	}
	return to.Commit(manifest)
}

// writeCSV writes columns of scalars; what has no value is empty.
func writeCSV(w io.Writer, cols []result.Column) error {
	lines := [][]string{nil}
	for _, c := range cols {
		lines[0] = append(lines[0], c.Name)
		for row, null := range c.Null {
			cell, err := field(c, row)
			if err != nil {
				return err
			}
			if null {
				cell = ""
			}
			if row+1 == len(lines) {
				lines = append(lines, nil)
			}
			lines[row+1] = append(lines[row+1], cell)
		}
	}
	return csv.NewWriter(w).WriteAll(lines)
}

// field is a cell of a column.
func field(c result.Column, row int) (string, error) {
	switch v := c.Values.(type) {
	case []int64:
		return strconv.FormatInt(v[row], 10), nil
	case []float64:
		return strconv.FormatFloat(v[row], 'g', -1, 64), nil
	case []string:
		return v[row], nil
	}
	return "", fmt.Errorf("a table has no place for the column %s of %T", c.Name, c.Values)
}

// columnOf is a column of so many rows; where ok is false there is null.
func columnOf[T any](name string, rows int, cell func(i int) (v T, ok bool)) result.Column {
	values, null := make([]T, rows), make([]bool, rows)
	for i := range rows {
		v, ok := cell(i)
		if null[i] = !ok; ok {
			values[i] = v
		}
	}
	return result.Column{Name: name, Values: values, Null: null}
}

// texts is a column of texts, with null for "".
func texts(name string, rows int, cell func(i int) string) result.Column {
	return columnOf(name, rows, func(i int) (string, bool) { s := cell(i); return s, s != "" })
}

func integers(name string, rows int, cell func(i int) int64) result.Column {
	return columnOf(name, rows, func(i int) (int64, bool) { return cell(i), true })
}

// numbers is a column of figures, with null for what is not finite.
func numbers[F Value | float64](name string, rows int, cell func(i int) F) result.Column {
	return columnOf(name, rows, func(i int) (float64, bool) {
		v := float64(cell(i))
		return v, !math.IsNaN(v) && !math.IsInf(v, 0)
	})
}

// LongTable is a row for every figure of every checkpoint: step, set, site, radius,
// measure, value, stderr, n; and one with its error for each that could not be measured.
// cs are the checkpoints that the records are of.
func LongTable(cs []Checkpoint, records []*Record) []result.Column {
	type row struct {
		Row
		record int // among the records
	}
	var rows []row
	for i, r := range records {
		figures := r.Rows
		if r.Error != "" {
			figures = []Row{{Measure: "error", Value: Value(math.NaN()), StdErr: Value(math.NaN())}}
		}
		for _, f := range figures {
			rows = append(rows, row{f, i})
		}
	}
	n := len(rows)
	return []result.Column{
		integers("step", n, func(i int) int64 { return cs[rows[i].record].Step }),
		texts("set", n, func(i int) string { return rows[i].Set }),
		texts("site", n, func(i int) string { return rows[i].Site }),
		columnOf("radius", n, func(i int) (float64, bool) { return rows[i].Radius, rows[i].Radius != 0 }),
		texts("measure", n, func(i int) string { return rows[i].Measure }),
		numbers("value", n, func(i int) Value { return rows[i].Value }),
		numbers("stderr", n, func(i int) Value { return rows[i].StdErr }),
		integers("n", n, func(i int) int64 { return int64(rows[i].N) }),
		texts("path", n, func(i int) string { return records[rows[i].record].Path }),
		texts("error", n, func(i int) string { return records[rows[i].record].Error }),
	}
}
