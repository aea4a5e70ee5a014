package region

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/onnxprobe/onnxprobe/probes/result"
)

// Rows is a sink before another one, for a run over Items or the first of them. Of a row it
// replaces what it says of the item: by what Rows says of a region, from "id" to "kept", then
// "status", "error" and "warning". The columns that probes have made follow as they are.
func (p *Parts) Rows(to result.Sink) *Rows {
	r := &Rows{to: to, parts: p, last: -1}
	r.sum.Without = p.without
	return r
}

// ofItem are the columns that every run begins with, and that are replaced.
var ofItem = []string{"id", "path", "label", "class", "status", "error", "warning"}

// writeParts takes the rows of a batch of parts.
func (r *Rows) writeParts(cols []result.Column) error {
	in, p := textsOf(cols), r.parts
	n := len(in.id)
	if len(in.path) != n || len(in.status) != n || len(in.message) != n || len(in.warning)%max(n, 1) != 0 || r.next+n > len(p.all) {
		return fmt.Errorf("rows of regions: the batch does not hold %d more of %d items", n, len(p.all))
	}
	h := headsOf(p.from, &r.sum)
	for k := range n {
		of := &p.all[r.next]
		r.next++
		if p.none {
			continue
		}
		if of.picture != r.last {
			r.last = of.picture
			r.sum.Pictures++
		}
		at, err := of.entry, error(nil)
		at.id, at.path = in.id[k], in.path[k]
		if in.status[k] != "ok" {
			err = errors.New(in.message[k])
		}
		if len(in.warning) > 0 {
			at.warning = in.warning[k]
		}
		h.add(at, err)
	}
	var measured []result.Column
	left := slices.Clone(ofItem)
	for _, c := range cols {
		if i := slices.Index(left, c.Name); i >= 0 {
			left = slices.Delete(left, i, i+1)
		} else {
			measured = append(measured, c)
		}
	}
	r.needed, r.others = true, make([]result.Column, len(measured))
	for i, c := range measured {
		r.others[i] = c
		r.others[i].Values = reflect.Zero(reflect.TypeOf(c.Values)).Interface()
		r.others[i].Null = c.Null[:0]
	}
	if p.none {
		measured = r.others
	}
	return r.to.Write(h.before(measured))
}

// before puts what the rows say of regions before what was measured, "region_" before the
// name of a column where that has one of the name: run has a "score" of its own.
func (h *heads) before(measured []result.Column) []result.Column {
	cols := append(h.columns(), h.outcome()...)
	for i := range cols {
		if slices.ContainsFunc(measured, func(c result.Column) bool { return c.Name == cols[i].Name }) {
			cols[i].Name = "region_" + cols[i].Name
		}
	}
	return append(cols, measured...)
}

// failPart writes the row of a region that is no item.
func (r *Rows) failPart(id string, err error) error {
	h := headsOf(r.parts.from, &r.sum)
	h.add(entry{id: id}, err)
	var measured []result.Column
	for _, c := range r.others {
		n := max(c.Width, 1)
		c.Values = reflect.MakeSlice(reflect.TypeOf(c.Values), n, n).Interface()
		c.Null = []bool{true}
		measured = append(measured, c)
	}
	return r.to.Write(h.before(measured))
}
