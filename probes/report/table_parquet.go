package report

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/parquet-go/parquet-go"
)

func readParquet(path string, want func(string) bool, limit int) (_ *columns, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the file is damaged: %v", p)
		}
	}()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Size() < 12 {
		return nil, fmt.Errorf("a Parquet file of %d bytes is cut short", st.Size())
	}
	file, err := parquet.OpenFile(f, st.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("no Parquet file that can be read: %w", err)
	}
	c := newColumns()
	wide := 0
	for _, path := range file.Schema().Columns() {
		leaf, ok := file.Schema().Lookup(path...)
		if !ok || len(path) != 1 || leaf.MaxRepetitionLevel > 0 || !want(path[0]) || wide == maxColumns {
			continue
		}
		wide++
		rows, err := readColumn(file, leaf, c, path[0], limit, wide)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", path[0], err)
		}
		c.rows = max(c.rows, rows)
	}
	return c, nil
}

// readColumn reads one column of all row groups.
func readColumn(file *parquet.File, leaf parquet.LeafColumn, c *columns, name string, limit, wide int) (rows int, err error) {
	kind := leaf.Node.Type().Kind()
	var numbers []float64
	var texts []string
	buf := make([]parquet.Value, 256)
	for _, group := range file.RowGroups() {
		chunks := group.ColumnChunks()
		if leaf.ColumnIndex >= len(chunks) {
			return 0, errors.New("a row group lacks it")
		}
		pages := chunks[leaf.ColumnIndex].Pages()
		err := func() error {
			defer pages.Close()
			for limit == 0 || rows < limit {
				page, err := pages.ReadPage()
				if err == io.EOF {
					return nil
				}
				if err != nil {
					return err
				}
				values := page.Values()
				for {
					n, err := values.ReadValues(buf)
					for _, v := range buf[:n] {
						switch kind {
						case parquet.ByteArray:
							text := ""
							if !v.IsNull() {
								text = string(v.ByteArray())
							}
							texts = append(texts, text)
						default:
							numbers = append(numbers, number(v, kind))
						}
					}
					rows += n
					if int64(rows)*int64(wide) > maxValues {
						return fmt.Errorf("more than %d values", maxValues)
					}
					if err == io.EOF {
						break
					}
					if err != nil {
						return err
					}
					if n == 0 {
						return errors.New("a page gives no values")
					}
				}
			}
			return nil
		}()
		if err != nil {
			return 0, err
		}
	}
	switch kind {
	case parquet.FixedLenByteArray, parquet.Int96:
		return rows, nil
	case parquet.ByteArray:
		c.texts[name] = texts
	default:
		c.numbers[name] = numbers
	}
	c.order = append(c.order, name)
	return rows, nil
}

func number(v parquet.Value, kind parquet.Kind) float64 {
	if v.IsNull() {
		return math.NaN()
	}
	switch kind {
	case parquet.Boolean:
		if v.Boolean() {
			return 1
		}
		return 0
	case parquet.Int32:
		return float64(v.Int32())
	case parquet.Int64:
		return float64(v.Int64())
	case parquet.Float:
		return float64(v.Float())
	case parquet.Double:
		return v.Double()
	}
	return math.NaN()
}
