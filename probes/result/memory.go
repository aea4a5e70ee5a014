package result

import (
	"bytes"
	"reflect"
	"slices"
)

// InMemory is a sink that keeps a result, and the table of what it keeps: Columns, Rows and
// Read are those of the batches written so far, Manifest what Commit was given.
type InMemory struct {
	Table
	sink
}

// Memory makes a sink that keeps a result in memory, as it was written.
func Memory() *InMemory {
	m := &InMemory{}
	kept := &batches{table: &m.Table}
	m.sink.path, m.enc = "a result in memory", kept
	m.source, m.Table.manifest = kept, func() (*Manifest, error) { return nil, nil }
	return m
}

// Abort forgets what was written; after Commit it does nothing.
func (m *InMemory) Abort() error {
	if m.done == nil {
		m.source, m.Table.layout, m.rows = &batches{}, nil, 0
	}
	return m.sink.Abort()
}

// batches are those that were written.
type batches struct {
	table *Table
	all   [][]Column
}

func (b *batches) begin(cols []Column) error {
	b.table.layout = cols
	return nil
}

func (b *batches) write(cols []Column, rows int) error {
	batch := layoutOf(cols)
	for i, c := range cols {
		values := reflect.ValueOf(c.Values)
		batch[i].Values = reflect.AppendSlice(reflect.Zero(values.Type()), values).Interface()
		batch[i].Null = slices.Clone(c.Null)
	}
	b.all, b.table.rows = append(b.all, batch), b.table.rows+rows
	return nil
}

func (b *batches) end(manifest []byte) error {
	if !bytes.HasPrefix(manifest, []byte("null")) {
		b.table.manifest = func() (*Manifest, error) { return parseManifest(manifest, "of a result in memory") }
	}
	return nil
}

func (b *batches) read(places []int, use func([]Column) error) error {
	for _, batch := range b.all {
		cols := make([]Column, len(places))
		for k, i := range places {
			cols[k] = batch[i]
		}
		if err := use(cols); err != nil {
			return err
		}
	}
	return nil
}

func (b *batches) close() error { return nil }
