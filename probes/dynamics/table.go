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
	out := csv.NewWriter(w)
	line := make([]string, len(cols))
	rows := 0
	for i, c := range cols {
		line[i] = c.Name
		switch v := c.Values.(type) {
		case []int64:
			rows = len(v)
		case []float64:
			rows = len(v)
		case []string:
			rows = len(v)
		default:
			return fmt.Errorf("a table has no place for the column %s of %T", c.Name, c.Values)
		}
	}
	if err := out.Write(line); err != nil {
		return err
	}
	for r := range rows {
		for i, c := range cols {
			switch v := c.Values.(type) {
			case []int64:
				line[i] = strconv.FormatInt(v[r], 10)
			case []float64:
				line[i] = strconv.FormatFloat(v[r], 'g', -1, 64)
			case []string:
				line[i] = v[r]
			}
			if c.Null != nil && c.Null[r] {
				line[i] = ""
			}
		}
		if err := out.Write(line); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// column gathers one column of scalars, with nulls.
type column[T any] struct {
	values []T
	null   []bool
}

func (c *column[T]) add(v T, null bool) {
	var zero T
	if null {
		v = zero
	}
	c.values, c.null = append(c.values, v), append(c.null, null)
}

func (c *column[T]) named(name string) result.Column {
	if c.values == nil {
		c.values = []T{}
	}
	return result.Column{Name: name, Values: any(c.values), Null: c.null}
}

// number64 adds a figure, or null.
func number64(c *column[float64], v Value) {
	c.add(float64(v), math.IsNaN(float64(v)) || math.IsInf(float64(v), 0))
}

// LongTable is a row for every figure of every checkpoint: step, set, site, radius,
// measure, value, stderr, n; and one with its error for each that could not be measured.
// cs are the checkpoints that the records are of.
func LongTable(cs []Checkpoint, records []*Record) []result.Column {
	var step, n column[int64]
	var set, site, measure, fault, path column[string]
	var radius, value, stderr column[float64]
	for i, r := range records {
		rows := r.Rows
		if r.Error != "" {
			rows = []Row{{Measure: "error", Value: Value(math.NaN()), StdErr: Value(math.NaN())}}
		}
		for _, f := range rows {
			step.add(cs[i].Step, false)
			set.add(f.Set, f.Set == "")
			site.add(f.Site, f.Site == "")
			radius.add(f.Radius, f.Radius == 0)
			measure.add(f.Measure, false)
			number64(&value, f.Value)
			number64(&stderr, f.StdErr)
			n.add(int64(f.N), false)
			fault.add(r.Error, r.Error == "")
			path.add(r.Path, false)
		}
	}
	return []result.Column{step.named("step"), set.named("set"), site.named("site"), radius.named("radius"), measure.named("measure"),
		value.named("value"), stderr.named("stderr"), n.named("n"), path.named("path"), fault.named("error")}
}
