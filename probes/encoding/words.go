package encoding

import (
	"fmt"
	"iter"
	"strings"

	"github.com/onnxprobe/onnxprobe/probes/result"
)

// counted is a number and what is counted: "1 item", "2,048 items", "3 queries".
func counted(n int, what string) string {
	if n != 1 {
		if stem, ok := strings.CutSuffix(what, "ry"); ok {
			what = stem + "rie"
		}
		what += "s"
	}
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s + " " + what
}

// are is the verb for n things.
func are(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// batched gives rows to a sink, 4,096 at a time and at least once; columns makes the
// columns of a batch.
func batched[R any](to result.Sink, rows iter.Seq[R], columns func(batch []R) []result.Column) error {
	const most = 4096
	var batch []R
	for r := range rows {
		if batch = append(batch, r); len(batch) < most {
			continue
		}
		if err := to.Write(columns(batch)); err != nil {
			return err
		}
		batch = batch[:0]
	}
	return to.Write(columns(batch))
}

// columnOf is the column called name whose values are those of a batch's rows.
func columnOf[R, T any](name string, batch []R, value func(R) T) result.Column {
	values := make([]T, len(batch))
	for i, r := range batch {
		values[i] = value(r)
	}
	return result.Column{Name: name, Values: values}
}

// itemColumns are the columns that say which items of c the rows of a batch are.
func itemColumns[R any](c *Codes, batch []R, row func(R) int) []result.Column {
	label := columnOf("label", batch, func(r R) int64 { v, _ := c.Label(row(r)); return v })
	label.Null = make([]bool, len(batch))
	for i, r := range batch {
		_, ok := c.Label(row(r))
		label.Null[i] = !ok
	}
	return []result.Column{
		columnOf("id", batch, func(r R) string { return c.ID(row(r)) }),
		columnOf("path", batch, func(r R) string { return c.Path(row(r)) }),
		label,
	}
}
