package encoding

import (
	"slices"

	"github.com/onnxprobe/onnxprobe/probes/result"
)

// placed is one of the things found together: the index of the group, and the place in it.
type placed[T any] struct {
	group, place int
	T            T
}

// batched gives a row for each of the things found to a sink, 4,096 at a time and at least
// once; columns makes the columns of a batch.
func batched[T any](sink result.Sink, groups [][]T, columns func(batch []placed[T]) []result.Column) error {
	const most = 4096
	var batch []placed[T]
	for g, all := range groups {
		for i, v := range all {
			if batch = append(batch, placed[T]{g, i, v}); len(batch) < most {
				continue
			}
			if err := sink.Write(columns(batch)); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	return sink.Write(columns(batch))
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
	label := columnOf("label", batch, func(r R) int64 { v, _ := c.Label(row(r)); return v.Number })
	class := columnOf("class", batch, func(r R) string { v, _ := c.Label(row(r)); return v.Name })
	text := slices.ContainsFunc(c.labels.all, func(l Label) bool { return l.Number == NoNumber })
	if text { // as rows of regions have it
		label = columnOf("label", batch, func(r R) string { v, _ := c.Label(row(r)); return v.String() })
	}
	label.Null = columnOf("", batch, func(r R) bool { _, ok := c.Label(row(r)); return !ok }).Values.([]bool)
	cols := []result.Column{
		columnOf("id", batch, func(r R) string { return c.ID(row(r)) }),
		columnOf("path", batch, func(r R) string { return c.Path(row(r)) }),
		label,
	}
	if !text && slices.ContainsFunc(c.labels.all, func(l Label) bool { return l.Name != "" }) {
		cols = append(cols, class)
	}
	return cols
}
