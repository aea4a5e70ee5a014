package result

import (
	"encoding/json"
	"reflect"
	"slices"
)

// InMemory is a sink that keeps a result, and the table of what it keeps: Columns, Rows and
// Read are those of the batches written so far, Manifest what Commit was given.
type InMemory struct {
	Table
	batches [][]Column
	about   any
	done    error
}

// Memory makes a sink that keeps a result in memory, as it was written.
func Memory() *InMemory {
	m := &InMemory{}
	m.Table.source, m.Table.manifest = m, m.said
	return m
}

// Write keeps a copy of a batch.
func (m *InMemory) Write(cols []Column) error {
	if m.done != nil {
		return m.done
	}
	rows, err := check(cols)
	if err == nil && m.layout == nil {
		m.layout = layoutOf(cols)
	} else if err == nil {
		err = sameLayout(m.layout, cols)
	}
	if err != nil {
		m.done = err
		return err
	}
	batch := layoutOf(cols)
	for i, c := range cols {
		values := reflect.ValueOf(c.Values)
		batch[i].Values = reflect.AppendSlice(reflect.MakeSlice(values.Type(), 0, values.Len()), values).Interface()
		batch[i].Null = slices.Clone(c.Null)
	}
	m.batches, m.rows = append(m.batches, batch), m.rows+rows
	return nil
}

// Commit keeps the manifest.
func (m *InMemory) Commit(manifest any) error {
	if m.done != nil {
		return m.done
	}
	m.about, m.done = manifest, errCommitted
	return nil
}

// Abort forgets what was written; after Commit it does nothing.
func (m *InMemory) Abort() error {
	if m.done == nil {
		m.batches, m.layout, m.rows, m.done = nil, nil, 0, errAborted
	}
	return nil
}

func (m *InMemory) read(places []int, use func([]Column) error) error {
	for _, batch := range m.batches {
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

func (m *InMemory) close() error { return nil }

func (m *InMemory) said() (*Manifest, error) {
	if about, ok := m.about.(*Manifest); ok || m.about == nil {
		return about, nil
	}
	text, err := json.Marshal(m.about)
	if err != nil {
		return nil, err
	}
	return parseManifest(text, "of a result in memory")
}
